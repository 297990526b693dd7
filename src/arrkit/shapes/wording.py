"""How the shapes judge words criteria: for any image, or about the objects of one prompt.

Every wording here is read back by :func:`~arrkit.shapes.criteria.read_statement` as the check that it words.
"""

from __future__ import annotations

from collections.abc import Sequence

from arrkit.data.pairs import Task
from arrkit.shapes.assess import Assessment
from arrkit.shapes.checker import PromptAssessment
from arrkit.shapes.checks import Check
from arrkit.shapes.edits import Edit, EditKind
from arrkit.shapes.phrases import Phrase, Subject
from arrkit.shapes.scene import Side

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
_SIDES = {
    Side.LEFT: "to the left of",
    Side.RIGHT: "to the right of",
    Side.ABOVE: "above",
    Side.BELOW: "below",
}

# The first of each is the one that a structured rubric uses.
_T2I: dict[Check, tuple[str, ...]] = {
    Check.FIDELITY: (
        "The image shows all that the prompt asks for",
        "The image matches the prompt",
        "What is depicted agrees with the prompt",
    ),
    Check.OBJECTS: (
        "Every kind of object that the prompt names is present",
        "None of the requested shapes is missing",
        "All objects the prompt names appear in the image",
    ),
    Check.COUNT: (
        "The number of objects of each kind is the one the prompt states",
        "There are as many objects as the prompt asks for",
        "The count of each shape matches the prompt",
    ),
    Check.COLOUR: (
        "The objects have the colours that the prompt asks for",
        "Colours match the description",
        "Each object has the colour the prompt asks for",
    ),
    Check.BINDING: (
        "Each object carries its own colour, not that of another",
        "Attributes belong to the right objects",
        "Colours are not swapped between objects",
    ),
    Check.RELATION: (
        "The objects stand to each other as the prompt describes",
        "The spatial relation between the objects matches the prompt",
        "Relative positions follow the prompt",
    ),
    Check.EXTRA: (
        "There are no objects beyond those that the prompt names",
        "Nothing but the requested objects appears: no extra shapes",
        "No additional objects intrude",
    ),
    Check.BACKGROUND: (
        "The background is the one the prompt asks for",
        "The backdrop fits the prompt",
    ),
    Check.WHOLE: (
        "Objects are whole, with none cut off",
        "No shape is cropped or incomplete",
        "Every object is fully visible",
    ),
    Check.CLEAN: (
        "Objects have crisp edges, without smears",
        "No object is blurred or distorted",
        "Outlines are sharp, not smudged",
    ),
    Check.CONTRAST: (
        "Objects contrast strongly with the background",
        "Strong contrast makes the objects stand out",
        "Objects stand out against the background",
    ),
    Check.COVERAGE: (
        "Objects fill the frame well",
        "The objects are large and prominent",
        "Little of the frame is empty",
    ),
    Check.SMOOTHNESS: (
        "Surfaces look smooth and clean",
        "Smooth, even tones",
        "The image looks calm, without noise",
    ),
    Check.VIVIDNESS: (
        "Colours are vivid",
        "Rich colours, well saturated",
        "Vibrant, bright colours",
    ),
}
_EDIT: dict[Check, tuple[str, ...]] = _T2I | {
    Check.FIDELITY: (
        "The result is faithful to all that was asked",
        "The result agrees with the description in full",
    ),
    Check.EXECUTED: (
        "The instruction has been carried out",
        "The requested edit is visibly done",
        "The image follows the instruction",
    ),
    Check.PRESERVED: (
        "Objects that the instruction does not mention are unchanged",
        "Unrelated objects keep their shape, colour and place",
        "No other object has been altered",
    ),
    Check.BACKGROUND_KEPT: (
        "The background is preserved unless the instruction asks for another",
        "The background remains as it was",
        "The backdrop has not been disturbed",
    ),
    Check.EXTRA: (
        "There are no extra objects",
        "No additional shapes intrude",
    ),
}


def general(check: Check, task: Task) -> str:
    """The statement of ``check`` that holds for any pair, without a full stop."""
    return variants(check, task)[0]


def variants(check: Check, task: Task) -> tuple[str, ...]:
    """Several ways to say the same."""
    return (_T2I if task is Task.T2I else _EDIT)[check]


def about(check: Check, assessment: Assessment) -> str | None:
    """``check`` in the words of one prompt, or None where it has none."""
    if isinstance(assessment, PromptAssessment):
        return None if assessment.asked is None else specific(check, assessment.asked.subject)
    if check is Check.EXECUTED and assessment.edit is not None:
        return done(assessment.edit)
    if check is Check.PRESERVED and assessment.plan is not None and assessment.plan.kept:
        kept = min(assessment.plan.kept, key=lambda seen: (seen.colour, seen.shape))
        return f"The {kept.colour} {kept.shape} stays as it was"
    return None


def done(edit: Edit) -> str:
    """That ``edit`` has been carried out, in its own words."""
    where = f" {_SIDES[edit.side]} the {edit.anchor}" if edit.side and edit.anchor else ""
    return {
        EditKind.RECOLOUR: f"The {edit.target} is now {edit.colour}",
        EditKind.REMOVE: f"The {edit.target} has been removed",
        EditKind.ADD: f"{_article(str(edit.new)).capitalize()} has been added{where}",
        EditKind.REPLACE: f"The {edit.target} has been replaced with {_article(str(edit.new))}",
        EditKind.MOVE: f"The {edit.target} has been moved{where}",
        EditKind.BACKGROUND: f"The background is now {edit.background}",
    }[edit.kind]


def specific(check: Check, subject: Subject) -> str | None:
    """``check`` of what a prompt names: "The image shows exactly two stars"; None without words for it."""
    phrases = subject.phrases
    match check:
        case Check.COUNT if all(phrase.number is not None for phrase in phrases):
            return f"The image shows exactly {_listed([_counted(phrase) for phrase in phrases])}"
        case Check.COLOUR if len(phrases) == 1 and phrases[0].colour is not None:
            plural = (phrases[0].number or 1) > 1
            return f"The {_noun(phrases[0].shape, plural)} {'are' if plural else 'is'} {phrases[0].colour}"
        case Check.BINDING if len(phrases) > 1 and all(phrase.colour for phrase in phrases):
            return f"The image shows {_listed([_article(_named(phrase)) for phrase in phrases])}"
        case Check.OBJECTS:
            names = [_article(str(phrase.shape)) for phrase in phrases]
            return f"The image shows {_listed(names)}"
        case Check.RELATION if subject.side is not None and len(phrases) > 1:
            one, other = (_named(phrase) for phrase in phrases[:2])
            return f"The {one} is {_SIDES[subject.side]} the {other}"
        case _:
            return None


def _named(phrase: Phrase) -> str:
    return f"{phrase.colour} {phrase.shape}" if phrase.colour else str(phrase.shape)


def _counted(phrase: Phrase) -> str:
    number = 1 if phrase.number is None else phrase.number
    words = [_NUMBERS[number], str(phrase.colour) if phrase.colour else "", _noun(phrase.shape, number != 1)]
    return " ".join(filter(None, words))


def _noun(shape: str, plural: bool) -> str:
    return f"{shape}s" if plural else str(shape)


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
