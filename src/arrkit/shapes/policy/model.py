"""The networks of the embedded policy and their weights.

The denoiser is diffusers' own FLUX transformer, small; the text encoder is a table of words. Both are
trained from scratch by ``make shapes-weights``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources

import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from safetensors.torch import load
from torch import Tensor, nn

from arrkit.data.pairs import Task
from arrkit.errors import RunError
from arrkit.shapes.policy.slots import CHANNELS, SLOTS
from arrkit.shapes.policy.text import LENGTH, VOCABULARY

TEXT_WIDTH = 64
HEADS, HEAD_WIDTH = 4, 16
DOUBLE_BLOCKS, SINGLE_BLOCKS = 2, 3

SHIFT = 1.0
"""How far the scheduler moves its noise levels towards noise; 1 leaves them evenly spaced."""


class TextEncoder(nn.Module):
    """Tokens (batch, LENGTH) to their embeddings (batch, LENGTH, TEXT_WIDTH) and a summary of all."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, TEXT_WIDTH)
        self.places = nn.Embedding(LENGTH, TEXT_WIDTH)
        self.pool = nn.Linear(LENGTH * TEXT_WIDTH, TEXT_WIDTH)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (batch, LENGTH, TEXT_WIDTH) and their summary (batch, TEXT_WIDTH)."""
        embedded = self.words(tokens) + self.places.weight
        return embedded, self.pool(embedded.flatten(1))


def new_transformer() -> FluxTransformer2DModel:
    """The denoiser with random weights, on the current default device."""
    transformer: FluxTransformer2DModel = FluxTransformer2DModel(
        patch_size=1,
        in_channels=CHANNELS,
        num_layers=DOUBLE_BLOCKS,
        num_single_layers=SINGLE_BLOCKS,
        attention_head_dim=HEAD_WIDTH,
        num_attention_heads=HEADS,
        joint_attention_dim=TEXT_WIDTH,
        pooled_projection_dim=TEXT_WIDTH,
        guidance_embeds=False,
        axes_dims_rope=(4, 6, 6),
    )
    return transformer


def new_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """The scheduler that says which noise levels a run of n steps has."""
    scheduler: FlowMatchEulerDiscreteScheduler = FlowMatchEulerDiscreteScheduler(
        num_train_timesteps=1000, shift=SHIFT
    )
    return scheduler


def image_ids(task: Task) -> Tensor:
    """Places of the slots, (tokens, 3): which picture, then the slot's number on two axes.

    For an edit the slots of the source follow those of the result, told apart by the first axis.
    """
    number = torch.arange(SLOTS, dtype=torch.float32) + 1
    pictures = 2 if task is Task.EDIT else 1
    return torch.cat(
        [torch.stack([torch.full_like(number, index), number, number], dim=1) for index in range(pictures)]
    )


def predict(
    transformer: nn.Module,
    latents: Tensor,
    sigma: Tensor,
    text: Tensor,
    pooled: Tensor,
    source: Tensor | None,
    ids: Tensor,
) -> Tensor:
    """The velocity for latents (batch, SLOTS, CHANNELS) at noise level ``sigma`` (batch,), in [0, 1]."""
    hidden = latents if source is None else torch.cat([latents, source], dim=1)
    velocity: Tensor = transformer(
        hidden_states=hidden,
        encoder_hidden_states=text,
        pooled_projections=pooled,
        timestep=sigma,
        img_ids=ids,
        txt_ids=ids.new_zeros(text.shape[1], 3),
        return_dict=False,
    )[0]
    return velocity[:, : latents.shape[1]]


def load_weights(task: Task) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The shipped weights of the transformer and of the text encoder, float32, on the CPU.

    Raises :class:`~arrkit.errors.RunError` where the package came without them.
    """
    tensors = {name: tensor.float() for name, tensor in load(_weights_file(task)).items()}
    return below(tensors, "transformer."), below(tensors, "text_encoder.")


@cache
def weights_digest(task: Task) -> str:
    """SHA-256 of the shipped weights."""
    return hashlib.sha256(_weights_file(task)).hexdigest()


def _weights_file(task: Task) -> bytes:
    file = resources.files("arrkit.shapes.policy") / "weights" / f"{task}.safetensors"
    if not file.is_file():
        raise RunError(
            f"arrkit was installed without the weights of the embedded policy ({file.name})",
            hint="Install arrkit again, or run make shapes-weights in a checkout.",
            resumable=False,
        )
    return file.read_bytes()


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}
