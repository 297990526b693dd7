"""Images from paths, bytes and URLs, all decoded in one way.

Whatever the container, :meth:`~arrkit.data.pairs.Picture.load` gives 8-bit RGB: the first frame, turned as
its EXIF orientation says, transparency flattened on white, 16-bit channels cut to their high byte, colour
profiles not applied. So the same picture as a PNG with alpha, a rotated JPEG or a plain file has the same
pixels wherever the format is lossless.

An image is refused from its header, before a pixel is decoded, when it has more than :data:`MAX_PIXELS`.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import struct
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from arrkit.data.pairs import ImageUnreadable, Opened, Picture
from arrkit.data.remote import fetch, public_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.ImageFile import ImageFile

MAX_PIXELS = 64_000_000
"""The largest image that is decoded, in pixels: 192 MB as RGB, four times what today's models produce."""

# Formats are named one by one: Pillow knows others that run programs (EPS) or that no model writes. The class
# of JPEG is taken directly, since Pillow's own opener warns about multi-picture files whose first picture is
# fine.
_FORMATS: dict[str, Callable[[IO[bytes], str], ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}

_TOO_MANY = f"more than the limit of {MAX_PIXELS // 10**6} megapixels"
_ORIENTATION = 0x0112
_DATA_URL = re.compile(r"data:([^,]*),", re.IGNORECASE)


def picture_from_path(path: str | Path, *, name: str | None = None) -> Picture:
    """The image in a file; ``~`` is the home folder. Nothing is opened before the first look.

    ``name`` is for messages and defaults to the path.
    """
    name = str(path) if name is None else name

    def load() -> Opened:
        try:
            file = Path(path).expanduser()
            if not file.exists():
                raise ImageUnreadable(f"{name}: there is no such file")
            if not file.is_file():
                raise ImageUnreadable(f"{name}: this is not a file")
            return _opened(file.read_bytes(), name)
        except (OSError, RuntimeError, ValueError) as error:
            raise ImageUnreadable(f"{name}: {_reason(error)}") from error

    return Picture(name, load)


def picture_from_bytes(data: bytes, name: str) -> Picture:
    """The image whose encoded file is ``data`` (PNG, JPEG, ...)."""
    return Picture(name, lambda: _opened(data, name))


def picture_from_stream(open_stream: Callable[[], IO[bytes]], name: str, max_bytes: int) -> Picture:
    """The image in a file that ``open_stream`` opens; opened at each look after a release.

    ``open_stream`` may raise ``OSError``; more than ``max_bytes`` are not read.
    """

    def load() -> Opened:
        try:
            with open_stream() as stream:
                data = stream.read(max_bytes + 1)
        except FileNotFoundError as error:
            raise ImageUnreadable(f"{name}: there is no such file") from error
        except OSError as error:
            raise ImageUnreadable(f"{name}: {_reason(error)}") from error
        if len(data) > max_bytes:
            raise ImageUnreadable(f"{name}: more than the limit of {max_bytes} bytes")
        return _opened(data, name)

    return Picture(name, load)


def picture_from_data_url(url: str, name: str) -> Picture:
    """The image in a ``data:`` URL, base64 or percent-encoded; decoded at the first look."""
    return Picture(name, lambda: _opened(_data_of(url, name), name))


def picture_from_url(url: str, *, timeout: float = 30.0, max_bytes: int = 64 * 2**20) -> Picture:
    """The image at an ``http`` or ``https`` URL, fetched at each look after a release.

    The whole transfer may take ``timeout`` seconds and ``max_bytes`` bytes. The picture's name leaves out
    the query and any password, since a signed URL is a secret.
    """
    name = public_name(url)
    return Picture(name, lambda: _opened(fetch(url, timeout=timeout, max_bytes=max_bytes), name))


def decode(stream: IO[bytes], name: str) -> Image.Image:
    """Decode an image file to RGB; raises :class:`ImageUnreadable` that begins with ``name``."""
    try:
        image = _open(stream, name)
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ImageUnreadable(f"{name}: {width} x {height} pixels are {_TOO_MANY}")
        image.load()
        return to_rgb(image)
    except ImageUnreadable:
        raise
    except Image.DecompressionBombError as error:
        raise ImageUnreadable(f"{name}: {_TOO_MANY}") from error
    except Exception as error:  # Pillow's decoders raise nearly everything on damaged data
        raise ImageUnreadable(f"{name}: {_reason(error)}") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """``image`` as RGB: orientation applied, transparency on white, 16 bits cut to 8, no metadata.

    Raises ``ValueError`` for pixels without an agreed range (32-bit integers, floats) or colour space (Lab).
    """
    if _orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = _high_byte(image)
    elif image.mode in ("I", "F", "LAB", "HSV"):
        raise ValueError(f"pixels of the kind {image.mode} cannot be shown as RGB")
    elif image.mode in ("RGBa", "La"):
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image.convert("RGBA"))
    rgb = (
        image if image.mode == "RGB" else image.convert("RGB")
    )  # a copy of a photo takes a sixth of reading it
    rgb.info = {}
    return rgb


def _opened(data: bytes, name: str) -> Opened:
    return Opened(decode(io.BytesIO(data), name), sha256(data).hexdigest())


def _open(stream: IO[bytes], name: str) -> ImageFile:
    # Not Image.open: it warns of large images through the interpreter's warning filters, which cannot be
    # changed for one thread alone. Its openers are the same.
    prefix = stream.read(16)
    if not prefix:
        raise ImageUnreadable(f"{name}: the file is empty")
    for format_name, factory in _FORMATS.items():
        accept = Image.OPEN[format_name][1] if format_name in Image.OPEN else None
        if accept is None or accept(prefix) is not True:
            continue
        stream.seek(0)
        try:
            return factory(stream, name)
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            raise ImageUnreadable(f"{name}: damaged {format_name} header") from error
    raise ImageUnreadable(f"{name}: this is not an image of a known format ({', '.join(_FORMATS)})")


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged metadata says nothing about the pixels: the image is shown as stored
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _high_byte(image: Image.Image) -> Image.Image:
    # Pillow cuts 16-bit colour to the high byte when it reads it; grey is done alike.
    import numpy as np

    transparent = image.info.get("transparency")
    values = np.asarray(image).astype(np.uint16)
    grey = (values >> 8).astype(np.uint8)
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _data_of(url: str, name: str) -> bytes:
    match = _DATA_URL.match(url)
    if match is None:
        raise ImageUnreadable(f"{name}: this is not a data URL")
    data = unquote_to_bytes(url[match.end() :])
    if not match[1].lower().rstrip().endswith(";base64"):
        return data
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error as error:
        raise ImageUnreadable(f"{name}: the data URL is not base64") from error


def _reason(error: BaseException) -> str:
    """One line that says why an image could not be read."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = " ".join(str(error).split())
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return f"the image is truncated ({text})" if text else "the image is truncated"
    return text or type(error).__name__
