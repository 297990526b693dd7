"""Writing preference pairs: a ``pairs.jsonl`` in the native format, its images as PNG files beside it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from arrkit.canonical import Json, refuse_existing
from arrkit.data.pairs import Candidate, ImageUnreadable, Label, Passage, PreferencePair, Task
from arrkit.errors import InputError

_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")


def write_pairs(pairs: Iterable[PreferencePair], target: str | Path, *, force: bool = False) -> Path:
    """Write pairs with their images, and give the path of the JSONL file.

    ``target`` is a folder, which gets ``pairs.jsonl``, or a file that ends in ``.jsonl``; the images go to
    ``images/`` beside the file, as ``<id>-a.png``, ``<id>-b.png`` and ``<id>-source.png``. Read again, every
    pair has the digest it had. All is written in a hidden folder first and the JSONL file is put in place
    last, so that where it stands all its images do. Memory does not grow with the number of pairs.

    Raises :class:`~arrkit.errors.InputError` where the file or one of the images exists (unless ``force``),
    cannot be written, or an image cannot be read.
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
                for pair in pairs:
                    _write_pair(pair, stream, staging)
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


def _write_pair(pair: PreferencePair, stream: IO[str], folder: Path) -> None:
    stem = file_stem(pair.id)
    try:
        a, b = (_write_image(p, folder, f"{stem}-{side}.png") for p, side in ((pair.a, "a"), (pair.b, "b")))
        sources = [
            _write_image(source, folder, f"{stem}-source{number or ''}.png")
            for number, source in enumerate(pair.sources)
        ]
    except ImageUnreadable as error:
        raise InputError(f'pair "{pair.id}" cannot be written: {error}') from error
    finally:
        pair.release()
    row: dict[str, Json] = {"id": pair.id, "task": pair.task.value, "query": pair.prompt}
    if sources:
        row["source_image"] = sources[0]
    row["response" if pair.task is Task.T2I else "edited_images"] = [a, b]
    if pair.label is Label.TIE:
        row["label"] = "tie"
    else:
        row["label_rank"] = [1, 2] if pair.label is Label.A else [2, 1]
    if pair.metadata:
        row["metadata"] = dict(pair.metadata)
    stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _write_image(picture: Candidate, folder: Path, name: str) -> str:
    if isinstance(picture, Passage):
        raise InputError(f"the native format has no place for text among images: {picture.name}")
    picture.load().save(folder / "images" / name, "PNG")
    return f"images/{name}"


def file_stem(name: str) -> str:
    """A file name made of an id: itself where it is plain, else its plain characters and eight of its digest.

    Different ids have different names, also where the file system does not tell capitals apart.
    """
    if _PLAIN.fullmatch(name) and not name.endswith("."):
        return name
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.")[:60]
    return f"{plain or 'pair'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
