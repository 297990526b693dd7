"""EditReward-Data of TIGER-Lab: over 200,000 pairs of edits with their ratings, for training.

In two forms:

- parquet, as on the hub. Unverified: the names of its columns; those of a published excerpt
  (``AgPerry/EditReward-Data-100``) are expected, ``instruction``, ``source_image``, ``left_image``,
  ``right_image`` and ``vote_type`` (``leftvote``, ``rightvote``, ``tie``), or those of the trainer's form
  with images in place of paths. Where neither fits, the columns are named, and nothing is guessed.
- JSON arrays, as the authors' trainer and ``data/dataset/valid_dataset_1.json`` of its repository have it:
  ``prompt``, ``path_src``, ``path1``, ``path2``. ``path1`` is always the preferred edit, so the label is A
  and its order must not be shown as it is; but a row with ``tie_case`` is a tie, whose order says nothing.
  ``?images=DIR`` is what the paths start from, by default the folder itself.

The ratings are metadata and never the label: the overall scores of ``valid_dataset_1.json`` agree with the
preference in 250 of 503 rows. ``following`` is the first rated dimension (does it do as told), ``quality``
the second, each from 1 to 4, and ``overall`` in most files their sum.

Sources: TIGER-AI-Lab/EditReward, EditReward/TRAIN_README.md, EditReward/dataset/pairwise_edit_dataset.py,
data/dataset/valid_dataset_1.json. Unverified: the licence of the hub's files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from arrkit.backends.datasets.common import (
    Images,
    RowUnusable,
    SetPairs,
    Skips,
    number_of,
    pairs_in,
    text_of,
    unknown_size,
)
from arrkit.backends.datasets.edit_forms import DATA, picture_of, refuse_others, renamed, rows_of, unplaced
from arrkit.backends.datasets.plugins import editreward_data
from arrkit.backends.datasets.source import find_files
from arrkit.backends.spec import Spec
from arrkit.data.files import Files, LocalFiles, matching
from arrkit.data.pairs import Label, Picture, PreferencePair, Task
from arrkit.data.tables import Table
from arrkit.errors import InputError, Problem

VOTED = ("instruction", "source_image", "left_image", "right_image", "vote_type")
PLACED = ("prompt", "path_src", "path1", "path2")
VOTES = {
    "leftvote": Label.A,
    "left": Label.A,
    "rightvote": Label.B,
    "right": Label.B,
    "tie": Label.TIE,
    "tievote": Label.TIE,
    "bothbad_vote": Label.BOTH_BAD,
}
MEANINGS = {
    "category": "category",
    "model1": "model_a",
    "model2": "model_b",
    "left_model": "model_a",
    "right_model": "model_b",
} | {
    f"{theirs}_{name}": f"{meaning}_{ours}"
    for theirs, ours in (("model1", "a"), ("left", "a"), ("model2", "b"), ("right", "b"))
    for name, meaning in (
        ("dim1_score", "following"),
        ("instruction_following_score", "following"),
        ("dim2_score", "quality"),
        ("quality_aesthetic_score", "quality"),
        ("overall_score", "overall"),
    )
}
_MORE = ("tie_case", "confidence", *MEANINGS)


def make(
    spec: Spec, *, data: str = "", revision: str = "", stream: bool = False, images: str = ""
) -> SetPairs:
    """All pairs; ``data`` may also be one JSON file. Raises ``InputError`` where there are none to be had."""
    if data and Path(data).expanduser().is_file():
        file = Path(data).expanduser()
        return _of_json(spec, LocalFiles(file.parent), [file.name], images)
    needs = [("*.parquet", "*.json", "*.jsonl")]
    files = find_files(editreward_data, spec, needs, data=data, revision=revision, stream=stream)
    if not (tables := matching(files, "*.parquet")):
        refuse_others(files, set(), DATA, spec)
        return _of_json(spec, files, _arrays(files), images)
    table = Table(files, tables)
    columns = set(table.columns)
    if not columns.issuperset(VOTED) and not columns.issuperset(PLACED):
        refuse_others(files, columns, DATA, spec)
        known = f"{', '.join(VOTED)} nor {', '.join(PLACED)}"
        raise InputError(
            Problem(
                f"{files.name}/{tables[0]} has neither the columns {known}",
                f"dataset {spec.name}",
                f"Its columns: {', '.join(table.columns)}.",
            )
        )
    return SetPairs(
        spec, Task.EDIT, files, partial(_read_table, table, Images(files, "", images)), table.size
    )


def _arrays(files: Files) -> list[str]:
    """The split for training where there is one by that name, else all there are."""
    found = [*matching(files, "*.json"), *matching(files, "*.jsonl")]
    return [path for path in found if path.rpartition("/")[2] in ("train.json", "train.jsonl")] or found


def _of_json(spec: Spec, files: Files, paths: Sequence[str], images: str) -> SetPairs:
    shelf = Images(files, "", images)

    def read(skips: Skips) -> Iterator[PreferencePair]:
        for path in paths:
            stem = path.rpartition("/")[2].partition(".")[0]
            yield from pairs_in(files, path, skips, partial(_row, stem, shelf))

    return SetPairs(spec, Task.EDIT, files, read, unknown_size)


def _read_table(table: Table, images: Images, skips: Skips) -> Iterator[PreferencePair]:
    for number, origin, row in rows_of(table, (*VOTED, *PLACED, *_MORE)):
        try:
            yield from _row("row", images, row, number, origin)
        except RowUnusable as error:
            skips.add(origin, str(error))


def _row(
    stem: str, images: Images, row: Mapping[str, object], number: int, origin: str
) -> Iterator[PreferencePair]:
    voted = "vote_type" in row
    if voted:
        prompt, label = text_of(row, "instruction"), _vote(row)
        a, b, source = (_picture(row, key, images) for key in ("left_image", "right_image", "source_image"))
    else:
        prompt, label = text_of(row, "prompt"), _place(row)
        a, b, source = (_picture(row, key, images) for key in ("path1", "path2", "path_src"))
        if isinstance(row["path1"], str) and row["path1"] == row["path2"]:
            raise RowUnusable("both candidates are the same image")
    yield PreferencePair(
        id=f"{stem}-{number}",
        task=Task.EDIT,
        prompt=prompt,
        a=a,
        b=b,
        label=label,
        sources=(source,),
        metadata=renamed(row, MEANINGS),
        origin=origin,
        confidence=_share(row.get("confidence")),
    )


def _vote(row: Mapping[str, object]) -> Label:
    label = VOTES.get(text_of(row, "vote_type").strip().lower())
    if label is None:
        raise RowUnusable(f"vote_type is none of {', '.join(VOTES)}")
    return label


def _place(row: Mapping[str, object]) -> Label:
    tied = row.get("tie_case")
    if tied is not None and not isinstance(tied, bool):
        raise RowUnusable("tie_case is neither true nor false")
    return Label.TIE if tied else Label.A


def _picture(row: Mapping[str, object], key: str, images: Images) -> Picture:
    value = row.get(key)
    return images.picture(value) if isinstance(value, str) and value else unplaced(picture_of(row, key))


def _share(value: object) -> float | None:
    number = number_of(value)
    return number if number is not None and 0 <= number <= 1 else None
