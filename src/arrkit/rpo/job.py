"""One process of a training run: conditions, weights, updates, the adapter that is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from arrkit.canonical import Json
from arrkit.data.prompts import Prompt
from arrkit.errors import InputError
from arrkit.progress import Watch
from arrkit.rpo.alarm import Alarm, too_far_apart
from arrkit.rpo.checkpoint import Checkpoint, differences, forget, latest, read
from arrkit.rpo.encode import encode_all
from arrkit.rpo.feed import Feed
from arrkit.rpo.heldout import HeldOut, Pictures
from arrkit.rpo.history import History
from arrkit.rpo.kernel import nats, transitions
from arrkit.rpo.log import Trackers
from arrkit.rpo.lora import add_adapter, make_trainable
from arrkit.rpo.memory import explained
from arrkit.rpo.options import TrainOptions
from arrkit.rpo.placing import dtype_for, settle_threads, settle_transformer
from arrkit.rpo.policy import Condition, Part, Policy
from arrkit.rpo.processes import Processes
from arrkit.rpo.recipe import Recipe, Trust, Window
from arrkit.rpo.reward import Referee
from arrkit.rpo.rollout import first_latents, grid_for, seed_of
from arrkit.rpo.ruling import Candidates, FailureBudget
from arrkit.rpo.store import ConditionStore
from arrkit.rpo.train import Plan, Run
from arrkit.rpo.trainer import Trainer
from arrkit.rubric.model import Dimension

if TYPE_CHECKING:
    from concurrent.futures import Future

    from arrkit.rpo.ruling import Ruling

Notice = Callable[[str], None]
"""Is told, in a sentence, what whoever runs the command should hear at once."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be trained, on what and how, read and found usable; nothing is loaded.

    Args:
        batch: images that go through the transformer at once.
        targets: modules that get adapters.
        marks: what decides the result, and must agree with a run that goes on from a checkpoint.
        prompts, held_out: to train on, and to compare with the base model on.
        store: holds the conditions of prompts; those of the others are made.
        lora: the adapter to begin from.
        watched: a second rubric, for the alarm.
    """

    options: TrainOptions
    policy: Policy
    recipe: Recipe
    batch: int
    targets: tuple[str, ...]
    marks: Mapping[str, Json]
    prompts: tuple[Prompt, ...]
    held_out: tuple[Prompt, ...]
    store: ConditionStore | None = None
    lora: Path | None = None
    watched: tuple[Dimension, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job came to, on each process; ``pictures`` are those that this process painted."""

    updates: int
    history: History
    alarms: tuple[str, ...]
    pictures: Pictures | None


def find_checkpoint(job: Job, folder: Path, processes: Processes, notice: Notice) -> Checkpoint | None:
    """The checkpoint to go on from, the same on all processes; None to begin anew.

    Raises :class:`~arrkit.errors.InputError` for a folder with a run that nobody asked to go on with.
    """

    def look() -> Json:
        newest, remarks = latest(folder)
        for remark in remarks:
            notice(remark)
        if newest is None:
            if job.options.resume:
                notice(f"{folder} holds no checkpoint: the run begins anew.")
            return None
        if not job.options.resume and not job.options.force:
            raise InputError(
                f"{folder} holds a run that reached update {newest.step}",
                hint="Add --resume to go on from there, or give another folder with --out.",
            )
        return str(newest.path) if job.options.resume else None

    told = processes.on_main(look)
    return None if told is None else read(Path(str(told)))


def refuse_changes(job: Job, folder: Path) -> None:
    """Raise :class:`~arrkit.errors.InputError` where the run in ``folder`` was begun with other options."""
    newest, _ = latest(folder)
    if newest is not None and (problems := differences(newest, {**newest.marks, **job.marks})):
        raise InputError(problems, closing="Nothing was loaded.")


class JobProcess:
    """One process of a run, with what it needs from the first condition to the last picture."""

    def __init__(
        self,
        job: Job,
        folder: Path,
        processes: Processes,
        referee: Referee,
        watch: Watch,
        notice: Notice,
    ) -> None:
        self.job, self.folder, self.processes, self.referee = job, folder, processes, referee
        self.watch, self.notice = watch, notice
        self.alarms: list[str] = []
        self.held_out: HeldOut | None = None
        self.conditions: dict[int, Condition] = {}

    def train(self, found: Checkpoint | None) -> Outcome:
        """Load, train and save the adapter, from a checkpoint or from the beginning."""
        job, options = self.job, self.job.options
        policy, recipe, device = job.policy, job.recipe, self.processes.device
        settle_threads(policy, device)
        for note in getattr(policy, "notes", ()):
            self.notice(note)
        dtype = dtype_for(options.precision, device)
        self._encode()
        marks = dict(job.marks) | {"grid": self._check_grid(), "processes": self.processes.world}
        if found is not None and (problems := differences(found, marks)):
            raise InputError(problems, closing="Nothing was loaded.")
        self.processes.agree(marks, "set of options, prompts or rubric")
        policy.load([Part.TRANSFORMER, Part.DECODER], device=device, dtype=dtype)
        add_adapter(
            policy.transformer,
            rank=recipe.rank,
            alpha=recipe.alpha,
            targets=job.targets,
            seed=seed_of(options.seed, "adapter"),
        )
        if job.lora is not None:
            policy.restore(job.lora)
            make_trainable(policy.transformer)
        settle_transformer(policy, compiled=options.compile, checkpointing=options.gradient_checkpointing)
        trainer = Trainer(
            policy,
            recipe,
            Feed(job.prompts, self._condition, seed=options.seed),
            self.referee,
            self.processes,
            seed=options.seed,
            batch=job.batch,
            budget=FailureBudget(options.max_failures),
            defer=options.defer,
        )
        run = Run(
            trainer,
            self.folder,
            self._plan(),
            marks=marks,
            compare=self._comparing(found),
            trackers=self._trackers(marks),
            watch=self.watch,
            notice=self.notice,
            halt=self._halt,
        )
        if found is not None:
            run.take_up(found)
            self.notice(f"Going on after update {found.step}.")
        else:
            self.processes.on_main(lambda: forget(self.folder))
        with self._memory_explained():
            run.go()
            if run.halted:
                self._halted(run.halted)
            if self.held_out is not None and found is not None and found.step == run.trainer.updates:
                # Nothing was left to be done but what the results show.
                with run.averaged():
                    self.held_out(run.trainer.updates)
        with run.averaged():
            self.processes.on_main(lambda: str(policy.save(self.folder)))
        return Outcome(
            run.trainer.updates,
            History.from_jsonl(self.folder / "metrics.jsonl"),
            tuple(self.alarms),
            self.held_out.pictures if self.held_out is not None else None,
        )

    def _memory_explained(self) -> AbstractContextManager[None]:
        job, device = self.job, self.processes.device
        condition = self._condition(job.prompts[0])
        return explained(
            device,
            resting=torch.cuda.memory_allocated(device) if device.type == "cuda" else 0,
            batch=job.batch,
            width=condition.width,
            height=condition.height,
            training=True,
            checkpointing=job.options.gradient_checkpointing,
            half=dtype_for(job.options.precision, device) is not torch.float32,
        )

    def _plan(self) -> Plan:
        options = self.job.options
        return Plan(
            max_steps=self.job.recipe.max_steps,
            checkpoint_every=options.checkpoint_every,
            keep=options.keep,
            compare_every=options.eval_every,
            max_bad=options.max_bad_updates,
        )

    def _encode(self) -> None:
        """Make or find the conditions of all prompts."""
        job = self.job
        in_store = {id(prompt) for prompt in job.store.prompts} if job.store else set()
        rest = [each for each in (*job.prompts, *job.held_out) if id(each) not in in_store]
        if not rest:
            return
        made = encode_all(
            job.policy,
            rest,
            device=self.processes.device,
            dtype=dtype_for(job.options.precision, self.processes.device),
            batch=job.batch,
            watch=self.watch,
        )
        self.conditions = {id(prompt): condition for prompt, condition in zip(rest, made, strict=True)}

    def _condition(self, prompt: Prompt) -> Condition:
        known = self.conditions.get(id(prompt))
        if known is not None:
            return known
        assert self.job.store is not None
        return self.job.store.condition(prompt)

    def _check_grid(self) -> list[Json]:
        """Refuse steps that overshoot, explain the clip, and say which noise levels are used."""
        policy, recipe = self.job.policy, self.job.recipe
        condition = self._condition(self.job.prompts[0])
        grid = grid_for(policy, recipe, condition)
        last = recipe.steps - 1
        early = recipe.window is not Window.ALL_BUT_LAST
        transitions(
            grid, range(min(recipe.window_range, last) if early else last), recipe.noise, recipe.level
        )
        if recipe.trust is Trust.CLIP:
            count = first_latents(policy, [condition], ["probe"], recipe, 0)[0].numel()
            below, above = nats(recipe.clip, count)
            self.notice(
                f"A clip of {recipe.clip:g} on the mean over {count:,} dimensions holds a step's log-ratio "
                f"between {below:,.1f} and {above:+,.1f} nats."
            )
        return [float(sigma) for sigma in grid.sigmas]

    def _comparing(self, found: Checkpoint | None) -> HeldOut | None:
        job, options = self.job, self.job.options
        if not job.held_out or not options.eval_every:
            return None
        earlier = History.from_jsonl(self.folder / "metrics.jsonl") if found is not None else History(())
        reached = found.step if found is not None else 0
        self.held_out = HeldOut(
            job.policy,
            job.held_out,
            [self._condition(prompt) for prompt in job.held_out],
            self.processes,
            steps=job.recipe.steps,
            seed=seed_of(options.seed, "held out"),
            batch=job.batch,
            ask=self._ask,
            watch=self._watching(),
            sheets=self.folder / "sheets",
            alarmed=self._alarmed,
            history=[each for each in earlier.evaluations if each.update <= reached],
        )
        return self.held_out

    @property
    def _ask(self) -> Callable[..., Future[Ruling]]:
        """Has a pair judged the way in which training has its images judged."""
        return self.referee.submit if self.job.recipe.reward.compares else self.referee.weigh

    def _watching(self) -> Callable[[Candidates], Future[Ruling]] | None:
        dimensions = self.job.watched
        if not dimensions:
            return None
        return lambda candidates: self._ask(candidates, dimensions=dimensions)

    def _halt(self) -> str:
        """Why the run should stop before its time, or nothing."""
        most, held_out = self.job.options.stop_gap, self.held_out
        if most is None or held_out is None or not held_out.history:
            return ""
        return too_far_apart(held_out.history, most)

    def _halted(self, why: str) -> None:
        self.alarms.append(why)
        self.notice(f"Stopped early: {why}")

    def _alarmed(self, alarm: Alarm) -> None:
        self.alarms.append(alarm.message)
        self.notice(f"Alarm after update {alarm.update}: {alarm.message}")

    def _trackers(self, marks: dict[str, Json]) -> Trackers | None:
        names: Sequence[str] = self.job.options.log_with
        if not names or not self.processes.is_main:
            return None
        return Trackers(names, folder=self.folder, config=marks)
