"""Public prompt sets by name, and the file of prompts in a folder that is laid out as one of them.

A set is read from the hub's cache on this machine, as ``hf download`` leaves it, or
from wherever its files are: their folder or the file itself may be named in its place. Nothing is fetched.

Unverified: the licence of ShareGPT-4o-Image, and how its archives and the images in them are called; they are
named here as several public readers of it expect them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from arrkit.data.pairs import Task
from arrkit.errors import InputError, nearest


@dataclass(frozen=True, slots=True)
class PromptSet:
    """Prompts that others collected, for one task.

    ``file`` holds them, under that path in the repository ``hub``; ``patterns`` are all files that are
    needed, images among them. Where ``hub`` is empty, ``url`` is where to get the file.
    """

    name: str
    task: Task
    file: str
    prompts: int
    hub: str = ""
    patterns: tuple[str, ...] = ()
    url: str = ""
    license: str = ""


SETS = (
    PromptSet(
        "sharegpt-4o-image",
        Task.T2I,
        "text_to_image.json",
        45_717,
        hub="FreedomIntelligence/ShareGPT-4o-Image",
        patterns=("text_to_image.json",),
        license="the licence of its card",
    ),
    PromptSet(
        "sharegpt-4o-image",
        Task.EDIT,
        "text_and_image_to_image.json",
        46_539,
        hub="FreedomIntelligence/ShareGPT-4o-Image",
        patterns=("text_and_image_to_image.json", "text_and_image_to_image_part_*.tar"),
        license="the licence of its card",
    ),
    PromptSet(
        "unigenbench",
        Task.T2I,
        "train_prompt.txt",
        9_999,
        url="https://github.com/CodeGoat24/UniGenBench (data/train_prompt.txt)",
        license="CC BY 4.0",
    ),
)


@dataclass(frozen=True, slots=True)
class PromptFile:
    """A file of prompts, and what it is called in messages and in the prompts' origins."""

    path: Path
    name: str


def find_prompts(given: str | Path, task: Task) -> PromptFile:
    """The file that was named: itself, in its folder, or by its set (``NAME`` or ``NAME:TASK``).

    Raises :class:`~arrkit.errors.InputError` where there is none for the task.
    """
    path = Path(given).expanduser()
    if path.is_file():
        return PromptFile(path, str(given))
    if path.is_dir():
        for each in SETS:
            if each.task is task and (path / each.file).is_file():
                return PromptFile(path / each.file, str(Path(given) / each.file))
        raise InputError(
            f"{given} is a folder, not a file of prompts",
            hint=f"Name the file in it. ({_files(task)} would be found in the folder of a public set.)",
        )
    name, mark, asked = str(given).partition(":")
    known = [each for each in SETS if each.name == name]
    if not known:
        raise InputError(f"{given} does not exist or is not a file{_set_meant(name)}")
    tasks = [each.task for each in known]
    if mark and asked != task:
        there = f"{name} has none of that name: {' and '.join(f'{name}:{each}' for each in tasks)}"
        what = f"{given} is a set for {asked}, and the policy's task is {task}" if asked in tasks else there
        raise InputError(what, hint="Name a policy for that task, or another set of prompts.")
    for each in known:
        if each.task is task:
            return _in_cache(each)
    raise InputError(f"{name} is a set for {' and '.join(tasks)}, and the policy's task is {task}")


def _in_cache(wanted: PromptSet) -> PromptFile:
    folder = "or name its file or folder: --prompts PATH"
    size = f"{wanted.prompts:,} prompts, {wanted.license}"
    if not wanted.hub:
        raise InputError(
            f"{wanted.name} ({size}) is not on the hub, so that its file must be named",
            hint=f"Get it from {wanted.url}, then: --prompts {Path(wanted.file).name}",
        )
    from arrkit.data.hub import HubError, Trouble, cache_folder, cached_commit

    files = " and ".join(wanted.patterns)
    try:
        cache = cache_folder(wanted.hub)
    except HubError as error:
        raise InputError(f"{error} ({size})", hint=f'pip install "arrkit[data]", {folder}') from None
    commit = cached_commit(cache)
    path = cache / "snapshots" / str(commit) / wanted.file
    if commit is None or not path.is_file():
        raise InputError(
            f"{wanted.hub} {Trouble.NOT_CACHED} ({size}; {files})",
            hint=f"{_fetch(wanted)}, {folder}",
        )
    return PromptFile(path, f"{wanted.name}:{wanted.task}@{commit[:12]}")


def _fetch(wanted: PromptSet) -> str:
    return f"arrkit data pull {wanted.name}:{wanted.task}"


def _set_meant(name: str) -> str:
    return nearest(name, {each.name for each in SETS})


def _files(task: Task) -> str:
    return " or ".join(each.file for each in SETS if each.task is task)
