"""When a GPU is out of memory: which options would have fitted, from what was measured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from arrkit.errors import RunError

GIB = 2**30
_USABLE = 0.95
"""Share of a GPU that one program can use: the rest is the driver's, and lost between blocks."""
_UNSEEN = 1.5
"""The allocation that failed was not the last: what a batch needs is taken to be half as much again."""
_CHECKPOINTED = 0.35
"""Share of activations that checkpointing leaves: the blocks' inputs, and one block. On the safe side."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What was going on, in bytes and options.

    Args:
        capacity: memory of the GPU.
        resting: allocated between batches: weights, adapter, optimiser.
        needed: allocated at the peak, with what was asked for when there was no more.
        batch: images at once.
        width, height: of an image, in pixels.
        training: with gradients, or only sampling.
        checkpointing: whether activations are recomputed already.
        half: whether the frozen model is in bf16 already.
        encoders: how much of ``resting`` are encoders, that preprocessing would do without.
    """

    capacity: int
    resting: int
    needed: int
    batch: int
    width: int
    height: int
    training: bool = True
    checkpointing: bool = False
    half: bool = True
    encoders: int = 0


def explain(situation: Situation) -> RunError:
    """The error for a person: what was needed, and up to three changes that would have fitted."""
    s = situation
    doing = "training" if s.training else "sampling"
    what = (
        f"the GPU is out of memory while {doing} {s.batch} image{'s' if s.batch != 1 else ''} of "
        f"{s.width}x{s.height}: {_gib(s.needed)} of {_gib(s.capacity)} at the peak, "
        f"{_gib(s.resting)} of it at rest"
    )
    options = suggestions(situation)
    if not options:
        return RunError(
            what,
            hint="Not even one small image fits beside the model: take a larger GPU, or a smaller model.",
            resumable=False,
        )
    listed = options[0] if len(options) == 1 else f"{', '.join(options[:-1])} or {options[-1]}"
    return RunError(what, hint=f"Would have fitted: {listed}.")


def suggestions(situation: Situation) -> list[str]:
    """Up to three changes that fit by the measurement, the one that costs least first, each with its need."""
    s = situation
    activations = max(1.0, (s.needed - s.resting) * _UNSEEN)
    found: list[str] = []

    def offer(option: str, need: float) -> bool:
        if need <= s.capacity * _USABLE and option:
            found.append(f"{option} (about {_gib(need)})")
            return True
        return False

    def fitting(resting: float, factor: float) -> int:
        room = s.capacity * _USABLE - resting
        return max(0, int(room / (factor * activations / s.batch)))

    if s.encoders:
        offer("rpo preprocess and --data", s.resting - s.encoders + activations)
    if not s.half:
        offer("--precision bf16", s.resting / 2 + activations / 2)
    smaller = min(fitting(s.resting, 1.0), s.batch - 1)
    if smaller:
        offer(f"--batch {smaller}", s.resting + activations * smaller / s.batch)
    recompute = s.training and not s.checkpointing
    if recompute:
        whole = offer("--gradient-checkpointing", s.resting + activations * _CHECKPOINTED)
        both = min(fitting(s.resting, _CHECKPOINTED), s.batch - 1)
        if not whole and both > smaller:
            offer(
                f"--gradient-checkpointing --batch {both}",
                s.resting + activations * _CHECKPOINTED * both / s.batch,
            )
    for share in (0.75, 0.5, 0.375, 0.25):
        width, height = int(s.width * share) // 16 * 16, int(s.height * share) // 16 * 16
        if len(found) >= 3 or not width or not height:
            break
        pixels = width * height / (s.width * s.height)
        offer(f"images of {width}x{height}", s.resting + activations * pixels)
    return found[:3]


def _gib(count: float) -> str:
    return f"{count / GIB:.1f} GiB"


def requested(message: str) -> int:
    """How many bytes torch was asking for, from the text of its error; 0 where it does not say."""
    match = re.search(r"Tried to allocate ([\d.]+) (bytes|[KMGT]iB)", message)
    if match is None:
        return 0
    power = {"bytes": 0, "KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4}[match[2]]
    return int(float(match[1]) * 1024**power)


@contextmanager
def explained(
    device: torch.device,
    *,
    resting: int,
    batch: int,
    width: int,
    height: int,
    training: bool,
    checkpointing: bool,
    half: bool,
    encoders: int = 0,
) -> Iterator[None]:
    """Turn torch's error of the block into one sentence. The arguments are those of :class:`Situation`.

    ``resting`` is ``torch.cuda.memory_allocated`` before the block; 0 on a CPU, where nothing is done.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        if device.type != "cuda":
            raise
        raise explain(
            Situation(
                capacity=torch.cuda.get_device_properties(device).total_memory,
                resting=resting,
                needed=torch.cuda.memory_allocated(device) + requested(str(error)),
                batch=batch,
                width=width,
                height=height,
                training=training,
                checkpointing=checkpointing,
                half=half,
                encoders=encoders,
            )
        ) from error
