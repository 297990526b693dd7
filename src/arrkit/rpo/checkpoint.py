"""Checkpoints: all that a run needs to go on as if it had never stopped.

    checkpoint-100/
      pytorch_lora_weights.safetensors   the adapter, as diffusers loads it
      state.safetensors                  adapter, optimiser and average, exactly as they are
      generators-0.safetensors           the random generators of process 0, and so on
      checkpoint.json                    step, position in the data, what must agree, digests of the files

A checkpoint is made beside its place and then renamed, so it is there whole or not at all; one whose files do
not have their digests is passed over. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import save as pack_tensors
from torch import Tensor, nn

from arrkit import __version__
from arrkit.canonical import Json, pretty_json
from arrkit.errors import InputError, Problem, RunError
from arrkit.rpo import lora, randomness
from arrkit.rpo.processes import Processes

FORMAT = 1
_NAME = re.compile(r"checkpoint-(\d+)")
_STATE = "state.safetensors"
_HEADER = "checkpoint.json"


@dataclass(frozen=True, slots=True)
class Training:
    """What changes while a run trains, by reference: :func:`save` reads it, :func:`restore` writes it."""

    parameters: Mapping[str, nn.Parameter]
    optimiser: torch.optim.Optimizer
    average: lora.Average | None = None
    generators: Mapping[str, torch.Generator] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A whole checkpoint on disk.

    ``step`` is how many updates were made; ``position`` what the run wrote of itself (its place in the data,
    for example); ``marks`` what must agree with a run that goes on from it.
    """

    path: Path
    step: int
    position: Mapping[str, Json]
    marks: Mapping[str, Json]


def save(
    folder: Path,
    step: int,
    training: Training,
    *,
    position: Mapping[str, Json],
    marks: Mapping[str, Json],
    write_adapter: Callable[[Path], object],
    processes: Processes,
    keep: int,
) -> Path:
    """Write ``folder/checkpoint-STEP`` and remove all but the last ``keep``. Every process must call it.

    ``write_adapter`` writes the adapter into the folder that it is given, for users; see ``Policy.save``.
    Raises :class:`~arrkit.errors.RunError` on every process where the disk is full or fails; what was there
    before is untouched then.
    """
    states = processes.gather_bytes(pack_tensors(randomness.take(training.generators, processes.device)))

    def work() -> None:
        files = {f"generators-{rank}.safetensors": state for rank, state in enumerate(states)}
        files[_STATE] = pack_tensors(_tensors(training))
        header: dict[str, Json] = {
            "arrkit": __version__,
            "format": FORMAT,
            "step": step,
            "position": position,
            "marks": marks,
            "averaged": training.average.count if training.average else None,
        }
        _write(folder, step, files, header, write_adapter)
        prune(folder, keep)

    processes.on_main(work)
    return folder / f"checkpoint-{step}"


def _tensors(training: Training) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, parameter in training.parameters.items():
        tensors[f"adapter/{name}"] = parameter.detach()
        for part, value in training.optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser/{name}/{part}"] = torch.as_tensor(value)
    if training.average is not None:
        tensors.update({f"average/{name}": value for name, value in training.average.state().items()})
    return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}


def _write(
    folder: Path,
    step: int,
    files: Mapping[str, bytes],
    header: dict[str, Json],
    write_adapter: Callable[[Path], object],
) -> None:
    final = folder / f"checkpoint-{step}"
    building = folder / f".checkpoint-{step}.tmp"
    try:
        _remove(building)
        building.mkdir(parents=True)
        for name, data in files.items():
            (building / name).write_bytes(data)
        write_adapter(building)
        digests = {path.name: _digest(path) for path in sorted(building.iterdir()) if path.is_file()}
        (building / _HEADER).write_text(pretty_json({**header, "files": digests}), encoding="utf-8")
        for path in [*building.iterdir(), building]:
            _sync(path)
        if final.exists():  # of an earlier start that went on from before it, or torn
            _remove(folder / f".checkpoint-{step}.old.tmp")
            final.rename(folder / f".checkpoint-{step}.old.tmp")
        building.rename(final)
        _sync(folder)
        _remove(folder / f".checkpoint-{step}.old.tmp")
    except (OSError, SafetensorError, InputError) as error:
        shutil.rmtree(building, ignore_errors=True)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        before = [path.name for _, path in _numbered(folder)]
        rest = f"{before[0]} is whole" if before else "There is no earlier one"
        raise RunError(
            f"cannot save {final}: {reason}",
            hint=f"{rest}; make room, and go on with --resume."
            if before
            else f"{rest}; make room and start again.",
        ) from error


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """All that is called a checkpoint, newest first."""
    found = [
        (int(match[1]), path) for path in folder.glob("checkpoint-*") if (match := _NAME.fullmatch(path.name))
    ]
    return sorted(found, reverse=True)


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` checkpoints, and what a killed save has left."""
    for _, path in _numbered(folder)[keep:]:
        # Hidden first: a kill in the middle must not leave a part of one under its name.
        hidden = folder / f".{path.name}.old.tmp"
        _remove(hidden)
        path.rename(hidden)
    for left in folder.glob(".checkpoint-*.tmp"):
        shutil.rmtree(left, ignore_errors=True)


def forget(folder: Path) -> None:
    """Remove all checkpoints: a run that begins anew must not go on from one of an earlier run."""
    prune(folder, 0)


def read(path: Path) -> Checkpoint:
    """The checkpoint at ``path``, after its files were found whole.

    Raises :class:`~arrkit.errors.InputError` where one is missing or not what was written, or where it was
    written by a newer arrkit.
    """
    try:
        header = json.loads((path / _HEADER).read_text(encoding="utf-8"))
        written, step = int(header["format"]), int(header["step"])
        files, position, marks = dict(header["files"]), dict(header["position"]), dict(header["marks"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a whole checkpoint: {_HEADER} cannot be read") from error
    if written > FORMAT:
        raise InputError(f"{path} was written by arrkit {header.get('arrkit')}", hint="Install that version.")
    for name, expected in files.items():
        try:
            same = _digest(path / name) == expected
        except OSError:
            same = False
        if not same:
            raise InputError(f"{path} is not a whole checkpoint: {name} is missing or damaged")
    return Checkpoint(path, step, position, marks)


def latest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest whole checkpoint of a run folder, if any, and a remark on each newer one that is not."""
    remarks: list[str] = []
    for _, path in _numbered(folder):
        try:
            return read(path), remarks
        except InputError as error:
            remarks.append(f"{error.problems[0].what}; it is passed over")
    return None, remarks


def differences(checkpoint: Checkpoint, marks: Mapping[str, Json]) -> list[Problem]:
    """Why a run with these ``marks`` cannot go on from ``checkpoint``, one problem for each that differs.

    Reads nothing more, so that it can be asked before weights are loaded.
    """
    before, now = _flat(checkpoint.marks), _flat(_plain(marks))
    return [
        Problem(
            f"the {name} is {_short(now.get(name))} now, and was {_short(before.get(name))}",
            str(checkpoint.path),
            "Go on with what the run was started with, or start another one with --out.",
        )
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]


def _flat(marks: Mapping[str, Json]) -> dict[str, Json]:
    """Marks with those of a recipe by themselves: of thirty numbers only the one that differs is told."""
    flat: dict[str, Json] = {}
    for name, value in marks.items():
        if isinstance(value, dict):
            flat.update({f"{name}'s {inner}": each for inner, each in value.items()})
        else:
            flat[name] = value
    return flat


def _plain(marks: Mapping[str, Json]) -> dict[str, Json]:
    # As they look after having been in a file: tuples are lists.
    return cast("dict[str, Json]", json.loads(json.dumps(marks)))


def _short(value: Json) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    return (
        f"{text[:12]}…"
        if re.fullmatch("[0-9a-f]{64}", text)
        else text
        if len(text) < 80
        else f"{text[:77]}..."
    )


def restore(
    checkpoint: Checkpoint, training: Training, *, marks: Mapping[str, Json], processes: Processes
) -> None:
    """Put a checkpoint's state into ``training`` and into this process's random generators.

    Raises :class:`~arrkit.errors.InputError` where ``marks`` differ or the state is of another adapter.
    """
    if problems := differences(checkpoint, marks):
        raise InputError(problems, closing="Nothing was changed.")
    try:
        with safe_open(checkpoint.path / _STATE, framework="pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        generators = load_tensors((checkpoint.path / f"generators-{processes.rank}.safetensors").read_bytes())
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read {checkpoint.path}: {error}") from error
    try:
        lora.put(training.parameters, _below("adapter/", tensors))
        if training.average is not None:
            header = json.loads((checkpoint.path / _HEADER).read_text(encoding="utf-8"))
            training.average.restore(_below("average/", tensors), int(header["averaged"]))
        _restore_optimiser(training, _below("optimiser/", tensors))
        randomness.put(generators, training.generators, processes.device)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{checkpoint.path} is of another adapter or another arrkit: {error}",
            hint="Go on with the options the run was started with.",
        ) from error


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _restore_optimiser(training: Training, tensors: Mapping[str, Tensor]) -> None:
    numbers = {name: number for number, name in enumerate(training.parameters)}
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        name, part = key.rsplit("/", 1)
        state.setdefault(numbers[name], {})[part] = tensor
    # load_state_dict knows which parts belong on the parameter's device, and which on the CPU.
    training.optimiser.load_state_dict({**training.optimiser.state_dict(), "state": state})
