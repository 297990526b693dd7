"""The history of a training run, from the lines that it logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from arrkit.canonical import Json
from arrkit.rpo.against import Evaluation, evaluation_of
from arrkit.rpo.log import flatten, read_metrics

STEP = "step"
"""The key of the number of updates done, which every row of the log has."""


@dataclass(frozen=True, slots=True)
class History:
    """What was logged, one row an update, in order; nested names joined by ``/``.

    Rows may lack keys that others have, and hold finite numbers only.
    """

    rows: tuple[Mapping[str, float], ...]

    @staticmethod
    def from_rows(rows: Iterable[Mapping[str, Json]]) -> History:
        """The history of logged rows. What a resumed run did again counts once, as it went the last time.

        Rows of one update are put together. Values that are no finite numbers, and rows without a step,
        are left out.
        """
        by_update: dict[int, dict[str, float]] = {}
        reached = -1
        for row in rows:
            numbers = {key: float(value) for key, value in flatten(row).items()}
            if STEP not in numbers:
                continue
            update = int(numbers[STEP])
            if update < reached:
                # A checkpoint was gone back to: what had come after it never was.
                by_update = {number: held for number, held in by_update.items() if number < update}
            reached = update
            by_update.setdefault(update, {}).update(numbers)
        return History(tuple(by_update[number] for number in sorted(by_update)))

    @staticmethod
    def from_jsonl(path: Path) -> History:
        """The history in a run's ``metrics.jsonl``, which may still be written to; empty without a file."""
        return History.from_rows(read_metrics(path))

    def series(self, key: str) -> list[tuple[int, float]]:
        """The values of ``key`` by update, where there are any."""
        return [(int(row[STEP]), row[key]) for row in self.rows if key in row]

    def keys(self, start: str = "") -> tuple[str, ...]:
        """All keys that begin with ``start``, in the order in which they first came up."""
        found = dict.fromkeys(key for row in self.rows for key in row)
        return tuple(key for key in found if key.startswith(start))

    def total(self, key: str) -> float:
        """The sum over all rows."""
        return sum(value for _, value in self.series(key))

    @property
    def updates(self) -> int:
        """How many updates were done."""
        return int(self.rows[-1][STEP]) if self.rows else 0

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """The comparisons with the base model, oldest first."""
        found = (evaluation_of(int(row[STEP]), row) for row in self.rows)
        return tuple(each for each in found if each is not None)
