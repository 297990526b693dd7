"""GEdit-Bench: its data, its layout, the judge's answers and the arithmetic of its tables."""

from __future__ import annotations

import asyncio
import io
import math
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scripted_asker import ScriptedAsker

from arrkit.backends.spec import Spec
from arrkit.bench.gedit import GEditBenchmark, make
from arrkit.bench.gedit_marks import GROUPS, LANGUAGES, read_marks, read_table
from arrkit.bench.model import Item, Mode, Status, Unit
from arrkit.data.pairs import ImageUnreadable, Picture, Task
from arrkit.errors import InputError

pa = pytest.importorskip("pyarrow")


def benchmark(folder: Path | str = "", *, languages: str = "en,cn", prompt_dir: str = "") -> GEditBenchmark:
    return make(
        Spec.parse("gedit"), data=str(folder), revision="", prompt_dir=str(prompt_dir), languages=languages
    )


def png(colour: str, size: tuple[int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


def row(key: str, group: str = "ps_human", language: str = "en", /, **changes: object) -> dict[str, object]:
    return {
        "task_type": group,
        "key": key,
        "instruction": f"do {key} in {language}",
        "instruction_language": language,
        "input_image": {"bytes": png("red", (12, 8)), "path": None},
        "input_image_raw": {"bytes": png("blue", (24, 16)), "path": None},
        "Intersection_exist": True,
    } | changes


def write(folder: Path, rows: list[dict[str, object]]) -> Path:
    from pyarrow import parquet

    (folder / "data").mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows), folder / "data" / "train-00000-of-00001.parquet")
    return folder


# --- data and layout


def test_samples_are_read_as_they_stand_on_the_hub(tmp_path):
    write(
        tmp_path, [row("k1"), row("k1", "ps_human", "cn"), row("k2", "subject-add", Intersection_exist=False)]
    )
    items = benchmark(tmp_path).items()
    assert [item.id for item in items] == ["ps_human/en/k1", "ps_human/cn/k1", "subject-add/en/k2"]
    assert items[0].files == ("fullset/ps_human/en/k1.png",)
    assert items[0].prompt == "do k1 in en"
    assert items[0].task is Task.EDIT
    assert items[0].groups == {"language": "en", "group": "ps_human", "intersection": "yes"}
    assert items[2].groups["intersection"] == "no"
    # The photo as it was goes to the model, the smaller one to the judge.
    assert items[0].sources[0].load().size == (24, 16)
    assert [item.id for item in benchmark(tmp_path, languages="cn").items()] == ["ps_human/cn/k1"]


def test_without_the_original_photo_the_source_is_edited(tmp_path):
    rows = [row("k1")]
    del rows[0]["input_image_raw"]
    assert benchmark(write(tmp_path, rows)).items()[0].sources[0].load().size == (12, 8)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task_type": "subject_add"}, "none of the eleven groups"),
        ({"instruction_language": "zh"}, "neither en nor cn"),
        ({"instruction": " "}, "instruction is empty"),
        ({"key": "../../k"}, "name of a file"),
        ({"input_image": None}, "input_image is empty"),
        ({"key": "k0"}, "stands twice"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, changes, words):
    write(tmp_path, [row("k0"), row("k1", **changes)])
    with pytest.raises(InputError, match=words) as error:
        benchmark(tmp_path).items()
    assert error.value.problems[0].where.endswith("train-00000-of-00001.parquet:2")


def test_a_set_that_is_not_there_is_refused_with_how_to_get_it(tmp_path):
    for place in (benchmark(tmp_path), benchmark(tmp_path / "none"), benchmark()):
        with pytest.raises(InputError, match="stepfun-ai/GEdit-Bench"):
            place.items()


def test_unknown_languages_are_refused():
    for languages in ("zh", "en,de", ""):
        with pytest.raises(InputError, match="en and cn"):
            benchmark(languages=languages)
    assert list(benchmark(languages="cn, en")._languages) == ["en", "cn"]


def test_the_layout_is_the_official_one(tmp_path):
    bench = benchmark(
        write(tmp_path / "data", [row("k1"), row("k2", "subject-add"), row("k1", "ps_human", "cn")])
    )
    images = tmp_path / "method"
    bench.lay_out(images)
    for item in bench.items()[::2]:
        path = images / item.files[0]
        path.parent.mkdir(parents=True)
        Image.new("RGB", (6, 4)).save(path)
    bench.lay_out(images)
    bench.lay_out(images)
    assert sorted(path.relative_to(images).as_posix() for path in images.rglob("*") if path.is_file()) == [
        "fullset/ps_human/cn/k1.png",
        "fullset/ps_human/cn/k1_SRCIMG.png",
        "fullset/ps_human/en/k1.png",
        "fullset/ps_human/en/k1_SRCIMG.png",
    ]
    with Image.open(images / "fullset/ps_human/en/k1_SRCIMG.png") as source:
        assert (source.format, source.size, source.getpixel((0, 0))) == ("PNG", (12, 8), (255, 0, 0))


# --- answers


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ('{"score": [8, 6], "reasoning": "fine"}', [8, 6]),
        ('Here it is:\n```json\n{"score" : [8,\n6]}\n```', [8, 6]),
        ('{"score": 7}', [7]),
        ('{"score": [7.5, 10]}', [7.5, 10]),
        ('||V^=^V||\n{"score": [1, 2]}\n||V^=^V|| {"score": [9, 9]}', [1, 2]),
        ('||V^=^V|| once {"score": [3, 4]}', [3, 4]),
        ('{"score": [3, 4]} ||V^=^V||', [3, 4]),
        ("||V^=^V||[6, 7]||V^=^V||", None),
        ("[6, 7]", [6, 7]),
        ("The marks: [6,7].", [6, 7]),
        (" 9\n", [9]),
        ('{"score": [5, 4], "reasoning": "a sign that says "stop" is gone"}', [5, 4]),
        ("{score: [5, 4], reasoning: it is fine}", [5, 4]),
        ("{'score': [5, 4], 'reasoning': 'fine'}", [5, 4]),
        ("{score: 5, reasoning: fine}", [5]),
        ('{"score": [5, 4], "reasoning": "cut', [5, 4]),  # a list that stands alone
        ("", None),
        ("I cannot say.", None),
        ("11", None),
        ("[6, 7, 8]", None),
        ("[6.5, 7]", None),
        ("{}", None),
        ('{"score": []}', None),
        ('{"score": [11, 3]}', None),
        ('{"score": [-1, 3]}', None),
        ('{"score": ["8", "7"]}', None),
        ('{"score": [true, 3]}', None),
        ('{"score": [NaN, 3]}', None),
        ('{"score": null}', None),
        ('{"marks": [8, 6]}', None),
        ('{"score": [8, 6]} or rather {"score": [2, 6]}', None),
        ("} [6, 7] {", None),
    ],
)
def test_marks_are_read_in_the_official_order(text, marks):
    if marks is None:
        with pytest.raises(ValueError, match=r"answer|score"):
            read_marks(text)
    else:
        assert read_marks(text) == marks


@given(st.text(alphabet='{}[]":,.score 0123456789|V^=\n\\NaN-', max_size=60))
def test_any_answer_is_read_or_refused(text):
    try:
        marks = read_marks(text)
    except ValueError:
        return
    assert marks
    assert all(0 <= mark <= 10 for mark in marks)


def score(bench: GEditBenchmark, asker: ScriptedAsker, item: Item, edited: Picture | None) -> list[Unit]:
    return asyncio.run(bench.scorer(asker).score(item, [edited]))


EDITED = Picture("edited.png", lambda: Image.new("RGB", (6, 6), "green"))


def test_a_judge_is_asked_twice_and_the_lower_mark_counts(tmp_path):
    bench = benchmark(write(tmp_path, [row("k1")]))
    asker = ScriptedAsker(
        lambda asked: '{"score": [8, 6]}' if len(asked.images) == 2 else '{"score": [7, 9]}'
    )
    semantics, quality = score(bench, asker, bench.items()[0], EDITED)
    assert (semantics.question, semantics.value, quality.question, quality.value) == ("SC", 6.0, "PQ", 7.0)
    assert semantics.answer == {"marks": [8, 6], "said": '{"score": [8, 6]}'}
    about, looks = asker.asked
    assert "do k1 in en" in about.text
    assert "do k1" not in looks.text + looks.system
    # The source as the official layout has it, then the edit at its size.
    assert [image.size for image in about.images] == [(12, 8), (12, 8)]
    assert about.images[0].getpixel((0, 0)) == (255, 0, 0)
    assert [image.size for image in looks.images] == [(12, 8)]
    assert about.options["temperature"] == 0.0


def test_an_answer_without_marks_is_unparsed_and_never_a_mark(tmp_path):
    bench = benchmark(write(tmp_path, [row("k1")]))
    asker = ScriptedAsker(lambda asked: '{"score": [8, 6]}' if len(asked.images) == 2 else "It is lovely.")
    for _ in range(5):
        semantics, quality = score(bench, asker, bench.items()[0], EDITED)
        assert (semantics.status, semantics.value) == (Status.SCORED, 6.0)
        assert (quality.status, quality.value, quality.answer) == (Status.UNPARSED, None, "It is lovely.")


def test_an_outage_fails_and_a_lost_image_is_missing(tmp_path):
    bench = benchmark(write(tmp_path, [row("k1")]))
    item = bench.items()[0]
    failing = score(bench, ScriptedAsker(lambda _: Status.FAILED), item, EDITED)
    assert [unit.status for unit in failing] == [Status.FAILED] * 2

    def load() -> Image.Image:
        raise ImageUnreadable("edited.png: the file is empty")

    asker = ScriptedAsker(lambda _: "")
    for lost in (None, Picture("edited.png", load)):
        units = score(bench, asker, item, lost)
        assert [(unit.question, unit.status) for unit in units] == [
            ("SC", Status.MISSING),
            ("PQ", Status.MISSING),
        ]
    assert asker.asked == []


def test_a_judge_is_needed():
    with pytest.raises(InputError, match="--judge"):
        benchmark().scorer(None)


# --- the words to the judge


def test_the_official_words_come_from_a_copy_and_earn_the_official_name(tmp_path):
    copy = tmp_path / "Step1X-Edit/GEdit-Bench/viescore"
    copy.mkdir(parents=True)
    (copy / "vie_prompts.py").write_text(
        '_context_no_delimit = """CONTEXT"""\n_prompts_0shot_two_image_edit_rule = """TWO"""\n'
        '_prompts_0shot_tie_rule_SC = """RULE <instruction>"""\n_prompts_0shot_rule_PQ = """LOOKS"""\n'
    )
    data = write(tmp_path / "data", [row("k1")])
    asker = ScriptedAsker(lambda _: "[6, 7]")
    for place in (tmp_path / "Step1X-Edit", copy):
        bench = benchmark(data, prompt_dir=str(place))
        assert bench.metric == "gedit"
        score(bench, asker, bench.items()[0], EDITED)
        assert [asked.text for asked in asker.asked[-2:]] == [
            "CONTEXT\nTWO\nRULE do k1 in en",
            "CONTEXT\nLOOKS",
        ]
        assert {asked.system for asked in asker.asked} == {""}
        assert {asked.options["temperature"] for asked in asker.asked} == {None}
    own = benchmark(data)
    assert own.metric == "gedit[arrkit-prompt]"
    assert own.identity["judge_prompt"] != bench.identity["judge_prompt"]
    assert own.identity["prompts"] == bench.identity["prompts"]
    (copy / "vie_prompts.py").write_text('_context_no_delimit = "CONTEXT"\n')
    with pytest.raises(InputError, match="_prompts_0shot_two_image_edit_rule"):
        _ = benchmark(data, prompt_dir=str(copy)).metric
    with pytest.raises(InputError, match=r"vie_prompts\.py"):
        _ = benchmark(data, prompt_dir=str(tmp_path / "data")).metric


# --- arithmetic


def item(group: str, key: str, language: str = "en", common: bool = True) -> Item:
    return Item(
        id=f"{group}/{language}/{key}",
        task=Task.EDIT,
        prompt="do it",
        files=(f"fullset/{group}/{language}/{key}.png",),
        groups={"language": language, "group": group, "intersection": "yes" if common else "no"},
    )


def two(item: Item, semantics: float | Status, quality: float | Status) -> list[Unit]:
    def unit(question: str, given: float | Status) -> Unit:
        if isinstance(given, Status):
            return Unit(item=item.id, question=question, status=given)
        return Unit(item=item.id, question=question, value=float(given))

    return [unit("SC", semantics), unit("PQ", quality)]


def numbers(
    items: list[Item], units: list[Unit], languages: str = "en"
) -> dict[tuple[str, str], float | None]:
    tallies = benchmark(languages=languages).tallies(items, units)
    return {(each.mode, each.name.removeprefix("gedit[arrkit-prompt]/")): each.value for each in tallies}


def full(languages: tuple[str, ...] = ("en",)) -> list[Item]:
    return [item(group, key, language) for language in languages for group in GROUPS for key in "ab"]


def test_the_worked_example():
    items = full()
    units = [unit for each in items for unit in two(each, *((6, 7) if each.id.endswith("a") else (0, 8)))]
    found = numbers(items, units)
    for mode in Mode:
        assert found[mode, "en/SC/ps_human"] == 3.0
        assert found[mode, "en/PQ/ps_human"] == 7.5
        assert found[mode, "en/O/ps_human"] == pytest.approx(3.2404, abs=5e-5)
        assert found[mode, "en/G_O"] == pytest.approx(3.2404, abs=5e-5)
        assert found[mode, "en/G_O"] != pytest.approx(math.sqrt(3.0 * 7.5))


def test_groups_weigh_the_same_whatever_their_size():
    items = [*full(), *(item("text_change", f"more{number}") for number in range(40))]
    units = [
        unit for each in items for unit in two(each, *((10, 10) if "text_change" in each.id else (0, 10)))
    ]
    found = numbers(items, units)
    assert found[Mode.OFFICIAL, "en/G_SC"] == pytest.approx(10 / 11)
    assert found[Mode.OFFICIAL, "en/G_PQ"] == 10.0


def test_what_lacks_is_left_out_officially_and_counts_nothing_strictly():
    items = full()
    units = []
    for each in items:
        first = each.id.endswith("a")
        if each.groups["group"] == "ps_human" and first:
            units += two(each, 10, Status.UNPARSED)
        elif each.groups["group"] == "style_change" and first:
            continue  # no answer at all, as where the image was never painted
        else:
            units += two(each, 4, 9)
    scores = benchmark(languages="en").aggregate(items, units)
    found = {(score.mode, score.name.split("/", 1)[1]): score for score in scores}
    official, strict = (found[mode, "en/SC/ps_human"] for mode in (Mode.OFFICIAL, Mode.STRICT))
    assert (official.value, official.expected, official.scored, official.unparsed) == (4.0, 2, 1, 1)
    assert (strict.value, strict.expected, strict.scored, strict.unparsed) == (7.0, 2, 2, 0)
    assert found[Mode.STRICT, "en/PQ/ps_human"].value == 4.5
    assert found[Mode.STRICT, "en/O/ps_human"].value == 3.0
    assert found[Mode.OFFICIAL, "en/O/ps_human"].value == 6.0
    overall = found[Mode.STRICT, "en/G_O"]
    assert (overall.expected, overall.scored, overall.missing, overall.unparsed) == (22, 20, 1, 1)
    assert overall.value == pytest.approx((9 * 6 + 3 + 3) / 11)
    assert found[Mode.OFFICIAL, "en/G_O"].value == 6.0
    assert overall.headline
    assert overall.low < overall.value < overall.high <= 10


def test_an_empty_group_leaves_no_official_mean_and_is_named():
    items = [each for each in full() if each.groups["group"] not in ("ps_human", "tone_transfer")]
    units = [unit for each in items for unit in two(each, 4, 9)]
    scores = benchmark(languages="en").aggregate(items, units)
    found = {(score.mode, score.name.split("/", 1)[1]): score for score in scores}
    assert found[Mode.OFFICIAL, "en/G_O"].value is None
    assert found[Mode.STRICT, "en/G_O"].value == 6.0
    for mode in Mode:
        assert "9 of 11 groups" in found[mode, "en/G_O"].how
        assert "without ps_human, tone_transfer" in found[mode, "en/G_O"].how
    # The same where the group's edits are there and none has its marks.
    units = [unit for each in full() for unit in two(each, 4, Status.FAILED if "ps_human" in each.id else 9)]
    found_values = numbers(full(), units)
    assert found_values[Mode.OFFICIAL, "en/G_SC"] is None
    assert found_values[Mode.STRICT, "en/G_PQ"] == pytest.approx(9 * 10 / 11)


def test_the_subset_that_all_systems_answered_has_its_own_means():
    items = [item(group, key, common=key == "a") for group in GROUPS for key in "ab"]
    units = [unit for each in items for unit in two(each, *((9, 4) if each.id.endswith("a") else (1, 1)))]
    found = numbers(items, units)
    assert found[Mode.OFFICIAL, "en/intersection/G_O"] == 6.0
    assert found[Mode.OFFICIAL, "en/intersection/G_SC"] == 9.0
    assert found[Mode.OFFICIAL, "en/G_SC"] == 5.0


def test_languages_have_numbers_of_their_own_and_headlines_come_first():
    items = full(LANGUAGES)
    units = [unit for each in items for unit in two(each, *((9, 4) if "/en/" in each.id else (4, 4)))]
    tallies = benchmark().tallies(items, units)
    assert [each.name.split("/", 1)[1] for each in tallies[:12:2]] == [
        f"{language}/G_{metric}" for language in LANGUAGES for metric in ("O", "SC", "PQ")
    ]
    assert [each.headline for each in tallies] == [True] * 12 + [False] * (len(tallies) - 12)
    found = numbers(items, units, "en,cn")
    assert (found[Mode.OFFICIAL, "en/G_O"], found[Mode.OFFICIAL, "cn/G_O"]) == (6.0, 4.0)


MARK = st.one_of(st.integers(0, 10), st.sampled_from([Status.MISSING, Status.UNPARSED, Status.FAILED]))


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(GROUPS[:3]), MARK, MARK), min_size=1, max_size=12), st.randoms())
def test_order_plays_no_part_and_missing_units_are_as_ones_that_say_so(rows, rng: random.Random):
    items = [item(group, str(number)) for number, (group, _, _) in enumerate(rows)]
    units = [
        unit
        for each, (_, semantics, quality) in zip(items, rows, strict=True)
        for unit in two(each, semantics, quality)
    ]
    found = numbers(items, units)
    shuffled = [unit for unit in units if unit.status is not Status.MISSING]
    rng.shuffle(shuffled)
    assert numbers(items, shuffled) == found
    for (mode, name), value in found.items():
        assert value is None or 0 <= value <= 10
        if mode is Mode.STRICT:
            assert value is not None
            official = found[Mode.OFFICIAL, name]
            if name.startswith("en/O/") and official is not None:
                assert value <= official + 1e-9


def test_an_answer_that_stands_twice_is_refused():
    items = full()
    units = two(items[0], 4, 9)
    with pytest.raises(InputError, match="two answers"):
        numbers(items, [*units, units[0]])


# --- tables of the official script


HEADER = (
    "source_image,edited_image,instruction,sementics_score,quality_score,intersection_exist,"
    "instruction_language"
)


def line(key: str, semantics: str, quality: str, language: str = "en", group: str = "ps_human") -> str:
    path = f"results/m/fullset/{group}/{language}/{key}"
    return f'{path}_SRCIMG.png,{path}.png,"do, this",{semantics},{quality},True,{language}'


def test_tables_of_the_official_script_are_read(tmp_path):
    table = tmp_path / "m_ps_human_gpt_score.csv"
    lines = [HEADER, line("a", "8", "6.0"), line("b", "", "7"), line("a", "3", "3", "cn")]
    table.write_text("\n".join(lines) + "\n")
    (tmp_path / "m_combined_gpt_score.csv").write_text(table.read_text())
    for place in (table, tmp_path):
        units = benchmark(languages="en").read_answers(place)
        assert [(unit.item, unit.question, unit.value) for unit in units] == [
            ("ps_human/en/a", "SC", 8.0),
            ("ps_human/en/a", "PQ", 6.0),
            ("ps_human/en/b", "SC", None),
            ("ps_human/en/b", "PQ", 7.0),
        ]
        assert units[2].status is Status.UNPARSED
    assert len(benchmark().read_answers(table)) == 6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "no column edited_image and no instruction_language"),
        (f"{HEADER}\n{line('a', '1', '2', group='people')}\n", "not the path of an edited image"),
        (f"{HEADER}\n{line('a', '1', '2')}\n{line('b', '1', '2').replace('/ps_human', '')}\n", ":3"),
    ],
)
def test_a_table_of_another_kind_is_refused(tmp_path, text, words):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_table(tmp_path / "x.csv", LANGUAGES)


def test_a_place_without_tables_is_refused(tmp_path):
    with pytest.raises(InputError, match="no tables"):
        read_table(tmp_path, LANGUAGES)
    with pytest.raises(InputError, match="cannot read"):
        read_table(tmp_path / "none.csv", LANGUAGES)


def test_the_bracket_in_a_metric_s_name_is_shown(capsys):
    from arrkit.cli import draw

    draw.console().print(draw.table(["metric[a]"], [["gedit[arrkit-prompt]/en/G_O"]], title="of [b]"))
    shown = capsys.readouterr().out
    assert "gedit[arrkit-prompt]/en/G_O" in shown
    assert "metric[a]" in shown
    assert "of [b]" in shown
