"""A policy that paints one colour: as small as something that makes images from prompts can be."""

from __future__ import annotations

import random
import zlib

from PIL import Image, ImageColor, ImageFilter

from arrkit.backends.spec import Spec
from arrkit.errors import InputError

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "white", "black")


class TintPolicy:
    """Fills an image with the first colour that the prompt names, or with one drawn from its seed.

    It has no weights, so there is nothing to train.

    Args:
        name: the spec that made it.
        size: side of the image in pixels.
        finish: ``matt`` for one flat colour, ``grain`` for a little noise on it.
    """

    def __init__(self, name: str, size: int, finish: str) -> None:
        self.name = name
        self.size = size
        self.finish = finish

    def sample(self, prompt: str, seed: int) -> Image.Image:
        """One RGB image of ``size`` by ``size`` pixels; the same prompt and seed give the same pixels."""
        rng = random.Random(zlib.crc32(f"{seed} {prompt}".encode()))
        named = [word for word in prompt.lower().split() if word in COLOURS]
        colour = ImageColor.getrgb(named[0] if named else rng.choice(COLOURS))
        image = Image.new("RGB", (self.size, self.size), colour)
        if self.finish == "matt":
            return image
        noise = Image.frombytes("L", image.size, rng.randbytes(self.size * self.size))
        return Image.blend(image, noise.filter(ImageFilter.BoxBlur(1)).convert("RGB"), 0.1)


def make_policy(spec: Spec, size: int, finish: str) -> TintPolicy:
    """The factory that the record names. ``plain`` is the only model."""
    if spec.model != "plain":
        raise InputError(f'tint has no model "{spec.model}"', hint="Write tint:plain or tint.")
    return TintPolicy(str(spec), size, finish)
