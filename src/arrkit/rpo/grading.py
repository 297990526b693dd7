"""What a judge's answers on all images of a prompt come to: rewards, and advantages within the group.

Two rewards, both in [0, 1]. **Weighted**: the sum of an image's scores by the rubric's weights, over the
sum of the weights (AutoRubric-T2I, arXiv 2605.17602, the reward of its section 4.1, there without the
division). **Pairwise**: the share of its comparisons within the group that an image wins, a tie counting half
(Pref-GRPO, arXiv 2508.20751); what a comparison comes to stands in :mod:`arrkit.rpo.ruling`.

A reward becomes an advantage by its place in the group (Flow-GRPO, arXiv 2505.05470): minus the group's mean,
over the group's standard deviation. An image without an answer is left out, and so is a group in which all
are alike: neither is ever a zero.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from arrkit.data.pairs import Label
from arrkit.data.prompts import Prompt
from arrkit.judge.protocol import Outcome
from arrkit.judge.protocols.weighing import weighted_reward
from arrkit.rpo.recipe import Algorithm, Recipe, Reward
from arrkit.rpo.ruling import Answered, Ruling, advantages, judging_metrics

if TYPE_CHECKING:
    from PIL.Image import Image

FLAT = 1e-6
"""A group whose rewards lie closer together has nothing to teach: what is left is rounding."""

SOFTENER = 1e-4
"""Added to the standard deviation, so that a group of nearly equal images speaks softly."""

LIMIT = 5.0
"""Advantages are cut at this; only groups of more than 26 images can have larger ones."""


@dataclass(frozen=True, slots=True)
class Painted:
    """One image for a prompt. ``id`` says where it comes from; it is written beside its scores."""

    id: str
    prompt: Prompt
    image: Image


@dataclass(frozen=True, slots=True)
class Grade:
    """How far one image meets each criterion.

    Args:
        scores: by criterion, in [0, 1]; without those that the judge could not tell.
        outcome: ok, or how the call ended that gave no scores; ``detail`` says why.
        seconds: from the request to the answer, without the wait for a turn.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    outcome: Outcome = Outcome.OK
    detail: str = ""
    seconds: float = 0.0

    @property
    def answered(self) -> bool:
        """Whether there is a score at all."""
        return bool(self.scores)


@dataclass(frozen=True, slots=True)
class Grading:
    """All answers on the candidates of one prompt.

    ``grades`` has one entry a candidate, ``rulings`` one a pair in the order (0, 1), (0, 2), ... (see
    :func:`duels`); either is empty where the reward does not ask for it.
    """

    grades: tuple[Grade, ...] = ()
    rulings: tuple[Ruling, ...] = ()

    @property
    def answers(self) -> list[Answered]:
        """All of them."""
        return [*self.grades, *self.rulings]


def duels(group: int) -> list[tuple[int, int]]:
    """All pairs of a group's candidates."""
    return list(itertools.combinations(range(group), 2))


def weighted_rewards(grades: Sequence[Grade], weights: Mapping[str, float]) -> tuple[float | None, ...]:
    """The weighted reward of each image, in [0, 1]; None for one without scores.

    Images of one group are held to the same criteria: one that the judge could not tell of some of them is
    left out for all. A criterion without a weight counts 1.
    """
    answered = [each for each in grades if each.answered]
    first = answered[0].scores if answered else {}
    common = [name for name in first if all(name in each.scores for each in answered)]
    held = {name: weights.get(name, 1.0) for name in common}
    return tuple(
        weighted_reward({name: each.scores[name] for name in common}, held) if each.answered else None
        for each in grades
    )


def pairwise_rewards(rulings: Sequence[Ruling], group: int) -> tuple[float | None, ...]:
    """The share of its ruled pairs that each image wins; None for one without any."""
    won: list[list[float]] = [[] for _ in range(group)]
    for (one, other), ruling in zip(duels(group), rulings, strict=True):
        if ruling.preferred is not None:
            share = {Label.A: 1.0, Label.B: 0.0}.get(ruling.preferred, 0.5)
            won[one].append(share)
            won[other].append(1 - share)
    return tuple(statistics.fmean(each) if each else None for each in won)


def normalised(rewards: Sequence[float | None]) -> tuple[float | None, ...] | None:
    """Each reward's distance from the mean in (population) standard deviations; None where all are alike."""
    known = [each for each in rewards if each is not None]
    if len(known) < 2 or max(known) - min(known) < FLAT:
        return None
    mean, spread = statistics.fmean(known), statistics.pstdev(known) + SOFTENER
    return tuple(
        None if each is None else max(-LIMIT, min(LIMIT, (each - mean) / spread)) for each in rewards
    )


def worth(grading: Grading, recipe: Recipe, weights: Mapping[str, float]) -> tuple[float | None, ...] | None:
    """The advantages of a prompt's candidates; None for what is masked out.

    A mixture is ``mix`` times the normalised weighted reward and ``1 - mix`` times the normalised pairwise
    one; where one of them says nothing of an image or of the group, the other speaks alone, as softly.
    ``rpo`` keeps its own two numbers, and takes from the rewards which image they go to: in a mixture the
    two vote by their shares, and where they contradict each other with equal shares, the pair is a tie.
    """
    parts = []
    if recipe.reward.scores:
        share = recipe.mix if recipe.reward is Reward.MIXTURE else 1.0
        parts.append((share, normalised(weighted_rewards(grading.grades, weights))))
    if recipe.reward.compares:
        share = 1 - recipe.mix if recipe.reward is Reward.MIXTURE else 1.0
        parts.append((share, normalised(pairwise_rewards(grading.rulings, recipe.group))))
    spoken = [(share, part) for share, part in parts if part is not None and share]
    if recipe.algorithm is Algorithm.RPO:
        lead = sum(share * _sign(part) for share, part in spoken)
        return advantages(Ruling(_side(lead)), recipe.win, recipe.lose)
    mixed = tuple(_mixed([(share, part[n]) for share, part in spoken]) for n in range(recipe.group))
    return None if all(each is None for each in mixed) else mixed


def _sign(part: Sequence[float | None]) -> float:
    """1 where the first of two images has the higher advantage, -1 where the second has."""
    one, other = part
    return 0.0 if one is None or other is None else math.copysign(1.0, one - other)


def _mixed(parts: Sequence[tuple[float, float | None]]) -> float | None:
    known = [share * value for share, value in parts if value is not None]
    return sum(known) if known else None


def rule_by_scores(a: Grade, b: Grade, weights: Mapping[str, float], *, findings: bool = True) -> Ruling:
    """The ruling on two images that were scored by themselves: the higher weighted reward is preferred."""
    seconds = max(a.seconds, b.seconds)
    one, other = weighted_rewards((a, b), weights)
    if one is None or other is None:
        silent = next((each for each in (a, b) if not each.answered), a)
        outcome = Outcome.ABSTAIN if silent.outcome is Outcome.OK else silent.outcome
        return Ruling(None, outcome=outcome, detail=silent.detail, seconds=seconds)
    leads = {name: a.scores[name] - b.scores[name] for name in a.scores if name in b.scores}
    preferred = _side(one - other)
    return Ruling(
        preferred,
        findings={name: {Label.A: 1.0, Label.B: -1.0}.get(_side(lead), 0.0) for name, lead in leads.items()}
        if findings
        else {},
        outcome=Outcome.TIE if preferred is Label.TIE else Outcome.OK,
        seconds=seconds,
    )


def _side(lead: float) -> Label:
    return Label.TIE if abs(lead) < FLAT else Label.A if lead > 0 else Label.B


def verdict_of(grading: Grading, recipe: Recipe, weights: Mapping[str, float]) -> str:
    """``decided`` where there is something to learn, ``ties`` where all are alike, else ``failed``."""
    given = worth(grading, recipe, weights)
    if given is not None:
        return "decided"
    known = [each for each in grading.grades if each.answered]
    ruled = [each for each in grading.rulings if each.preferred is not None]
    return "ties" if ruled or len(known) > 1 else "failed"


def grading_metrics(
    gradings: Sequence[Grading], recipe: Recipe, weights: Mapping[str, float]
) -> dict[str, float]:
    """How judging went for some prompts, as flat numbers for the log.

    Comparisons stand under ``judge/`` (:func:`~arrkit.rpo.ruling.judging_metrics`). Of scores there are
    ``reward/mean`` over images, ``reward/spread``, the mean standard deviation within a group,
    ``reward/flat``, the share of groups that teach nothing, ``reward/images`` and how many of them
    ``reward/failures`` got no score, ``reward/latency`` in seconds, and for each criterion of the rubric its
    mean under ``reward/criterion/``.
    """
    metrics: dict[str, float] = {}
    if recipe.reward.compares:
        metrics |= judging_metrics([ruling for each in gradings for ruling in each.rulings])
    if recipe.algorithm is Algorithm.FLOW_GRPO and gradings:
        silent = sum(worth(each, recipe, weights) is None for each in gradings)
        metrics |= {"reward/groups": len(gradings), "reward/flat": silent / len(gradings)}
    if not recipe.reward.scores:
        return metrics
    grades = [grade for each in gradings for grade in each.grades]
    groups = [
        [reward for reward in weighted_rewards(each.grades, weights) if reward is not None]
        for each in gradings
    ]
    rewards = [reward for group in groups for reward in group]
    metrics |= {"reward/images": len(grades), "reward/failures": sum(not each.answered for each in grades)}
    if rewards:
        metrics["reward/mean"] = statistics.fmean(rewards)
        metrics["reward/spread"] = statistics.fmean(statistics.pstdev(group) for group in groups if group)
    if grades:
        metrics["reward/latency"] = statistics.fmean(each.seconds for each in grades)
    for name in weights:
        scores = [each.scores[name] for each in grades if name in each.scores]
        if scores:
            metrics[f"reward/criterion/{name}"] = math.fsum(scores) / len(scores)
    return metrics
