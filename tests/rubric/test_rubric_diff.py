"""What the diff of two rubrics says."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from arrkit.data.pairs import Task
from arrkit.rubric.diff import diff_rubrics
from arrkit.rubric.files import list_rubrics
from arrkit.rubric.model import Criterion, Dimension, Provenance, Rubric

CAT = Criterion("cat", "The cat is red.", 1.0, "Look at the fur.")
DOG = Criterion("dog", "The dog is blue.", 2.0)
SKY = Criterion("sky", "The sky is clear.")
TREE = Criterion("tree", "The tree has leaves.")


def rubric(*groups: tuple[str, tuple[Criterion, ...]], **changes: str) -> Rubric:
    dimensions = tuple(Dimension(name.lower(), name, criteria) for name, criteria in groups)
    made = Rubric("r", Task.T2I, dimensions, Provenance("manual", "0.1.0", "2026-01-31T12:00:00Z"))
    return replace(made, **changes)  # type: ignore[arg-type]


def test_every_kind_of_change() -> None:
    old = rubric(("Animals", (CAT, DOG)), ("Scene", (SKY, TREE)))
    new = rubric(
        ("Animals", (replace(CAT, statement="The cat is orange.", guidance=""), replace(TREE, weight=3.0))),
        ("Scene", (Criterion("moon", "The moon is full."), replace(SKY, id="heaven", source_pairs=("p1",)))),
        version="2.0.0",
    )
    diff = diff_rubrics(old, new)
    assert (diff.old, diff.new, diff.empty) == ("r 1.0.0", "r 2.0.0", False)
    assert [criterion.id for criterion in diff.added] == ["moon"]
    assert [criterion.id for criterion in diff.removed] == ["dog"]
    assert [(change.old, change.new) for change in diff.renamed] == [("sky", "heaven")]
    assert [(change.subject, change.old, change.new) for change in diff.reworded] == [
        ("cat", "The cat is red.", "The cat is orange.")
    ]
    assert [(change.subject, change.old, change.new) for change in diff.reweighted] == [("tree", 1.0, 3.0)]
    assert [(change.subject, change.old, change.new) for change in diff.moved] == [
        ("tree", "scene", "animals")
    ]
    assert [(change.subject, change.new) for change in diff.guidance] == [("cat", "")]
    assert [(change.subject, change.new) for change in diff.sources] == [("sky", ("p1",))]
    assert [(change.subject, change.old, change.new) for change in diff.metadata] == [
        ("version", "1.0.0", "2.0.0")
    ]
    document = json.loads(json.dumps(diff.to_json()))
    assert document["moved"] == [{"subject": "tree", "old": "scene", "new": "animals"}]
    assert document["added"] == [{"id": "moon", "statement": "The moon is full.", "weight": 1.0}]


def test_dimensions_and_metadata() -> None:
    old = rubric(("Animals", (CAT,)), ("Scene", (SKY,)))
    new = Rubric(
        "s",
        Task.EDIT,
        (
            Dimension("animals", "Beasts", (CAT,), "All that breathes"),
            Dimension("light", "Light", (SKY,)),
        ),
        replace(old.provenance, method="merge"),
    )
    diff = diff_rubrics(old, new)
    assert [(change.subject, change.old, change.new) for change in diff.dimensions] == [
        ("animals", "Animals", "Beasts"),
        ("animals.description", "", "All that breathes"),
        ("scene", "Scene", None),
        ("light", None, "Light"),
    ]
    assert [(change.subject, change.old, change.new) for change in diff.metadata] == [
        ("name", "r", "s"),
        ("task", "t2i", "edit"),
        ("provenance.method", "manual", "merge"),
    ]
    assert [(change.old, change.new) for change in diff.moved] == [("scene", "light")]


def test_order_alone() -> None:
    diff = diff_rubrics(rubric(("Animals", (CAT, DOG))), rubric(("Animals", (DOG, CAT))))
    assert diff.reordered
    assert not diff.empty
    assert not diff.moved
    assert not diff_rubrics(rubric(("A", (CAT, DOG))), rubric(("A", (CAT, SKY, DOG)))).reordered


def test_a_rubric_does_not_differ_from_itself() -> None:
    for shipped in list_rubrics():
        diff = diff_rubrics(shipped, shipped)
        assert diff.empty
        assert diff.to_json()["empty"] is True


pools = st.lists(st.sampled_from([CAT, DOG, SKY, TREE]), unique_by=lambda criterion: criterion.id, min_size=1)


@given(pools, pools)
@settings(max_examples=50)
def test_added_and_removed_change_places_when_the_rubrics_do(
    one: list[Criterion], other: list[Criterion]
) -> None:
    here, there = rubric(("A", tuple(one))), rubric(("A", tuple(other)))
    forth, back = diff_rubrics(here, there), diff_rubrics(there, here)
    assert forth.added == back.removed
    assert forth.removed == back.added
    assert forth.empty == (one == other)
    kept = {criterion.id for criterion in one} - {criterion.id for criterion in forth.removed}
    assert kept | {criterion.id for criterion in forth.added} == {criterion.id for criterion in other}
