"""Your own prompts: how often a judge prefers a model's images to its base's, under a rubric or without one.

Each pair of images of one prompt and one noise is shown in both orders. Only where both orders name the same
image is it preferred; otherwise the pair is a tie, which counts half: a judge that always names the image in
the same place comes out at 50 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from arrkit.backends.spec import Spec
from arrkit.bench.cells import Answers, Tally, gather, scores, tally
from arrkit.bench.model import Asker, Item, Mode, Score, Scorer, Status, Unit
from arrkit.canonical import Json, digest
from arrkit.concurrency import together
from arrkit.data.pairs import ImageUnreadable, Label, Picture, Task
from arrkit.data.prompts import Prompt, scan_prompts
from arrkit.errors import InputError
from arrkit.judge.protocol import Answer, CompareRequest, Order, Outcome, Verdict
from arrkit.judge.session import JudgeSession
from arrkit.judge.tally import chosen
from arrkit.rubric.files import read_rubric, require_task, rubric_digest
from arrkit.rubric.model import Rubric

WIN_RATE = "win-rate"

MOST_GROUPS = 24
"""A metadata field with more values than that, or with one alone, tells no groups apart."""

_ROW_FILES = (".jsonl", ".ndjson", ".json", ".yaml", ".yml", ".csv")
_ENDS = {Outcome.UNPARSED: Status.UNPARSED, Outcome.TRUNCATED: Status.UNPARSED}


class PromptsBenchmark:
    """A :class:`~arrkit.bench.model.PairedBenchmark` over a file of prompts. See :func:`make`."""

    def __init__(self, name: str, file: str, *, task: str, rubric: str, images: int) -> None:
        self._name = name
        self._file = file
        self._task = task
        self._rubric = rubric
        self._images = images

    @property
    def name(self) -> str:
        """The canonical spec."""
        return self._name

    @property
    def metric(self) -> str:
        """``prompts``, with the rubric's name in brackets."""
        return f"prompts[{self.rubric.name if self.rubric else 'no rubric'}]"

    @cached_property
    def rubric(self) -> Rubric | None:
        """What the images are judged under, None for nothing. Raises as :func:`read_rubric`."""
        if not self._rubric:
            return None
        rubric = read_rubric(self._rubric)
        require_task(rubric, self.task, self._rubric)
        return rubric

    @cached_property
    def task(self) -> Task:
        """What was named, else what the file's rows are for."""
        return Task(self._task) if self._task else _task_of(self._file)

    @property
    def identity(self) -> Mapping[str, Json]:
        """Digests of the prompts and of the rubric."""
        prompts: list[Json] = [[item.id, item.prompt] for item in self.items()]
        return {
            "prompts": digest(prompts),
            "rubric": rubric_digest(self.rubric) if self.rubric else "",
            "images": self._images,
        }

    def items(self) -> Sequence[Item]:
        """The prompts in the order of the file; their metadata that tell groups apart are groups."""
        return self._items

    @cached_property
    def _items(self) -> tuple[Item, ...]:
        if not self._file:
            raise InputError(
                "no prompts are named",
                hint="Pass --data FILE: text with one prompt a line, or rows (.jsonl, .json, .csv, .yaml).",
            )
        scan = scan_prompts(self._file, task=self.task)
        if scan.problems:
            raise InputError(scan.problems)
        fields = _telling(scan.prompts)
        return tuple(
            Item(
                id=prompt.id,
                task=prompt.task,
                prompt=prompt.text,
                files=tuple(f"{place:05d}-{image}.png" for image in range(self._images)),
                sources=prompt.sources,
                groups={name: str(prompt.metadata[name]) for name in fields if name in prompt.metadata},
            )
            for place, prompt in enumerate(scan.prompts)
        )

    def lay_out(self, folder: Path) -> None:
        """Nothing stands beside the images."""

    def scorer(self, asker: Asker | None) -> Scorer:
        """Refuses: images of one model alone cannot be compared."""
        del asker  # whoever it is
        raise InputError(
            "prompts compares a trained model's images with its base's, and here are images of one model",
            hint="Use arrkit bench run prompts --policy P --lora DIR, which paints and compares both.",
        )

    def pair_scorer(self, session: JudgeSession) -> PromptsScorer:
        """What asks the judge, in both orders."""
        return PromptsScorer(session, self.rubric)

    def tallies(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Tally, ...]:
        """Win-rate, win-rates by group and by criterion, and how far the judge agrees with itself.

        The first mode is over the pairs that were ruled; strict counts all others as lost.
        """
        answers = gather(items, units)
        found = []
        for mode in Mode:
            found.append(
                tally(
                    f"{self.metric}/{WIN_RATE}",
                    mode,
                    answers,
                    headline=True,
                    how="pairs in which the trained model's image is preferred in both orders, ties half; "
                    + ("others lost" if mode is Mode.STRICT else "without those that got no ruling"),
                )
            )
            found += [
                tally(
                    f"{self.metric}/{field}/{value}",
                    mode,
                    answers.of_group(field, value),
                    how=f"win-rate where {field} is {value}",
                )
                for field in dict.fromkeys(name for item in items for name in item.groups)
                for value in sorted({item.groups[field] for item in items if field in item.groups})
            ]
        for mode in Mode:
            found += [*self._criteria(answers, mode), self._consistency(answers, mode)]
        return tuple(found)

    def aggregate(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Score, ...]:
        """The table."""
        return scores(self.tallies(items, units))

    def read_answers(self, file: Path) -> list[Unit]:
        """Refuses: nobody else writes results of this benchmark."""
        raise InputError(
            f"{file} cannot be read: prompts has no result files of its own",
            hint="Answers of a judge are counted by arrkit judge score.",
        )

    def _criteria(self, answers: Answers, mode: Mode) -> list[Tally]:
        """A win-rate by each criterion; a pair of which the judge could not tell by it is in none."""
        statements = {each.id: each.statement for each in self.rubric.criteria()} if self.rubric else {}
        scored = np.array([unit.status is Status.SCORED for unit in answers.units], bool)
        made = []
        for name, statement in statements.items():
            values = np.array([_by_criterion(unit, name) for unit in answers.units])
            counted = np.isfinite(values) | ~scored
            made.append(
                tally(
                    f"{self.metric}/criterion/{name}",
                    mode,
                    answers,
                    values=values[counted],
                    at=answers.at[counted],
                    how=f"win-rate by this criterion alone, alike counts half: {statement}",
                )
            )
        return made

    def _consistency(self, answers: Answers, mode: Mode) -> Tally:
        same = [_said(unit).get("same") for unit in answers.units]
        return tally(
            f"{self.metric}/consistency",
            mode,
            answers,
            values=np.array([float(each) if isinstance(each, bool) else np.nan for each in same]),
            how="pairs of which both orders say the same",
        )


class PromptsScorer:
    """A :class:`~arrkit.bench.model.PairScorer` that shows each pair in both orders."""

    def __init__(self, session: JudgeSession, rubric: Rubric | None) -> None:
        self._session = session
        self._dimensions = rubric.dimensions if rubric is not None else ()

    async def score(
        self, item: Item, images: Sequence[Picture | None], base: Sequence[Picture | None]
    ) -> list[Unit]:
        """One unit for each pair of images: 1 for a win of ``images``, 0 for a loss, 0.5 for a tie."""
        return await together(
            self._pair(item, number, new, old)
            for number, (new, old) in enumerate(zip(images, base, strict=True))
        )

    async def _pair(self, item: Item, number: int, new: Picture | None, old: Picture | None) -> Unit:
        if new is None or old is None:
            lacks = "the trained model's image" if new is None else "the base model's image"
            return Unit(item=item.id, image=number, status=Status.MISSING, answer={"why": f"no {lacks}"})
        pictures = [new, old, *item.sources]
        try:
            await self._session.prepare(pictures)
            if new.digest == old.digest:
                # Nobody can prefer one of two images that are the same, so nobody is asked.
                alike: Json = {"ab": "tie", "ba": "tie", "same": True, "identical": True}
                return Unit(item=item.id, image=number, value=0.5, answer=alike)
            ab, ba = await together(
                self._session.compare(
                    CompareRequest(item.task, item.prompt, *shown, item.sources, self._dimensions),
                    item=item.id,
                    image=number,
                    order=order,
                )
                for order, shown in ((Order.AB, (new, old)), (Order.BA, (old, new)))
            )
        except ImageUnreadable as error:
            return Unit(item=item.id, image=number, status=Status.MISSING, answer={"why": str(error)})
        finally:
            for picture in pictures:
                picture.release()
        return _ruled(item.id, number, ab, ba)


_WORDS = {Label.A: "trained", Label.B: "base", Label.TIE: "tie"}
_WORTH = {Label.A: 1.0, Label.B: 0.0, Label.TIE: 0.5}


def _ruled(item: str, image: int, ab: Verdict, ba: Verdict) -> Unit:
    """The unit of a pair from its two verdicts, in which A is the trained model's image."""
    one, two = chosen(Order.AB, ab), chosen(Order.BA, ba)
    if one is None or two is None:
        trouble = ab if one is None else ba
        status = _ENDS.get(trouble.outcome, Status.FAILED)
        return Unit(
            item=item, image=image, status=status, answer={"why": f"{trouble.outcome}: {trouble.detail}"}
        )
    preferred = one if one is two else Label.TIE
    said: dict[str, Json] = {"ab": _WORDS[one], "ba": _WORDS[two], "same": one is two}
    if criteria := _findings(ab, ba):
        said["criteria"] = criteria
    if ab.rationale:
        said["rationale"] = ab.rationale
    return Unit(item=item, image=image, value=_WORTH[preferred], answer=said)


def _findings(ab: Verdict, ba: Verdict) -> dict[str, float]:
    """By criterion the mean over both orders of +1 (the trained image meets it better), -1 and 0."""
    said: dict[str, list[int]] = {}
    for verdict, sign in ((ab, 1), (ba, -1)):
        for finding in verdict.findings:
            worth = {Answer.FIRST: sign, Answer.SECOND: -sign, Answer.EQUAL: 0}.get(finding.answer)
            if worth is not None:
                said.setdefault(finding.criterion, []).append(worth)
    return {criterion: sum(each) / len(each) for criterion, each in sorted(said.items())}


def _by_criterion(unit: Unit, criterion: str) -> float:
    """1 where the trained image meets the criterion better in both orders, 0 for the base's; NaN: untold."""
    said = _said(unit)
    if said.get("identical"):
        return 0.5
    leads = said.get("criteria")
    lead = leads.get(criterion) if isinstance(leads, Mapping) else None
    return (1 + lead) / 2 if isinstance(lead, int | float) else np.nan


def _said(unit: Unit) -> Mapping[str, Json]:
    return unit.answer if isinstance(unit.answer, Mapping) else {}


def _task_of(file: str) -> Task:
    """``edit`` for rows that name source images, which a model that paints from text cannot use."""
    if Path(file).suffix.lower() not in _ROW_FILES:
        return Task.T2I
    if not scan_prompts(file, task=Task.T2I).problems:
        return Task.T2I
    return Task.T2I if scan_prompts(file, task=Task.EDIT).problems else Task.EDIT


def _telling(prompts: Sequence[Prompt]) -> list[str]:
    """The metadata fields by which results can be broken down, in the order in which they appear."""
    values: dict[str, Counter[str]] = {}
    for prompt in prompts:
        for name, value in prompt.metadata.items():
            values.setdefault(name, Counter())[str(value)] += 1
    return [name for name, held in values.items() if 1 < len(held) <= min(MOST_GROUPS, len(prompts) // 2)]


def make(spec: Spec, *, data: str, rubric: str, task: str, images: int) -> PromptsBenchmark:
    """The benchmark of a file of prompts."""
    return PromptsBenchmark(str(spec), data, task=task, rubric=rubric, images=images)
