"""Where the source images of a prompt set are: files under its folder, or members of archives beside it.

The picture of a member is named as if the archives were a folder, ``sets/edits_part_*.tar/image/7.png``: what
keeps the path of an image can find it again, whichever of the two it is (:func:`picture_at`).
"""

from __future__ import annotations

from functools import lru_cache
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from arrkit.data.files import MAX_IMAGE_BYTES, LocalFiles, any_matching, inside
from arrkit.data.images import picture_from_path, picture_from_stream
from arrkit.data.pairs import Picture
from arrkit.data.rows import resolve

if TYPE_CHECKING:
    from arrkit.data.archives import Unpacked

_PARTS = "_part_*.tar"


class SourceImages:
    """The images that the rows of ``file`` name.

    Args:
        file: the file of prompts, such as ``sets/text_and_image_to_image.json``.
        root: the folder that relative paths start from; by default that of the file.

    A relative path is looked for under the folder, then under its ``images`` (as trainers derived from
    CodeGoat24/Pref-GRPO do), then in ``text_and_image_to_image_part_*.tar`` beside the file (as
    FreedomIntelligence/ShareGPT-4o-Image has them), which are read in place. Nothing is opened but the
    archives' headers, and those only where a file is missing.
    """

    def __init__(self, file: Path, root: str | Path | None = None) -> None:
        self._root = file.parent if root is None else Path(root).expanduser()
        self._archives = file.parent / f"{escape(file.stem)}{_PARTS}"

    def place(self, text: str) -> Path:
        """Where the image that a row names should be."""
        return resolve(text, self._root)

    def find(self, text: str) -> Picture | None:
        """The image that a row names, or None where it is nowhere."""
        for file in (self.place(text), resolve(text, self._root / "images")):
            if file.is_file():
                return picture_from_path(file)
        return _member(self._archives, text)


def picture_at(path: Path) -> Picture | None:
    """The image in a file, or of a member under the name that :class:`SourceImages` gave it, or None."""
    if path.is_file():
        return picture_from_path(path)
    archives = next((each for each in path.parents if each.name.endswith(_PARTS)), None)
    return None if archives is None else _member(archives, path.relative_to(archives).as_posix())


def _member(archives: Path, text: str) -> Picture | None:
    try:
        changed = archives.parent.stat().st_mtime_ns
    except OSError:
        return None
    packed = _packed(archives.parent, archives.name, changed)
    if packed is None or not inside(text) or not packed.has(text):
        return None
    return picture_from_stream(lambda: packed.open(text), str(archives / text), MAX_IMAGE_BYTES)


@lru_cache(maxsize=4)
def _packed(folder: Path, pattern: str, changed: int) -> Unpacked | None:  # noqa: ARG001 - what is kept ends with it
    # Kept over all images of a set: its archives are looked for and opened once.
    files = LocalFiles(folder)
    if not any_matching(files, pattern):
        return None
    from arrkit.data.archives import Unpacked

    return Unpacked(files, [pattern])
