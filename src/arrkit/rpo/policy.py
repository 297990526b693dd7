"""What arrkit asks of a generative model that it samples and trains.

All of them are rectified-flow models: ``x = (1 - sigma) x0 + sigma n``, sigma from 1 to 0, and a transformer
that predicts the velocity ``v = n - x0``. A policy says how its model is fed; how it is sampled, judged and
trained is the same for all and stands in :mod:`arrkit.rpo`.

Nothing is loaded when a policy is made. :meth:`Policy.load` loads the parts that are needed: encoders to turn
prompts into conditions, the transformer to sample and train, the decoder to turn latents into images.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from arrkit.canonical import Json
from arrkit.data.pairs import Task
from arrkit.data.prompts import Prompt

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import Tensor, nn


class Part(StrEnum):
    """What a policy loads separately."""

    ENCODERS = "encoders"
    TRANSFORMER = "transformer"
    DECODER = "decoder"


@dataclass(frozen=True, slots=True)
class Condition:
    """What the transformer is fed for one prompt, besides latents and time.

    ``tensors`` are on the CPU, without a batch dimension and without padding beyond what the model's own
    pipeline feeds; ``width`` and ``height`` are those of the image to be made, in pixels.
    """

    tensors: Mapping[str, Tensor]
    width: int
    height: int
    facts: Mapping[str, Json] = field(default_factory=dict)
    """What :meth:`Policy.collate` needs beside tensors, as plain values (sizes of sources, for example)."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The noise levels of a sampling run, as the model's own scheduler gives them.

    ``sigmas`` has ``steps + 1`` entries, float32 on the CPU, falling to 0; ``timesteps`` has ``steps``,
    float32 (never cut to integers), in the unit that :meth:`Policy.velocity` takes.
    """

    sigmas: Tensor
    timesteps: Tensor

    @property
    def steps(self) -> int:
        """How many steps lead from the first noise level to 0."""
        return len(self.timesteps)


class Policy(Protocol):
    """A generative model under training. See the module's text."""

    @property
    def name(self) -> str:
        """The canonical spec, such as ``flux:black-forest-labs/FLUX.1-dev?size=512``."""
        ...

    @property
    def task(self) -> Task:
        """``edit`` where prompts come with a source image."""
        ...

    @property
    def identity(self) -> Mapping[str, Json]:
        """All that decides the conditions: base model, its revision, sequence length, sizes, guidance.

        Preprocessed data is kept under its digest, and refused by a policy with another one.
        """
        ...

    @property
    def targets(self) -> tuple[str, ...]:
        """The modules that get adapters unless the user names others, as suffixes of module names."""
        ...

    @property
    def suggested(self) -> Mapping[str, str | int | float]:
        """Values of :class:`~arrkit.rpo.recipe.Recipe` that suit this model better than a preset's."""
        ...

    def prompts(self, split: str) -> tuple[Prompt, ...]:
        """Prompts that come with the model: ``train`` or ``test``. Empty for nearly all."""
        ...

    def skeleton(self) -> nn.Module:
        """The transformer on the meta device: names and shapes of its modules, no weights, quickly."""
        ...

    def load(self, parts: Collection[Part], *, device: torch.device, dtype: torch.dtype) -> None:
        """Load those of ``parts`` that are not loaded yet. The transformer is in eval mode and frozen.

        Raises :class:`~arrkit.errors.InputError` where the model cannot be found or has another shape.
        """
        ...

    def unload(self, parts: Collection[Part]) -> None:
        """Let parts go, and the memory of their device with them."""
        ...

    @property
    def transformer(self) -> nn.Module:
        """The module that is trained. Adapters are put into it; its ``config`` stays as it is."""
        ...

    def encode(self, prompts: Sequence[Prompt]) -> list[Condition]:
        """One condition for each prompt, exactly what the model's own pipeline would feed for it alone.

        Needs the encoders. Raises :class:`~arrkit.data.prompts.PromptUnusable` for a prompt that cannot be
        encoded without loss (over the encoder's limit, an unreadable source).
        """
        ...

    def noise(self, condition: Condition, generator: torch.Generator) -> Tensor:
        """The first latents for one condition: float32 on the CPU, without a batch dimension.

        The same numbers that the model's pipeline draws from the same generator.
        """
        ...

    def grid(self, steps: int, condition: Condition) -> Grid:
        """The noise levels that the model's own pipeline would use for ``steps`` steps at this size."""
        ...

    def collate(self, conditions: Sequence[Condition]) -> Any:
        """The conditions as one batch on the device; what it is, only :meth:`velocity` knows.

        All conditions have the same width and height, and latents of the same shape.
        """
        ...

    def velocity(self, latents: Tensor, timestep: Tensor, batch: Any) -> Tensor:
        """The predicted velocity for ``latents`` (batch, ...) at one of the grid's timesteps (a scalar).

        Takes and gives float32 on the device; guidance is applied inside. Used for sampling and for training
        alike, so that both agree bit for bit. Differentiable where gradients are on.
        """
        ...

    def decode(self, latents: Tensor, conditions: Sequence[Condition]) -> list[Image]:
        """RGB images of the clean latents (batch, ...), float32, in their order. Needs the decoder."""
        ...

    def save(self, folder: Path) -> Path:
        """Write the adapter to ``folder/pytorch_lora_weights.safetensors``, with rank and alpha.

        The file is what ``load_lora_weights`` of the model's diffusers pipeline takes. Returns its path. It
        is written whole or not at all.
        """
        ...

    def restore(self, file: Path) -> None:
        """Put the adapter of a file that :meth:`save` wrote, or that diffusers wrote, into the transformer.

        Raises :class:`~arrkit.errors.InputError` where it does not fit the model.
        """
        ...
