"""What an entry point holds: a plain record of what a plug-in can do, and where its factory is.

A plug-in's module is imported to list it, so it must be light: the record names the factory as
``"module:callable"``, and that module (which may need torch, a key or a GPU) is imported only when someone
uses the plug-in. There is one record type for each group:

===========================  =========================  =====================================
group                        record                     the factory returns
===========================  =========================  =====================================
``arrkit.judges``            :class:`JudgePlugin`       a :class:`~arrkit.judge.protocol.Judge`
``arrkit.policies``          :class:`PolicyPlugin`      a policy
``arrkit.datasets``          :class:`DatasetPlugin`     a :class:`~arrkit.data.pairs.PairDataset`
``arrkit.benchmarks``        :class:`BenchmarkPlugin`   a benchmark
===========================  =========================  =====================================

A factory is called as ``factory(spec, **options)``: the parsed :class:`~arrkit.backends.spec.Spec`, and one
keyword argument for each declared parameter, already of its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from arrkit.data.pairs import Task

Value = str | int | float | bool
"""What a ``?key=value`` option may be."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One ``?key=value`` option of a plug-in. Its type is the default's type; bounds are inclusive."""

    default: Value
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """What can be said of a plug-in without using it.

    ``modules`` are import names that must be present, ``extra`` the extra of arrkit (or the package) that
    brings them, such as ``arrkit[rpo]``. ``keys`` are environment variables of which one must be set, unless
    the spec has one of the options in ``keyless``.
    ``model`` says whether a spec must name a model: a default name, ``None`` for "no models", or ``""`` for
    "must be named". ``example`` is a whole spec, shown to someone who left the model out.
    """

    summary: str
    factory: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    extra: str = ""
    keys: tuple[str, ...] = ()
    keyless: tuple[str, ...] = ()
    model: str | None = None
    example: str = ""
    tasks: tuple[Task, ...] = (Task.T2I, Task.EDIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgePlugin(Plugin):
    """``remote`` says whether images leave this machine.

    With ``transport`` the factory returns a :class:`~arrkit.judge.transport.Transport` instead of a judge;
    arrkit puts its own judge on top, with its prompts, cache, limits and retries.
    """

    operations: tuple[str, ...] = ("compare", "score", "propose", "refine", "structure")
    remote: bool = False
    transport: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPlugin(Plugin):
    """A generative model that can be sampled and trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetPlugin(Plugin):
    """``splits`` are the values that a spec's model part may take; the first is the default.

    A public set says more: ``hub`` is its repository there, ``size`` what all of it takes on disk ("141 GB"),
    ``gated`` whether terms must be accepted, ``removed`` whether it is gone from the hub, and ``mirrors`` are
    other repositories with the same files. ``patterns`` are the files that ``arrkit data pull`` fetches
    (empty: all); ``{split}`` in them stands for the split. ``images`` is how the images are kept and
    ``convention`` how the label is, in one clause each, ``official`` the metric of the set's authors, and
    ``notes`` what its licence or its authors ask of whoever uses it. With ``benchmark_only`` no rubric is
    learned from it. ``refused`` are splits that the set has and arrkit does not read, each with the reason.
    """

    splits: tuple[str, ...] = ()
    license: str = ""
    embedded: bool = False
    hub: str = ""
    size: str = ""
    gated: bool = False
    removed: bool = False
    mirrors: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    images: str = ""
    convention: str = ""
    official: str = ""
    notes: str = ""
    benchmark_only: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkPlugin(Plugin):
    """``judged`` says whether scoring asks a judge.

    ``items`` prompts with ``images`` images in all are what it paints by default, 0 where that depends.
    ``license`` is that of its prompts, ``source`` where they are published, ``size`` what they take on disk.
    With ``prompts_in_answers`` its result files name their prompts, so that one may stand for the ``data``.
    """

    judged: bool = False
    prompts_in_answers: bool = False
    items: int = 0
    images: int = 0
    license: str = ""
    source: str = ""
    size: str = ""
