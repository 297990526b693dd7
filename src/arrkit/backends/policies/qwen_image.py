"""Qwen-Image: text to image. The edit models build on it (:mod:`arrkit.backends.policies.qwen_edit`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKLQwenImage, QwenImagePipeline, QwenImageTransformer2DModel
from diffusers.pipelines.qwenimage.pipeline_qwenimage import calculate_shift, retrieve_timesteps
from torch import Tensor

from arrkit.backends.policies.pipeline import CPU, PipelinePolicy
from arrkit.backends.spec import Spec
from arrkit.data.prompts import Prompt, PromptUnusable
from arrkit.errors import InputError, Problem
from arrkit.rpo.policy import Condition

Shapes = tuple[tuple[int, int, int], ...]
"""Frames, rows and columns in tokens: of the image to be made, then of each source."""


def make_qwen_image(
    spec: Spec,
    *,
    size: int = 0,
    width: int = 0,
    height: int = 0,
    cfg: float = 4.0,
    negative: str = " ",
    max_sequence_length: int = 512,
    revision: str = "",
    variant: str = "",
) -> QwenImagePolicy:
    """The policy that ``spec`` names. Raises :class:`~arrkit.errors.InputError` for impossible options."""
    return QwenImagePolicy(
        spec,
        size=size,
        width=width,
        height=height,
        revision=revision,
        variant=variant,
        settings={**guidance_settings(cfg, negative), "max_sequence_length": max_sequence_length},
        cfg=cfg,
        negative=negative,
        length=max_sequence_length,
    )


def guidance_settings(cfg: float, negative: str) -> Mapping[str, str | float | None]:
    """What the identity says about guidance: without it, the negative prompt decides nothing."""
    return {"cfg": cfg, "negative": negative if cfg > 1 else None}


@dataclass(frozen=True, slots=True)
class Fed:
    """What the transformer is fed in one pass besides latents, sources and time.

    ``states`` is (batch, tokens, width); ``mask``, (batch, tokens), is 0 where a shorter prompt is padded,
    and None where none is.
    """

    states: Tensor
    mask: Tensor | None

    @classmethod
    def of(cls, each: Sequence[Tensor]) -> Fed:
        """States of prompts of any lengths, (tokens, width) each, padded at the end and masked there."""
        lengths = [len(states) for states in each]
        longest = max(lengths)
        states = torch.nn.utils.rnn.pad_sequence(list(each), batch_first=True)
        if min(lengths) == longest:
            return cls(states, None)
        places = torch.arange(longest, device=states.device)
        return cls(states, (places < torch.tensor(lengths, device=states.device)[:, None]).long())


@dataclass(frozen=True, slots=True)
class QwenBatch:
    """Samples whose images and sources have one layout; ``rows`` are their places among all samples.

    ``source`` is (batch, tokens, channels): the packed latents of all sources, one after another.
    """

    rows: tuple[int, ...]
    positive: Fed
    negative: Fed | None
    source: Tensor | None
    shapes: Shapes


class QwenImagePolicy(PipelinePolicy):
    """Qwen-Image. Latents are packed: (tokens, 64), a token for 2 x 2 places of the VAE's grid.

    Prompts are not padded: in a batch of several lengths the shorter ones are masked, so that each sample
    gets what it would get alone. With ``cfg`` above 1 the transformer runs twice a step, for the prompt and
    for the negative prompt, and the guided velocity of a token is scaled back to the length of the prompt's.
    """

    pipeline_class: ClassVar[Any] = QwenImagePipeline
    transformer_class: ClassVar[Any] = QwenImageTransformer2DModel
    vae_class: ClassVar[Any] = AutoencoderKLQwenImage
    kinds: ClassVar[tuple[str, ...]] = ("QwenImagePipeline",)

    def __init__(self, spec: Spec, *, cfg: float, negative: str, length: int = 0, **options: Any) -> None:
        super().__init__(spec, **options)
        self.cfg = cfg
        self.negative = negative
        self.length = length

    @property
    def guided(self) -> bool:
        """Whether there is true classifier-free guidance, in two passes a step."""
        return self.cfg > 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever starts a run should be told, in whole sentences."""
        if self.guided:
            return (f"True guidance at {self.cfg:g}: the transformer runs twice a step.",)
        default = "true_cfg_scale=4.0 and a negative prompt"
        return (f"No true guidance (cfg=1): one pass a step. The pipeline is mostly used with {default}.",)

    def check(self, shell: Any) -> None:
        """Also refuse models that are told their guidance: none is released."""
        super().check(shell)
        if self.config.get("guidance_embeds"):
            what = f"{self.origin.model} is told its guidance, which is not supported"
            raise InputError(Problem(what, self.origin.where))

    def multiple(self, shell: Any) -> int:
        """A token's side in pixels."""
        return int(shell.vae_scale_factor) * 2

    # Conditions

    def encode_one(self, prompt: Prompt) -> Condition:
        """The text encoder's states ``prompt`` (tokens, width) and, with guidance, ``negative``."""
        width, height = self.size
        tensors = {"prompt": self._states(prompt.text)}
        if self.guided:
            tensors["negative"] = self._states(self.negative)
        return Condition(tensors, width, height)

    def _states(self, text: str) -> Tensor:
        pipe = self.encoding
        count = len(pipe.tokenizer(pipe.prompt_template_encode.format(text), verbose=False).input_ids)
        if (count := count - pipe.prompt_template_encode_start_idx) > self.length:
            raise PromptUnusable(f"has {count} tokens, and the encoder takes {self.length}")
        states, _ = pipe.encode_prompt(text, device=self.device, max_sequence_length=self.length)
        return torch.as_tensor(states[0]).cpu()

    # Sampling

    @property
    def channels(self) -> int:
        """Channels of the unpacked latents."""
        return int(self.config["in_channels"]) // 4

    def shapes(self, condition: Condition) -> Shapes:
        """The layout of the tokens."""
        side = self.multiple(self.shell)
        return ((1, condition.height // side, condition.width // side),)

    def noise(self, condition: Condition, generator: torch.Generator) -> Tensor:
        """(tokens, 4 channels), drawn in the transformer's type as the pipeline does it."""
        latents = self.shell.prepare_latents(
            1, self.channels, condition.height, condition.width, self.dtype, CPU, generator
        )
        return torch.as_tensor(latents[0]).float()

    def set_steps(self, scheduler: Any, steps: int, condition: Condition) -> None:
        """Even noise levels, shifted by the number of the image's own tokens."""
        _, rows, columns = self.shapes(condition)[0]
        config = scheduler.config
        mu = calculate_shift(
            rows * columns,
            config.get("base_image_seq_len", 256),
            config.get("max_image_seq_len", 4096),
            config.get("base_shift", 0.5),
            config.get("max_shift", 1.15),
        )
        sigmas: Any = np.linspace(1.0, 1 / steps, steps)
        retrieve_timesteps(scheduler, steps, "cpu", sigmas=sigmas, mu=mu)

    def collate(self, conditions: Sequence[Condition]) -> list[QwenBatch]:
        """One batch for each layout: the model's places count from the layout, which sources differ in."""
        layouts: dict[Shapes, list[int]] = {}
        for row, condition in enumerate(conditions):
            layouts.setdefault(self.shapes(condition), []).append(row)
        return [
            self._batch([conditions[row] for row in rows], tuple(rows), shapes)
            for shapes, rows in layouts.items()
        ]

    def _batch(self, conditions: Sequence[Condition], rows: tuple[int, ...], shapes: Shapes) -> QwenBatch:
        return QwenBatch(
            rows,
            Fed.of(self._moved(condition.tensors["prompt"] for condition in conditions)),
            Fed.of(self._moved(map(self.negative_of, conditions))) if self.guided else None,
            self.stack(conditions, "source") if len(shapes) > 1 else None,
            shapes,
        )

    def negative_of(self, condition: Condition) -> Tensor:
        """States of the negative prompt, (tokens, width)."""
        return condition.tensors["negative"]

    def _moved(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        return [tensor.to(self.device, self.dtype) for tensor in tensors]

    def velocity(self, latents: Tensor, timestep: Tensor, batch: list[QwenBatch]) -> Tensor:
        """The guided velocity. Time is fed in the model's type, over 1000, as in the pipeline."""
        if len(batch) == 1:
            return self._guided(latents, timestep, batch[0])
        parts = [self._guided(latents[list(part.rows)], timestep, part) for part in batch]
        order = torch.tensor([row for part in batch for row in part.rows], device=latents.device)
        return torch.cat(parts)[order.argsort()]

    def _guided(self, latents: Tensor, timestep: Tensor, batch: QwenBatch) -> Tensor:
        hidden = latents.to(self.dtype)
        if batch.source is not None:
            hidden = torch.cat([hidden, batch.source], dim=1)
        time = timestep.to(self.device).expand(len(latents)).to(self.dtype) / 1000
        tokens = latents.shape[1]
        positive = self._predict(hidden, time, batch.positive, batch.shapes)[:, :tokens]
        if batch.negative is None:
            return positive
        negative = self._predict(hidden, time, batch.negative, batch.shapes)[:, :tokens]
        guided = negative + self.cfg * (positive - negative)
        length = torch.norm(positive, dim=-1, keepdim=True)  # (batch, tokens, 1)
        scaled: Tensor = guided * (length / torch.norm(guided, dim=-1, keepdim=True))
        return scaled

    def _predict(self, hidden: Tensor, time: Tensor, fed: Fed, shapes: Shapes) -> Tensor:
        output = self.transformer(
            hidden_states=hidden,
            timestep=time,
            guidance=None,
            encoder_hidden_states=fed.states,
            encoder_hidden_states_mask=fed.mask,
            img_shapes=[list(shapes)] * len(hidden),
            return_dict=False,
        )[0]
        return torch.as_tensor(output).float()

    def decode_one(self, latents: Tensor, condition: Condition) -> Tensor:
        """Unpacked, scaled back channel by channel, decoded; the VAE is one of videos, of one frame here."""
        scale = self.shell.vae_scale_factor
        frames = self.shell._unpack_latents(latents, condition.height, condition.width, scale)
        config = self.vae.config
        form = (1, config.z_dim, 1, 1, 1)
        mean = torch.tensor(config.latents_mean).view(form).to(frames)
        # By the inverse, as the pipeline does it: a product would round otherwise.
        inverse = 1.0 / torch.tensor(config.latents_std).view(form).to(frames)
        pixels = self.vae.decode(frames / inverse + mean, return_dict=False)[0]
        return torch.as_tensor(pixels)[:, :, 0]
