"""The options of every command. Imported for ``--help``, so nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from arrkit.data.pairs import Task
from arrkit.judge.choices import Ensemble, JudgeProtocol, Orders, Scoring
from arrkit.options import Opt


class VerifyOrders(StrEnum):
    """In which presentations candidate criteria must recover the human choice."""

    BOTH = "both"
    ONE = "one"


class Method(StrEnum):
    """How a rubric is learned."""

    ARR = "arr"
    """Criteria that recover the human choice in a blind comparison, structured into dimensions."""
    SPARSE = "sparse"
    """Criteria weighed by how well their scores tell preferred images from others."""


class Seeds(StrEnum):
    """How the pairs that a rubric is learned from are chosen, where not all are taken."""

    RANDOM = "random"
    DIVERSE = "diverse"


class Select(StrEnum):
    """Which verified criteria a rubric is made of.

    ``none`` takes all. ``greedy`` adds them one at a time by what they achieve together on pairs kept for
    that, ``mcr2`` by how much their statements differ.
    """

    NONE = "none"
    GREEDY = "greedy"
    MCR2 = "mcr2"


class Format(StrEnum):
    """A rubric format that other tools read."""

    TEXT = "text"


class Bump(StrEnum):
    """Which part of a semantic version to raise."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOptions:
    """Where a dataset's files are, how its images are found, and which of its pairs are taken."""

    data: Annotated[
        Path | None, Opt("folder with the dataset's files, as on its hub [the hub's cache]", metavar="DIR")
    ] = None
    split: Annotated[
        str, Opt("split of the dataset, as in SPEC after the colon", metavar="NAME", rare=True)
    ] = ""
    where: Annotated[
        tuple[str, ...],
        Opt(
            "use only pairs whose metadata FIELD is VALUE; repeatable: values of one field are alternatives, "
            "fields must all hold",
            metavar="FIELD=VALUE",
            rare=True,
        ),
    ] = ()
    min_confidence: Annotated[
        float | None,
        Opt(
            "use only pairs whose label has this confidence or more; a pair without any is left out",
            metavar="X",
            low=0,
            high=1,
            rare=True,
        ),
    ] = None
    sample: Annotated[
        int | None,
        Opt(
            "draw N of these pairs by --seed, groups whole; --limit then takes the first of them",
            metavar="N",
            low=1,
            rare=True,
        ),
    ] = None
    image_root: Annotated[
        Path | None,
        Opt("folder that relative image paths start from [the file's]", metavar="DIR", rare=True),
    ] = None
    allow_remote: Annotated[bool, Opt("fetch images given as http(s) URLs", rare=True)] = False
    limit: Annotated[int | None, Opt("use only the first N pairs", metavar="N", low=1)] = None
    strict: Annotated[
        bool, Opt("stop at an unreadable image instead of skipping its pair", identity=False)
    ] = False
    seed: Annotated[int, Opt("makes everything that is drawn repeatable", metavar="N")] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions(TakeOptions):
    """Which preference pairs."""

    pairs: Annotated[
        Path | None,
        Opt("file of your own preference pairs (.json, .jsonl, .yaml)", metavar="FILE"),
    ] = None
    dataset: Annotated[
        str, Opt("dataset plug-in, such as hpdv3 or mmrb2:edit; arrkit data list shows all", metavar="SPEC")
    ] = ""


@dataclass(frozen=True, kw_only=True)
class HostedOptions:
    """What a hosted judge is sent, how fast and at what price. Without slots, to be joined to others."""

    image_size: Annotated[
        int, Opt("largest long edge of the images sent, in pixels", metavar="PX", low=64, rare=True)
    ] = 1024
    concurrency: Annotated[
        int, Opt("requests under way at once, at most", metavar="N", low=1, identity=False)
    ] = 8
    rpm: Annotated[
        int | None, Opt("requests a minute, at most", metavar="N", low=1, rare=True, identity=False)
    ] = None
    tpm: Annotated[
        int | None, Opt("tokens a minute, at most", metavar="N", low=1, rare=True, identity=False)
    ] = None
    cache: Annotated[
        Path | None,
        Opt(
            "folder of answers kept for all runs [~/.cache/arrkit]", metavar="DIR", rare=True, identity=False
        ),
    ] = None
    no_cache: Annotated[bool, Opt("keep no answers outside the run's folder", rare=True, identity=False)] = (
        False
    )
    max_cost: Annotated[
        float | None,
        Opt("stop before more than this is spent, in dollars", metavar="X", low=0, identity=False),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingOptions(HostedOptions, DataOptions):
    """Which pairs, and how judges are asked."""

    scoring: Annotated[
        Scoring, Opt("how a hosted judge is asked; auto takes the best that the model can do", rare=True)
    ] = Scoring.AUTO
    language: Annotated[str, Opt("language of the prompts: en or zh", metavar="CODE", rare=True)] = "en"
    dry_run: Annotated[
        bool, Opt("say what would be sent and what it costs; send nothing", identity=False)
    ] = False
    batch: Annotated[
        bool, Opt("send by the endpoint's batch interface: cheaper, within a day", rare=True, identity=False)
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgingOptions(AskingOptions):
    """Which pairs, which judge, and how it is asked."""

    judge: Annotated[
        str,
        Opt("judge plug-in, such as shapes or vllm:Qwen/Qwen3-VL-8B-Instruct", metavar="SPEC"),
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuringOptions(AskingOptions):
    """Which judge is measured, or several that decide together; under which rubrics; where the run goes."""

    judge: Annotated[
        tuple[str, ...],
        Opt(
            "judge plug-in, such as shapes or vllm:Qwen/Qwen3-VL-8B-Instruct; repeatable with --ensemble",
            metavar="SPEC",
        ),
    ] = ()
    ensemble: Annotated[
        Ensemble | None,
        Opt("how several judges decide; cascade asks the next one where this one is unsure"),
    ] = None
    margin: Annotated[
        float | None,
        Opt("margin from which a cascade takes a judge's word [0.1]", low=0, high=1, metavar="X", rare=True),
    ] = None
    rubric: Annotated[
        tuple[str, ...],
        Opt("rubric file or shipped name, zero-shot, or none; repeat for rows", metavar="FILE|NAME"),
    ] = ()
    baseline: Annotated[bool, Opt("also judge without a rubric, to compare with")] = True
    criteria: Annotated[
        int,
        Opt(
            "criteria that zero-shot, a checklist or a plan may have, for each prompt or pair",
            low=1,
            high=20,
            metavar="N",
            rare=True,
        ),
    ] = 5
    tie_credit: Annotated[
        float, Opt("what a judge's tie earns on a pair that people decided", low=0, high=1, metavar="X")
    ] = 0.5
    out: Annotated[Path | None, Opt("run folder [runs/...]", metavar="DIR", identity=False)] = None
    force: Annotated[bool, Opt("use the run folder even if it holds another run", identity=False)] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalOptions(MeasuringOptions):
    """Options of ``arrkit judge eval``."""

    protocol: Annotated[
        tuple[JudgeProtocol, ...],
        Opt(
            "how the judge comes to a choice: pairwise, weighted, checklist or plan-verify; repeat for rows "
            "[pairwise]",
            metavar="NAME",
        ),
    ] = ()
    orders: Annotated[Orders, Opt("presentations; forward shows the preferred image first")] = Orders.BOTH
    metric: Annotated[
        tuple[str, ...],
        Opt("metric by name; repeatable [official, strict-pair]", metavar="NAME", identity=False),
    ] = ()
    by: Annotated[
        tuple[str, ...],
        Opt("break the accuracy down by a metadata field; repeatable", metavar="FIELD", identity=False),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasOptions(MeasuringOptions):
    """Options of ``arrkit judge bias``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOptions(DataOptions):
    """Options of ``arrkit judge score``."""

    judgments: Annotated[
        Path, Opt("file of answers (.jsonl, .json): a run's, or another tool's", metavar="FILE")
    ]
    metric: Annotated[
        tuple[str, ...],
        Opt("metric by name, or official:SET; repeatable [official, strict-pair]", metavar="NAME"),
    ] = ()
    threshold: Annotated[
        float | None,
        Opt("tie threshold of tie-credit for scores, found elsewhere", low=0, high=1, metavar="X", rare=True),
    ] = None
    seed: Annotated[int, Opt("draws the sample and the bootstrap", metavar="N", rare=True)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """Options of ``arrkit judge compare``."""

    a: Annotated[Path, Opt("the first image, called A", argument=True)]
    b: Annotated[Path, Opt("the second image, called B", argument=True)]
    prompt: Annotated[str, Opt("the prompt, or the editing instruction", metavar="TEXT")]
    source: Annotated[Path | None, Opt("the image that was edited, for edits", metavar="FILE")] = None
    rubric: Annotated[str, Opt("rubric file or shipped name [none]", metavar="FILE|NAME")] = ""
    judge: Annotated[str, Opt("judge plug-in, such as vllm:Qwen/Qwen3-VL-8B-Instruct", metavar="SPEC")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions(JudgingOptions):
    """Options of ``arrkit rubric build``."""

    task: Annotated[Task | None, Opt("t2i or edit [the pairs' own]")] = None
    method: Annotated[
        Method, Opt("arr keeps criteria that recover the choice, sparse weighs them by their scores")
    ] = Method.ARR
    limit: Annotated[
        int | None, Opt("use N pairs, those held back among them [all; sparse 256]", metavar="N", low=1)
    ] = None
    seeds: Annotated[
        Seeds | None,
        Opt("how the N pairs are chosen: drawn, or diverse by label and prompt [random; sparse diverse]"),
    ] = None
    rounds: Annotated[
        int, Opt("sparse: rounds of looking at wrongly ranked pairs", low=1, high=50, metavar="N")
    ] = 5
    candidates: Annotated[
        int,
        Opt(
            "sparse: candidates from the pairs, and again from wrongly ranked ones, at the most",
            low=1,
            high=1000,
            metavar="N",
            rare=True,
        ),
    ] = 60
    sparse_c: Annotated[
        float | None,
        Opt(
            "sparse: inverse strength of the penalty [by validation pairs]", low=1e-6, metavar="C", rare=True
        ),
    ] = None
    name: Annotated[str, Opt("the rubric's name [the dataset's]", metavar="NAME")] = ""
    holdout: Annotated[
        float, Opt("share of the pairs kept back to measure the rubric on", low=0, high=0.9, metavar="X")
    ] = 0.3
    criteria: Annotated[int, Opt("criteria proposed for each pair", low=1, high=20, metavar="N")] = 5
    verify_orders: Annotated[
        VerifyOrders, Opt("presentations in which criteria must recover the human choice")
    ] = VerifyOrders.BOTH
    max_refine: Annotated[int, Opt("revisions before a pair is given up", low=0, high=20, metavar="N")] = 5
    dimensions: Annotated[int, Opt("dimensions at the most", low=1, high=20, metavar="N")] = 5
    select: Annotated[
        Select,
        Opt("verified criteria to keep: all, the best together on pairs kept for that, or the most varied"),
    ] = Select.NONE
    top: Annotated[
        int, Opt("criteria that sparse and --select keep at the most", low=1, high=60, metavar="N")
    ] = 10
    out: Annotated[
        Path | None, Opt("rubric file to write [rubric-TASK.json]", metavar="FILE", identity=False)
    ] = None
    force: Annotated[bool, Opt("replace the rubric file if it exists", identity=False)] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions(JudgingOptions):
    """Options of ``arrkit rubric verify``."""

    rubric: Annotated[str, Opt("rubric file or shipped name", argument=True, metavar="FILE|NAME")]
    min_accuracy: Annotated[
        float | None,
        Opt("exit with 1 when the accuracy under the rubric is below this", low=0, high=1, metavar="X"),
    ] = None
    out: Annotated[Path | None, Opt("run folder [runs/...]", metavar="DIR", identity=False)] = None
    force: Annotated[bool, Opt("use the run folder even if it holds another run", identity=False)] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOptions:
    """Options of ``arrkit rubric merge``."""

    rubrics: Annotated[
        tuple[str, ...], Opt("two or more rubrics of one task", argument=True, metavar="FILE|NAME...")
    ]
    out: Annotated[Path, Opt("rubric file to write", metavar="FILE")]
    name: Annotated[str, Opt("the merged rubric's name [the file's]", metavar="NAME")] = ""
    judge: Annotated[
        str, Opt("judge that folds criteria which say the same in other words", metavar="SPEC")
    ] = ""
    force: Annotated[bool, Opt("replace the output file if it exists")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowOptions:
    """Options of ``arrkit rubric show``."""

    rubric: Annotated[str, Opt("rubric file or shipped name", argument=True, metavar="FILE|NAME")]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffOptions:
    """Options of ``arrkit rubric diff``."""

    old: Annotated[str, Opt("the older rubric", argument=True, metavar="OLD")]
    new: Annotated[str, Opt("the newer rubric", argument=True, metavar="NEW")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SealOptions:
    """Options of ``arrkit rubric seal``."""

    rubric: Annotated[Path, Opt("the edited rubric file", argument=True, metavar="FILE")]
    bump: Annotated[Bump, Opt("part of the version to raise")] = Bump.PATCH


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """Options of ``arrkit rubric export``."""

    rubric: Annotated[str, Opt("rubric file or shipped name", argument=True, metavar="FILE|NAME")]
    format: Annotated[Format, Opt("text: the Theme/Tip text of Auto-Rubric-as-Reward")] = Format.TEXT
    out: Annotated[Path | None, Opt("file to write [standard output]", metavar="FILE")] = None
    force: Annotated[bool, Opt("replace the output file if it exists")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """Options of ``arrkit rubric import``."""

    text: Annotated[Path, Opt("file of Theme/Tip text", argument=True, metavar="FILE")]
    task: Annotated[Task, Opt("what the rubric judges: t2i or edit")]
    out: Annotated[Path, Opt("rubric file to write", metavar="FILE")]
    name: Annotated[str, Opt("the rubric's name [the file's]", metavar="NAME")] = ""
    force: Annotated[bool, Opt("replace the output file if it exists")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions(TakeOptions):
    """Options of ``arrkit data check``."""

    source: Annotated[
        str,
        Opt("file of pairs (.json, .jsonl, .yaml), a file of a public set, or a dataset", argument=True),
    ]
    task: Annotated[Task | None, Opt("the task of rows that name none: t2i or edit")] = None
    open: Annotated[bool, Opt("decode every image")] = False
    strict: Annotated[
        bool, Opt("count what is only missing, unreadable or odd as a problem", identity=False)
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions(TakeOptions):
    """Options of ``arrkit data convert``."""

    source: Annotated[
        str,
        Opt("dataset such as shapes-edit:test, a file of a public set, or a file of pairs", argument=True),
    ]
    out: Annotated[Path, Opt("folder, or .jsonl file, to write", argument=True)]
    force: Annotated[bool, Opt("replace what is there")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoOptions:
    """Options of ``arrkit data info``."""

    name: Annotated[str, Opt("dataset such as hpdv3", argument=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PullOptions:
    """Options of ``arrkit data pull``."""

    name: Annotated[str, Opt("dataset, or one split of it: mmrb2:t2i", argument=True)]
    revision: Annotated[str, Opt("branch, tag or commit [the main branch]", metavar="REV")] = ""
