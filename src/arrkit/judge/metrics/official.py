"""Each dataset's own metric: what counts, and what becomes of ties and failures, as its authors count it.

:data:`OFFICIAL` maps a rule's name, which is its dataset's, to the rule. A third party's plug-in names one of
these, or any metric, in ``DatasetPlugin.official``. Where the authors say nothing of failures (their scorers
cannot fail) these are left out and counted, as everywhere in arrkit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from arrkit.judge.answered import Answered
from arrkit.judge.metrics.groups import (
    Group,
    not_whole,
    per_prompt_inversion,
    rank_exact,
)
from arrkit.judge.metrics.pairs import both_orders, four_class, macro, one_order, strict_pair
from arrkit.judge.metrics.ties import calibrate, sign, tie_credit
from arrkit.judge.metrics.value import Counts, MetricValue, Unit, distinct
from arrkit.judge.stats import wilson


def mmrb2(answers: Iterable[Answered], *, seed: int = 0) -> MetricValue:
    """Judgment accuracy over both orders, of each task and pooled over all: :func:`both_orders` of each.

    The pooled value is all right judgments over all present ones, which equals the mean of the tasks only
    where all are complete. A tie and an answer that is none of the choices are wrong; a missing, failed or
    unreadable judgment is left out of numerator and denominator.
    Source: facebookresearch/MMRB2 evaluate/compute_scores/compute_accuracy.py.
    """
    held = list(answers)
    return replace(
        both_orders(held, seed=seed), parts=_parts(held, _task, lambda part: both_orders(part, seed=seed))
    )


def _task(answer: Answered) -> str:
    # Two of the set's four configurations are one task to arrkit.
    return str(answer.metadata.get("config", answer.task or ""))


def editreward_bench(answers: Iterable[Answered], *, seed: int = 0) -> MetricValue:  # noqa: ARG001 - all alike
    """K = 2 by three-class accuracy, K = 3 and 4 by whole groups; overall right groups over all groups.

    Rule: one order, A first; a pair is right where people say the same, ties included. K = 2: right over the
    pairs with an answer; an unreadable one is wrong, a failed or missing one is left out. K > 2: a group is
    right where all of its K(K-1)/2 answers are there and right, over groups with at least one answer.
    Overall: the right ones of all, over all groups (484 in the set), so that a failure cannot raise it.
    With scores, a pair of K = 2 that people call a tie is right where ``|margin|`` is within the threshold
    that is best for all pairs of K = 2 (on the same data); other pairs go by the sign of the margin.
    K is ``num_candidates`` of the metadata, else what the number of pairs says. Wilson over groups.
    Sources: TIGER-AI-Lab/EditReward inference_{2,3,4}pair_hf.py, eval_bench.py, evaluate/README.md.
    """
    total, turned = Counts(), 0
    counts: dict[tuple[bool, str], Counts] = {}
    groups: dict[tuple[bool, str], Group] = {}
    sizes: dict[tuple[bool, str], int] = {}
    scored: list[tuple[tuple[bool, str], float, int]] = []
    for answer in distinct(answers):
        unit, choice = answer.unit, answer.stored
        group = groups.setdefault(unit, Group())
        total.see(choice)
        counts.setdefault(unit, Counts()).see(choice)
        turned += answer.margin is None and answer.ab.value == "not_asked"
        group.pairs += 1
        group.answered += choice.came
        group.right += choice.agrees(answer.label)
        named = answer.metadata.get("num_candidates")
        if isinstance(named, int):
            sizes[unit] = named
        if answer.margin is not None:
            scored.append((unit, answer.margin, sign(answer)))
    for unit, group in groups.items():
        sizes.setdefault(unit, _at_least(group.pairs))
    doubles = [(unit, margin, said) for unit, margin, said in scored if sizes[unit] == 2]
    threshold = (
        calibrate([m for _, m, _ in doubles], [s for _, _, s in doubles]).threshold if doubles else 0.0
    )
    for unit, margin, said in doubles:
        groups[unit].right = int(abs(margin) <= threshold if said == 0 else margin * said > 0)
    right = {unit: _right(group, sizes[unit]) for unit, group in groups.items()}
    parts = []
    for size in sorted(set(sizes.values())):
        those = [unit for unit in groups if sizes[unit] == size]
        tried = [unit for unit in those if groups[unit].answered]
        rate = wilson(sum(right[unit] for unit in tried), len(tried))
        seen = _summed(counts[unit] for unit in those)
        parts.append(seen.value(f"K={size}", rate, Unit.GROUPS if size > 2 else Unit.PAIRS))
    return total.value(
        "editreward-bench",
        wilson(sum(right.values()), len(groups)),
        Unit.GROUPS,
        rule="Right groups over all groups, A shown first: K = 2 by A, B, tie, K > 2 where all pairs are "
        "right. An unreadable answer is wrong, and in this overall value a missing one too.",
        notes=[
            one_order(turned),
            f"Threshold for ties {threshold:.6g}, tuned on these same pairs." if doubles else "",
            not_whole(sum(group.pairs != _pairs_of(sizes[unit]) for unit, group in groups.items())),
        ],
        parts=parts,
    )


def _at_least(pairs: int) -> int:
    return next(k for k in range(2, pairs + 2) if k * (k - 1) // 2 >= pairs)


def _right(group: Group, size: int) -> bool:
    return group.right == group.pairs == _pairs_of(size)


def _pairs_of(size: int) -> int:
    return size * (size - 1) // 2


def _summed(counts: Iterable[Counts]) -> Counts:
    total = Counts()
    for each in counts:
        total.expected += each.expected
        total.judged += each.judged
        total.missing += each.missing
        total.unparsed += each.unparsed
    return total


def editscore_bench(answers: Iterable[Answered], *, seed: int = 0) -> MetricValue:
    """For each dimension the unweighted mean over the task types of the strict pair accuracy.

    Rule: right where the preferred edit scores strictly higher; a tie is wrong. The source has no failures;
    they are left out. The headline is that of the dimension ``overall``; without it there is one only where
    there is a single dimension. Source: VectorSpaceLab/EditScore evaluation.py, calculate_statistics.py.
    """
    held = list(answers)
    parts = _parts(
        held,
        lambda answer: str(answer.metadata.get("dimension", "overall")),
        lambda part: macro(part, "task_type", seed=seed),
    )
    head = next((part for part in parts if part.name == "overall"), parts[0] if len(parts) == 1 else None)
    # Without a headline the counts are those of all dimensions together.
    return replace(
        head or replace(macro(held, "task_type", seed=seed), rate=None),
        name="editscore-bench",
        rule="The unweighted mean over task types of how often the preferred edit is named, in the dimension "
        "overall. Ties are wrong, judgments without a decision are left out.",
        note=head.note if head else "There is one value for each dimension and none over all.",
        parts=parts,
    )


def _parts(
    answers: Iterable[Answered],
    name: Callable[[Answered], str],
    metric: Callable[[Iterable[Answered]], MetricValue],
) -> tuple[MetricValue, ...]:
    held: dict[str, list[Answered]] = {}
    for answer in answers:
        held.setdefault(name(answer), []).append(answer)
    return tuple(replace(metric(part), name=each, rule="") for each, part in sorted(held.items()))


def unpublished(answers: Iterable[Answered], *, seed: int = 0) -> MetricValue:
    """The strict pair accuracy, for a set whose authors publish no metric."""
    value = strict_pair(answers, seed=seed)
    said = "Its authors publish no metric; this is strict-pair."
    return replace(value, note=f"{said} {value.note}".strip())


@dataclass(frozen=True, slots=True)
class Rule:
    """A dataset's own metric: the function, and the metadata fields that it reads."""

    metric: Callable[..., MetricValue]
    fields: tuple[str, ...] = ()


OFFICIAL: Mapping[str, Rule] = {
    "native": Rule(rank_exact),
    "hpdv3": Rule(strict_pair),
    "hpdv3-plusplus": Rule(strict_pair),
    "mmrb2": Rule(mmrb2, ("config",)),
    "editreward-bench": Rule(editreward_bench, ("num_candidates",)),
    "editscore-bench": Rule(editscore_bench, ("dimension", "task_type")),
    "editreward-data": Rule(unpublished),
    "pickapic": Rule(tie_credit),
    "imagerewarddb": Rule(strict_pair),
    "hpdv2": Rule(per_prompt_inversion),
    "genai-bench": Rule(four_class),
    "rapidata": Rule(unpublished),
    "shapes": Rule(strict_pair),
}
"""The rule of each dataset by the dataset's name."""
