"""Metrics that count pairs or judgments.

Each is a pure function of saved judgments. A pair that has two judgments is refused with
:class:`~arrkit.errors.InputError`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from arrkit.data.pairs import Label
from arrkit.judge.answered import Answered, Choice
from arrkit.judge.metrics.value import Counts, Mean, MetricValue, Ratio, Unit, distinct, macro_rate, some
from arrkit.judge.stats import wilson

NO_VALUE = "(none)"
"""The value of the pairs that lack the field of ``macro:FIELD``."""

FEW, MOSTLY = 10, 0.75
"""From so many decided pairs, and such a share of them for A, a rule of one order tells of it."""

_TIED = "Pairs that people call a tie, which have no right answer and are left out"


def strict_pair(answers: Iterable[Answered], *, seed: int = 0) -> MetricValue:
    """How often the judge names the candidate that people preferred.

    Rule: a decision that names it earns 1, the other or a tie 0; a pair earns the mean over its decisions.
    Denominator: pairs that people decided, with at least one decision. Failures are left out and counted.
    Pairs of one group weigh one each (pooled), and the interval is then a bootstrap over groups.
    Source: THUDM/ImageReward test.py and MizzenAI/HPSv3 hpsv3/model/qwen2vl_trainer.py count scores so.
    """
    counts, ratio, ties = Counts(), Ratio(), 0
    for answer in distinct(answers):
        if not answer.label.decided:
            ties += 1
            continue
        for choice in answer.shown:
            counts.see(choice)
        score = _score(answer)
        if score is not None:
            ratio.add(answer, score, 1)
    return counts.value(
        "strict-pair",
        ratio.rate(seed),
        Unit.PAIRS,
        rule="Names the preferred one: 1; the other or a tie: 0; a pair in both orders earns the mean. "
        "Judgments without a decision are left out.",
        notes=[some(ties, _TIED)],
    )


def both_orders(answers: Iterable[Answered], *, seed: int = 0) -> MetricValue:
    """Judgment accuracy: every presentation is a unit, whatever was said in the other order.

    Rule: right where it names the preferred candidate; a tie, and an answer that is none of the choices, is
    wrong. Denominator: the judgments present; a missing, failed or unreadable one is left out of it. Over
    several tasks judgments are pooled. The interval is a bootstrap over pairs.
    Source: facebookresearch/MMRB2 evaluate/compute_scores/compute_accuracy.py.
    """
    counts, ratio, ties = Counts(), Ratio(), 0
    for answer in distinct(answers):
        if not answer.label.decided:
            ties += 1
            continue
        right = present = 0
        for choice in answer.shown:
            counts.see(choice)
            if choice.decided or choice is Choice.OTHER:
                present += 1
                right += choice.agrees(answer.label)
        ratio.add(answer, right, present)
    return counts.value(
        "both-orders",
        ratio.rate(seed),
        Unit.JUDGMENTS,
        rule="Every presentation is a unit, right where it names the preferred one. Missing and unreadable "
        "judgments are left out, a tie or another answer is wrong.",
        notes=[some(ties, _TIED)],
    )


def both_right(answers: Iterable[Answered], *, seed: int = 0) -> MetricValue:
    """The share of pairs that are judged right in both orders.

    Rule: right where both orders name the preferred candidate. Denominator: pairs that people decided, with
    a decision in both orders; others are left out and counted. A judge that scores each image by itself
    decides both orders at once. Source: the position-consistent accuracy of the judge literature.
    """
    counts, ratio, ties, single = Counts(), Ratio(), 0, 0
    for answer in distinct(answers):
        if not answer.label.decided:
            ties += 1
            continue
        shown = answer.shown
        if len(shown) == 1 and answer.margin is None:
            single += 1
            continue
        for choice in shown:
            counts.see(choice)
        if all(choice.decided for choice in shown):
            ratio.add(answer, all(choice.agrees(answer.label) for choice in shown), 1)
    return counts.value(
        "both-right",
        ratio.rate(seed),
        Unit.PAIRS,
        rule="Right where both orders name the preferred one. Pairs without two decisions are left out.",
        notes=[
            some(ties, _TIED),
            some(single, "Pairs that were to be shown in one order only and are left out"),
        ],
    )


def macro(answers: Iterable[Answered], field: str, *, seed: int = 0) -> MetricValue:
    """The unweighted mean over the values of a metadata field of the strict pair accuracy.

    Rule, denominator and failures within a value are those of :func:`strict_pair`; a value without any
    decision does not enter the mean. Pairs without the field form a value of their own. The interval draws
    pairs within each value. Source: VectorSpaceLab/EditScore calculate_statistics.py (over task types).
    """
    total, ties = Counts(), 0
    counts: dict[str, Counts] = {}
    means: dict[str, Mean] = {}
    for answer in distinct(answers):
        if not answer.label.decided:
            ties += 1
            continue
        value = str(answer.metadata.get(field, NO_VALUE))
        held, mean = counts.setdefault(value, Counts()), means.setdefault(value, Mean())
        for choice in answer.shown:
            held.see(choice)
            total.see(choice)
        score = _score(answer)
        if score is not None:
            mean.add(score)
    empty = sorted(value for value, mean in means.items() if not mean.cells)
    parts = [
        counts[value].value(value, wilson(*_sum(mean)), Unit.PAIRS) for value, mean in sorted(means.items())
    ]
    return total.value(
        f"macro:{field}",
        macro_rate([mean for _, mean in sorted(means.items())], seed),
        Unit.PAIRS,
        rule=f"The unweighted mean of the strict pair accuracy over the values of {field}.",
        notes=[
            some(ties, _TIED),
            f"No pair has the field {field}." if set(means) == {NO_VALUE} else "",
            f"Without a decision, and so not in the mean: {', '.join(empty)}." if empty else "",
        ],
        parts=parts,
    )


def four_class(answers: Iterable[Answered], *, seed: int = 0) -> MetricValue:
    """Exact agreement over four classes: A, B, both good, both bad.

    Rule: people's A and B need the same; a tie is met by "tie" or "both good", both bad by "tie" or "both
    bad", since a plain A=B says neither. Denominator: all pairs. Whatever is no decision is wrong, a missing
    answer too. One order: A first, as stored. Guessing gives 25 %. Wilson.
    Source: TIGER-AI-Lab/GenAI-Bench show_results.py.
    """
    counts, ratio, turned = Counts(), Ratio(), 0
    labels: Counter[Label] = Counter()
    for answer in distinct(answers):
        choice = answer.stored
        counts.see(choice)
        turned += answer.ab is Choice.NOT_ASKED
        labels[answer.label] += 1
        ratio.add(answer, _same_class(answer.label, choice), 1)
    return counts.value(
        "four-class",
        ratio.rate(seed),
        Unit.PAIRS,
        rule="The same of A, B, both good, both bad (a plain tie meets either of the last two), over all "
        "pairs, A shown first. Whatever is no decision is wrong.",
        notes=[one_order(turned), one_sided(labels)],
    )


def one_sided(labels: Mapping[Label, int]) -> str:
    """What a rule of one order must say where nearly all pairs are stored with the preferred one first."""
    first, decided = labels.get(Label.A, 0), labels.get(Label.A, 0) + labels.get(Label.B, 0)
    if decided < FEW or first < MOSTLY * decided:
        return ""
    return (
        f"A is preferred in {first} of {decided} decided pairs, so always naming the first looks good here: "
        "strict-pair tells."
    )


def one_order(turned: int) -> str:
    """What a rule of one order must say where ``turned`` pairs were shown with B first only."""
    return some(turned, "Pairs shown with B first only, which serves here")


def _same_class(label: Label, choice: Choice) -> bool:
    if label is Label.TIE:
        return choice in (Choice.TIE, Choice.BOTH_GOOD)
    if label is Label.BOTH_BAD:
        return choice in (Choice.TIE, Choice.BOTH_BAD)
    return choice.agrees(label)


def _score(answer: Answered) -> float | None:
    decisions = [choice.agrees(answer.label) for choice in answer.shown if choice.decided]
    return sum(decisions) / len(decisions) if decisions else None


def _sum(mean: Mean) -> tuple[float, int]:
    return sum(value * count for value, count in mean.cells.items()), sum(mean.cells.values())
