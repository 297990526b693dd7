"""GenEval's verdict on one image, from the boxes that a detector found: pure functions.

Source of the rules: djghosh13/geneval, ``evaluation/evaluate_images.py``. It can suppress overlapping boxes,
but by default does not (the limit is an IoU of 1), and nor do these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from arrkit.bench.geneval.items import Demand, Wanted

THRESHOLD = 0.3
"""A box counts when its confidence is above this."""

COUNTING_THRESHOLD = 0.9
"""The same for counting, where a doubtful box would be one too many."""

MOST = 16
"""Boxes kept of each class, the most confident ones."""

POSITION_MARGIN = 0.1
"""The part of both sizes that an offset must exceed."""


class Box(NamedTuple):
    """A detected object: corners in pixels, x to the right and y down, and the confidence in [0, 1]."""

    x0: float
    y0: float
    x1: float
    y1: float
    score: float


Colours = Callable[[Wanted, int], Sequence[str]]
"""The colours of the first boxes, as many as are told, of the class of an entry."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an image is what was asked for, and if not, why.

    ``correct`` is None where only the colours would tell and nobody looked at them.
    """

    correct: bool | None
    reasons: tuple[str, ...] = ()


def threshold_of(tag: str) -> float:
    """The confidence that a box of a prompt of the task ``tag`` must exceed."""
    return COUNTING_THRESHOLD if tag == "counting" else THRESHOLD


def kept(scores: Sequence[float], threshold: float) -> list[int]:
    """The places of the boxes of one class that count, the most confident first."""
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    return [place for place in order if scores[place] > threshold][:MOST]


def relations(box: Box, other: Box) -> frozenset[str]:
    """Where ``box`` lies as seen from ``other``: none, one or two of left of, right of, above, below.

    The offset between the centres is shortened by a tenth of both sizes along each axis, and what is left is
    divided by the length of the whole offset.
    """
    across = _offset(box.x0, box.x1, other.x0, other.x1)
    down = _offset(box.y0, box.y1, other.y0, other.y1)
    if abs(across[1]) < 1e-3 and abs(down[1]) < 1e-3:
        return frozenset()
    length = math.hypot(across[0], down[0])
    x, y = across[1] / length, down[1] / length
    held = {"left of": x < -0.5, "right of": x > 0.5, "above": y < -0.5, "below": y > 0.5}
    return frozenset(name for name, holds in held.items() if holds)


def judge(demand: Demand, found: Mapping[str, Sequence[Box]], colours: Colours | None) -> Verdict:
    """The verdict on an image.

    Args:
        demand: what is asked of it.
        found: the boxes that count, by class, the most confident first.
        colours: gives the colours of boxes; None where they cannot be had.
    """
    reasons: list[str] = []
    groups: list[Sequence[Box] | None] = []
    unknown = False
    for wanted in demand.include:
        boxes = found.get(wanted.name, ())[: wanted.count]
        wrong = _short(wanted, boxes)
        if not wrong and wanted.colour:
            if colours is None:
                unknown = True
            else:
                wrong = _miscoloured(wanted, colours(wanted, len(boxes)))
        if not wrong and wanted.relation:
            wrong = _misplaced(wanted, boxes, groups[wanted.target])
        if wrong:
            reasons.append(wrong)
        groups.append(None if wrong else boxes)
    for wanted in demand.exclude:
        many = len(found.get(wanted.name, ()))
        if many >= wanted.count:
            reasons.append(f"fewer than {wanted.count} {wanted.name} expected, {many} found")
    if reasons:
        return Verdict(False, tuple(reasons))
    return Verdict(None if unknown else True)


def _short(wanted: Wanted, boxes: Sequence[Box]) -> str:
    if len(boxes) >= wanted.count:
        return ""
    return f"{wanted.count} {wanted.name} expected, {len(boxes)} found"


def _miscoloured(wanted: Wanted, seen: Sequence[str]) -> str:
    right = sum(colour == wanted.colour for colour in seen)
    if right >= wanted.count:
        return ""
    return f"{wanted.count} {wanted.colour} {wanted.name} expected, found {', '.join(seen)}"


def _misplaced(wanted: Wanted, boxes: Sequence[Box], targets: Sequence[Box] | None) -> str:
    if targets is None:
        return f"nothing for {wanted.name} to be {wanted.relation}"
    for box in boxes:
        for target in targets:
            held = relations(box, target)
            if wanted.relation not in held:
                seen = " and ".join(sorted(held)) or "in no clear direction"
                return f"{wanted.name} expected {wanted.relation} the other, found {seen}"
    return ""


def _offset(low: float, high: float, other_low: float, other_high: float) -> tuple[float, float]:
    """The offset between two centres along one axis, and what is left of it beyond the margin."""
    offset = (low + high) / 2 - (other_low + other_high) / 2
    margin = POSITION_MARGIN * (abs(high - low) + abs(other_high - other_low))
    return offset, math.copysign(max(abs(offset) - margin, 0.0), offset)
