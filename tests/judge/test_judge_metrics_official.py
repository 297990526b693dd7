"""The datasets' own rules, against numbers and arithmetic that their authors published."""

from __future__ import annotations

import gzip
import itertools
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrkit.data.pairs import Label, Task
from arrkit.judge.answered import Answered, Choice
from arrkit.judge.metrics import OFFICIAL, find_metric
from arrkit.judge.replies import chosen_by, labelled_answers, read_replies

CHOSEN = {"t2i": 532, "edit": 555, "interleaved": 575, "reasoning": 475}
"""How many of the 1,000 pairs of each task of MMRB2 have A as the chosen one."""


def parts(found):
    return {part.name: part.rate.value for part in found.parts}


def mmrb2(ab: Choice, ba: Choice) -> list[Answered]:
    return [
        Answered(f"{task}-{n}", Label.A if n < count else Label.B, ab, ba, metadata={"config": task})
        for task, count in CHOSEN.items()
        for n in range(1000)
    ]


@pytest.mark.parametrize("ba", [Choice.A, Choice.NOT_ASKED, Choice.MISSING])
def test_always_a_on_mmrb2_is_the_share_of_a(ba):
    found = find_metric("official:mmrb2")(mmrb2(Choice.A, ba))
    assert parts(found) == {name: pytest.approx(count / 1000) for name, count in CHOSEN.items()}
    assert found.rate.value == pytest.approx(0.53425)
    assert (found.rate.n, found.unit) == (8000 if ba is Choice.A else 4000, "judgments")
    assert found.rate.low < found.rate.value < found.rate.high


def test_always_the_first_on_mmrb2_is_half():
    assert find_metric("official:mmrb2")(mmrb2(Choice.A, Choice.B)).rate.value == 0.5


def mmrb2_scorer(data: dict[str, str], predictions: dict[str, dict[str, list[dict[str, str]]]]):
    """Right judgments over present ones, as the scorer of MMRB2 is described."""
    right = total = 0
    for name, chosen in data.items():
        for direction, flip in (("forward", {}), ("reverse", {"A": "B", "B": "A"})):
            answers = predictions.get(name, {}).get(direction, [])
            judgement = answers[0]["judgement"] if answers else None
            if judgement:
                total += 1
                right += flip.get(judgement, judgement) == chosen
    return right, total


said = st.sampled_from(["A", "B", "tie", "", None])
answers = st.one_of(st.just([]), st.builds(lambda text: [{"judgement": text}, {"judgement": "A"}], said))
entries = st.fixed_dictionaries({"forward": answers, "reverse": answers})


@settings(max_examples=40)
@given(rows=st.lists(st.tuples(st.sampled_from("AB"), entries), min_size=1, max_size=8))
def test_a_prediction_file_counts_as_its_own_scorer_counts_it(rows, tmp_path_factory):
    data = {f"p{n}": chosen for n, (chosen, _) in enumerate(rows)}
    predictions = {f"p{n}": entry for n, (_, entry) in enumerate(rows)}
    path = tmp_path_factory.mktemp("mmrb2") / "predictions.json"
    path.write_text(json.dumps(predictions))
    held = read_replies(path).by_rubric[""]
    judged = [Answered(name, Label(data[name]), held[name].ab, held[name].ba) for name in data]
    right, total = mmrb2_scorer(data, predictions)
    found = find_metric("official:mmrb2")(judged)
    assert (found.rate.n if found.rate else 0) == total
    if total:
        assert found.rate.value == pytest.approx(right / total)


SIZES = {2: 200, 3: 184, 4: 100}
"""A split of EditReward-Bench's 484 groups; the published overall depends on their sum alone."""


def editreward(right: dict[int, int], wrong: Choice = Choice.B, first_only: bool = False) -> list[Answered]:
    """``right[K]`` groups of K candidates all right, in the others the last (or the first) pair ``wrong``."""
    rows = []
    for size, count in SIZES.items():
        pairs = list(itertools.combinations(range(size), 2))
        for number in range(count):
            name = f"{size}pair:{number}"
            for i, j in pairs:
                bad = number >= right[size] and (i, j) == pairs[0 if first_only else -1]
                choice = wrong if bad else Choice.A
                rows.append(Answered(f"{name}:{i}{j}", Label.A, choice, group=name if size > 2 else ""))
    return rows


@pytest.mark.parametrize(
    ("right", "printed"),
    [({2: 85, 3: 41, 4: 11}, 28.31), ({2: 107, 3: 57, 4: 19}, 37.81), ({2: 48, 3: 17, 4: 2}, 13.84)],
)
def test_the_overall_of_editreward_bench_pools_right_groups_over_484(right, printed):
    found = find_metric("official:editreward-bench")(editreward(right))
    assert round(found.rate.value * 100, 2) == printed
    assert (found.rate.n, found.unit) == (484, "groups")
    assert parts(found) == {f"K={size}": pytest.approx(right[size] / SIZES[size]) for size in SIZES}


def test_failures_of_editreward_bench_count_as_its_scripts_count_them():
    right = {2: 85, 3: 41, 4: 11}
    sizes = {part.name: part.rate.n for part in _of(editreward(right, Choice.UNPARSED)).parts}
    assert sizes == {"K=2": 200, "K=3": 184, "K=4": 100}
    failed = _of(editreward(right, Choice.FAILED))
    # A call that raised leaves the two-way pairs, spoils a larger group, and never raises the overall value.
    assert {part.name: part.rate.n for part in failed.parts} == {"K=2": 85, "K=3": 184, "K=4": 100}
    assert parts(failed)["K=3"] == pytest.approx(41 / 184)
    assert failed.rate.value == _of(editreward(right)).rate.value
    gone = [*editreward(right), *(Answered(f"x{n}", Label.A, Choice.FAILED, group="x") for n in range(3))]
    assert {part.name: part.rate.n for part in _of(gone).parts}["K=3"] == 184


def _of(rows):
    return find_metric("official:editreward-bench")(rows)


def test_ties_of_editreward_bench_are_a_class_of_the_two_way_pairs():
    rows = [
        Answered("1", Label.TIE, Choice.TIE),
        Answered("2", Label.TIE, Choice.BOTH_BAD),
        Answered("3", Label.TIE, Choice.A),
        Answered("4", Label.A, Choice.TIE),
    ]
    assert _of(rows).rate.value == 0.5


def test_scores_on_editreward_bench_tie_within_the_best_threshold():
    def scored(name: str, label: Label, margin: float, group: str = "") -> Answered:
        return Answered(name, label, chosen_by(margin), group=group, margin=margin)

    rows = [
        scored("1", Label.TIE, 0.2),
        scored("2", Label.A, 0.1),  # within the threshold, and right by its sign all the same
        scored("3", Label.TIE, -0.1),
        scored("4", Label.B, -0.5),
        scored("5", Label.A, -0.5),
        *(scored(f"g{n}", Label.A, 0.01, "g") for n in range(3)),
    ]
    found = _of(rows)
    assert "Threshold for ties 0.2," in found.note
    assert parts(found) == {"K=2": pytest.approx(4 / 5), "K=3": 1}


def test_a_group_cut_short_is_not_right():
    cut = [Answered(str(n), Label.A, Choice.A, group="g", metadata={"num_candidates": 3}) for n in range(2)]
    assert _of(cut).rate.value == 0
    assert "not whole" in _of(cut).note
    assert "not whole" in _of(cut[:1]).note  # one pair would be a whole group of two


def test_editscore_means_over_task_types_in_each_dimension():
    def rows(dimension: str, task_type: str, right: int, wrong: int) -> list[Answered]:
        about = {"dimension": dimension, "task_type": task_type}
        return [
            Answered(f"{dimension}-{task_type}-{n}", Label.A, choice, margin=margin, metadata=about)
            for n, (choice, margin) in enumerate(
                [(Choice.A, 1.0)] * right
                + [(Choice.TIE, 0.0)] * (wrong % 2)
                + [(Choice.B, -1.0)] * (wrong // 2)
            )
        ]

    judged = [
        *rows("overall", "extract", 9, 1),
        *rows("overall", "compose", 1, 1),
        *rows("consistency", "extract", 1, 0),
        *rows("consistency", "compose", 0, 1),
        *rows("consistency", "tone_transfer", 0, 1),
    ]
    found = find_metric("official:editscore-bench")(judged)
    assert parts(found) == {"consistency": pytest.approx(1 / 3), "overall": pytest.approx(0.7)}
    assert found.rate.value == pytest.approx(0.7)
    assert (found.expected, found.judged, found.rate.n) == (12, 12, 12)  # of the dimension overall alone
    assert {part.name for part in found.parts[1].parts} == {"extract", "compose"}
    one = find_metric("official:editscore-bench")([row for row in judged if "cons" in row.id])
    assert one.rate.value == pytest.approx(1 / 3)


def test_sets_without_a_metric_of_their_own_say_so():
    found = find_metric("official:rapidata")([Answered("1", Label.A, Choice.A, task=Task.T2I)])
    assert found.rate.value == 1
    assert found.note.startswith("Its authors publish no metric")


def test_every_shipped_set_has_a_rule():
    from arrkit.backends.listing import Group, list_plugins

    shipped = [each for each in list_plugins(Group.DATASETS) if each.distribution == "arrkit"]
    assert shipped
    for each in shipped:
        rule = each.name if each.name in OFFICIAL else each.record.official or "shapes"
        assert find_metric(f"official:{rule}").measure
        if each.record.official in OFFICIAL:
            assert each.record.official == each.name


@pytest.mark.conformance
def test_votes_of_gpt4o_on_genai_bench_give_the_published_number(conformance):
    replies = read_replies(conformance / "genai_bench" / "image_edition_gpt4o.jsonl")
    judged = list(labelled_answers(replies, ""))
    found = find_metric("official:genai-bench")(judged)
    assert found.rate.n == 919
    assert found.rate.value * 919 == pytest.approx(492)
    assert round(found.rate.value * 100, 2) == 53.54
    rows = [
        json.loads(line)
        for line in (conformance / "genai_bench" / "image_edition_gpt4o.jsonl").read_text().splitlines()
    ]
    alone = [find_metric("four-class")([each]).rate.value == 1 for each in judged]
    assert alone == [row["correct"] for row in rows]


@pytest.mark.conformance
def test_imagereward_counts_strict_pairs_and_pools_them(conformance):
    with gzip.open(conformance / "imagereward" / "test.json.gz") as stream:
        prompts = json.load(stream)
    chance = random.Random(0)
    rows, right = [], 0
    for prompt in prompts:
        scores = [chance.random() for _ in prompt["ranking"]]
        for i, j in itertools.combinations(range(len(scores)), 2):
            better = prompt["ranking"][j] - prompt["ranking"][i]
            label = Label.A if better > 0 else Label.B if better < 0 else Label.TIE
            margin = scores[i] - scores[j]
            right += better * margin > 0
            name = f"{prompt['id']}-{i}-{j}"
            rows.append(Answered(name, label, chosen_by(margin), group=prompt["id"], margin=margin))
    assert len(rows) == 7230
    found = find_metric("official:imagerewarddb")(rows)
    assert found.rate.n == 6399
    assert found.rate.value == pytest.approx(right / 6399)
    assert "left out: 831." in found.note
