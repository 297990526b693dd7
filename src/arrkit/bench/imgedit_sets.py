"""ImgEdit-Bench: the edits of its three parts, read from the archive of images, its unpacked form or both.

The images are those of ``Benchmark.tar`` on the hub (folders ``singleturn``, ``hard`` and ``multiturn``),
which need not be unpacked. The instructions of the basic part are in it too; those of UGE are a file of the
code repository (Benchmark/UGE/UGE_edit.json), since ``hard/annotation.jsonl`` has other rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from PIL.Image import Image

from arrkit.bench.imgedit_words import ALIASES, HOME, KINDS
from arrkit.bench.model import Item
from arrkit.bench.sources import find_files, json_object, read_text, text_at
from arrkit.canonical import Json
from arrkit.data.archives import Unpacked
from arrkit.data.files import Files, inside, picture_in
from arrkit.data.pairs import Opened, Picture, Task
from arrkit.errors import InputError, Problem

CATEGORIES = ("content_memory", "content_understand", "version_backtrace")
"""The kinds of edits in several turns."""

MOST_TURNS = 3

_ARCHIVE = "*Benchmark*.tar"
_BASIC = ("basic_edit.json", "Basic/basic_edit.json", "Benchmark/Basic/basic_edit.json")
_BASIC_IN_ARCHIVE = ("singleturn/singleturn.json", "singleturn.json", "Benchmark/singleturn/singleturn.json")
_UGE = ("UGE_edit.json", "UGE/UGE_edit.json", "Benchmark/UGE/UGE_edit.json")


def open_files(data: str, revision: str) -> Files:
    """Where the set is: a folder or the hub's cache, with the archive as if it were unpacked there."""
    return Unpacked(find_files(HOME, (), data=data, revision=revision), [_ARCHIVE])


def basic_items(files: Files) -> Iterator[Item]:
    """The single edits, each of one of nine types: ``<key>.png`` in one folder."""
    where, rows = _object(files, _BASIC + _BASIC_IN_ARCHIVE, "instructions of the basic part")
    find = _Finder(files, ("singleturn", "Benchmark/singleturn", ""))
    for key, row, place in _entries(rows, where):
        kind = text_at(row, "edit_type", place)
        kind = ALIASES.get(kind, kind)
        if kind not in KINDS:
            raise InputError(Problem(f'edit_type is "{kind}", which is none of the nine types', place))
        yield _item(key, row, place, find, {"type": kind})


def uge_items(files: Files) -> Iterator[Item]:
    """The edits that take understanding: ``<key>.png`` in one folder."""
    where, rows = _object(files, _UGE, "instructions of UGE, a file of the code repository (Benchmark/UGE)")
    find = _Finder(files, ("hard", "Benchmark/hard", ""))
    for key, row, place in _entries(rows, where):
        yield _item(key, row, place, find, {})


def multiturn_items(files: Files) -> Iterator[Item]:
    """The turns of the edits in several turns: ``<category>/<key>/turn<n>.png``, each after the one before.

    There is no official layout, since people look at these edits.
    """
    for category in CATEGORIES:
        roots = (f"multiturn/{category}", f"Benchmark/multiturn/{category}", category)
        name = _first(files, [f"{root}/annotation.json" for root in roots])
        if name is None:
            raise _lacking(files, f"instructions of {category}: {roots[0]}/annotation.json")
        find = _Finder(files, (*roots, "multiturn", "Benchmark/multiturn", ""))
        for key, row, place in _entries(_turn_rows(read_text(files, name), f"{files.name}/{name}"), name):
            source = find.picture(text_at(row, "id", place))
            before = ""
            texts = [f"turn{number}" for number in range(1, MOST_TURNS + 1)]
            for number, turn in enumerate([each for each in texts if each in row], start=1):
                item = Item(
                    id=f"{category}/{key}/turn{number}",
                    task=Task.EDIT,
                    prompt=text_at(row, turn, place),
                    files=(f"{category}/{key}/turn{number}.png",),
                    sources=() if before else (source,),
                    groups={"category": category},
                    before=before,
                )
                before = item.id
                yield item
            if not before:
                raise InputError(Problem('there is no "turn1"', place))


class _Finder:
    """Finds source images, each in the first of some folders that has it, when it is looked at.

    Not before: to look into an archive may be to read it through, which scoring saved answers does not need.
    """

    def __init__(self, files: Files, folders: Sequence[str]) -> None:
        self._files = files
        self._folders = folders

    def picture(self, path: str) -> Picture:
        """The image that is called ``path`` below one of the folders."""
        return Picture(f"{self._files.name}/{self._folders[0]}/{path}", partial(self._load, path))

    def _load(self, path: str) -> Image | Opened:
        paths = [f"{folder}/{path}" if folder else path for folder in self._folders]
        found = picture_in(self._files, _first(self._files, paths) or paths[0])
        image = found.load()
        return Opened(image, found.digest)


def _item(key: str, row: Mapping[str, Json], place: str, find: _Finder, groups: Mapping[str, str]) -> Item:
    return Item(
        id=key,
        task=Task.EDIT,
        prompt=text_at(row, "prompt", place),
        files=(f"{key}.png",),
        sources=(find.picture(text_at(row, "id", place)),),
        groups=groups,
    )


def _object(files: Files, names: Sequence[str], what: str) -> tuple[str, Mapping[str, Json]]:
    """The place and the object of the first of ``names`` that is there."""
    name = _first(files, names)
    if name is None:
        raise _lacking(files, what)
    where = f"{files.name}/{name}"
    return where, json_object(read_text(files, name), where)


def _first(files: Files, names: Sequence[str]) -> str | None:
    return next((name for name in names if files.has(name)), None)


def _lacking(files: Files, what: str) -> InputError:
    return InputError(
        f"{files.name} does not hold the {what} of {HOME.name} ({HOME.license})",
        hint=f"Put the JSON files of {HOME.url} (Benchmark/) beside Benchmark.tar of "
        f"https://huggingface.co/datasets/{HOME.hub} and name the folder: --data DIR",
    )


def _entries(rows: Mapping[str, Json], where: str) -> Iterator[tuple[str, Mapping[str, Json], str]]:
    """Key, row and place of each entry."""
    for key, row in rows.items():
        place = f'{where}, "{key}"'
        if not isinstance(row, Mapping):
            raise InputError(Problem("this is not an object", place))
        if not inside(key) or "/" in key or "\\" in key or key.startswith("."):
            raise InputError(Problem("the key cannot be the name of a file", place))
        yield key, row, place


def _turn_rows(text: str, where: str) -> Mapping[str, Json]:
    """The rows of a file of turns by their keys: of an object its own, of JSON Lines their numbers from 1.

    The files of the set are JSON Lines, whatever their suffix; the README shows an object.
    """
    try:
        whole = json.loads(text)
    except ValueError:
        whole = None
    if isinstance(whole, dict) and "turn1" not in whole:
        return whole
    lines = [line for line in text.split("\n") if line.strip()] if whole is None else [text]
    return {str(number): json_object(line, f"{where}:{number}") for number, line in enumerate(lines, start=1)}
