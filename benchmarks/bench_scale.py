"""Generation benchmarks at scale: answers counted, images painted in batches, scoring hidden behind painting.

- ``arrkit bench score --answers`` over 100,000 saved answers: seconds on the clock from the start of the
  command to its end.
- A tiny FLUX paints images 16 at a time and one at a time, loading and encoding included; the seconds are the
  processor's, with one thread. Prompts are padded to 16 tokens: with 512 a model of this size computes, on a
  processor, and what a batch saves is not the computing.
- ``bench run`` of the embedded benchmark with a scorer that sleeps: painting alone, scoring alone, and both
  in one run, each less what a run takes that has nothing left to do. Both stages take equally long.

python benchmarks/bench_scale.py
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

from common import ROOT_ENVIRONMENT, Bar, Result, main, median_ratio

SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"
ANSWERS, SECONDS = 100_000, 5.0
BATCH, FASTER = 16, 3.0
HIDDEN = 0.8
SIDE, TOKENS, STEPS, IMAGES = 32, 16, 28, 128
RUNS = 3


def write_answers(file: Path) -> str:
    """100,000 units of the embedded benchmark, as its runs keep them; the spec that they are for."""
    from arrkit.backends.spec import Spec
    from arrkit.bench.model import Unit
    from arrkit.bench.units import Scored, UnitFile
    from arrkit.shapes.benchmark import make

    spec = Spec("shapes", options={"images": "209"})
    items = make(spec, task="t2i", images=209).items()
    draw = random.Random(0)
    with UnitFile(file) as units:
        for item in items:
            seen = [float(draw.random() < 0.6) for _ in item.files]
            answers = [
                Unit(item=item.id, image=image, value=value, answer="1 red circle, 2 blue squares")
                for image, value in enumerate(seen)
            ]
            units.add(Scored(item.id, (), tuple(answers)))
    assert len(items) * 209 >= ANSWERS
    return str(spec)


def count_answers(folder: Path) -> Result:
    """The command over all of them."""
    file = folder / "units.jsonl"
    spec = write_answers(file)
    command = [sys.executable, "-m", "arrkit", "bench", "score", spec, "--answers", str(file), "--json"]
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        done = subprocess.run(
            command, env=ROOT_ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True, cwd=folder
        )
        seconds.append(time.perf_counter() - began)
        score = json.loads(done.stdout)["columns"][0]["scores"][0]
        assert score["scored"] == score["expected"] >= ANSWERS
    return Result(
        f"seconds to count {ANSWERS:,} saved answers",
        statistics.median(seconds),
        SECONDS,
        Bar.AT_MOST,
        f"{file.stat().st_size / 1e6:.0f} MB, 14 numbers with intervals",
    )


def paint_in_batches(folder: Path) -> Result:
    """A tiny FLUX, one image at a time against 16."""
    import torch

    sys.path.insert(0, str(SUPPORT))
    from tiny_pipelines import tiny_flux

    from arrkit.backends.registry import make_policy
    from arrkit.bench.model import Item
    from arrkit.commands.bench_paint import Painter
    from arrkit.data.pairs import Task
    from arrkit.rpo.processes import Processes

    torch.set_num_threads(1)
    model = tiny_flux(folder / "flux")
    policy = make_policy(f"flux:{model}?size={SIDE}&max_sequence_length={TOKENS}")
    items = [
        Item(id=str(number), task=Task.T2I, prompt=f"a fox {number}", files=(f"{number}.png",))
        for number in range(IMAGES)
    ]

    def paint(batch: int) -> Callable[[], float]:
        def measured() -> float:
            out = folder / f"images-{batch}"
            shutil.rmtree(out, ignore_errors=True)
            painter = Painter(
                policy,  # type: ignore[arg-type]
                Processes(torch.device("cpu")),
                steps=STEPS,
                seed=0,
                batch=batch,
            )
            began = time.process_time()
            assert painter.paint(items, out) == IMAGES
            return time.process_time() - began

        return measured

    ratio, one, many = median_ratio(paint(1), paint(BATCH), RUNS)
    return Result(
        f"images a second, {BATCH} at a time over one at a time",
        ratio,
        FASTER,
        Bar.AT_LEAST,
        f"tiny FLUX, {SIDE} px, {STEPS} steps: {IMAGES / many:.0f} over {IMAGES / one:.0f}",
    )


def overlap(folder: Path) -> Result:
    """What painting and scoring at once saves of the shorter stage."""
    from arrkit.bench.model import Item, Unit
    from arrkit.commands.bench_options import BenchRunOptions
    from arrkit.commands.bench_run import run_benchmark
    from arrkit.shapes.benchmark import ShapesScorer

    options = BenchRunOptions(benchmark="shapes", policy="shapes", limit=192, batch=4, out=folder / "run")
    units = folder / "run" / "base" / "units.jsonl"
    images = folder / "run" / "base" / "images"

    def run(latency: float) -> float:
        async def score(_: ShapesScorer, item: Item, pictures: Sequence[object]) -> list[Unit]:
            if latency:
                await asyncio.sleep(latency)
            return [Unit(item=item.id, image=number, value=1.0) for number in range(len(pictures))]

        with patch.object(ShapesScorer, "score", score):
            began = time.perf_counter()
            run_benchmark(options)
            return time.perf_counter() - began

    run(0.0)
    saved = []
    detail = ""
    for _ in range(RUNS):
        nothing = run(0.0)
        shutil.rmtree(images)
        units.unlink()
        painting = run(0.0) - nothing
        # Four are looked at at once.
        latency = 4 * painting / 192
        units.unlink()
        scoring = run(latency) - nothing
        shutil.rmtree(images)
        units.unlink()
        both = run(latency) - nothing
        saved.append((painting + scoring - both) / min(painting, scoring))
        detail = f"painting {painting:.2f} s, scoring {scoring:.2f} s, both at once {both:.2f} s"
    return Result(
        "share of the shorter stage that painting and scoring at once save",
        statistics.median(saved),
        HIDDEN,
        Bar.AT_LEAST,
        detail,
    )


def measure() -> list[Result]:
    """All three."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [count_answers(folder), paint_in_batches(folder), overlap(folder)]


if __name__ == "__main__":
    sys.exit(main(measure))
