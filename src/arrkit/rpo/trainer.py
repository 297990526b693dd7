"""One rollout and its updates: sample pairs or groups, have them judged meanwhile, back-propagate, step.

The order of work keeps training on policy and the judge off the critical path: every batch goes to
the judge as soon as it is decoded, while the next one is sampled; then, on a GPU, the batches whose rulings
are in are back-propagated first. Nothing of the policy changes before all of them are. With a judge slower
than that, gradients of the others can be made ready meanwhile, one pair after another
(:mod:`arrkit.rpo.foresight`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch

from arrkit.canonical import Json
from arrkit.errors import RunError
from arrkit.rpo.feed import Feed, batches
from arrkit.rpo.flight import Judged, ask_for, next_ready
from arrkit.rpo.foresight import can_foresee, foresee
from arrkit.rpo.grading import Grading, grading_metrics, worth
from arrkit.rpo.learner import Learner, Sums
from arrkit.rpo.lora import Average, adapter_norm, adapter_parameters
from arrkit.rpo.optimiser import Update, finish_update, make_optimiser
from arrkit.rpo.policy import Policy
from arrkit.rpo.processes import LostError, Processes
from arrkit.rpo.recipe import Recipe
from arrkit.rpo.reward import Referee
from arrkit.rpo.rollout import draw_window, require_finite, roll_out
from arrkit.rpo.ruling import FailureBudget, spending_metrics
from arrkit.serial import from_json, to_json

Judgment = tuple[str, str, Grading]
"""The name of a pair or group, the id of its prompt, and what the judge said of it."""


@dataclass(frozen=True, slots=True)
class Advance:
    """What one rollout came to: a row to be logged for each update, and all judgments."""

    rows: list[dict[str, float]]
    judgments: list[Judgment]
    updates: list[Update]


class Clock:
    """Seconds spent in the phases of a rollout, each up to the end of its work on ``device``."""

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self._device = device

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the block's time under ``name``."""
        began = time.monotonic()
        try:
            yield
            if self._device.type == "cuda":
                # Every phase ends with a look at its results anyway; only the rollout's last step does not.
                torch.cuda.synchronize(self._device)
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began


class Trainer:
    """The state of a training run between rollouts, and what makes one.

    Args:
        policy: with transformer and decoder loaded and its adapter in.
        feed, referee: what is painted, and who judges it.
        batch: images that go through the transformer at once.
        budget: counts the pairs that got no ruling; whoever logs the rows checks it.
        defer: back-propagate while rulings are not in, see :mod:`arrkit.rpo.foresight`.

    ``rollouts`` and ``updates`` count what was done; everything that is drawn follows from them and the seed.
    """

    def __init__(
        self,
        policy: Policy,
        recipe: Recipe,
        feed: Feed,
        referee: Referee,
        processes: Processes,
        *,
        seed: int,
        batch: int,
        budget: FailureBudget,
        defer: bool = False,
    ) -> None:
        self.policy = policy
        self.recipe = recipe
        self.feed = feed
        self.referee = referee
        self.processes = processes
        self.seed = seed
        self.batch = batch
        self.budget = budget
        self.defer = defer and can_foresee(recipe)
        self.parameters = adapter_parameters(policy.transformer)
        self.optimiser = make_optimiser(self.parameters, recipe)
        self.average = Average(self.parameters, recipe.ema) if recipe.ema else None
        self.learner = Learner(policy, recipe, device=processes.device, batch=batch)
        self.rollouts = 0
        self.updates = 0
        self.ratio_checked = False

    def advance(self) -> Advance:
        """One rollout and its updates.

        Raises:
            RunError: the judge stayed away, or sampling and training disagree; on all processes, where it
                happened on one. The policy is then as it was after the last update.
        """
        recipe, clock = self.recipe, Clock(self.processes.device)
        window = draw_window(recipe, self.seed, self.rollouts)
        began = time.monotonic()
        sums = Sums()
        done: list[Judged] = []
        trouble: RunError | None = None
        try:
            for judged in self._through_the_judge(list(self._sample(window, clock)), clock):
                with clock.phase("train"):
                    self._learn(judged, sums)
                done.append(judged)
        except RunError as error:
            trouble = error
        self._stop_together(trouble)
        judgments = self._judgments(done)
        facts = self._judging([grading for _, _, grading in judgments])
        images = recipe.group * recipe.pairs
        forwards = sum(rollout.forwards for judged in done for rollout in judged.rollouts)
        rows: list[dict[str, float]] = []
        updates: list[Update] = []
        for number in range(recipe.updates):
            with clock.phase("train"):
                if number:
                    sums, forwards = Sums(), 0
                    for judged in done:
                        self._learn(judged, sums)
                update = self._finish(sums, [name for judged in done for name in judged.names])
            row = self._row(update, sums, clock)
            row["forwards"] = sums.forwards + forwards
            if number == 0:
                seconds = time.monotonic() - began
                row |= facts | {f"window/{index}": 1.0 for index in window}
                row |= {"images": images, "images_per_second": images / seconds, "seconds": seconds}
            clock.seconds.clear()
            rows.append(row)
            updates.append(update)
        self.rollouts += 1
        self.budget.add(answer for _, _, grading in judgments for answer in grading.answers)
        return Advance(rows, judgments, updates)

    def _through_the_judge(self, waiting: list[Judged], clock: Clock) -> Iterator[Judged]:
        """Batches with their rulings, until all are through."""
        while waiting:
            while self.defer and not any(each.ready for each in waiting):
                early = next((each for each in waiting if len(each.foreseen) < len(each.names)), None)
                if early is None:
                    break
                with clock.phase("train"):
                    early.foreseen.append(foresee(self.learner, early.rollouts[0], len(early.foreseen)))
            with clock.phase("judge"):
                # A sum of gradients is rounded by its order. A run on a CPU is repeatable to the last bit,
                # for which batches keep theirs; on a GPU sums differ from run to run anyway.
                judged = next_ready(waiting, in_order=self.processes.device.type == "cpu")
            judged.gradings = [each.result() for each in judged.asked]
            yield judged

    def _stop_together(self, trouble: RunError | None) -> None:
        """Raise on all processes where one cannot go on, so that all can still save together."""
        (stopped,) = self.processes.total([trouble is not None])
        if stopped:
            self.optimiser.zero_grad(set_to_none=True)  # half an update is none
            raise trouble or LostError("another process cannot go on, and said why")

    def _judgments(self, done: Sequence[Judged]) -> list[Judgment]:
        """The judgments of all processes, in the order of the pairs."""
        mine: list[Json] = [
            [name, prompt, to_json(grading)]
            for judged in done
            for name, prompt, grading in zip(judged.names, judged.prompts, judged.gradings, strict=True)
        ]
        rows = [row for several in self.processes.gather(mine) for row in cast("list[list[Json]]", several)]
        found = [(str(name), str(prompt), from_json(Grading, grading)) for name, prompt, grading in rows]
        return sorted(found, key=lambda each: int(each[0].rpartition("/")[2]))

    def _sample(self, window: Sequence[int], clock: Clock) -> Iterator[Judged]:
        recipe = self.recipe
        mine = self.processes.share(range(recipe.pairs))
        asked = self.feed.draw(self.rollouts, recipe.pairs, mine)
        # A group that is larger than a batch is sampled in parts; a pair never is.
        part = recipe.group if recipe.group <= max(2, self.batch) else self.batch
        for several in batches(asked, max(1, self.batch // recipe.group)):
            names = tuple(each.name for each in several)
            rollouts, images = [], []
            for start in range(0, recipe.group, part):
                with clock.phase("rollout"):
                    rollout = roll_out(
                        self.policy,
                        [each.condition for each in several],
                        names,
                        recipe,
                        window,
                        seed=self.seed,
                        device=self.processes.device,
                        candidates=range(start, min(start + part, recipe.group)),
                    )
                    require_finite(rollout.latents, [f"pair {name}" for name in names])
                if not self.ratio_checked:
                    self.learner.check_ratio(rollout)
                    self.ratio_checked = True
                with clock.phase("decode"):
                    conditions = [*rollout.conditions] * rollout.group
                    images += self.policy.decode(rollout.latents, conditions)
                rollouts.append(rollout)
            answers = [
                ask_for(self.referee, recipe, each.name, each.prompt, images[number :: len(several)])
                for number, each in enumerate(several)
            ]
            yield Judged(names, tuple(each.prompt.id for each in several), tuple(rollouts), answers)

    def _learn(self, judged: Judged, sums: Sums) -> None:
        given = [worth(grading, self.recipe, self.referee.weights) for grading in judged.gradings]
        early = len(judged.foreseen)
        for foreseen, each in zip(judged.foreseen, given[:early], strict=True):
            if each is not None:
                foreseen.settle(each, sums)
        judged.foreseen = []
        left = [None] * early + given[early:]
        first = 0
        for rollout in judged.rollouts:
            part = slice(first, first + rollout.group)
            self.learner.learn(rollout, [None if each is None else each[part] for each in left], sums)
            first += rollout.group

    def _finish(self, sums: Sums, names: Sequence[str]) -> Update:
        update = finish_update(
            self.optimiser,
            self.parameters,
            terms=sums.terms,
            loss=sums.loss,
            step=self.updates,
            recipe=self.recipe,
            processes=self.processes,
            suspects=names,
        )
        self.updates += 1
        if self.average is not None and not update.skipped:
            self.average.update()
        return update

    def _judging(self, gradings: Sequence[Grading]) -> dict[str, float]:
        facts = grading_metrics(gradings, self.recipe, self.referee.weights)
        totals = self.referee.totals
        if totals is not None:
            facts |= spending_metrics(totals)
        return facts

    def _row(self, update: Update, sums: Sums, clock: Clock) -> dict[str, float]:
        terms = max(1, sums.terms)
        row: dict[str, float] = {
            "update": self.updates,
            "loss": update.loss,
            "rate": update.rate,
            "grad_norm": update.norm,
            "lora_norm": adapter_norm(self.policy.transformer),
            "terms": update.terms,
            "divergence": sums.divergence / terms,
            "clip/low": sums.clipped_low / terms,
            "clip/high": sums.clipped_high / terms,
            "skipped": float(bool(update.skipped)),
            "bad": float(update.bad),
        }
        for step, count in sorted(sums.by_step.items()):
            row[f"log_ratio/{step}"] = sums.log_ratio[step] / count
        row |= {f"seconds/{phase}": seconds for phase, seconds in clock.seconds.items()}
        if torch.cuda.is_available():
            row["memory_gib"] = torch.cuda.max_memory_allocated(self.processes.device) / 2**30
        return row
