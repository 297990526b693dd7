"""From the options that name pairs to the dataset they mean, and to the part of it that is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from arrkit.backends.listing import Group, find_plugin
from arrkit.backends.plugin import DatasetPlugin
from arrkit.backends.spec import Spec
from arrkit.commands.options import DataOptions, TakeOptions
from arrkit.data.filters import Selected, Selection, parse_where, unfiltered
from arrkit.data.native import NativePairs
from arrkit.data.pairs import PairDataset
from arrkit.errors import InputError, Problem, nearest


def selection(options: TakeOptions, *, limit: bool = True) -> Selection:
    """What the options take of a dataset; without ``limit`` the first steps only."""
    return Selection(
        options.where,
        options.min_confidence,
        options.sample,
        options.seed,
        options.limit if limit else None,
    )


def dataset_record(spec: Spec) -> DatasetPlugin | None:
    """What the plug-in of a dataset says of itself; None where it is broken or off."""
    record = find_plugin(Group.DATASETS, spec.name).record
    return record if isinstance(record, DatasetPlugin) else None


def named_spec(dataset: str, *, split: str = "", data: Path | None = None, usual: str = "") -> Spec:
    """The spec of a dataset with what ``--split`` and ``--data`` say.

    ``usual`` is the split to take where none is named and the dataset has it.

    Raises:
        InputError: no such dataset, or the spec and the options contradict each other.
    """
    spec = Spec.parse(dataset)
    record = dataset_record(spec)
    problems = []
    if split:
        if spec.model not in ("", split):
            what = f"--split is {split}, and --dataset names {spec.model}"
            problems.append(Problem(what, hint="Give one of them."))
        spec = replace(spec, model=split)
    elif not spec.model and record is not None and usual in record.splits:
        spec = replace(spec, model=usual)
    if data is not None:
        if record is not None and "data" not in record.parameters:
            what = f"{spec.name} has no files that could be in a folder"
            problems.append(Problem(what, "--data", "Leave --data out."))
        elif spec.options.get("data", str(data)) != str(data):
            what = f"--data is {data}, and --dataset names {spec.options['data']}"
            problems.append(Problem(what, hint="Give one of them."))
        spec = replace(spec, options={**spec.options, "data": str(data)})
    if problems:
        raise InputError(problems)
    return spec


def refuse_clashes(options: DataOptions) -> None:
    """Raise :class:`InputError` for options of which only one can be meant."""
    if options.pairs is None:
        alone = [flag for flag, value in _dataset_flags(options) if value and not options.dataset]
        if alone:
            raise InputError(f"{alone[0]} says nothing without --dataset", hint="Name the dataset as well.")
        return
    if options.dataset:
        raise InputError("--pairs and --dataset are both given", hint="Give one of them.")
    for flag, value in _dataset_flags(options):
        if value:
            raise InputError(f"{flag} is for a dataset, and --pairs names a file", hint=f"Leave {flag} out.")


def _dataset_flags(options: DataOptions) -> tuple[tuple[str, bool], ...]:
    return (("--data", options.data is not None), ("--split", bool(options.split)))


def check_fields(dataset: PairDataset, fields: Sequence[str], flag: str = "--by") -> None:
    """Raise :class:`InputError` for a metadata field that no pair has, before anything is judged.

    A file of pairs knows all its fields; of another dataset the first pair is looked at, so that only a slip
    of the pen is caught. ``flag`` is the option that names the fields.
    """
    if not fields:
        return
    dataset = unfiltered(dataset)
    certain = isinstance(dataset, NativePairs)
    first = None if isinstance(dataset, NativePairs) else next(iter(dataset), None)
    known = (
        dataset.check().metadata_keys if isinstance(dataset, NativePairs) else first.metadata if first else ()
    )
    problems = [
        Problem(
            f'no pair of {dataset.name} has the metadata field "{name}"{nearest(name, known)}',
            flag,
            f"Its fields: {', '.join(known)}." if known else "Its pairs have no metadata.",
        )
        for name in fields
        if name not in known and (certain or nearest(name, known))
    ]
    if problems:
        raise InputError(problems, closing="Nothing was sent to a judge.")


def take(dataset: PairDataset, chosen: Selection) -> PairDataset:
    """The pairs that a selection takes, its fields checked; the dataset itself where it takes all."""
    if chosen == Selection(seed=chosen.seed):
        return dataset
    check_fields(dataset, tuple(parse_where(chosen.where)), "--where")
    return Selected(dataset, chosen)
