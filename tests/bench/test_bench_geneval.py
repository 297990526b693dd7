"""GenEval: its prompts and folders, its rules, its result files and its numbers."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrkit.backends.registry import make_benchmark
from arrkit.bench.geneval.items import OBJECTS, OFFICIAL, TASKS, demand_of, prompts_digest
from arrkit.bench.geneval.rules import Box, judge, kept, relations, threshold_of
from arrkit.bench.model import Mode, Status, Unit
from arrkit.commands.bench_options import BenchScoreOptions
from arrkit.commands.bench_score import score_benchmark
from arrkit.errors import InputError

BENCH = {"tag": "position", "prompt": "a photo of a cat left of a bench"}
POSITION = {
    **BENCH,
    "include": [{"class": "bench", "count": 1}, {"class": "cat", "count": 1, "position": ["left of", 0]}],
}
COUNTING = {
    "tag": "counting",
    "prompt": "a photo of two cats",
    "include": [{"class": "cat", "count": 2}],
    "exclude": [{"class": "cat", "count": 3}],
}
COLOURED = {
    "tag": "color_attr",
    "prompt": "a photo of a red car and a blue cup",
    "include": [{"class": "car", "count": 1, "color": "red"}, {"class": "cup", "count": 1, "color": "blue"}],
}
SINGLE = {"tag": "single_object", "prompt": "a photo of a dog", "include": [{"class": "dog", "count": 1}]}
PROMPTS = (POSITION, COUNTING, COLOURED, SINGLE)


def box(x, y=0.0, side=10.0, score=0.95) -> Box:
    return Box(x, y, x + side, y + side, score)


def write_prompts(folder: Path, *prompts) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "evaluation_metadata.jsonl"
    file.write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts or PROMPTS))
    return folder


def benchmark(folder: Path | str, **options):
    query = "&".join(f"{key}={value}" for key, value in {"data": folder, **options}.items())
    return make_benchmark(f"geneval?{query}")


def result(prompt, image=0, correct=True, folder=0, **more) -> dict:
    """A line as the official evaluator writes it."""
    return {
        "filename": f"out/{folder:05}/samples/{image:05}.png",
        "tag": prompt["tag"],
        "prompt": prompt["prompt"],
        "correct": correct,
        "reason": "",
        "metadata": json.dumps(prompt),
        **more,
    }


def write_results(file: Path, *lines) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def value_of(tallies, name, mode=Mode.OFFICIAL):
    (found,) = [each for each in tallies if (each.name, each.mode) == (name, mode)]
    return found.value


# --- rules


def test_the_worked_example_lies_to_the_right_and_nowhere_else():
    assert relations(Box(300, 20, 400, 120, 1), Box(0, 0, 100, 100, 1)) == {"right of"}
    assert relations(Box(0, 0, 100, 100, 1), Box(300, 20, 400, 120, 1)) == {"left of"}


@pytest.mark.parametrize(
    ("place", "held"),
    [
        ((0, 0), set()),  # on top of each other
        ((1.9, 0), set()),  # a tenth of both sizes is 2
        ((3, 0), set()),  # 1 of 3 is left: a third
        ((4.1, 0), {"right of"}),  # just more than half
        ((30, 30), {"right of", "below"}),
        ((-30, 30), {"left of", "below"}),
        ((30, -30), {"right of", "above"}),
        ((5, 100), {"below"}),
    ],
)
def test_a_relation_needs_more_than_half_of_the_offset_beyond_the_margin(place, held):
    assert relations(box(*place), box(0)) == held


@given(
    st.lists(st.integers(-200, 200), min_size=4, max_size=4),
    st.integers(1, 60),
    st.integers(1, 60),
)
def test_relations_turn_round_with_the_boxes(corners, one, other):
    a, b = box(corners[0], corners[1], one), box(corners[2], corners[3], other)
    opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    assert {opposite[name] for name in relations(a, b)} == relations(b, a)
    assert not {"left of", "right of"} <= relations(a, b)


def test_boxes_count_above_the_limit_the_most_confident_sixteen_first():
    assert threshold_of("counting") == 0.9
    assert {threshold_of(tag) for tag in TASKS if tag != "counting"} == {0.3}
    assert kept([0.3, 0.5, 0.31, 0.9], 0.3) == [3, 1, 2]
    scores = [0.5 + place / 100 for place in range(20)]
    assert kept(scores, 0.3) == list(range(19, 3, -1))


def test_counting_wants_exactly_as_many_and_other_tasks_at_least():
    three = {"cat": [box(0), box(20), box(40)]}
    demand = demand_of(COUNTING)
    assert [judge(demand, {"cat": three["cat"][:n]}, None).correct for n in range(4)] == [
        False,
        False,
        True,
        False,
    ]
    assert judge(demand_of(SINGLE), {"dog": three["cat"]}, None).correct is True


def test_only_the_most_confident_boxes_are_placed_and_all_of_them_must_be():
    found = {"bench": [box(100), box(0)], "cat": [box(0), box(200)]}
    assert judge(demand_of(POSITION), found, None).correct is True
    assert judge(demand_of(POSITION), {**found, "cat": found["cat"][::-1]}, None).correct is False
    two = {**POSITION, "include": [POSITION["include"][0], {**POSITION["include"][1], "count": 2}]}
    assert judge(demand_of(two), found, None).correct is False


def test_nothing_lies_left_of_what_is_not_there():
    verdict = judge(demand_of(POSITION), {"cat": [box(0)]}, None)
    assert verdict.correct is False
    assert verdict.reasons == ("1 bench expected, 0 found", "nothing for cat to be left of")


def test_colours_are_asked_of_the_boxes_taken_and_must_all_be_right():
    found = {"car": [box(0), box(50)], "cup": [box(90)]}
    asked = []

    def colours(wanted, count):
        asked.append((wanted.name, count))
        return [{"car": "red", "cup": answer}[wanted.name]] * count

    answer = "blue"
    assert judge(demand_of(COLOURED), found, colours).correct is True
    assert asked == [("car", 1), ("cup", 1)]
    answer = "green"
    verdict = judge(demand_of(COLOURED), found, colours)
    assert (verdict.correct, verdict.reasons) == (False, ("1 blue cup expected, found green",))


def test_without_colours_a_verdict_is_open_unless_something_else_is_wrong():
    assert judge(demand_of(COLOURED), {"car": [box(0)], "cup": [box(9)]}, None).correct is None
    assert judge(demand_of(COLOURED), {"car": [box(0)]}, None).correct is False


# --- prompts and folders


def test_the_files_and_folders_are_those_of_the_official_evaluator(tmp_path):
    made = benchmark(write_prompts(tmp_path / "data"))
    items = made.items()
    assert [item.id for item in items] == ["00000", "00001", "00002", "00003"]
    assert items[1].files == tuple(f"00001/samples/0000{image}.png" for image in range(4))
    assert [item.groups["task"] for item in items] == ["position", "counting", "color_attr", "single_object"]
    out = tmp_path / "images"
    made.lay_out(out)
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*")) == [
        f"0000{place}/metadata.jsonl" for place in range(4)
    ]
    # evaluate_images.py reads the whole file as one JSON object and groups by json.dumps of it.
    assert json.dumps(json.loads((out / "00000" / "metadata.jsonl").read_text())) == json.dumps(POSITION)
    before = (out / "00000" / "metadata.jsonl").stat().st_mtime_ns
    made.lay_out(out)
    assert (out / "00000" / "metadata.jsonl").stat().st_mtime_ns == before


def test_prompts_are_found_in_a_copy_of_the_repository_and_under_another_name(tmp_path):
    write_prompts(tmp_path / "copy" / "prompts")
    other = write_prompts(tmp_path / "long") / "evaluation_metadata_long.jsonl"
    (tmp_path / "long" / "evaluation_metadata.jsonl").rename(other)
    assert len(benchmark(tmp_path / "copy").items()) == len(benchmark(other).items()) == 4
    assert len(benchmark(other, images=2).items()[0].files) == 2


def test_without_prompts_the_refusal_says_where_they_are():
    with pytest.raises(InputError) as caught:
        benchmark("").items()
    said = str(caught.value)
    assert "MIT" in said
    assert "https://github.com/djghosh13/geneval" in said
    assert "--data DIR" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"include": [{"class": "unicorn", "count": 1}]}, '"unicorn" is not among the 80 classes'),
        ({"include": [{"class": "dog", "count": 0}]}, 'the count of "dog" is 0'),
        ({"include": [{"class": "dog", "count": 1, "color": "teal"}]}, '"teal" is not among the ten colours'),
        ({"include": [{"class": "dog", "count": 1, "position": ["left of", 0]}]}, "no earlier entry"),
        ({"include": [{"class": "dog", "count": 1, "position": ["behind", 0]}]}, '"behind" is not among'),
        ({"include": []}, "it asks for nothing"),
        ({"prompt": " "}, "it has no prompt"),
        ({"tag": None}, "it has no tag"),
    ],
)
def test_a_line_that_asks_for_no_image_is_named(tmp_path, change, said):
    folder = write_prompts(tmp_path, SINGLE, {**SINGLE, **change})
    with pytest.raises(InputError, match=r"evaluation_metadata.jsonl:2: this line") as caught:
        benchmark(folder).items()
    assert said in str(caught.value)


# --- numbers


def unit(item, image, right, **answer) -> Unit:
    return Unit(item=item.id, image=image, value=float(right), answer=answer or None)


def test_the_overall_score_is_the_mean_of_the_tasks_and_not_of_the_images(tmp_path):
    made = benchmark(write_prompts(tmp_path, SINGLE, {**SINGLE, "prompt": "a dog"}, COUNTING))
    items = made.items()
    units = [unit(items[0], image, image < 2) for image in range(4)]
    units += [unit(items[1], image, False) for image in range(4)]
    units += [unit(items[2], image, True) for image in range(4)]
    tallies = made.tallies(items, units)
    assert tallies[0].headline
    name = tallies[0].name.removesuffix("/overall")
    for mode in Mode:
        assert value_of(tallies, f"{name}/overall", mode) == pytest.approx((2 / 8 + 1) / 2)
        assert value_of(tallies, f"{name}/images", mode) == pytest.approx(6 / 12)
        assert value_of(tallies, f"{name}/prompts", mode) == pytest.approx(2 / 3)
        assert value_of(tallies, f"{name}/single_object", mode) == pytest.approx(2 / 8)
        assert value_of(tallies, f"{name}/counting", mode) == 1


def test_what_is_missing_leaves_the_official_numbers_and_is_wrong_in_the_strict_ones(tmp_path):
    made = benchmark(write_prompts(tmp_path, SINGLE, COUNTING))
    items = made.items()
    units = [unit(items[0], 0, True), Unit(item=items[0].id, image=1, status=Status.MISSING)]
    official, strict = made.aggregate(items, units)[:2]
    assert (official.value, strict.value) == (1.0, (1 / 4 + 0) / 2)
    assert (official.expected, official.scored, official.missing) == (8, 1, 7)
    assert official.how.endswith("without two_object, counting, colors, position, color_attr")
    assert strict.how.endswith("without two_object, colors, position, color_attr")
    name = official.name.removesuffix("/overall")
    prompts = {mode: value_of(made.tallies(items, units), f"{name}/prompts", mode) for mode in Mode}
    assert prompts == {Mode.OFFICIAL: 1.0, Mode.STRICT: 0.5}


@given(
    st.lists(st.lists(st.booleans() | st.none(), min_size=4, max_size=4), min_size=4, max_size=4),
    st.randoms(),
)
def test_numbers_are_plain_means_in_any_order(rows, draw):
    made = GENEVAL
    items = made.items()
    units = [
        unit(item, image, right)
        for item, row in zip(items, rows, strict=True)
        for image, right in enumerate(row)
        if right is not None
    ]
    draw.shuffle(units)
    tallies = made.tallies(items, units)
    name = tallies[0].name.removesuffix("/overall")
    held = [[right for right in row if right is not None] for row in rows]
    tasks = [sum(row) / len(row) for row in held if row]
    expected = sum(tasks) / len(tasks) if tasks else None
    assert value_of(tallies, f"{name}/overall") == (None if expected is None else pytest.approx(expected))
    assert value_of(tallies, f"{name}/overall", Mode.STRICT) == pytest.approx(sum(map(sum, held)) / 16)
    any_right = [any(row) for row in held if row]
    prompts = sum(any_right) / len(any_right) if any_right else None
    assert value_of(tallies, f"{name}/prompts") == (None if prompts is None else pytest.approx(prompts))


@pytest.fixture(autouse=True, scope="module")
def _geneval(tmp_path_factory):
    global GENEVAL
    GENEVAL = benchmark(write_prompts(tmp_path_factory.mktemp("geneval")))


# --- result files


def test_a_result_file_is_scored_without_prompts_and_without_a_model(tmp_path):
    boxes = {"cat": [[0, 0, 10, 10, 0.95]], "bench": [[100, 0, 110, 10, 0.9]]}
    file = write_results(
        tmp_path / "results.jsonl",
        result(POSITION, 0, True, details=json.dumps(boxes)),
        result(POSITION, 1, False),
        result(COUNTING, 0, False, folder=1, details="{}"),
    )
    report = score_benchmark(BenchScoreOptions(benchmark="geneval", answers=file))
    scores = {(score.name, score.mode): score for score in report.columns[0].scores}
    prompts = prompts_digest(benchmark(file).items())[:8]
    name = f"geneval[prompts={prompts}]"
    assert report.metric == name
    overall = scores[f"{name}/overall", Mode.OFFICIAL]
    assert (overall.value, overall.expected, overall.scored) == (0.25, 8, 3)
    assert scores[f"{name}/position", Mode.STRICT].value == 0.25


def test_a_verdict_that_its_boxes_contradict_is_told_and_mended_in_the_strict_number(tmp_path):
    made = benchmark(write_prompts(tmp_path, COUNTING, COLOURED))
    three = {"cat": [[0, 0, 1, 1, 0.99]] * 3}
    file = write_results(
        tmp_path / "results.jsonl",
        result(COUNTING, 0, True, details=json.dumps(three)),
        result(COUNTING, 1, True, details=json.dumps({"cat": three["cat"][:2]})),
        result(COLOURED, 0, True, folder=1, details="{}"),
        result(COLOURED, 1, True, folder=1, details=json.dumps({"car": three["cat"], "cup": three["cat"]})),
    )
    units = made.read_answers(file)
    assert [unit.answer.get("retested") for unit in units] == [False, True, False, None]
    tallies = made.tallies(made.items(), units)
    name = tallies[0].name.removesuffix("/overall")
    assert value_of(tallies, f"{name}/images") == 1.0
    assert value_of(tallies, f"{name}/images", Mode.STRICT) == 2 / 8
    assert "2 verdicts are contradicted by their boxes" in tallies[0].how


def test_boxes_of_a_result_file_are_those_that_counted_whatever_their_confidence(tmp_path):
    # Files are rounded: what was just above 0.9 may stand there as 0.9.
    made = benchmark(write_prompts(tmp_path, COUNTING))
    boxes = {"cat": [[0, 0, 1, 1, 0.9], [5, 5, 6, 6, 0.9]]}
    (unit,) = made.read_answers(
        write_results(tmp_path / "r.jsonl", result(COUNTING, details=json.dumps(boxes)))
    )
    assert unit.answer["retested"] is True


def test_results_are_matched_by_their_metadata_and_not_by_their_folder(tmp_path):
    made = benchmark(write_prompts(tmp_path, SINGLE, COUNTING, COUNTING))
    file = write_results(
        tmp_path / "results.jsonl",
        result(COUNTING, 3, folder=77),
        result(COUNTING, 3, folder=2),
        result(SINGLE, 0, folder=2, filename="elsewhere/0001.png"),
        result(SINGLE, 0, filename="no number"),
    )
    places = [(unit.item, unit.image) for unit in made.read_answers(file)]
    assert places == [("00001", 3), ("00002", 3), ("00000", 1), ("00000", 0)]


def test_an_image_beyond_the_fourth_counts_as_the_official_summary_counts_it(tmp_path):
    made = benchmark(write_prompts(tmp_path, SINGLE))
    file = write_results(tmp_path / "r.jsonl", *(result(SINGLE, image, image == 5) for image in range(6)))
    score = made.aggregate(made.items(), made.read_answers(file))[0]
    assert (score.value, score.expected) == (pytest.approx(1 / 6), 6)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (result(POSITION), 'a result for "a photo of a cat left of a bench"'),
        (result(SINGLE), 'two results for image 0 of "a photo of a dog"'),
        ({**result(SINGLE), "correct": "yes"}, "correct is 'yes', not true or false"),
        (result(SINGLE, 1, details='{"dog": [[1, 2]]}'), "a box that is not five numbers"),
        ({**result(SINGLE, 1), "metadata": "{"}, "this is no result of GenEval"),
    ],
)
def test_a_result_that_cannot_be_used_is_named(tmp_path, line, said):
    made = benchmark(write_prompts(tmp_path, SINGLE))
    file = write_results(tmp_path / "results.jsonl", result(SINGLE), line)
    with pytest.raises(InputError) as caught:
        made.read_answers(file)
    assert said in str(caught.value)


def test_the_name_of_a_number_is_that_of_the_detector_that_looked(tmp_path):
    made = benchmark(write_prompts(tmp_path, SINGLE))
    prompts = prompts_digest(made.items())[:8]
    assert made.metric == f"geneval[mask2former-hf,prompts={prompts}]"
    other = benchmark(tmp_path, detector="somewhere/other", clip="a/b")
    assert other.items()
    assert other.metric == f"geneval[mask2former-hf:other+b,prompts={prompts}]"
    units = [unit(made.items()[0], 0, True, detector="mask2former-hf")]
    assert made.tallies(made.items(), units)[0].name == f"geneval[mask2former-hf,prompts={prompts}]/overall"
    assert made.tallies(made.items(), [unit(made.items()[0], 0, True)])[0].name.startswith("geneval[prompts=")


# --- the public files


@pytest.mark.conformance
def test_the_official_prompts_are_553(conformance):
    made = benchmark(conformance / "geneval")
    items = made.items()
    assert Counter(item.groups["task"] for item in items) == TASKS
    assert len(items) == 553
    assert prompts_digest(items) == OFFICIAL
    assert made.metric == "geneval[mask2former-hf]"
    assert tuple((conformance / "geneval" / "object_names.txt").read_text().splitlines()) == OBJECTS


@pytest.mark.conformance
def test_saved_boxes_give_every_verdict_of_a_public_result_file(conformance, tmp_path):
    folder = conformance / "geneval"
    made = benchmark(folder)
    items = made.items()
    seen: Counter[int] = Counter()
    lines = []
    with gzip.open(folder / "results_half.jsonl.gz", "rt") as stream:
        for row in map(json.loads, stream):
            place = row["line"]
            details = {"details": json.dumps(row["boxes"])} if "boxes" in row else {}
            lines.append(result(items[place].facts, seen[place], row["correct"], place, **details))
            seen[place] += 1
    units = made.read_answers(write_results(tmp_path / "results.jsonl", *lines))
    tested = [unit for unit in units if "retested" in unit.answer]
    assert len(tested) == 718
    assert all(unit.answer["retested"] == bool(unit.value) for unit in tested)
    right: Counter[str] = Counter()
    for unit in units:
        right[items[int(unit.item)].groups["task"]] += int(unit.value)
    means = {
        "color_attr": (47, 200),
        "colors": (169, 188),
        "counting": (76, 160),
        "position": (25, 200),
        "single_object": (158, 160),
        "two_object": (148, 198),
    }
    assert right == {task: count for task, (count, _) in means.items()}
    tallies = made.tallies(items, random.Random(0).sample(units, len(units)))
    for task, (count, of) in means.items():
        assert value_of(tallies, f"geneval/{task}") == pytest.approx(count / of)
    total = sum(count / of for count, of in means.values())
    assert value_of(tallies, "geneval/overall") == pytest.approx(total / 6)
    assert value_of(tallies, "geneval/images") == pytest.approx(623 / 1106)
    assert value_of(tallies, "geneval/overall", Mode.STRICT) == pytest.approx(total / 12)
    assert "contradicted" not in tallies[0].how
