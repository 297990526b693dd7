"""Pick-a-Pic v1 and v2: parquet, the JPEG bytes of both images in each row.

``label_0`` is 1 where image 0 won, 0 where image 1 did, and 0.5 for a tie; ``label_1`` is 1 less that. Rows
whose ``has_label`` is false have no usable label: they are counted and left out, as the authors' code does
outside of training [yuvalkirstain/PickScore:trainer/datasetss/clip_hf_dataset.py]. The splits
``validation_unique`` and ``test_unique`` have one row a prompt, and the official accuracy is over them.

The official repositories (``yuvalkirstain/pickapic_v1``, ``..._v2``) are gone from the hub; mirrors are taken
in their place, or the one that ``repo`` names.

Unverified: the mirrors, and that their columns are the official ones. Only the caption, both images and one
of the labels must be there; a column of images may also hold dicts with ``bytes``. The variants without
images hold URLs that are no longer valid, and are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from arrkit.backends.datasets import plugins
from arrkit.backends.datasets.common import (
    RowUnusable,
    SetPairs,
    Skips,
    metadata_of,
    number_of,
    text_of,
)
from arrkit.backends.datasets.source import find_files
from arrkit.backends.spec import Spec
from arrkit.data.files import matching
from arrkit.data.pairs import Label, Picture, PreferencePair, Task
from arrkit.data.tables import Table
from arrkit.errors import InputError, Problem

V1 = "yuvalkirstain/pickapic_v1"
V1_MIRRORS = ("pickapic-anonymous/pickapic_v1",)

_IMAGES = ("jpg_0", "jpg_1")
_METADATA = ("model_0", "model_1", "are_different", "num_example_per_prompt")
_OPTIONAL = ("label_0", "label_1", "has_label", *_METADATA)


def make(spec: Spec, *, data: str, revision: str, stream: bool, version: str, repo: str) -> SetPairs:
    """The split that ``spec`` names. Raises ``InputError`` where its files are not to be had."""
    record = plugins.pickapic
    if version == "v1":
        record = replace(record, hub=V1, mirrors=V1_MIRRORS, size="")
    if repo:
        record = replace(record, hub=repo, mirrors=(), removed=False, size="")
    pattern = f"*{spec.model}*.parquet"
    files = find_files(record, spec, (pattern,), data=data, revision=revision, stream=stream)
    paths = [path for path in matching(files, pattern) if _is_of(path, spec.model)]
    if not paths:
        raise InputError(
            Problem(f"{files.name} has no files of the split {spec.model}", f"dataset {spec.name}")
        )
    reader = _Reader(spec, Table(files, paths), version)
    return SetPairs(spec, Task.T2I, files, reader.read, reader.size)


def _is_of(path: str, split: str) -> bool:
    """Whether a file is of a split: ``data/test-00000-of-00001-0123.parquet``, ``test/0000.parquet``."""
    pure = PurePosixPath(path)
    return pure.stem == split or pure.name.startswith(f"{split}-") or pure.parent.name == split


class _Reader:
    def __init__(self, spec: Spec, table: Table, version: str) -> None:
        self.stem = f"pickapic-{version}-{spec.model}"
        self.split = spec.model
        self.table = table
        self.labelled: int | None = None

    def size(self) -> int | None:
        """The number of rows with a label; None for the training split, where they are a million."""
        if self.split != "train" and self.labelled is None:
            columns = self.present("label_0", "label_1", "has_label")
            rows = (dict(zip(columns, values, strict=True)) for values in self.table.rows(*columns))
            self.labelled = sum(_label(row) is not None for row in rows)
        return self.labelled

    def present(self, *names: str) -> tuple[str, ...]:
        """Those of the columns that there are."""
        known = self.table.columns
        return tuple(name for name in names if name in known)

    def read(self, skips: Skips) -> Iterator[PreferencePair]:
        self.refuse_urls()
        columns = ("caption", *_IMAGES, *self.present(*_OPTIONAL))
        for number, values in enumerate(self.table.rows(*columns), start=1):
            row = dict(zip(columns, values, strict=True))
            if row.get("has_label") is False:
                skips.add(f"{self.split} row {number}", "has_label is false", fault=False)
                continue
            try:
                yield self.pair(row, number)
            except RowUnusable as error:
                skips.add(f"{self.split} row {number}", str(error))

    def refuse_urls(self) -> None:
        if self.present("jpg_0", "image_0_url") == ("image_0_url",):
            raise InputError(
                Problem(
                    "this file has URLs in place of images, and they are no longer valid",
                    self.table.paths[0],
                    "Take a repository without no_images in its name.",
                )
            )

    def pair(self, row: dict[str, object], number: int) -> PreferencePair:
        label = _label(row)
        if label is None:
            raise RowUnusable("its labels are not 1, 0 or 0.5, together 1")
        a, b = row["jpg_0"], row["jpg_1"]
        if not isinstance(a, Picture) or not isinstance(b, Picture):
            raise RowUnusable("it lacks an image")
        metadata = metadata_of(row, _METADATA)
        for old, new in (("model_0", "model_a"), ("model_1", "model_b")):
            if old in metadata:
                metadata[new] = metadata.pop(old)
        return PreferencePair(
            id=f"{self.stem}-{number}",
            task=Task.T2I,
            prompt=text_of(row, "caption"),
            a=a,
            b=b,
            label=label,
            metadata=metadata,
            origin=f"{self.split} row {number}",
        )


def _label(row: dict[str, object]) -> Label | None:
    """What people preferred, or None where the row does not say."""
    first, second = number_of(row.get("label_0")), number_of(row.get("label_1"))
    if first is None and second is not None:
        first = 1 - second
    if row.get("has_label") is False or (second is not None and first != 1 - second):
        return None
    return {1: Label.A, 0: Label.B, 0.5: Label.TIE}.get(first) if first is not None else None
