"""What all commands share that paint with a policy: its adapter, and images that are written whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from arrkit.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

    from arrkit.rpo.policy import Policy

ADAPTER = "pytorch_lora_weights.safetensors"


def fitting_adapter(policy: Policy, path: Path | None) -> Path | None:
    """The adapter's file at ``path``, see :func:`find_adapter`; None where none is wanted.

    Raises :class:`InputError` where it does not fit the policy. No weights are loaded.
    """
    if path is None:
        return None
    from arrkit.rpo.lora import check_adapter

    file = find_adapter(path)
    if problems := check_adapter(policy.skeleton(), file):
        raise InputError(problems, closing="Nothing was loaded.")
    return file


def find_adapter(path: Path) -> Path:
    """The adapter's file at ``path``: the file itself, or that of a run's or checkpoint's folder.

    Raises :class:`InputError` where there is none.
    """
    if path.is_file():
        return path
    if (path / ADAPTER).is_file():
        return path / ADAPTER
    if not path.exists():
        raise InputError(f"{path} does not exist", hint="Give --lora a run folder or a .safetensors file.")
    checkpoints = sorted(path.glob(f"checkpoint-*/{ADAPTER}"), key=lambda file: file.stat().st_mtime)
    hint = f"Its last checkpoint: --lora {checkpoints[-1].parent}" if checkpoints else ""
    raise InputError(f"{path} holds no {ADAPTER}", hint=hint)


def save_image(file: Path, image: Image) -> None:
    """Write a PNG so that a reader sees the whole image or none. Its folder must be there."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    image.save(partial, format="PNG")
    partial.replace(file)
