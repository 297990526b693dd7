"""A policy of a few hundred weights: its latents are a colour, its images show nothing else.

It is a whole :class:`~arrkit.rpo.policy.Policy`, so that what samples, trains and saves can be tested in
milliseconds; a toy judge that likes bright images gives it something to learn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from arrkit.canonical import Json
from arrkit.data.pairs import Task
from arrkit.data.prompts import Prompt
from arrkit.rpo.policy import Condition, Grid, Part

WORDS = ("dawn", "noon", "dusk", "night", "mist", "rain", "snow", "wind")
LATENTS = (4, 3)


class ToyTransformer(nn.Module):
    """Velocity of a handful of colours, from themselves, the time and the prompt."""

    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Linear(3 + 1 + 4, 32)
        self.mix = nn.Linear(32, 32)
        self.drop = nn.Linear(32, 3)

    def forward(self, x: Tensor, time: Tensor, prompt: Tensor) -> Tensor:
        """``x`` (batch, 4, 3), ``time`` (batch,), ``prompt`` (batch, 4)."""
        tokens = x.shape[1]
        side = torch.cat([time[:, None], prompt], 1)[:, None].expand(-1, tokens, -1)
        hidden = torch.tanh(self.lift(torch.cat([x, side], 2)))
        return x + self.drop(torch.tanh(self.mix(hidden)))


class ToyPolicy:
    """See the module's text. ``lie`` makes velocities differ where gradients are on."""

    task = Task.T2I
    targets = ("lift", "mix", "drop")

    def __init__(self, *, lie: float = 0.0, suggested: Mapping[str, str | int | float] | None = None) -> None:
        self.name = "toy"
        self.identity: Mapping[str, Json] = {"model": "toy"}
        self.suggested = suggested or {}
        self.lie = lie
        self.loaded: set[Part] = set()
        self._transformer: nn.Module | None = None

    def prompts(self, split: str) -> tuple[Prompt, ...]:
        words = WORDS if split == "train" else tuple(f"late {word}" for word in WORDS)
        return tuple(Prompt(f"{split}-{i}", Task.T2I, word) for i, word in enumerate(words))

    def skeleton(self) -> nn.Module:
        with torch.device("meta"):
            return ToyTransformer()

    def load(self, parts: Collection[Part], *, device: torch.device, dtype: torch.dtype) -> None:
        if Part.TRANSFORMER in parts and self._transformer is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(7)
                self._transformer = ToyTransformer().to(device, dtype).eval().requires_grad_(False)
        self.loaded |= set(parts)

    def unload(self, parts: Collection[Part]) -> None:
        self.loaded -= set(parts)

    @property
    def transformer(self) -> nn.Module:
        assert self._transformer is not None
        return self._transformer

    def encode(self, prompts: Sequence[Prompt]) -> list[Condition]:
        return [Condition({"prompt": _embedded(prompt.text)}, 16, 16) for prompt in prompts]

    def noise(self, condition: Condition, generator: torch.Generator) -> Tensor:
        return torch.randn(LATENTS, generator=generator)

    def grid(self, steps: int, condition: Condition) -> Grid:
        sigmas = torch.linspace(1, 0, steps + 1)
        return Grid(sigmas, sigmas[:-1] * 1000)

    def collate(self, conditions: Sequence[Condition]) -> Tensor:
        return torch.stack([each.tensors["prompt"] for each in conditions])

    def velocity(self, latents: Tensor, timestep: Tensor, batch: Tensor) -> Tensor:
        time = (timestep / 1000).expand(len(latents))
        v: Tensor = self.transformer(latents, time, batch)
        return v + self.lie if torch.is_grad_enabled() else v

    def decode(self, latents: Tensor, conditions: Sequence[Condition]) -> list[Image.Image]:
        colours = (torch.sigmoid(latents.mean(1)) * 255).round().to(torch.uint8)
        return [Image.new("RGB", (16, 16), tuple(colour.tolist())) for colour in colours]

    def save(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            name: each.contiguous() for name, each in get_peft_model_state_dict(self.transformer).items()
        }
        save_file(state, folder / "pytorch_lora_weights.safetensors")
        return folder / "pytorch_lora_weights.safetensors"

    def restore(self, file: Path) -> None:
        set_peft_model_state_dict(self.transformer, load_file(file))


def _embedded(text: str) -> Tensor:
    raw = hashlib.sha256(text.encode()).digest()[:4]
    return torch.tensor([byte / 255 for byte in raw])
