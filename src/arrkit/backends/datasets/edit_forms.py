"""The public sets of edits told apart by their files, since two of them have the same name.

Both ``TIGER-Lab/EditReward-Bench`` and ``EditScore/EditReward-Bench`` are called EditReward-Bench, have other
columns and another metric, and were made by other people; ``TIGER-Lab/EditReward-Data`` is for training. Who
gives one for the other is told so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from arrkit.backends.datasets.common import Metadata, RowUnusable, metadata_of
from arrkit.backends.spec import Spec
from arrkit.data.files import Files, matching
from arrkit.data.pairs import Picture
from arrkit.data.tables import Table
from arrkit.errors import InputError, Problem

BENCH_FILES = "*EditReward_Bench_?pair.json"
"""TIGER-Lab's benchmark in the form of its code."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the sets: what it is called here and by its authors, and columns that no other has."""

    name: str
    called: str
    columns: frozenset[str]


BENCH = Kind(
    "editreward-bench",
    "TIGER-Lab's EditReward-Bench",
    frozenset(("comparison_type", "candidate_1", "ranking")),
)
SCORE = Kind(
    "editscore-bench", "EditScore's EditReward-Bench", frozenset(("output_images", "task_type", "dimension"))
)
DATA = Kind("editreward-data", "EditReward-Data", frozenset(("left_image", "right_image", "vote_type")))
KINDS = (BENCH, SCORE, DATA)


def open_table(files: Files, paths: Sequence[str], wanted: Kind, needed: Sequence[str], spec: Spec) -> Table:
    """The rows of parquet files that have the columns ``needed``.

    Raises :class:`~arrkit.errors.InputError` where they have not, by name where they are another set's.
    """
    table = Table(files, paths)
    columns = set(table.columns)
    if missing := [name for name in needed if name not in columns]:
        refuse_others(files, columns, wanted, spec)
        raise InputError(
            Problem(
                f"{files.name}/{paths[0]} has no column {' and no '.join(missing)}",
                f"dataset {spec.name}",
                f"Its columns: {', '.join(table.columns)}.",
            )
        )
    return table


def refuse_others(files: Files, columns: set[str], wanted: Kind, spec: Spec) -> None:
    """Raise :class:`~arrkit.errors.InputError` where the columns, or the files' names, are another set's."""
    for kind in KINDS:
        of_bench = kind is BENCH and matching(files, BENCH_FILES)
        if kind is wanted or not (kind.columns <= columns or of_bench):
            continue
        raise InputError(
            Problem(
                f"{files.name} holds {kind.called}, which is another set than {wanted.called}",
                f"dataset {spec.name}",
                f"For these files: --dataset {kind.name}",
            )
        )


def rows_of(table: Table, columns: Sequence[str]) -> Iterator[tuple[int, str, Mapping[str, object]]]:
    """Number (from 1), origin and values of each row; of ``columns`` those that there are."""
    there = set(table.columns)
    names = [name for name in columns if name in there]
    for number, values in enumerate(table.rows(*names), start=1):
        yield number, table.where(number), dict(zip(names, values, strict=True))


def picture_of(row: Mapping[str, object], key: str) -> Picture:
    """The image in a column; raises :class:`RowUnusable` where there is none."""
    value = row.get(key)
    if not isinstance(value, Picture):
        raise RowUnusable(f"it has no image in {key}")
    return value


def renamed(row: Mapping[str, object], meanings: Mapping[str, str]) -> Metadata:
    """The plain values of a row under what their keys mean."""
    return {meanings[key]: value for key, value in metadata_of(row, tuple(meanings)).items()}


def unplaced(picture: Picture) -> Picture:
    """The picture of a column, with a name that leaves out which: where the column is the label."""
    picture.name = picture.name.rpartition(" ")[0] or picture.name
    return picture
