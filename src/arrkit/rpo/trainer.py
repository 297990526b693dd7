"""One rollout and its updates: sample pairs, have them judged meanwhile, back-propagate, step.

The order of work keeps training on policy and the judge off the critical path: every batch of pairs goes to
the judge as soon as it is decoded, while the next one is sampled; then the batches whose rulings are in are
back-propagated first. Nothing of the policy changes before all of them are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from arrkit.judge.calls.totals import CallTotals
from arrkit.rpo.feed import Feed, batches
from arrkit.rpo.foresight import Foreseen, can_foresee, foresee
from arrkit.rpo.learner import Learner, Sums
from arrkit.rpo.lora import Average, adapter_norm, adapter_parameters
from arrkit.rpo.optimiser import Update, finish_update, make_optimiser
from arrkit.rpo.policy import Policy
from arrkit.rpo.processes import Processes
from arrkit.rpo.recipe import Recipe
from arrkit.rpo.reward import Referee
from arrkit.rpo.rollout import Rollout, draw_window, roll_out
from arrkit.rpo.ruling import Candidates, FailureBudget, Ruling, advantages, judging_metrics


@dataclass(slots=True)
class Judged:
    """A batch of pairs on its way through the judge: its rollout, and the rulings to come."""

    names: tuple[str, ...]
    rollout: Rollout
    futures: list[Future[Ruling]]
    foreseen: list[Foreseen] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether all rulings are in."""
        return all(future.done() for future in self.futures)

    def rulings(self) -> list[Ruling]:
        """The rulings; raises what ended the run."""
        return [future.result() for future in self.futures]


class Clock:
    """Seconds spent in the phases of a rollout."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the block's time under ``name``."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began


class Trainer:
    """The state of a training run between rollouts, and what makes one.

    Args:
        policy: with transformer and decoder loaded and its adapter in.
        feed, referee: what is painted, and who judges it.
        batch: images that go through the transformer at once.
        budget: counts the pairs that got no ruling; whoever logs the rows checks it.
        defer: back-propagate before rulings are in, see :mod:`arrkit.rpo.foresight`.

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

    def advance(self) -> list[dict[str, float]]:
        """One rollout and its updates.

        Returns:
            What is to be logged, one row for each update.

        Raises:
            RunError: the judge stayed away, or sampling and training disagree. The policy is then as it was
                after the last update.
        """
        recipe, clock = self.recipe, Clock()
        window = draw_window(recipe, self.seed, self.rollouts)
        rows: list[dict[str, float]] = []
        sums = Sums()
        began = time.monotonic()
        waiting = list(self._sample(window, clock))
        forwards = sum(each.rollout.forwards for each in waiting)
        images = 2 * sum(each.rollout.pairs for each in waiting)
        done: list[tuple[Judged, list[Ruling]]] = []
        try:
            while waiting:
                with clock.phase("judge"):
                    judged = _first_ready(waiting)
                rulings = judged.rulings()
                with clock.phase("train"):
                    self._learn(judged, rulings, sums)
                done.append((judged, rulings))
        except BaseException:
            self.optimiser.zero_grad(set_to_none=True)  # half an update is none
            raise
        rulings = [ruling for _, several in done for ruling in several]
        self.budget.add(rulings)
        facts = self._judging(rulings) | {f"window/{index}": 1.0 for index in window}
        for number in range(recipe.updates):
            if number:
                sums = Sums()
                with clock.phase("train"):
                    for judged, several in done:
                        self._learn(judged, several, sums)
            with clock.phase("train"):
                update = self._finish(sums, [name for judged, _ in done for name in judged.names])
            row = self._row(update, sums, clock) | facts
            facts = {}
            clock.seconds.clear()
            if number == 0:
                spent = time.monotonic() - began
                row |= {"images": images, "images_per_second": images / spent, "seconds": spent}
            row["forwards"] = sums.forwards + (forwards if number == 0 else 0)
            rows.append(row)
        self.rollouts += 1
        return rows

    def _sample(self, window: Sequence[int], clock: Clock) -> Iterator[Judged]:
        recipe = self.recipe
        mine = self.processes.share(range(recipe.pairs))
        asked = self.feed.draw(self.rollouts, recipe.pairs, mine)
        for several in batches(asked, max(1, self.batch // 2)):
            names = tuple(each.name for each in several)
            with clock.phase("rollout"):
                rollout = roll_out(
                    self.policy,
                    [each.condition for each in several],
                    names,
                    recipe,
                    window,
                    seed=self.seed,
                    device=self.processes.device,
                )
            if not self.ratio_checked:
                self.learner.check_ratio(rollout)
                self.ratio_checked = True
            with clock.phase("decode"):
                images = self.policy.decode(rollout.latents, [*rollout.conditions, *rollout.conditions])
            pairs = zip(several, images[: rollout.pairs], images[rollout.pairs :], strict=True)
            candidates = [Candidates(each.name, each.prompt, a, b) for each, a, b in pairs]
            judged = Judged(names, rollout, [self.referee.submit(each) for each in candidates])
            if self.defer:
                with clock.phase("train"):
                    judged.foreseen = [foresee(self.learner, rollout, pair) for pair in range(rollout.pairs)]
            yield judged

    def _learn(self, judged: Judged, rulings: Sequence[Ruling], sums: Sums) -> None:
        given = [advantages(ruling, self.recipe.win, self.recipe.lose) for ruling in rulings]
        if not judged.foreseen:
            self.learner.learn(judged.rollout, given, sums)
            return
        for foreseen, each in zip(judged.foreseen, given, strict=True):
            if each is not None:
                foreseen.settle(each, sums)
        judged.foreseen = []

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

    def _judging(self, rulings: Sequence[Ruling]) -> dict[str, float]:
        facts: dict[str, float] = dict(judging_metrics(rulings))
        totals = self.referee.totals
        if totals is not None:
            facts |= _paid(totals)
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


def _first_ready(waiting: list[Judged]) -> Judged:
    """Take the first batch whose rulings are in out of ``waiting``; wait where there is none."""
    while True:
        for index, judged in enumerate(waiting):
            if judged.ready:
                return waiting.pop(index)
        open_futures = [future for judged in waiting for future in judged.futures if not future.done()]
        wait(open_futures, return_when=FIRST_COMPLETED)


def _paid(totals: CallTotals) -> dict[str, float]:
    """What the judge's calls came to since this process began; money only where it is known."""
    facts: dict[str, float] = {
        "judge/requests": totals.requests,
        "judge/cached": totals.cached,
        "judge/input_tokens": totals.fresh.tokens + totals.cached_input.tokens,
        "judge/output_tokens": totals.output.tokens,
    }
    if totals.cost is not None:
        facts["judge/cost"] = totals.cost
    return facts
