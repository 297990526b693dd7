"""BAGEL, on the user's own checkout of its code: text to image, and edits.

BAGEL takes one sample at a time: prompt and sources go through the language model first, which keeps their
keys and values, and each sampling step reads those. All of that stays in here; outside, a batch is a batch.

diffusers does not know BAGEL, and so has no ``load_lora_weights`` for what is saved: the file has peft's
names, and its metadata says rank, alpha and modules. ``arrkit rpo sample`` takes it.
"""

from __future__ import annotations

import gc
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from PIL import Image
from torch import Tensor, nn

from arrkit.backends.policies.bagel_adapters import restore_adapter, save_adapter
from arrkit.backends.policies.bagel_checkout import Checkout, check_weights, fingerprint, unfrozen
from arrkit.backends.spec import Spec
from arrkit.canonical import Json
from arrkit.data.pairs import ImageUnreadable, Task
from arrkit.data.prompts import Prompt, PromptUnusable
from arrkit.errors import InputError, Problem
from arrkit.rpo.policy import Condition, Grid, Part

TARGETS = ("q_proj_moe_gen", "k_proj_moe_gen", "v_proj_moe_gen", "o_proj_moe_gen")
"""Attention of the generation expert. The other expert reads the prompt, whose keys then never change."""

_EXPERT = "_moe_gen"
_SIDE = 1024
_VIT = (980, 224, 14)
"""What BAGEL's ``app.py`` scales the vision transformer's copy of a source to."""


@dataclass(frozen=True, slots=True)
class Guidance:
    """BAGEL's guidance: by the prompt, by the sources, in which part of the grid, rescaled by which norm."""

    text: float
    image: float
    begin: float
    renorm: str

    @classmethod
    def of(cls, task: Task, cfg: float, cfg_image: float, cfg_begin: float, renorm: str) -> Guidance:
        """The settings given, and those of ``app.py`` for the task where ``own``, 0 or -1 stands."""
        image, begin, norm = (2.0, 0.0, "text_channel") if task is Task.EDIT else (1.5, 0.4, "global")
        if cfg <= 1:  # BAGEL itself guides by sources only where it guides by the prompt
            return cls(1.0, 1.0, 0.0, norm)
        return cls(
            cfg,
            cfg_image or image,
            begin if cfg_begin < 0 else cfg_begin,
            norm if renorm == "own" else renorm,
        )

    def at(self, time: float) -> tuple[float, float]:
        """The scales at a noise level."""
        return (self.text, self.image) if self.begin < time <= 1 else (1.0, 1.0)

    @property
    def passes(self) -> int:
        """Passes of a guided step."""
        return 1 + (self.text > 1) + (self.image > 1)


def make_bagel(
    spec: Spec,
    *,
    path: str = "",
    task: str = "t2i",
    size: int = 0,
    width: int = 0,
    height: int = 0,
    cfg: float = 4.0,
    cfg_image: float = 0.0,
    cfg_begin: float = -1.0,
    renorm: str = "own",
    shift: float = 3.0,
) -> BagelPolicy:
    """The policy that ``spec`` names. Raises :class:`~arrkit.errors.InputError` for impossible options."""
    kind = Task(task)
    if size and (width or height):
        raise InputError(Problem("size is given, and width or height too", "policy bagel"))
    if kind is Task.EDIT and (width or height):
        hint = "Give size, which is the longest side of source and result."
        raise InputError(Problem("an edit has its source's width and height", "policy bagel", hint))
    sides = (width or size or _SIDE, height or size or _SIDE)
    if wrong := [side for side in sides if side % 16 or side > _SIDE]:
        hint = f"Sides are multiples of 16, up to {_SIDE}."
        raise InputError(
            Problem(f"BAGEL's images cannot be {wrong[0]} pixels wide or high", "policy bagel", hint)
        )
    return BagelPolicy(spec, path, kind, sides, Guidance.of(kind, cfg, cfg_image, cfg_begin, renorm), shift)


@dataclass(frozen=True, slots=True)
class Context:
    """What BAGEL has read: its cache of keys and values, their number, and the next place."""

    cache: Any
    lengths: list[int]
    places: list[int]


@dataclass(slots=True)
class Sample:
    """One sample of a batch; ``fed`` is kept where no adapter has a part in it."""

    condition: Condition
    fed: dict[str, Any] | None = None


class _Ready:
    """Stands for a tokenizer where the tokens are there already."""

    @staticmethod
    def encode(tokens: list[int]) -> list[int]:
        return tokens


class BagelPolicy:
    """A :class:`~arrkit.rpo.policy.Policy` over BAGEL; see :func:`make_bagel`. Latents are (tokens, 64).

    A condition holds the prompt's tokens and the sources' pixels, not what BAGEL makes of them: keys and
    values of 28 layers are 57 kB a token, and those of a source change with the adapter.
    """

    def __init__(
        self, spec: Spec, path: str, task: Task, sides: tuple[int, int], guidance: Guidance, shift: float
    ) -> None:
        self.name = str(spec)
        self.task = task
        self.targets = TARGETS
        self.suggested: Mapping[str, str | int | float] = {}
        self.guidance = guidance
        self._weights = check_weights(spec.model)
        self._path = path
        self._sides = sides
        self._shift = shift
        self._model: Any = None
        self._vae: Any = None
        self._tokenizer: Any = None
        self._numbers: Mapping[str, int] = {}
        self._loaded: set[Part] = set()
        self.device = torch.device("cpu")
        self.dtype = torch.float32

    # What it is

    @cached_property
    def code(self) -> Checkout:
        """BAGEL's own code."""
        return Checkout.find(self._path)

    @property
    def identity(self) -> Mapping[str, Json]:
        """Weights, task, size and guidance."""
        guidance = self.guidance
        return {
            "kind": "bagel",
            "model": fingerprint(self._weights),
            "task": str(self.task),
            "width": self._sides[0],
            "height": self._sides[1],
            "cfg": [guidance.text, guidance.image, guidance.begin, guidance.renorm],
            "shift": self._shift,
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever starts a run should be told, in whole sentences."""
        if self.guidance.text > 1:
            return (f"Guidance at {self.guidance.text:g}: up to {self.guidance.passes} passes a step.",)
        return ("No guidance (cfg=1): one pass a step. BAGEL is mostly used with a guidance of 4.",)

    def prompts(self, split: str) -> tuple[Prompt, ...]:  # noqa: ARG002 (the protocol's)
        """None: the model comes without prompts."""
        return ()

    def skeleton(self) -> nn.Module:
        """The language model on the meta device."""
        model: Any = self.code.empty(self._weights)
        module: nn.Module = model.language_model
        return module

    # Loading

    def load(self, parts: Collection[Part], *, device: torch.device, dtype: torch.dtype) -> None:
        """See :meth:`arrkit.rpo.policy.Policy.load`. For edits the transformer comes with the autoencoder."""
        self.device, self.dtype = device, dtype
        if Part.ENCODERS in parts and self._tokenizer is None:
            self._tokenizer = self.code.tokenizer(self._weights)[0]
        if Part.TRANSFORMER in parts and self._model is None:
            self._model = self.code.load(self._weights, device=device, dtype=dtype)
            self._numbers = self.code.tokenizer(self._weights)[1]
        if self._vae is None and self._needs_vae(parts):
            self._vae = self.code.vae(self._weights, device=device)
        self._loaded |= set(parts)

    def unload(self, parts: Collection[Part]) -> None:
        """See :meth:`arrkit.rpo.policy.Policy.unload`."""
        self._loaded -= set(parts)
        if Part.ENCODERS not in self._loaded:
            self._tokenizer = None
        if Part.TRANSFORMER not in self._loaded:
            self._model = None
        if not self._needs_vae(self._loaded):
            self._vae = None
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _needs_vae(self, parts: Collection[Part]) -> bool:
        return Part.DECODER in parts or (Part.TRANSFORMER in parts and self.task is Task.EDIT)

    @property
    def model(self) -> Any:
        """BAGEL whole."""
        if self._model is None:
            raise RuntimeError("the transformer is not loaded")
        return self._model

    @property
    def transformer(self) -> nn.Module:
        """BAGEL's language model, which paints, too."""
        module: nn.Module = self.model.language_model
        return module

    # Conditions

    def encode(self, prompts: Sequence[Prompt]) -> list[Condition]:
        """``tokens`` (length,) of each prompt, and ``source0`` and so on, (height, width, 3), in bytes."""
        if self._tokenizer is None:
            raise RuntimeError("the encoders are not loaded")
        return [self._encode_one(prompt) for prompt in prompts]

    def _encode_one(self, prompt: Prompt) -> Condition:
        if bool(prompt.sources) != (self.task is Task.EDIT):
            raise PromptUnusable(
                "has no source image, and this policy edits one"
                if self.task is Task.EDIT
                else "has a source image, and this policy takes none: add task=edit to its spec"
            )
        tensors = {"tokens": torch.tensor(self._tokenizer.encode(prompt.text), dtype=torch.int32)}
        width, height = self._sides
        resize = self.code.transforms.ImageTransform(*self._source_sides()).resize_transform
        for number, picture in enumerate(prompt.sources):
            try:
                image = resize(picture.load())
            except ImageUnreadable as error:
                raise PromptUnusable(str(error)) from error
            finally:
                picture.release()
            tensors[f"source{number}"] = torch.from_numpy(np.array(image))
            width, height = image.size
        return Condition(tensors, width, height)

    def _source_sides(self) -> tuple[int, int, int]:
        """The longest and the shortest side of a source, and what both are multiples of."""
        return self._sides[0], self._sides[0] // 2, 16

    def noise(self, condition: Condition, generator: torch.Generator) -> Tensor:
        """(tokens, 64): the numbers that BAGEL draws from the global generator."""
        model = self.model
        side = model.latent_downsample
        tokens = (condition.width // side) * (condition.height // side)
        return torch.randn(tokens, model.latent_channel * model.latent_patch_size**2, generator=generator)

    def grid(self, steps: int, condition: Condition) -> Grid:  # noqa: ARG002 (the protocol's)
        """BAGEL's own: evenly spaced from 1 to 0, then shifted. The unit of time is 1."""
        even = torch.linspace(1, 0, steps + 1)
        sigmas = self._shift * even / (1 + (self._shift - 1) * even)
        return Grid(sigmas, sigmas[:-1].clone())

    # Sampling

    def collate(self, conditions: Sequence[Condition]) -> list[Sample]:
        """One sample after another."""
        return [Sample(condition) for condition in conditions]

    def velocity(self, latents: Tensor, timestep: Tensor, batch: list[Sample]) -> Tensor:
        """The guided velocity, sample by sample."""
        enabled = self.dtype == torch.bfloat16
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled):
            each = [self._flow(x, timestep, sample) for x, sample in zip(latents, batch, strict=True)]
        return torch.stack(each).float()

    def _flow(self, latents: Tensor, timestep: Tensor, sample: Sample) -> Tensor:
        text, image = self.guidance.at(float(timestep))
        velocity = unfrozen(self.model._forward_flow)(
            x_t=latents,
            timestep=timestep.to(latents).expand(len(latents)),
            cfg_renorm_min=0.0,
            cfg_renorm_type=self.guidance.renorm,
            cfg_text_scale=text,
            cfg_img_scale=image,
            **self._fed(sample),
        )
        return torch.as_tensor(velocity)

    def _fed(self, sample: Sample) -> dict[str, Any]:
        """What a step reads besides latents and time: made once where no adapter has a part in it."""
        if sample.fed is not None:
            return sample.fed
        if self._context_trains():
            return self._read(sample.condition)
        with torch.no_grad():
            sample.fed = self._read(sample.condition)
        return sample.fed

    def _context_trains(self) -> bool:
        """Whether an adapter changes what is read before sampling: the source's keys, or the prompt's."""
        adapted = [
            name for name, each in self.transformer.named_modules() if isinstance(each, BaseTunerLayer)
        ]
        return self.task is Task.EDIT or any(_EXPERT not in name for name in adapted)

    def _read(self, condition: Condition) -> dict[str, Any]:
        """Read sources, then the prompt; the contexts of guidance lack the one or the other."""
        # BAGEL's autoencoder draws what it makes of a source, and noise is drawn here as well, though what is
        # fed comes from elsewhere: with one seed every reading is the same, and no generator moves.
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(0)
            return self._read_seeded(condition)

    def _read_seeded(self, condition: Condition) -> dict[str, Any]:
        tokens = condition.tensors["tokens"].tolist()
        everything = self._empty()
        sources = sorted(name for name in condition.tensors if name.startswith("source"))
        for name in sources:
            everything = self._with_image(everything, condition.tensors[name])
        without_text = everything
        everything = self._with_text(_copy(everything), tokens)
        size = [(condition.height, condition.width)]
        fed = self._placed(
            self.model.prepare_vae_latent(everything.lengths, everything.places, size, self._numbers)
        )
        del fed["packed_init_noises"]
        fed["past_key_values"] = everything.cache
        if self.guidance.text > 1:
            fed |= self._guiding("cfg_text", without_text, size)
        if self.guidance.image > 1:
            only_text = self._with_text(self._empty(), tokens) if sources else everything
            fed |= self._guiding("cfg_img", only_text, size)
        return fed

    def _guiding(self, prefix: str, context: Context, size: list[tuple[int, int]]) -> dict[str, Any]:
        made = self._placed(self.model.prepare_vae_latent_cfg(context.lengths, context.places, size))
        named = {f"{prefix}_{name.removeprefix('cfg_')}": value for name, value in made.items()}
        return {**named, f"{prefix}_past_key_values": context.cache}

    def _empty(self) -> Context:
        layers = self.model.config.llm_config.num_hidden_layers
        return Context(self.code.navit.NaiveCache(layers), [0], [0])

    def _with_text(self, context: Context, tokens: list[int]) -> Context:
        given, lengths, places = self.model.prepare_prompts(
            curr_kvlens=context.lengths,
            curr_rope=context.places,
            prompts=[tokens],
            tokenizer=_Ready,
            new_token_ids=self._numbers,
        )
        read = unfrozen(self.model.forward_cache_update_text)
        return Context(read(context.cache, **self._placed(given)), lengths, places)

    def _with_image(self, context: Context, pixels: Tensor) -> Context:
        """Read a source twice, through the autoencoder and through the vision transformer."""
        image = Image.fromarray(pixels.numpy())
        model, transform = self.model, self.code.transforms.ImageTransform
        given, lengths, places = model.prepare_vae_images(
            context.lengths, context.places, [image], transform(*self._source_sides()), self._numbers
        )
        read = unfrozen(model.forward_cache_update_vae)
        cache = read(self._vae, context.cache, **self._placed(given))
        given, lengths, places = model.prepare_vit_images(
            lengths, places, [image], transform(*_VIT), self._numbers
        )
        read = unfrozen(model.forward_cache_update_vit)
        return Context(read(cache, **self._placed(given)), lengths, places)

    def _placed(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: value.to(self.device) if isinstance(value, Tensor) else value
            for name, value in given.items()
        }

    @torch.no_grad()
    def decode(self, latents: Tensor, conditions: Sequence[Condition]) -> list[Image.Image]:
        """See :meth:`arrkit.rpo.policy.Policy.decode`."""
        if self._vae is None:
            raise RuntimeError("the decoder is not loaded")
        return [self._decode_one(x, each) for x, each in zip(latents, conditions, strict=True)]

    def _decode_one(self, latents: Tensor, condition: Condition) -> Image.Image:
        channels = latents.shape[1] // 4
        rows, columns = condition.height // 16, condition.width // 16
        patches = latents.to(self.device).reshape(rows, columns, 2, 2, channels)
        grid = patches.permute(4, 0, 2, 1, 3).reshape(1, channels, rows * 2, columns * 2)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            pixels = self._vae.decode(grid.to(self.dtype))[0]
        values = (pixels * 0.5 + 0.5).clamp(0, 1).permute(1, 2, 0) * 255
        return Image.fromarray(values.to(torch.uint8).cpu().numpy())

    # Adapters

    def save(self, folder: Path) -> Path:
        """Write the adapter in peft's names; no pipeline of diffusers loads it. See the module's text."""
        return save_adapter(self.transformer, folder)

    def restore(self, file: Path) -> None:
        """Put an adapter that :meth:`save` wrote into the language model."""
        restore_adapter(self.transformer, file)


def _copy(context: Context) -> Context:
    """The context for another reader. BAGEL replaces the tensors of a cache and never writes into them."""
    cache = type(context.cache)(context.cache.num_layers)
    cache.key_cache = dict(context.cache.key_cache)
    cache.value_cache = dict(context.cache.value_cache)
    return Context(cache, list(context.lengths), list(context.places))
