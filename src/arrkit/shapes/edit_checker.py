"""Answers to the checks of an edit: source and result as they are seen, and what the instruction asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import hypot

import numpy as np

from arrkit.shapes.checker import (
    DAMAGED,
    Score,
    clean_score,
    literal_score,
    look_scores,
    overall,
    side_score,
    whole_score,
)
from arrkit.shapes.checks import Check
from arrkit.shapes.edits import Edit
from arrkit.shapes.look import Look
from arrkit.shapes.objects import Seen
from arrkit.shapes.phrases import Subject
from arrkit.shapes.scene import Background, Colour, Shape, Side

NEAR = 0.07
"""Two objects stand at the same place when their centres are no farther apart, as a share of the side."""

STILL = 0.025
"""An object that is no farther from where it was has not been moved."""


@dataclass(frozen=True, slots=True)
class Goal:
    """An object that should be there after the edit.

    ``place`` is the object whose place it should have; ``side`` and ``anchor`` say where it should stand
    instead. With neither it may stand anywhere.
    """

    shape: Shape
    colour: Colour | None
    place: Seen | None = None
    side: Side | None = None
    anchor: Seen | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What an instruction means for the source as it is seen.

    ``kept`` are the objects it leaves alone, ``gone`` those that should no longer be where they were,
    ``background`` the new background, or None to keep the old.
    """

    kept: tuple[Seen, ...]
    goals: tuple[Goal, ...] = ()
    gone: tuple[Seen, ...] = ()
    background: Background | None = None


class EditAssessment:
    """What the result of an edit is worth. ``plan`` is None for an instruction that is not understood."""

    def __init__(self, look: Look, source: Look, plan: Plan | None, edit: Edit | None = None) -> None:
        self.edit = edit
        self.look = look
        self.source = source
        self.plan = plan

    @cached_property
    def scores(self) -> dict[Check, float]:
        """All checks that have a meaning here."""
        look, plan = self.look, self.plan
        # Damage that the source has already is not the edit's.
        before = self.source.objects
        empty = float(plan is not None and not plan.kept and not plan.goals)
        scores = {
            **look_scores(look),
            Check.WHOLE: min(
                1.0, whole_score(look.objects, empty=empty) / max(whole_score(before, empty=1.0), 0.2)
            ),
            Check.CLEAN: min(
                1.0, clean_score(look.objects, empty=empty) / max(clean_score(before, empty=1.0), 0.2)
            ),
        }
        if plan is None:
            return scores
        kept, rest = match_kept(look.objects, plan.kept)
        reached = [_reach(goal, rest) for goal in plan.goals]
        scores[Check.EXECUTED] = self._executed(plan, rest, reached)
        surplus = max(len(look.objects) - len(plan.kept) - len(plan.goals), 0)
        scores[Check.EXTRA] = 0.5**surplus
        scores[Check.PRESERVED] = _preserved(kept) * 0.5**surplus
        scores[Check.COUNT] = max(
            0.0,
            1
            - abs(len(look.objects) - len(plan.kept) - len(plan.goals))
            / max(len(plan.kept) + len(plan.goals), 1),
        )
        scores[Check.BACKGROUND_KEPT] = self._background(plan)
        scores[Check.FIDELITY] = self._fidelity(scores)
        return scores

    @property
    def correct(self) -> bool:
        """Whether the edit was done, nothing else was touched and nothing is damaged."""
        return self.plan is not None and self._correct(self.scores)

    def answer(self, check: Check, subject: Subject | None = None) -> Score:
        """The score of ``check``; with ``subject``, of what a statement names in the result."""
        if subject is not None:
            return literal_score(self.look, check, subject)
        # In an edit the objects, colours and places that are asked for are those of the instruction.
        own = self.scores.get(check)
        return self.scores.get(Check.EXECUTED) if own is None and check in _OF_A_PROMPT else own

    def _executed(self, plan: Plan, rest: Sequence[Seen], reached: Sequence[float]) -> float:
        parts = list(reached)
        parts += [_left(seen, rest) for seen in plan.gone]
        if plan.background is not None:
            parts.append(float(self.look.background is plan.background))
        return sum(parts) / len(parts) if parts else 1.0

    def _background(self, plan: Plan) -> float:
        if plan.background is not None:
            # The rest of a background edit is that the new ground is plain.
            return float(np.clip(1 - (self.look.texture - 0.03) / 0.04, 0, 1))
        if self.look.background is not self.source.background:
            return 0.0
        both = self.look.bare & self.source.bare
        if both.sum() < 12:
            return 1.0
        change = np.abs(self.look.ground - self.source.ground).max(axis=2)[both]
        return float(np.clip(1 - (change.mean() - 1.5) / 4, 0, 1))

    def _correct(self, scores: dict[Check, float]) -> bool:
        return (
            scores[Check.EXECUTED] == 1
            and scores[Check.PRESERVED] == 1
            and scores[Check.EXTRA] == 1
            and scores[Check.BACKGROUND_KEPT] >= DAMAGED
            and min(scores[Check.WHOLE], scores[Check.CLEAN]) >= DAMAGED
        )

    def _fidelity(self, scores: dict[Check, float]) -> float:
        quality = (
            scores[Check.EXECUTED]
            * (0.3 + 0.7 * scores[Check.PRESERVED])
            * (0.5 + 0.5 * scores[Check.BACKGROUND_KEPT])
            * (0.5 + 0.5 * min(scores[Check.WHOLE], scores[Check.CLEAN]))
        )
        return overall(self._correct(scores), quality, scores[Check.COUNT])


_OF_A_PROMPT = (Check.OBJECTS, Check.COLOUR, Check.BINDING, Check.RELATION, Check.BACKGROUND)


def match_kept(
    objects: Sequence[Seen], kept: Sequence[Seen]
) -> tuple[list[tuple[Seen, Seen | None]], list[Seen]]:
    """For each kept object what stands at its place now, and the objects that stand at none of these."""
    rest = list(objects)
    pairs: list[tuple[Seen, Seen | None]] = []
    for old in kept:
        new = min(rest, key=lambda each: _apart(each, old), default=None)
        if new is not None and _apart(new, old) <= NEAR:
            rest.remove(new)
            pairs.append((old, new))
        else:
            pairs.append((old, None))
    return pairs, rest


def _apart(one: Seen, other: Seen) -> float:
    return hypot(one.x - other.x, one.y - other.y)


def _preserved(pairs: Sequence[tuple[Seen, Seen | None]]) -> float:
    """Mean of the average and the worst of how alike old and new are; 1 for nothing to preserve."""
    alike = [_alike(old, new) for old, new in pairs]
    return (sum(alike) / len(alike) + min(alike)) / 2 if alike else 1.0


def _alike(old: Seen, new: Seen | None) -> float:
    if new is None:
        return 0.0
    score = 1.0
    if new.colour is not old.colour:
        score *= 0.3
    # A damaged object may be read as another shape; that is for the checks of damage to say.
    if new.shape is not old.shape and min(new.whole, new.clean) >= DAMAGED:
        score *= 0.3
    if min(new.whole, new.clean) >= DAMAGED and not 0.8 <= new.size / old.size <= 1.25:
        score *= 0.5
    return score


def _reach(goal: Goal, objects: Sequence[Seen]) -> float:
    """How nearly one of ``objects`` is what the goal asks."""
    return max((_meets(goal, seen) for seen in objects), default=0.0)


def _meets(goal: Goal, seen: Seen) -> float:
    if seen.shape is not goal.shape and min(seen.whole, seen.clean) >= DAMAGED:
        return 0.1
    score = 1.0 if goal.colour is None or seen.colour is goal.colour else 0.2
    if goal.place is not None and _apart(seen, goal.place) > NEAR:
        score *= 0.4
    if goal.side is not None and goal.anchor is not None:
        score *= side_score(seen, goal.side, goal.anchor)
    return score


def _left(old: Seen, objects: Sequence[Seen]) -> float:
    """1 where nothing like ``old`` stands at its place any more."""
    there = any(
        _apart(seen, old) <= STILL and seen.shape is old.shape and seen.colour is old.colour
        for seen in objects
    )
    return float(not there)
