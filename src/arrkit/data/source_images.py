"""Where the source images of a prompt set are: files under its folder, or members of archives beside it."""

from __future__ import annotations

from functools import cached_property
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from arrkit.data.files import LocalFiles, any_matching, inside, picture_in
from arrkit.data.images import picture_from_path
from arrkit.data.pairs import Picture
from arrkit.data.rows import resolve

if TYPE_CHECKING:
    from arrkit.data.archives import Unpacked


class SourceImages:
    """The images that the rows of ``file`` name.

    Args:
        file: the file of prompts, such as ``sets/text_and_image_to_image.json``.
        root: the folder that relative paths start from; by default that of the file.

    A relative path is looked for under the folder, then under its ``images`` (as trainers derived from
    CodeGoat24/Pref-GRPO do), then in ``text_and_image_to_image_part_*.tar`` beside the file (as
    FreedomIntelligence/ShareGPT-4o-Image has them), which are read in place. Nothing is opened but the
    archives' tables of contents, and those only where a file is missing.
    """

    def __init__(self, file: Path, root: str | Path | None = None) -> None:
        self._root = file.parent if root is None else Path(root).expanduser()
        self._beside = file.parent
        self._archives = f"{escape(file.stem)}_part_*.tar"

    def place(self, text: str) -> Path:
        """Where the image that a row names should be."""
        return resolve(text, self._root)

    def find(self, text: str) -> Picture | None:
        """The image that a row names, or None where it is nowhere."""
        for file in (self.place(text), resolve(text, self._root / "images")):
            if file.is_file():
                return picture_from_path(file)
        packed = self._packed
        return picture_in(packed, text) if packed and inside(text) and packed.has(text) else None

    @cached_property
    def _packed(self) -> Unpacked | None:
        files = LocalFiles(self._beside)
        if not any_matching(files, self._archives):
            return None
        from arrkit.data.archives import Unpacked

        return Unpacked(files, [self._archives])
