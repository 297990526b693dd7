"""Show pairs to a judge, in the orders asked for, under each rubric, and count what it says.

Pairs are streamed: what is held in memory is the pairs under way, the counts, and a bounded sample of cases
for the report.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from arrkit.concurrency import run_bounded, together
from arrkit.data.filters import field_text
from arrkit.data.pairs import ImageUnreadable, Label, PreferencePair
from arrkit.errors import InputError
from arrkit.judge.answered import Answered, Choice, answered, choice_of
from arrkit.judge.calibration import CalibrationTally, pair_weights
from arrkit.judge.choices import Orders
from arrkit.judge.ensemble import Panel
from arrkit.judge.judged import Judged
from arrkit.judge.meter import Meter
from arrkit.judge.protocol import Order
from arrkit.judge.protocols.asking import judge_under
from arrkit.judge.protocols.contender import Contender
from arrkit.judge.session import JudgeSession
from arrkit.judge.stages import StageTally
from arrkit.judge.tally import PairedTally, Tally
from arrkit.rubric.model import SHORT_DIGEST

__all__ = ["MAX_GROUPS", "Case", "Contender", "Evaluation", "Skipped", "judge_pairs", "presentations"]

MAX_GROUPS = 100
"""How many values a field of ``--by`` may take before the breakdown is refused as unreadable."""


@dataclass(frozen=True, slots=True)
class Case:
    """One judged pair, with what was said under each contender, in their order."""

    pair: PreferencePair
    judged: tuple[Judged, ...]

    def trouble(self) -> str:
        """Why the first presentation that decided nothing did not; empty where each decided."""
        undecided = (
            verdict for judged in self.judged for _, verdict in judged.shown if not verdict.outcome.decided
        )
        return next(
            (f"{each.outcome}: {each.detail}" if each.detail else str(each.outcome) for each in undecided), ""
        )

    def telling(self) -> int:
        """How telling it is under the last contender: 3 failed, 2 flipped, 1 wrong, 0 right."""
        choices = self.judged[-1].choices
        if None in choices:
            return 3
        if choices >= {Label.A, Label.B}:
            return 2
        return int(self.pair.label.decided and choices != {self.pair.label})


@dataclass(frozen=True, slots=True)
class Skipped:
    """A pair that was not judged since one of its images could not be read."""

    origin: str
    reason: str


@dataclass(slots=True)
class Evaluation:
    """The counts of one evaluation: a tally for each contender, in their order.

    ``paired[i]`` compares contender ``i`` with the first; ``groups[field][value][i]`` is the tally of the
    pairs whose metadata say so. ``digest`` is over the digests of all pairs judged, in order. ``shaped``
    counts the pairs that a rubric was built from. ``cases`` is the bounded sample, most telling first.
    ``trouble`` is the first reason, in the order of the data, why a judgment decided nothing.
    ``calibrations[i]`` compares what contender ``i`` made the judge say with people's votes; ``stages[i][j]``
    counts what judge ``j`` of several said under it, and is empty for a judge alone. ``meters[i]`` counts
    what contender ``i`` takes.
    """

    tallies: list[Tally]
    paired: list[PairedTally]
    groups: dict[str, dict[str, list[Tally]]]
    skipped: list[Skipped]
    cases: list[Case]
    calibrations: list[CalibrationTally]
    stages: list[list[StageTally]]
    meters: list[Meter]
    pairs: int = 0
    shaped: int = 0
    digest: str = ""
    trouble: str = ""


def presentations(pair: PreferencePair, orders: Orders, seed: int) -> tuple[Order, ...]:
    """The orders in which ``pair`` is shown; for ``both`` and ``random`` the label plays no part."""
    if orders is Orders.BOTH:
        return (Order.AB, Order.BA)
    if orders is Orders.RANDOM:
        drawn = hashlib.sha256(f"{seed}/{pair.id}".encode()).digest()[0] & 1
        return (Order.BA,) if drawn else (Order.AB,)
    preferred_first = Order.BA if pair.label is Label.B else Order.AB
    other = Order.AB if preferred_first is Order.BA else Order.BA
    return (preferred_first,) if orders is Orders.FORWARD else (other,)


async def judge_pairs(
    judge: JudgeSession | Panel,
    pairs: Iterable[PreferencePair],
    contenders: Sequence[Contender],
    *,
    orders: Orders = Orders.BOTH,
    by: Sequence[str] = (),
    seed: int = 0,
    window: int = 16,
    strict: bool = False,
    keep_cases: int = 0,
    shaped: Collection[str] = (),
    on_pair: Callable[[Evaluation], None] = lambda _: None,
    on_saved: Callable[[Answered], None] = lambda _: None,
) -> Evaluation:
    """Judge every pair under every contender and return the counts.

    Args:
        judge: who is asked, or several that decide together.
        by: metadata fields to break the counts down by.
        window: how many pairs may be under way at once.
        strict: raise on the first unreadable image instead of skipping its pair.
        keep_cases: how many judged pairs to keep for the report, most telling first: failed, flipped, wrong,
            right; in the order of the data among equals.
        shaped: short digests of pairs that shaped a rubric (``Provenance.build_pairs``); how many of them
            turn up is counted.
        on_pair: called after each pair with the counts so far.
        on_saved: called with each judgment as it is to be saved, in the order of the data, the contenders of
            a pair in theirs; the judgments of a pair whose image cannot be read are missing ones.

    Raises:
        InputError: with ``strict``, an unreadable image; a field of ``by`` with too many values.
    """
    panel = judge if isinstance(judge, Panel) else Panel((judge,))
    meters = [Meter() for _ in contenders]
    evaluation = Evaluation(
        [Tally() for _ in contenders],
        [PairedTally() for _ in contenders],
        {f: {} for f in by},
        [],
        [],
        [CalibrationTally() for _ in contenders],
        [[StageTally(meter) for _ in panel.sessions] if panel.rule else [] for meter in meters],
        meters,
    )
    # A heap whose smallest entry is the case to drop first: the least telling, and among equals the latest.
    sample: list[tuple[int, int, Case]] = []
    finished: dict[int, tuple[str, list[Answered]]] = {}
    content = hashlib.sha256()
    next_finished = 0
    first_trouble = sys.maxsize

    turns = asyncio.Lock()

    async def looked_at(pair: PreferencePair) -> None:
        # Images of several pairs are read at once, but pairs go on in the order of the data, so that a judge
        # is asked in the same order each time.
        looking = asyncio.gather(panel.prepare(pair.pictures), return_exceptions=True)
        async with turns:
            (trouble,) = await looking
        if trouble is not None:
            raise trouble

    async def judge_one(pair: PreferencePair) -> Case | None:
        shown = presentations(pair, orders, seed)
        try:
            await looked_at(pair)
            judged = await together(
                panel.judge(
                    partial(judge_under, pair=pair, contender=each, shown=shown),
                    [stage.meter for stage in stages] or [meter],
                )
                for each, meter, stages in zip(contenders, meters, evaluation.stages, strict=True)
            )
        except ImageUnreadable as error:
            if strict:
                raise InputError(f"{pair.origin or pair.id}: {error}") from error
            evaluation.skipped.append(Skipped(pair.origin or pair.id, str(error)))
            return None
        return Case(pair, tuple(judged))

    def count(index: int, case: Case) -> None:
        nonlocal first_trouble
        trouble = case.trouble()
        if trouble and index < first_trouble:
            first_trouble, evaluation.trouble = index, trouble
        evaluation.pairs += 1
        evaluation.shaped += case.pair.digest[:SHORT_DIGEST] in shaped
        label = case.pair.label
        cells = [
            tally.add(label, judged.ab, judged.ba)
            for tally, judged in zip(evaluation.tallies, case.judged, strict=True)
        ]
        for paired, cell in zip(evaluation.paired, cells, strict=True):
            paired.add(cells[0], cell)
        weights = pair_weights(case.pair, seed)
        for calibration, judged in zip(evaluation.calibrations, case.judged, strict=True):
            calibration.add(case.pair, judged, weights)
        for stages, judged in zip(evaluation.stages, case.judged, strict=True):
            for place, stage in enumerate(stages):
                stage.add(label, judged.stages[place], settled=judged.settled == place)
        for name in by:
            group = _group(evaluation, case.pair, name, len(contenders))
            for tally, judged in zip(group, case.judged, strict=True):
                tally.add(label, judged.ab, judged.ba)
        if keep_cases:
            heapq.heappush(sample, (case.telling(), -index, case))
            if len(sample) > keep_cases:
                heapq.heappop(sample)

    async def handle(index: int, pair: PreferencePair) -> None:
        nonlocal next_finished
        case = await judge_one(pair)
        if case is None:
            finished[index] = "", _unread(pair, presentations(pair, orders, seed), contenders)
        else:
            finished[index] = pair.digest, _saved(case, contenders)
        pair.release()
        while next_finished in finished:
            seen, saved = finished.pop(next_finished)
            content.update(seen.encode())
            for each in saved:
                on_saved(each)
            next_finished += 1
        if case is not None:
            count(index, case)
        on_pair(evaluation)

    await run_bounded((handle(i, pair) for i, pair in enumerate(pairs)), window)
    evaluation.digest = content.hexdigest()
    evaluation.skipped.sort(key=lambda skipped: skipped.origin)
    evaluation.cases = [case for _, _, case in sorted(sample, key=lambda entry: entry[:2], reverse=True)]
    return evaluation


def _saved(case: Case, contenders: Sequence[Contender]) -> list[Answered]:
    return [
        _scored(case.pair, judged, contender)
        if contender.protocol.pointwise
        else answered(
            case.pair, choice_of(Order.AB, judged.ab), choice_of(Order.BA, judged.ba), rubric=contender.name
        )
        for contender, judged in zip(contenders, case.judged, strict=True)
    ]


def _scored(pair: PreferencePair, judged: Judged, contender: Contender) -> Answered:
    # Scores know no order: one choice, and the margin that it rests on.
    ((order, verdict),) = judged.shown[:1]
    return answered(pair, choice_of(order, verdict), rubric=contender.name, margin=judged.margin)


def _unread(pair: PreferencePair, shown: Sequence[Order], contenders: Sequence[Contender]) -> list[Answered]:
    ab, ba = (Choice.MISSING if order in shown else Choice.NOT_ASKED for order in (Order.AB, Order.BA))
    return [
        answered(pair, Choice.MISSING, rubric=each.name)
        if each.protocol.pointwise
        else answered(pair, ab, ba, rubric=each.name)
        for each in contenders
    ]


def _group(evaluation: Evaluation, pair: PreferencePair, name: str, contenders: int) -> list[Tally]:
    values = evaluation.groups[name]
    value = field_text(pair, name)
    if value not in values:
        if len(values) == MAX_GROUPS:
            raise InputError(
                f'field "{name}" takes more than {MAX_GROUPS} values',
                hint="Break down by a field with fewer, or leave --by out.",
            )
        values[value] = [Tally() for _ in range(contenders)]
    return values[value]
