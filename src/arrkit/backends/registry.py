"""The one door through which judges, policies, datasets and benchmarks come in.

``make_judge("shapes?noise=0.3")`` reads the spec, finds the plug-in (:mod:`arrkit.backends.listing`), turns
its options into values, checks that what it needs is there, and only then imports and calls its factory.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from arrkit.backends.convert import convert_options
from arrkit.backends.listing import (
    KINDS,
    LIMIT,
    TRANSPORT,
    Group,
    Listing,
    Status,
    find_plugin,
    join,
    list_plugins,
    one_line,
)
from arrkit.backends.plugin import DatasetPlugin, JudgePlugin, Plugin
from arrkit.backends.spec import Spec
from arrkit.errors import ArrkitError, InputError, Problem, RunError, nearest

if TYPE_CHECKING:
    from arrkit.data.pairs import PairDataset
    from arrkit.judge.protocol import Judge
    from arrkit.judge.transport import Transport

__all__ = [
    "LIMIT",
    "Group",
    "Listing",
    "Status",
    "find_plugin",
    "list_plugins",
    "make_benchmark",
    "make_dataset",
    "make_judge",
    "make_policy",
]


def make_judge(spec: str | Spec) -> Judge | Transport:
    """The judge that ``spec`` names, or the transport to put one on. Raises ``ArrkitError`` with all that is
    wrong.
    """
    return cast("Judge | Transport", _make(Group.JUDGES, spec))


def make_dataset(spec: str | Spec) -> PairDataset:
    """The dataset that ``spec`` names. Raises ``ArrkitError`` with all that is wrong."""
    return cast("PairDataset", _make(Group.DATASETS, spec))


def make_policy(spec: str | Spec) -> object:
    """The policy that ``spec`` names. Raises ``ArrkitError`` with all that is wrong."""
    return _make(Group.POLICIES, spec)


def make_benchmark(spec: str | Spec) -> object:
    """The :class:`~arrkit.bench.model.Benchmark` that ``spec`` names. Raises ``ArrkitError`` with all that is
    wrong.
    """
    return _make(Group.BENCHMARKS, spec)


def _make(group: Group, text: str | Spec) -> object:
    spec = Spec.parse(text) if isinstance(text, str) else text
    listing = find_plugin(group, spec.name)
    where = f"{group.noun} {spec.name}"
    record = listing.record
    if record is None:
        raise InputError(Problem(_state(listing), where, listing.mend))
    spec, problems = _with_model(spec, record, where)
    options, unusable = convert_options(spec.options, record.parameters, where=where)
    problems += unusable
    keyless = listing.status is Status.MISSING_KEY and any(key in spec.options for key in record.keyless)
    if listing.status is not Status.READY and not keyless:
        problems.append(Problem(_state(listing), where, listing.mend))
    if problems:
        raise InputError(problems)
    factory = _load_factory(listing, record, where)
    try:
        made = factory(spec, **options)
    except ArrkitError:
        raise
    except Exception as error:
        raise RunError(Problem(f"{_source(listing)} failed: {one_line(error)}", where)) from error
    is_transport = isinstance(record, JudgePlugin) and record.transport
    needed = TRANSPORT if is_transport else KINDS[group].attributes
    if lacking := [name for name in needed if not hasattr(made, name)]:
        raise RunError(
            Problem(
                f"{_source(listing)} made a {type(made).__name__}, which has no {join(lacking, 'and no')}",
                where,
                f"Its authors can mend {record.factory}.",
            )
        )
    return made


def _state(listing: Listing) -> str:
    if listing.status is Status.BROKEN:
        return f"{_source(listing)} is broken: {listing.reason}"
    return listing.reason


def _source(listing: Listing) -> str:
    return f"the plug-in of {listing.distribution} {listing.version}"


def _with_model(spec: Spec, record: Plugin, where: str) -> tuple[Spec, list[Problem]]:
    """The spec with its model (or split) filled in, and what is wrong with the one that was given."""
    splits = record.splits if isinstance(record, DatasetPlugin) else ()
    if splits:
        if not spec.model:
            return replace(spec, model=splits[0]), []
        if spec.model not in splits:
            wrong = f'unknown split "{spec.model}"{nearest(spec.model, splits)}'
            if isinstance(record, DatasetPlugin):
                wrong = record.refused.get(spec.model, wrong)
            return spec, [Problem(wrong, where, f"Its splits are {', '.join(splits)}.")]
        return spec, []
    if spec.model:
        wrong = f'takes no model, but "{spec.model}" is given'
        return spec, ([Problem(wrong, where, f"Write {spec.name}.")] if record.model is None else [])
    if record.model == "":
        example = record.example or f"{spec.name}:MODEL"
        return spec, [Problem("the model is not named", where, f"Write it after a colon: {example}")]
    return replace(spec, model=record.model or ""), []


def _load_factory(listing: Listing, record: Plugin, where: str) -> Callable[..., object]:
    module, _, name = record.factory.partition(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:
        hint = f'pip install "{record.extra}"' if isinstance(error, ImportError) and record.extra else ""
        what = f"{_source(listing)} cannot be imported: {one_line(error)}"
        raise RunError(Problem(what, where, hint)) from error
    return cast("Callable[..., object]", factory)
