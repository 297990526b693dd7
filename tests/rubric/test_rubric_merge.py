"""Merging rubrics, with and without a judge that folds near-duplicates."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrkit.data.pairs import Task
from arrkit.errors import InputError, RunError
from arrkit.judge.protocol import (
    Draft,
    Outcome,
    Structure,
    StructuredCriterion,
    StructuredDimension,
    StructureRequest,
)
from arrkit.judge.session import JudgeSession
from arrkit.rubric.files import read_rubric, rubric_digest, rubric_from_json, rubric_to_json
from arrkit.rubric.folding import fold_by_structure, fold_with_judge
from arrkit.rubric.merge import Fold, fold_criteria, merge_rubrics
from arrkit.rubric.model import Criterion, Dimension, ParentRef, Provenance, Rubric

NOW = "2026-02-01T00:00:00Z"
CAT = Criterion("cat", "The cat is red.", 1.0, "", ("p1",))
DOG = Criterion("dog", "The dog is blue.", 2.0, "Look at its coat.", ("p2",))
SKY = Criterion("sky", "The sky is clear.")


def rubric(name: str, *groups: tuple[str, tuple[Criterion, ...]], task: Task = Task.T2I) -> Rubric:
    provenance = Provenance("arr", "0.1.0", "2026-01-31T12:00:00Z", build_pairs=(name[0] * 16,))
    dimensions = tuple(Dimension(key.lower(), key, criteria) for key, criteria in groups)
    return Rubric(name, task, dimensions, provenance)


def layout(merged: Rubric) -> list[tuple[str, list[str]]]:
    return [(entry.id, [criterion.id for criterion in entry.criteria]) for entry in merged.dimensions]


def test_what_a_merge_keeps_folds_and_records() -> None:
    one = rubric("a", ("Animals", (CAT,)), ("Scene", (SKY,)))
    other = rubric(
        "b",
        ("Colour", (DOG, Criterion("red-cat", "the cat  is RED", 3.0, "Look at the fur.", ("p9", "p1")))),
        ("ANIMALS.", (Criterion("paws", "Each paw has four toes."),)),
    )
    merged = merge_rubrics([one, other], "both", created_at=NOW)
    assert layout(merged) == [("animals", ["cat", "paws"]), ("scene", ["sky"]), ("colour", ["dog"])]
    assert next(merged.criteria()) == Criterion(
        "cat", "The cat is red.", 3.0, "Look at the fur.", ("p1", "p9")
    )
    assert merged.metrics is None
    assert (merged.name, merged.version, merged.task) == ("both", "1.0.0", Task.T2I)
    assert merged.provenance == Provenance(
        "merge",
        merged.provenance.arrkit_version,
        NOW,
        parents=(
            ParentRef("a", "1.0.0", rubric_digest(one)),
            ParentRef("b", "1.0.0", rubric_digest(other)),
        ),
        build_pairs=("a" * 16, "b" * 16),
    )
    assert rubric_from_json(rubric_to_json(merged)) == merged


def test_clashing_ids_name_both_files_and_all_are_told() -> None:
    one = rubric("a", ("Animals", (CAT, DOG)))
    other = rubric(
        "b", ("Animals", (replace(CAT, statement="The cat sleeps."), replace(DOG, statement="A dog.")))
    )
    with pytest.raises(InputError) as caught:
        merge_rubrics([one, other], "both", sources=["one.json", "other.json"])
    assert [(problem.where, problem.what) for problem in caught.value.problems] == [
        ("other.json", 'id "cat" stands for another statement in one.json'),
        ("other.json", 'id "dog" stands for another statement in one.json'),
    ]
    assert "Nothing was merged." in str(caught.value)


def test_only_rubrics_of_one_task_merge() -> None:
    with pytest.raises(InputError, match=r"b\.json: the task is edit, but that of a\.json is t2i"):
        merge_rubrics(
            [rubric("a", ("A", (CAT,))), rubric("b", ("A", (DOG,)), task=Task.EDIT)],
            "both",
            sources=["a.json", "b.json"],
        )


def test_one_rubric_is_no_merge() -> None:
    with pytest.raises(InputError, match="at least two"):
        merge_rubrics([rubric("a", ("A", (CAT,)))], "alone")


def test_metrics_do_not_survive_a_merge() -> None:
    shipped = read_rubric("t2i-general")
    assert merge_rubrics([shipped, rubric("a", ("A", (CAT,)))], "both").metrics is None


pools = st.lists(st.sampled_from([CAT, DOG, SKY]), unique_by=lambda criterion: criterion.id, min_size=1)


@given(st.lists(pools, min_size=2, max_size=4))
@settings(max_examples=50)
def test_merging_what_is_there_already_changes_nothing(groups: list[list[Criterion]]) -> None:
    rubrics = [rubric(f"r{n}", ("D", tuple(group))) for n, group in enumerate(groups)]
    merged = merge_rubrics(rubrics, "m", created_at=NOW)
    assert {criterion.id for criterion in merged.criteria()} == {
        entry.id for group in groups for entry in group
    }
    assert len(merged) == len({criterion.id for criterion in merged.criteria()})
    assert merge_rubrics([merged, *rubrics], "m", created_at=NOW).dimensions == merged.dimensions


def test_a_fold_keeps_place_id_and_sources() -> None:
    whole = rubric("a", ("Animals", (CAT, DOG)), ("Scene", (SKY,)), ("Late", (Criterion("z", "Z is seen."),)))
    folded = fold_criteria(
        whole, [Fold(("dog", "cat"), "Animals have the colours asked for."), Fold(("z", "sky"), "Sky.")]
    )
    assert layout(folded) == [("animals", ["cat"]), ("scene", ["sky"])]
    assert next(folded.criteria()) == Criterion(
        "cat", "Animals have the colours asked for.", 2.0, "Look at its coat.", ("p1", "p2")
    )


@pytest.mark.parametrize("ids", [("cat", "cat"), ("cat", "nobody")])
def test_a_fold_of_unknown_or_repeated_ids_is_refused(ids: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="unknown or folded twice"):
        fold_criteria(rubric("a", ("Animals", (CAT, DOG))), [Fold(ids, "X")])


def grouped(*groups: tuple[int, ...]) -> Structure:
    criteria = tuple(StructuredCriterion("Worded anew.", members) for members in groups)
    return Structure(Outcome.OK, (StructuredDimension("Whatever", criteria),))


class FoldingJudge:
    """A judge that answers ``structure`` with a given answer and nothing else."""

    name = "folding"

    def __init__(self, answer: Structure) -> None:
        self.answer = answer
        self.asked: list[StructureRequest] = []

    async def structure(self, request: StructureRequest) -> Structure:
        self.asked.append(request)
        return self.answer

    async def _unasked(self, request: object) -> NoReturn:
        raise AssertionError(request)

    compare = score = propose = refine = _unasked

    async def aclose(self) -> None: ...


def test_a_judge_folds_near_duplicates_and_nothing_else() -> None:
    whole = rubric("a", ("Animals", (CAT, DOG)), ("Scene", (SKY,)))
    judge = FoldingJudge(grouped((1, 0)))  # the third criterion stands in no group
    folded = asyncio.run(fold_with_judge(whole, JudgeSession(judge)))
    assert layout(folded) == [("animals", ["cat"]), ("scene", ["sky"])]
    assert [criterion.statement for criterion in folded.criteria()] == ["Worded anew.", SKY.statement]
    assert folded.provenance.generator == "folding"
    [request] = judge.asked
    assert request.pool == (
        Draft(CAT.statement, "", "Animals"),
        Draft(DOG.statement, "Look at its coat.", "Animals"),
        Draft(SKY.statement, "", "Scene"),
    )


def test_a_judge_that_groups_each_alone_rewords_nothing() -> None:
    whole = rubric("a", ("Animals", (CAT, DOG)))
    assert fold_by_structure(whole, grouped((0,), (1,))).dimensions == whole.dimensions


@pytest.mark.parametrize("answer", [grouped((0, 5)), grouped((0, -1)), grouped((0, 1), (1, 0))])
def test_a_structure_that_does_not_fit_is_a_failed_run(answer: Structure) -> None:
    with pytest.raises(RunError, match="does not fit"):
        fold_by_structure(rubric("a", ("Animals", (CAT, DOG))), answer)


def test_a_judge_without_an_answer_is_a_failed_run() -> None:
    silent = FoldingJudge(Structure(Outcome.REFUSED, detail="not for me"))
    with pytest.raises(RunError, match="folding could not say which criteria are alike: not for me"):
        asyncio.run(fold_with_judge(rubric("a", ("Animals", (CAT, DOG))), JudgeSession(silent)))
