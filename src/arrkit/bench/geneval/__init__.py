"""GenEval: whether a detector finds the objects, counts, colours and places that a prompt names.

Source of prompts and rules: djghosh13/geneval (MIT). The official detector is Mask2Former of MMDetection; the
one here is the same architecture through ``transformers``, with other weights, and its numbers have another
name. Result files of the official evaluator are scored under the official name.
"""

from __future__ import annotations

from arrkit.backends.spec import Spec
from arrkit.bench.geneval.benchmark import CLIP, DETECTOR, GenEval
from arrkit.bench.sources import canonical_name

__all__ = ["GenEval", "make"]


def make(
    spec: Spec,
    *,
    data: str = "",
    images: int = 4,
    detector: str = DETECTOR,
    clip: str = CLIP,
    device: str = "",
) -> GenEval:
    """The factory behind ``geneval``: see :class:`GenEval`."""
    kept = {key: value for key, value in spec.options.items() if key != "device"}
    name = canonical_name(Spec(spec.name, spec.model, kept))
    return GenEval(name, data=data, images=images, detector=detector, clip=clip, device=device)
