"""FLUX.1: dev, which is told its guidance, and schnell, which takes none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKL, FluxPipeline, FluxTransformer2DModel
from diffusers.pipelines.flux.pipeline_flux import calculate_shift, retrieve_timesteps
from torch import Tensor

from arrkit.backends.policies.pipeline import CPU, PipelinePolicy, check_length
from arrkit.backends.spec import Spec
from arrkit.data.prompts import Prompt
from arrkit.errors import InputError, Problem
from arrkit.rpo.policy import Condition


def make_flux(
    spec: Spec,
    *,
    size: int = 0,
    width: int = 0,
    height: int = 0,
    guidance: float = 3.5,
    max_sequence_length: int = 512,
    revision: str = "",
    variant: str = "",
) -> FluxPolicy:
    """The policy that ``spec`` names. Raises :class:`~arrkit.errors.InputError` for impossible options."""
    return FluxPolicy(
        spec,
        size=size,
        width=width,
        height=height,
        revision=revision,
        variant=variant,
        settings={"guidance": guidance, "max_sequence_length": max_sequence_length},
        guidance=guidance,
        length=max_sequence_length,
    )


@dataclass(frozen=True, slots=True)
class FluxBatch:
    """What the transformer is fed besides latents and time.

    ``prompt`` is (batch, tokens, width), ``pooled`` (batch, width), ``guidance`` (batch,) in float32; the
    ids, (tokens, 3), have no batch dimension. ``source`` is (batch, tokens, channels) for edits.
    """

    prompt: Tensor
    pooled: Tensor
    guidance: Tensor | None
    text_ids: Tensor
    image_ids: Tensor
    source: Tensor | None = None


class FluxPolicy(PipelinePolicy):
    """FLUX.1 for text to image. Latents are packed: (tokens, 64), a token for 2 x 2 places of the VAE's grid.

    Prompts are padded to the sequence length and attended to in full, padding too, as in the pipeline; a
    prompt that T5 would have to cut is refused. CLIP sees only the first 77 tokens, as it always does in this
    pipeline: it gives one pooled vector, and the text itself comes from T5.
    """

    pipeline_class: ClassVar[Any] = FluxPipeline
    transformer_class: ClassVar[Any] = FluxTransformer2DModel
    vae_class: ClassVar[Any] = AutoencoderKL
    kinds: ClassVar[tuple[str, ...]] = ("FluxPipeline",)

    def __init__(self, spec: Spec, *, guidance: float, length: int, **options: Any) -> None:
        super().__init__(spec, **options)
        self.guidance = guidance
        self.length = length
        self._guidance_given = "guidance" in spec.options

    def check(self, shell: Any) -> None:
        """Also refuse guidance for a model that takes none."""
        super().check(shell)
        if self._guidance_given and not self.config.get("guidance_embeds"):
            hint = "Leave guidance out."
            raise InputError(Problem(f"{self.origin.model} takes no guidance", self.origin.where, hint))

    def multiple(self, shell: Any) -> int:
        """A token's side in pixels."""
        return int(shell.vae_scale_factor) * 2

    def encode_one(self, prompt: Prompt) -> Condition:
        """T5's hidden states ``prompt`` (tokens, width) and CLIP's vector ``pooled`` (width,)."""
        width, height = self.size
        return Condition(self.encode_text(prompt.text), width, height)

    def encode_text(self, text: str) -> dict[str, Tensor]:
        """What the pipeline's encoders make of ``text``, on the CPU."""
        check_length(self.encoding.tokenizer_2, text, self.length)
        states, pooled, _ = self.encoding.encode_prompt(
            text, None, device=self.device, max_sequence_length=self.length
        )
        return {"prompt": states[0].cpu(), "pooled": pooled[0].cpu()}

    @property
    def channels(self) -> int:
        """Channels of the unpacked latents."""
        return int(self.config["in_channels"]) // 4

    def tokens(self, condition: Condition) -> int:
        """How many tokens the latents of one image have."""
        side = self.multiple(self.shell)
        return (condition.width // side) * (condition.height // side)

    def noise(self, condition: Condition, generator: torch.Generator) -> Tensor:
        """(tokens, 4 channels), drawn in the transformer's type as the pipeline does it."""
        latents, _ = self.shell.prepare_latents(
            1, self.channels, condition.height, condition.width, self.dtype, CPU, generator
        )
        return torch.as_tensor(latents[0]).float()

    def set_steps(self, scheduler: Any, steps: int, condition: Condition) -> None:
        """Even noise levels, shifted by the number of tokens."""
        config = scheduler.config
        sigmas: Any = None if config.get("use_flow_sigmas") else np.linspace(1.0, 1 / steps, steps)
        mu = calculate_shift(
            self.tokens(condition),
            config.get("base_image_seq_len", 256),
            config.get("max_image_seq_len", 4096),
            config.get("base_shift", 0.5),
            config.get("max_shift", 1.15),
        )
        retrieve_timesteps(scheduler, steps, "cpu", sigmas=sigmas, mu=mu)

    def collate(self, conditions: Sequence[Condition]) -> FluxBatch:
        """Plain stacking: all prompts have one length."""
        first = conditions[0]
        side = self.multiple(self.shell)
        prompt = self.stack(conditions, "prompt")
        return FluxBatch(
            prompt=prompt,
            pooled=self.stack(conditions, "pooled"),
            guidance=self.guidances(len(conditions)),
            text_ids=torch.zeros(prompt.shape[1], 3, device=self.device, dtype=self.dtype),
            image_ids=self.image_ids(first.height // side, first.width // side),
        )

    def guidances(self, count: int) -> Tensor | None:
        """The guidance of each sample, float32; None where the model takes none."""
        if not self.config.get("guidance_embeds"):
            return None
        return torch.full([1], self.guidance, device=self.device, dtype=torch.float32).expand(count)

    def image_ids(self, rows: int, columns: int) -> Tensor:
        """Places of the tokens of one image, (rows x columns, 3)."""
        ids = self.shell._prepare_latent_image_ids(1, rows, columns, self.device, self.dtype)
        return torch.as_tensor(ids)

    def velocity(self, latents: Tensor, timestep: Tensor, batch: FluxBatch) -> Tensor:
        """The transformer's output for the latents' own tokens. Time is fed over 1000."""
        hidden = latents.to(self.dtype)
        if batch.source is not None:
            hidden = torch.cat([hidden, batch.source], dim=1)
        time = timestep.to(self.device).expand(len(latents)).to(self.dtype)
        output = self.transformer(
            hidden_states=hidden,
            timestep=time / 1000,
            guidance=batch.guidance,
            pooled_projections=batch.pooled,
            encoder_hidden_states=batch.prompt,
            txt_ids=batch.text_ids,
            img_ids=batch.image_ids,
            return_dict=False,
        )[0]
        return torch.as_tensor(output[:, : latents.shape[1]]).float()

    def decode_one(self, latents: Tensor, condition: Condition) -> Tensor:
        """Unpacked, scaled back by the VAE's constants, decoded."""
        scale = self.shell.vae_scale_factor
        grid = self.shell._unpack_latents(latents, condition.height, condition.width, scale)
        config = self.vae.config
        pixels = self.vae.decode(grid / config.scaling_factor + config.shift_factor, return_dict=False)[0]
        return torch.as_tensor(pixels)
