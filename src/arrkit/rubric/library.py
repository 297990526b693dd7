"""The rubrics that ship with arrkit, and how a path or a bare name becomes a text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from arrkit.errors import InputError, nearest
from arrkit.resources import resource_folder, resource_text


@dataclass(frozen=True, slots=True)
class RubricText:
    """The text of a rubric file. ``name`` is what problems call it; ``shipped`` says whether it is ours."""

    name: str
    text: str
    shipped: bool


def shipped_names() -> tuple[str, ...]:
    """The bare names that work wherever a rubric file does, in alphabetical order."""
    entries = (entry.name for entry in resource_folder("rubrics").iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in entries if name.endswith(".json")))


def find_rubric(path_or_name: str | Path) -> RubricText:
    """The text of a rubric: a file that exists wins, then a shipped rubric of that name.

    Raises :class:`InputError` for an unknown name, with the nearest one, and for a file that is not UTF-8
    or cannot be read.
    """
    given, path = str(path_or_name), Path(path_or_name)
    if path.is_file():
        return RubricText(given, read_text(path), shipped=False)
    names = shipped_names()
    if given in names:
        return RubricText(f"rubrics/{given}.json", resource_text("rubrics", f"{given}.json"), shipped=True)
    if path.is_dir():
        raise InputError(f"{given} is a folder, not a rubric file")
    raise InputError(
        f'no rubric file "{given}", and no shipped rubric of that name{nearest(given, names)}',
        hint=f"Shipped rubrics: {', '.join(names) or 'none'}. `arrkit rubric list` shows them.",
    )


def read_text(path: Path) -> str:
    """The text of a file a user named. Raises :class:`InputError` where it cannot be read or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
