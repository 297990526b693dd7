"""What is in an image: objects by Mask2Former, their colours by CLIP, both through ``transformers``.

Pixels are prepared here and not by the models' own processors, as the official evaluator prepares them: for
the detector 800 pixels on the short side (1,333 at most on the long one), bilinear without smoothing, padded
to multiples of 32; for CLIP the object on grey, cut out along its box, 224 pixels on the short side, bicubic,
the middle square.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import AutoTokenizer, CLIPModel, Mask2FormerForUniversalSegmentation
from transformers.utils import logging

from arrkit.bench.geneval.items import COLOURS, OBJECTS, Demand, Wanted
from arrkit.bench.geneval.rules import THRESHOLD, Box, Verdict, judge, kept, threshold_of
from arrkit.errors import InputError

SHORT, LONG, MULTIPLE = 800, 1333, 32
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, for RGB in [0, 1]."""

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)

GREY = (0x99, 0x99, 0x99)
"""What an object is shown on when its colour is asked."""

MOST_INSTANCES = 100
"""Instances of all classes that are looked at in one image, as in MMDetection's configuration."""

TEMPLATES = (
    "a photo of a {colour} {name}",
    "a photo of a {colour}-colored {name}",
    "a photo of a {colour} object",
)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Instance:
    """An object found: its class by index, its box, and its pixels, of the shape (height, width)."""

    label: int
    box: Box
    mask: Mask


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found in an image: the boxes that count, by class, and the verdict."""

    boxes: Mapping[str, Sequence[Box]]
    verdict: Verdict


class Detector:
    """Mask2Former and CLIP on one device.

    Args:
        detector: a folder or a name on the hub; a Mask2Former with COCO's 80 classes in COCO's order.
        clip: a folder or a name on the hub; a CLIP with its tokenizer.
        device: such as ``cuda:1``; empty is the first CUDA device, or else the CPU.

    Raises:
        InputError: a model cannot be loaded or has other classes. Weights come from safetensors alone.
    """

    def __init__(self, detector: str, clip: str, device: str = "") -> None:
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._detector = self._load(Mask2FormerForUniversalSegmentation, detector)
        classes = self._detector.config.num_labels
        if classes != len(OBJECTS):
            raise InputError(
                f"{detector} tells {classes} classes apart, and GenEval's are COCO's {len(OBJECTS)}",
                hint="Name a Mask2Former that was trained on COCO instances.",
            )
        self._clip = self._load(CLIPModel, clip)
        self._tokens = _loaded(AutoTokenizer, clip)
        self._texts: dict[str, Tensor] = {}

    def look(self, images: Sequence[Image.Image], demand: Demand) -> list[Seen]:
        """What is found in each RGB image of a prompt, and whether it is what the prompt asks."""
        return [self._seen(image, demand) for image in images]

    @torch.inference_mode()
    def instances(self, image: Image.Image) -> list[Instance]:
        """All objects whose confidence may exceed the lowest limit."""
        pixels, size = _prepared(image, self._device)
        made = self._detector(pixel_values=pixels)
        padded = (pixels.shape[-2], pixels.shape[-1])
        original = (image.height, image.width)
        return found_in(made.class_queries_logits[0], made.masks_queries_logits[0], padded, size, original)

    @torch.inference_mode()
    def colours(self, image: Image.Image, instances: Sequence[Instance], name: str) -> list[str]:
        """The colour of each instance of the class called ``name``."""
        if not instances:
            return []
        side = self._clip.config.vision_config.image_size
        crops = torch.stack([_crop(image, each, side) for each in instances]).to(self._device)
        features = _features(self._clip.get_image_features(pixel_values=crops))
        if name not in self._texts:
            self._texts[name] = self._classifier(name)
        likeness = F.normalize(features, dim=-1) @ self._texts[name].T  # (instances, colours)
        return [COLOURS[place] for place in likeness.argmax(dim=-1).tolist()]

    def _seen(self, image: Image.Image, demand: Demand) -> Seen:
        by_name: dict[str, list[Instance]] = {}
        for each in self.instances(image):
            by_name.setdefault(OBJECTS[each.label], []).append(each)
        limit = threshold_of(demand.tag)
        counting: dict[str, list[Instance]] = {}
        for name in OBJECTS:
            held = by_name.get(name, [])
            if places := kept([each.box.score for each in held], limit):
                counting[name] = [held[place] for place in places]

        def colours(wanted: Wanted, count: int) -> Sequence[str]:
            return self.colours(image, counting[wanted.name][:count], wanted.name)

        boxes = {name: [each.box for each in held] for name, held in counting.items()}
        return Seen(boxes, judge(demand, boxes, colours))

    def _classifier(self, name: str) -> Tensor:
        """A direction for each colour of ``name``, the templates' mean, of the shape (colours, features)."""
        texts = [template.format(colour=colour, name=name) for colour in COLOURS for template in TEMPLATES]
        tokens = self._tokens(texts, padding=True, truncation=True, return_tensors="pt").to(self._device)
        features = F.normalize(_features(self._clip.get_text_features(**tokens)), dim=-1)
        return F.normalize(features.view(len(COLOURS), len(TEMPLATES), -1).mean(dim=1), dim=-1)

    def _load(self, kind: Any, name: str) -> Any:
        return _loaded(kind, name, use_safetensors=True).to(self._device).eval().requires_grad_(False)


def found_in(
    classes: Tensor,
    masks: Tensor,
    padded: tuple[int, int],
    resized: tuple[int, int],
    original: tuple[int, int],
) -> list[Instance]:
    """Instances from the outputs of Mask2Former for one image, as MMDetection's instance head reads them.

    Args:
        classes: logits of the shape (queries, classes + 1), the last of which is "no object".
        masks: logits of the shape (queries, height / 4, width / 4).
        padded: height and width of the model's input.
        resized: those of the image in it.
        original: those of the image itself.

    The confidence is the class's probability times the mean probability of the mask's pixels. The box is the
    mask's extent, its right and lower edge one beyond the last pixel.
    """
    chances = classes.softmax(dim=-1)[:, :-1]
    many = chances.shape[1]
    scores, flat = chances.flatten().topk(min(MOST_INSTANCES, chances.numel()))
    # The mask can only lower the confidence, so that what is below the limit already needs no mask.
    flat = flat[scores > THRESHOLD]
    scores = scores[scores > THRESHOLD]
    found = []
    for score, place in zip(scores.tolist(), flat.tolist(), strict=True):
        logits = masks[place // many][None, None]
        logits = F.interpolate(logits, size=padded, mode="bilinear", align_corners=False)
        logits = logits[..., : resized[0], : resized[1]]
        logits = F.interpolate(logits, size=original, mode="bilinear", align_corners=False)[0, 0]
        mask = logits > 0
        if not mask.any():
            continue
        sure = float(logits.sigmoid()[mask].mean())
        held = mask.cpu().numpy()
        (x0, x1), (y0, y1) = _extent(held, axis=0), _extent(held, axis=1)
        found.append(Instance(place % many, Box(x0, y0, x1, y1, score * sure), held))
    return found


def _extent(mask: Mask, axis: int) -> tuple[float, float]:
    """Where a mask begins and ends when it is looked at along ``axis``: the end is one beyond."""
    places = np.flatnonzero(mask.any(axis=axis))
    return float(places[0]), float(places[-1] + 1)


def _prepared(image: Image.Image, device: torch.device) -> tuple[Tensor, tuple[int, int]]:
    """The detector's input, of the shape (1, 3, height, width), and height and width of the image in it."""
    scale = min(SHORT / min(image.size), LONG / max(image.size))
    size = (max(1, int(image.height * scale + 0.5)), max(1, int(image.width * scale + 0.5)))
    pixels = _tensor(image).to(device)[None]
    pixels = F.interpolate(pixels, size=size, mode="bilinear", align_corners=False)
    pixels = _normalised(pixels, MEAN, DEVIATION)
    right, below = -size[1] % MULTIPLE, -size[0] % MULTIPLE
    return F.pad(pixels, (0, right, 0, below)), size


def _crop(image: Image.Image, instance: Instance, side: int) -> Tensor:
    """The instance on grey as CLIP's input, of the shape (3, side, side)."""
    grey = Image.new("RGB", image.size, GREY)
    cut = Image.composite(image, grey, Image.fromarray(instance.mask))
    box = instance.box
    cut = cut.crop((int(box.x0), int(box.y0), int(box.x1), int(box.y1)))
    scale = side / min(cut.size)
    size = (max(side, int(cut.width * scale)), max(side, int(cut.height * scale)))
    cut = cut.resize(size, Image.Resampling.BICUBIC)
    left, top = round((size[0] - side) / 2), round((size[1] - side) / 2)
    cut = cut.crop((left, top, left + side, top + side))
    return _normalised(_tensor(cut), CLIP_MEAN, CLIP_DEVIATION)


def _tensor(image: Image.Image) -> Tensor:
    """RGB in [0, 1], of the shape (3, height, width)."""
    return torch.from_numpy(np.array(image, np.float32).transpose(2, 0, 1) / 255)


def _normalised(pixels: Tensor, mean: Sequence[float], deviation: Sequence[float]) -> Tensor:
    shape = (3, 1, 1)
    return (pixels - pixels.new_tensor(mean).view(shape)) / pixels.new_tensor(deviation).view(shape)


def _features(made: Any) -> Tensor:
    """The projected features: some versions of transformers give them alone, others among more."""
    features: Tensor = made if isinstance(made, Tensor) else made.pooler_output
    return features


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from drawing bars, which are not for a command that draws its own."""
    library: Any = logging
    bars = library.is_progress_bar_enabled()
    library.disable_progress_bar()
    try:
        yield
    finally:
        if bars:
            library.enable_progress_bar()


def _loaded(kind: Any, name: str, **options: object) -> Any:
    try:
        with _quiet():
            return kind.from_pretrained(name, **options)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        line = " ".join(str(error).split())[:300]
        raise InputError(
            f"{name} cannot be loaded: {line}",
            hint="Name a folder or a model on the hub with its weights as safetensors.",
        ) from error
