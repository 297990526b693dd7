"""Stable Diffusion 3 and 3.5, with true classifier-free guidance or without."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel, StableDiffusion3Pipeline
from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import (
    calculate_shift,
    retrieve_timesteps,
)
from torch import Tensor

from arrkit.backends.policies.pipeline import CPU, PipelinePolicy, check_length
from arrkit.backends.spec import Spec
from arrkit.data.prompts import Prompt, PromptUnusable
from arrkit.errors import InputError, Problem
from arrkit.rpo.policy import Condition, Part


def make_sd35(
    spec: Spec,
    *,
    size: int = 0,
    width: int = 0,
    height: int = 0,
    cfg: float = 7.0,
    negative: str = "",
    max_sequence_length: int = 256,
    revision: str = "",
    variant: str = "",
) -> SD35Policy:
    """The policy that ``spec`` names. Raises :class:`~arrkit.errors.InputError` for impossible options."""
    if negative and cfg <= 1:
        what = "a negative prompt is given, and cfg=1 uses none"
        raise InputError(Problem(what, f"policy {spec.name}", "Leave negative out, or give a larger cfg."))
    return SD35Policy(
        spec,
        size=size,
        width=width,
        height=height,
        revision=revision,
        variant=variant,
        settings={
            "cfg": cfg,
            "negative": negative if cfg > 1 else None,
            "max_sequence_length": max_sequence_length,
        },
        cfg=cfg,
        negative=negative,
        length=max_sequence_length,
    )


@dataclass(frozen=True, slots=True)
class SD35Batch:
    """What the transformer is fed besides latents and time.

    ``prompt`` is (batch, tokens, width) and ``pooled`` (batch, width); with guidance both are twice as long,
    negative prompts first.
    """

    prompt: Tensor
    pooled: Tensor


class SD35Policy(PipelinePolicy):
    """Stable Diffusion 3 and 3.5 for text to image. Latents are (channels, height, width) of the VAE's grid.

    With ``cfg`` above 1 each step is two passes, for the prompt and for the negative one, and the velocity is
    ``negative + cfg (prompt - negative)``; with 1 it is one pass, without guidance. Guidance that skips
    layers, which the pipeline can add, is left out.

    Prompts are padded to T5's sequence length; one that T5 would have to cut is refused. The two CLIP
    encoders see the first 77 tokens, as always in this pipeline. In a model that was saved without T5 they
    are all there is, and what they would have to cut is refused.
    """

    pipeline_class: ClassVar[Any] = StableDiffusion3Pipeline
    transformer_class: ClassVar[Any] = SD3Transformer2DModel
    vae_class: ClassVar[Any] = AutoencoderKL
    kinds: ClassVar[tuple[str, ...]] = ("StableDiffusion3Pipeline",)

    def __init__(self, spec: Spec, *, cfg: float, negative: str, length: int, **options: Any) -> None:
        super().__init__(spec, **options)
        self.cfg = cfg
        self.negative = negative
        self.length = length

    def multiple(self, shell: Any) -> int:
        """A token's side in pixels."""
        return int(shell.vae_scale_factor * shell.patch_size)

    def check(self, shell: Any) -> None:
        """Also refuse images larger than the places that the transformer knows."""
        super().check(shell)
        most = int(self.config["pos_embed_max_size"]) * self.multiple(shell)
        if max(self._wanted) > most:
            hint = f"At most {most} pixels."
            what = f"images of this model cannot be {max(self._wanted)} pixels wide or high"
            raise InputError(Problem(what, self.origin.where, hint))

    def load(self, parts: Collection[Part], *, device: torch.device, dtype: torch.dtype) -> None:
        """Also refuse a negative prompt over the encoders' limit."""
        super().load(parts, device=device, dtype=dtype)
        if Part.ENCODERS in parts and self.cfg > 1:
            try:
                self._check_length(self.negative)
            except PromptUnusable as error:
                raise InputError(Problem(f"the negative prompt {error}", self.origin.where)) from error

    def _check_length(self, text: str) -> None:
        if self.encoding.text_encoder_3 is None:
            check_length(self.encoding.tokenizer, text, self.encoding.tokenizer_max_length)
        else:
            check_length(self.encoding.tokenizer_3, text, self.length)

    def encode_one(self, prompt: Prompt) -> Condition:
        """``prompt`` (tokens, width), ``pooled`` (width,); with guidance the same of the negative."""
        self._check_length(prompt.text)
        states, negative, pooled, negative_pooled = self.encoding.encode_prompt(
            prompt.text,
            None,
            None,
            device=self.device,
            do_classifier_free_guidance=self.cfg > 1,
            negative_prompt=self.negative,
            max_sequence_length=self.length,
        )
        tensors = {"prompt": states, "pooled": pooled}
        if self.cfg > 1:
            tensors |= {"negative": negative, "negative_pooled": negative_pooled}
        width, height = self.size
        return Condition({name: tensor[0].cpu() for name, tensor in tensors.items()}, width, height)

    def noise(self, condition: Condition, generator: torch.Generator) -> Tensor:
        """(channels, height, width), drawn in the transformer's type as the pipeline does it."""
        latents = self.shell.prepare_latents(
            1,
            self.config["in_channels"],
            condition.height,
            condition.width,
            self.dtype,
            CPU,
            generator,
        )
        return torch.as_tensor(latents[0]).float()

    def set_steps(self, scheduler: Any, steps: int, condition: Condition) -> None:
        """The scheduler's own noise levels, shifted by the number of tokens where it says so."""
        config = scheduler.config
        shift = {}
        if config.get("use_dynamic_shifting"):
            side = self.multiple(self.shell)
            shift["mu"] = calculate_shift(
                (condition.height // side) * (condition.width // side),
                config.get("base_image_seq_len", 256),
                config.get("max_image_seq_len", 4096),
                config.get("base_shift", 0.5),
                config.get("max_shift", 1.16),
            )
        retrieve_timesteps(scheduler, steps, "cpu", sigmas=None, **shift)

    def collate(self, conditions: Sequence[Condition]) -> SD35Batch:
        """Plain stacking: all prompts have one length."""
        prompt = self.stack(conditions, "prompt")
        pooled = self.stack(conditions, "pooled")
        if self.cfg > 1:
            prompt = torch.cat([self.stack(conditions, "negative"), prompt])
            pooled = torch.cat([self.stack(conditions, "negative_pooled"), pooled])
        return SD35Batch(prompt, pooled)

    def velocity(self, latents: Tensor, timestep: Tensor, batch: SD35Batch) -> Tensor:
        """One pass over (batch, ...), or over twice as many with guidance. Time is fed from 0 to 1000."""
        hidden = latents.to(self.dtype)
        if self.cfg > 1:
            hidden = torch.cat([hidden, hidden])
        output = self.transformer(
            hidden_states=hidden,
            timestep=timestep.to(self.device).expand(len(hidden)),
            encoder_hidden_states=batch.prompt,
            pooled_projections=batch.pooled,
            return_dict=False,
        )[0]
        if self.cfg > 1:
            negative, prompted = output.chunk(2)
            output = negative + self.cfg * (prompted - negative)
        return torch.as_tensor(output).float()

    def decode_one(self, latents: Tensor, condition: Condition) -> Tensor:  # noqa: ARG002 (the base's)
        """Scaled back by the VAE's constants, decoded."""
        config = self.vae.config
        pixels = self.vae.decode(latents / config.scaling_factor + config.shift_factor, return_dict=False)[0]
        return torch.as_tensor(pixels)
