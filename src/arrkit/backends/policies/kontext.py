"""FLUX.1 Kontext: edits of one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from diffusers import FluxKontextPipeline
from diffusers.pipelines.flux.pipeline_flux_kontext import PREFERRED_KONTEXT_RESOLUTIONS
from PIL.Image import Image
from torch import Tensor

from arrkit.backends.policies.flux import FluxBatch, FluxPolicy
from arrkit.backends.policies.pipeline import CPU
from arrkit.backends.spec import Spec
from arrkit.data.pairs import Task
from arrkit.data.prompts import Prompt
from arrkit.rpo.policy import Condition


def make_kontext(
    spec: Spec,
    *,
    size: int = 0,
    width: int = 0,
    height: int = 0,
    source_size: int = 0,
    guidance: float = 3.5,
    max_sequence_length: int = 512,
    revision: str = "",
    variant: str = "",
) -> KontextPolicy:
    """The policy that ``spec`` names. Raises :class:`~arrkit.errors.InputError` for impossible options."""
    return KontextPolicy(
        spec,
        size=size,
        width=width,
        height=height,
        revision=revision,
        variant=variant,
        settings={
            "guidance": guidance,
            "max_sequence_length": max_sequence_length,
            "source_size": source_size,
        },
        guidance=guidance,
        length=max_sequence_length,
        source_size=source_size,
    )


@dataclass(frozen=True, slots=True)
class KontextBatch:
    """Samples whose sources are of one size go through the transformer together.

    ``groups`` holds their places in the batch and what they are fed.
    """

    groups: tuple[tuple[Tensor, FluxBatch], ...]


class KontextPolicy(FluxPolicy):
    """FLUX.1 Kontext for edits. The source's tokens follow the noisy ones and are told apart by their ids.

    The source is scaled as the pipeline does it, to the nearest in aspect of the sizes that the model was
    trained on, about a megapixel. With ``source_size`` it is scaled to the area of a square of that side, its
    aspect kept: fewer tokens, and what the pipeline does to such an image without ``_auto_resize``.
    """

    pipeline_class: ClassVar[Any] = FluxKontextPipeline
    kinds: ClassVar[tuple[str, ...]] = ("FluxKontextPipeline",)
    task = Task.EDIT
    sources: ClassVar[tuple[int, int]] = (1, 1)

    def __init__(self, spec: Spec, *, source_size: int, **options: Any) -> None:
        super().__init__(spec, **options)
        self.source_size = source_size

    def encode_one(self, prompt: Prompt) -> Condition:
        """As for FLUX, and the packed latents ``source`` (tokens, 64) with their rows and columns."""
        tensors = self.encode_text(prompt.text)
        width, height = self.size
        source, rows, columns = self._encode_source(prompt.sources[0].load())
        return Condition({**tensors, "source": source}, width, height, {"rows": rows, "columns": columns})

    def _encode_source(self, image: Image) -> tuple[Tensor, int, int]:
        pipe = self.encoding
        side = self.multiple(pipe)
        width, height = self.source_sides(image.width, image.height)
        width, height = max(1, width // side) * side, max(1, height // side) * side
        pixels = pipe.image_processor.preprocess(
            pipe.image_processor.resize(image, height, width), height, width
        )
        unused = torch.empty(0)
        _, packed, _, _ = pipe.prepare_latents(
            pixels, 1, self.channels, height, width, self.dtype, self.device, latents=unused
        )
        return packed[0].cpu(), height // side, width // side

    def source_sides(self, width: int, height: int) -> tuple[int, int]:
        """What a source of ``width`` by ``height`` pixels is scaled to, before it is cut to whole tokens."""
        aspect = width / height
        if self.source_size:
            return round(self.source_size * aspect**0.5), round(self.source_size / aspect**0.5)
        _, wide, high = min((abs(aspect - w / h), w, h) for w, h in PREFERRED_KONTEXT_RESOLUTIONS)
        return wide, high

    def noise(self, condition: Condition, generator: torch.Generator) -> Tensor:
        """(tokens, 4 channels), drawn in the transformer's type as the pipeline does it."""
        latents, *_ = self.shell.prepare_latents(
            None, 1, self.channels, condition.height, condition.width, self.dtype, CPU, generator
        )
        return torch.as_tensor(latents[0]).float()

    def collate(self, conditions: Sequence[Condition]) -> KontextBatch:  # type: ignore[override]
        """Nothing is padded: sources of different sizes go through the transformer one size after another."""
        places: dict[tuple[int, int], list[int]] = {}
        for place, condition in enumerate(conditions):
            places.setdefault(_grid(condition.facts), []).append(place)
        groups = []
        for (rows, columns), group in places.items():
            chosen = [conditions[place] for place in group]
            batch = super().collate(chosen)
            ids = self.image_ids(rows, columns)
            ids[..., 0] = 1
            source = self.stack(chosen, "source")
            batch = replace(batch, source=source, image_ids=torch.cat([batch.image_ids, ids]))
            groups.append((torch.tensor(group, device=self.device), batch))
        return KontextBatch(tuple(groups))

    def velocity(self, latents: Tensor, timestep: Tensor, batch: KontextBatch) -> Tensor:  # type: ignore[override]
        """One pass for each size of the sources."""
        if len(batch.groups) == 1:
            return super().velocity(latents, timestep, batch.groups[0][1])
        found = [super(KontextPolicy, self).velocity(latents[at], timestep, one) for at, one in batch.groups]
        order = torch.cat([at for at, _ in batch.groups])
        return torch.cat(found)[order.argsort()]


def _grid(facts: Mapping[str, object]) -> tuple[int, int]:
    rows, columns = facts["rows"], facts["columns"]
    assert isinstance(rows, int)
    assert isinstance(columns, int)
    return rows, columns
