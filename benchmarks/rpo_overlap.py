"""How much of a judge's time a training step hides, on a small FLUX with one thread.

An update samples and trains four pairs, each a batch. The simulated judges sleep:

- each verdict takes half as long as all of the update's sampling, any number at once;
- verdicts come one pair after another, and all together take half as long as the sampling;
- each verdict takes one and a half times as long as all of the sampling.

A step is held to the larger of its own work (sampling, decoding, training, as its clock has them) and what
the judge takes; waiting for the judge after each batch comes to their sum at least. Work is that of the same
step, since other programs may slow down the next one; that a judge at work adds none to it, the processor
time says. The slowest judge is shown beside the moment at which its last verdict comes at the earliest, with
``--defer`` and without.

python benchmarks/rpo_overlap.py
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from arrkit.rpo.recipe import PRESETS, Preset
from arrkit.rpo.trainer import Trainer
from common import Bar, Result, main
from rpo_models import CoinJudge, WaitingTrainer, conditions, loaded, refereed, trainer_of

PAIRS = 4
BATCH = 2
"""Images at once: a pair, so four batches an update."""
SIDE = 192
TEXT = 32
ROUNDS = 4
CPU = torch.device("cpu")
RECIPE = replace(PRESETS[Preset.RECOMMENDED], pairs=PAIRS, window_range=2)
"""``window_range`` 2 leaves one window: all updates then cost the same."""


@dataclass(frozen=True, slots=True)
class Step:
    """Seconds of one update: all of it, its sampling, its work, the judge's, and of processor time."""

    whole: float
    sampling: float
    work: float
    judge: float
    processor: float

    def ratio(self, *, last: bool) -> float:
        """All of it over the larger of work and judge; ``last``: over the time of the last verdict."""
        return self.whole / max(self.work, self.judge + last * self.sampling)


@dataclass(frozen=True, slots=True)
class Way:
    """A trainer, and its judge, who takes this share of the sampling over each of ``turns`` verdicts."""

    share: float
    turns: int
    judge: CoinJudge
    trainer: Trainer

    def step(self, sampling: float) -> Step:
        """Make one update. The judge is as slow as ``sampling``, the seconds of a step before, asks for."""
        judge = self.share * sampling
        self.judge.seconds = judge / self.turns
        processor, began = time.process_time(), time.perf_counter()
        (row,) = self.trainer.advance().rows
        whole = time.perf_counter() - began
        assert row["terms"] == 4 * PAIRS, "a pair was not decided"
        sampled = row["seconds/rollout"] + row["seconds/decode"]
        work = sampled + row["seconds/train"]
        return Step(whole, sampled, work, judge, time.process_time() - processor)


def measure() -> list[Result]:
    """All ratios."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        policy = loaded("flux", Path(folder), RECIPE, CPU, tiny=True, side=SIDE, text=TEXT)
        given = conditions(policy, PAIRS, SIDE, [TEXT])

        def way(share: float, *, turns: int = 1, **options: Any) -> Way:
            judge = CoinJudge()
            referee = stack.enter_context(refereed(judge, window=1 if turns > 1 else PAIRS))
            trainer = trainer_of(policy, RECIPE, given, referee, CPU, batch=BATCH, **options)
            return Way(share, turns, judge, trainer)

        ways = {
            "alone": way(0.0),
            "slow": way(0.5),
            "one by one": way(0.5, turns=PAIRS),
            "slow, waited for": way(0.5, kind=WaitingTrainer),
            "one by one, waited for": way(0.5, turns=PAIRS, kind=WaitingTrainer),
            "slower": way(1.5),
            "slower, deferred": way(1.5, defer=True),
        }
        found: dict[str, list[Step]] = {name: [] for name in ways}
        sampling = [ways["alone"].step(0.0).sampling for _ in range(3)][-1]
        for _ in range(ROUNDS):
            for name, each in ways.items():
                found[name].append(each.step(sampling))
                sampling = found[name][-1].sampling

    def result(name: str, what: str, side: Bar = Bar.NOTED, *, last: bool = False) -> Result:
        made = sorted(found[name], key=lambda each: each.ratio(last=last))[(ROUNDS - 1) // 2]
        judge = made.judge + last * made.sampling
        detail = f"{made.whole:.2f} s / max({made.work:.2f} s, {judge:.2f} s)"
        return Result(f"rpo step / max(work, judge), {what}", made.ratio(last=last), 1.10, side, detail)

    def processor(name: str) -> float:
        return statistics.median(made.processor for made in found[name])

    spent = f"{processor('slow'):.2f} s / {processor('alone'):.2f} s"
    one, late = "verdicts one by one, in all half the sampling", "each verdict 1.5 x the sampling"
    return [
        result("slow", "each verdict half the sampling", Bar.AT_MOST),
        result("one by one", one, Bar.AT_MOST),
        Result(
            "the first of them, processor time / with an instant judge",
            processor("slow") / processor("alone"),
            1.10,
            Bar.AT_MOST,
            spent,
        ),
        result("slow, waited for", "the first of them waited for after each batch"),
        result("one by one, waited for", "the second of them waited for after each batch"),
        result("slower", f"{late}, judge until the last verdict", last=True),
        result("slower, deferred", "the same with --defer", last=True),
    ]


if __name__ == "__main__":
    sys.exit(main(measure))
