"""UniGenBench++: its files and their one broken row, what the judge is asked, and the arithmetic."""

from __future__ import annotations

import asyncio
import csv
import json
import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_files import unigen_script, write_file, write_unigen, write_unigen_texts
from PIL import Image
from scripted_asker import ScriptedAsker
from wire_openai import Wire, chat, system_of, texts_of

from arrkit.backends.spec import Spec
from arrkit.bench.cells import Tally
from arrkit.bench.model import Item, Mode, Status, Unit
from arrkit.bench.unigenbench import UniGenBenchmark, make, test_points
from arrkit.bench.unigenbench_words import (
    BY_NAME,
    DIMENSIONS,
    PRIMARIES,
    SYSTEM_EN,
    SYSTEM_ZH,
    mark,
    read_checks,
)
from arrkit.commands.judges import choose_judge
from arrkit.commands.options import JudgingOptions
from arrkit.data.pairs import ImageUnreadable, Picture
from arrkit.errors import InputError

test_points.__test__ = False  # a function of the benchmark, by the benchmark's own word

OWN = "unigenbench[arrkit-prompt]"
BROKEN = (
    '{"Testpoints": ["Style", "Grammar - Negation" "Attribute - Color"], '
    '"Testpoint Description": ["ink", "no car", "blue"]}'
)
GOOD = '{"Testpoints": ["Style"], "Testpoint Description": ["ink"]}'
ROWS = [
    ("a painted cat", ["Style", "Attribute - Color", "Attribute - Size"]),
    ("two dogs {here}", ["Attribute - Quantity", "Action - Animal"]),
]


def picture() -> Picture:
    return Picture("red.png", lambda: Image.new("RGB", (8, 8), "red"))


def made(folder="", **options) -> UniGenBenchmark:
    return make(Spec("unigenbench"), data=str(folder), **options)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unigen")
    write_unigen(folder, "en", ROWS)
    write_unigen(folder, "zh_long", [("一只猫", ["风格", "属性-颜色"])])
    return folder


@pytest.fixture(scope="module")
def benchmark(copy) -> UniGenBenchmark:
    return made(copy, images=2)


def value_of(tallies: tuple[Tally, ...], name: str, mode: Mode) -> float | None:
    (found,) = [each for each in tallies if (each.name, each.mode) == (name, mode)]
    return found.value


def units_of(items, value) -> list[Unit]:
    """All units; ``value(item, image, number)`` is None where there shall be none."""
    places = [(item, image, question) for item in items for image, question in test_points(item)]
    return [
        Unit(item=item.id, image=image, question=question, value=value(item, image, int(question)))
        for item, image, question in places
        if value(item, image, int(question)) is not None
    ]


# --- the public files


@pytest.mark.conformance
def test_the_public_files_have_their_prompts_and_test_points(conformance):
    wanted = {
        "en": (250, 158, 109, 87, 234, 263, 197, 194, 187, 134),
        "en_long": (301, 173, 102, 92, 1311, 622, 464, 343, 197, 315),
    }
    benchmark = made(conformance / "unigenbench", sets="en,en_long")
    assert PRIMARIES[:5] == ("Style", "World Knowledge", "Logical Reasoning", "Text Generation", "Attribute")
    for name, counts in wanted.items():
        items = [item for item in benchmark.items() if item.groups["set"] == name]
        assert [item.id for item in items] == [f"{name}/{index}" for index in range(600)]
        found = Counter(BY_NAME[point].primary for item in items for point in item.facts["points"])
        assert found == dict(zip(PRIMARIES, counts, strict=True))
        assert all(len(item.facts["points"]) == len(item.facts["descriptions"]) for item in items)
    assert {BY_NAME[point].en for item in benchmark.items() for point in item.facts["points"]} == {
        each.en for each in DIMENSIONS
    }
    assert [sum(counts) for counts in wanted.values()] == [1813, 3920]
    assert benchmark.remarks == (
        "test_prompts_en_long.csv: a comma was put between two test points of index 509",
    )
    assert made(conformance / "unigenbench").remarks == ()


@pytest.mark.conformance
def test_the_public_denominators_are_four_images_each(conformance):
    benchmark = made(conformance / "unigenbench")
    tallies = benchmark.tallies(benchmark.items(), units_of(benchmark.items(), lambda *_: 1.0))
    counts = {each.name: each.counts.expected for each in tallies}
    assert counts[f"{OWN}/en/micro"] == 7252
    assert counts[f"{OWN}/en/Text Generation"] == 348


# --- files and layout


def test_items_and_their_places(copy):
    items = made(copy, sets="en,zh_long").items()
    assert [item.id for item in items] == ["en/0", "en/1", "zh_long/0"]
    assert items[1].files == tuple(f"en/arrkit/1_{image}.png" for image in range(4))
    assert items[2].files[3] == "zh_long/arrkit/0_3.png"
    assert items[2].groups == {"set": "zh_long", "language": "zh"}
    assert items[0].prompt == "a painted cat"
    assert items[0].facts["descriptions"][2] == "what Attribute - Size is here"
    assert len(list(test_points(items[0]))) == 12


@pytest.mark.parametrize(("sets", "message"), [("en,fr", 'no set "fr"'), (" , ", "no set")])
def test_a_set_that_is_none_is_refused(sets, message):
    with pytest.raises(InputError, match=message):
        made(sets=sets)


def test_without_files_licence_and_place_are_told():
    with pytest.raises(InputError, match=r"CC BY 4\.0[\s\S]*github.com/CodeGoat24/UniGenBench"):
        made().items()


def test_the_one_broken_row_is_mended_and_said(tmp_path):
    write_unigen_texts(tmp_path, "en_long", [("a", GOOD), ("b", BROKEN)], start=508)
    benchmark = made(tmp_path, sets="en_long")
    assert benchmark.items()[1].facts["points"] == ["Style", "Grammar - Negation", "Attribute - Color"]
    assert benchmark.remarks == (
        "test_prompts_en_long.csv: a comma was put between two test points of index 509",
    )
    assert benchmark.identity["mended"] == list(benchmark.remarks)


@pytest.mark.parametrize(
    ("name", "start", "text"),
    [
        ("en_long", 508, BROKEN),
        ("en", 509, BROKEN),
        ("en_long", 509, BROKEN.replace("Color", "Size")),
        ("en_long", 509, BROKEN.replace('["ink", "no', '["ink" "no')),
        ("en", 0, ""),
        ("en", 0, "[]"),
    ],
)
def test_any_other_broken_row_is_named_and_refused(tmp_path, name, start, text):
    write_unigen_texts(tmp_path, name, [("a", text)], start=start)
    with pytest.raises(InputError, match=rf"test_prompts_{name}\.csv: index {start}: this is not"):
        made(tmp_path, sets=name).items()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"Testpoints": ["Mood"], "Testpoint Description": ["a"]}', '"Mood" is none of the 27 dimensions'),
        ('{"Testpoints": ["Style"], "Testpoint Description": []}', "1 test points with 0 descriptions"),
        ('{"Testpoints": [], "Testpoint Description": []}', "0 test points"),
        ('{"Testpoints": ["Style"]}', '"Testpoint Description" is not a list of texts'),
    ],
)
def test_rows_that_cannot_be_used_are_named(tmp_path, text, message):
    write_unigen_texts(tmp_path, "en", [("a", GOOD), ("b", text)])
    with pytest.raises(InputError, match=f"index 1: {message}"):
        made(tmp_path).items()


def test_an_index_that_stands_twice_or_is_none_is_refused(tmp_path):
    for index in ("0", "x", ""):
        folder = write_unigen_texts(tmp_path, "en", [("a", GOOD)])
        with (folder / "data/test_prompts_en.csv").open("a", newline="") as stream:
            csv.writer(stream).writerow([index, "b", GOOD])
        with pytest.raises(InputError, match="an index of its own"):
            made(folder).items()


# --- asking


def score(benchmark: UniGenBenchmark, asker: ScriptedAsker, item: str, *images: Picture | None) -> list[Unit]:
    (chosen,) = [each for each in benchmark.items() if each.id == item]
    return asyncio.run(benchmark.scorer(asker).score(chosen, images))


def checks(*scores: object) -> str:
    return f"<analysis>{json.dumps(['seen'] * len(scores))}</analysis>\n<score>{list(scores)}</score>"


def test_every_image_is_asked_about_once_and_every_point_is_a_unit(benchmark):
    asker = ScriptedAsker(lambda _: checks(1, 0, 1))
    units = score(benchmark, asker, "en/0", picture(), picture())
    assert [(each.image, each.question, each.value) for each in units] == [
        (image, str(number), value) for image in (0, 1) for number, value in enumerate((1.0, 0.0, 1.0))
    ]
    assert units[1].answer == {"score": 0, "analysis": "seen"}
    assert len(asker.asked) == 2
    asked = asker.asked[0]
    assert asked.system == SYSTEM_EN
    assert "<prompt>\na painted cat\n</prompt>" in asked.text
    assert "2. Attribute - Color (the colour of something): what Attribute - Color is here" in asked.text
    assert (asked.options["temperature"], asked.options["attempts"]) == (0.0, 3)


def test_a_prompt_cannot_close_its_marks(tmp_path):
    write_unigen(tmp_path, "en", [("a </prompt> cat", ["Style"])])
    asker = ScriptedAsker(lambda _: checks(1))
    score(made(tmp_path, images=1), asker, "en/0", picture())
    assert asker.asked[0].text.count("</prompt>") == 1


def test_chinese_sets_are_asked_in_chinese(copy):
    asker = ScriptedAsker(lambda _: checks(1, 1))
    units = score(made(copy, sets="zh_long", images=1), asker, "zh_long/0", picture())
    assert [each.value for each in units] == [1.0, 1.0]
    assert asker.asked[0].system == SYSTEM_ZH
    assert "2. 属性-颜色（物体的颜色）：what 属性-颜色 is here" in asker.asked[0].text


def test_missing_and_unusable_images_and_answers_have_their_statuses(benchmark):
    def gone() -> Image.Image:
        raise ImageUnreadable("gone")

    asker = ScriptedAsker(lambda _: checks(1, 0))
    units = score(benchmark, asker, "en/0", None, picture())
    assert [each.status for each in units] == [Status.MISSING] * 3 + [Status.UNPARSED] * 3
    assert len(asker.asked) == 3
    assert units[3].answer == checks(1, 0)
    outage = ScriptedAsker(lambda _: Status.FAILED)
    units = score(benchmark, outage, "en/0", Picture("x", gone), picture())
    assert [each.status for each in units] == [Status.MISSING] * 3 + [Status.FAILED] * 3


def test_a_judge_must_be_named(benchmark):
    with pytest.raises(InputError, match="scored by a judge"):
        benchmark.scorer(None)


@pytest.mark.parametrize(
    ("analysis", "scores", "found"),
    [
        ("['a', 'b']", "[1, 0]", [1, 0]),
        ('["a", "it\'s"]', "[1,0]", [1, 0]),
        ('["a", "b"]', "[true, false]", [True, False]),
        ("['a', 'b']", "[True, False]", [True, False]),
        ("['a', 'b']", "['1', \"0\"]", ["1", "0"]),
        ("['a', 'b']", "[1.0, 0]", [1.0, 0]),
        ("\n['a \\d',\n 'b']\n", "\n[1, 0]\n", [1, 0]),
        ('["a", null]', "[1, 0]", [1, 0]),
    ],
)
def test_answers_are_read_between_their_tags(analysis, scores, found):
    answer = f"So:\n<analysis>{analysis}</analysis> and <score>{scores}</score><score>[0, 0]</score>"
    read = read_checks(answer, 2)
    assert [each["score"] for each in read] == found
    assert [mark(each["score"]) for each in read] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("", "no <analysis>"),
        ("<analysis>['a', 'b']</analysis>", "no <score>"),
        ("<analysis>['a', 'b']</analysis><score>[1, 0]", "no <score>"),
        ("<analysis>['a']</analysis><score>[1, 0]</score>", "has 1 entries and <score> 2"),
        ("<analysis>['a', 'b']</analysis><score>[1]</score>", "has 2 entries and <score> 1"),
        ("<analysis>['a', 'b']</analysis><score>[1, 2]</score>", "a score of 2 is neither"),
        ("<analysis>['a', 'b']</analysis><score>[1, None]</score>", "neither 0 nor 1"),
        ("<analysis>['a', 'b']</analysis><score>[1, 'yes']</score>", "neither 0 nor 1"),
        ("<analysis>['a', 'b']</analysis><score>[1, [1]]</score>", "neither 0 nor 1"),
        ("<analysis>a, b</analysis><score>[1, 0]</score>", "in <analysis> is no list"),
        ("<analysis>('a', 'b')</analysis><score>[1, 0]</score>", "in <analysis> is no list"),
        (f"<analysis>{'[' * 9999}</analysis><score>[1, 0]</score>", "in <analysis> is no list"),
    ],
)
def test_an_answer_that_cannot_be_used_says_why(answer, message):
    with pytest.raises(ValueError, match=message):
        read_checks(answer, 2)


@given(st.text(max_size=60), st.text(max_size=20))
def test_no_answer_breaks_the_reader(analysis, scores):
    for answer in (analysis, f"<analysis>{analysis}</analysis><score>{scores}</score>"):
        try:
            read = read_checks(answer, 2)
        except ValueError:
            continue
        assert len(read) == 2


# --- the official words


def official_copy(folder) -> str:
    names = {"en": [each.en for each in DIMENSIONS], "zh": [each.zh for each in DIMENSIONS]}
    write_file(folder / "eval/src/eval_common.py", unigen_script(names))
    return str(folder)


def test_the_official_words_are_read_put_together_and_earn_the_name(copy, tmp_path):
    benchmark = made(copy, sets="en,zh_long", images=1, prompt_dir=official_copy(tmp_path))
    assert benchmark.metric == "unigenbench"
    asker = ScriptedAsker(lambda _: checks(1, 1))
    score(benchmark, asker, "en/1", picture())
    score(benchmark, asker, "zh_long/0", picture())
    asked = asker.asked[0]
    assert asked.text == (
        "Prompt two dogs {here}; points ['Attribute - Quantity', 'Action - Animal']; "
        "Kinds:「\nAttribute - Quantity: meaning of Attribute - Quantity\n"
        "Action - Animal: meaning of Action - Animal\n」; "
        "Here:「\nAttribute - Quantity: what Attribute - Quantity is here\n"
        "Action - Animal: what Action - Animal is here\n」."
    )
    assert asked.system == ""
    assert asked.options == {"text_first": True, "attempts": 11, "temperature": None, "room": 4096}
    assert "points ['风格', '属性-颜色']" in asker.asked[1].text
    assert benchmark.identity["instructions"] != made(copy).identity["instructions"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("LANG_CONFIGS", "OTHER"), "no LANG_CONFIGS"),
        (("{explanation}; ", ""), "its template has the fields"),
        (("'Grammar - Negation': ", "'Grammar': "), "does not define Grammar - Negation"),
        (("checkpoint_header", "header"), "checkpoint_header"),
        (('"zh"', '"fr"'), "zh"),
    ],
)
def test_a_script_of_another_form_is_refused(tmp_path, change, message):
    path = tmp_path / "eval/src/eval_common.py"
    official_copy(tmp_path)
    path.write_text(path.read_text("utf-8").replace(*change), "utf-8")
    with pytest.raises(InputError, match=message):
        made(prompt_dir=str(tmp_path))


# --- arithmetic


def test_macro_micro_and_dimensions_of_a_worked_example(benchmark):
    # Style 2 of 2, Attribute 1 + 0 + 2 of 6 (Color 1 of 2, Size 0 of 2, Quantity 2 of 2), Action 0 of 2.
    right = {("en/0", 0): (1, 1, 0), ("en/0", 1): (1, 0, 0), ("en/1", 0): (1, 0), ("en/1", 1): (1, 0)}
    units = units_of(benchmark.items(), lambda item, image, at: float(right[item.id, image][at]))
    tallies = benchmark.tallies(benchmark.items(), units)
    for mode in Mode:
        assert value_of(tallies, f"{OWN}/en/macro", mode) == pytest.approx((1 + 0.5 + 0) / 3)
        assert value_of(tallies, f"{OWN}/en/micro", mode) == pytest.approx(5 / 10)
        assert value_of(tallies, f"{OWN}/en/Attribute - Size", mode) == 0.0
    assert [each.name for each in tallies if each.headline] == [f"{OWN}/en/macro"] * 2
    assert tallies[0].mode is Mode.OFFICIAL


def test_dimensions_have_four_decimals_in_the_official_mode_only(benchmark):
    # Of the six test points of Attribute one is right.
    units = units_of(benchmark.items(), lambda item, image, at: float((item.id, image, at) == ("en/0", 0, 1)))
    tallies = benchmark.tallies(benchmark.items(), units)
    assert value_of(tallies, f"{OWN}/en/Attribute", Mode.OFFICIAL) == 0.1667
    assert value_of(tallies, f"{OWN}/en/Attribute", Mode.STRICT) == 1 / 6


def test_the_official_mode_has_the_defects_of_the_script(benchmark):
    # The first image has a True among its scores and is lost; the second a quoted 1, which counts as wrong.
    said = {("en/0", 0): (True, 1, 1), ("en/0", 1): ("1", 1, 1), ("en/1", 0): (1, 1), ("en/1", 1): (1, 1)}
    units = [
        Unit(item=item, image=image, question=str(at), value=1.0, answer={"score": each, "analysis": ""})
        for (item, image), scores in said.items()
        for at, each in enumerate(scores)
    ]
    tallies = benchmark.tallies(benchmark.items(), units)
    assert value_of(tallies, f"{OWN}/en/micro", Mode.OFFICIAL) == pytest.approx(6 / 7)
    assert value_of(tallies, f"{OWN}/en/Style", Mode.OFFICIAL) == 0.0
    assert value_of(tallies, f"{OWN}/en/micro", Mode.STRICT) == 1.0


def reference(items, units) -> tuple[dict[str, float], float]:
    """What ``calculate_scores`` prints, and the micro mean, written down as the facts have them."""
    right, total = defaultdict(float), defaultdict(int)
    names = {item.id: item.facts["points"] for item in items}
    for each in units:
        primary = names[each.item][int(each.question)].split("-", 1)[0].strip()
        right[primary] += each.value
        total[primary] += 1
    return {name: round(right[name] / total[name], 4) for name in total}, sum(right.values()) / sum(
        total.values()
    )


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.2, 0.9, 1.0]))
def test_the_table_whatever_is_missing_and_in_whatever_order(benchmark, seed, share):
    draw = random.Random(seed)
    items = benchmark.items()
    values = {
        (item.id, image, int(at)): float(draw.random() < 0.6) if draw.random() < share else None
        for item in items
        for image, at in test_points(item)
    }
    units = units_of(items, lambda item, image, at: values[item.id, image, at])
    tallies = benchmark.tallies(items, units)
    draw.shuffle(units)
    again = benchmark.tallies(items, units)
    assert [(each.name, each.mode, each.value) for each in again] == [
        (each.name, each.mode, each.value) for each in tallies
    ]
    if units:
        dimensions, micro = reference(items, units)
        for name, value in dimensions.items():
            assert value_of(tallies, f"{OWN}/en/{name}", Mode.OFFICIAL) == pytest.approx(value, abs=1e-12)
        assert value_of(tallies, f"{OWN}/en/micro", Mode.OFFICIAL) == pytest.approx(micro)
    asked = units_of(items, lambda item, image, at: values[item.id, image, at] or 0.0)
    dimensions, micro = reference(items, asked)
    assert value_of(tallies, f"{OWN}/en/micro", Mode.STRICT) == pytest.approx(micro)
    macro = value_of(tallies, f"{OWN}/en/macro", Mode.STRICT)
    assert macro == pytest.approx(sum(dimensions.values()) / len(dimensions), abs=1e-4)
    assert tallies[0].counts.expected == 10
    assert tallies[0].counts.scored == len(units)


def test_answers_that_stand_twice_are_refused(benchmark):
    units = units_of(benchmark.items(), lambda *_: 1.0)
    with pytest.raises(InputError, match="two answers"):
        benchmark.tallies(benchmark.items(), [*units, units[-1]])


def test_each_set_has_numbers_of_its_own_and_dimensions_are_called_alike(copy):
    benchmark = made(copy, sets="en,zh_long", images=1)
    units = units_of(benchmark.items(), lambda item, *_: float(item.groups["language"] == "zh"))
    scores = {(each.name, each.mode): each.value for each in benchmark.aggregate(benchmark.items(), units)}
    assert scores[f"{OWN}/en/macro", Mode.STRICT] == 0.0
    assert scores[f"{OWN}/zh_long/macro", Mode.STRICT] == 1.0
    assert scores[f"{OWN}/zh_long/Attribute - Color", Mode.OFFICIAL] == 1.0


# --- saved answers


def saved(item: Item, image: int, result: object) -> dict[str, object]:
    return {
        "index": item.id.split("/")[1],
        "prompt": item.prompt,
        "testpoint": str(item.facts["points"]),
        "output": "what was said",
        "result_json": json.dumps(result, ensure_ascii=False, indent=4),
        "img_path": f"eval_data/en/model_2.1/{item.id.split('/')[1]}_{image}.png",
    }


def save(path, rows: list[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_official_files_give_units_and_null_rows_are_unparsed(benchmark, tmp_path):
    first, second = benchmark.items()
    rows = [
        saved(first, 0, {"score": [1, 0, 7], "analysis": ["a", "b", "c"]}),
        saved(first, 1, None),
        saved(second, 1, {"score": [True, "1"], "analysis": []}),
    ]
    save(tmp_path / "model_en.csv", rows)
    units = benchmark.read_answers(tmp_path / "model_en.csv")
    assert [(each.item, each.image, each.question, each.value) for each in units] == [
        ("en/0", 0, "0", 1.0),
        ("en/0", 0, "1", 0.0),
        ("en/0", 0, "2", 0.0),
        *(("en/0", 1, str(number), None) for number in range(3)),
        ("en/1", 1, "0", 1.0),
        ("en/1", 1, "1", 1.0),
    ]
    assert {each.status for each in units[3:6]} == {Status.UNPARSED}
    (tmp_path / "model_en.csv.progress.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert benchmark.read_answers(tmp_path / "model_en.csv.progress.jsonl") == units
    counts = benchmark.tallies(benchmark.items(), units)[0].counts
    assert (counts.expected, counts.scored, counts.missing, counts.unparsed) == (10, 5, 2, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"img_path": "x/0_7.png"}, "is no image of a prompt of en"),
        ({"index": "9"}, "is no image of a prompt of en"),
        ({"testpoint": "['Style']"}, "are not those of the prompt"),
        ({"testpoint": "open('x')"}, "cannot be read"),
        ({"result_json": '{"score": [1]}'}, "not as many scores"),
        ({"result_json": "{"}, "cannot be read"),
    ],
)
def test_saved_answers_to_something_else_are_named(benchmark, tmp_path, change, message):
    row = saved(benchmark.items()[0], 0, {"score": [1, 1, 1], "analysis": ["", "", ""]})
    save(tmp_path / "a.csv", [row, row | change])
    with pytest.raises(InputError, match=rf"a\.csv: row 2: .*{message}"):
        benchmark.read_answers(tmp_path / "a.csv")


def test_a_file_of_one_of_several_sets_is_known_by_its_name(copy, tmp_path):
    benchmark = made(copy, sets="en,zh_long", images=1)
    (item,) = [each for each in benchmark.items() if each.groups["set"] == "zh_long"]
    row = saved(item, 0, {"score": [1, 1], "analysis": ["", ""]})
    save(tmp_path / "model_zh_long.csv", [row])
    assert [each.item for each in benchmark.read_answers(tmp_path / "model_zh_long.csv")] == ["zh_long/0"] * 2
    save(tmp_path / "model.csv", [row])
    with pytest.raises(InputError, match="does not say which set"):
        benchmark.read_answers(tmp_path / "model.csv")


# --- over the wire


def test_a_hosted_judge_answers_and_the_table_follows(benchmark, tmp_path):
    def reply(seen):
        count = texts_of(seen)[0].count(" is here")
        return chat(f"<checks>\n{checks(*[1] * count)}\n</checks>")

    async def run() -> list[Unit]:
        options = JudgingOptions(cache=tmp_path)
        with choose_judge(f"vllm:tiny?base_url={wire.base_url}", options).answering() as bench:
            scorer = benchmark.scorer(bench.asker)
            units = [unit for item in benchmark.items() for unit in await scorer.score(item, [picture()] * 2)]
            await bench.asker.aclose()
        return units

    with Wire(reply) as wire:
        units = asyncio.run(run())
    assert [each.value for each in units] == [1.0] * 10
    assert len(wire.requests) == 2, "equal images are asked about once"
    assert system_of(wire.requests[0]) == SYSTEM_EN
    assert value_of(benchmark.tallies(benchmark.items(), units), f"{OWN}/en/macro", Mode.STRICT) == 1.0
