"""One file of a store of conditions: safetensors, whole or not there at all.

The head of the file says for which model it was made, and for each prompt which of the file's tensors are its
condition. A tensor that several prompts have in common (an empty negative prompt) is there once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from arrkit.canonical import Json, canonical_json, digest
from arrkit.errors import InputError, RunError
from arrkit.rpo.policy import Condition


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a prompt's condition stands in its shard: the shard's tensors by the condition's names."""

    tensors: Mapping[str, str]
    width: int
    height: int
    facts: Mapping[str, Json]


def write_shard(folder: Path, key: str, conditions: Mapping[str, Condition]) -> Path:
    """Write conditions by the digest of their prompts; ``key`` is the digest of what they are good for.

    Tensors are contiguous, on the CPU, and share no memory. Raises :class:`RunError` where the file cannot
    be written, such as on a full disk; then nothing is left of it.
    """
    stored: dict[str, Tensor] = {}
    names: dict[bytes, str] = {}
    entries: dict[str, Json] = {}
    for prompt, condition in conditions.items():
        own: dict[str, Json] = {}
        for name, tensor in condition.tensors.items():
            same = names.setdefault(_content(tensor), str(len(stored)))
            stored.setdefault(same, tensor)
            own[name] = same
        size = {"width": condition.width, "height": condition.height}
        entries[prompt] = {"tensors": own, **size, "facts": dict(condition.facts)}
    target = folder / f"{digest(sorted(conditions))[:24]}.safetensors"
    partial = folder / f".{target.name}.{os.getpid()}.tmp"
    try:
        save_file(stored, partial, {"key": key, "conditions": canonical_json(entries).decode()})
        # safetensors makes files private; what the user may read of the folder holds for the file.
        partial.chmod(folder.stat().st_mode & 0o666)
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.replace(target)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise RunError(
            f"cannot write {target}: {error}",
            hint="Make room, then run the same command again; what is there is not made anew.",
        ) from error
    return target


class Shard:
    """A file that :func:`write_shard` wrote. Opening it reads its head alone; tensors are mapped.

    Raises:
        InputError: it is damaged, or was made for something else than ``key``.
    """

    def __init__(self, path: Path, key: str) -> None:
        again = "Remove the file and run arrkit rpo preprocess again."
        try:
            # Any: safetensors has no types for what it opens.
            self._opened = cast(Any, safe_open(path, framework="pt"))
            said = self._opened.metadata() or {}
            entries = json.loads(said["conditions"])
            self.entries = {name: Entry(**entry) for name, entry in entries.items()}
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is damaged or no shard of arrkit: {error}", hint=again) from error
        if said.get("key") != key:
            raise InputError(f"{path} was preprocessed for another model or other settings", hint=again)

    def condition(self, prompt: str) -> Condition:
        """The condition of the prompt with this digest; its tensors stay valid without the shard."""
        entry = self.entries[prompt]
        tensors = {name: self._opened.get_tensor(stored) for name, stored in entry.tensors.items()}
        return Condition(tensors, entry.width, entry.height, entry.facts)


def _content(tensor: Tensor) -> bytes:
    total = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.digest()
