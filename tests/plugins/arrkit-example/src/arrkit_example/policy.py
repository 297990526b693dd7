"""A policy that paints one colour: as small as something that is sampled and trained can be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from PIL import Image, ImageColor
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from arrkit.backends.spec import Spec
from arrkit.canonical import Json
from arrkit.data.pairs import Task
from arrkit.data.prompts import Prompt, PromptUnusable
from arrkit.errors import InputError
from arrkit.rpo.policy import Condition, Grid, Part, Policy

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "white", "black")
FILE = "pytorch_lora_weights.safetensors"
FACTORS = ("lora_A.weight", "lora_B.weight")


class Tint(nn.Module):
    """The velocity of a colour, (batch, 3) in [-1, 1], on its way from noise to what the prompt names.

    A share of the noise stays in what it predicts, so that two images of one prompt differ.
    """

    def __init__(self) -> None:
        super().__init__()
        self.colour = nn.Linear(len(COLOURS), 3, bias=False)

    def forward(self, x: Tensor, sigma: Tensor, words: Tensor) -> Tensor:
        """``x`` and the result are (batch, 3), ``sigma`` is a number, ``words`` (batch, colours)."""
        velocity: Tensor = (x - (0.7 * self.colour(words) + 0.3 * x)) / sigma
        return velocity


class TintPolicy:
    """A :class:`~arrkit.rpo.policy.Policy`: fills an image with the first colour that the prompt names.

    Args:
        name: the spec that made it.
        size: side of the image in pixels.
    """

    task = Task.T2I
    targets: tuple[str, ...] = ("colour",)
    suggested: Mapping[str, str | int | float] = {}

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self._transformer: Tint | None = None
        self._device = torch.device("cpu")

    @property
    def identity(self) -> Mapping[str, Json]:
        """All that decides the conditions."""
        return {"kind": "tint", "size": self.size}

    @property
    def transformer(self) -> nn.Module:
        """The module that is trained."""
        assert self._transformer is not None, "load it first"
        return self._transformer

    def prompts(self, split: str) -> tuple[Prompt, ...]:
        """One for each colour, in every split."""
        return tuple(Prompt(f"{split}-{colour}", Task.T2I, f"a {colour} wall") for colour in COLOURS)

    def skeleton(self) -> nn.Module:
        """The transformer without its numbers."""
        with torch.device("meta"):
            return Tint()

    def load(self, parts: Collection[Part], *, device: torch.device, dtype: torch.dtype) -> None:
        """There is only the transformer: encoding and decoding need nothing. It is float32 always."""
        if Part.TRANSFORMER not in parts or self._transformer is not None:
            return
        model = Tint().requires_grad_(False)
        model.colour.weight.copy_(torch.tensor([scaled(colour) for colour in COLOURS]).T)
        self._transformer = model.to(device).eval()
        self._device = device

    def unload(self, parts: Collection[Part]) -> None:
        """Let the transformer go."""
        if Part.TRANSFORMER in parts:
            self._transformer = None

    def encode(self, prompts: Sequence[Prompt]) -> list[Condition]:
        """Which colour a prompt names, as one 1 among zeros."""
        return [self._encode(prompt.text.lower().split()) for prompt in prompts]

    def _encode(self, words: Sequence[str]) -> Condition:
        named = [colour in words for colour in COLOURS]
        if not any(named):
            raise PromptUnusable("names no colour that this policy knows")
        first = next(word for word in words if word in COLOURS)
        chosen = torch.tensor([float(colour == first) for colour in COLOURS])
        return Condition({"words": chosen}, self.size, self.size)

    def noise(self, condition: Condition, generator: torch.Generator) -> Tensor:
        """Three numbers: the latents of an image are its colour."""
        return torch.randn(3, generator=generator)

    def grid(self, steps: int, condition: Condition) -> Grid:
        """Even noise levels; time is the noise level itself."""
        sigmas = torch.linspace(1, 0, steps + 1)
        return Grid(sigmas, sigmas[:-1])

    def collate(self, conditions: Sequence[Condition]) -> Tensor:
        """(batch, colours)."""
        return torch.stack([condition.tensors["words"] for condition in conditions]).to(self._device)

    def velocity(self, latents: Tensor, timestep: Tensor, batch: Tensor) -> Tensor:
        """See :class:`Tint`."""
        predicted: Tensor = self.transformer(latents, timestep.to(self._device), batch)
        return predicted

    def decode(self, latents: Tensor, conditions: Sequence[Condition]) -> list[Image.Image]:
        """One flat colour each."""
        pixels = ((latents.clamp(-1, 1) + 1) * 127.5).round().int().tolist()
        return [Image.new("RGB", (self.size, self.size), tuple(colour)) for colour in pixels]

    def save(self, folder: Path) -> Path:
        """Write the adapter beside its place, then put it there, so that no half of a file is ever seen."""
        folder.mkdir(parents=True, exist_ok=True)
        # Without alpha the file could not be told from one that was trained with another.
        layer = self.transformer.get_submodule("colour")
        alpha = {"alpha": str(layer.lora_alpha["default"])}  # type: ignore[index]
        partial = folder / f".{FILE}"
        save_file(get_peft_model_state_dict(self.transformer, adapter_name="default"), partial, alpha)
        return partial.replace(folder / FILE)

    def restore(self, file: Path) -> None:
        """Put a saved adapter into the transformer."""
        try:
            with safe_open(file, framework="pt") as opened:
                alpha = float(opened.metadata()["alpha"])
                weights = {f"colour.{name}": opened.get_tensor(f"colour.{name}") for name in FACTORS}
        except (OSError, SafetensorError, KeyError, TypeError) as error:
            raise InputError(f"{file} is no adapter of tint: {error}") from error
        if not hasattr(self.transformer, "peft_config"):
            rank = len(weights[f"colour.{FACTORS[0]}"])
            config = LoraConfig(r=rank, lora_alpha=round(alpha), target_modules=list(self.targets))
            inject_adapter_in_model(config, self.transformer, adapter_name="default")
        set_peft_model_state_dict(self.transformer, weights, adapter_name="default")


def scaled(colour: str) -> list[float]:
    """Red, green and blue in [-1, 1], such that the colour is what comes out without noise."""
    return [channel / 127.5 - 1 for channel in ImageColor.getrgb(colour)[:3]]


def make_policy(spec: Spec, size: int) -> Policy:
    """The factory that the record names. ``plain`` is the only model."""
    if spec.model != "plain":
        raise InputError(f'tint has no model "{spec.model}"', hint="Write tint:plain or tint.")
    return TintPolicy(str(spec), size)
