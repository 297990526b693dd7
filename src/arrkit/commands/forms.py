"""Which public set a file is of, told by the keys of its first row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from arrkit.backends.spec import Spec
from arrkit.commands.sources import dataset_record
from arrkit.data.readers import stream_rows
from arrkit.data.rows import Row
from arrkit.errors import InputError


@dataclass(frozen=True, slots=True)
class Form:
    """The rows of one of a set's files.

    ``keys`` stand in each row. ``split`` is the one that these rows are of; where it is empty the file's name
    says. With ``single`` the adapter takes the file itself in place of its folder.
    """

    dataset: str
    keys: frozenset[str]
    split: str = ""
    single: bool = False


def _form(dataset: str, keys: str, *, split: str = "", single: bool = False) -> Form:
    return Form(dataset, frozenset(keys.split()), split, single)


# The first that fits, so that a form stands before those whose keys it has as well.
FORMS = (
    _form("editreward-bench", "path_src paths_generated human_vote"),
    _form("editreward-data", "prompt path_src path1 path2", split="train", single=True),
    _form("hpdv3", "prompt path1 path2"),
    _form("hpdv3-plusplus", "prompt path1 path2"),
    _form("hpdv2", "prompt image_path rank", split="test"),
    _form("hpdv2", "prompt file_path human_preference", split="train"),
    _form("imagerewarddb", "prompt generations ranking"),
    _form("mmrb2", "chosen response_a response_b"),
)
_TABLES = (".parquet", ".arrow")
_ARCHIVES = (".zip", ".tar", ".tgz")


def recognised(path: Path) -> Spec | None:
    """The spec that reads the file as the set it is of; None for a file of pairs in the native format.

    One row is read.

    Raises:
        InputError: the file is of a set, but its name is none of the set's; or it is no text at all.
    """
    suffixes = {suffix.lower() for suffix in path.suffixes}
    if suffixes & {*_TABLES, *_ARCHIVES}:
        raise InputError(
            f"{path} is part of a dataset, and its name does not say of which",
            hint="Name the dataset and the folder: NAME --data DIR. arrkit data list shows the names.",
        )
    row = _first_row(path)
    if row is None:
        return None
    fitting = [form for form in FORMS if form.keys <= row.keys()]
    for form in fitting:
        spec = _spec(form, path)
        if spec is not None:
            return spec
    if fitting and not _is_native(row):
        name = fitting[0].dataset
        record = dataset_record(Spec(name))
        splits = " or ".join(f"{split}.json" for split in record.splits) if record is not None else ""
        raise InputError(
            f"{path} has the rows of {name}, whose files are called {splits}",
            hint=f"Give it the name of its split, or name the dataset: {name} --data {path.parent}",
        )
    return None


def _first_row(path: Path) -> Mapping[str, object] | None:
    """The first row of an array, or of the array that MMRB2's files have under ``pairs``."""
    for key in ("", "pairs"):
        with path.open("rb") as stream:
            row = next(stream_rows(stream, path.name, key=key), None)
        if isinstance(row, Row) and isinstance(row.value, dict):
            return row.value
    return None


def _spec(form: Form, path: Path) -> Spec | None:
    """The spec of a file of this form; None where its name is no split of the set."""
    record = dataset_record(Spec(form.dataset))
    if record is None:
        return None
    stem = path.name.partition(".")[0]
    splits = [form.split] if form.split else [split for split in record.splits if _names(stem, split)]
    if not splits or (form.split and not form.single and stem != form.split):
        return None
    data = path if form.single else path.parent
    return Spec(form.dataset, splits[0], {"data": str(data)})


def _names(stem: str, split: str) -> bool:
    return split in (stem, *stem.split("_")[-1:])


def _is_native(row: Mapping[str, object]) -> bool:
    return any(row.get(key) is not None for key in ("label", "label_rank", "label_score"))
