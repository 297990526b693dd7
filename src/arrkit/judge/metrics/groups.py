"""Metrics whose unit is a question with several candidates: a group of pairs, or a prompt.

Of each group a few numbers are held, whatever the number of its pairs. A pair without a group is one by
itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import isqrt

from arrkit.data.pairs import Label
from arrkit.judge.answered import Answered, Choice
from arrkit.judge.metrics.pairs import one_order, one_sided
from arrkit.judge.metrics.value import Counts, Mean, MetricValue, Unit, distinct, some
from arrkit.judge.stats import wilson


@dataclass(slots=True)
class Group:
    """What is held of one group: its pairs, those with an answer, and those whose answer is right."""

    pairs: int = 0
    answered: int = 0
    right: int = 0


def candidates(pairs: int) -> int | None:
    """How many candidates make so many pairs, each two once: K for K(K-1)/2, None where no K does."""
    root = isqrt(1 + 8 * pairs)
    return (1 + root) // 2 if pairs and root * root == 1 + 8 * pairs else None


def group_all(answers: Iterable[Answered], *, seed: int = 0) -> MetricValue:  # noqa: ARG001 - all alike
    """The share of groups in which every pair is judged right.

    Rule: a pair is right where every order that it was shown in says what people say, ties included; a group
    where all its pairs are. Denominator: groups with at least one answer, readable or not; one answer that is
    wrong, unreadable or missing makes its group wrong. Wilson over groups.
    Source: TIGER-AI-Lab/EditReward inference_3pair_hf.py and inference_4pair_hf.py, there in one order.
    """
    counts = Counts()
    groups: dict[tuple[bool, str], Group] = {}
    for answer in distinct(answers):
        group = groups.setdefault(answer.unit, Group())
        for choice in answer.shown:
            counts.see(choice)
        group.pairs += 1
        group.answered += any(choice.came for choice in answer.shown)
        group.right += all(choice.agrees(answer.label) for choice in answer.shown)
    tried = [group for group in groups.values() if group.answered]
    return counts.value(
        "group-all",
        wilson(sum(group.right == group.pairs for group in tried), len(tried)),
        Unit.GROUPS,
        rule="A group is right where all its pairs are, in every order shown. Groups without any answer are "
        "left out; within a group a missing or unreadable answer is wrong.",
        notes=[some(len(groups) - len(tried), "Groups without any answer"), incomplete(groups.values())],
    )


def rank_exact(answers: Iterable[Answered], *, seed: int = 0) -> MetricValue:  # noqa: ARG001 - all alike
    """The share of rows whose whole order is met exactly.

    Rule: right where each two candidates stand to each other as people put them, equal ranks included.
    Denominator: all rows, so that a failed or unreadable answer is wrong. One order: A first, as stored.
    Wilson over rows. Source: OpenEnvision/AutoRubric-as-Reward judger.py (exact match of ``label_rank``).
    """
    counts, turned = Counts(), 0
    labels: Counter[Label] = Counter()
    groups: dict[tuple[bool, str], Group] = {}
    for answer in distinct(answers):
        group = groups.setdefault(answer.unit, Group())
        choice = answer.stored
        counts.see(choice)
        labels[answer.label] += 1
        turned += answer.ab is Choice.NOT_ASKED
        group.pairs += 1
        group.right += choice.agrees(answer.label)
    right = sum(group.right == group.pairs for group in groups.values())
    return counts.value(
        "rank-exact",
        wilson(right, len(groups)),
        Unit.GROUPS,
        rule="Right where the whole order is met, over all rows, A shown first. Whatever is no decision is "
        "wrong.",
        notes=[one_order(turned), one_sided(labels), incomplete(groups.values())],
    )


def per_prompt_inversion(answers: Iterable[Answered], *, seed: int = 0) -> MetricValue:
    """The mean over prompts of 1 - inversions / pairs.

    Rule: a pair is an inversion where people and judge put it in opposite orders; where people call a tie it
    never is. The source makes ranks of scores, which leaves the judge no ties: a judge's tie on a pair that
    people decided is half an inversion here, as if a coin broke it. A pair in both orders is the mean of its
    decisions. Denominator: prompts weigh the same whatever their number of images; pairs without a decision
    are left out of their prompt, and a prompt without any is left out. Bootstrap over prompts.
    Source: tgxs002/HPSv2 hpsv2/evaluation.py and hpsv2/src/training/train.py.
    """
    counts = Counts()
    prompts: dict[tuple[bool, str], list[float]] = {}
    for answer in distinct(answers):
        held = prompts.setdefault(answer.unit, [0.0, 0.0])
        decisions = [choice for choice in answer.shown if choice.decided]
        for choice in answer.shown:
            counts.see(choice)
        if decisions:
            held[0] += sum(_inverted(answer, choice) for choice in decisions) / len(decisions)
            held[1] += 1
    mean = Mean()
    for inverted, judged in prompts.values():
        if judged:
            mean.add(1 - inverted / judged)
    empty = len(prompts) - sum(mean.cells.values())
    return counts.value(
        "per-prompt-inversion",
        mean.rate(seed),
        Unit.PROMPTS,
        rule="The mean over prompts of 1 - inversions / pairs; people's ties are never inversions, a judge's "
        "tie is half a one. Pairs without a decision are left out.",
        notes=[some(empty, "Prompts without any decision")],
    )


def incomplete(groups: Iterable[Group]) -> str:
    """A sentence where groups lack pairs, as the first N of a dataset may."""
    return not_whole(sum(candidates(group.pairs) is None for group in groups))


def not_whole(groups: int) -> str:
    """A sentence on so many groups that lack pairs; empty for none."""
    return some(groups, "Groups that are not whole, since some of their pairs are not among these")


def _inverted(answer: Answered, choice: Choice) -> float:
    if not answer.label.decided:
        return 0.0
    return 0.5 if choice.tied else float(not choice.agrees(answer.label))
