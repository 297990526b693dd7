"""Qwen-Image-Edit, and its successors 2509 and 2511 (Edit-Plus), which take several sources.

A source enters twice: through Qwen2.5-VL, beside the instruction, and as the VAE's latents, whose tokens
follow those of the noise. The prediction for them is dropped.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from diffusers import QwenImageEditPipeline, QwenImageEditPlusPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus
from PIL.Image import Image
from torch import Tensor
from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor

from arrkit.backends.policies.pipeline import CPU
from arrkit.backends.policies.qwen_image import QwenImagePolicy, Shapes, guidance_settings
from arrkit.backends.spec import Spec
from arrkit.canonical import Json
from arrkit.data.pairs import Task
from arrkit.data.prompts import Prompt, PromptUnusable
from arrkit.errors import InputError, Problem
from arrkit.rpo.policy import Condition

SIDE = 1024
"""Side of the square whose area the pipelines give to source and result."""

PLACES = 4096
"""Places that the transformer's rotary embedding knows. Text begins after half an image's longest side."""

SAME = 0.02
"""Relative difference up to which the states of the sources are the same for two instructions.

The text encoder is causal and the sources stand before the instruction, so they differ by rounding alone: by
1e-7 in float32, some 1e-3 in bfloat16. With an encoder that looks ahead they would differ by about 1.
"""


def make_qwen_edit(
    spec: Spec,
    *,
    size: int = 0,
    width: int = 0,
    height: int = 0,
    source_size: int = 0,
    cfg: float = 4.0,
    negative: str = " ",
    revision: str = "",
    variant: str = "",
) -> QwenEditPolicy:
    """The policy that ``spec`` names. Raises :class:`~arrkit.errors.InputError` for impossible options."""
    options = _options(size, width, height, source_size, cfg, negative)
    return QwenEditPolicy(spec, revision=revision, variant=variant, **options)


def make_qwen_edit_plus(
    spec: Spec,
    *,
    size: int = 0,
    width: int = 0,
    height: int = 0,
    source_size: int = 0,
    cfg: float = 4.0,
    negative: str = " ",
    revision: str = "",
    variant: str = "",
) -> QwenEditPlusPolicy:
    """The policy that ``spec`` names. Raises :class:`~arrkit.errors.InputError` for impossible options."""
    options = _options(size, width, height, source_size, cfg, negative)
    return QwenEditPlusPolicy(spec, revision=revision, variant=variant, **options)


def _options(
    size: int, width: int, height: int, source_size: int, cfg: float, negative: str
) -> dict[str, Any]:
    aspect = "given" if width and height else "source"
    return {
        "size": size,
        "width": width,
        "height": height,
        "source_size": source_size,
        "cfg": cfg,
        "negative": negative,
        "settings": {**guidance_settings(cfg, negative), "aspect": aspect, "source_size": source_size},
    }


class QwenEditPolicy(QwenImagePolicy):
    """Qwen-Image-Edit: edits of one image, whose aspect the result keeps.

    ``size`` is the side of the square whose area the result has; width and height become multiples of 32, so
    that prompts fall into buckets of one size. ``source_size`` is the same for the source; where it is 0 the
    source gets the result's area, as in the pipeline (1024 x 1024 pixels). ``width`` and ``height`` together
    fix the result's size whatever the source's aspect.
    """

    pipeline_class: ClassVar[Any] = QwenImageEditPipeline
    kinds: ClassVar[tuple[str, ...]] = ("QwenImageEditPipeline",)
    task = Task.EDIT
    sources: ClassVar[tuple[int, int]] = (1, 1)
    module: ClassVar[Any] = pipeline_qwenimage_edit
    tail: ClassVar[str] = "{}<|im_end|>\n<|im_start|>assistant\n"
    """The end of the pipeline's template: what follows the sources."""

    def __init__(self, spec: Spec, *, source_size: int, **options: Any) -> None:
        super().__init__(spec, **options)
        self._source_size = source_size
        self._fixed = bool(options["width"] and options["height"])

    def given_parts(self) -> Mapping[str, Any]:
        """Where torchvision is missing, Qwen's processor for images alone: its own class wants video too."""
        if importlib.util.find_spec("torchvision") is not None:
            return {}
        return {
            "processor": ImageProcessor.from_pretrained(
                self.origin.source, subfolder="processor", revision=self.origin.commit or "main"
            )
        }

    # Sizes

    def check(self, shell: Any) -> None:
        """Also refuse half a size."""
        super().check(shell)
        if any(self._wanted) and not all(self._wanted):
            hint = "Give both for one size of all results, or size, which keeps the source's aspect."
            raise InputError(Problem("only one of width and height is given", self.origin.where, hint))

    @property
    def size(self) -> tuple[int, int]:
        """Sides of the result's area, which is the pipeline's 1024 x 1024 by default."""
        return self._wanted[0] or SIDE, self._wanted[1] or SIDE

    @property
    def source_area(self) -> int:
        """Pixels that a source is scaled to."""
        width, height = self.size
        return self._source_size**2 or width * height

    def dimensions(self, area: int, image: Image) -> tuple[int, int]:
        """Width and height of about ``area`` pixels in the aspect of ``image``, multiples of 32."""
        width, height = self.module.calculate_dimensions(area, image.width / image.height)[:2]
        if min(width, height) < self.multiple(self.shell):
            raise PromptUnusable(f"has a source of {image.width} x {image.height} pixels: too narrow")
        return width, height

    def result_size(self, images: Sequence[Image]) -> tuple[int, int]:
        """Width and height of the result: in the aspect of the last source."""
        width, height = self.size
        if not self._fixed:
            width, height = self.dimensions(width * height, images[-1])
        multiple = self.multiple(self.shell)
        return width // multiple * multiple, height // multiple * multiple

    # Conditions

    def encode_one(self, prompt: Prompt) -> Condition:
        """States of sources and instruction, and the sources' packed latents.

        ``prompt`` is (tokens, width) and ``source`` (source tokens, channels). With guidance, ``negative``
        holds the negative prompt's states without the sources', the first ``shared`` ones of ``prompt``.
        """
        _check_text(prompt.text)
        images = [picture.load() for picture in prompt.sources]
        seen = self.seen(images)
        states = self._states_with(prompt.text, seen)
        tensors = {"prompt": states}
        shared = 0
        if self.guided:
            negative = self._states_with(self.negative, seen)
            shared = self._shared(prompt.text, states, negative)
            tensors["negative"] = negative[shared:].clone()
        tensors["source"], sizes = self._latents(images)
        width, height = self.result_size(images)
        facts: dict[str, Json] = {"sources": [list(size) for size in sizes], "shared": shared}
        condition = Condition(tensors, width, height, facts)
        _check_places(len(states), self.shapes(condition))
        return condition

    def seen(self, images: Sequence[Image]) -> Any:
        """The sources as the text encoder gets them."""
        width, height = self.dimensions(self.source_area, images[0])
        return self.encoding.image_processor.resize(images[0], height, width)

    def _states_with(self, text: str, seen: Any) -> Tensor:
        states, _ = self.encoding.encode_prompt(text, image=seen, device=self.device)
        return torch.as_tensor(states[0]).cpu()

    def _shared(self, text: str, positive: Tensor, negative: Tensor) -> int:
        """How many of the first states are those of the sources, for both prompts."""
        words = self.encoding.tokenizer
        counts = {
            len(states) - len(words(self.tail.format(each)).input_ids)
            for each, states in ((text, positive), (self.negative, negative))
        }
        count = counts.pop()
        if counts or count <= 0:
            return 0
        ours, theirs = positive[:count].float(), negative[:count].float()
        return count if torch.norm(ours - theirs) <= SAME * torch.norm(ours) else 0

    def _latents(self, images: Sequence[Image]) -> tuple[Tensor, list[tuple[int, int]]]:
        """Packed latents of all sources, (tokens, channels), and the width and height of each in pixels."""
        pipe = self.encoding
        sizes = [self.dimensions(self.source_area, image) for image in images]
        pixels = [
            pipe.image_processor.preprocess(image, height, width).unsqueeze(2)
            for image, (width, height) in zip(images, sizes, strict=True)
        ]
        _, packed = pipe.prepare_latents(
            self.arranged(pixels), 1, self.channels, 0, 0, self.dtype, self.device, None, torch.zeros(1)
        )
        return torch.as_tensor(packed[0]).cpu(), sizes

    def arranged(self, pixels: list[Tensor]) -> Any:
        """Sources in the form that the pipeline's ``prepare_latents`` takes."""
        return pixels[0]

    def negative_of(self, condition: Condition) -> Tensor:
        """States of the negative prompt, those of the sources taken from the prompt's own."""
        shared = cast(int, condition.facts["shared"])
        return torch.cat([condition.tensors["prompt"][:shared], condition.tensors["negative"]])

    # Sampling

    def shapes(self, condition: Condition) -> Shapes:
        """The layout of the tokens: the result's, then each source's."""
        side = self.multiple(self.shell)
        sizes = cast("list[list[int]]", condition.facts["sources"])
        return (
            (1, condition.height // side, condition.width // side),
            *((1, height // side, width // side) for width, height in sizes),
        )

    def noise(self, condition: Condition, generator: torch.Generator) -> Tensor:
        """(tokens, 4 channels), drawn in the transformer's type as the pipeline does it."""
        latents, _ = self.shell.prepare_latents(
            None, 1, self.channels, condition.height, condition.width, self.dtype, CPU, generator
        )
        return torch.as_tensor(latents[0]).float()


class QwenEditPlusPolicy(QwenEditPolicy):
    """Qwen-Image-Edit 2509 and 2511: edits of one image or several; the result has the last one's aspect.

    The text encoder sees each source at an area of 384 x 384 pixels, whatever the sizes are.
    """

    pipeline_class: ClassVar[Any] = QwenImageEditPlusPipeline
    kinds: ClassVar[tuple[str, ...]] = ("QwenImageEditPlusPipeline",)
    sources: ClassVar[tuple[int, int]] = (1, 16)
    module: ClassVar[Any] = pipeline_qwenimage_edit_plus

    def seen(self, images: Sequence[Image]) -> Any:
        """The sources as the text encoder gets them: a small copy of each."""
        copies = []
        for image in images:
            width, height = self.dimensions(self.module.CONDITION_IMAGE_SIZE, image)
            copies.append(self.encoding.image_processor.resize(image, height, width))
        return copies

    def arranged(self, pixels: list[Tensor]) -> Any:
        """Sources one by one."""
        return pixels


class ImageProcessor(Qwen2VLProcessor):
    """Qwen's processor without its video part, which cannot be made where torchvision is missing."""

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None, **options: Any
    ) -> None:
        super().__init__(image_processor, tokenizer, None, chat_template=chat_template, **options)  # type: ignore[no-untyped-call]


def _check_text(text: str) -> None:
    """Refuse what the processor would take for images that are not there."""
    for token in ("<|image_pad|>", "<|video_pad|>"):
        if token in text:
            raise PromptUnusable(f"holds {token}, which stands for an image")


def _check_places(tokens: int, shapes: Shapes) -> None:
    first = max(math.floor(max(rows, columns) / 2) for _, rows, columns in shapes)
    if first + tokens > PLACES:
        raise PromptUnusable(f"has {tokens} tokens with its sources, and the model takes {PLACES - first}")
