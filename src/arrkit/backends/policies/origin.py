"""Where a model lies: a folder in diffusers' layout, or a repository of the Hugging Face hub."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError
from safetensors import SafetensorError

from arrkit.backends.spec import Spec
from arrkit.errors import InputError, Problem

INDEX = "model_index.json"
"""The file that makes a folder a pipeline: the classes of its parts."""

# Enough of a weight file to tell two trainings apart, and few enough to read in no time.
_PIECES, _PIECE = 16, 4096


class Origin:
    """A model as a spec names it: ``flux:FOLDER`` or ``flux:OWNER/NAME?revision=...``.

    Nothing is read before it is asked for. Everything is read from one commit, also where the branch moves on
    in the meantime.
    """

    def __init__(self, spec: Spec, revision: str = "", variant: str = "") -> None:
        self.where = f"policy {spec.name}"
        self.model = spec.model
        self.variant = variant or None
        self._revision = revision
        folder = Path(spec.model).expanduser()
        self._folder = folder if folder.is_dir() else None
        if self._folder is None and _looks_like_path(spec.model):
            raise InputError(Problem(f"there is no folder {spec.model}", self.where))
        if self._folder is not None and revision:
            raise InputError(Problem("a revision is given, but the model is a folder", self.where))

    @property
    def source(self) -> str:
        """What ``from_pretrained`` takes: the folder, or the name on the hub."""
        return str(self._folder or self.model)

    @cached_property
    def commit(self) -> str | None:
        """The commit on the hub that everything is read from; None for a folder."""
        if self._folder is not None:
            return None
        return self._file(INDEX, self._revision or None).parent.name

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What every ``from_pretrained`` is called with. Weights come from safetensors alone."""
        return {"revision": self.commit, "variant": self.variant, "use_safetensors": True}

    def read(self, name: str) -> dict[str, Any]:
        """One of the model's JSON files, such as ``transformer/config.json``.

        Raises :class:`~arrkit.errors.InputError` where it is missing or broken.
        """
        try:
            values = json.loads(self._file(name, self.commit).read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(Problem(f"{name} of {self.model} is not JSON: {error}", self.where)) from error
        return cast("dict[str, Any]", values)

    @cached_property
    def fingerprint(self) -> str:
        """What tells this model from others: its name and commit on the hub, or a digest of its folder.

        The digest covers names and sizes of all files, all of the small ones, and pieces of the weights.
        """
        if self._folder is None:
            return f"{self.model}@{self.commit}"
        state = hashlib.sha256()
        for file in sorted(path for path in self._folder.rglob("*") if _counts(path)):
            size = file.stat().st_size
            state.update(f"{file.relative_to(self._folder).as_posix()} {size}\n".encode())
            with file.open("rb") as stream:
                for piece in range(_PIECES):
                    # The last one ends with the file; a small file is covered more than once.
                    stream.seek(max(0, size - _PIECE) * piece // (_PIECES - 1))
                    state.update(stream.read(_PIECE))
        return f"sha256:{state.hexdigest()}"

    @contextmanager
    def loading(self, what: str) -> Iterator[None]:
        """Say in our own words what libraries raise where ``what`` cannot be loaded."""
        try:
            with warnings.catch_warnings():
                # What diffusers passes to the hub's client, which no longer wants it; no user can mend that.
                warnings.filterwarnings("ignore", message=".*local_dir_use_symlinks", category=UserWarning)
                yield
        except torch.OutOfMemoryError:
            raise
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
            line = " ".join(str(error).split())[:300]
            raise InputError(
                Problem(f"{what} of {self.model} cannot be loaded: {line}", self.where)
            ) from error

    def _file(self, name: str, revision: str | None) -> Path:
        if self._folder is not None:
            file = self._folder / name
            if not file.is_file():
                hint = "Name a folder that a diffusers pipeline was saved to." if name == INDEX else ""
                raise InputError(Problem(f"{self._folder} has no {name}", self.where, hint))
            return file
        try:
            return Path(hf_hub_download(self.model, name, revision=revision))
        except GatedRepoError as error:
            hint = "Accept its terms on huggingface.co, then log in: hf auth login"
            raise InputError(
                Problem(f"{self.model} asks for its terms to be accepted", self.where, hint)
            ) from error
        except (OSError, ValueError, EntryNotFoundError) as error:
            line = " ".join(str(error).split())[:300]
            hint = (
                "Name a folder, or OWNER/NAME of a model on the hub (HF_HUB_OFFLINE=1 sees only its cache)."
            )
            raise InputError(
                Problem(f"cannot find {name} of {self.model}: {line}", self.where, hint)
            ) from error


def _looks_like_path(model: str) -> bool:
    return model.startswith((".", "/", "~")) or model.count("/") != 1


def _counts(file: Path) -> bool:
    # Adapters and cards that people leave beside a model do not change it.
    return file.is_file() and file.suffix in {".json", ".safetensors", ".txt", ".model", ".jinja"}
