"""Images in the columns of parquet files, read when they are looked at.

A row group holds the bytes of a hundred images or of thousands. Its other columns are read without them; what
is read of the column of images is a few rows at a time, forwards, and the last ones are kept, since pictures
are looked at about in the order of their rows. A look back over more than that begins the row group anew.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from arrkit.data.files import MAX_IMAGE_BYTES, Files
from arrkit.data.images import picture_from_stream
from arrkit.data.pairs import Picture
from arrkit.errors import InputError

_ROWS = 8  # decoded at once of a column of images
_COUNTED = 256  # decoded at once only to be counted
_KEPT_BYTES = 32 * 2**20  # of one column: about what was looked at last
_KEPT_COLUMNS = 8  # open at a time: two files with a source, two candidates and one more


@dataclass(frozen=True, slots=True)
class ImageColumn:
    """A column that holds images.

    ``many`` says that each row has a list of them. ``plain`` says that they are bytes, and not structs of
    ``bytes`` and ``path``. ``leaf`` is what is read to know which rows have images: that ``path`` where there
    is one, since it is short.
    """

    name: str
    many: bool
    plain: bool
    leaf: str

    def counts(self, file: Any, group: int) -> list[int | None]:
        """For each row of a row group how many images it has; None where the value is null."""
        total = file.metadata.row_group(group).num_rows
        if not self.many and _without_nulls(file, group, self.leaf):
            return [1] * total
        found: list[int | None] = []
        for batch in file.iter_batches(_COUNTED, row_groups=[group], columns=[self.leaf], use_threads=False):
            array = batch.column(0)
            valid = array.is_valid().to_pylist()
            sizes = array.value_lengths().to_pylist() if self.many else [1] * len(valid)
            found += [size if there else None for there, size in zip(valid, sizes, strict=True)]
        return found


def image_column(file: Any, name: str) -> ImageColumn | None:
    """What is known of a column of images; None where it holds something else."""
    from pyarrow import types

    kind = file.schema_arrow.field(name).type
    many = types.is_list(kind) or types.is_large_list(kind)
    if many:
        kind = kind.value_type
    leaves = [file.schema.column(index).path for index in range(len(file.schema))]
    leaves = [leaf for leaf in leaves if leaf == name or leaf.startswith(f"{name}.")]
    if types.is_binary(kind) or types.is_large_binary(kind):
        return ImageColumn(name, many, True, leaves[0])
    if types.is_struct(kind) and "bytes" in [kind.field(index).name for index in range(kind.num_fields)]:
        paths = [leaf for leaf in leaves if leaf.endswith(".path")]
        return ImageColumn(name, many, False, (paths or leaves)[0])
    return None


class ImageReader:
    """Reads the images of parquet files, one at a time, whatever thread asks."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._open: OrderedDict[tuple[str, str], _Forwards] = OrderedDict()
        self._lock = threading.Lock()

    def picture(self, path: str, column: ImageColumn, group: int, row: int, index: int, name: str) -> Picture:
        """The ``index``-th image in a row of a row group of the file ``path``, from 0."""
        return picture_from_stream(
            partial(self._stream, path, column, group, row, index), name, MAX_IMAGE_BYTES
        )

    def _stream(self, path: str, column: ImageColumn, group: int, row: int, index: int) -> IO[bytes]:
        with self._lock:
            try:
                value = self._column(path, column).value(group, row)
            except InputError as error:
                raise OSError(error.problems[0].what) from error
            except (ValueError, NotImplementedError) as error:  # pyarrow's own errors are of these
                raise OSError(_first_line(error)) from error
        if column.many:
            value = value[index]
        data = value if column.plain else value.get("bytes")
        if data is not None:
            return io.BytesIO(data)
        named = None if column.plain else value.get("path")
        if not named:
            raise OSError("neither the bytes of an image nor its path")
        return self.files.open(named)

    def _column(self, path: str, column: ImageColumn) -> _Forwards:
        key = path, column.name
        if key not in self._open:
            file = open_parquet(self.files, path)
            self._open[key] = _Forwards(
                file.__enter__(), column.name, partial(file.__exit__, None, None, None)
            )
            if len(self._open) > _KEPT_COLUMNS:
                _, oldest = self._open.popitem(last=False)
                oldest.close()
        self._open.move_to_end(key)
        return self._open[key]


class _Forwards:
    """One column of images: reads on where it can, and keeps the rows that were read last."""

    def __init__(self, file: Any, name: str, close: Any) -> None:
        self.file, self.name, self.close = file, name, close
        self.group = -1
        self.next = 0  # the row of the group that the next batch begins with
        self.batches: Iterator[Any] = iter(())
        self.kept: deque[tuple[int, Any]] = deque()

    def value(self, group: int, row: int) -> Any:
        oldest = self.kept[0][0] if self.kept else self.next
        if group != self.group or row < oldest:
            self.group, self.next = group, 0
            self.kept.clear()
            self.batches = self.file.iter_batches(
                _ROWS, row_groups=[group], columns=[self.name], use_threads=False
            )
        while row >= self.next:
            array = next(self.batches).column(0)
            self.kept.append((self.next, array))
            self.next += len(array)
            while len(self.kept) > 1 and sum(array.nbytes for _, array in self.kept) > _KEPT_BYTES:
                self.kept.popleft()
        start, array = next(entry for entry in reversed(self.kept) if entry[0] <= row)
        return array[row - start].as_py()


@contextmanager
def open_parquet(files: Files, path: str) -> Iterator[Any]:
    """A parquet file as a :class:`pyarrow.parquet.ParquetFile`; raises ``InputError`` where it is none."""
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise InputError(
            "parquet files cannot be read without pyarrow", hint='pip install "arrkit[data]"'
        ) from None
    with reading(files, path):
        stream = files.open(path)
    with stream:
        with reading(files, path):
            # Not read ahead: the column of images of a row group may be larger than the memory.
            make = partial(ParquetFile, stream, pre_buffer=False, buffer_size=1 << 20)
            file = make()
            if few := _of_few_values(file.metadata):
                file = make(metadata=file.metadata, read_dictionary=few)
        yield file


@contextmanager
def reading(files: Files, path: str) -> Iterator[None]:
    """Turn what pyarrow and the disk say while ``path`` is read into :class:`~arrkit.errors.InputError`."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{files.name} has no file {path}") from None
    except OSError as error:
        raise InputError(
            f"cannot read {files.name}/{path}: {error.strerror or _first_line(error)}"
        ) from error
    except (ValueError, NotImplementedError) as error:
        raise InputError(f"cannot read {files.name}/{path} as parquet: {_first_line(error)}") from error


def _without_nulls(file: Any, group: int, leaf: str) -> bool:
    metadata = file.metadata.row_group(group)
    for index in range(metadata.num_columns):
        column = metadata.column(index)
        if column.path_in_schema == leaf:
            return column.statistics is not None and column.statistics.null_count == 0
    return False


def _of_few_values(metadata: Any) -> list[str]:
    """Columns of text that is the same in many rows, such as the names of models: a third of their time."""
    if not metadata.num_row_groups:
        return []
    group = metadata.row_group(0)
    chunks = [group.column(index) for index in range(group.num_columns)]
    return [
        chunk.path_in_schema
        for chunk in chunks
        # Text that is stored as it is takes four bytes and its own.
        if chunk.physical_type == "BYTE_ARRAY" and chunk.total_uncompressed_size < 3 * chunk.num_values
    ]


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
