"""Which plug-ins are installed, and whether each can be used.

Plug-ins are found by their entry points, those that ship with arrkit in the same way as anyone else's.
Finding one reads installed metadata only; its record is imported when it is listed or used, and its factory's
module when it is used. Nothing that a plug-in does while it is imported can break the listing of the others.

Two rules decide who counts:

- ``ARRKIT_PLUGINS``, a comma-separated list of plug-in names or distributions, limits which plug-ins of
  *other* distributions are loaded. Unset means all, empty means none. arrkit's own are always there.
- A name means one thing. Where arrkit and another distribution use one name in one group, arrkit's plug-in
  has it; where two other distributions do, neither has it until one is removed or ``ARRKIT_PLUGINS`` names
  the distribution that is meant. Both cases are listed as broken, with the reason.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points

from arrkit.backends.plugin import (
    BenchmarkPlugin,
    DatasetPlugin,
    JudgePlugin,
    Plugin,
    PolicyPlugin,
)
from arrkit.canonical import Json
from arrkit.errors import InputError, nearest

LIMIT = "ARRKIT_PLUGINS"
"""The environment variable that says which plug-ins of other distributions are loaded."""

_OWN = "arrkit"


class Group(StrEnum):
    """The entry-point groups."""

    JUDGES = "arrkit.judges"
    POLICIES = "arrkit.policies"
    DATASETS = "arrkit.datasets"
    BENCHMARKS = "arrkit.benchmarks"

    @property
    def noun(self) -> str:
        """What one member is called: judge, policy, dataset or benchmark."""
        return KINDS[self].noun


class Status(StrEnum):
    """Whether a plug-in can be used now."""

    READY = "ready"
    MISSING_EXTRA = "missing extra"
    MISSING_KEY = "missing key"
    BROKEN = "broken"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a group's members are called, hold, and must be able to do."""

    noun: str
    record: type[Plugin]
    attributes: tuple[str, ...] = ()


TRANSPORT = ("name", "endpoint", "model", "profile", "generate", "decide", "submit", "collect", "aclose")
"""What a judge plug-in that is a transport must be able to do."""

POLICY = (
    *("name", "task", "targets", "suggested", "prompts", "skeleton", "load", "unload", "encode", "noise"),
    *("grid", "collate", "velocity", "decode", "save", "restore"),
)
"""What a policy must be able to do, less what reads its model when it is asked for: identity, transformer."""

BENCHMARK = ("name", "metric", "items", "lay_out", "scorer", "tallies", "aggregate", "read_answers")
"""What a benchmark must be able to do, less what may read its prompts when it is asked for: identity."""

KINDS = {
    Group.JUDGES: Kind(
        "judge", JudgePlugin, ("name", "compare", "score", "propose", "refine", "structure", "aclose")
    ),
    Group.POLICIES: Kind("policy", PolicyPlugin, POLICY),
    Group.DATASETS: Kind("dataset", DatasetPlugin, ("name", "task", "__iter__", "size")),
    Group.BENCHMARKS: Kind("benchmark", BenchmarkPlugin, BENCHMARK),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """One installed plug-in and whether it can be used.

    ``reason`` says why it cannot and ``mend`` what to do about it; both are empty where ``status`` is ready.
    ``record`` is None where it could not be read or was not looked at (broken, off).
    """

    group: Group
    name: str
    distribution: str
    version: str
    status: Status
    reason: str = ""
    mend: str = ""
    record: Plugin | None = None

    def to_json(self) -> dict[str, Json]:
        """The listing as plain JSON values, with what its record says."""
        record = self.record
        return {
            "group": self.group,
            "name": self.name,
            "distribution": self.distribution,
            "version": self.version,
            "status": self.status,
            "reason": self.reason,
            "mend": self.mend,
            "summary": record.summary if record else "",
            "model": record.model if record else None,
            "example": record.example if record else "",
            "tasks": list(record.tasks) if record else [],
            "parameters": {
                key: {
                    "default": parameter.default,
                    "help": parameter.help,
                    "low": parameter.low,
                    "high": parameter.high,
                    "choices": list(parameter.choices),
                }
                for key, parameter in (record.parameters if record else {}).items()
            },
        }


def list_plugins(group: Group | None = None) -> tuple[Listing, ...]:
    """Every installed plug-in, by group and name, with its status. Imports the records, no factory."""
    listings: list[Listing] = []
    for each in [group] if group else Group:
        entries = _entries(each)
        listings += [_listing(each, entry, entries) for entry in entries]
    return tuple(listings)


def find_plugin(group: Group, name: str) -> Listing:
    """The one plug-in that has ``name``, whatever its status; unknown names raise ``InputError``."""
    entries = _entries(group)
    named = [entry for entry in entries if entry.name == name]
    if not named:
        raise _unknown(group, name, entries)
    listings = [_listing(group, entry, entries) for entry in named]
    # Of several, the first that is neither off nor beaten; else the first that says why.
    order = [Status.READY, Status.MISSING_EXTRA, Status.MISSING_KEY, Status.BROKEN, Status.OFF]
    return min(listings, key=lambda listing: (order.index(listing.status), listing.distribution != _OWN))


def _entries(group: Group) -> list[EntryPoint]:
    return sorted(entry_points(group=group), key=lambda entry: (entry.name, _distribution(entry)))


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else ""


def _normal(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_own(entry: EntryPoint) -> bool:
    return _normal(_distribution(entry)) == _OWN


def _is_on(entry: EntryPoint) -> bool:
    limit = os.environ.get(LIMIT)
    if limit is None or _is_own(entry):
        return True
    allowed = {word.strip() for word in limit.split(",")} - {""}
    return entry.name in allowed or _normal(_distribution(entry)) in {_normal(word) for word in allowed}


def _rivals(entry: EntryPoint, entries: Sequence[EntryPoint]) -> list[EntryPoint]:
    """The plug-ins of one group that take this one's name from it."""
    if _is_own(entry) or not _is_on(entry):
        return []
    same = [other for other in entries if other.name == entry.name and other is not entry and _is_on(other)]
    return [other for other in same if _is_own(other)] or same


def _listing(group: Group, entry: EntryPoint, entries: Sequence[EntryPoint]) -> Listing:
    base = Listing(
        group, entry.name, _distribution(entry), entry.dist.version if entry.dist else "", Status.READY
    )
    if not _is_on(entry):
        return replace(
            base,
            status=Status.OFF,
            reason=f'{LIMIT}="{os.environ.get(LIMIT, "")}" leaves it out',
            mend=f"Add {entry.name} or {base.distribution} to {LIMIT}, or unset it.",
        )
    if rivals := _rivals(entry, entries):
        rival = rivals[0]
        return replace(base, status=Status.BROKEN, reason=_clash(entry, rival), mend=_settle(entry, rival))
    try:
        record = _load_record(group, entry)
    except _BrokenPlugin as error:
        remove = "" if _is_own(entry) else f" pip uninstall {base.distribution} removes it."
        mend = f'python -c "import {entry.module}" shows where.{remove}'
        return replace(base, status=Status.BROKEN, reason=str(error), mend=mend)
    base = replace(base, record=record)
    if missing := _missing_modules(record):
        return replace(
            base,
            status=Status.MISSING_EXTRA,
            reason=f"{join(missing, 'and')} {'is' if len(missing) == 1 else 'are'} not installed",
            mend=f'pip install "{record.extra}"' if record.extra else f"pip install {' '.join(missing)}",
        )
    if record.keys and not any(os.environ.get(key) for key in record.keys):
        keys = join(record.keys, "or")
        return replace(base, status=Status.MISSING_KEY, reason=f"{keys} is not set", mend=f"Set {keys}.")
    return base


class _BrokenPlugin(Exception):
    """Why a plug-in's record cannot be read."""


def _load_record(group: Group, entry: EntryPoint) -> Plugin:
    try:
        # A plug-in that prints while it is imported would spoil what --json writes to stdout.
        with contextlib.redirect_stdout(sys.stderr):
            record = entry.load()
    except (Exception, SystemExit) as error:
        raise _BrokenPlugin(one_line(error)) from error
    kind = KINDS[group]
    if not isinstance(record, kind.record):
        raise _BrokenPlugin(f"{entry.value} is of type {type(record).__name__}, not {kind.record.__name__}")
    module, _, name = record.factory.partition(":")
    if not module or not name:
        raise _BrokenPlugin(f'its factory "{record.factory}" is not written as "module:callable"')
    return record


def _clash(entry: EntryPoint, rival: EntryPoint) -> str:
    if _is_own(rival):
        return f'the name "{entry.name}" belongs to arrkit itself'
    return f'{_distribution(rival)} has a plug-in "{entry.name}" too'


def _settle(entry: EntryPoint, rival: EntryPoint) -> str:
    if _is_own(rival):
        return f"pip uninstall {_distribution(entry)}, or ask its authors for another name."
    return f"pip uninstall {_distribution(rival)}, or set {LIMIT}={_distribution(entry)}."


def _missing_modules(record: Plugin) -> list[str]:
    return [module for module in record.modules if not _is_present(module)]


def _is_present(module: str) -> bool:
    # find_spec imports the parents of a dotted name, so it is asked for the first of them alone.
    name, *below = module.split(".")
    try:
        spec = importlib.util.find_spec(name)
        for part in below:
            if spec is None or spec.submodule_search_locations is None:
                return False
            name = f"{name}.{part}"
            spec = PathFinder.find_spec(name, spec.submodule_search_locations)
    except (ImportError, ValueError):
        return False
    return spec is not None


def _unknown(group: Group, name: str, entries: Sequence[EntryPoint]) -> InputError:
    known = sorted({entry.name for entry in entries if _is_on(entry)})
    plural = group.removeprefix("arrkit.")
    hint = f"Installed {plural}: {', '.join(known)}." if known else f"No {plural} are installed."
    for other in Group:
        if other is not group and any(entry.name == name for entry in _entries(other)):
            hint = f'"{name}" is a {other.noun}. {hint}'
    return InputError(f'unknown {group.noun} "{name}"{nearest(name, known)}', hint=hint)


def one_line(error: BaseException) -> str:
    """The error's type and message as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def join(words: Iterable[str], last: str) -> str:
    """The words with commas between them, and ``last`` (and, or) before the last one."""
    *most, end = words
    return f"{', '.join(most)} {last} {end}" if most else end
