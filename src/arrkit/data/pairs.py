"""The words of the data: task, label, picture, passage, preference pair."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from arrkit.canonical import digest

if TYPE_CHECKING:
    from PIL.Image import Image


class Task(StrEnum):
    """What the generative model was asked to do."""

    T2I = "t2i"
    """An image for a prompt."""
    EDIT = "edit"
    """One image changed, or several put together, as an instruction says."""
    INTERLEAVED = "interleaved"
    """An answer of text and images to a prompt of text and images."""


class Label(StrEnum):
    """What people preferred: candidate A, candidate B, or neither over the other.

    ``tie`` is two that are equally good, or no word on how good they are; ``both_bad`` is said only where
    people could say so.
    """

    A = "A"
    B = "B"
    TIE = "tie"
    BOTH_BAD = "both_bad"

    @property
    def decided(self) -> bool:
        """Whether one candidate is preferred."""
        return self in (Label.A, Label.B)

    @property
    def swapped(self) -> Label:
        """The label of the same pair with its candidates exchanged."""
        return {Label.A: Label.B, Label.B: Label.A}.get(self, self)


class ImageUnreadable(Exception):
    """An image cannot be used; the message says which and why, in one line.

    Raised by :meth:`Picture.load`. It is not an :class:`~arrkit.errors.ArrkitError`, since one bad image
    spoils its pair and not the command: whoever reads pairs counts it and goes on.
    """


@dataclass(frozen=True, slots=True)
class Opened:
    """An image just decoded from a file: its pixels as RGB, and the SHA-256 of the file's bytes."""

    image: Image
    digest: str


class Picture:
    """One image that can be opened when it is needed, and let go afterwards.

    Args:
        name: where the image comes from, for messages and reports (a path, a URL, a scene's name).
        load: returns the pixels as an RGB :class:`PIL.Image.Image`, or :class:`Opened` where they come from a
            file; raises :class:`ImageUnreadable`.

    The pixels are kept from the first look until :meth:`release`, the digest for good.
    """

    __slots__ = ("_digest", "_image", "_load", "name")

    def __init__(self, name: str, load: Callable[[], Image | Opened]) -> None:
        self.name = name
        self._load = load
        self._image: Image | None = None
        self._digest: str | None = None

    def load(self) -> Image:
        """The pixels: mode RGB, orientation applied, transparency on white. Not to be changed in place."""
        image = self._image
        if image is None:  # not read again below: another thread may release it meanwhile
            opened = self._load()
            if isinstance(opened, Opened):
                image = opened.image
                self._digest = self._digest or opened.digest
            else:
                image = opened
            self._image = image
        return image

    def release(self) -> None:
        """Let the pixels go; a later look opens the image again."""
        self._image = None

    @property
    def digest(self) -> str:
        """SHA-256 of the image's file, or of size and RGB bytes where the pixels come from no file.

        Of the file, since a photo's pixels are twenty times its bytes: to digest them takes as long as to
        decode them. The same pixels in another file have another digest.
        """
        if self._digest is None:
            image = self.load()
            if self._digest is None:
                total = hashlib.sha256(f"RGB {image.width}x{image.height}\n".encode())
                total.update(image.tobytes())
                self._digest = total.hexdigest()
        return self._digest

    @property
    def known_digest(self) -> str | None:
        """The digest where it has been asked for before, else None; never looks at the image."""
        return self._digest

    def __repr__(self) -> str:
        return f"Picture({self.name!r})"


@dataclass(frozen=True, slots=True)
class Passage:
    """A candidate that is more than one image: text and images in the order in which they are read."""

    parts: tuple[str | Picture, ...]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The images, in order; there may be none."""
        return tuple(part for part in self.parts if isinstance(part, Picture))

    @property
    def name(self) -> str:
        """How it begins, for messages and reports."""
        words = " ".join(part for part in self.parts if isinstance(part, str)).split()
        return " ".join(words[:8]) or ", ".join(picture.name for picture in self.pictures)

    @property
    def digest(self) -> str:
        """SHA-256 over the texts and the digests of the images, in order. Reads the images."""
        return digest([part if isinstance(part, str) else {"image": part.digest} for part in self.parts])


Candidate = Picture | Passage
"""What a generative model made: one image, or an answer of text and images."""


def pictures_of(candidate: Candidate) -> tuple[Picture, ...]:
    """The images of a candidate, in order."""
    return (candidate,) if isinstance(candidate, Picture) else candidate.pictures


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """A prompt, two candidates, and which of them people preferred.

    ``a`` and ``b`` are names, not positions: a pair has no presentation order of its own. For the task
    ``edit``, ``prompt`` is the instruction and ``sources`` are the images to be edited; for ``interleaved``
    they are the images of the prompt. Where ``<image 1>`` stands in a prompt, the first of them belongs.

    Pairs of one ``group`` compare candidates for the same prompt, each two of them once; an empty group is a
    pair by itself. ``votes`` counts the people for A and for B, ``confidence`` in [0, 1] is how far the
    dataset trusts its label; None where it does not say. ``metadata`` holds what it says beside that
    (category, model names) and is never shown to a judge. ``origin`` is where the pair was read, such as
    ``pairs.jsonl:14``.
    """

    id: str
    task: Task
    prompt: str
    a: Candidate
    b: Candidate
    label: Label
    sources: tuple[Picture, ...] = ()
    metadata: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    origin: str = ""
    group: str = ""
    votes: tuple[int, int] | None = None
    confidence: float | None = None

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All images of the pair: those of A, of B, and the sources."""
        return (*pictures_of(self.a), *pictures_of(self.b), *self.sources)

    def release(self) -> None:
        """Let the pixels of all images go."""
        for picture in self.pictures:
            picture.release()

    @property
    def digest(self) -> str:
        """SHA-256 over task, prompt, the digests of all images and the label.

        Independent of file names and of the dataset's order; exchanging A and B together with the label
        gives another digest, since the two are then called differently. Reads the images.
        """
        return digest(
            {
                "task": self.task,
                "prompt": self.prompt,
                "a": self.a.digest,
                "b": self.b.digest,
                "sources": [source.digest for source in self.sources],
                "label": self.label,
            }
        )


class PairDataset(Protocol):
    """A source of preference pairs that can be gone through more than once.

    What a plug-in in the group ``arrkit.datasets`` returns, and what the native reader is.
    """

    @property
    def name(self) -> str:
        """The name for reports: a file's path or a dataset's spec."""
        ...

    @property
    def task(self) -> Task | None:
        """The task of all pairs, or None where rows differ."""
        ...

    def __iter__(self) -> Iterator[PreferencePair]:
        """The pairs, one at a time, in an order that is the same each time. Images are not opened."""
        ...

    def size(self) -> int | None:
        """How many pairs there are, or None where nobody knows before all are read."""
        ...


def dataset_digest(pairs: Iterable[PreferencePair]) -> str:
    """SHA-256 over the digests of all pairs in their order. Reads every image, and lets it go again.

    A pair with an unreadable image counts by its id, so that a dataset with a missing file has a digest too,
    and another one once the file is there.
    """
    total = hashlib.sha256()
    for pair in pairs:
        try:
            line = f"pair {pair.digest}\n"
        except ImageUnreadable:
            line = f"unreadable {digest(pair.id)}\n"
        finally:
            pair.release()
        total.update(line.encode())
    return total.hexdigest()
