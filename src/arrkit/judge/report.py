"""What a measurement of a judge says: plain values, made from its counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from arrkit.judge.calibration import Calibration
from arrkit.judge.calls.totals import CallTotals
from arrkit.judge.choices import Ensemble, JudgeProtocol, Orders
from arrkit.judge.ensemble import Panel
from arrkit.judge.evaluate import Contender, Evaluation, Skipped
from arrkit.judge.meter import PairCost
from arrkit.judge.metrics import MetricValue
from arrkit.judge.protocol import Outcome
from arrkit.judge.stages import Stage
from arrkit.judge.tally import JudgeStats, PairedStats
from arrkit.rubric.model import DatasetRef


@dataclass(frozen=True, slots=True)
class Row:
    """One contender: a rubric, or the judge without one (``rubric`` is ``none``, ``digest`` empty).

    ``change`` is the paired difference to the first row, None on that row itself. ``groups[field][value]``
    holds the statistics of the pairs whose metadata say so. ``metrics`` are those asked for by name.

    ``calibration`` says how sure the judge is against how right, in each way in which it says how sure it is.
    ``stages`` are what each of several judges did, in their order; empty for a judge alone.

    ``protocol`` says how the judge came to its choices, ``cost`` what a pair took.
    """

    rubric: str
    digest: str
    stats: JudgeStats
    change: PairedStats | None = None
    groups: Mapping[str, Mapping[str, JudgeStats]] = field(default_factory=dict)
    metrics: tuple[MetricValue, ...] = ()
    calibration: tuple[Calibration, ...] = ()
    stages: tuple[Stage, ...] = ()
    protocol: JudgeProtocol = JudgeProtocol.PAIRWISE
    cost: PairCost | None = None


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """A judge measured on pairs, under each rubric.

    ``asked`` judgments were paid for in this start, ``replayed`` came from the run's journal. ``seen`` counts
    the pairs that shaped one of the rubrics: on these its accuracy is not held out. ``trouble`` is the first
    reason why a judgment decided nothing, empty where each decided. ``left_out`` counts the rows and pairs of
    the dataset that were not taken, by reason.

    Of a hosted judge, ``scoring`` counts the answers by the way in which they were asked for, ``low_mass``
    those whose probabilities are not to be relied on, and ``calls`` says what this start sent and spent.

    ``ensemble`` says how several judges decided, and is None for a judge alone.
    """

    judge: str
    dataset: DatasetRef
    orders: Orders
    tie_credit: float
    seed: int
    rows: tuple[Row, ...]
    skipped: tuple[Skipped, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    seen: int = 0
    trouble: str = ""
    asked: int = 0
    replayed: int = 0
    run: str = ""
    scoring: Mapping[str, int] = field(default_factory=dict)
    low_mass: int = 0
    calls: CallTotals | None = None
    remarks: tuple[str, ...] = ()
    ensemble: Ensemble | None = None


def make_rows(
    evaluation: Evaluation, contenders: Sequence[Contender], panel: Panel, *, tie_credit: float, seed: int
) -> tuple[Row, ...]:
    """The rows of an evaluation by ``panel``, in the order of the contenders."""
    cascade = panel.rule is Ensemble.CASCADE
    rows = []
    for i, contender in enumerate(contenders):
        groups = {
            name: {
                value: tallies[i].stats(tie_credit=tie_credit, seed=seed)
                for value, tallies in sorted(values.items())
            }
            for name, values in evaluation.groups.items()
        }
        rows.append(
            Row(
                contender.name,
                contender.digest,
                evaluation.tallies[i].stats(tie_credit=tie_credit, seed=seed),
                evaluation.paired[i].stats(tie_credit=tie_credit, seed=seed) if i else None,
                groups,
                calibration=evaluation.calibrations[i].calibrations(),
                stages=tuple(
                    tally.stage(name, cascade=cascade, tie_credit=tie_credit, seed=seed)
                    for name, tally in zip(panel.names, evaluation.stages[i], strict=True)
                )
                if evaluation.stages[i]
                else (),
                protocol=contender.protocol,
                cost=evaluation.meters[i].per_pair(evaluation.pairs),
            )
        )
    return tuple(rows)


def subject(row: Row) -> str:
    """What a row tries, to stand at the head of a sentence as its subject."""
    match row.protocol:
        case JudgeProtocol.CHECKLIST:
            return "A checklist for each prompt"
        case JudgeProtocol.PLAN_VERIFY:
            return "A plan before each comparison"
        case JudgeProtocol.WEIGHTED:
            return f"Weighted scoring by {row.rubric.removesuffix(f', {row.protocol}')}"
    return f"The rubric {row.rubric}"


def circumstance(row: Row) -> str:
    """What a row was judged under, to stand at the head of a sentence before its subject."""
    if not row.digest and row.rubric == "none":
        return "Without a rubric"
    said = subject(row)
    return f"Under {said[0].lower()}{said[1:]}"


def undecided(report: JudgeReport) -> str:
    """One sentence where judgments decided nothing, a warning where most did not; else empty."""
    rows = report.rows
    expected, decided = (sum(getattr(row.stats, name) for row in rows) for name in ("expected", "decided"))
    if decided == expected:
        return ""
    ends = ", ".join(
        f"{count} {outcome}"
        for outcome in Outcome
        if not outcome.decided and (count := sum(row.stats.outcomes[outcome] for row in rows))
    )
    first = f"The first ended as {report.trouble}."
    if decided * 2 >= expected:
        return f"{expected - decided} of {expected} judgments decided nothing ({ends}). {first}"
    return (
        f"Warning: {expected - decided} of {expected} judgments decided nothing ({ends}), so these numbers "
        f"say little of this judge. {first}"
    )


UNCLEAR = 0.3
"""A gap whose interval is wider than this and holds 0 says nothing either way."""


def bias_verdict(row: Row) -> str:
    """One sentence on the position bias of a row, for people.

    The gap between forward and reverse accuracy is called none where its interval holds 0, small below 10
    points, marked below 30, severe from there.
    """
    if row.protocol.pointwise:
        return f"{circumstance(row)} each image is scored by itself, so that no order can matter."
    gap, consistency = row.stats.gap, row.stats.consistency
    name = circumstance(row)
    if gap is None or consistency is None:
        return f"{name} there are too few answers to speak of position bias."
    favoured = "first" if gap.value > 0 else "second"
    size = abs(gap.value) * 100
    again = f"it names the same image in both orders for {consistency.value * 100:.0f} % of the pairs"
    if gap.low <= 0 <= gap.high and gap.high - gap.low > UNCLEAR:
        return f"{name} too few pairs tell whether the order decides (gap {gap.value * 100:+.1f} points)."
    if gap.low <= 0 <= gap.high:
        return f"{name} no position bias shows (gap {gap.value * 100:+.1f} points); {again}."
    word = "a small" if size < 10 else "a marked" if size < 30 else "a severe"
    return f"{name} the judge has {word} bias for the image shown {favoured} ({size:.1f} points); {again}."
