"""DPG-Bench: its files, its layout, who answers, and the arithmetic with and without the script's defects."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scripted_asker import ScriptedAsker
from wire_openai import Wire, chat, texts_of

from arrkit.backends.registry import make_benchmark
from arrkit.bench.dpg import quarters
from arrkit.bench.dpg_answers import read_lines, read_word
from arrkit.bench.dpg_rules import (
    Proposition,
    gated,
    gated_in_order,
    mark_officially,
    mark_strictly,
    questions,
    read_questions,
)
from arrkit.bench.model import Mode, Status, Unit
from arrkit.commands.bench_options import BenchScoreOptions
from arrkit.commands.bench_score import score_benchmark
from arrkit.data.images import picture_from_path
from arrkit.data.pairs import ImageUnreadable, Picture
from arrkit.errors import InputError

HEADER = (
    "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,"
    "question_natural_language"
)

ROWS = (
    ("first", 1, "0", "entity - whole (car)", "Is there a car?"),
    ("first", 2, "1", "attribute - color (car, red)", "Is the car red, or nearly so?"),
    ("second", 1, "0", "entity - whole (dog)", "Is there a dog?"),
    ("second", 2, "1", "entity - part (dog, tail)", "Has the dog a tail?"),
    ("second", 3, "1,2", "attribute - color (tail, white)", "Is the tail white?"),
    ("third", 1, "0", "global - (photo)", "Is it a photo?"),
)


def write_files(folder, rows=ROWS, prompts=("first", "second", "third")):
    (folder / "prompts").mkdir(parents=True, exist_ok=True)
    with (folder / "dpg_bench.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADER.split(","))
        for item, number, parents, category, question in rows:
            text = f"a long text,\nabout {item}"
            writer.writerow([item, text, "", number, parents, "", "", category, question])
    for name in prompts:
        (folder / "prompts" / f"{name}.txt").write_text(f" the prompt of {name}\n")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp("dpg"))


def benchmark(data, **options):
    query = "&".join(f"{key}={value}" for key, value in {"data": data, **options}.items())
    return make_benchmark(f"dpg?{query}")


@pytest.fixture(scope="module")
def made(data):
    return benchmark(data)


def all_units(items, value=lambda item, image, question: 1.0) -> list[Unit]:
    return [
        Unit(item=item.id, image=image, question=question, value=value(item.id, image, int(question)))
        for item in items
        for image, question in questions(item)
    ]


def value_of(tallies, name, mode=Mode.OFFICIAL):
    (found,) = [each for each in tallies if (each.name, each.mode) == (name, mode)]
    return found.value


def chain(*parents) -> list[Proposition]:
    return [Proposition(number, held, "entity", "?") for number, held in enumerate(parents, start=1)]


# --- files and layout


def test_items_are_the_prompts_with_their_questions(made):
    items = made.items()
    assert [item.id for item in items] == ["first", "second", "third"]
    assert items[1].prompt == "the prompt of second"
    assert items[1].files == tuple(f"images/second/{image}.png" for image in range(4))
    assert questions(items[0]) == [(image, number) for image in range(4) for number in ("1", "2")]


def test_a_prompt_without_its_file_is_read_from_the_questions(tmp_path):
    items = benchmark(write_files(tmp_path / "dpg_bench", prompts=("first",)).parent).items()
    assert [item.prompt for item in items][:2] == ["the prompt of first", "a long text,\nabout second"]


def test_four_images_become_one_grid_and_the_grid_four_images(tmp_path, made):
    made.lay_out(tmp_path)
    colours = ["red", "green", "blue", "white"]
    item = made.items()[1]
    for file, colour in zip(item.files, colours, strict=True):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 4), colour).save(tmp_path / file)
    made.lay_out(tmp_path)
    assert [path.name for path in (tmp_path / "grids").iterdir()] == ["second.png"]
    with Image.open(tmp_path / "grids" / "second.png") as grid:
        assert grid.size == (12, 8)
        corners = [grid.getpixel(place) for place in ((0, 0), (11, 0), (0, 7), (11, 7))]
    assert corners == [(255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)]
    parts = quarters(picture_from_path(tmp_path / "grids" / "second.png"))
    assert [part.load().getcolors() for part in parts] == [[(24, corner)] for corner in corners]


def test_a_grid_is_put_together_anew_only_when_an_image_is_newer(tmp_path, made):
    item = made.items()[2]
    for file in item.files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(tmp_path / file)
    made.lay_out(tmp_path)
    grid = tmp_path / "grids" / "third.png"
    before = grid.stat().st_mtime_ns
    made.lay_out(tmp_path)
    assert grid.stat().st_mtime_ns == before
    Image.new("RGB", (2, 2), "white").save(tmp_path / item.files[3])
    made.lay_out(tmp_path)
    with Image.open(grid) as image:
        assert image.getpixel((3, 3)) == (255, 255, 255)
    Image.new("RGB", (3, 2)).save(tmp_path / item.files[3])
    with pytest.raises(InputError, match="not all of one size"):
        made.lay_out(tmp_path)


def test_grids_painted_elsewhere_are_scored_and_not_painted(tmp_path, data):
    grids = benchmark(data, layout="grid")
    assert [item.files for item in grids.items()] == [("first.png",), ("second.png",), ("third.png",)]
    assert len(questions(grids.items()[0])) == 8
    with pytest.raises(InputError, match="layout=grid is for grids that were painted elsewhere"):
        grids.lay_out(tmp_path)


def test_without_files_the_refusal_says_where_they_are():
    with pytest.raises(
        InputError, match=r"1,065 prompts .* \(Apache-2.0\) are not on this machine"
    ) as caught:
        benchmark("").items()
    assert "https://github.com/TencentQQGYLab/ELLA" in str(caught.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("first", "one", "0", "entity (x)", "Is it?"), '"one" or one of "0" is no number'),
        (("first", 1, "0;1", "entity (x)", "Is it?"), '"1" or one of "0;1" is no number'),
        (("first", 1, "0", "entity (x)", ""), "the row has no item_id, or asks nothing"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, row, said):
    with pytest.raises(InputError, match=r"dpg_bench.csv:3: ") as caught:
        benchmark(write_files(tmp_path, rows=[row])).items()
    assert said in str(caught.value)


def test_columns_that_are_missing_are_named():
    with pytest.raises(InputError, match="the columns text, tuple are missing"):
        read_questions("item_id,proposition_id,dependency,question_natural_language\n", "x.csv")


# --- arithmetic


def test_the_worked_example_of_gating():
    propositions = chain((), (1,), (2,))
    scores = {1: 0.0, 2: 1.0, 3: 1.0}
    assert gated_in_order(propositions, scores) == gated(propositions, scores) == [0, 0, 0]
    units = {number: Unit(item="x", question=str(number), value=value) for number, value in scores.items()}
    marked = mark_officially(propositions, [units])
    assert marked is not None
    assert marked.score == 0
    assert [score for _, score in marked.categories] == [0, 1, 1]
    assert [score for _, score in mark_strictly(propositions, [units]).categories] == [0, 0, 0]


def test_a_child_that_stands_before_its_parent_is_gated_in_the_strict_score_alone():
    propositions = [Proposition(3, (2,), "", "?"), Proposition(1, (), "", "?"), Proposition(2, (1,), "", "?")]
    scores = {1: 0.0, 2: 1.0, 3: 1.0}
    assert gated_in_order(propositions, scores) == [1, 0, 0]
    assert gated(propositions, scores) == [0, 0, 0]


@st.composite
def trees(draw):
    many = draw(st.integers(1, 6))
    parents = [
        draw(st.sets(st.integers(1, number - 1))) if number > 1 else set() for number in range(1, many + 1)
    ]
    scores = {number: draw(st.sampled_from([0.0, 1.0])) for number in range(1, many + 1)}
    return chain(*(tuple(sorted(each)) for each in parents)), scores, draw(st.permutations(range(many)))


@given(trees())
def test_strict_gating_knows_no_order_and_is_the_official_one_where_parents_come_first(tree):
    propositions, scores, order = tree
    strict = gated(propositions, scores)
    assert strict == gated_in_order(propositions, scores)
    shuffled = [propositions[place] for place in order]
    assert gated(shuffled, scores) == [strict[place] for place in order]


def test_a_circle_of_parents_ends(made):
    propositions = [Proposition(1, (2,), "", "?"), Proposition(2, (1,), "", "?")]
    assert gated(propositions, {1: 1.0, 2: 1.0}) == [1, 1]
    assert gated(propositions, {1: 1.0, 2: 0.0}) == [0, 0]


def test_the_official_score_loses_the_first_row_and_the_prompt_that_hangs_on_it(made):
    tallies = made.tallies(made.items(), all_units(made.items()))
    # The first prompt's second question depends on the row that is lost: the script drops the file.
    assert tallies[0].value == 100
    assert "1 of 3 dropped" in tallies[0].how
    assert tallies[1].value == 100
    no_dog = all_units(made.items(), lambda item, image, number: float((item, number) != ("second", 1)))
    tallies = made.tallies(made.items(), no_dog)
    assert tallies[0].value == 50
    assert tallies[1].value == pytest.approx(200 / 3)


def test_official_categories_are_of_the_last_image_and_ungated_strict_ones_of_all_and_gated(made):
    def value(item, image, number):
        return float(image == 3) if (item, number) == ("second", 2) else 1.0

    tallies = made.tallies(made.items(), all_units(made.items(), value))
    name = tallies[0].name.removesuffix("/overall")
    assert value_of(tallies, f"{name}/by-type/entity - part") == 100
    assert value_of(tallies, f"{name}/by-type/entity - part", Mode.STRICT) == 25
    # The white tail hangs on the tail: four answers of the first prompt, one of four of the second.
    assert value_of(tallies, f"{name}/attribute", Mode.STRICT) == pytest.approx(100 * 5 / 8)
    assert value_of(tallies, f"{name}/attribute") == 100
    assert value_of(tallies, f"{name}/global") == 100
    gone = all_units(made.items(), lambda item, image, number: float((item, number) != ("second", 2)))
    tallies = made.tallies(made.items(), gone)
    assert value_of(tallies, f"{name}/attribute") == 100
    assert value_of(tallies, f"{name}/attribute", Mode.STRICT) == 50


def test_what_is_missing_drops_the_file_or_is_zero_and_is_counted(made):
    units = all_units(made.items())
    lost = [unit for unit in units if (unit.item, unit.image) != ("second", 2)]
    official, strict = made.aggregate(made.items(), lost)[:2]
    assert official.value == 100
    assert "2 of 3 dropped" in official.how
    assert strict.value == pytest.approx(100 * (1 + 3 / 4 + 1) / 3)
    assert (official.expected, official.scored, official.missing) == (24, 21, 3)


def test_an_answer_of_neither_kind_counts_as_no_and_is_told(made):
    units = [
        Unit(item=unit.item, image=unit.image, question=unit.question, status=Status.UNPARSED, answer="well")
        if unit.item == "third"
        else unit
        for unit in all_units(made.items())
    ]
    official, strict = made.aggregate(made.items(), units)[:2]
    assert official.value == 50
    assert strict.value == pytest.approx(200 / 3)
    assert official.unparsed == 4


def test_rows_that_do_not_stand_together_lose_their_first_block_officially():
    rows = [("a", 1, "0", "x (y)", "1?"), ("b", 1, "0", "x (y)", "2?"), ("a", 2, "0", "x (y)", "3?")]
    lines = [
        HEADER,
        *(f'{item},t,,{number},"{parents}",,,{kind},{ask}' for item, number, parents, kind, ask in rows),
    ]
    lines.insert(1, "z,t,,1,0,,,x (y),0?")
    held = read_questions("\r\n".join(lines), "x.csv")
    assert [(each.id, each.official) for each in held["a"].propositions] == [(1, False), (2, True)]
    assert [each.official for each in held["b"].propositions] == [True]
    assert [each.official for each in held["z"].propositions] == [False]


# --- who answers


def dark(name="dark") -> Picture:
    return Picture(name, lambda: Image.new("RGB", (4, 4)))


def test_a_judge_answers_each_question_alone_and_the_number_bears_its_name(made):
    asker = ScriptedAsker(lambda asked: "Yes." if "dog" in asked.text else "No", name="openai:judge")
    item = made.items()[1]
    units = asyncio.run(made.scorer(asker).score(item, [dark(), None, dark(), dark()]))
    assert len(asker.asked) == 9
    assert {(unit.image, unit.question) for unit in units} == set(questions(item))
    held = {(unit.image, unit.question): unit for unit in units}
    assert (held[0, "1"].value, held[0, "2"].value, held[0, "3"].value) == (1, 1, 0)
    assert held[0, "1"].answer == {"said": "yes", "by": "openai:judge"}
    assert held[1, "1"].status is Status.MISSING
    assert made.tallies(made.items(), units)[0].name == "dpg[openai:judge]/overall"


def test_a_judge_can_be_asked_all_of_an_image_at_once_under_another_name(data):
    made = benchmark(data, ask="together")
    asker = ScriptedAsker(lambda asked: "1: yes\n2. No\n3) **yes**")
    units = asyncio.run(made.scorer(asker).score(made.items()[1], [dark()] * 4))
    assert len(asker.asked) == 4
    assert "2. Has the dog a tail?" in asker.asked[0].text
    assert [unit.value for unit in units[:3]] == [1, 0, 1]
    assert made.tallies(made.items(), units)[0].name == "dpg[scripted, together]/overall"


def test_grids_in_a_folder_are_scored_by_a_hosted_judge(tmp_path, data):
    folder = tmp_path / "grids"
    folder.mkdir()
    for name in ("first", "second", "third"):
        Image.new("RGB", (16, 16), "white").save(folder / f"{name}.png")

    def reply(seen):
        return chat("No." if "tail" in " ".join(texts_of(seen)) else "Yes.")

    with Wire(reply) as wire:
        options = BenchScoreOptions(
            benchmark="dpg?layout=grid",
            data=str(data),
            images=folder,
            judge=f"vllm:tiny?base_url={wire.base_url}",
            out=tmp_path / "run",
            cache=tmp_path / "cache",
        )
        official, strict = score_benchmark(options).columns[0].scores[:2]
        asked = len(wire.requests)
        again = score_benchmark(options).columns[0].scores[:2]
        assert len(wire.requests) == asked
    assert again == (official, strict)
    assert official.name == "dpg[vllm:tiny]/overall"
    assert (official.scored, official.expected) == (24, 24)
    assert official.value == pytest.approx(100 * (1 / 3 + 1) / 2)
    assert strict.value == pytest.approx(100 * (1 + 1 / 3 + 1) / 3)


def test_outages_and_unreadable_images_are_no_answers(made):
    item = made.items()[2]

    def load():
        raise ImageUnreadable("torn.png: this is not an image")

    torn = Picture("torn.png", load)
    silent = asyncio.run(
        made.scorer(ScriptedAsker(lambda _: Status.FAILED)).score(item, [dark(), torn, None, None])
    )
    assert [unit.status for unit in silent] == [Status.FAILED, *[Status.MISSING] * 3]
    vague = asyncio.run(made.scorer(ScriptedAsker(lambda _: "Perhaps")).score(item, [dark()] * 4))
    assert {unit.status for unit in vague} == {Status.UNPARSED}


@pytest.mark.parametrize(
    ("text", "word"), [("yes", "yes"), (" **No**, it is not", "no"), ("YES.", "yes"), ('"yes"', "yes")]
)
def test_an_answer_begins_with_yes_or_no(text, word):
    assert read_word(text) == word


@pytest.mark.parametrize("text", ["", "maybe", "yesterday", "not at all", "I say yes"])
def test_anything_else_is_no_answer(text):
    with pytest.raises(ValueError):
        read_word(text)


@pytest.mark.parametrize("text", ["1: yes", "1: yes\n2: perhaps", "1: yes\n2: no\n1: no"])
def test_lines_that_lack_an_answer_or_contradict_each_other_are_none(text):
    with pytest.raises(ValueError):
        read_lines(text, 2)


def test_somebody_must_answer(made, data):
    with pytest.raises(InputError, match="nobody is named who answers"):
        made.scorer(None)
    with pytest.raises(InputError, match="vqa=mplug answers, so no judge is asked"):
        benchmark(data, vqa="mplug").scorer(ScriptedAsker(lambda _: "yes"))


def test_the_official_model_needs_its_package(monkeypatch, data):
    monkeypatch.setitem(sys.modules, "modelscope.pipelines", None)
    with pytest.raises(InputError, match="vqa=mplug needs the package modelscope"):
        benchmark(data, vqa="mplug").scorer(None)


def test_the_official_model_earns_the_official_name_and_only_a_plain_yes_counts(monkeypatch, data):
    asked = []

    def pipeline(task, model):
        assert (task, model) == ("vqa", "damo/mplug_visual-question-answering_coco_large_en")

        def answer(given):
            asked.append((given["image"].size, given["question"]))
            return {"text": "yes" if "dog?" in given["question"] else "yes it is"}

        return answer

    tasks = SimpleNamespace(visual_question_answering="vqa")
    modules = {"modelscope": {}, "modelscope.utils": {}}
    modules |= {"modelscope.pipelines": {"pipeline": pipeline}, "modelscope.utils.constant": {"Tasks": tasks}}
    for name, held in modules.items():
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**held))
    made = benchmark(data, vqa="mplug", layout="grid")
    item = made.items()[1]
    grid = Picture("grid.png", lambda: Image.new("RGB", (12, 8)))
    units = asyncio.run(made.scorer(None).score(item, [grid]))
    assert len(asked) == 12
    assert {size for size, _ in asked} == {(6, 4)}
    assert [unit.value for unit in units[:3]] == [1, 0, 0]
    assert made.metric == "dpg"
    assert made.tallies(made.items(), units)[0].name == "dpg/overall"


# --- the official script's own answers


def details(*lines) -> str:
    return "".join(
        f"out/{name}.png, ({left}, {top}, {left + 512}, {top + 512}), {question}, {answer}\n"
        for name, (left, top), question, answer in lines
    )


def test_the_official_scripts_details_are_scored_under_the_official_name(tmp_path, made):
    places = [(0, 0), (512, 0), (0, 512), (512, 512)]
    lines = [("third", place, "Is it a photo?", "no" if place == (0, 512) else "yes") for place in places]
    lines += [("first", place, "Is the car red, or nearly so?", "yes") for place in places[:1]]
    file = tmp_path / "results_detail.txt"
    file.write_text(details(*lines))
    units = made.read_answers(file)
    held = {(unit.item, unit.image, unit.question): unit.value for unit in units}
    assert held == {
        **{("third", image, "1"): float(image != 2) for image in range(4)},
        ("first", 0, "2"): 1.0,
    }
    official, strict = made.aggregate(made.items(), units)[:2]
    assert (official.name, official.value) == ("dpg/overall", 75)
    # That the car is red counts for nothing where nobody asked whether there is a car.
    assert strict.value == pytest.approx(100 * 0.75 / 3)


def test_a_question_that_is_the_beginning_of_another_is_not_taken_for_it(tmp_path):
    asks = ("Is it red", "Is it red, or blue")
    rows = [("x", number, "0", "entity (x)", ask) for number, ask in enumerate(asks, start=1)]
    made = benchmark(write_files(tmp_path, rows=rows))
    file = tmp_path / "detail.txt"
    file.write_text(details(*(("x", (0, 0), ask, "no") for ask in asks[::-1])))
    assert [(unit.question, unit.answer) for unit in made.read_answers(file)] == [("2", "no"), ("1", "no")]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("first.png, yes\n", "this is no line of image path, crop, question and answer"),
        (details(("fourth", (0, 0), "Is it?", "yes")), '"fourth" is no prompt of DPG-Bench'),
        (details(("third", (0, 0), "Is it a cat?", "yes")), "is no question about third"),
        (details(*[("third", (0, 0), "Is it a photo?", "yes")] * 2), "answered twice for image 0 of third"),
    ],
)
def test_a_line_of_details_that_cannot_be_used_is_named(tmp_path, made, lines, said):
    file = tmp_path / "detail.txt"
    file.write_text(lines)
    with pytest.raises(InputError) as caught:
        made.read_answers(file)
    assert said in str(caught.value)
    assert "detail.txt:" in str(caught.value)


def test_what_decides_the_numbers_is_known(made, data):
    assert json.dumps(made.identity)
    assert made.identity != benchmark(data, ask="together").identity
    assert benchmark(data, vqa="mplug").identity["vqa"] == "mplug"
    assert "data" not in made.name
