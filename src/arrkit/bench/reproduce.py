"""The grids behind the tables of Auto-Rubric as Reward: what is run for each cell, from one TOML file.

A :class:`Plan` says it all: judges, datasets and rubrics, or policies and benchmarks, by the names that the
paper's rows and columns have. :func:`usual_plan` is the paper's, :func:`embedded_plan` the same grid in the
shapes world; :mod:`arrkit.bench.plan_file` writes it into a file and reads it again, edited or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from arrkit.bench.published import ARR, GEMINI, GPT, GUIDED, QWEN, Grid
from arrkit.canonical import Json
from arrkit.errors import InputError, nearest
from arrkit.options import Opt
from arrkit.serial import to_json

NONE, ZERO_SHOT, BUILD = "none", "zero-shot", "build"
"""What a rubric of a plan may be beside a file or a shipped name: none, criteria that the judge writes for
each prompt, one that the judge learns from pairs."""

EMBEDDED = "shapes"

SHORT = 20
"""Updates of a training in the embedded world: three of them and all that they paint take two minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproduceOptions:
    """Options of ``arrkit bench reproduce``."""

    grid: Annotated[
        str,
        Opt(
            "table of the paper: arr-table1, arr-bias, arr-transfer, arr-cardinality, arr-generation; or a "
            "file that --write-config wrote",
            argument=True,
            metavar="GRID|FILE",
        ),
    ]
    judge: Annotated[
        str, Opt("run with this judge alone; shapes: the grid in the embedded world", metavar="SPEC")
    ] = ""
    limit: Annotated[
        int | None, Opt("draw N pairs, or take the first N prompts, of each set", metavar="N", low=1)
    ] = None
    seed: Annotated[int, Opt("makes everything that is drawn repeatable", metavar="N")] = 0
    write_config: Annotated[
        Path | None,
        Opt("write what would be run as a file to be edited; run nothing", metavar="FILE", identity=False),
    ] = None
    dry_run: Annotated[bool, Opt("list what would be run; run nothing", identity=False)] = False
    out: Annotated[Path | None, Opt("run folder [runs/...]", metavar="DIR", identity=False)] = None
    force: Annotated[bool, Opt("use the run folder even if it holds another run", identity=False)] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A short run of RPO that makes a row's adapter; see the options of ``arrkit rpo train``."""

    judge: str = ""
    rubric: str = ""
    max_steps: int | None = None
    pairs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Painter:
    """A row of ``arr-generation``: a policy with an adapter, with one that is trained first, or with none."""

    policy: str
    lora: str = ""
    train: Training | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of ``arr-generation``: a benchmark and who judges it. ``scale`` brings its number into the
    paper's unit.
    """

    benchmark: str
    judge: str = ""
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The rows and columns of one table of ``arr-generation``."""

    policies: Mapping[str, Painter] = field(default_factory=dict)
    benchmarks: Mapping[str, Column] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """What the rubrics are learned from: a dataset for each task, and how many of its pairs."""

    t2i: str = ""
    edit: str = ""
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a grid runs.

    ``judges``, ``generators``, ``datasets`` and ``rubrics`` map what stands in the table to what is run;
    for ``rubrics`` that is what follows the judge's name, empty for the judge alone. ``criteria`` are how
    many each prompt gets: all of them in ``arr-cardinality``, elsewhere the first. ``max_cost`` is in
    dollars, for each run.
    """

    grid: Grid
    judges: Mapping[str, str] = field(default_factory=dict)
    generators: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[str, str] = field(default_factory=dict)
    rubrics: Mapping[str, str] = field(default_factory=dict)
    criteria: tuple[int, ...] = (5,)
    build: Learning = Learning()
    t2i: Models = Models()
    edit: Models = Models()
    limit: int | None = None
    seed: int = 0
    concurrency: int = 8
    max_cost: float | None = None

    @property
    def identity(self) -> Mapping[str, Json]:
        """All that decides the numbers."""
        values = to_json(self, defaults=True)
        assert isinstance(values, Mapping)
        return {name: value for name, value in values.items() if name not in ("concurrency", "max_cost")}


_JUDGES = {QWEN: "vllm:Qwen/Qwen3-VL-8B-Instruct", GPT: "openai:gpt-5", GEMINI: "gemini:gemini-3.1-pro"}
_HPDV3 = {"HPDv3": "hpdv3:test"}
_LEARNED = Learning(t2i="hpdv3:train", edit="editreward-data:train")
_MODES = {"": NONE, ARR: ZERO_SHOT}
_FLUX, _QWEN_EDIT = "flux:black-forest-labs/FLUX.1-dev", "qwen-edit:Qwen/Qwen-Image-Edit-2509"


def _trained(policy: str, folder: str) -> dict[str, Painter]:
    return {
        f"RPO-{name}-ARR": Painter(policy=policy, lora=f"{folder}-{short}")
        for name, short in (("Qwen3vl-8B", "qwen3vl"), ("GPT-5", "gpt5"), ("Gemini 3.1 Pro", "gemini"))
    }


def usual_plan(grid: Grid) -> Plan:
    """The paper's grid with the public names of its models and datasets."""
    if grid is Grid.TABLE1:
        datasets = _HPDV3 | {
            "MM-RewardBench2 T2I": "mmrb2:t2i",
            "MM-RewardBench2 Edit": "mmrb2:edit",
            "EditReward-Bench": "editreward-bench:2pair",
        }
        return Plan(grid=grid, judges=_JUDGES, datasets=datasets, rubrics=_MODES)
    if grid is Grid.BIAS:
        rubrics = {**_MODES, GUIDED: BUILD}
        return Plan(grid=grid, judges=_JUDGES, datasets=_HPDV3, rubrics=rubrics, build=_LEARNED)
    if grid is Grid.TRANSFER:
        return Plan(
            grid=grid,
            judges={GEMINI: _JUDGES[GEMINI]},
            generators=_JUDGES,
            datasets=_HPDV3,
            build=_LEARNED,
        )
    if grid is Grid.CARDINALITY:
        judges = {QWEN: _JUDGES[QWEN]}
        return Plan(grid=grid, judges=judges, datasets=_HPDV3, criteria=(1, 5, 10, 20))
    return Plan(
        grid=grid,
        t2i=Models(
            policies={"FLUX.1-Dev": Painter(policy=_FLUX), **_trained(_FLUX, "runs/rpo-flux")},
            benchmarks={
                "GenEval": Column(benchmark="geneval"),
                "DPG-Bench": Column(benchmark="dpg?vqa=mplug"),
                "TIIF": Column(benchmark="tiif?length=short", judge="openai:gpt-4o", scale=100),
                "UniGenBench++ Short": Column(
                    benchmark="unigenbench?sets=en", judge="gemini:gemini-2.5-pro", scale=100
                ),
                "UniGenBench++ Long": Column(
                    benchmark="unigenbench?sets=en_long", judge="gemini:gemini-2.5-pro", scale=100
                ),
            },
        ),
        edit=Models(
            policies={
                "Qwen-Image-Edit-2509": Painter(policy=_QWEN_EDIT),
                **_trained(_QWEN_EDIT, "runs/rpo-qwen-edit"),
            },
            benchmarks={
                "GEdit-Bench": Column(benchmark="gedit?languages=en", judge="openai:gpt-5"),
                "ImgEdit": Column(benchmark="imgedit", judge="openai:gpt-4.1"),
            },
        ),
    )


_KEEN, _DULL, _LEANING = "shapes", "shapes?noise=0.3", "shapes?primacy=0.3"
_WORLD = Learning(t2i="shapes-t2i:train", edit="shapes-edit:train", limit=100)
_PAIRS = {"shapes-t2i": "shapes-t2i:test", "shapes-edit": "shapes-edit:test"}


def embedded_plan(grid: Grid) -> Plan:
    """The same grid in the shapes world: its judge, one that errs and one that leans to the first image."""
    judges = {"shapes": _KEEN, "shapes, errs": _DULL, "shapes, leans": _LEANING}
    only = {"shapes-t2i": _PAIRS["shapes-t2i"]}
    if grid is Grid.TABLE1:
        return Plan(grid=grid, judges=judges, datasets=_PAIRS, rubrics=_MODES)
    if grid is Grid.BIAS:
        rubrics = {**_MODES, GUIDED: BUILD}
        return Plan(grid=grid, judges=judges, datasets=only, rubrics=rubrics, build=_WORLD)
    if grid is Grid.TRANSFER:
        return Plan(grid=grid, judges={"shapes": _KEEN}, generators=judges, datasets=only, build=_WORLD)
    if grid is Grid.CARDINALITY:
        return Plan(grid=grid, judges={"shapes": _KEEN}, datasets=only, criteria=(1, 5, 10, 20))
    return Plan(grid=grid, t2i=_embedded_models("t2i"), edit=_embedded_models("edit"))


def _embedded_models(task: str) -> Models:
    """The embedded model, and what short trainings make of it: by its judge, and by one that errs."""
    painting = task == "t2i"
    spec = EMBEDDED if painting else f"{EMBEDDED}?task={task}"
    rubric = "shapes-painting" if painting else "shapes-edit"
    judges = {"RPO-shapes": _KEEN} | ({"RPO-shapes, errs": _DULL} if painting else {})
    return Models(
        policies={
            "shapes": Painter(policy=spec),
            **{
                name: Painter(
                    policy=spec, train=Training(judge=judge, rubric=rubric, max_steps=SHORT, pairs=32)
                )
                for name, judge in judges.items()
            },
        },
        benchmarks={"shapes" if painting else "shapes-edit": Column(benchmark=spec)},
    )


def plan_of(options: ReproduceOptions) -> Plan:
    """What the options ask for.

    Raises:
        InputError: there is no such grid, or the file cannot be used.
    """
    if options.grid in set(Grid):
        grid = Grid(options.grid)
        embedded = options.judge.partition("?")[0] == EMBEDDED
        plan = embedded_plan(grid) if embedded else usual_plan(grid)
        judge = "" if options.judge == EMBEDDED else options.judge
    elif not Path(options.grid).suffix:
        known = ", ".join(Grid)
        raise InputError(
            f'there is no grid "{options.grid}"{nearest(options.grid, list(Grid))}',
            hint=f"Name one of {known}, or a file that --write-config wrote.",
        )
    else:
        from arrkit.bench.plan_file import read_plan

        plan, judge = read_plan(Path(options.grid)), options.judge
    if judge:
        plan = _judged_by(plan, judge)
    limit = options.limit if options.limit is not None else plan.limit
    return replace(plan, limit=limit, seed=options.seed or plan.seed)


def _judged_by(plan: Plan, judge: str) -> Plan:
    """The plan with one judge in place of its own, under its own name."""
    only = {judge: judge}
    tables = {
        name: replace(
            models,
            benchmarks={
                title: replace(column, judge=judge if column.judge else "")
                for title, column in models.benchmarks.items()
            },
        )
        for name, models in (("t2i", plan.t2i), ("edit", plan.edit))
    }
    return replace(plan, judges=only if plan.judges else {}, **tables)  # type: ignore[arg-type]


def rows_of(plan: Plan) -> list[str]:
    """The rows of a table of judges and rubrics, from top to bottom."""
    return [row_of(judge, mode) for judge in plan.judges for mode in plan.rubrics]


def row_of(judge: str, mode: str) -> str:
    """The name of a row: the judge's, and what follows it."""
    return f"{judge} {mode}".strip()
