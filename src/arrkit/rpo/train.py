"""A training run from its first update to its last: rollouts, what is logged, checkpoints, comparisons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from arrkit.canonical import Json
from arrkit.errors import RunError
from arrkit.progress import Progress, Watch
from arrkit.rpo import checkpoint
from arrkit.rpo.grading import Grading, verdict_of
from arrkit.rpo.log import Metrics, Trackers
from arrkit.rpo.optimiser import Strikes
from arrkit.rpo.policy import Policy
from arrkit.rpo.processes import LostError
from arrkit.rpo.rollout import AstrayError
from arrkit.rpo.trainer import Judgment, Trainer
from arrkit.serial import to_json

Compare = Callable[[int], Mapping[str, Json]]
"""Compares the policy as it is with the base, after so many updates; what is to be logged of it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How far a run goes, and what is done on the way; counted in updates. 0 is never."""

    max_steps: int
    checkpoint_every: int
    keep: int
    compare_every: int
    max_bad: int


class Run:
    """What makes rollouts until the plan is fulfilled. Every process has one.

    Args:
        folder: the run folder; the first process writes into it.
        marks: what must agree with the run that a checkpoint is taken up by.
        compare: see :data:`Compare`; called on all processes.
        watch, notice: are told of the progress, and of each update that was skipped for bad numbers.
        halt: says why the run should end before its time, or nothing; the same on all processes.

    ``halted`` is what it said.
    """

    def __init__(
        self,
        trainer: Trainer,
        folder: Path,
        plan: Plan,
        *,
        marks: Mapping[str, Json],
        compare: Compare | None,
        trackers: Trackers | None,
        watch: Watch,
        notice: Callable[[str], None] = lambda _: None,
        halt: Callable[[], str] = str,
    ) -> None:
        self.trainer = trainer
        self.folder = folder
        self.plan = plan
        self.marks = marks
        self.compare = compare
        self.trackers = trackers
        self.watch = watch
        self.notice = notice
        self.halt = halt
        self.halted = ""
        self.counts = {"decided": 0, "ties": 0, "failed": 0}
        self._saved = 0
        self._strikes = Strikes(plan.max_bad)

    def take_up(self, found: checkpoint.Checkpoint) -> None:
        """Go on from a checkpoint. Raises :class:`~arrkit.errors.InputError` where it does not fit."""
        checkpoint.restore(found, self._training(), marks=self.marks, processes=self.trainer.processes)
        self.trainer.updates = self._saved = found.step
        self.trainer.rollouts = int(str(found.position["rollouts"]))

    def go(self) -> None:
        """Train until the plan is fulfilled, and save.

        Raises:
            RunError: the run cannot go on; what was reached is in a checkpoint.
        """
        trainer, main = self.trainer, self.trainer.processes.is_main
        metrics = Metrics(self.folder / "metrics.jsonl", after=trainer.updates) if main else None
        judgments = Metrics(self.folder / "judgments.jsonl", after=trainer.updates) if main else None
        try:
            self._tell()
            while trainer.updates < self.plan.max_steps:
                self.halted = self.halt()
                if self.halted:
                    break
                self._once(metrics, judgments)
            self.save()
        except RunError as error:
            raise self._stopped(error) from error
        finally:
            if metrics is not None:
                metrics.close()
            if judgments is not None:
                judgments.close()
            if self.trackers is not None:
                self.trackers.close()

    def _once(self, metrics: Metrics | None, judgments: Metrics | None) -> None:
        before = self.trainer.updates
        done = self.trainer.advance()
        self._count(done.judgments)
        after = self.trainer.updates
        if judgments is not None:
            for name, prompt, grading in done.judgments:
                judgments.write(after, {"pair": name, "prompt": prompt, **_told(grading)})
        compared = self._compared(before, after)
        for row, update in zip(done.rows, done.updates, strict=True):
            step = int(row.pop("update"))
            whole: dict[str, Json] = {**row, **(compared if step == after else {})}
            if update.skipped:
                whole["why"] = update.skipped
            if metrics is not None:
                metrics.write(step, whole)
            if self.trackers is not None:
                self.trackers.write(step, whole)
            if update.bad:
                self.notice(f"Update {step} was skipped: {update.skipped}")
            self._strikes.note(update, step)
        if _passed(self.plan.checkpoint_every, before, after):
            self.save()
        self._tell()
        self.trainer.budget.check()

    def _compared(self, before: int, after: int) -> Mapping[str, Json]:
        last = after >= self.plan.max_steps
        if self.compare is None or not (last or _passed(self.plan.compare_every, before, after)):
            return {}
        with self.averaged():
            return self.compare(after)

    def averaged(self) -> AbstractContextManager[None]:
        """The average adapter in place of the last one, where the recipe keeps one."""
        average = self.trainer.average
        return nullcontext() if average is None else average.swapped()

    def save(self) -> None:
        """Write a checkpoint of what was reached, unless there is one."""
        trainer = self.trainer
        if self._saved == trainer.updates and trainer.updates:
            return
        checkpoint.save(
            self.folder,
            trainer.updates,
            self._training(),
            position={"rollouts": trainer.rollouts},
            marks=self.marks,
            write_adapter=self._write_adapter,
            processes=trainer.processes,
            keep=self.plan.keep,
        )
        self._saved = trainer.updates

    def _write_adapter(self, folder: Path) -> None:
        with self.averaged():
            self.policy.save(folder)

    @property
    def policy(self) -> Policy:
        """The policy that is trained."""
        return self.trainer.policy

    def _training(self) -> checkpoint.Training:
        return checkpoint.Training(self.trainer.parameters, self.trainer.optimiser, self.trainer.average)

    def _stopped(self, error: RunError) -> RunError:
        """The same error, once what was reached is saved; with both reasons where that fails too."""
        if not self.trainer.updates or isinstance(error, LostError | AstrayError):
            return error
        try:
            self.save()
        except LostError:
            return error
        except RunError as second:
            return RunError([*error.problems, *second.problems])
        return error

    def _count(self, judgments: list[Judgment]) -> None:
        for _, _, grading in judgments:
            self.counts[verdict_of(grading, self.trainer.recipe, self.trainer.referee.weights)] += 1

    def _tell(self) -> None:
        if self.trainer.processes.is_main:
            self.watch(Progress("train", self.trainer.updates, self.plan.max_steps, dict(self.counts)))


def _told(grading: Grading) -> dict[str, Json]:
    """A judgment as it is written down: the one ruling on a pair, or all answers on a group."""
    if len(grading.rulings) == 1 and not grading.grades:
        return {"ruling": to_json(grading.rulings[0])}
    return {"grading": to_json(grading)}


def _passed(every: int, before: int, after: int) -> bool:
    return bool(every) and after // every > before // every
