"""Writing preference pairs: a ``pairs.jsonl`` in the native format, its images as PNG files beside it."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from arrkit.canonical import Json, refuse_existing
from arrkit.data.pairs import Candidate, ImageUnreadable, Label, Picture, PreferencePair, Task
from arrkit.errors import InputError

_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")


Refused = Callable[[PreferencePair, str], None]


def write_pairs(
    pairs: Iterable[PreferencePair],
    target: str | Path,
    *,
    force: bool = False,
    on_unusable: Refused | None = None,
) -> Path:
    """Write pairs with their images, and give the path of the JSONL file.

    ``target`` is a folder, which gets ``pairs.jsonl``, or a file that ends in ``.jsonl``; the images go to
    ``images/`` beside the file, as ``<id>-a.png``, ``<id>-b.png`` and ``<id>-source.png``, with a number
    where there are several. An image that pairs of one group share is written once. Read again, every pair
    says what it said, of images with the same pixels. All is written in a hidden folder first and the JSONL
    file is put in place last, so that where it stands all its images do. Memory does not grow with the number
    of pairs.

    ``on_unusable`` is told of a pair that cannot be written, since an image cannot be read or its text is
    none, and why; the pair is left out. Without it such a pair is an error.

    Raises :class:`~arrkit.errors.InputError` where the file or one of the images exists (unless ``force``),
    cannot be written, an id stands twice, or nothing is left to write.
    """
    target = Path(target).expanduser()
    file = target if target.suffix.lower() == ".jsonl" else target / "pairs.jsonl"
    refuse_existing(file, force=force)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.", suffix=".tmp") as folder:
            staging = Path(folder)
            (staging / "images").mkdir()
            with (staging / "rows").open("w", encoding="utf-8", newline="\n") as stream:
                _write_rows(pairs, stream, _Images(staging / "images"), on_unusable)
                stream.flush()
                os.fsync(stream.fileno())
                if not stream.tell():
                    raise InputError("there are no pairs to write")
            _place_images(staging / "images", file.parent / "images", force=force)
            (staging / "rows").replace(file)
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror or error}") from error
    return file


def _place_images(staged: Path, folder: Path, *, force: bool) -> None:
    # Looked at before the first is moved: another file's images may stand in the folder, under the same ids.
    for image in staged.iterdir():
        refuse_existing(folder / image.name, force=force)
    folder.mkdir(exist_ok=True)
    for image in staged.iterdir():
        image.replace(folder / image.name)


def _write_rows(
    pairs: Iterable[PreferencePair], stream: IO[str], images: _Images, on_unusable: Refused | None
) -> None:
    for pair in pairs:
        try:
            images.begin(pair)
            stream.write(_line(pair, images))
        except (ImageUnreadable, _NoTextError) as error:
            if on_unusable is None:
                raise InputError(f'pair "{pair.id}" cannot be written: {error}') from error
            on_unusable(pair, str(error))
        finally:
            pair.release()


class _NoTextError(Exception):
    """A pair's text cannot stand in the format; the message says why."""


def _line(pair: PreferencePair, images: _Images) -> str:
    """The row as text; the images are written once all that the pair has are read."""
    if not pair.prompt.strip():
        raise _NoTextError("its prompt is empty")
    row: dict[str, Json] = {"id": pair.id, "task": pair.task.value, "query": pair.prompt}
    sources: list[Json] = [images.path(source, "source") for source in pair.sources]
    candidates: list[Json] = [_candidate(each, side, images) for each, side in ((pair.a, "a"), (pair.b, "b"))]
    # The keys that other tools know, wherever these can say it.
    plain = all(isinstance(each, str) for each in candidates) and pair.task is not Task.INTERLEAVED
    if plain and pair.task is Task.EDIT:
        row |= (
            {"source_image": sources[0]}
            if len(sources) == 1
            else {"source_images": sources}
            if sources
            else {}
        )
        row["edited_images"] = candidates
    elif plain and not sources:
        row["response"] = candidates
    else:
        row |= {"source_images": sources} if sources else {}
        row["candidates"] = candidates
    if pair.label.decided:
        row["label_rank"] = [1, 2] if pair.label is Label.A else [2, 1]
    else:
        row["label"] = pair.label.value
    if pair.group:
        row["group"] = pair.group
    if pair.votes is not None:
        row["votes"] = list(pair.votes)
    if pair.confidence is not None:
        row["confidence"] = pair.confidence
    if pair.metadata:
        row["metadata"] = dict(pair.metadata)
    try:
        line = json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
        line.encode()
    except UnicodeEncodeError:
        raise _NoTextError("its text holds half a character (a lone surrogate)") from None
    except ValueError:
        raise _NoTextError("its metadata holds a number that is not finite") from None
    images.save()
    return line


def _candidate(candidate: Candidate, side: str, images: _Images) -> Json:
    if isinstance(candidate, Picture):
        return images.path(candidate, side)
    return [
        {"text": part} if isinstance(part, str) else {"image": images.path(part, side)}
        for part in candidate.parts
    ]


class _Images:
    """The image files of one pair at a time; what a group shares has one file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._group = self._id = ""
        self._written: dict[Picture, str] = {}  # of the group; a picture is equal to itself alone
        self._new: dict[Picture, str] = {}
        self._stem = ""

    def begin(self, pair: PreferencePair) -> None:
        if not pair.group or pair.group != self._group:
            self._written.clear()
        self._group, self._id, self._stem = pair.group, pair.id, file_stem(pair.id)
        self._new.clear()

    def path(self, picture: Picture, role: str) -> str:
        """The file of a picture, relative to that of the pairs; reads it where it is not written yet."""
        name = self._written.get(picture) or self._new.get(picture)
        if name is None:
            picture.load()
            taken = set(self._new.values())
            names = (f"{self._stem}-{role}{number or ''}.png" for number in itertools.count())
            name = self._new[picture] = next(each for each in names if each not in taken)
        return f"images/{name}"

    def save(self) -> None:
        for picture, name in self._new.items():
            if (self._folder / name).exists():
                raise InputError(f'the id "{self._id}" stands twice in the dataset')
            picture.load().save(self._folder / name, "PNG")
        self._written |= self._new
        self._new.clear()


def file_stem(name: str) -> str:
    """A file name made of an id: itself where it is plain, else its plain characters and eight of its digest.

    Different ids have different names, also where the file system does not tell capitals apart.
    """
    if _PLAIN.fullmatch(name) and not name.endswith("."):
        return name
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.")[:60]
    return f"{plain or 'pair'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
