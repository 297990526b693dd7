"""Answers to the checks, from pixels and prompt alone.

Every score is in [0, 1] and is 1 exactly when nothing is wrong. The overall score orders images as the strict
yes or no does: a right image scores above every wrong one, and neither extra objects nor an empty image
buys a better score than the honest attempt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from arrkit.shapes.checks import Check
from arrkit.shapes.look import Look
from arrkit.shapes.objects import Seen
from arrkit.shapes.phrases import Phrase, Subject
from arrkit.shapes.scene import Background, Shape, Side

Score = float | None
"""In [0, 1], or None where a check has no meaning for the request."""


DAMAGED = 0.5
"""An object counts as damaged where its ``whole`` or ``clean`` is below."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a prompt asks of an image; ``background`` is None where any will do."""

    subject: Subject
    background: Background | None = None


def matching(objects: Sequence[Seen], phrase: Phrase) -> list[Seen]:
    """The objects that a phrase may speak of: of its shape and, where it says one, its colour."""
    return [
        each
        for each in objects
        if each.shape is phrase.shape and (phrase.colour is None or each.colour is phrase.colour)
    ]


def benefit_of_doubt(objects: Sequence[Seen], subject: Subject) -> tuple[Seen, ...]:
    """The objects, a damaged one taken for a wanted shape that is missing where its own is not wanted.

    What a smear or a cut has made of a star may look like a circle; that it is damaged is another check's to
    say.
    """
    missing = _wanted_shapes(subject)
    missing.subtract(each.shape for each in objects)
    seen = []
    for each in objects:
        taken_for = next((shape for shape, number in missing.items() if number > 0), None)
        if min(each.whole, each.clean) < DAMAGED and missing[each.shape] < 0 and taken_for is not None:
            missing[each.shape] += 1
            missing[taken_for] -= 1
            each = replace(each, shape=taken_for)
        seen.append(each)
    return tuple(seen)


def objects_score(objects: Sequence[Seen], subject: Subject) -> float:
    """Share of the wanted objects whose kind is there, whatever the colour."""
    wanted = _wanted_shapes(subject)
    if not sum(wanted.values()):
        return float(not any(each.shape in wanted for each in objects))
    there = Counter(each.shape for each in objects)
    return sum(min(number, there[shape]) for shape, number in wanted.items()) / sum(wanted.values())


def count_score(objects: Sequence[Seen], subject: Subject, *, literal: bool = False) -> float:
    """1 for the right number of each kind, less by each one too many or too few.

    Against a prompt, kinds are shapes; ``literal`` counts the colours named as well.
    """
    if literal:
        pairs = [(len(matching(objects, phrase)), _number(phrase)) for phrase in subject.phrases]
    else:
        there = Counter(each.shape for each in objects)
        pairs = [(there[shape], number) for shape, number in _wanted_shapes(subject).items()]
    off = sum(abs(seen - wanted) for seen, wanted in pairs)
    return max(0.0, 1 - off / max(sum(wanted for _, wanted in pairs), 1))


def colour_score(objects: Sequence[Seen], subject: Subject) -> float:
    """Share of the wanted colours that are there, on whatever object; 1 where no colour is asked."""
    wanted: Counter[str] = Counter()
    for phrase in subject.phrases:
        if phrase.colour is not None:
            wanted[phrase.colour] += _number(phrase)
    there = Counter(str(each.colour) for each in objects)
    total = sum(wanted.values())
    return sum(min(number, there[colour]) for colour, number in wanted.items()) / total if total else 1.0


def binding_score(objects: Sequence[Seen], subject: Subject) -> float:
    """Share of the wanted coloured objects that are there with colour and shape together."""
    coloured = [phrase for phrase in subject.phrases if phrase.colour is not None]
    total = sum(_number(phrase) for phrase in coloured)
    got = sum(min(_number(phrase), len(matching(objects, phrase))) for phrase in coloured)
    return got / total if total else 1.0


def relation_score(objects: Sequence[Seen], subject: Subject) -> float:
    """1 where the first object lies to the asked side of the second, 0.5 where rather diagonally so."""
    if subject.side is None or len(subject.phrases) < 2:
        return 1.0
    first, second = subject.phrases[:2]
    return max(
        (
            side_score(one, subject.side, other)
            for one in matching(objects, first)
            for other in matching(objects, second)
            if one is not other
        ),
        default=0.0,
    )


_SLACK = 0.02
"""How far a diagonal may be off, as a share of the side: centres are seen no more exactly than that."""


def side_score(one: Seen, side: Side, other: Seen) -> float:
    """1 where ``one`` lies to that side of ``other``, 0.5 where it does but more across, else 0.1."""
    dx, dy = one.x - other.x, one.y - other.y
    step_x, step_y = side.step
    along, across = dx * step_x + dy * step_y, abs(dx * step_y) + abs(dy * step_x)
    if along > max(across - _SLACK, 0):
        return 1.0
    return 0.5 if along > 0.03 else 0.1


def extra_score(objects: Sequence[Seen], subject: Subject) -> float:
    """1 for no surplus object, halved by each one."""
    wanted = _wanted_shapes(subject)
    surplus = Counter(each.shape for each in objects)
    surplus.subtract(wanted)
    return 0.5 ** sum(number for number in surplus.values() if number > 0)


def whole_score(objects: Sequence[Seen], *, empty: float = 0.0) -> float:
    """How whole the worst object is; ``empty`` for none at all."""
    return min((each.whole for each in objects), default=empty)


def clean_score(objects: Sequence[Seen], *, empty: float = 0.0) -> float:
    """How sharp the worst object's edge is; ``empty`` for none at all."""
    return min((each.clean for each in objects), default=empty)


def overall(ok: bool, quality: float, count: float) -> float:
    """One score of an image that orders as the strict checker: right first, then by what is right.

    Surplus objects lower ``count`` and with it all that quality earned; adding them cannot pay.
    """
    return 0.3 * ok + 0.7 * quality * (0.3 + 0.7 * count)


class PromptAssessment:
    """What an image is worth for a prompt. ``asked`` is None for a prompt that is not understood."""

    def __init__(self, look: Look, asked: Asked | None) -> None:
        self.look = look
        self.asked = asked

    @cached_property
    def scores(self) -> dict[Check, float]:
        """All checks that have a meaning here."""
        look, objects = self.look, self.look.objects
        if self.asked is not None:
            objects = benefit_of_doubt(objects, self.asked.subject)
        scores = {**look_scores(look), Check.WHOLE: whole_score(objects), Check.CLEAN: clean_score(objects)}
        if self.asked is None:
            return scores
        subject = self.asked.subject
        scores[Check.OBJECTS] = objects_score(objects, subject)
        scores[Check.COUNT] = count_score(objects, subject)
        scores[Check.EXTRA] = extra_score(objects, subject)
        scores[Check.COLOUR] = colour_score(objects, subject)
        scores[Check.BINDING] = binding_score(objects, subject)
        scores[Check.RELATION] = relation_score(objects, subject)
        wanted = self.asked.background
        scores[Check.BACKGROUND] = float(wanted is None or look.background is wanted)
        scores[Check.FIDELITY] = self._fidelity(scores)
        return scores

    @property
    def correct(self) -> bool:
        """Whether all that was asked is there and nothing is wrong, as a benchmark counts it."""
        return self.asked is not None and self._correct(self.scores)

    def answer(self, check: Check, subject: Subject | None = None) -> Score:
        """The score of ``check``; with ``subject``, of what a statement names instead of the prompt."""
        return self.scores.get(check) if subject is None else literal_score(self.look, check, subject)

    def _correct(self, scores: dict[Check, float]) -> bool:
        exact = (Check.OBJECTS, Check.COUNT, Check.EXTRA, Check.BINDING, Check.RELATION, Check.BACKGROUND)
        return (
            all(scores[check] == 1 for check in exact)
            and min(scores[Check.WHOLE], scores[Check.CLEAN]) >= DAMAGED
        )

    def _fidelity(self, scores: dict[Check, float]) -> float:
        quality = (
            scores[Check.OBJECTS]
            * (0.4 + 0.4 * scores[Check.BINDING] + 0.2 * scores[Check.COLOUR])
            * (0.4 + 0.6 * scores[Check.RELATION])
            * (0.5 + 0.5 * scores[Check.BACKGROUND])
            * (0.5 + 0.5 * min(scores[Check.WHOLE], scores[Check.CLEAN]))
        )
        return overall(self._correct(scores), quality, scores[Check.COUNT] * scores[Check.EXTRA])


def look_scores(look: Look) -> dict[Check, float]:
    """The general looks, which ask nothing of a prompt."""
    return {
        Check.CONTRAST: look.contrast,
        Check.COVERAGE: look.coverage,
        Check.SMOOTHNESS: look.smoothness,
        Check.VIVIDNESS: look.vividness,
    }


def literal_score(look: Look, check: Check, subject: Subject) -> Score:
    """How far what a statement names is in the image, whatever the prompt asks."""
    objects = look.objects
    match check:
        case Check.OBJECTS:
            return objects_score(objects, subject)
        case Check.COUNT:
            return count_score(objects, subject, literal=True)
        case Check.COLOUR | Check.BINDING:
            return binding_score(objects, subject)
        case Check.RELATION:
            return relation_score(objects, subject)
        case _:
            return None


def _number(phrase: Phrase) -> int:
    return 1 if phrase.number is None else phrase.number


def _wanted_shapes(subject: Subject) -> Counter[Shape]:
    wanted: Counter[Shape] = Counter()
    for phrase in subject.phrases:
        wanted[phrase.shape] += _number(phrase)
    return wanted
