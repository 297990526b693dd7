"""Training at full size on one GPU: FLUX.1-dev, Qwen-Image or Qwen-Image-Edit with random weights.

Transformer and VAE have the published dimensions and are made in bfloat16 on the GPU; nothing is downloaded.
Prompts are random tensors of true shapes, the judge flips a coin and takes no time, everything else is what
``rpo train`` does: the trainer, the rollout, the learner, a float32 adapter on the frozen model.

Printed are images a second over whole updates, the share of each phase, peak memory, and the utilisation of
the GPU: operations of the transformer alone, of prompts without padding, over what the GPU can do in that
time. Recomputed activations count as none; a pass back counts the gradients of activations, since frozen
weights have none. Bars stand for an H200 at 512 px.

    python benchmarks/rpo_gpu.py --model flux --batch 8 --gradient-checkpointing
    python benchmarks/rpo_gpu.py --model qwen-image --batch 8 --gradient-checkpointing --compile
    python benchmarks/rpo_gpu.py --model qwen-edit --size 512 --batch 4
    python benchmarks/rpo_gpu.py --model flux --tiny      # two blocks of each kind, also on a CPU

With ``--tiny`` the count of operations is checked against torch's own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from arrkit.errors import RunError
from arrkit.rpo.lora import reference
from arrkit.rpo.objective import needs_reference
from arrkit.rpo.policy import Condition
from arrkit.rpo.recipe import PRESETS, Preset, Recipe
from arrkit.rpo.rollout import draw_window, roll_out
from arrkit.rpo.trainer import Trainer
from common import Bar, Result, main, peak_kib
from rpo_models import (
    MODELS,
    CoinJudge,
    Flops,
    conditions,
    loaded,
    refereed,
    trainer_of,
    transformer_flops,
    uneven,
)

PEAKS = {"B200": 2250e12, "H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "A100": 312e12}
"""Dense bfloat16 operations a second, by a part of the GPU's name: the makers' data sheets."""

TEXT = {"flux": 512, "qwen-image": 64, "qwen-edit": 64}
"""Tokens of a prompt: FLUX's are padded to one length, the others have between half and all of it."""

MEMORY = 70e9
PHASES = ("rollout", "decode", "judge", "train")


def parsed() -> argparse.Namespace:
    """The script's options."""
    parser = argparse.ArgumentParser(description="One GPU's share of a training run, at full size.")
    parser.add_argument("--model", choices=sorted(MODELS), default="flux")
    parser.add_argument("--size", type=int, default=512, help="side of the images in pixels")
    parser.add_argument("--batch", type=int, default=8, help="images that go through the model at once")
    parser.add_argument("--pairs", type=int, default=16, help="pairs an update")
    parser.add_argument("--updates", type=int, default=2, help="updates that are measured")
    parser.add_argument("--text", type=int, help="tokens of the longest prompt [512 for flux, else 64]")
    parser.add_argument("--even", action="store_true", help="prompts of one length, so that none is masked")
    parser.add_argument("--cfg", type=float, default=1.0, help="true guidance of Qwen-Image; 1 is without")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--peak-tflops", type=float, help="what the GPU can do, where its name is unknown")
    parser.add_argument("--tiny", action="store_true", help="tiny configurations, to try the script")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


@dataclass(frozen=True, slots=True)
class Measured:
    """Sums over the measured updates. ``forwards`` are samples of the rollout, ``terms`` trained ones."""

    images: float
    seconds: float
    phases: Counter[str]
    forwards: float
    terms: float


def measured(trainer: Trainer, updates: int, warm_up: int) -> Measured:
    """Make updates; the first ``warm_up`` are not counted, nor is their memory."""
    reference_too = needs_reference(trainer.recipe)
    rows = []
    for number in range(warm_up + updates):
        if number == warm_up and trainer.processes.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        (row,) = trainer.advance().rows
        kind = "warm-up" if number < warm_up else "update"
        print(
            f"  {kind}: {row['seconds']:.1f} s, gradient {row['grad_norm']:.1e}", file=sys.stderr, flush=True
        )
        assert row["terms"], "no pair was decided: were all images the same?"
        rows.append(row)
    phases: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for row in rows[warm_up:]:
        phases.update({phase: row.get(f"seconds/{phase}", 0.0) for phase in PHASES})
        total.update({name: row[name] for name in ("images", "seconds", "forwards", "terms")})
    sampled = total["forwards"] - total["terms"] * (1 + reference_too)
    return Measured(total["images"], total["seconds"], phases, sampled, total["terms"])


def check_ratio(trainer: Trainer, given: Sequence[Condition]) -> str:
    """How far sampling and training are apart. A trainer would end here; a measurement need not."""
    recipe, pairs = trainer.recipe, max(1, trainer.batch // 2)
    names = [f"check/{number}" for number in range(pairs)]
    device = trainer.processes.device
    window = draw_window(recipe, 0, 0)
    rollout = roll_out(trainer.policy, given[:pairs], names, recipe, window, seed=0, device=device)
    trainer.ratio_checked = True
    try:
        return f"{trainer.learner.check_ratio(rollout):.1e}"
    except RunError as error:
        return f"REFUSED: {error.problems[0].what}"


def sample_flops(policy: Any, condition: Condition) -> Flops:
    """Of one sample's velocity: of two passes, where there is guidance."""
    image = sum(rows * columns for _, rows, columns in shapes_of(policy, condition))
    prompt = len(condition.tensors["prompt"])
    found = transformer_flops(policy.config, image, prompt)
    negative = condition.tensors.get("negative")
    if negative is not None:
        shared = int(str(condition.facts.get("shared", 0)))
        found += transformer_flops(policy.config, image, len(negative) + shared)
    return found


def shapes_of(policy: Any, condition: Condition) -> Sequence[tuple[int, int, int]]:
    """Frames, rows and columns of the result's tokens, then of the sources'."""
    if hasattr(policy, "shapes"):
        found: Sequence[tuple[int, int, int]] = policy.shapes(condition)
        return found
    side = policy.multiple(policy.shell)
    return ((1, condition.height // side, condition.width // side),)


def counted_by_torch(policy: Any, condition: Condition) -> float:
    """What torch counts of one forward pass without the adapter. On a CPU it knows nothing of attention."""
    from torch.utils.flop_counter import FlopCounterMode

    batch = policy.collate([condition])
    x = policy.noise(condition, torch.Generator())[None].to(policy.device)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), reference(policy.transformer), counter:
        policy.velocity(x, torch.tensor(500.0), batch)
    return float(counter.get_total_flops())


def peak_flops(options: argparse.Namespace, device: torch.device) -> float:
    """Operations a second that the device can do at most; 0 where nobody knows."""
    if options.peak_tflops:
        return float(options.peak_tflops) * 1e12
    if device.type != "cuda":
        return 0.0
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAKS.items() if part in name), 0.0)


def utilisation(what: str, flops: float, seconds: float, peak: float, bar: float, *, bars: bool) -> Result:
    """Operations a second over the peak; over 1e12 where the peak is not known."""
    speed = flops / seconds
    detail = f"{speed / 1e12:.4g} / {peak / 1e12:.4g} TFLOP/s" if peak else "TFLOP/s, of an unknown peak"
    side = Bar.AT_LEAST if bars and peak else Bar.NOTED
    return Result(f"{what}, operations a second / peak", speed / (peak or 1e12), bar, side, detail)


def results(
    options: argparse.Namespace, recipe: Recipe, policy: Any, given: Sequence[Condition], found: Measured
) -> list[Result]:
    """Everything that is printed."""
    device = policy.device
    bars = not options.tiny and options.size == 512 and device.type == "cuda"
    each = [sample_flops(policy, condition) for condition in given]
    forward = sum(flops.forward for flops in each) / len(each)
    backward = sum(flops.backward for flops in each) / len(each)
    peak = peak_flops(options, device)
    trained = found.terms * ((1 + needs_reference(recipe)) * forward + backward)
    rest = found.seconds - sum(found.phases.values())
    model = f"{options.model}{' (tiny)' * options.tiny}, {given[0].width} px, batch {options.batch}"
    unguided = options.model == "qwen-image" and options.cfg <= 1
    large = options.model == "flux" and options.batch >= 8
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_kib() * 1024
    listed = [
        Result(
            f"{model}: images a second",
            found.images / found.seconds,
            0.51,
            Bar.AT_LEAST if bars and unguided else Bar.NOTED,
            f"{found.images:g} images in {found.seconds:.2f} s, {options.updates} updates",
        ),
        utilisation("sampling", found.forwards * forward, found.phases["rollout"], peak, 0.45, bars=bars),
        utilisation("training", trained, found.phases["train"], peak, 0.35, bars=bars),
        Result(
            "peak memory, GB",
            memory / 1e9,
            MEMORY / 1e9,
            Bar.AT_MOST if bars and large else Bar.NOTED,
            "allocated by torch" if device.type == "cuda" else "of the process",
        ),
    ]
    for phase, seconds in (*found.phases.items(), ("all else", rest)):
        detail = f"{seconds / options.updates:.3f} s / {found.seconds / options.updates:.3f} s an update"
        listed.append(Result(f"{phase} / all of the update", seconds / found.seconds, 1.0, Bar.NOTED, detail))
    if options.tiny:
        counted, first = counted_by_torch(policy, given[0]), sample_flops(policy, given[0])
        ours = first.weights if device.type == "cpu" else first.forward
        detail = f"{ours:.6g} / {counted:.6g}{', without attention' * (device.type == 'cpu')}"
        listed.append(Result("operations by formula / by torch", ours / counted, 1.001, Bar.AT_MOST, detail))
    return listed


def measure() -> list[Result]:
    """Load, check, train, and tell."""
    options = parsed()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not options.tiny:
        sys.exit("There is no GPU here: try the script with --tiny.")
    if device.type == "cpu":
        torch.set_num_threads(1)  # the threads of so small a model wait for each other longer than they work
    recipe = replace(PRESETS[Preset.RECOMMENDED], pairs=options.pairs)
    text = options.text or (32 if options.tiny else TEXT[options.model])
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        policy = loaded(
            options.model,
            Path(folder),
            recipe,
            device,
            tiny=options.tiny,
            side=options.size,
            text=text,
            cfg=options.cfg,
            compiled=options.compile,
            checkpointing=options.gradient_checkpointing,
        )
        even = options.even or options.model == "flux"
        lengths = [text] if even else uneven(text, options.pairs)
        given = conditions(policy, options.pairs, options.size, lengths)
        referee = stack.enter_context(refereed(CoinJudge()))
        trainer = trainer_of(policy, recipe, given, referee, device, batch=options.batch)
        weights = sum(each.numel() for each in policy.transformer.parameters())
        print(f"  {weights / 1e9:.3f} billion weights, {policy.dtype}", file=sys.stderr)
        said = check_ratio(trainer, given)
        print(f"  log-ratio of the unchanged policy, a dimension: {said}", file=sys.stderr, flush=True)
        # Compiling takes two: every window's first steps are of other shapes.
        found = measured(trainer, options.updates, 1 + options.compile)
        return results(options, recipe, policy, given, found)


if __name__ == "__main__":
    sys.exit(main(measure))
