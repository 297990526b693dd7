"""From the scores of two images to a choice: pure.

The reward of an image is the weighted sum of how far it meets each criterion, R(x, I) = sum_k w_k s_k(x, I),
and the image with the higher reward is preferred (AutoRubric-T2I, arXiv 2605.17602, section 4.1). Divided by
the sum of the weights it stays in [0, 1] and orders alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from arrkit.judge.protocol import Answer, Finding, Scores
from arrkit.rubric.model import Criterion

EQUAL = 1e-9
"""Rewards and scores that differ by less are the same number in another order of adding."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """Two rewards in [0, 1] over the criteria that both images were scored by, and what was found of each.

    ``margin`` is the first reward minus the second, None where no criterion was answered for both.
    """

    first: float
    second: float
    findings: tuple[Finding, ...]
    margin: float | None


def weighted_reward(scores: Mapping[str, float], weights: Mapping[str, float]) -> float | None:
    """The reward of one image in [0, 1]: the mean of its criteria's scores, weighted by ``weights``.

    Both are by the criterion's id; ``weights`` names all that are scored. None where the weights sum to 0.
    """
    total = math.fsum(weights[name] for name in scores)
    return math.fsum(weights[name] * score for name, score in scores.items()) / total if total else None


def weigh(criteria: Sequence[Criterion], first: Scores, second: Scores) -> Weighed:
    """Set the scores of two images against each other, criterion by criterion.

    A criterion that the judge could not tell of one image is left out of both rewards: counted for the other
    alone it would only say which image was easier to read.
    """
    one, two = ({each.criterion: each for each in scores.scores} for scores in (first, second))
    findings: list[Finding] = []
    weights: dict[str, float] = {}
    firsts: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for criterion in criteria:
        a, b = one.get(criterion.id), two.get(criterion.id)
        if a is None or b is None or a.score is None or b.score is None:
            findings.append(
                Finding(
                    criterion.id,
                    Answer.CANNOT_TELL,
                    None if a is None else a.score,
                    None if b is None else b.score,
                )
            )
            continue
        alike = abs(a.score - b.score) < EQUAL
        answer = Answer.EQUAL if alike else Answer.FIRST if a.score > b.score else Answer.SECOND
        note = f"{a.score:.2f} against {b.score:.2f}"
        findings.append(Finding(criterion.id, answer, a.score, b.score, note))
        weights[criterion.id] = criterion.weight
        firsts[criterion.id], seconds[criterion.id] = a.score, b.score
    rewards = weighted_reward(firsts, weights), weighted_reward(seconds, weights)
    if rewards[0] is None or rewards[1] is None:
        return Weighed(0.0, 0.0, tuple(findings), None)
    margin = rewards[0] - rewards[1]
    return Weighed(rewards[0], rewards[1], tuple(findings), 0.0 if abs(margin) < EQUAL else margin)
