"""The one image pipeline: from a picture's pixels to the bytes that every remote judge gets.

A :class:`~arrkit.data.pairs.Picture` gives 8-bit RGB with its orientation applied and transparency on white.
Here it is made smaller where its long edge is above a limit (Lanczos, never larger, aspect ratio kept to the
nearest pixel) and encoded once:

- PNG where that is small: at most :data:`FLAT_COLOURS` colours, or at most :data:`SMALL_PIXELS` pixels;
- else JPEG at quality 95 without chroma subsampling. On a 768 x 768 photo it takes 5 ms and 370 kB where PNG
  takes 100 ms and 1 MB, and lossless WebP 21 ms and 1.1 MB.

Both are read by OpenAI, Gemini and vLLM. The bytes depend on the pixels, on the long edge and on the version
of Pillow alone: not on the file that the pixels came from, whose metadata never travels.

Work runs in threads (Pillow lets other threads run meanwhile). Encodings are kept up to a number of bytes,
the longest unused going first, and requests for the same pixels at the same time share one encoding.
"""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from heapq import heappop, heappush
from typing import TypeVar

from PIL import Image

from arrkit.data.pairs import ImageUnreadable, Picture

T = TypeVar("T")

LONG_EDGE = 1024
"""The default limit of the longer side, in pixels."""
FLAT_COLOURS = 256
SMALL_PIXELS = 64 * 64
MEMORY = 64 * 2**20
"""How many bytes of encodings are kept by default: some 200 photos. The requests that show an image to one
judge follow each other closely, so more would only make memory grow with the number of pairs.
"""


@dataclass(frozen=True, slots=True)
class Encoded:
    """An encoded image: the file's bytes, ``image/png`` or ``image/jpeg``, the size in pixels.

    ``digest`` is the SHA-256 of ``data``.
    """

    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int
    digest: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", self.digest or sha256(self.data).hexdigest())


def fitted(width: int, height: int, long_edge: int) -> tuple[int, int]:
    """The size of ``width`` x ``height`` with a longer side of at most ``long_edge``, at least 1 x 1."""
    longest = max(width, height)
    if longest <= long_edge:
        return width, height
    wide, high = (max(1, (side * long_edge * 2 + longest) // (longest * 2)) for side in (width, height))
    return wide, high


def encode_image(image: Image.Image, long_edge: int = LONG_EDGE) -> Encoded:
    """Encode an RGB image; a pure function of its pixels."""
    size = fitted(image.width, image.height, long_edge)
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    if size[0] * size[1] <= SMALL_PIXELS or image.getcolors(FLAT_COLOURS) is not None:
        image.save(file, "PNG")
        mime = "image/png"
    else:
        image.save(file, "JPEG", quality=95, subsampling=0)
        mime = "image/jpeg"
    return Encoded(file.getvalue(), mime, *size)


def check_size(encoded: Encoded, limit: int, name: str) -> None:
    """Raise :class:`ImageUnreadable` where ``encoded`` is over ``limit`` bytes; 0 is "no limit known"."""
    if limit and len(encoded.data) > limit:
        raise ImageUnreadable(
            f"{name}: {len(encoded.data):,} bytes at {encoded.width} x {encoded.height} are more than the "
            f"{limit:,} that the judge takes; a smaller --image-size helps"
        )


class ImageEncoder:
    """Encodes pictures in threads, each once. Safe for any number of event loops and threads.

    Args:
        memory: how many bytes of encodings are kept; what is in use beside that is one image a thread.
        threads: how many images are worked on at a time; 0 for one a core, at most 8.
    """

    def __init__(self, *, memory: int = MEMORY, threads: int = 0) -> None:
        self.memory = memory
        self._threads = threads or min(8, os.cpu_count() or 1)
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int], Encoded] = OrderedDict()
        self._held = 0
        self._working: dict[tuple[object, ...], Future[object]] = {}
        self._making: dict[tuple[str, int], Future[Encoded]] = {}
        self._waiting: list[tuple[bool, int, Callable[[], None]]] = []
        self._arrivals = 0

    @property
    def held(self) -> int:
        """How many bytes of encodings are kept at the moment, at most ``memory``."""
        return self._held

    async def encode(self, picture: Picture, long_edge: int = LONG_EDGE) -> Encoded:
        """The encoding of ``picture``; raises :class:`ImageUnreadable`.

        The picture's pixels stay in memory until someone releases the picture.
        """
        digest = picture.known_digest
        if digest is None:
            # Digest and encoding one after the other in one thread: with other images worked on in between,
            # the pixels would have left the processor's cache, and the two take a fifth longer.
            return await self._shared(
                ("both", id(picture), long_edge), lambda: self._make(picture, (picture.digest, long_edge))
            )
        key = (digest, long_edge)
        kept = self._look_up(key)
        return await self._shared(key, lambda: self._make(picture, key)) if kept is None else kept

    async def look(self, picture: Picture) -> str:
        """The digest of ``picture``, whose pixels are read in a thread; raises :class:`ImageUnreadable`."""
        digest = picture.known_digest
        if digest is None:
            # Behind all encodings, after which pixels are let go: else everyone's would be read first.
            digest = await self._shared(("digest", id(picture)), lambda: picture.digest, later=True)
        return digest

    def _make(self, picture: Picture, key: tuple[str, int]) -> Encoded:
        # Another picture may have the same pixels, which is not known before they are read.
        kept = self._look_up(key)
        if kept is not None:
            return kept
        mine: Future[Encoded] = Future()
        with self._lock:
            first = self._making.setdefault(key, mine)
        if first is not mine:
            return first.result()  # its thread is at work, not waiting, so this ends
        try:
            kept = encode_image(picture.load(), key[1])
            self._store(key, kept)
            mine.set_result(kept)
        except BaseException as error:
            mine.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._making[key]
        return kept

    async def _shared(self, key: tuple[object, ...], work: Callable[[], T], *, later: bool = False) -> T:
        """Do ``work`` in a thread, or wait for the same work under way; ``later`` work gives way to other."""
        with self._lock:
            future: Future[T] | None = self._working.get(key)  # type: ignore[assignment]
            if future is None:
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="arrkit-encode")
                future = Future()
                self._working[key] = future  # type: ignore[assignment]
                self._arrivals += 1
                run: Callable[[], None] = partial(self._run, key, work, future)
                heappush(self._waiting, (later, self._arrivals, run))
                self._pool.submit(self._next)
        # Shielded: one who stops waiting must not take the encoding away from the others.
        return await asyncio.shield(asyncio.wrap_future(future))

    def _next(self) -> None:
        with self._lock:
            _, _, run = heappop(self._waiting)
        run()

    def _run(self, key: tuple[object, ...], work: Callable[[], T], future: Future[T]) -> None:
        future.set_running_or_notify_cancel()
        try:
            result = work()
        except BaseException as error:
            self._done(key)
            future.set_exception(error)
        else:
            self._done(key)
            future.set_result(result)

    def _done(self, key: tuple[object, ...]) -> None:
        with self._lock:
            self._working.pop(key, None)

    def _look_up(self, key: tuple[str, int]) -> Encoded | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
            return kept

    def _store(self, key: tuple[str, int], encoded: Encoded) -> None:
        with self._lock:
            if key in self._kept or len(encoded.data) > self.memory:
                return
            self._kept[key] = encoded
            self._held += len(encoded.data)
            while self._held > self.memory:
                _, dropped = self._kept.popitem(last=False)
                self._held -= len(dropped.data)


_SHARED = ImageEncoder()


async def encode(picture: Picture, long_edge: int = LONG_EDGE) -> Encoded:
    """The bytes that every judge gets for ``picture``, from the encoder that the whole process shares.

    ``long_edge`` is the largest longer side in pixels; the image is never made larger. Raises
    :class:`ImageUnreadable` where the picture cannot be opened.
    """
    return await _SHARED.encode(picture, long_edge)


async def look(pictures: Iterable[Picture]) -> None:
    """Find out the digests of ``pictures`` in threads, so that no event loop waits for them afterwards.

    Raises :class:`ImageUnreadable`, for the first of them that cannot be opened, once all are through.
    """
    found = await asyncio.gather(*(_SHARED.look(each) for each in pictures), return_exceptions=True)
    for digest in found:
        if isinstance(digest, BaseException):
            raise digest
