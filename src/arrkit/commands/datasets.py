"""``data list``, ``data info`` and ``data pull``: which datasets there are, and their files."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from arrkit.backends.listing import Group, Listing, Status, find_plugin, list_plugins
from arrkit.backends.plugin import DatasetPlugin
from arrkit.backends.spec import Spec
from arrkit.commands.options import InfoOptions, PullOptions
from arrkit.data.files import any_matching
from arrkit.data.hub import HubError, HubFiles, Trouble, cache_folder, pull
from arrkit.data.pairs import Task
from arrkit.data.prompt_sets import SETS
from arrkit.errors import InputError, Problem, RunError, nearest
from arrkit.progress import Progress, Watch, unwatched

_ROLE = re.compile(r":\w+:`~?([^`]*)`")  # a cross-reference of a docstring


class Place(StrEnum):
    """Where a dataset's files stand."""

    HERE = "here"
    """Nothing is to be fetched: it is made by arrkit, or its plug-in knows."""
    CACHED = "in cache"
    PARTLY = "partly in cache"
    TO_PULL = "to be pulled"
    GATED = "gated"
    """To be pulled by whoever has accepted its terms."""
    REMOVED = "removed"
    """Gone from the hub, and no mirror is known."""
    UNUSABLE = "unusable"
    """Its plug-in is broken or lacks something; ``reason`` says what."""


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What is known of a dataset without reading it.

    ``cached`` are the splits whose files are all in the hub's cache, at ``revision``. ``read`` is how its
    files are read, in its adapter's words; ``commands`` are command lines to copy.
    """

    name: str
    summary: str
    tasks: tuple[Task, ...]
    splits: tuple[str, ...]
    place: Place
    size: str
    license: str
    notes: str
    convention: str
    official: str
    images: str
    hub: str
    mirrors: tuple[str, ...]
    benchmark_only: bool
    refused: Mapping[str, str]
    cached: tuple[str, ...] = ()
    revision: str = ""
    reason: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    read: str = ""
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pulled:
    """What ``data pull`` has fetched: the repository, its commit, and where the files are on this machine."""

    name: str
    repo: str
    revision: str
    folder: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What a pull will fetch, for a person to read before it begins: from where, how much, on what terms."""

    name: str
    repos: tuple[str, ...]
    revision: str
    patterns: tuple[str, ...]
    size: str
    license: str
    notes: str = ""
    gated: bool = False

    @property
    def sentence(self) -> str:
        """``hpdv3:test from MizzenAI/HPDv3 (141 GB in all): test.json, images.tar.gz*. MIT.``"""
        size = f"{self.size} in all" if self.size else "its size is not known"
        what = ", ".join(self.patterns) or "all files"
        terms = " ".join(f"{each.rstrip('.')}." for each in (self.license, self.notes) if each)
        return f"{self.name} from {self.repos[0]} ({size}): {what}. {terms}"


def list_datasets() -> tuple[DatasetInfo, ...]:
    """Every installed dataset, by name."""
    return tuple(_info(listing) for listing in list_plugins(Group.DATASETS))


def describe_dataset(options: InfoOptions) -> DatasetInfo:
    """All that is known of a dataset, with commands for the split that is named, by default the first.

    Raises ``InputError`` for an unknown one.
    """
    spec = Spec.parse(options.name)
    if prompts := [each for each in SETS if each.name == spec.name]:
        first = f"{spec.name}:{prompts[0].task}" if len(prompts) > 1 else spec.name
        raise InputError(
            f"{spec.name} is a set of prompts for arrkit rpo, not of pairs",
            hint=f"arrkit data pull {first} fetches it, --prompts {first} trains on it."
            if prompts[0].hub
            else f"Get it from {prompts[0].url} and name the file: --prompts {prompts[0].file}",
        )
    listing = find_plugin(Group.DATASETS, spec.name)
    record = listing.record
    info = _info(listing)
    if not isinstance(record, DatasetPlugin):
        return info
    _refuse_split(record, spec)
    return replace(
        info,
        parameters={key: each.help for key, each in record.parameters.items()},
        read=_docstring(record.factory.partition(":")[0]),
        commands=_commands(info, record, spec.model or next(iter(info.splits), "")),
    )


def plan_pull(options: PullOptions) -> PullPlan:
    """What :func:`pull_dataset` will fetch. Nothing is asked over the network.

    Raises:
        InputError: no such dataset, or there is nothing to fetch.
    """
    spec = Spec.parse(options.name)
    sets = [each for each in SETS if each.name == spec.name and spec.model in ("", each.task)]
    if sets:
        if not sets[0].hub:
            raise InputError(f"{spec.name} is not on the hub", hint=f"Get it from {sets[0].url}")
        patterns = dict.fromkeys(pattern for each in sets for pattern in each.patterns)
        return PullPlan(options.name, (sets[0].hub,), options.revision, tuple(patterns), "", sets[0].license)
    listing = find_plugin(Group.DATASETS, spec.name)
    record = listing.record
    if not isinstance(record, DatasetPlugin):
        raise InputError(Problem(listing.reason, f"dataset {spec.name}", listing.mend))
    _refuse_split(record, spec)
    if other := next((key for key in spec.options if key != "repo"), ""):
        hint = f"To fetch another repository, name it: {spec.name}?repo=OWNER/NAME"
        raise InputError(Problem(f"{other} says nothing of what to fetch", f"dataset {spec.name}", hint))
    repo = spec.options.get("repo", "")
    if not record.hub and not repo:
        what = "is made on this machine" if record.embedded else "is not on the hub"
        raise InputError(f"{spec.name} {what}: there is nothing to pull")
    repos = (repo,) if repo else _repos(record)
    if not repos:
        raise InputError(
            f"{record.hub} was removed from the hub, and no mirror is known",
            hint=f"Who has its files names their folder: --dataset {spec.name} --data DIR",
        )
    return PullPlan(
        options.name,
        repos,
        options.revision,
        _patterns(record, spec.model),
        record.size,
        record.license,
        record.notes,
        record.gated,
    )


def _refuse_split(record: DatasetPlugin, spec: Spec) -> None:
    if spec.model and spec.model not in record.splits:
        wrong = record.refused.get(
            spec.model, f'unknown split "{spec.model}"{nearest(spec.model, record.splits)}'
        )
        raise InputError(
            Problem(wrong, f"dataset {spec.name}", f"Its splits are {', '.join(record.splits)}.")
        )


def pull_dataset(options: PullOptions, *, watch: Watch = unwatched) -> Pulled:
    """Fetch the files of a dataset to the hub's cache; what is there already is not fetched again.

    Raises:
        InputError: there is no such dataset or revision, or its terms must be accepted first.
        RunError: the hub cannot be reached or a file does not arrive; the same command goes on from there.
    """
    plan = plan_pull(options)
    for number, repo in enumerate(plan.repos, start=1):
        try:
            files = pull(repo, plan.revision, plan.patterns, watch=_in_megabytes(watch))
        except HubError as error:
            if number == len(plan.repos):
                raise _refusal(plan, repo, error) from error
        else:
            return _pulled(plan, files)
    raise AssertionError("a plan names a repository")


def _in_megabytes(watch: Watch) -> Watch:
    def tell(progress: Progress) -> None:
        total = None if progress.total is None else progress.total // 10**6
        watch(Progress("fetching, in MB", progress.done // 10**6, total))

    return tell


def _pulled(plan: PullPlan, files: HubFiles) -> Pulled:
    folder = cache_folder(files.name) / "snapshots" / files.revision
    names = files.names()
    size = sum((folder / name).stat().st_size for name in names)
    return Pulled(plan.name, files.name, files.revision, str(folder), len(names), size)


def _refusal(plan: PullPlan, repo: str, error: HubError) -> InputError | RunError:
    where = f"dataset {plan.name}"
    if error.trouble is Trouble.NO_LIBRARY:
        return InputError(Problem(str(error), where, 'pip install "arrkit[data]"'))
    if error.trouble is Trouble.GATED:
        page = f"https://huggingface.co/datasets/{repo}"
        hint = f"Accept its terms at {page}, set HF_TOKEN, then run the same command again."
        return InputError(Problem(str(error), where, hint))
    if error.trouble is Trouble.OFFLINE:
        return InputError(Problem(str(error), where, "Unset HF_HUB_OFFLINE to fetch it."))
    if error.trouble in (Trouble.NOT_FOUND, Trouble.NO_REVISION):
        hint = "Name another --revision." if error.trouble is Trouble.NO_REVISION else ""
        return InputError(Problem(str(error), where, hint))
    return RunError(Problem(str(error), where, "Run the same command again to go on from there."))


def _info(listing: Listing) -> DatasetInfo:
    record = listing.record
    if not isinstance(record, DatasetPlugin):
        record = DatasetPlugin(summary="", factory="")
    place, cached, revision = _place(listing, record)
    return DatasetInfo(
        name=listing.name,
        summary=record.summary,
        tasks=record.tasks,
        splits=record.splits,
        place=place,
        size=record.size,
        license=record.license,
        notes=record.notes,
        convention=record.convention,
        official=record.official,
        images=record.images,
        hub=record.hub,
        mirrors=record.mirrors,
        benchmark_only=record.benchmark_only,
        refused=record.refused,
        cached=cached,
        revision=revision,
        reason=f"{listing.reason}. {listing.mend}" if listing.reason else "",
    )


def _place(listing: Listing, record: DatasetPlugin) -> tuple[Place, tuple[str, ...], str]:
    """Where a dataset is, which splits are in the cache, and their commit."""
    if listing.status in (Status.BROKEN, Status.OFF):
        return Place.UNUSABLE, (), ""
    if not record.hub:
        return Place.HERE, (), ""
    for repo in (record.hub, *record.mirrors):
        try:
            files = HubFiles(repo)
        except HubError:
            continue
        splits = record.splits or ("",)
        there = tuple(
            split
            for split in splits
            if all(any_matching(files, pattern) for pattern in _patterns(record, split) or ("*",))
        )
        if there:
            place = Place.CACHED if len(there) == len(splits) else Place.PARTLY
            return place, there, files.revision
    if not _repos(record):
        return Place.REMOVED, (), ""
    return Place.GATED if record.gated else Place.TO_PULL, (), ""


def _repos(record: DatasetPlugin) -> tuple[str, ...]:
    """The repositories that may have the files, the authors' own first."""
    return record.mirrors if record.removed else (record.hub, *record.mirrors)


def _patterns(record: DatasetPlugin, split: str) -> tuple[str, ...]:
    """The files of a split, or of all splits where none is named."""
    splits = (split,) if split else record.splits
    named = dict.fromkeys(
        pattern.replace("{split}", each) for pattern in record.patterns for each in splits or ("",)
    )
    return tuple(named)


def _commands(info: DatasetInfo, record: DatasetPlugin, split: str) -> tuple[str, ...]:
    name = f"{info.name}:{split}" if split else info.name
    lines = [f"arrkit data pull {name}"] if info.hub and _repos(record) else []
    lines += [f"arrkit data check {name} --sample 100 --open"]
    if "data" in record.parameters:
        lines += [f"arrkit data check {name} --data DIR --sample 100 --open"]
    metric = " --metric official --metric strict-pair" if info.official else ""
    lines += [
        f"arrkit judge eval --dataset {name} --judge gemini:gemini-3.1-pro --sample 200{metric}",
        f"arrkit judge bias --dataset {name} --judge vllm:Qwen/Qwen3-VL-8B-Instruct --sample 200",
    ]
    if not info.benchmark_only:
        train = f"{info.name}:train" if "train" in info.splits else name
        lines += [f"arrkit rubric build --dataset {train} --limit 200 --seeds diverse"]
    lines += [f"arrkit data convert {name} pairs --limit 100"]
    return tuple(lines)


def _docstring(module: str) -> str:
    """The docstring of a module, which is not imported for it; empty where it has none."""
    try:
        found = importlib.util.find_spec(module)
        text = Path(found.origin).read_text(encoding="utf-8") if found and found.origin else ""
        said = ast.get_docstring(ast.parse(text)) or ""
    except (ImportError, OSError, SyntaxError, ValueError):
        return ""
    return _ROLE.sub(r"\1", said).replace("``", "")
