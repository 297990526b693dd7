"""What the benchmarks of training share: models with random weights, a judge that flips a coin, trainers.

A model is a folder of configurations without a single weight. The policies are the real ones; only where they
would read weights, modules are made from their configurations instead, on their device.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from arrkit.backends.policies.flux import FluxPolicy
from arrkit.backends.policies.qwen_edit import QwenEditPolicy
from arrkit.backends.policies.qwen_image import QwenImagePolicy
from arrkit.backends.spec import Spec
from arrkit.data.pairs import Picture, Task
from arrkit.data.prompts import Prompt
from arrkit.judge.protocol import CompareRequest, Outcome, Side, Verdict
from arrkit.judge.session import JudgeSession
from arrkit.rpo.feed import Feed
from arrkit.rpo.lora import add_adapter
from arrkit.rpo.placing import dtype_for, settle_transformer
from arrkit.rpo.policy import Condition, Part, Policy
from arrkit.rpo.processes import Processes
from arrkit.rpo.recipe import Recipe
from arrkit.rpo.reward import Referee
from arrkit.rpo.ruling import FailureBudget
from arrkit.rpo.trainer import Judged, Trainer

Config = dict[str, Any]

_FLUX_SCHEDULER: Config = {
    "base_image_seq_len": 256,
    "max_image_seq_len": 4096,
    "base_shift": 0.5,
    "max_shift": 1.15,
    "shift": 3.0,
    "use_dynamic_shifting": True,
}
_QWEN_SCHEDULER: Config = {
    "base_image_seq_len": 256,
    "max_image_seq_len": 8192,
    "base_shift": 0.5,
    "max_shift": 0.9,
    "shift": 1.0,
    "shift_terminal": 0.02,
    "time_shift_type": "exponential",
    "use_dynamic_shifting": True,
}
_FLUX: Config = {
    "patch_size": 1,
    "in_channels": 64,
    "num_layers": 19,
    "num_single_layers": 38,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 768,
    "guidance_embeds": True,
    "axes_dims_rope": [16, 56, 56],
}
_QWEN: Config = {
    "patch_size": 2,
    "in_channels": 64,
    "out_channels": 16,
    "num_layers": 60,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "joint_attention_dim": 3584,
    "axes_dims_rope": [16, 56, 56],
}
_TINY: Config = {
    "attention_head_dim": 32,
    "num_attention_heads": 4,
    "joint_attention_dim": 64,
    "axes_dims_rope": [8, 12, 12],
}


def _flux_vae(*channels: int, layers: int) -> Config:
    return {
        "in_channels": 3,
        "out_channels": 3,
        "down_block_types": ["DownEncoderBlock2D"] * len(channels),
        "up_block_types": ["UpDecoderBlock2D"] * len(channels),
        "block_out_channels": list(channels),
        "layers_per_block": layers,
        "latent_channels": 16,
        "norm_num_groups": min(32, *channels),
        "use_quant_conv": False,
        "use_post_quant_conv": False,
        "scaling_factor": 0.3611,
        "shift_factor": 0.1159,
    }


@dataclass(frozen=True, slots=True)
class Model:
    """Configurations of one model's parts, the published ones and tiny ones; ``policy`` is its class."""

    policy: type[Any]
    pipeline: str
    scheduler: Config
    transformer: Config
    tiny_transformer: Config
    vae: Config
    tiny_vae: Config

    def write(self, folder: Path, *, tiny: bool) -> Path:
        """Write the configurations into ``folder``, as a pipeline's folder has them; return it."""
        parts = {
            "model_index": {"_class_name": self.pipeline},
            "scheduler/scheduler_config": self.scheduler,
            "transformer/config": self.tiny_transformer if tiny else self.transformer,
            "vae/config": self.tiny_vae if tiny else self.vae,
        }
        for name, values in parts.items():
            file = folder / f"{name}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        return folder


class RandomWeights:
    """Makes modules where the policy it is mixed into would load them: torch's own initial values."""

    def _weights(self, kind: Any, name: str) -> Any:
        policy: Any = self
        before = torch.get_default_dtype()
        torch.set_default_dtype(policy.dtype)
        try:
            # On the device from the start, in its type: float32 of 20 billion weights would not fit.
            torch.manual_seed(0)
            with policy.device:
                module = kind.from_config(policy.origin.read(f"{name}/config.json"))
        finally:
            torch.set_default_dtype(before)
        return policy._frozen(module)


class RandomFlux(RandomWeights, FluxPolicy):
    """FLUX.1-dev."""

    def __init__(self, folder: Path, *, side: int, text: int, cfg: float) -> None:  # noqa: ARG002
        super().__init__(Spec("flux", str(folder)), size=side, settings={}, guidance=3.5, length=text)


class RandomQwenImage(RandomWeights, QwenImagePolicy):
    """Qwen-Image."""

    def __init__(self, folder: Path, *, side: int, text: int, cfg: float) -> None:  # noqa: ARG002
        super().__init__(Spec("qwen-image", str(folder)), size=side, settings={}, cfg=cfg, negative=" ")


class RandomQwenEdit(RandomWeights, QwenEditPolicy):
    """Qwen-Image-Edit; sources have the size of the result."""

    def __init__(self, folder: Path, *, side: int, text: int, cfg: float) -> None:  # noqa: ARG002
        sizes = {"size": side, "width": 0, "height": 0, "source_size": 0}
        super().__init__(Spec("qwen-edit", str(folder)), settings={}, cfg=cfg, negative=" ", **sizes)


_QWEN_TINY = {**_QWEN, **_TINY, "num_layers": 2}
_QWEN_VAE_TINY: Config = {"base_dim": 8, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}

MODELS: Mapping[str, Model] = {
    "flux": Model(
        RandomFlux,
        "FluxPipeline",
        _FLUX_SCHEDULER,
        _FLUX,
        {**_FLUX, **_TINY, "num_layers": 2, "num_single_layers": 2, "pooled_projection_dim": 64},
        _flux_vae(128, 256, 512, 512, layers=2),
        _flux_vae(4, 4, 8, 8, layers=1),
    ),
    "qwen-image": Model(
        RandomQwenImage,
        "QwenImagePipeline",
        _QWEN_SCHEDULER,
        _QWEN,
        _QWEN_TINY,
        {},  # the class's defaults are the published values
        _QWEN_VAE_TINY,
    ),
    "qwen-edit": Model(
        RandomQwenEdit,
        "QwenImageEditPipeline",
        _QWEN_SCHEDULER,
        _QWEN,
        _QWEN_TINY,
        {},
        _QWEN_VAE_TINY,
    ),
}


def conditions(policy: Any, count: int, side: int, lengths: Sequence[int]) -> list[Condition]:
    """Random conditions of true shapes: prompts of ``lengths`` tokens in turn, sources as large as results.

    For edits the source's own tokens in the text encoder (one for 28 x 28 pixels) come on top.
    """
    draw = torch.Generator().manual_seed(0)
    width, pooled = (policy.config.get(f"{name}_dim") for name in ("joint_attention", "pooled_projection"))
    edit = policy.task is Task.EDIT
    made = []
    for number in range(count):
        length = lengths[number % len(lengths)] + (round(side / 28) ** 2 if edit else 0)
        tensors = {"prompt": torch.randn(length, width, generator=draw)}
        facts: dict[str, Any] = {}
        if pooled:
            tensors["pooled"] = torch.randn(pooled, generator=draw)
        elif policy.guided:
            tensors["negative"] = torch.randn(6, width, generator=draw)
            facts["shared"] = length - lengths[number % len(lengths)]
        if edit:
            tokens = (side // policy.multiple(policy.shell)) ** 2
            tensors["source"] = torch.randn(tokens, int(policy.config["in_channels"]), generator=draw)
            facts = {"shared": 0, **facts, "sources": [[side, side]]}
        made.append(Condition({name: t.bfloat16() for name, t in tensors.items()}, side, side, facts))
    return made


@dataclass(frozen=True, slots=True)
class Flops:
    """Floating-point operations of one sample's forward pass: products with weights, and of attention."""

    weights: float
    attention: float

    @property
    def forward(self) -> float:
        """Of a pass without gradients."""
        return self.weights + self.attention

    @property
    def backward(self) -> float:
        """Of the pass back: frozen weights have no gradient of their own, attention's two factors have."""
        return self.weights + 2 * self.attention

    def __add__(self, other: Flops) -> Flops:
        return Flops(self.weights + other.weights, self.attention + other.attention)


def transformer_flops(config: Mapping[str, Any], image: int, text: int) -> Flops:
    """Of FLUX's or Qwen-Image's transformer without adapters, for so many tokens of image and text.

    A block has 12 width^2 weights a token (attention 4, MLP 8) and 4 tokens^2 width operations of attention,
    be it a double block with weights for each stream or FLUX's single one. What depends on time and pooled
    text alone is computed once a sample: 6 width^2 weights of modulation a stream, 3 in a single block.
    """
    width = config["attention_head_dim"] * config["num_attention_heads"]
    double, single = config["num_layers"], config.get("num_single_layers", 0)
    square, tokens = width**2, image + text
    pooled = config.get("pooled_projection_dim", 0)
    embedded = 1 + bool(config.get("guidance_embeds"))
    once = double * 12 * square + single * 3 * square + 2 * square  # the last is of the output's norm
    once += embedded * (256 * width + square) + (pooled * width + square if pooled else 0)
    each = (double + single) * 12 * square * tokens
    ends = 2 * image * config["in_channels"] * width + text * config["joint_attention_dim"] * width
    return Flops(2.0 * (once + each + ends), 4.0 * (double + single) * tokens**2 * width)


class CoinJudge:
    """Prefers one of two images by their digests: the same in both orders, and never a tie.

    Args:
        seconds: how long a comparison takes.
    """

    name = "coin"

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    async def compare(self, request: CompareRequest) -> Verdict:
        """See :meth:`arrkit.judge.protocol.Judge.compare`."""
        if self.seconds:
            await asyncio.sleep(self.seconds)
        first = request.first.digest > request.second.digest
        return Verdict(Outcome.OK, Side.FIRST if first else Side.SECOND)

    async def aclose(self) -> None:
        """Nothing is open."""


@contextmanager
def refereed(judge: CoinJudge, *, window: int = 64) -> Iterator[Referee]:
    """A referee that has at most ``window`` pairs judged at once."""
    with Referee(JudgeSession(judge, concurrency=2 * window), window=window) as referee:
        yield referee


def loaded(
    name: str,
    folder: Path,
    recipe: Recipe,
    device: torch.device,
    *,
    tiny: bool,
    side: int,
    text: int,
    cfg: float = 1.0,
    compiled: bool = False,
    checkpointing: bool = False,
) -> Any:
    """The policy with its transformer, adapter and decoder on the device."""
    model = MODELS[name]
    policy = model.policy(model.write(folder, tiny=tiny), side=side, text=text, cfg=cfg)
    policy.load([Part.TRANSFORMER, Part.DECODER], device=device, dtype=dtype_for(None, device))
    add_adapter(policy.transformer, rank=recipe.rank, alpha=recipe.alpha, targets=policy.targets, seed=0)
    settle_transformer(policy, compiled=compiled, checkpointing=checkpointing)
    return policy


def trainer_of(
    policy: Policy,
    recipe: Recipe,
    given: Sequence[Condition],
    referee: Referee,
    device: torch.device,
    *,
    batch: int,
    defer: bool = False,
    kind: type[Trainer] = Trainer,
) -> Trainer:
    """A trainer over these conditions, whose prompts say nothing."""
    blank = Picture("source", lambda: Image.new("RGB", (16, 16)))
    sources = (blank,) if policy.task is Task.EDIT else ()
    prompts = [Prompt(str(i), policy.task, f"prompt {i}", sources) for i in range(len(given))]
    return kind(
        policy,
        recipe,
        Feed(prompts, lambda prompt: given[int(prompt.id)], seed=0),
        referee,
        Processes(device),
        seed=0,
        batch=batch,
        budget=FailureBudget(1.0),
        defer=defer,
    )


class WaitingTrainer(Trainer):
    """Waits for the judge after each batch, as the published code does."""

    def _sample(self, *arguments: Any) -> Iterator[Judged]:
        for judged in super()._sample(*arguments):
            wait(judged.futures)
            yield judged


def uneven(most: int, count: int) -> list[int]:
    """Lengths of prompts between half of ``most`` and ``most``."""
    return [random.Random(number).randint((most + 1) // 2, most) for number in range(count)]
