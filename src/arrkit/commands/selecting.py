"""``rubric build --select``: which verified criteria to keep, and accuracy against how many are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from arrkit.commands.judges import Bench
from arrkit.commands.options import BuildOptions, Select
from arrkit.commands.seeds import Split, split_pairs
from arrkit.data.pairs import ImageUnreadable, PreferencePair, Task
from arrkit.errors import InputError
from arrkit.judge.paper import PaperSession, stand_ins
from arrkit.judge.protocol import Order
from arrkit.progress import Progress, Watch
from arrkit.rubric.lint import mentions_position
from arrkit.rubric.model import SHORT_DIGEST, Rate
from arrkit.rubric.selection import (
    Floats,
    Pooled,
    ask_batches,
    ask_leads,
    best_prefix,
    coding_order,
    combined_rates,
    embed_statements,
    greedy_order,
    support_order,
    support_weights,
)

SHARE = 0.3
"""The share of the pairs to learn from that greedy selection keeps for itself."""

POOL = 60
"""How many criteria are chosen from at the most: the best supported ones."""

SIZES = (1, 5, 10, 20)
"""Numbers of criteria that the report measures, as published ablations of rubrics do."""


@dataclass(frozen=True, slots=True)
class SizeRow:
    """Accuracy with the first ``criteria`` of the order. None where there are no pairs to say.

    ``seen`` is that on the pairs which greedy selection went by, ``held_out`` that on the pairs held back,
    ``both_right`` the share of these right in both orders. ``support`` is the accuracy on the pairs held back
    of as many criteria with the most source pairs: what choosing by another rule is to beat.
    """

    criteria: int
    seen: Rate | None
    held_out: Rate | None
    both_right: Rate | None
    support: Rate | None


@dataclass(frozen=True, slots=True)
class SelectionReport:
    """How criteria were chosen: ``kept`` of ``considered``, which are of ``pool`` verified ones.

    ``selection_pairs`` were kept from learning to choose by, ``missing`` pairs of these and of the ones held
    back have no place in the rates, since an answer or an image was missing. ``space`` is what statements
    were embedded by, empty for greedy.
    """

    method: Select
    pool: int
    considered: int
    kept: int
    selection_pairs: int
    missing: int
    space: str
    rows: tuple[SizeRow, ...]


@dataclass(slots=True)
class Selection:
    """The choice of one build: made between verifying and structuring, measured afterwards."""

    options: BuildOptions
    bench: Bench
    deciding: tuple[PreferencePair, ...]
    held_out: tuple[PreferencePair, ...]
    watch: Watch
    _pool: list[Pooled] = field(default_factory=list)
    _verified: int = 0
    _order: list[int] = field(default_factory=list)
    _kept: int = 0
    _seen: Floats | None = None
    _missing: int = 0
    _space: str = ""

    @property
    def shaped(self) -> tuple[str, ...]:
        """Short digests of the pairs that selection went by."""
        found = []
        for pair in self.deciding:
            try:
                found.append(pair.digest[:SHORT_DIGEST])
            except ImageUnreadable:
                continue
            finally:
                pair.release()
        return tuple(found)

    async def choose(self, verified: Sequence[Pooled]) -> list[int]:
        """Which of the verified criteria the rubric is made of, as indices in the order of choice."""
        seed, most = self.options.seed, max(self.options.top, *SIZES)
        # A criterion that speaks of an image's position would be dropped afterwards, and leave a gap.
        fit = [index for index, each in enumerate(verified) if not mentions_position(each.draft.statement)]
        if not fit:
            return list(range(len(verified)))
        considered = [index for index in support_order(verified, seed) if index in fit][:POOL]
        self._pool, self._verified = [verified[index] for index in considered], len(verified)
        weights = support_weights(self._pool)
        if self.options.select is Select.GREEDY:
            self._seen = await self._ask(self.deciding, self._pool, "selecting criteria")
            self._order = greedy_order(self._seen, weights, most, seed=seed)
            self._kept = best_prefix(self._seen, weights, self._order, self.options.top)
        else:
            rows, self._space = embed_statements(self._pool, seed)
            self._order = coding_order(rows, support_order(self._pool, seed), most)
            self._kept = min(self.options.top, len(self._order))
        return [considered[index] for index in self._order[: self._kept]]

    async def measure(self) -> SelectionReport:
        """Accuracy against the number of criteria, on the pairs held back that people decided."""
        decided = [pair for pair in self.held_out if pair.label.decided]
        by_support = support_order(self._pool, self.options.seed)[: len(self._order)]
        needed = sorted({*self._order, *by_support})
        held: Floats | None = None
        if decided:
            held = await self._ask(
                decided, [self._pool[index] for index in needed], "measuring numbers of criteria"
            )
        weights = support_weights(self._pool)
        place = {index: at for at, index in enumerate(needed)}
        rows = []
        for size in sorted({*SIZES, self._kept}):
            if size > len(self._order):
                continue
            seen = None if self._seen is None else combined_rates(self._seen, weights, self._order[:size])
            chosen, plain = (
                None
                if held is None
                else combined_rates(held, weights[needed], [place[index] for index in order[:size]])
                for order in (self._order, by_support)
            )
            rows.append(
                SizeRow(
                    size,
                    seen and seen[0],
                    chosen and chosen[0],
                    chosen and chosen[1],
                    plain and plain[0],
                )
            )
        return SelectionReport(
            self.options.select,
            self._verified,
            len(self._pool),
            self._kept,
            len(self.deciding),
            self._missing,
            self._space,
            tuple(rows),
        )

    async def _ask(self, pairs: Sequence[PreferencePair], pool: Sequence[Pooled], stage: str) -> Floats:
        leads = await ask_leads(
            self.bench.session,
            pairs,
            [each.draft for each in pool],
            window=self.bench.window,
            strict=self.options.strict,
            on_pair=lambda done: self.watch(Progress(stage, done, len(pairs))),
        )
        self._missing += leads.missing
        return leads.values


def divide_build(
    options: BuildOptions, task: Task, split: Split
) -> tuple[tuple[PreferencePair, ...], tuple[PreferencePair, ...]]:
    """The pairs to learn from and those that selection goes by, whole prompts on either side.

    Only greedy selection goes by any.

    Raises:
        InputError: there are not enough prompts for both.
    """
    if options.select is not Select.GREEDY:
        return split.build, ()
    parts = split_pairs(split.build, task, holdout=SHARE, seed=options.seed)
    if not parts.build or not parts.held_out:
        raise InputError(
            f"--select greedy keeps {SHARE:.0%} of the pairs to choose by, and {len(split.build)} of too few "
            "prompts cannot be divided",
            hint="Give pairs of more prompts, or pass --select mcr2, which goes by no pairs.",
        )
    return parts.build, parts.held_out


async def forecast_selection(
    session: PaperSession,
    deciding: Sequence[PreferencePair],
    held_out: Sequence[PreferencePair],
    verified: int,
    options: BuildOptions,
) -> None:
    """Ask on paper what :class:`Selection` would ask if ``verified`` criteria passed, all different."""
    considered = min(POOL, verified)
    # The order chosen and the one by support need have nothing in common.
    measured = min(considered, 2 * max(options.top, *SIZES))
    decided = [pair for pair in held_out if pair.label.decided]
    for pairs, count in ((deciding, considered), (decided, measured)):
        for pair in pairs:
            try:
                for order in Order:
                    await ask_batches(session, pair, order, stand_ins(count))
            except ImageUnreadable:
                pass  # the build itself will count it
            finally:
                pair.release()


def selection_notes(report: SelectionReport) -> tuple[str, ...]:
    """What a reader must know of the choice and of the table."""
    pooled = f" of the {report.considered} best supported" if report.considered < report.pool else ""
    if report.method is Select.GREEDY:
        how = (
            f"added one at a time so that the most of {report.selection_pairs} pairs, which nothing was "
            "learned from, are right in both orders"
        )
    else:
        how = (
            "added one at a time so that the coding rate of their statements grows most "
            f"({report.space}): this makes them differ in their words, and asks no judge which are right"
        )
    count = "1 criterion was kept" if report.kept == 1 else f"{report.kept} criteria were kept"
    said = [
        (
            f"{count}{pooled} of {report.pool} verified ones, {how}. Structuring may "
            "fold some of them into one."
        ),
        (
            "The accuracies against the number of criteria combine by weight what the judge found of each "
            "criterion, and are no verdicts under a rubric of that size; a sum of 0 is a tie and earns 0.5."
        ),
    ]
    if report.method is Select.GREEDY:
        said.append("On the pairs that the choice went by, accuracy is too high; those held back say more.")
    if report.missing:
        said.append(f"{report.missing} pairs are left out of it, since an answer or an image was missing.")
    return tuple(said)
