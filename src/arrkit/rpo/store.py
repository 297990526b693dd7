"""Conditions on disk: what the encoders made of each prompt, so that training never loads them.

    data/flux/
      store.json           the policy's identity and the data type: what the conditions are good for
      shards/*.safetensors conditions by the digest of their prompt; each file appears whole or not at all
      prompts.jsonl        the prompts in their order, with the digests of their conditions
      index.json           which shard holds which condition; written last

Nothing is padded, and a prompt that stands twice is kept once. Any number of processes may add to a store
and read it at once.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import Tensor

from arrkit.canonical import Json, canonical_json, digest, pretty_json, write_atomic
from arrkit.data.pairs import ImageUnreadable, Opened, Picture, Task
from arrkit.data.prompts import Prompt
from arrkit.data.source_images import picture_at
from arrkit.errors import InputError, Problem, RunError
from arrkit.rpo.options import Precision
from arrkit.rpo.policy import Condition, Policy
from arrkit.rpo.shards import Shard, write_shard

FORMAT = 1
SHARD_BYTES = 64 * 2**20
"""A shard is written when it has this size ..."""
SHARD_SECONDS = 5.0
"""... or this age: what a kill costs at most, besides the batch in the encoders."""

_OPEN_SHARDS = 32
_DTYPES = {Precision.BF16: torch.bfloat16, Precision.FP32: torch.float32}


@dataclass(frozen=True, slots=True)
class StoreKey:
    """What conditions are good for; stores with the same digest are interchangeable.

    ``precision`` is that of floating-point tensors on disk. ``policy`` is for messages.
    """

    policy: str
    task: Task
    identity: Mapping[str, Json]
    precision: Precision = Precision.BF16

    @classmethod
    def of(cls, policy: Policy, precision: Precision = Precision.BF16) -> StoreKey:
        """The key of a policy's conditions."""
        return cls(policy.name, policy.task, dict(policy.identity), precision)

    @property
    def digest(self) -> str:
        """SHA-256 over identity, data type and the format of the store."""
        return digest({"format": FORMAT, "identity": self.identity, "precision": self.precision})

    def to_json(self) -> dict[str, Json]:
        """What ``store.json`` says."""
        said: dict[str, Json] = {"format": FORMAT, "policy": self.policy, "task": self.task}
        return {**said, "precision": self.precision, "identity": self.identity, "key": self.digest}


@dataclass(frozen=True, slots=True)
class Kept:
    """A prompt that can be used, its digest, and those of its sources: so that no image is read again."""

    prompt: Prompt
    digest: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreSize:
    """How many distinct conditions a store holds, and the bytes of its shards."""

    conditions: int
    bytes: int

    @property
    def each(self) -> float:
        """Bytes a condition."""
        return self.bytes / self.conditions if self.conditions else 0.0


class StoreWriter:
    """Adds conditions to a folder; what is there already stays, and is in :attr:`done`.

    Args:
        folder: made where it does not exist.
        key: what the conditions are good for.
        main: whether this is the one process that also writes the index. It keeps a second command out.

    Raises:
        InputError: the folder holds something else, or conditions of another model.
    """

    def __init__(self, folder: Path, key: StoreKey, *, main: bool = True) -> None:
        self.folder = folder
        self.key = key
        self._key = key.digest
        self._shards = folder / "shards"
        self._waiting: dict[str, Condition] = {}
        self._bytes = 0
        self._since = time.monotonic()
        _claim(folder, key)
        try:
            self._shards.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make {folder}: {error.strerror or error}") from error
        self._lock = _lock(folder) if main else None
        try:
            if not (folder / "store.json").exists():
                write_atomic(folder / "store.json", pretty_json(key.to_json()))
            self.done = {name for path in self._files() for name in Shard(path, self._key).entries}
            """Digests of the prompts whose conditions are there or wait to be written."""
        except BaseException:
            self._let_go()
            raise

    def add(self, prompt: str, condition: Condition) -> None:
        """Keep the condition of the prompt with this digest; :meth:`flush` writes it at last."""
        tensors = {name: _on_disk(tensor, self.key.precision) for name, tensor in condition.tensors.items()}
        self._waiting[prompt] = replace(condition, tensors=tensors)
        self._bytes += sum(tensor.nbytes for tensor in tensors.values())
        self.done.add(prompt)
        if self._bytes >= SHARD_BYTES or time.monotonic() - self._since >= SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits. Raises :class:`RunError` where it cannot be written, such as on a full disk."""
        waiting, self._waiting = self._waiting, {}
        if waiting:
            write_shard(self._shards, self._key, waiting)
        self._bytes = 0
        self._since = time.monotonic()

    def finish(self, kept: Sequence[Kept]) -> StoreSize:
        """Write the index over the shards of all processes, once all have flushed.

        ``kept`` are the prompts that can be used, in their order.
        """
        self.flush()
        for torn in self._shards.glob(".*.tmp"):  # of processes that were killed while they wrote
            torn.unlink(missing_ok=True)
        where: dict[str, int] = {}
        paths = self._files()
        for number, path in enumerate(paths):
            for name in Shard(path, self._key).entries:
                where.setdefault(name, number)
        wanted = {each.digest for each in kept}
        if lost := wanted - where.keys():
            raise RunError(
                f"{len(lost)} conditions were made and are not in {self._shards}",
                hint="Run the same command again; what is there is not made anew.",
            )
        lines = [canonical_json(_row(each, self.folder)).decode() for each in kept]
        write_atomic(self.folder / "prompts.jsonl", "".join(f"{line}\n" for line in lines))
        index = {
            "format": FORMAT,
            "prompts": digest([each.digest for each in kept]),
            "shards": [path.name for path in paths],
            "conditions": {name: where[name] for name in sorted(wanted)},
        }
        write_atomic(self.folder / "index.json", json.dumps(index) + "\n")
        return StoreSize(len(where), sum(path.stat().st_size for path in paths))

    def close(self) -> None:
        """Write what waits, and let the folder go."""
        try:
            self.flush()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _files(self) -> list[Path]:
        return sorted(self._shards.glob("[!.]*.safetensors"))


class ConditionStore:
    """The conditions and prompts of a folder; :func:`open_store` checks it and gives one.

    Nothing is read before it is asked for. Tensors are mapped from their files, in the data type of the
    store, on the CPU; processes share the mapped pages. They are not to be changed in place.
    """

    def __init__(
        self,
        folder: Path,
        key: StoreKey,
        kept: Sequence[Kept],
        shards: Sequence[str],
        where: Mapping[str, int],
    ) -> None:
        self.folder = folder
        self.key = key
        self.prompts = tuple(each.prompt for each in kept)
        """All prompts, in the order of the file that they came from."""
        self._digests = {id(each.prompt): each.digest for each in kept}
        self._shards = shards
        self._where = where
        self._open: OrderedDict[int, Shard] = OrderedDict()

    def __len__(self) -> int:
        """How many distinct conditions there are."""
        return len(self._where)

    def __contains__(self, prompt: Prompt) -> bool:
        return self.digest_of(prompt) in self._where

    def digest_of(self, prompt: Prompt) -> str:
        """The digest of a prompt; of the store's own ones without a look at their images."""
        return self._digests.get(id(prompt)) or prompt.digest

    def condition(self, prompt: Prompt) -> Condition:
        """The condition of a prompt of :attr:`prompts`, or of an equal one; ``KeyError`` for any other."""
        name = self.digest_of(prompt)
        return self._shard(self._where[name]).condition(name)

    def _shard(self, number: int) -> Shard:
        shard = self._open.get(number)
        if shard is None:
            shard = Shard(self.folder / "shards" / self._shards[number], self.key.digest)
            self._open[number] = shard
        self._open.move_to_end(number)
        if len(self._open) > _OPEN_SHARDS:
            self._open.popitem(last=False)
        return shard


def open_store(folder: Path, policy: Policy) -> ConditionStore:
    """What ``arrkit rpo preprocess`` wrote into ``folder`` for this policy, in either data type.

    Raises:
        InputError: it is no store, is not finished, was made for another model or other settings, or source
            images are missing.
    """
    if not (folder / "store.json").is_file():
        raise InputError(
            f"{folder} holds no preprocessed prompts",
            hint=f"Make them: arrkit rpo preprocess --policy {policy.name} --prompts FILE --out {folder}",
        )
    said = _read_json(folder / "store.json")
    fp32 = said.get("precision") == Precision.FP32
    key = StoreKey.of(policy, Precision.FP32 if fp32 else Precision.BF16)
    _refuse_foreign(folder, said, key)
    index = _read_json(folder / "index.json") if (folder / "index.json").is_file() else {}
    kept = _read_kept(folder, key.task) if index else []
    if not index or index.get("prompts") != digest([each.digest for each in kept]):
        raise InputError(
            f"the preprocessing in {folder} is not finished",
            hint="Run the same arrkit rpo preprocess again; it goes on where it stopped.",
        )
    problems = [
        Problem(f"there is no image {picture.name}", f"{folder / 'prompts.jsonl'}:{line}")
        for line, each in enumerate(kept, start=1)
        for picture in each.prompt.sources
        if picture_at(Path(picture.name)) is None
    ]
    problems += [
        Problem("the shard is missing", str(folder / "shards" / name), "Run arrkit rpo preprocess again.")
        for name in index["shards"]
        if not (folder / "shards" / name).is_file()
    ]
    if problems:
        raise InputError(problems)
    return ConditionStore(folder, key, kept, index["shards"], index["conditions"])


def _claim(folder: Path, key: StoreKey) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file", hint="Give a folder with --out.")
    said = folder / "store.json"
    if said.is_file():
        _refuse_foreign(folder, _read_json(said), key)
        return
    # Other processes of the same command may be making their first things at this moment.
    ours = ("shards", "store.json")
    if folder.is_dir() and any(each.name not in ours and each.name[0] != "." for each in folder.iterdir()):
        raise InputError(
            f"{folder} is not empty and holds no preprocessed prompts", hint="Give another folder with --out."
        )


def _lock(folder: Path) -> TextIO:
    stream = (folder / ".lock").open("w")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        raise InputError(
            f"another command is working in {folder}", hint="Wait for it, or give another --out."
        ) from None
    return stream


def _refuse_foreign(folder: Path, said: Mapping[str, Any], key: StoreKey) -> None:
    if said.get("key") == key.digest:
        return
    ours = key.to_json()
    theirs = said.get("identity")
    pairs = {**(theirs if isinstance(theirs, dict) else {}), "format": said.get("format")}
    pairs["precision"] = said.get("precision")
    wanted = {**key.identity, "format": FORMAT, "precision": ours["precision"]}
    differences = [
        f"{name} {_shown(pairs.get(name))}, not {_shown(wanted.get(name))}"
        for name in sorted({*pairs, *wanted})
        if canonical_json(pairs.get(name)) != canonical_json(wanted.get(name))
    ]
    raise InputError(
        f"{folder} was preprocessed for another model or other settings: {'; '.join(differences[:4])}",
        hint="Give another folder, or remove this one and preprocess again.",
    )


def _shown(value: Json) -> str:
    text = canonical_json(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} does not hold an object")
    return value


def _on_disk(tensor: Tensor, precision: Precision) -> Tensor:
    kept = tensor.detach().cpu()
    wanted = _DTYPES[precision]
    if kept.is_floating_point() and kept.element_size() > wanted.itemsize:
        kept = kept.to(wanted)
    # A copy: a row of a batch would keep the whole batch, and change when its memory is used again.
    return kept.clone(memory_format=torch.contiguous_format)


def _row(each: Kept, folder: Path) -> dict[str, Json]:
    prompt = each.prompt
    row: dict[str, Json] = {"id": prompt.id, "digest": each.digest, "text": prompt.text}
    if prompt.sources:
        # From the store's folder, so that images and store may move together.
        row["sources"] = [
            {"path": os.path.relpath(Path(picture.name).resolve(), folder.resolve()), "digest": known}
            for picture, known in zip(prompt.sources, each.sources, strict=True)
        ]
    if prompt.metadata:
        row["metadata"] = dict(prompt.metadata)
    return {**row, "origin": prompt.origin}


def _read_kept(folder: Path, task: Task) -> list[Kept]:
    path = folder / "prompts.jsonl"
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    return [_kept(row, folder.resolve(), task) for row in rows]


def _kept(row: Mapping[str, Any], folder: Path, task: Task) -> Kept:
    named = row.get("sources", ())
    sources = tuple(
        _unchanged(Path(os.path.normpath(folder / each["path"])), each["digest"]) for each in named
    )
    prompt = Prompt(row["id"], task, row["text"], sources, row.get("metadata", {}), row["origin"])
    return Kept(prompt, row["digest"], tuple(each["digest"] for each in named))


def _unchanged(path: Path, expected: str) -> Picture:
    """The picture of a file that must still be the one that was preprocessed."""

    def load() -> Opened:
        picture = picture_at(path)
        if picture is None:
            raise ImageUnreadable(f"{path}: there is no such file")
        image = picture.load()
        if picture.digest != expected:
            raise ImageUnreadable(f"{path} has changed since it was preprocessed")
        return Opened(image, expected)

    return Picture(str(path), load)
