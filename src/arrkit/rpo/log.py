"""What a run logs: ``metrics.jsonl`` always, and TensorBoard, W&B or trackio where they are asked for."""

from __future__ import annotations

import importlib.util
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from arrkit.canonical import Json
from arrkit.errors import Problem, RunError
from arrkit.progress import Progress

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker  # type: ignore[import-untyped]

TRACKERS: Mapping[str, tuple[str, ...]] = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}
"""What can be logged to, and the packages of which one must be installed for it."""


class Metrics:
    """The file ``metrics.jsonl``: one row for each update, in order, each with its ``step``.

    Args:
        path: the file; it is made where it is missing.
        after: the step that the run goes on from. Rows of later ones are cut off: those updates were made
            after the checkpoint and are made again.
    """

    def __init__(self, path: Path, *, after: int = 0) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                _cut(path, after)
            self._file: BinaryIO = path.open("ab", buffering=0)
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror or error}") from error

    def write(self, step: int, row: Mapping[str, Json]) -> None:
        """Append the row of one step, whole. Numbers that JSON has not (NaN, infinities) become null."""
        text = json.dumps(_plain({"step": step, **row}), ensure_ascii=False, separators=(",", ":"))
        line = text.encode() + b"\n"
        try:
            written = self._file.write(line)
        except OSError as error:
            raise RunError(f"cannot write {self._path}: {error.strerror or error}") from error
        if written != len(line):
            raise RunError(f"cannot write {self._path}: the disk is full")

    def close(self) -> None:
        """Let the file go. Every row is in it already."""
        self._file.close()


def _cut(path: Path, after: int) -> None:
    """Cut the file before its first row that is of a later step or was not written whole."""
    end = 0
    with path.open("rb") as stream:
        for line in stream:
            row = _parse(line)
            if row is None or int(row["step"]) > after:
                break
            end += len(line)
    os.truncate(path, end)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("step"), int) else None


def read_metrics(path: Path) -> list[Mapping[str, Json]]:
    """All whole rows of a metrics file, which may still be written to; none where it is missing."""
    if not path.exists():
        return []
    with path.open("rb") as stream:
        return [row for line in stream if (row := _parse(line)) is not None]


def _plain(value: Json) -> Json:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def check_trackers(names: Sequence[str]) -> list[Problem]:
    """What is wrong with the names of ``--log-with``: unknown, or its package is missing. Imports none."""
    problems = []
    for name in dict.fromkeys(names):
        packages = TRACKERS.get(name)
        if packages is None:
            problems.append(
                Problem(f'cannot log to "{name}"', "--log-with", f"There are {', '.join(TRACKERS)}.")
            )
        elif not any(importlib.util.find_spec(package) for package in packages):
            problems.append(
                Problem(f"{packages[0]} is not installed", "--log-with", f"pip install {packages[0]}")
            )
    return problems


class Trackers:
    """The trackers of a run, through accelerate's. Only the first process makes them.

    Args:
        names: those of ``--log-with``, checked by :func:`check_trackers`.
        folder: the run folder; TensorBoard writes below ``logs`` in it.
        config: the options, shown beside the curves. Without secrets.
    """

    def __init__(self, names: Sequence[str], *, folder: Path, config: Mapping[str, Json]) -> None:
        self._trackers: list[GeneralTracker] = [_make(name, folder) for name in dict.fromkeys(names)]
        for tracker in self._trackers:
            tracker.start()
            tracker.store_init_configuration(flatten(config, text=True))

    def write(self, step: int, row: Mapping[str, Json]) -> None:
        """Log the numbers of a row; nested ones as ``outer/inner``."""
        numbers = flatten(row)
        for tracker in self._trackers:
            tracker.log(numbers, step=step)

    def close(self) -> None:
        """Let the trackers write what they hold back."""
        for tracker in self._trackers:
            tracker.finish()


def _make(name: str, folder: Path) -> GeneralTracker:
    from accelerate import tracking  # type: ignore[import-untyped]

    if name == "tensorboard":
        return tracking.TensorBoardTracker("logs", folder)
    kind = {"wandb": tracking.WandBTracker, "trackio": tracking.TrackioTracker}[name]
    return kind(folder.name)


def flatten(row: Mapping[str, Json], *, text: bool = False, prefix: str = "") -> dict[str, Any]:
    """The finite numbers of a nested row under ``outer/inner``; with ``text`` all else as text."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, text=text, prefix=f"{prefix}{name}/"))
        elif isinstance(value, int | float) and math.isfinite(value):
            flat[f"{prefix}{name}"] = value
        elif text:
            flat[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def progress_of(step: int, total: int, counts: Mapping[str, int]) -> Progress:
    """Where training is, for whoever watches; ``counts`` says what became of the pairs so far."""
    return Progress("training", step, total, counts)
