"""Small copies of images, as files that a page can carry."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

QUALITY = 82
# Flat drawings of 96 px take about 2.4 kB without loss and 0.7 kB with it, noisy ones 8 kB: the limit keeps
# the drawings exact, and 200 pairs of three such images within 3 MB of base64.
LOSSLESS_BYTES = 3_500
# Averaging whole pixels down to little more than the size takes 0.6 ms for a photo of 768 px where a gap of 3
# takes three times that, and JPEG 0.2 ms where WebP takes 2: with 400 images a page, seconds.
SHRINK_GAP = 1.0


def thumbnail(image: Image, edge: int = 256) -> bytes:
    """A file of ``image`` whose longer side is at most ``edge`` pixels.

    It is JPEG where the image was made smaller, else WebP. An image that fits is not resampled, so that every
    pixel of a small one stays what it is; it is kept lossless where that costs at most ``LOSSLESS_BYTES``.
    """
    from PIL import Image as Images

    small = image if image.mode == "RGB" else image.convert("RGB")
    fits = max(small.size) <= edge
    if not fits:
        longest = max(small.size)
        width, height = (max(1, round(side * edge / longest)) for side in small.size)
        small = small.resize((width, height), Images.Resampling.LANCZOS, reducing_gap=SHRINK_GAP)
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=QUALITY)
        return buffer.getvalue()
    exact = _webp(small, lossless=True)
    if len(exact) <= LOSSLESS_BYTES:
        return exact
    return _webp(small, lossless=False)


def file_facts(data: bytes) -> tuple[str, int, int]:
    """Media type, width and height of an image file; ``ValueError`` where it is not WebP, PNG or JPEG."""
    from PIL import Image as Images

    try:
        with Images.open(io.BytesIO(data), formats=("WEBP", "PNG", "JPEG")) as image:
            return f"image/{(image.format or '').lower()}", image.width, image.height
    except OSError as error:
        raise ValueError("not a WebP, PNG or JPEG file") from error


def _webp(image: Image, *, lossless: bool) -> bytes:
    buffer = io.BytesIO()
    # Sharp YUV keeps thin coloured edges, which plain chroma subsampling smears.
    quality = 75 if lossless else QUALITY
    image.save(
        buffer,
        "WEBP",
        lossless=lossless,
        quality=quality,
        method=4 if lossless else 1,
        use_sharp_yuv=not lossless,
    )
    return buffer.getvalue()
