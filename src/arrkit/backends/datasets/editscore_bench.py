"""EditReward-Bench of EditScore: two edits of an image, compared in one of three respects.

Parquet with ``key`` (a name for each edit), ``instruction``, ``input_image``, ``output_images`` (two),
``task_type`` (13 kinds) and ``dimension``. The first of ``output_images`` is always the preferred one, so the
label is A in each row and its order must not be shown as it is. Two edits may be compared in several
dimensions, and then are several pairs.

Unverified: the number of rows. A set of the same name is TIGER-Lab's (``editreward-bench``).

Source: VectorSpaceLab/EditScore, evaluation.py and calculate_statistics.py. Their scorer resizes an edit to
the size of its input first; here it is shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from arrkit.backends.datasets.common import (
    RowUnusable,
    SetPairs,
    Skips,
    text_of,
    unknown_size,
)
from arrkit.backends.datasets.edit_forms import (
    BENCH_FILES,
    SCORE,
    open_table,
    picture_of,
    refuse_others,
    rows_of,
    unplaced,
)
from arrkit.backends.datasets.plugins import editscore_bench
from arrkit.backends.datasets.source import find_files
from arrkit.backends.spec import Spec
from arrkit.data.files import matching
from arrkit.data.pairs import Label, Picture, PreferencePair, Task
from arrkit.data.tables import Table

NEEDED = ("instruction", "input_image", "output_images", "task_type", "dimension")


def make(spec: Spec, *, data: str = "", revision: str = "", stream: bool = False) -> SetPairs:
    """The pairs of one dimension, or of all. Raises ``InputError`` where its files are not to be had."""
    # TIGER-Lab's JSON is looked for as well, to be refused by name.
    needs = [("*.parquet", BENCH_FILES)]
    files = find_files(editscore_bench, spec, needs, data=data, revision=revision, stream=stream)
    paths = matching(files, "*.parquet")
    if not paths:
        refuse_others(files, set(), SCORE, spec)
    table = open_table(files, paths, SCORE, NEEDED, spec)
    wanted = spec.model or editscore_bench.splits[0]
    size = table.size if wanted == "all" else unknown_size
    return SetPairs(spec, Task.EDIT, files, partial(_read, table, wanted), size)


def _read(table: Table, wanted: str, skips: Skips) -> Iterator[PreferencePair]:
    seen: set[str] = set()
    for number, origin, row in rows_of(table, ("key", *NEEDED)):
        if wanted not in ("all", row["dimension"]):
            continue
        try:
            yield _pair(row, number, origin, seen)
        except RowUnusable as error:
            skips.add(origin, str(error))


def _pair(row: Mapping[str, object], number: int, origin: str, seen: set[str]) -> PreferencePair:
    instruction, source = text_of(row, "instruction"), picture_of(row, "input_image")
    task_type, dimension = text_of(row, "task_type"), text_of(row, "dimension")
    outputs = row.get("output_images")
    pictures = [each for each in outputs if isinstance(each, Picture)] if isinstance(outputs, tuple) else []
    if len(pictures) != 2:
        raise RowUnusable("output_images does not hold two images")
    keys = row.get("key")
    own = f"{dimension}:{number}"
    if isinstance(keys, list) and len(keys) == 2 and all(isinstance(key, str) and key for key in keys):
        named = ":".join((dimension, *sorted(keys)))  # in no order that would tell the label
        own = f"{named}:{number}" if named in seen else named
        seen.add(named)
    return PreferencePair(
        id=own,
        task=Task.EDIT,
        prompt=instruction,
        a=unplaced(pictures[0]),
        b=unplaced(pictures[1]),
        label=Label.A,
        sources=(source,),
        metadata={"task_type": task_type, "dimension": dimension},
        origin=origin,
    )
