"""Public preference sets in the exact form in which they lie on disk, made of tiny pictures by code.

Each module here writes one set and lists its forms in ``FORMS``; ``forms()`` gathers those of all modules,
and the tests over all adapters run on them. The rule of all sets: of two candidates people preferred the
brighter one, and where they are equally bright it is a tie.
"""

from __future__ import annotations

import importlib
import io
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from PIL import Image

Write = Callable[[Path, int, bool], None]
"""Writes a set with so many rows (or groups) into a folder. With True as the last argument people preferred
the darker candidate each time: the images lie under the same names (or in the same rows), the labels are the
other way round; in a set that keeps the label in the order of its columns, the columns are exchanged."""


@dataclass(frozen=True)
class Form:
    """One set in one form; ``spec`` names it without ``data``, which is the folder that ``write`` fills."""

    name: str
    spec: str
    write: Write
    positional: bool = False
    """Whether the set keeps the label in the order of its columns."""
    needs: tuple[str, ...] = ()
    """Modules without which it can be neither written nor read."""
    options: Mapping[str, str] = field(default_factory=dict)
    hub: str = ""
    """The repository that has this form, where it is not that of the record."""
    rows: int = 100
    """How many the tests over all adapters write: enough for 50 decided pairs."""

    def spec_in(self, folder: Path | None) -> str:
        """The whole spec of the set in a folder, or in the hub's cache."""
        options = {**({"data": str(folder)} if folder else {}), **self.options}
        return f"{self.spec}?{'&'.join(f'{key}={value}' for key, value in options.items())}".rstrip("?")


def forms() -> list[Form]:
    """The forms of all sets."""
    found = []
    for module in sorted(each.name for each in pkgutil.iter_modules(__path__)):
        found += getattr(importlib.import_module(f"{__name__}.{module}"), "FORMS", ())
    return found


@cache
def picture(level: int, kind: str = "PNG") -> bytes:
    """The file of a grey picture, 8 x 8 pixels of a level from 0 to 255."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (level, level, level)).save(
        stream, kind, **{"lossless": True} if kind == "WEBP" else {}
    )
    return stream.getvalue()


def levels(row: int, flip: bool) -> tuple[int, int]:
    """The brightness of the preferred and of the other candidate of a row; all rows differ a little."""
    bright, dark = 160 + row % 90, 40 + row % 90
    return (dark, bright) if flip else (bright, dark)
