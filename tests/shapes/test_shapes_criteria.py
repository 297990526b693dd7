"""How statements are read: what they ask, what turns them round, and what is beyond this judge."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrkit.data.pairs import Task
from arrkit.shapes.checks import Check
from arrkit.shapes.criteria import read_statement
from arrkit.shapes.phrases import Phrase
from arrkit.shapes.scene import Colour, Shape, Side
from arrkit.shapes.wording import general, variants

T2I, EDIT = Task.T2I, Task.EDIT


def asked(statement: str, task: Task = T2I) -> dict[Check, bool]:
    """The checks that a statement asks; True for those of which it asks the opposite."""
    return {reading.check: reading.inverted for reading in read_statement(statement, task)}


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("The number of objects matches the prompt", Check.COUNT),
        ("There are exactly as many objects as requested.", Check.COUNT),
        ("Each object has the colour the prompt asks for", Check.COLOUR),
        ("Object colors match the text prompt", Check.COLOUR),
        ("Every object has its own colour; none are swapped", Check.BINDING),
        ("Attribute binding is correct", Check.BINDING),
        ("Spatial relations between objects match the prompt", Check.RELATION),
        ("The two objects are in the positions the prompt describes", Check.RELATION),
        ("All objects the prompt names are present", Check.OBJECTS),
        ("No object is missing", Check.OBJECTS),
        ("No objects beyond those the prompt names", Check.EXTRA),
        ("The image shows only the requested objects", Check.EXTRA),
        ("The background is the one the prompt asks for", Check.BACKGROUND),
        ("Every shape is complete and fully inside the frame", Check.WHOLE),
        ("Edges are crisp", Check.CLEAN),
        ("Smear-free shapes", Check.CLEAN),
        ("The image faithfully follows the prompt", Check.FIDELITY),
        ("Strong contrast", Check.CONTRAST),
        ("Smooth, clean surfaces", Check.SMOOTHNESS),
        ("The objects fill the frame", Check.COVERAGE),
        ("Vibrant colours", Check.VIVIDNESS),
    ],
)
def test_statements_about_generated_images(statement: str, check: Check) -> None:
    assert asked(statement) == {check: False}


@pytest.mark.parametrize(
    ("statement", "checks"),
    [
        ("The instruction was carried out", [Check.EXECUTED]),
        ("The edit does what the user's instruction says", [Check.EXECUTED]),
        ("The circle is now blue, as instructed", [Check.EXECUTED]),
        ("The red star has been removed", [Check.EXECUTED]),
        ("The background is now mint", [Check.EXECUTED]),
        ("Nothing the instruction does not mention has changed", [Check.PRESERVED, Check.BACKGROUND_KEPT]),
        ("Everything else is preserved", [Check.PRESERVED, Check.BACKGROUND_KEPT]),
        ("Other objects and the background remain unchanged", [Check.PRESERVED, Check.BACKGROUND_KEPT]),
        ("Objects not mentioned in the instruction are unchanged", [Check.PRESERVED]),
        ("No unrelated object was moved or recoloured", [Check.PRESERVED]),
        ("The blue square stays where it was", [Check.PRESERVED]),
        ("The background has not been altered", [Check.BACKGROUND_KEPT]),
    ],
)
def test_statements_about_edits(statement: str, checks: list[Check]) -> None:
    assert asked(statement, EDIT) == dict.fromkeys(checks, False)


def test_a_statement_may_ask_two_things() -> None:
    assert asked("Objects are whole, with no smears or cut edges") == {Check.WHOLE: False, Check.CLEAN: False}
    assert asked("Free of artifacts") == {Check.WHOLE: False, Check.CLEAN: False}


@pytest.mark.parametrize(
    ("statement", "task", "check"),
    [
        ("The image contains extra objects", T2I, Check.EXTRA),
        ("Objects are cut off at the border", T2I, Check.WHOLE),
        ("Outlines are blurred", T2I, Check.CLEAN),
        ("An object is missing", T2I, Check.OBJECTS),
        ("The image does not match the prompt", T2I, Check.FIDELITY),
        ("The instruction was not carried out", EDIT, Check.EXECUTED),
        ("Unrelated objects have changed", EDIT, Check.PRESERVED),
        ("The background was altered", EDIT, Check.BACKGROUND_KEPT),
    ],
)
def test_a_statement_of_the_flaw_is_turned_round(statement: str, task: Task, check: Check) -> None:
    assert asked(statement, task)[check] is True


@pytest.mark.parametrize("task", [Task.T2I, Task.EDIT])
@pytest.mark.parametrize(
    "statement",
    [
        "Human anatomy is correct, with no extra fingers",
        "The text is legible and spelled as the prompt asks",
        "The composition is pleasing",
        "The lighting of the edited object matches the scene",
        "Photorealistic materials",
        "It feels joyful",
        "",
        "?!",
    ],
)
def test_what_is_beyond_this_judge_has_no_reading(statement: str, task: Task) -> None:
    assert read_statement(statement, task) == ()


def test_named_objects_are_read_literally() -> None:
    (count,) = read_statement("The image shows exactly three red circles", T2I)
    assert count.check is Check.COUNT
    assert count.subject is not None
    assert count.subject.phrases == (Phrase(Shape.CIRCLE, Colour.RED, 3),)
    (relation,) = read_statement("The red circle is to the left of the blue square.", T2I)
    assert relation.check is Check.RELATION
    assert relation.subject is not None
    assert relation.subject.side is Side.LEFT
    (colour,) = read_statement("The star is purple", T2I)
    assert colour.subject is not None
    assert (colour.check, colour.subject.phrases) == (Check.COLOUR, (Phrase(Shape.STAR, Colour.PURPLE),))


def test_a_named_object_does_not_change_what_is_asked_of_it() -> None:
    assert asked("The red circle is not cut off") == {Check.WHOLE: False}
    assert asked("The number of red circles matches the prompt") == {Check.COUNT: False}


@pytest.mark.parametrize("task", [Task.T2I, Task.EDIT])
def test_every_wording_of_the_judge_is_read_back_as_its_check(task: Task) -> None:
    own = {Check.EXECUTED, Check.PRESERVED, Check.BACKGROUND_KEPT}
    checks = set(Check) - (own if task is T2I else {Check.BACKGROUND})
    for check in checks:
        for statement in variants(check, task):
            assert asked(f"{statement}.", task) == {check: False}, statement
        assert general(check, task) == variants(check, task)[0]


@given(st.text(max_size=200), st.sampled_from((Task.T2I, Task.EDIT)))
@settings(max_examples=150, deadline=None)
def test_any_text_can_be_read(statement: str, task: Task) -> None:
    checks = [reading.check for reading in read_statement(statement, task)]
    assert len(checks) == len(set(checks))
