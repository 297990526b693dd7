"""TIIF-Bench: its files, its layout, what the judge is asked and told back, and the arithmetic."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_files import EXPECTED, TIIF_SCRIPT, write_file, write_lines, write_tiif
from PIL import Image
from scripted_asker import ScriptedAsker
from wire_openai import Wire, chat, system_of, texts_of

from arrkit.backends.spec import Spec
from arrkit.bench.cells import Tally
from arrkit.bench.model import Item, Mode, Status, Unit
from arrkit.bench.tiif import GROUPS, TiifBenchmark, make, questions
from arrkit.bench.tiif_words import own_words
from arrkit.commands.judges import choose_judge
from arrkit.commands.options import JudgingOptions
from arrkit.data.pairs import ImageUnreadable, Picture
from arrkit.errors import InputError

DIMENSIONS = [dimension for dimensions in GROUPS.values() for dimension in dimensions]


def picture(colour: str = "red") -> Picture:
    return Picture(f"{colour}.png", lambda: Image.new("RGB", (8, 8), colour))


def made(folder="", **options) -> TiifBenchmark:
    return make(Spec("tiif"), data=str(folder), **options)


@pytest.fixture(scope="module")
def repository_copy(tmp_path_factory):
    return write_tiif(tmp_path_factory.mktemp("tiif"))


@pytest.fixture(scope="module")
def benchmark(repository_copy) -> TiifBenchmark:
    return made(repository_copy)


def unit(item: Item, question: int, value: float) -> Unit:
    return Unit(item=item.id, question=str(question), value=value)


def full(items, value) -> list[Unit]:
    """All units of ``items``; ``value(item, question)`` is None where there shall be none."""
    pairs = [(item, int(question)) for item in items for _, question in questions(item)]
    return [unit(item, at, value(item, at)) for item, at in pairs if value(item, at) is not None]


def value_of(tallies: tuple[Tally, ...], name: str, mode: Mode) -> float | None:
    (found,) = [each for each in tallies if (each.name, each.mode) == (name, mode)]
    return found.value


# --- files and layout


def test_every_prompt_has_a_short_and_a_long_item_with_the_same_questions(benchmark):
    items = benchmark.items()
    assert len(items) == 2 * 39 * 2
    assert Counter(item.groups["length"] for item in items) == {"short": 78, "long": 78}
    assert Counter(item.groups["group"] for item in items if item.groups["length"] == "long") == {
        name: 2 * len(dimensions) for name, dimensions in GROUPS.items()
    }
    assert len({item.id for item in items}) == len(items)
    by_id = {item.id: item for item in items}
    short, long = by_id["short/shape+color/0"], by_id["long/shape+color/0"]
    assert (short.prompt, long.prompt) == ("shape+color 0", "a long text about shape+color 0")
    assert short.facts == long.facts
    assert short.facts["answers"] == ["yes", "no"]
    assert short.facts["questions"] == ["Is shape+color 0.0 there?", "Is shape+color 0.1 there?"]


def test_images_lie_where_the_official_script_looks(benchmark):
    files = {item.id: item.files for item in benchmark.items()}
    assert files["short/2d_spatial_relation/1"] == ("2d_spatial_relation/arrkit/short_description/1.png",)
    assert files["long/text/0"] == ("text/arrkit/long_description/0.png",)


def test_the_groups_are_nine_of_39_dimensions():
    assert [len(dimensions) for dimensions in GROUPS.values()] == [4, 4, 4, 8, 8, 8, 1, 1, 1]
    assert len(set(DIMENSIONS)) == 39


def test_the_data_folder_itself_may_be_named(repository_copy):
    assert made(repository_copy / "data").items() == made(repository_copy).items()


def test_one_length_and_the_full_set(repository_copy, tmp_path):
    assert {item.groups["length"] for item in made(repository_copy, length="long").items()} == {"long"}
    write_tiif(tmp_path, split="test")
    whole = made(tmp_path, split="test")
    assert len(whole.items()) == 156
    assert whole.metric == "tiif-full[arrkit-prompt]"


def test_the_identity_holds_what_decides_the_numbers(repository_copy, tmp_path):
    first = made(repository_copy).identity
    assert first == made(repository_copy).identity
    row = {"yn_question_list": ["Another?"], "yn_answer_list": ["no"]}
    write_tiif(tmp_path)
    write_lines(tmp_path / "data/testmini_eval_prompts/text_eval_prompts.jsonl", [row, row])
    assert first["prompts"] != made(tmp_path).identity["prompts"]
    assert first["seed"] == 0
    assert first["instructions"] == own_words().digest


def test_folders_are_no_part_of_the_name(repository_copy):
    spec = Spec.parse(f"tiif?data={repository_copy}&length=long")
    assert make(spec, data=str(repository_copy), length="long").name == "tiif?length=long"


def test_without_files_it_is_said_where_they_are():
    with pytest.raises(InputError, match=r"no licence stated.*\n.*github.com/A113N-W3I/TIIF-Bench"):
        made().items()


def test_a_copy_that_lacks_dimensions_is_refused_by_name(tmp_path):
    write_tiif(tmp_path, without=["style", "negation+3d"])
    with pytest.raises(InputError, match=r"lacks 2 of 39 dimensions: negation\+3d, style"):
        made(tmp_path).items()


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("prompts", {"type": "magic", "short_description": "a", "long_description": "b"}, "none of the 39"),
        ("prompts", {"type": "style", "short_description": "a"}, 'style_prompts.jsonl:1: "long_description"'),
        ("eval_prompts", {"yn_question_list": ["a?"], "yn_answer_list": ["yes", "no"]}, "do not match"),
        ("eval_prompts", {"yn_question_list": ["a?"], "yn_answer_list": ["maybe"]}, "do not match"),
        ("eval_prompts", {"yn_question_list": "a?", "yn_answer_list": ["yes"]}, "is not a list of texts"),
    ],
)
def test_rows_that_cannot_be_used_are_named(tmp_path, name, row, message):
    write_tiif(tmp_path)
    other = {"type": "style", "short_description": "a", "long_description": "b"}
    asked = {"yn_question_list": ["a?"], "yn_answer_list": ["yes"]}
    rows = {"prompts": other, "eval_prompts": asked, name: row}
    for key, value in rows.items():
        write_lines(tmp_path / f"data/testmini_{key}/style_{key}.jsonl", [value])
    with pytest.raises(InputError, match=message):
        made(tmp_path).items()


def test_prompts_and_questions_must_be_as_many(tmp_path):
    write_tiif(tmp_path)
    row = {"yn_question_list": ["a?"], "yn_answer_list": ["yes"]}
    write_lines(tmp_path / "data/testmini_eval_prompts/text_eval_prompts.jsonl", [row])
    with pytest.raises(InputError, match=r"has 2 lines, and its questions in .* 1"):
        made(tmp_path).items()


# --- asking


def score(benchmark: TiifBenchmark, asker: ScriptedAsker, item: str, image: Picture | None) -> list[Unit]:
    (chosen,) = [each for each in benchmark.items() if each.id == item]
    return asyncio.run(benchmark.scorer(asker).score(chosen, [image]))


def test_all_questions_are_asked_at_once_and_each_answer_is_a_unit(benchmark):
    asker = ScriptedAsker(lambda _: "Yes, it is.\n\nyes - there\n")
    units = score(benchmark, asker, "short/style/0", picture())
    assert [(each.question, each.value, each.status) for each in units] == [
        ("0", 1.0, Status.SCORED),
        ("1", 0.0, Status.SCORED),
    ]
    assert units[1].answer == {"said": "yes - there", "template": 0}
    (asked,) = asker.asked
    assert "Is style 0.0 there?\nIs style 0.1 there?\n" in asked.text
    assert asked.system == own_words().system
    assert asked.options["temperature"] == 0.0


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("yes\nno", ["yes", "no"]),
        ("Let me see.\n YES: a cat\nNo, none", ["YES: a cat", "No, none"]),
        ("yesterday\nyes\nno", ["yes", "no"]),
        ("nothing here\nno.\nyes!", ["no.", "yes!"]),
    ],
)
def test_lines_that_begin_with_the_word_are_the_answers(answer, found):
    assert own_words().read(answer, 2) == found


@pytest.mark.parametrize("answer", ["", "yes", "yes\nno\nyes", "1. yes\n2. no", "maybe\nyes"])
def test_another_number_of_answers_cannot_be_used(answer):
    with pytest.raises(ValueError, match="2 lines must begin with yes or no"):
        own_words().read(answer, 2)


def test_answers_that_stay_unusable_are_unparsed_and_bounded(benchmark):
    asker = ScriptedAsker(lambda _: "yes")
    units = score(benchmark, asker, "short/style/0", picture())
    assert [(each.status, each.value) for each in units] == [(Status.UNPARSED, None)] * 2
    assert len(asker.asked) == 3
    assert units[0].answer == "yes"


def test_a_missing_image_and_an_outage_have_their_statuses(benchmark):
    def gone() -> Image.Image:
        raise ImageUnreadable("gone")

    outage = ScriptedAsker(lambda _: Status.FAILED)
    for image, status in ((None, Status.MISSING), (Picture("x", gone), Status.MISSING)):
        units = score(benchmark, outage, "short/style/0", image)
        assert [each.status for each in units] == [status] * 2
    assert outage.asked == []
    assert [each.status for each in score(benchmark, outage, "short/style/0", picture())] == [
        Status.FAILED
    ] * 2


def test_a_judge_must_be_named(benchmark):
    with pytest.raises(InputError, match="scored by a judge"):
        benchmark.scorer(None)


# --- the official words


@pytest.fixture(scope="module")
def official(repository_copy) -> TiifBenchmark:
    write_file(repository_copy / "eval/eval_with_vlm.py", TIIF_SCRIPT)
    return made(repository_copy, prompt_dir=str(repository_copy))


def test_the_official_words_are_read_and_earn_the_name(official, benchmark):
    assert (official.metric, benchmark.metric) == ("tiif", "tiif[arrkit-prompt]")
    asker = ScriptedAsker(lambda _: "yes\nno")
    for item in ("short/style/0", "long/style/0", "short/text/0", "long/text/0", "short/negation/0"):
        units = score(official, asker, item, picture())
        wording = ["First", "Second", "Third"][units[0].answer["template"]]
        asked = asker.asked[-1]
        assert asked.text.startswith(f"{wording} wording.\nIs {item.split('/')[1]} 0.0 there?\nIs")
        assert asked.system == "You look at pictures for a living."
        assert (asked.options["temperature"], asked.options["attempts"]) == (1.0, 11)
    assert len({asked.text.split()[0] for asked in asker.asked}) > 1


def test_the_template_is_drawn_by_seed_and_item_alone(repository_copy, official):
    def drawn(seed: int) -> list[int]:
        words = make(Spec("tiif"), data="", prompt_dir=str(repository_copy))._words
        return [words.draw(seed, item.id) for item in official.items()]

    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)
    assert set(Counter(drawn(0))) == {0, 1, 2}
    assert min(Counter(drawn(0)).values()) > 30


@pytest.mark.parametrize(
    "change",
    [
        ("raw_prompt_1 =", "renamed ="),
        ("Third wording.\\n##YNQuestions##", "Third wording."),
        ('"role": "system"', '"role": "user"'),
    ],
)
def test_a_script_without_the_words_is_refused(tmp_path, change):
    write_file(tmp_path / "eval_with_vlm.py", TIIF_SCRIPT.replace(*change))
    with pytest.raises(InputError, match="raw_prompt, raw_prompt_1, raw_prompt_2"):
        made(prompt_dir=str(tmp_path))


def test_a_folder_without_the_script_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"there is no eval/eval_with_vlm.py"):
        made(prompt_dir=str(tmp_path))


# --- arithmetic


def test_cells_are_rounded_and_the_nine_groups_averaged(benchmark):
    # Every cell has three questions: a third right is 0.3333, two thirds are 0.6667.
    def right(item: Item, at: int) -> float:
        return float(item.groups["dimension"] == "style" or (item.id.endswith("/0") and at == 0))

    tallies = benchmark.tallies(benchmark.items(), full(benchmark.items(), right))
    name = "tiif[arrkit-prompt]/overall-short"
    assert value_of(tallies, name, Mode.OFFICIAL) == pytest.approx((8 * 0.3333 + 1) / 9, abs=1e-12)
    assert value_of(tallies, name, Mode.STRICT) == pytest.approx((8 / 3 + 1) / 9, abs=1e-12)
    assert [each.name for each in tallies if each.headline][:2] == [name, name.replace("short", "long")]


def test_basic_and_advanced_are_means_of_12_and_of_26_dimensions(benchmark):
    def right(item: Item, at: int) -> float:
        return float(item.groups["dimension"] in ("numeracy", "text", "numeracy+2d"))

    tallies = benchmark.tallies(benchmark.items(), full(benchmark.items(), right))
    prefix = "tiif[arrkit-prompt]"
    short = f"{prefix}/short"
    assert value_of(tallies, f"{short}/basic-by-dimensions", Mode.STRICT) == pytest.approx(1 / 12)
    assert value_of(tallies, f"{short}/advanced-by-dimensions", Mode.STRICT) == pytest.approx(2 / 26)
    assert value_of(tallies, f"{short}/basic/reasoning", Mode.STRICT) == pytest.approx(1 / 4)
    assert value_of(tallies, f"{short}/text", Mode.STRICT) == 1.0
    assert value_of(tallies, f"{prefix}/overall-short", Mode.STRICT) == pytest.approx((1 / 4 + 1 / 8 + 1) / 9)
    assert value_of(tallies, f"{prefix}/by-cells", Mode.STRICT) == pytest.approx(3 / 39)


def reference(items, units, length: str) -> float:
    """The official headline, written down as the facts have it."""
    held = {(each.item, each.question): each.value for each in units}
    cells = defaultdict(list)
    for item in items:
        if item.groups["length"] == length:
            for _, question in questions(item):
                if (item.id, question) in held:
                    cells[item.groups["dimension"]].append(held[item.id, question])
    cell = {name: float(f"{sum(values) / len(values):.4f}") for name, values in cells.items()}
    groups = [[cell[each] for each in dimensions if each in cell] for dimensions in GROUPS.values()]
    means = [sum(values) / len(values) for values in groups if values]
    return sum(means) / len(means)


@settings(max_examples=12)
@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.05, 0.5, 0.95, 1.0]))
def test_the_official_headline_whatever_is_missing_and_in_whatever_order(benchmark, seed, share):
    draw = random.Random(seed)
    items = benchmark.items()
    values = {
        (item.id, int(at)): float(draw.random() < 0.6) if draw.random() < share else None
        for item in items
        for _, at in questions(item)
    }
    units = full(items, lambda item, at: values[item.id, at])
    tallies = benchmark.tallies(items, units)
    draw.shuffle(units)
    again = benchmark.tallies(items, units)
    for length in ("short", "long"):
        name = f"tiif[arrkit-prompt]/overall-{length}"
        if any(each.item.startswith(length) for each in units):
            assert value_of(tallies, name, Mode.OFFICIAL) == pytest.approx(
                reference(items, units, length), abs=1e-9
            )
        strict = value_of(tallies, name, Mode.STRICT)
        assert strict == value_of(again, name, Mode.STRICT)
        asked = full(items, lambda item, at: values[item.id, at] or 0.0)
        assert strict == pytest.approx(
            value_of(benchmark.tallies(items, asked), name, Mode.STRICT), abs=1e-12
        )
    (head,) = [each for each in tallies if (each.name, each.mode) == (name, Mode.STRICT)]
    expected = 39 * sum(map(len, EXPECTED))
    assert (head.counts.expected, head.counts.scored + head.counts.missing) == (expected, expected)


def test_a_group_without_answers_drops_out_of_the_official_number_only(benchmark):
    units = full(benchmark.items(), lambda item, _: None if item.groups["group"] == "text" else 1.0)
    tallies = benchmark.tallies(benchmark.items(), units)
    name = "tiif[arrkit-prompt]/overall-long"
    assert value_of(tallies, name, Mode.OFFICIAL) == 1.0
    assert value_of(tallies, name, Mode.STRICT) == pytest.approx(8 / 9)
    assert value_of(tallies, "tiif[arrkit-prompt]/long/text", Mode.OFFICIAL) is None


def test_answers_that_stand_twice_are_refused(benchmark):
    units = full(benchmark.items(), lambda *_: 1.0)
    with pytest.raises(InputError, match="two answers"):
        benchmark.tallies(benchmark.items(), [*units, units[0]])


def test_nothing_scored_gives_no_official_number(benchmark):
    scores = benchmark.aggregate(benchmark.items(), [])
    assert {each.value for each in scores if each.mode is Mode.OFFICIAL} == {None}
    assert {each.value for each in scores if each.mode is Mode.STRICT} == {0.0}


# --- saved answers


def saved(item: Item, predicted: list[str]) -> dict[str, object]:
    length, dimension, line = item.id.split("/")
    return {
        "attribute": dimension,
        "desc": f"{length}_description",
        "jsonl_file": f"{dimension}_eval_prompts.jsonl",
        "line_idx": int(line),
        "questions": item.facts["questions"],
        "gt_answers": ["Yes", "no "][: len(predicted)],
        "model_pred": predicted,
        "model_output": "...",
    }


def test_the_official_folder_and_its_lines_give_the_same_units(benchmark, tmp_path):
    chosen = [item for item in benchmark.items() if item.id in ("short/style/0", "long/text/1")]
    records = {item.id: saved(item, ["yes", "yes"][: len(list(questions(item)))]) for item in chosen}
    for name, record in records.items():
        length, dimension, line = name.split("/")
        write_file(tmp_path / "model" / dimension / length / f"{line}.json", json.dumps(record, indent=2))
    write_lines(tmp_path / "all.jsonl", list(records.values()))
    units = benchmark.read_answers(tmp_path / "model")
    assert sorted((each.item, each.question, each.value) for each in units) == [
        ("long/text/1", "0", 1.0),
        ("short/style/0", "0", 1.0),
        ("short/style/0", "1", 0.0),
    ]
    assert sorted(benchmark.read_answers(tmp_path / "all.jsonl"), key=lambda each: each.item) == sorted(
        units, key=lambda each: each.item
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [({"line_idx": 7}, 'no prompt "short/style/7"'), ({"model_pred": ["yes"]}, "1 answers to 2 questions")],
)
def test_saved_answers_to_something_else_are_refused(benchmark, tmp_path, change, message):
    (item,) = [each for each in benchmark.items() if each.id == "short/style/0"]
    write_lines(tmp_path / "a.jsonl", [saved(item, ["yes", "no"]) | change])
    with pytest.raises(InputError, match=message):
        benchmark.read_answers(tmp_path / "a.jsonl")


# --- over the wire


def test_a_hosted_judge_answers_and_the_table_follows(benchmark, tmp_path):
    items = [item for item in benchmark.items() if item.groups["dimension"] in ("text", "style")]

    def reply(seen):
        asked = [line for line in texts_of(seen)[0].splitlines() if line.startswith("Is ")]
        return chat("\n".join("no, not there" if ".1 " in line else "yes, there" for line in asked))

    async def run() -> list[Unit]:
        with choose_judge(
            f"vllm:tiny?base_url={wire.base_url}", JudgingOptions(cache=tmp_path)
        ).answering() as bench:
            scorer = benchmark.scorer(bench.asker)
            units = [unit for item in items for unit in await scorer.score(item, [picture()])]
            await bench.asker.aclose()
        return units

    with Wire(reply) as wire:
        units = asyncio.run(run())
    assert [each.value for each in units] == [1.0] * 12
    assert system_of(wire.requests[0]) == own_words().system
    tallies = benchmark.tallies(items, units)
    assert value_of(tallies, "tiif[arrkit-prompt]/overall-short", Mode.STRICT) == 1.0
