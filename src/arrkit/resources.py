"""The folders that travel with arrkit: ``schemas`` and ``rubrics``.

In an installed wheel they lie inside the package; in an editable checkout they stand at the top of the
repository, two levels above it.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from arrkit.errors import RunError


def resource_folder(name: str) -> Traversable:
    """The folder ``schemas`` or ``rubrics``. Raises :class:`RunError` where the installation lacks it."""
    packaged = files("arrkit").joinpath(name)
    if packaged.is_dir():
        return packaged
    checkout = Path(__file__).resolve().parents[2] / name
    if checkout.is_dir():
        return checkout
    raise RunError(
        f'this installation of arrkit lacks its folder "{name}"',
        hint="Install it again: pip install --force-reinstall arrkit",
    )


def resource_text(folder: str, name: str) -> str:
    """The text of one file, such as ``resource_text("schemas", "rubric.v1.schema.json")``."""
    return resource_folder(folder).joinpath(name).read_text(encoding="utf-8")
