"""The run of ``rpo train``: conditions, weights, updates, and what is written at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arrkit.canonical import Json
from arrkit.commands.rpo_train import ZERO_SHOT_CRITERIA, Notice, Prepared, TrainReport
from arrkit.data.prompts import Prompt
from arrkit.errors import InputError
from arrkit.progress import Watch
from arrkit.rpo.alarm import Alarm
from arrkit.rpo.checkpoint import Checkpoint, differences, latest, read
from arrkit.rpo.encode import encode_all
from arrkit.rpo.feed import Feed
from arrkit.rpo.heldout import HeldOut
from arrkit.rpo.history import History
from arrkit.rpo.kernel import nats, transitions
from arrkit.rpo.log import Trackers
from arrkit.rpo.lora import add_adapter
from arrkit.rpo.options import RubricMode
from arrkit.rpo.placing import dtype_for, settle_threads, settle_transformer
from arrkit.rpo.policy import Condition, Part
from arrkit.rpo.processes import Processes
from arrkit.rpo.recipe import Trust, Window
from arrkit.rpo.reward import Referee
from arrkit.rpo.rollout import grid_for, seed_of
from arrkit.rpo.ruling import Candidates, FailureBudget
from arrkit.rpo.train import Plan, Run
from arrkit.rpo.trainer import Trainer

if TYPE_CHECKING:
    from concurrent.futures import Future

    from arrkit.commands.judges import Bench
    from arrkit.rpo.ruling import Ruling


def run(
    prepared: Prepared,
    folder: Path,
    processes: Processes,
    *,
    started_at: str,
    watch: Watch,
    notice: Notice,
) -> TrainReport:
    """Train, save and report; see :func:`~arrkit.commands.rpo_train.train_policy`."""
    began = time.monotonic()
    found = _checkpoint(prepared, folder, processes, notice)
    quiet: Notice = notice if processes.is_main else lambda _: None
    with prepared.judge.at_work() as bench, _referee(prepared, bench, quiet) as referee:
        processes.on_main(lambda: referee.check(prepared.policy.task))
        at_work = _AtWork(prepared, folder, processes, referee, watch, quiet)
        at_work.train(found)
        return processes_report(at_work, bench, started_at, time.monotonic() - began)


def _referee(prepared: Prepared, bench: Bench, notice: Notice) -> Referee:
    zero_shot = prepared.options.rubric_mode is RubricMode.ZERO_SHOT
    return Referee(
        bench.session,
        prepared.rubric.rubric.dimensions if prepared.rubric else (),
        zero_shot=ZERO_SHOT_CRITERIA if zero_shot else 0,
        window=prepared.options.concurrency,
        totals=bench.totals,
        revive=bench.revive,
        notice=notice,
    )


def _checkpoint(prepared: Prepared, folder: Path, processes: Processes, notice: Notice) -> Checkpoint | None:
    """The checkpoint to go on from, the same on all processes."""

    def look() -> Json:
        newest, remarks = latest(folder)
        for remark in remarks:
            notice(remark)
        if newest is None:
            if prepared.options.resume:
                notice(f"{folder} holds no checkpoint: the run begins anew.")
            return None
        if not prepared.options.resume and not prepared.options.force:
            raise InputError(
                f"{folder} holds a run that reached update {newest.step}",
                hint="Add --resume to go on from there, or give another folder with --out.",
            )
        return str(newest.path) if prepared.options.resume else None

    told = processes.on_main(look)
    return None if told is None else read(Path(str(told)))


class _AtWork:
    """One process of a run, with what it needs from the first condition to the last picture."""

    def __init__(
        self,
        prepared: Prepared,
        folder: Path,
        processes: Processes,
        referee: Referee,
        watch: Watch,
        notice: Notice,
    ) -> None:
        self.prepared, self.folder, self.processes, self.referee = prepared, folder, processes, referee
        self.watch, self.notice = watch, notice
        self.alarms: list[str] = []
        self.held_out: HeldOut | None = None
        self.conditions: dict[int, Condition] = {}

    def train(self, found: Checkpoint | None) -> None:
        """Load, train, save the adapter."""
        prepared, options = self.prepared, self.prepared.options
        policy, recipe, device = prepared.policy, prepared.recipe, self.processes.device
        settle_threads(policy, device)
        dtype = dtype_for(options.precision, device)
        self._encode()
        marks = prepared.marks | {"grid": self._check_grid(), "processes": self.processes.world}
        if found is not None and (problems := differences(found, marks)):
            raise InputError(problems, closing="Nothing was loaded.")
        self.processes.agree(marks, "set of options, prompts or rubric")
        policy.load([Part.TRANSFORMER, Part.DECODER], device=device, dtype=dtype)
        add_adapter(
            policy.transformer,
            rank=recipe.rank,
            alpha=recipe.alpha,
            targets=prepared.targets,
            seed=seed_of(options.seed, "adapter"),
        )
        if prepared.lora is not None:
            policy.restore(prepared.lora)
        settle_transformer(policy, compiled=options.compile, checkpointing=options.gradient_checkpointing)
        trainer = Trainer(
            policy,
            recipe,
            Feed(prepared.prompts, self._condition, seed=options.seed),
            self.referee,
            self.processes,
            seed=options.seed,
            batch=prepared.batch,
            budget=FailureBudget(options.max_failures),
            defer=options.defer,
        )
        self.run = Run(
            trainer,
            self.folder,
            self._plan(),
            marks=marks,
            compare=self._comparing(found),
            trackers=self._trackers(marks),
            watch=self.watch,
        )
        if found is not None:
            self.run.take_up(found)
            self.notice(f"Going on after update {found.step}.")
        self.run.go()
        with self.run.averaged():
            self.processes.on_main(lambda: str(policy.save(self.folder)))

    def _plan(self) -> Plan:
        options = self.prepared.options
        return Plan(
            max_steps=self.prepared.recipe.max_steps,
            checkpoint_every=options.checkpoint_every,
            keep=options.keep,
            compare_every=options.eval_every,
            max_bad=options.max_bad_updates,
        )

    def _encode(self) -> None:
        """Make or find the conditions of all prompts."""
        prepared = self.prepared
        in_store = {id(prompt) for prompt in prepared.store.prompts} if prepared.store else set()
        rest = [each for each in (*prepared.prompts, *prepared.held_out) if id(each) not in in_store]
        if not rest:
            return
        made = encode_all(
            prepared.policy,
            rest,
            device=self.processes.device,
            dtype=dtype_for(prepared.options.precision, self.processes.device),
            batch=prepared.batch,
            watch=self.watch,
        )
        self.conditions = {id(prompt): condition for prompt, condition in zip(rest, made, strict=True)}

    def _condition(self, prompt: Prompt) -> Condition:
        known = self.conditions.get(id(prompt))
        if known is not None:
            return known
        assert self.prepared.store is not None
        return self.prepared.store.condition(prompt)

    def _check_grid(self) -> list[Json]:
        """Refuse steps that overshoot, explain the clip, and say which noise levels are used."""
        policy, recipe = self.prepared.policy, self.prepared.recipe
        condition = self._condition(self.prepared.prompts[0])
        grid = grid_for(policy, recipe, condition)
        last = recipe.steps - 1
        early = recipe.window is not Window.ALL_BUT_LAST
        transitions(
            grid, range(min(recipe.window_range, last) if early else last), recipe.noise, recipe.level
        )
        if recipe.trust is Trust.CLIP:
            count = int(self._noise_like(condition))
            below, above = nats(recipe.clip, count)
            self.notice(
                f"A clip of {recipe.clip:g} on the mean over {count:,} dimensions holds a step's log-ratio "
                f"between {below:,.1f} and {above:+,.1f} nats."
            )
        return [float(sigma) for sigma in grid.sigmas]

    def _noise_like(self, condition: Condition) -> int:
        from arrkit.rpo.rollout import first_latents

        recipe, policy = self.prepared.recipe, self.prepared.policy
        return first_latents(policy, [condition], ["probe"], recipe, 0)[0].numel()

    def _comparing(self, found: Checkpoint | None) -> HeldOut | None:
        prepared, options = self.prepared, self.prepared.options
        if not prepared.held_out or not options.eval_every:
            return None
        earlier = History.from_jsonl(self.folder / "metrics.jsonl") if found is not None else History(())
        reached = found.step if found is not None else 0
        self.held_out = HeldOut(
            prepared.policy,
            prepared.held_out,
            [self._condition(prompt) for prompt in prepared.held_out],
            self.processes,
            steps=prepared.recipe.steps,
            seed=seed_of(options.seed, "held out"),
            batch=prepared.batch,
            ask=self.referee.submit,
            watch=self._watching(),
            sheets=self.folder / "sheets",
            alarmed=self._alarmed,
            history=[each for each in earlier.evaluations if each.update <= reached],
        )
        return self.held_out

    def _watching(self) -> Callable[[Candidates], Future[Ruling]] | None:
        watched = self.prepared.watched
        if watched is None:
            return None
        dimensions = watched.rubric.dimensions
        return lambda candidates: self.referee.submit(candidates, dimensions=dimensions)

    def _alarmed(self, alarm: Alarm) -> None:
        self.alarms.append(alarm.message)
        self.notice(f"Alarm after update {alarm.update}: {alarm.message}")

    def _trackers(self, marks: dict[str, Json]) -> Trackers | None:
        names: Sequence[str] = self.prepared.options.log_with
        if not names or not self.processes.is_main:
            return None
        return Trackers(names, folder=self.folder, config=marks)


def processes_report(at_work: _AtWork, bench: Bench, started_at: str, seconds: float) -> TrainReport:
    """Write what people read, and say what the run came to."""
    prepared, folder = at_work.prepared, at_work.folder
    history = at_work.held_out.history if at_work.held_out else []
    return TrainReport(
        policy=prepared.policy.name,
        judge=prepared.judge.name,
        rubric=prepared.rubric.shown if prepared.rubric else "zero-shot",
        folder=folder,
        adapter=folder / "pytorch_lora_weights.safetensors",
        updates=at_work.run.trainer.updates,
        seconds=seconds,
        evaluation=history[-1] if history else None,
        alarms=tuple(at_work.alarms),
    )
