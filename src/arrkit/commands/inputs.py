"""From what options name to the things themselves: the judge, the pairs, the rubrics.

Nothing is guessed: the embedded pairs and judge serve where nobody brought any, but whoever brings pairs must
also name the judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from arrkit.backends.datasets.common import SetPairs
from arrkit.backends.registry import make_dataset
from arrkit.backends.spec import Spec
from arrkit.commands.forms import recognised
from arrkit.commands.judges import ChosenJudge, choose_judge
from arrkit.commands.options import AskingOptions, DataOptions, JudgingOptions
from arrkit.commands.sources import dataset_record, named_spec, refuse_clashes, selection, take
from arrkit.data.native import open_pairs
from arrkit.data.pairs import PairDataset, Task
from arrkit.errors import InputError
from arrkit.judge.choices import JudgeProtocol
from arrkit.judge.evaluate import Contender
from arrkit.judge.protocol import Judge
from arrkit.rubric.files import read_rubric, require_task, rubric_digest
from arrkit.rubric.model import Rubric

NO_RUBRIC = "none"
ZERO_SHOT = "zero-shot"
EMBEDDED_JUDGE = "shapes"
LEARNING = "train"
"""The split that rubrics are built from."""


def open_dataset(options: DataOptions, *, task: Task | None, split: str, limit: bool = True) -> PairDataset:
    """The pairs that the options name, or the embedded ones of ``task`` (t2i where that is None).

    ``split`` is the dataset's split to use where none is named: rubrics are built from ``train`` and judges
    measured on ``test``, so that the embedded pairs of the two never meet. Without ``limit`` that option is
    left to the caller.

    Raises:
        InputError: both or neither usable, no pairs at all, nothing that people decided.
    """
    refuse_clashes(options)
    dataset: PairDataset
    if options.pairs is not None:
        _refuse_set_file(options.pairs)
        dataset = open_pairs(
            options.pairs,
            task=task,
            image_root=options.image_root,
            allow_remote=options.allow_remote,
            strict=options.strict,
        )
    else:
        named = options.dataset or f"shapes-{task or Task.T2I}"
        spec = named_spec(named, split=options.split, data=options.data, usual=split)
        if split == LEARNING:
            _refuse_benchmark(spec)
        dataset = make_dataset(spec)
        if isinstance(dataset, SetPairs):
            dataset.strict = options.strict
    if task is not None and dataset.task is not None and dataset.task is not task:
        raise InputError(
            f"{dataset.name} holds pairs of the task {dataset.task}, not {task}",
            hint=f"Give pairs for {task}, or a rubric for {dataset.task}: arrkit rubric list shows some, "
            f"arrkit rubric build --task {dataset.task} learns one.",
        )
    dataset = take(dataset, selection(options, limit=limit))
    if not any(pair.label.decided for pair in dataset):
        if next(iter(dataset), None) is None:
            raise InputError(f"{dataset.name} holds no pairs")
        raise InputError(f"all pairs of {dataset.name} are ties, which says nothing of what people prefer")
    return dataset


def open_judge(options: JudgingOptions, *, ready: Judge | None = None, findings: bool = False) -> ChosenJudge:
    """The judge that the options name; the embedded one only where the pairs are embedded too.

    ``ready`` is a judge made elsewhere, which then serves instead; ``findings`` is for
    :class:`~arrkit.commands.judges.ChosenJudge`.

    Raises:
        InputError: no such judge, or none is named for the user's own pairs.
    """
    return open_named_judge(options.judge, options, ready=ready, findings=findings)


def open_named_judge(
    spec: str, options: AskingOptions, *, ready: Judge | None = None, findings: bool = False
) -> ChosenJudge:
    """The judge of ``spec``, to be asked as the options say; else as :func:`open_judge`."""
    refuse_clashes(options)
    if ready is not None:
        return ChosenJudge(ready, options)
    embedded = options.pairs is None and (not options.dataset or _is_embedded(options.dataset))
    return choose_judge(spec or (EMBEDDED_JUDGE if embedded else ""), options, findings=findings)


def _refuse_set_file(path: Path) -> None:
    """A public set's own file has other keys: one sentence says more than a problem for each of its rows."""
    spec = recognised(path.expanduser()) if path.expanduser().is_file() else None
    if spec is not None:
        dataset = f"{spec.name}:{spec.model}" if spec.model else spec.name
        raise InputError(
            f"{path} is a file of the set {spec.name}, and --pairs is for files in arrkit's own format",
            hint=f"--dataset {dataset} --data {spec.options['data']} reads it as what it is.",
        )


def _refuse_benchmark(spec: Spec) -> None:
    """Criteria learned from a benchmark would sooner or later be measured on what they were learned from."""
    record = dataset_record(spec)
    if record is not None and record.benchmark_only:
        raise InputError(
            f"{spec.name} is for benchmarking only ({record.license}): no rubric is built from it",
            hint="Build one from other pairs and measure it on these: "
            f"arrkit judge eval --dataset {spec.name} --rubric FILE",
        )


def _is_embedded(dataset: str) -> bool:
    record = dataset_record(Spec.parse(dataset))
    return record is not None and record.embedded


@dataclass(frozen=True, slots=True)
class NamedRubric:
    """A rubric as the user named it, with its digest."""

    shown: str
    rubric: Rubric
    digest: str

    @property
    def contender(self) -> Contender:
        return Contender(self.shown, self.rubric.dimensions, self.digest)


def open_rubrics(names: Sequence[str]) -> list[NamedRubric]:
    """The rubrics of ``names`` in order, without ``none`` and ``zero-shot``, which stand in no file.

    Raises:
        InputError: one cannot be read, two are for different tasks, or one is named twice.
    """
    rubrics: list[NamedRubric] = []
    for name in dict.fromkeys(names):
        if name in (NO_RUBRIC, ZERO_SHOT):
            continue
        rubric = read_rubric(name)
        if rubrics:
            require_task(rubric, rubrics[0].rubric.task, name)
        rubrics.append(NamedRubric(rubric.name, rubric, rubric_digest(rubric)))
    shown = [each.shown for each in rubrics]
    return [
        each
        if shown.count(each.shown) == 1
        else NamedRubric(f"{each.shown}@{each.digest.removeprefix('sha256:')[:6]}", each.rubric, each.digest)
        for each in rubrics
    ]


def contenders(
    rubrics: Sequence[NamedRubric],
    *,
    baseline: bool,
    zero_shot: int = 0,
    protocols: Sequence[JudgeProtocol] = (),
    items: int = 0,
) -> list[Contender]:
    """What the judge is tried under: nothing first, unless ``baseline`` is off, then each rubric.

    With ``zero_shot`` so many criteria are written for each prompt before its images are seen. Rubrics are
    tried by each of ``protocols`` that takes any (``pairwise`` where none is named), and each of the others,
    which find up to ``items`` criteria of their own, is one more.

    Raises:
        InputError: rubrics for protocols that take none, or ``weighted`` without any.
    """
    protocols = tuple(dict.fromkeys(protocols)) or (JudgeProtocol.PAIRWISE,)
    unseen = [Contender(ZERO_SHOT, zero_shot=zero_shot)] if zero_shot else []
    given = [*unseen, *(each.contender for each in rubrics)]
    named = " and ".join(f"--protocol {each}" for each in protocols)
    if given and not any(each.takes_rubrics for each in protocols):
        raise InputError(
            f"{named} finds its own criteria, so no rubric can be tried by it",
            hint="Add --protocol pairwise or --protocol weighted for the rubrics, or leave --rubric out.",
        )
    if not given and JudgeProtocol.WEIGHTED in protocols:
        raise InputError(
            "--protocol weighted scores images by criteria, and none are given",
            hint="Name a rubric with --rubric, or --rubric zero-shot.",
        )
    tried: list[Contender] = []
    for protocol in protocols:
        if protocol is JudgeProtocol.PAIRWISE:
            tried += given
        elif protocol is JudgeProtocol.WEIGHTED:
            tried += [replace(each, name=f"{each.name}, {protocol}", protocol=protocol) for each in given]
        else:
            tried.append(Contender(str(protocol), protocol=protocol, items=items))
    bare = [Contender(NO_RUBRIC)] if baseline or not tried else []
    return [*bare, *tried]
