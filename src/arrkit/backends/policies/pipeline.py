"""What all policies over a diffusers pipeline share: finding it, loading its parts, its grid, its adapters.

The pipeline itself does what it can do: a policy holds one whose transformer and VAE are on the meta device,
so that it knows its geometry and has no weights, and calls its methods. What a pipeline does inside
``__call__`` (feeding the transformer, guidance) stands in the subclasses, and tests hold them to its numbers,
bit for bit.
"""

from __future__ import annotations

import gc
import inspect
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.utils import logging
from PIL.Image import Image
from torch import Tensor, nn
from transformers.utils import logging as transformers_logging

from arrkit.backends.policies.adapters import restore_adapter, save_adapter
from arrkit.backends.policies.origin import INDEX, Origin
from arrkit.backends.spec import Spec
from arrkit.canonical import Json
from arrkit.data.pairs import ImageUnreadable, Task
from arrkit.data.prompts import Prompt, PromptUnusable
from arrkit.errors import InputError, Problem
from arrkit.rpo.policy import Condition, Grid, Part

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
"""The projections of the image tokens' attention, which get adapters by default."""

CPU = torch.device("cpu")

_LOGGERS: tuple[Any, ...] = (logging, transformers_logging)


class PipelinePolicy(ABC):
    """A :class:`~arrkit.rpo.policy.Policy` over one pipeline class of diffusers.

    Args:
        spec: as parsed; its model is a folder or a name on the hub.
        size, width, height: of the images in pixels; 0 is the pipeline's default. ``size`` stands for both.
        revision, variant: see :class:`~arrkit.backends.policies.origin.Origin`.
        settings: everything else that decides conditions and guidance, for :attr:`identity`.
    """

    pipeline_class: ClassVar[Any]
    transformer_class: ClassVar[Any]
    vae_class: ClassVar[Any]
    kinds: ClassVar[tuple[str, ...]]
    """The pipeline classes, by name, whose models this policy takes."""

    task: Task = Task.T2I
    targets: tuple[str, ...] = ATTENTION
    suggested: Mapping[str, str | int | float] = {}
    sources: ClassVar[tuple[int, int]] = (0, 0)
    """The least and the largest number of source images. With any, the encoders need the VAE as well."""

    def __init__(
        self,
        spec: Spec,
        *,
        size: int = 0,
        width: int = 0,
        height: int = 0,
        revision: str = "",
        variant: str = "",
        settings: Mapping[str, Json],
    ) -> None:
        self.name = str(spec)
        self.origin = Origin(spec, revision, variant)
        if size and (width or height):
            raise InputError(Problem("size is given, and width or height too", self.origin.where))
        self._wanted = (width or size, height or size)
        self._settings = settings
        self._loaded: set[Part] = set()
        self._encoding: Any = None
        self._transformer: Any = None
        self._vae: Any = None
        self.device = CPU
        self.dtype = torch.float32

    # What it is

    @property
    def identity(self) -> Mapping[str, Json]:
        """The model by its commit or digest, the size of its images, and the settings."""
        width, height = self.size
        return {
            "kind": self.kinds[0],
            "model": self.origin.fingerprint,
            "variant": self.origin.variant,
            "width": width,
            "height": height,
            **self._settings,
        }

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The transformer's configuration."""
        kind = self.origin.read(INDEX).get("_class_name")
        if kind not in self.kinds:
            wanted = " or ".join(self.kinds)
            raise InputError(Problem(f"{self.origin.model} is a {kind}, not a {wanted}", self.origin.where))
        return self.origin.read("transformer/config.json")

    @cached_property
    def scheduler_config(self) -> Mapping[str, Any]:
        """The configuration of the model's own scheduler."""
        config = self.origin.read("scheduler/scheduler_config.json")
        known = FlowMatchEulerDiscreteScheduler.__name__
        if config.get("_class_name", known) != known:
            what = f"its scheduler is {config['_class_name']}, and only {known} can be trained with"
            raise InputError(Problem(what, self.origin.where))
        return config

    @cached_property
    def shell(self) -> Any:
        """The pipeline with its geometry and without weights: it can count, and not compute."""
        parts = {
            "transformer": self._new_transformer(),
            "scheduler": self.scheduler(),
            "vae": _hollow(self.vae_class, self.origin.read("vae/config.json")),
        }
        arguments = inspect.signature(self.pipeline_class.__init__).parameters.values()
        required = [each.name for each in arguments if each.default is each.empty and each.name != "self"]
        shell = self.pipeline_class(**{**dict.fromkeys(required), **parts})
        self.check(shell)
        return shell

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the images, in pixels."""
        side = self.shell.default_sample_size * self.shell.vae_scale_factor
        return self._wanted[0] or side, self._wanted[1] or side

    def check(self, shell: Any) -> None:
        """Refuse, before anything is loaded, what the pipeline would refuse or silently change."""
        multiple = self.multiple(shell)
        if wrong := [side for side in self._wanted if side % multiple]:
            near = max(multiple, round(wrong[0] / multiple) * multiple)
            hint = f"Sides are multiples of {multiple}, such as {near}."
            raise InputError(
                Problem(
                    f"images of this model cannot be {wrong[0]} pixels wide or high", self.origin.where, hint
                )
            )

    def prompts(self, split: str) -> tuple[Prompt, ...]:  # noqa: ARG002 (the protocol's)
        """None: the model comes without prompts."""
        return ()

    def skeleton(self) -> nn.Module:
        """A new transformer on the meta device, after every check that needs no weights."""
        _ = self.shell
        return self._new_transformer()

    def _new_transformer(self) -> nn.Module:
        with self.origin.loading("the transformer's configuration"):
            module: nn.Module = _hollow(self.transformer_class, self.config)
            return module

    def scheduler(self) -> Any:
        """A new scheduler from the model's configuration, which no earlier run has touched."""
        kind: Any = FlowMatchEulerDiscreteScheduler
        return kind.from_config(dict(self.scheduler_config))

    # Loading

    def load(self, parts: Collection[Part], *, device: torch.device, dtype: torch.dtype) -> None:
        """See :meth:`arrkit.rpo.policy.Policy.load`."""
        shell = self.shell
        self.device, self.dtype = device, dtype
        with quiet():
            if Part.TRANSFORMER in parts and self._transformer is None:
                self._transformer = self._weights(self.transformer_class, "transformer")
            if self._vae is None and self._needs_vae(parts):
                self._vae = self._weights(self.vae_class, "vae")
            if Part.ENCODERS in parts and self._encoding is None:
                self._encoding = self._encoders(shell)
        self._loaded |= set(parts)
        if self._encoding is not None and self._vae is not None:
            self._encoding.register_modules(vae=self._vae)

    def unload(self, parts: Collection[Part]) -> None:
        """See :meth:`arrkit.rpo.policy.Policy.unload`."""
        self._loaded -= set(parts)
        if Part.ENCODERS not in self._loaded:
            self._encoding = None
        if Part.TRANSFORMER not in self._loaded:
            self._transformer = None
        if not self._needs_vae(self._loaded):
            self._vae = None
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _needs_vae(self, parts: Collection[Part]) -> bool:
        return Part.DECODER in parts or (Part.ENCODERS in parts and self.sources[1] > 0)

    def _weights(self, kind: Any, name: str) -> Any:
        with self.origin.loading(f"the {name}"):
            module, info = kind.from_pretrained(
                self.origin.source,
                subfolder=name,
                dtype=self.dtype,
                output_loading_info=True,
                **self.origin.arguments,
            )
            if missing := info["missing_keys"]:
                raise ValueError(f"{len(missing)} weights are missing, such as {sorted(missing)[0]}")
        return self._frozen(module)

    def _encoders(self, shell: Any) -> Any:
        kept = {name: getattr(shell, name) for name in ("transformer", "vae", "scheduler")}
        # A part that a model was saved without (T5 of SD3.5) must be named as missing to be accepted.
        kept |= {name: None for name, part in self.origin.read(INDEX).items() if part == [None, None]}
        with self.origin.loading("the encoders"):
            pipe = self.pipeline_class.from_pretrained(
                self.origin.source, dtype=self.dtype, **kept, **self.given_parts(), **self.origin.arguments
            )
        for name, part in pipe.components.items():
            if isinstance(part, nn.Module) and name not in kept:
                self._frozen(part)
        return pipe

    def given_parts(self) -> Mapping[str, Any]:
        """Parts of the encoding pipeline that ``from_pretrained`` shall not load by itself."""
        return {}

    def _frozen(self, module: Any) -> Any:
        return module.to(self.device).eval().requires_grad_(False)

    @property
    def transformer(self) -> nn.Module:
        """See :meth:`arrkit.rpo.policy.Policy.transformer`."""
        if self._transformer is None:
            raise RuntimeError("the transformer is not loaded")
        module: nn.Module = self._transformer
        return module

    @property
    def encoding(self) -> Any:
        """The pipeline with its encoders (and, for edits, its VAE); its transformer has no weights."""
        if self._encoding is None:
            raise RuntimeError("the encoders are not loaded")
        return self._encoding

    @property
    def vae(self) -> Any:
        """The VAE with its weights."""
        if self._vae is None:
            raise RuntimeError("the decoder is not loaded")
        return self._vae

    # Sampling

    @torch.no_grad()
    def encode(self, prompts: Sequence[Prompt]) -> list[Condition]:
        """See :meth:`arrkit.rpo.policy.Policy.encode`. One at a time: no prompt changes another."""
        with quiet():
            return [self._encode_checked(prompt) for prompt in prompts]

    def _encode_checked(self, prompt: Prompt) -> Condition:
        least, most = self.sources
        given = len(prompt.sources)
        if given > most:
            what = (
                "no source image"
                if not most
                else "one source image"
                if most == 1
                else f"{most} source images"
            )
            raise PromptUnusable(f"has {given} source image{'s' * (given > 1)}, and this model takes {what}")
        if given < least:
            raise PromptUnusable("has no source image, and this model edits one")
        try:
            for picture in prompt.sources:
                picture.load()
        except ImageUnreadable as error:
            raise PromptUnusable(str(error)) from error
        try:
            return self.encode_one(prompt)
        finally:
            for picture in prompt.sources:
                picture.release()

    def grid(self, steps: int, condition: Condition) -> Grid:
        """See :meth:`arrkit.rpo.policy.Policy.grid`."""
        scheduler = self.scheduler()
        self.set_steps(scheduler, steps, condition)
        return Grid(scheduler.sigmas.float().cpu(), scheduler.timesteps.float().cpu())

    @torch.no_grad()
    def decode(self, latents: Tensor, conditions: Sequence[Condition]) -> list[Image]:
        """See :meth:`arrkit.rpo.policy.Policy.decode`. One at a time, which takes less memory."""
        images: list[Image] = []
        for each, condition in zip(latents, conditions, strict=True):
            pixels = self.decode_one(each[None].to(self.device, self.dtype), condition)
            images += self.shell.image_processor.postprocess(pixels, output_type="pil")
        return images

    @abstractmethod
    def multiple(self, shell: Any) -> int:
        """What width and height must be multiples of, in pixels."""

    @abstractmethod
    def encode_one(self, prompt: Prompt) -> Condition:
        """The condition of one prompt whose number of sources is right; no gradients are kept."""

    @abstractmethod
    def set_steps(self, scheduler: Any, steps: int, condition: Condition) -> None:
        """Set the timesteps of a new scheduler as the pipeline does it."""

    @abstractmethod
    def decode_one(self, latents: Tensor, condition: Condition) -> Tensor:
        """Pixels (1, 3, height, width) in [-1, 1] of one image's latents (1, ...), in the VAE's own type."""

    @abstractmethod
    def noise(self, condition: Condition, generator: torch.Generator) -> Tensor:
        """See :meth:`arrkit.rpo.policy.Policy.noise`."""

    @abstractmethod
    def collate(self, conditions: Sequence[Condition]) -> Any:
        """See :meth:`arrkit.rpo.policy.Policy.collate`."""

    @abstractmethod
    def velocity(self, latents: Tensor, timestep: Tensor, batch: Any) -> Tensor:
        """See :meth:`arrkit.rpo.policy.Policy.velocity`."""

    # Adapters

    def save(self, folder: Path) -> Path:
        """See :meth:`arrkit.rpo.policy.Policy.save`."""
        return save_adapter(self.transformer, folder, self.pipeline_class)

    def restore(self, file: Path) -> None:
        """See :meth:`arrkit.rpo.policy.Policy.restore`."""
        restore_adapter(self.transformer, file)

    # For subclasses

    def stack(self, conditions: Sequence[Condition], name: str) -> Tensor:
        """One tensor of all conditions as a batch, on the device, in the transformer's type."""
        return torch.stack([condition.tensors[name] for condition in conditions]).to(self.device, self.dtype)


def check_length(tokenizer: Any, text: str, limit: int) -> None:
    """Raise :class:`~arrkit.data.prompts.PromptUnusable` where ``text`` has more tokens than are encoded."""
    count = len(tokenizer(text, verbose=False).input_ids)
    if count > limit:
        raise PromptUnusable(f"has {count} tokens, and the encoder takes {limit}")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep libraries from writing to stderr: progress bars, warnings of what is meant or refused anyway."""
    before = [(library, library.get_verbosity(), library.is_progress_bar_enabled()) for library in _LOGGERS]
    for library in _LOGGERS:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, verbosity, bars in before:
            library.set_verbosity(verbosity)
            if bars:
                library.enable_progress_bar()


def _hollow(kind: Any, config: Mapping[str, Any]) -> Any:
    with torch.device("meta"):
        return kind.from_config(dict(config)).eval().requires_grad_(False)
