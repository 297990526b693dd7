"""What the lint says of criteria, and where it stays silent."""

from __future__ import annotations

import pytest

from arrkit.data.pairs import Task
from arrkit.rubric.files import list_rubrics
from arrkit.rubric.lint import LintFinding, Severity, lint_rubric, mentions_position
from arrkit.rubric.model import Criterion, Dimension, Provenance, Rubric


def lint(*statements: str | Criterion) -> list[tuple[str, str]]:
    return [(finding.rule, finding.subject) for finding in findings(*statements)]


def findings(*statements: str | Criterion) -> tuple[LintFinding, ...]:
    criteria = tuple(
        Criterion(f"c{number}", entry) if isinstance(entry, str) else entry
        for number, entry in enumerate(statements)
    )
    provenance = Provenance("manual", "0.1.0", "2026-01-31T12:00:00Z")
    return lint_rubric(Rubric("r", Task.T2I, (Dimension("d", "D", criteria),), provenance))


def test_the_shipped_rubrics_have_no_findings() -> None:
    shipped = list_rubrics()
    assert shipped
    for rubric in shipped:
        assert lint_rubric(rubric) == ()


@pytest.mark.parametrize(
    "statement",
    [
        "The first image shows three cats.",
        "Prefer the second picture when its sky is clear.",
        "Image A has sharper hands.",
        "The hands in image B have five fingers.",
        "The cat in image 2 is red.",
        "Image 1 is sharper.",
        "IMAGE_1 has five fingers per hand.",
        "Sharper hands than candidate (B)",
        "The left image keeps the face.",
        "The right-hand photo shows a face.",
        "The face is kept in the image on the left.",
        "The 1st output has a red ball.",
        "The red ball of the image shown first is round.",
        "The sky of image one is clear.",
    ],
)
def test_an_image_position_is_an_error(statement: str) -> None:
    assert mentions_position(statement)
    assert lint(statement) == [("position", "c0")]
    assert findings(statement)[0].severity is Severity.ERROR


@pytest.mark.parametrize(
    "statement",
    [
        "The circle is left of the square.",
        "The red ball lies on the right side of the image.",
        "The cup stands in the top left corner.",
        "No object is cut by the left image edge.",
        "All other image regions are those of the source image.",
        "The first of the three houses is yellow.",
        "The second hand of the clock points up.",
        "The image is a 1:1 square with one cat.",
        "The image a painter left on the easel shows a boat.",
        "A person on the left holds the left picture frame.",
        "The source image's background is kept in the edited image.",
        "The image has 2 cats.",
    ],
)
def test_places_inside_an_image_are_fine(statement: str) -> None:
    assert not mentions_position(statement)
    assert lint(statement) == []


def test_guidance_and_dimensions_are_read_for_positions_too() -> None:
    assert lint(Criterion("a", "The cat is red.", guidance="Look at the second image.")) == [
        ("position", "a")
    ]
    provenance = Provenance("manual", "0.1.0", "2026-01-31T12:00:00Z")
    criteria = (Criterion("a", "The cat is red."),)
    rubric = Rubric("r", Task.T2I, (Dimension("d", "D", criteria, "What image B shows"),), provenance)
    assert [(finding.rule, finding.subject) for finding in lint_rubric(rubric)] == [("position", "d")]


@pytest.mark.parametrize(
    "statement", ["The cat is redder than in the other image.", "The cats of both images are red."]
)
def test_a_comparison_is_a_warning(statement: str) -> None:
    assert lint(statement) == [("comparison", "c0")]
    assert findings(statement)[0].severity is Severity.WARNING


@pytest.mark.parametrize(
    "statement",
    [
        "Good quality.",
        "The image looks nice.",
        "The overall image is visually appealing and of high quality",
        "It is a better picture.",
        "Aesthetics",
        "Realistic and natural looking",
    ],
)
def test_a_vague_statement_is_an_error(statement: str) -> None:
    assert lint(statement) == [("vague", "c0")]


@pytest.mark.parametrize("statement", ["", " . ", "..."])
def test_an_empty_statement_is_an_error(statement: str) -> None:
    assert lint(statement) == [("empty", "c0")]


@pytest.mark.parametrize(
    "statement",
    [
        "Fingers look natural.",
        "High contrast between text and background.",
        "The sky is blue.",
        "Correct count.",
    ],
)
def test_a_statement_that_names_something_is_not_vague(statement: str) -> None:
    assert lint(statement) == []


@pytest.mark.parametrize(
    "statement",
    [
        "The cat is red and also the dog barks.",
        "The sky is blue and the grass is green.",
        "Hands have five fingers; and faces have two eyes.",
        "The cat is red. Its tail has stripes.",
        "The cat is red; additionally, the dog sleeps.",
    ],
)
def test_two_criteria_in_one_are_a_warning(statement: str) -> None:
    assert lint(statement) == [("two-in-one", "c0")]
    assert findings(statement)[0].severity is Severity.WARNING


@pytest.mark.parametrize(
    "statement",
    [
        "The red cat and the blue dog are both visible.",
        "Lighting and shadows are consistent.",
        "Text is legible, correctly spelt and placed on the sign.",
        "The counts of cats and of dogs are those of the prompt.",
        "Objects keep their shape, colour and place, e.g. The Thinker's pose.",
    ],
)
def test_one_criterion_with_an_and_is_fine(statement: str) -> None:
    assert lint(statement) == []


def test_a_very_long_statement_is_a_warning() -> None:
    long = "The cat is red " + "very " * 60
    assert lint(long) == [("long", "c0")]
    assert lint(long.replace("very ", "", 10)) == []


def test_one_id_for_two_criteria() -> None:
    red, same = Criterion("a", "The cat is red."), Criterion("a", "the cat is  red")
    other = Criterion("a", "The dog is blue.")
    assert lint(red, same) == [("duplicate-id", "a")]
    assert lint(red, other) == [("contradictory-id", "a")]


def test_one_statement_under_two_ids() -> None:
    found = findings("The cat is red.", "The dog sleeps.", "THE CAT is red")
    assert [(finding.rule, finding.subject) for finding in found] == [("duplicate-statement", "c2")]
    assert '"c0"' in found[0].message


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The background is blurred.", "The background is not blurred."),
        ("The image has text.", "The image has no text"),
        ("The circle is left of the square.", "The circle is right of the square."),
        ("The cup is above the plate", "The cup is below the plate"),
    ],
)
def test_contradictory_statements_are_an_error(one: str, other: str) -> None:
    found = findings(one, other)
    assert [(finding.rule, finding.subject, finding.severity) for finding in found] == [
        ("contradiction", "c1", Severity.ERROR)
    ]
    assert '"c0"' in found[0].message


def test_findings_come_in_the_order_of_the_criteria_with_their_lines() -> None:
    criteria = (Criterion("a", "Nice."), Criterion("b", "The cat is red."), Criterion("c", "Image A is red."))
    provenance = Provenance("manual", "0.1.0", "2026-01-31T12:00:00Z")
    rubric = Rubric("r", Task.T2I, (Dimension("d", "D", criteria),), provenance)
    found = lint_rubric(rubric, {"a": 12, "b": 19})
    assert [(finding.subject, finding.line) for finding in found] == [("a", 12), ("c", None)]
    assert found[0].to_json() == {
        "severity": "error",
        "rule": "vague",
        "subject": "a",
        "line": 12,
        "message": '"Nice." names nothing that could be checked in pixels',
        "hint": "Say which part of the image to look at, and what is to be seen there.",
    }
