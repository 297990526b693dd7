"""Images that a benchmark lays beside those that were painted, each file whole."""

from __future__ import annotations

import os
from pathlib import Path

from arrkit.data.pairs import ImageUnreadable, Picture
from arrkit.errors import InputError


def write_image(picture: Picture, path: Path) -> bool:
    """Write ``picture`` as PNG, so that a reader sees the whole file or none; False where it is unreadable.

    Lets the pixels go. Raises :class:`~arrkit.errors.InputError` where the folder cannot be written.
    """
    try:
        image = picture.load()
    except ImageUnreadable:
        return False
    finally:
        picture.release()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(temporary, "PNG")
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return True
