"""The embedded policy: text to image, and instruction-guided editing, in the shapes world.

Its latents are slots for things (:mod:`arrkit.shapes.policy.slots`), its decoder is the world's renderer, so
that what it paints is judged on pixels like any other image. For an edit the source is read by
:func:`~arrkit.shapes.look.look_at`, and what is seen goes to the transformer as further tokens.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor, nn

from arrkit.backends.spec import Spec
from arrkit.canonical import Json
from arrkit.data.pairs import Task
from arrkit.data.prompts import Prompt, PromptUnusable
from arrkit.rpo.policy import Condition, Grid, Part
from arrkit.shapes.look import look_at
from arrkit.shapes.policy.adapter import restore_adapter, save_adapter
from arrkit.shapes.policy.model import (
    TextEncoder,
    image_ids,
    load_weights,
    new_scheduler,
    new_transformer,
    predict,
    weights_digest,
)
from arrkit.shapes.policy.slots import CHANNELS, SLOTS, decode_scene, encode_scene
from arrkit.shapes.policy.text import UnknownWords, tokens_of
from arrkit.shapes.prompts import embedded_prompts
from arrkit.shapes.render import render
from arrkit.shapes.scene import MAX_THINGS, Thing

TARGETS = (
    "to_q",
    "to_k",
    "to_v",
    "to_out.0",
    "add_q_proj",
    "add_k_proj",
    "add_v_proj",
    "to_add_out",
    "net.0.proj",
    "net.2",
    "proj_mlp",
    "proj_out",
)

SUGGESTED: Mapping[str, str | int | float] = {
    "pairs": 128,
    "max_steps": 180,
    "level": 0.7,
    "window": "scattered",
    "window_size": 4,
    "window_range": 6,
    "shared_start": False,
    "divergence": "none",
    "learning_rate": 2e-3,
    "schedule": "linear",
    "warmup": 8,
    "batch": 256,
    "threads": 1,
}
"""What raises this model from its shipped weights; ``make bench-rpo`` measures it.

Both candidates begin from noise of their own: slots that begin alike end as the same things.
"""


@dataclass(frozen=True, slots=True)
class _Batch:
    """What :meth:`ShapesPolicy.velocity` needs beside latents.

    ``text`` is (batch, words, width), ``pooled`` (batch, width), ``source`` (batch, slots, channels).
    """

    text: Tensor
    pooled: Tensor
    source: Tensor | None
    ids: Tensor


class ShapesPolicy:
    """A :class:`~arrkit.rpo.policy.Policy` that ships with arrkit and runs on one CPU core.

    See :func:`make_policy`.
    """

    def __init__(self, name: str, *, task: Task, size: int) -> None:
        self._name = name
        self._task = task
        self._size = size
        self._device = torch.device("cpu")
        self._encoder: TextEncoder | None = None
        self._transformer: nn.Module | None = None

    @property
    def name(self) -> str:
        """The canonical spec."""
        return self._name

    @property
    def task(self) -> Task:
        """``edit`` for ``shapes?task=edit``."""
        return self._task

    @property
    def identity(self) -> Mapping[str, Json]:
        """Weights, task and size of the pictures."""
        return {
            "policy": "shapes",
            "task": str(self._task),
            "size": self._size,
            "weights": weights_digest(self._task),
        }

    @property
    def targets(self) -> tuple[str, ...]:
        """All linear layers of the blocks."""
        return TARGETS

    @property
    def suggested(self) -> Mapping[str, str | int | float]:
        """The settings that raise this model from its shipped weights; ``make bench-rpo`` measures them."""
        return SUGGESTED

    def prompts(self, split: str) -> tuple[Prompt, ...]:
        """Prompts of all six families, or instructions of all kinds; no t2i prompt is in both splits."""
        return embedded_prompts(self._task, split, self._size)

    def skeleton(self) -> nn.Module:
        """The transformer on the meta device."""
        with torch.device("meta"):
            return new_transformer()

    def load(self, parts: Collection[Part], *, device: torch.device, dtype: torch.dtype) -> None:
        """Load from the package. The decoder is the renderer and needs no loading."""
        self._device = device
        if Part.ENCODERS in parts and self._encoder is None:
            encoder = TextEncoder()
            encoder.load_state_dict(load_weights(self._task)[1])
            self._encoder = encoder.requires_grad_(False).eval()
        if Part.TRANSFORMER in parts and self._transformer is None:
            transformer = new_transformer()
            transformer.load_state_dict(load_weights(self._task)[0])
            # Not diffusers' own to(), which warns of a list of modules that is empty for this model.
            moved = nn.Module.to(transformer, device=device, dtype=dtype)
            self._transformer = moved.requires_grad_(False).eval()

    def unload(self, parts: Collection[Part]) -> None:
        """Let parts go."""
        if Part.ENCODERS in parts:
            self._encoder = None
        if Part.TRANSFORMER in parts:
            self._transformer = None

    @property
    def transformer(self) -> nn.Module:
        """The denoiser, a ``FluxTransformer2DModel``."""
        assert self._transformer is not None, "the transformer is not loaded"
        return self._transformer

    @torch.no_grad()
    def encode(self, prompts: Sequence[Prompt]) -> list[Condition]:
        """``text`` (words, width) and ``pooled`` (width,); for edits also ``source`` (SLOTS, CHANNELS)."""
        assert self._encoder is not None, "the encoders are not loaded"
        conditions = []
        for prompt in prompts:
            try:
                tokens = tokens_of(prompt.text)
            except UnknownWords as error:
                raise PromptUnusable(str(error)) from None
            text, pooled = self._encoder(torch.tensor([tokens]))
            tensors = {"text": text[0], "pooled": pooled[0]}
            if self._task is Task.EDIT:
                tensors["source"] = _read_source(prompt)
            conditions.append(Condition(tensors, self._size, self._size))
        return conditions

    def noise(self, condition: Condition, generator: torch.Generator) -> Tensor:
        """Normal numbers, (SLOTS, CHANNELS)."""
        return torch.randn(SLOTS, CHANNELS, generator=generator)

    def grid(self, steps: int, condition: Condition) -> Grid:
        """Evenly spaced noise levels through the scheduler; timesteps from 1000 to 0."""
        scheduler = new_scheduler()
        scheduler.set_timesteps(sigmas=[1 - step / steps for step in range(steps)])
        return Grid(torch.as_tensor(scheduler.sigmas), torch.as_tensor(scheduler.timesteps))

    def collate(self, conditions: Sequence[Condition]) -> Any:
        """The conditions stacked, on the device."""

        def stack(name: str) -> Tensor:
            return torch.stack([each.tensors[name] for each in conditions]).float().to(self._device)

        return _Batch(
            stack("text"),
            stack("pooled"),
            stack("source") if self._task is Task.EDIT else None,
            image_ids(self._task).to(self._device),
        )

    def velocity(self, latents: Tensor, timestep: Tensor, batch: Any) -> Tensor:
        """The velocity for latents (batch, SLOTS, CHANNELS) at one timestep in [0, 1000]."""
        transformer = self.transformer
        dtype = next(transformer.parameters()).dtype
        sigma = (timestep.to(self._device) / 1000).expand(len(latents))
        source = None if batch.source is None else batch.source.to(dtype)
        velocity = predict(
            transformer,
            latents.to(dtype),
            sigma,
            batch.text.to(dtype),
            batch.pooled.to(dtype),
            source,
            batch.ids,
        )
        return velocity.float()

    def decode(self, latents: Tensor, conditions: Sequence[Condition]) -> list[Image]:
        """The pictures that the renderer draws."""
        return [render(decode_scene(each), self._size) for each in latents.detach().cpu().numpy()]

    def save(self, folder: Path) -> Path:
        """Write the adapter as diffusers does, with its metadata."""
        return save_adapter(self.transformer, folder)

    def restore(self, file: Path) -> None:
        """Put a saved adapter into the transformer, in place of the one that it has."""
        restore_adapter(self.transformer, file)


def make_policy(spec: Spec, *, task: str, size: int) -> ShapesPolicy:
    """The factory behind ``shapes``: ``task`` is t2i or edit, ``size`` the side of the pictures in pixels."""
    return ShapesPolicy(str(spec), task=Task(task), size=size)


def _read_source(prompt: Prompt) -> Tensor:
    """What is seen in the source of an edit, as slots (SLOTS, CHANNELS), things from left to right."""
    if len(prompt.sources) != 1:
        raise PromptUnusable(f"the embedded policy edits one source image, not {len(prompt.sources)}")
    look = look_at(prompt.sources[0].load())
    if look.world:
        raise PromptUnusable(f"the source is not of the shapes world: {look.world}")
    if len(look.objects) > MAX_THINGS:
        raise PromptUnusable(f"the source shows {len(look.objects)} things, more than {MAX_THINGS}")
    things = [Thing(seen.shape, seen.colour, seen.x, seen.y, seen.size) for seen in look.objects]
    return torch.from_numpy(encode_scene(things, look.background))
