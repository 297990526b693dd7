"""Rows of parquet files, in place: only the columns that are asked for, images when they are looked at.

Needs ``pyarrow`` (extra ``arrkit[data]``), imported when the first file is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

from arrkit.data.files import Files
from arrkit.data.table_images import ImageColumn, ImageReader, image_column, open_parquet, reading
from arrkit.errors import InputError, nearest

_ROWS = 4096  # decoded at once: more are no faster


class Table:
    """The rows of one parquet file or several, one after the other, as one table.

    Args:
        files: where they are.
        paths: the files, in the order of their rows.

    A column of images is one of structs with ``bytes`` (and ``path``), as Hugging Face's ``Image`` feature
    writes it, of plain bytes, or of lists of either. Its values are :class:`~arrkit.data.pairs.Picture` (or
    tuples of them), or None where the row has none. The bytes of an image are read at its first look; an
    image without bytes is the file that its ``path`` names.
    """

    def __init__(self, files: Files, paths: Sequence[str]) -> None:
        self.files = files
        self.paths = tuple(paths)
        self._sizes: dict[int, int] = {}
        self._reader = ImageReader(files)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of the first file."""
        with open_parquet(self.files, self.paths[0]) as file:
            return tuple(file.schema_arrow.names)

    def size(self) -> int:
        """The number of rows; reads the end of each file."""
        for shard, path in enumerate(self.paths):
            if shard not in self._sizes:
                with open_parquet(self.files, path) as file:
                    self._sizes[shard] = file.metadata.num_rows
        return sum(self._sizes.values())

    def where(self, number: int) -> str:
        """The file and row of one that was read, for messages; ``number`` counts all rows from 1."""
        ends = list(accumulate(self._sizes[shard] for shard in range(len(self._sizes))))
        shard = next((shard for shard, end in enumerate(ends) if number <= end), len(ends) - 1)
        return f"{self.paths[shard]}:{number - (ends[shard - 1] if shard else 0)}"

    def rows(self, *columns: str) -> Iterator[tuple[object, ...]]:
        """The values of the columns for each row, in the order in which the columns are named, each once.

        Raises :class:`~arrkit.errors.InputError` where there is no such column or a file cannot be read.
        """
        for shard, path in enumerate(self.paths):
            with open_parquet(self.files, path) as file:
                self._sizes[shard] = file.metadata.num_rows
                self._require(path, file.schema_arrow.names, columns)
                for rows in self._spans(path, file, columns):
                    yield from rows  # of a zip itself: each generator between costs a fifth of all

    def _require(self, path: str, known: Sequence[str], wanted: Sequence[str]) -> None:
        if missing := [name for name in wanted if name not in known]:
            raise InputError(
                f"{self.files.name}/{path} has no column {missing[0]}{nearest(missing[0], known)}",
                hint=f"Its columns: {', '.join(known)}.",
            )

    def _spans(self, path: str, file: Any, names: Sequence[str]) -> Iterator[Iterable[tuple[object, ...]]]:
        images = {name: column for name in names if (column := image_column(file, name)) is not None}
        plain = list(dict.fromkeys(name for name in names if name not in images))
        batches = _decoded(file, plain) if plain else _undecoded(file)
        converters = {name: _converter(file.schema_arrow.field(name).type) for name in plain}
        counts: dict[str, list[int | None]] = {}
        first = at = 0  # the row of the file that the group begins with, and the row of the group
        current = -1
        while True:
            with reading(self.files, path):
                group, size, arrays = next(batches, (0, 0, {}))
                if not size:
                    return
                if group != current:
                    first, at, current = first + at, 0, group
                    counts = {name: column.counts(file, group) for name, column in images.items()}
                values = {name: converters[name](array) for name, array in arrays.items()}
            for name, column in images.items():
                span = counts[name][at : at + size]
                values[name] = self._pictures(path, column, group, first, at, span)
            yield zip(*(values[name] for name in names), strict=True)
            at += size

    def _pictures(
        self, path: str, column: ImageColumn, group: int, first: int, at: int, counts: Sequence[int | None]
    ) -> list[object]:
        """What stands in a column for consecutive rows, of which the first is row ``at`` of the group."""
        found: list[object] = []
        for row, count in enumerate(counts, start=at):
            if count is None:
                found.append(None)
                continue
            name = f"{self.files.name}/{path}:{first + row + 1} {column.name}"
            pictures = [
                self._reader.picture(
                    path, column, group, row, index, f"{name}[{index}]" if column.many else name
                )
                for index in range(count)
            ]
            found.append(tuple(pictures) if column.many else pictures[0])
        return found


Batch = tuple[int, int, dict[str, Any]]
"""Consecutive rows of one row group: its number, how many they are, and the array of each column."""


def _decoded(file: Any, names: list[str]) -> Iterator[Batch]:
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(_ROWS, row_groups=[group], columns=names, use_threads=False):
            yield group, batch.num_rows, dict(zip(batch.schema.names, batch.columns, strict=True))


def _undecoded(file: Any) -> Iterator[Batch]:
    for group in range(file.num_row_groups):
        total = file.metadata.row_group(group).num_rows
        for start in range(0, total, _ROWS):
            yield group, min(_ROWS, total - start), {}


Converter = Callable[[Any], Iterable[Any]]


def _converter(kind: Any) -> Converter:
    """What turns arrays of a type into Python values: as ``to_pylist``, but faster where numpy can help."""
    from pyarrow import types

    if types.is_dictionary(kind) and types.is_string(kind.value_type):
        return _repeated
    if types.is_string(kind) or types.is_large_string(kind):
        return _texts
    if types.is_integer(kind) or types.is_boolean(kind) or types.is_float32(kind) or types.is_float64(kind):
        return _numbers
    if types.is_list(kind) or types.is_large_list(kind):
        return partial(_lists, _converter(kind.value_type))
    return _any


def _any(array: Any) -> Iterable[Any]:
    return array.to_pylist()  # type: ignore[no-any-return]


def _texts(array: Any) -> Iterable[Any]:
    return array.to_numpy(zero_copy_only=False).tolist()  # type: ignore[no-any-return]


def _numbers(array: Any) -> Iterable[Any]:
    return _any(array) if array.null_count else _texts(array)


def _repeated(array: Any) -> Iterable[Any]:
    if array.indices.null_count:
        return _texts(array.dictionary_decode())
    few = array.dictionary.to_numpy(zero_copy_only=False)
    return few[array.indices.to_numpy()].tolist()  # type: ignore[no-any-return]


def _lists(convert: Converter, array: Any) -> Iterable[Any]:
    if array.null_count or not len(array):
        return _any(array)
    offsets = array.offsets.to_numpy() - array.offsets[0].as_py()
    flat, width = convert(array.flatten()), int(offsets[1])
    if width and (offsets[1:] - offsets[:-1] == width).all():
        # Votes for two images, scores of four: made one by one as they are read, since a thousand lists at
        # once set off the garbage collector.
        return map(list, zip(*[iter(flat)] * width, strict=True))
    values = list(flat)
    return [values[start:end] for start, end in pairwise(offsets.tolist())]
