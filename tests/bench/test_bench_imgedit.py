"""ImgEdit-Bench: its files, its layout, the judge's answers and the arithmetic of its tables."""

from __future__ import annotations

import asyncio
import io
import json
import random
import tarfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scripted_asker import ScriptedAsker

from arrkit.backends.spec import Spec
from arrkit.bench.imgedit import make
from arrkit.bench.imgedit_marks import marked_lines, marks_of, read_score
from arrkit.bench.imgedit_words import KINDS
from arrkit.bench.model import Benchmark, Item, Mode, Score, Status, Unit
from arrkit.data.pairs import ImageUnreadable, Picture, Task
from arrkit.errors import InputError

REPLACE = ("Prompt Compliance", "Visual Naturalness", "Physical & Detail Integrity")


def benchmark(folder: Path | str = "", part: str = "basic", prompt_dir: str = "") -> Benchmark:
    return make(Spec.parse("imgedit"), data=str(folder), revision="", prompt_dir=prompt_dir, part=part)


def png(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(stream, "PNG")
    return stream.getvalue()


BASIC = {
    "1082": {"id": "animal/1.jpg", "prompt": "make it smooth", "edit_type": "adjust"},
    "22": {"id": "style/2.jpg", "prompt": "as a woodcut", "edit_type": "style"},
}
TURNS = (
    '{"id": "1.jpg", "turn1": "keep to green", "turn2": "add fruit", "turn3": "change the plate"}\n'
    '{"id": "2.jpg", "turn1": "a hat", "turn2": "another hat"}\n'
)
FILES = {
    "singleturn/singleturn.json": json.dumps(BASIC).encode(),
    "singleturn/animal/1.jpg": png("red"),
    "singleturn/style/2.jpg": png("blue"),
    "hard/7.jpg": png("lime"),
    "multiturn/content_memory/annotation.json": TURNS.encode(),
    "multiturn/content_memory/1.jpg": png("red"),
    "multiturn/content_memory/2.jpg": png("blue"),
    "multiturn/content_understand/annotation.json": b'{"5": {"id": "3.jpg", "turn1": "a", "turn2": "b"}}',
    "multiturn/content_understand/3.jpg": png("lime"),
    "multiturn/version_backtrace/annotation.json": b'{"id": "4.jpg", "turn1": "a", "turn2": "b"}',
}
UGE = {"UGE_edit.json": b'{"1": {"id": "7.jpg", "prompt": "the lemon on the rim only"}}'}


def unpacked(folder: Path, files: dict[str, bytes], prefix: str = "") -> Path:
    for name, data in files.items():
        path = folder / (prefix + name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def packed(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / "Benchmark.tar", "w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"Benchmark/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return folder


def colour(picture: Picture) -> tuple[int, ...]:
    return picture.load().getpixel((0, 0))


# --- files and layout


@pytest.mark.parametrize("form", ["archive", "unpacked", "in its folder", "the repository's file"])
def test_the_edits_are_read_wherever_they_lie(tmp_path, form):
    if form == "archive":
        packed(tmp_path, FILES)
    else:
        unpacked(tmp_path, FILES, "Benchmark/" if form == "in its folder" else "")
    if form == "the repository's file":
        (tmp_path / "singleturn/singleturn.json").rename(tmp_path / "basic_edit.json")
    items = benchmark(tmp_path).items()
    assert [item.id for item in items] == ["1082", "22"]
    assert items[0].files == ("1082.png",)
    assert (items[0].task, items[0].prompt, items[0].groups) == (
        Task.EDIT,
        "make it smooth",
        {"type": "adjust"},
    )
    assert [colour(item.sources[0]) for item in items] == [(255, 0, 0), (0, 0, 255)]


def test_the_fork_s_name_of_a_type_is_taken(tmp_path):
    rows = {"1": {"id": "a.jpg", "prompt": "p", "edit_type": "alter"}}
    unpacked(tmp_path, {"basic_edit.json": json.dumps(rows).encode()})
    assert benchmark(tmp_path).items()[0].groups == {"type": "adjust"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"1": {"id": "a.jpg", "prompt": "p", "edit_type": "paint"}}, "none of the nine types"),
        ({"1": {"id": "a.jpg", "edit_type": "add"}}, "prompt"),
        ({"1": "p"}, "not an object"),
        ({"../1": {"id": "a.jpg", "prompt": "p", "edit_type": "add"}}, "name of a file"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, rows, words):
    unpacked(tmp_path, {"basic_edit.json": json.dumps(rows).encode()})
    with pytest.raises(InputError, match=words) as error:
        benchmark(tmp_path).items()
    assert next(iter(rows)) in error.value.problems[0].where


def test_without_images_instructions_can_be_read_and_the_file_that_lacks_is_named(tmp_path):
    unpacked(tmp_path, {"basic_edit.json": json.dumps(BASIC).encode()})
    with pytest.raises(ImageUnreadable, match=r"singleturn/animal/1\.jpg"):
        benchmark(tmp_path).items()[0].sources[0].load()


def test_files_that_are_not_there_are_named_with_where_they_are_to_be_had(tmp_path):
    for part in ("basic", "uge", "multiturn"):
        with pytest.raises(InputError, match="ImgEdit"):
            benchmark(tmp_path, part).items()
    with pytest.raises(InputError, match="Benchmark/UGE"):
        benchmark(unpacked(tmp_path, FILES), "uge").items()
    with pytest.raises(InputError, match="no part"):
        benchmark(tmp_path, "hard")


def test_edits_that_take_understanding_are_named_by_their_keys(tmp_path):
    (item,) = benchmark(packed(unpacked(tmp_path, UGE), FILES), "uge").items()
    assert (item.id, item.files, item.prompt) == ("1", ("1.png",), "the lemon on the rim only")
    assert colour(item.sources[0]) == (0, 255, 0)


@pytest.mark.parametrize("form", [packed, unpacked])
def test_each_turn_edits_what_the_turn_before_made(tmp_path, form):
    items = benchmark(form(tmp_path, FILES), "multiturn").items()
    assert [(item.id, item.before) for item in items] == [
        ("content_memory/1/turn1", ""),
        ("content_memory/1/turn2", "content_memory/1/turn1"),
        ("content_memory/1/turn3", "content_memory/1/turn2"),
        ("content_memory/2/turn1", ""),
        ("content_memory/2/turn2", "content_memory/2/turn1"),
        ("content_understand/5/turn1", ""),
        ("content_understand/5/turn2", "content_understand/5/turn1"),
        ("version_backtrace/1/turn1", ""),
        ("version_backtrace/1/turn2", "version_backtrace/1/turn1"),
    ]
    assert [len(item.sources) for item in items] == [1, 0, 0, 1, 0, 1, 0, 1, 0]
    assert items[2].prompt == "change the plate"
    assert items[4].files == ("content_memory/2/turn2.png",)
    assert colour(items[3].sources[0]) == (0, 0, 255)


def test_turns_are_laid_out_for_people_and_have_no_number(tmp_path):
    bench = benchmark(unpacked(tmp_path / "data", FILES), "multiturn")
    images = tmp_path / "images"
    bench.lay_out(images)
    assert not images.exists()
    unpacked(images, {"content_memory/1/turn1.png": png("red")})
    bench.lay_out(images)
    assert sorted(path.name for path in (images / "content_memory/1").iterdir()) == [
        "source.png",
        "turn1.png",
        "turns.json",
    ]
    assert json.loads((images / "content_memory/1/turns.json").read_text()) == {
        "turn1": "keep to green",
        "turn2": "add fruit",
        "turn3": "change the plate",
    }
    assert not (images / "content_memory/2").exists()
    assert bench.aggregate(bench.items(), []) == ()
    with pytest.raises(InputError, match="people judge"):
        bench.scorer(ScriptedAsker(lambda _: ""))
    with pytest.raises(InputError, match="no scorer"):
        bench.read_answers(tmp_path / "result.json")


# --- answers


def said(*marks: object, names: tuple[str, ...] = REPLACE) -> str:
    lines = [f"{name}: {mark}" for name, mark in zip(names, marks, strict=True)]
    return "\n".join(["Brief reasoning: it will do.", *lines])


@pytest.mark.parametrize(
    ("line", "mark"),
    [
        ("Prompt Compliance: 4", 4),
        ("  Prompt Compliance: 4  ", 4),
        ("Prompt Compliance: 4/5", None),
        ("Prompt Compliance: 4.", None),
        ("Prompt Compliance: **4**", None),
        ("Prompt Compliance:4", None),
        ("Prompt Compliance: 4: good", None),
        ("Prompt Compliance:  4", None),
        ("Prompt Compliance: 0", 0),
        ("Prompt Compliance: 6", 6),
        ("Prompt Compliance: four", None),
        ("Prompt Compliance: ²", None),
        ("4", None),
        ("", None),
    ],
)
def test_a_line_gives_a_mark_by_the_official_rule(line, mark):
    assert [found for _, found in marked_lines(line)] == ([] if mark is None else [mark])


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        (said(4, 3, 5), [4, 3, 5]),
        (said(4, "4/5", 3), [4, None, 3]),
        (said(4, 3, 5).upper(), [4, 3, 5]),
        ("\n".join(reversed(said(4, 3, 5).splitlines())), [4, 3, 5]),
        (said(4, 3, 5) + "\nPrompt Compliance: 2", [None, 3, 5]),
        (said(4, 3, 5) + "\nPrompt Compliance: 4", [4, 3, 5]),
        ("First: 4\nSecond: 3\nThird: 5", [4, 3, 5]),
        ("First: 4\nSecond: 3", [None, None, None]),
        ("First: 4\nSecond: 3\nThird: 5\nFourth: 1", [None, None, None]),
        ("", [None, None, None]),
    ],
)
def test_marks_go_by_their_names(text, marks):
    assert marks_of(text, REPLACE) == marks


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("Brief reasoning: fine.\nScore: 4", 4),
        ("Brief reasoning: heavy changes led to distortion. Score: 2.", 2),
        ("Brief reasoning: unnatural. Score: 3 (Acceptable)", 3),
        ("**Score:** 5", 5),
        ("score: 4/5", 4),
        ("Score: 4. Final score: 4", 4),
        ("Score: 4\nScore: 5", None),
        ("Score: 4.5", None),
        ("Score: 4/10", None),
        ("Score: 45", None),
        ("Score: 0", None),
        ("Underscore: 4", None),
        ("Score 4", None),
        ("", None),
    ],
)
def test_the_one_mark_is_read_where_the_official_rule_cannot(text, mark):
    if mark is None:
        with pytest.raises(ValueError, match=r"[Ss]core"):
            read_score(text)
    else:
        assert read_score(text) == mark


@given(st.text(alphabet="Score: 12345./*\n", max_size=40))
def test_any_answer_is_read_or_refused(text):
    assert len(marks_of(text, REPLACE)) == 3
    with suppress(ValueError):
        assert 1 <= read_score(text) <= 5


# --- asking a judge

EDITED = Picture("edited.png", lambda: Image.new("RGB", (6, 6), "green"))


def score(bench: Benchmark, asker: ScriptedAsker, item: Item, edited: Picture | None) -> list[Unit]:
    return asyncio.run(bench.scorer(asker).score(item, [edited]))


def test_a_judge_gives_three_marks_in_the_words_of_the_type(tmp_path):
    bench = benchmark(unpacked(tmp_path, FILES))
    adjust, style = bench.items()
    names = KINDS["style"].names
    asker = ScriptedAsker(lambda _: said(4, 3, 5, names=names))
    units = score(bench, asker, style, EDITED)
    assert [(unit.question, unit.value) for unit in units] == list(zip(names, (4.0, 3.0, 5.0), strict=True))
    (asked,) = asker.asked
    assert "as a woodcut" in asked.text
    assert all(f"{name}: N" in asked.system for name in names)
    # The source, then the edit as it is.
    assert [image.size for image in asked.images] == [(4, 4), (6, 6)]
    # Names of another type are not those that were asked for, but there are three of them, in order.
    assert [unit.value for unit in score(bench, asker, adjust, EDITED)] == [4.0, 3.0, 5.0]


def test_a_lost_mark_is_asked_for_again_and_then_those_that_were_found_count(tmp_path):
    bench = benchmark(unpacked(tmp_path, FILES))
    style = bench.items()[1]
    names = KINDS["style"].names
    asker = ScriptedAsker(lambda _: said(4, "4/5", 3, names=names))
    units = score(bench, asker, style, EDITED)
    assert len(asker.asked) == 3
    assert [unit.value for unit in units] == [4.0, None, 3.0]
    assert units[1].status is Status.UNPARSED
    for mode, value in ((Mode.OFFICIAL, 3.5), (Mode.STRICT, 7 / 3)):
        assert table(bench.aggregate([style], units))[mode, "style"].value == pytest.approx(value)


def test_what_was_not_said_is_no_mark(tmp_path):
    bench = benchmark(unpacked(tmp_path, FILES | UGE))
    item = bench.items()[0]
    uge = benchmark(tmp_path, "uge")
    cases = [(None, Status.MISSING, "x"), (EDITED, Status.FAILED, Status.FAILED)]
    cases += [(EDITED, Status.UNPARSED, "I cannot say."), (gone(), Status.MISSING, "x")]
    for edited, status, reply in cases:
        asker = ScriptedAsker(lambda _, reply=reply: reply)
        units = [*score(bench, asker, item, edited), *score(uge, asker, uge.items()[0], edited)]
        assert [(unit.status, unit.value) for unit in units] == [(status, None)] * 4
        assert [unit.question for unit in units] == [*KINDS["adjust"].names, ""]
    for part in (bench, uge):
        with pytest.raises(InputError, match="--judge"):
            part.scorer(None)


def gone() -> Picture:
    def load() -> Image.Image:
        raise ImageUnreadable("edited.png: the file is empty")

    return Picture("edited.png", load)


def test_understanding_is_marked_once_on_a_line_of_its_own(tmp_path):
    bench = benchmark(unpacked(tmp_path, FILES | UGE), "uge")
    assert bench.metric == "imgedit-uge[arrkit-parse]"
    asker = ScriptedAsker(lambda _: "Brief reasoning: fine.\nScore: 4")
    (unit,) = score(bench, asker, bench.items()[0], EDITED)
    assert unit.value == 4.0
    assert asker.asked[0].system.endswith("Score: N")
    scores = table(bench.aggregate(bench.items(), [unit]), "imgedit-uge[arrkit-parse]")
    assert {key: score.value for key, score in scores.items()} == dict.fromkeys(((m, "") for m in Mode), 4.0)


def test_the_official_words_come_from_a_copy_and_earn_the_official_name(tmp_path):
    data = unpacked(tmp_path / "data", FILES)
    texts = {kind: f"OFFICIAL {kind} <edit_prompt>" for kind in KINDS}
    texts["alter"] = texts.pop("adjust")
    copy = unpacked(tmp_path / "copy", {"Benchmark/Basic/prompts.json": json.dumps(texts).encode()})
    bench = benchmark(data, prompt_dir=str(copy))
    assert bench.metric == "imgedit"
    asker = ScriptedAsker(lambda _: said(4, 3, 5))
    score(bench, asker, bench.items()[0], EDITED)
    asked = asker.asked[0]
    assert (asked.text, asked.system) == ("OFFICIAL adjust make it smooth", "")
    assert asked.options["temperature"] is None
    own = benchmark(data)
    assert own.metric == "imgedit[arrkit-prompt]"
    assert own.identity["judge_prompt"] != bench.identity["judge_prompt"]
    with pytest.raises(InputError, match="basic part"):
        benchmark(data, "uge", prompt_dir=str(copy))
    del texts["compose"]
    unpacked(tmp_path / "copy", {"Benchmark/Basic/prompts.json": json.dumps(texts).encode()})
    with pytest.raises(InputError, match="compose"):
        benchmark(data, prompt_dir=str(copy))
    with pytest.raises(InputError, match=r"prompts\.json"):
        benchmark(data, prompt_dir=str(data / "hard"))


def test_each_type_has_words_of_its_own():
    told = [make(Spec.parse("imgedit"))._told.roles[kind] for kind in KINDS]
    assert len(set(told)) == len(KINDS) == 9


# --- arithmetic


def edit(key: str, kind: str = "replace") -> Item:
    return Item(id=key, task=Task.EDIT, prompt="p", files=(f"{key}.png",), groups={"type": kind})


def three(item: Item, *marks: float | None) -> list[Unit]:
    return [
        Unit(item=item.id, question=name, value=mark, status=Status.SCORED if mark else Status.UNPARSED)
        for name, mark in zip(KINDS[item.groups["type"]].names, marks, strict=True)
    ]


def table(scores: tuple[Score, ...], metric: str = "imgedit[arrkit-prompt]") -> dict[tuple[Mode, str], Score]:
    return {(score.mode, score.name.removeprefix(metric).removeprefix("/")): score for score in scores}


def aggregate(items: list[Item], units: list[Unit]) -> dict[tuple[Mode, str], Score]:
    return table(benchmark().aggregate(items, units))


def test_items_and_types_are_rounded_officially_and_not_strictly():
    items = [edit("1"), edit("2"), edit("3"), edit("4", "add")]
    units = [*three(items[0], 4, 5, 5), *three(items[1], 4, 5, 5), *three(items[2], 4, 4, 4)]
    units += three(items[3], 3, 3, 3)
    found = aggregate(items, units)
    assert found[Mode.OFFICIAL, "replace"].value == round((4.67 + 4.67 + 4.0) / 3, 2) == 4.45
    assert found[Mode.OFFICIAL, "overall_types"].value == pytest.approx((4.45 + 3) / 2)
    assert found[Mode.OFFICIAL, "overall_items"].value == round((4.67 + 4.67 + 4.0 + 3.0) / 4, 2)
    assert found[Mode.STRICT, "replace"].value == pytest.approx(40 / 9)
    assert found[Mode.STRICT, "overall_types"].value == pytest.approx((40 / 9 + 3) / 2)
    assert found[Mode.OFFICIAL, "replace"].top == 5


def test_the_two_overall_numbers_are_told_apart():
    items = [edit("1", "add"), *(edit(str(number), "style") for number in range(2, 5))]
    units = [unit for item in items for unit in three(item, *([5] * 3 if item.id == "1" else [2] * 3))]
    found = aggregate(items, units)
    for mode in Mode:
        assert found[mode, "overall_types"].value == 3.5
        assert found[mode, "overall_items"].value == 2.75
        assert "2 of 9, without adjust" in found[mode, "overall_types"].how
        assert found[mode, "overall_types"].headline
        assert not found[mode, "add"].headline


def test_a_published_line_has_the_overall_numbers_that_its_types_give():
    # BAGEL's line; its own overall, 3.28, is neither, since dropped edits shifted the weights.
    published = {
        "background": (3.28, 94),
        "adjust": (3.23, 94),
        "style": (4.26, 100),
        "extract": (1.48, 117),
        "remove": (2.99, 86),
        "add": (3.45, 95),
        "replace": (3.76, 92),
        "compose": (3.18, 23),
        "action": (4.38, 36),
    }
    items = [edit(f"{kind}{place}", kind) for kind, (_, count) in published.items() for place in range(count)]
    units = [unit for item in items for unit in three(item, *[published[item.groups["type"]][0]] * 3)]
    found = aggregate(items, units)
    assert len(items) == 737
    assert round(found[Mode.OFFICIAL, "overall_types"].value, 2) == 3.33
    assert found[Mode.OFFICIAL, "overall_items"].value == 3.22
    for kind, (mean, count) in published.items():
        assert found[Mode.OFFICIAL, kind].value == mean
        assert found[Mode.OFFICIAL, kind].expected == 3 * count
    assert found[Mode.OFFICIAL, "overall_types"].how == "mean of the types"


def test_what_lacks_is_dropped_officially_and_counts_nothing_strictly():
    items = [edit("1"), edit("2"), edit("3"), edit("4", "add")]
    units = [
        *three(items[0], 4, None, 3),
        *three(items[1], None, None, None),
        *three(items[3], None, None, None),
    ]
    found = aggregate(items, units)
    official, strict = (found[mode, "replace"] for mode in Mode)
    assert official.value == 3.5
    assert strict.value == pytest.approx((7 / 3 + 0 + 0) / 3)
    for number in (official, strict):
        counts = (number.expected, number.scored, number.missing, number.unparsed)
        assert counts == (9, 2, 3, 4)
    assert found[Mode.OFFICIAL, "add"].value is None
    assert found[Mode.STRICT, "add"].value == 0.0
    assert "without" in found[Mode.OFFICIAL, "overall_types"].how
    assert "1 of 9" in found[Mode.OFFICIAL, "overall_types"].how
    assert "2 of 9" in found[Mode.STRICT, "overall_types"].how


def test_a_mark_beyond_the_scale_counts_officially_alone():
    item = edit("1")
    names = KINDS["replace"].names
    said = f"{names[0]}: 12\n{names[1]}: 4\n{names[2]}: 2"
    assert marks_of(said, names) == [None, 4, 2]
    first, *others = three(item, *marks_of(said, names))
    found = aggregate([item], [replace(first, answer=said), *others])
    assert found[Mode.OFFICIAL, "replace"].value == 6.0
    assert found[Mode.OFFICIAL, "replace"].high == 6.0
    assert found[Mode.STRICT, "replace"].value == pytest.approx(2.0)


MARKS = st.lists(st.one_of(st.none(), st.integers(1, 5)), min_size=3, max_size=3)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(list(KINDS)), MARKS), min_size=1, max_size=12), st.randoms())
def test_order_plays_no_part_and_missing_units_are_as_ones_that_say_so(rows, rng: random.Random):
    items = [edit(str(number), kind) for number, (kind, _) in enumerate(rows)]
    units = [unit for item, (_, marks) in zip(items, rows, strict=True) for unit in three(item, *marks)]
    bench = benchmark()
    found = {(each.mode, each.name): each.value for each in bench.tallies(items, units)}
    shuffled = [unit for unit in units if unit.value is not None]
    rng.shuffle(shuffled)
    assert {(each.mode, each.name): each.value for each in bench.tallies(items, shuffled)} == found
    for (mode, name), value in found.items():
        assert value is None or 0 <= value <= 5
        if mode is Mode.STRICT and (official := found[Mode.OFFICIAL, name]) is not None:
            # Rounded twice, an official mean may lie a hundredth below.
            assert value is not None
            if not name.endswith("overall_types"):
                assert value <= official + 0.0101


def test_an_answer_that_stands_twice_is_refused():
    items = [edit("1")]
    units = three(items[0], 1, 2, 3)
    with pytest.raises(InputError, match="two answers"):
        aggregate(items, [*units, units[0]])


# --- result files of the official scripts


def test_official_result_files_are_read(tmp_path):
    bench = benchmark(unpacked(tmp_path / "data", FILES))
    names = KINDS["style"].names
    extra = "Aside: 1\n" + said(4, "4/5", 3, names=names)
    file = tmp_path / "result.json"
    file.write_text(json.dumps({"22": extra, "1082": {"error": "Image conversion failed"}}))
    units = bench.read_answers(file)
    assert [unit.value for unit in units] == [4.0, None, 3.0, None, None, None]
    assert [unit.status for unit in units[3:]] == [Status.FAILED] * 3
    found = table(bench.aggregate(bench.items(), units))
    # All three lines that give a mark count officially, whatever they mark.
    assert found[Mode.OFFICIAL, "style"].value == round((1 + 4 + 3) / 3, 2)
    assert found[Mode.STRICT, "style"].value == pytest.approx(7 / 3)
    assert found[Mode.OFFICIAL, "adjust"].value is None
    for text, words in (
        ('{"77": "x"}', "no edit of the set"),
        ('{"22": 3}', "neither an answer nor an error"),
        ("[]", "JSON object"),
        ("{", "JSON"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=words):
            bench.read_answers(file)
    with pytest.raises(InputError, match="cannot read"):
        bench.read_answers(tmp_path / "none.json")


def test_official_result_files_of_uge_are_read_by_our_rule(tmp_path):
    bench = benchmark(unpacked(tmp_path / "data", FILES | UGE), "uge")
    file = tmp_path / "result.json"
    for text, value, status in (
        ("Brief reasoning: too much. Score: 2.", 2.0, Status.SCORED),
        ("Brief reasoning: no score.", None, Status.UNPARSED),
        ({"error": "no"}, None, Status.FAILED),
    ):
        file.write_text(json.dumps({"1": text}))
        (unit,) = bench.read_answers(file)
        assert (unit.value, unit.status) == (value, status)
