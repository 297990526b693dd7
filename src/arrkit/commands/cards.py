"""Pairs as the report page draws them: images, label, every verdict in the pair's own terms."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from arrkit.data.pairs import ImageUnreadable, Label, Picture, PreferencePair, pictures_of
from arrkit.judge.evaluate import Case, Contender
from arrkit.judge.protocol import Answer, Finding, Order, Verdict
from arrkit.judge.tally import chosen
from arrkit.rubric.build import Learned
from arrkit.runs.pictures import thumbnail
from arrkit.runs.view import FindingView, Judgment, PairCard, PairImage

T = TypeVar("T")
S = TypeVar("S")

ORDER_NAMES = {Order.AB: "A first", Order.BA: "B first"}


def learned_card(learned: Learned) -> PairCard:
    """One build pair: its fate, and the verdicts under its best candidate criteria."""
    judgments: tuple[Judgment, ...] = ()
    tries = learned.revisions
    remarks = [f"{tries} refinement{'s' if tries > 1 else ''}"] if tries else []
    if learned.trouble:
        remarks.append(learned.trouble)
    if learned.best is not None:
        statements = {f"c{i}": draft.statement for i, draft in enumerate(learned.best.drafts, start=1)}
        judgments = tuple(
            judgment("its own criteria", order, verdict, learned.pair.label, statements)
            for order, verdict in learned.best.verdicts
        )
        kept = set(learned.drafts)
        if not kept:
            remarks += [f"Tried: {draft.statement}" for draft in learned.best.drafts]
        remarks += [f"Kept: {draft.statement}" for draft in learned.best.drafts if draft in kept]
    return pair_card(learned.pair, judgments, state=str(learned.fate), remarks=tuple(remarks))


def case_card(case: Case, tried: Sequence[Contender], *, state: str = "") -> PairCard:
    """One judged pair: its images, the label, every verdict."""
    judgments = []
    for contender, judged in zip(tried, case.judged, strict=True):
        statements = {each.id: each.statement for dim in judged.dimensions for each in dim.criteria}
        judgments += [
            judgment(contender.name, order, verdict, case.pair.label, statements)
            for order, verdict in judged.shown
        ]
    return pair_card(case.pair, tuple(judgments), state=state)


def in_threads(make: Callable[[T], S], pairs: Iterable[T]) -> tuple[S, ...]:
    """``make`` of each, in order; images are read and shrunk on several cores."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="arrkit-page") as pool:
        return tuple(pool.map(make, pairs))


def pair_card(
    pair: PreferencePair, judgments: tuple[Judgment, ...], *, state: str = "", remarks: tuple[str, ...] = ()
) -> PairCard:
    """A pair with its images as thumbnails; the pixels are let go again."""
    pictures = _shown(pair)
    card = PairCard(
        id=pair.id,
        prompt=pair.prompt,
        label=str(pair.label),
        images=tuple(_image(role, picture) for role, picture in pictures),
        judgments=judgments,
        category=str(pair.metadata.get("category", "")),
        state=state,
        metadata=tuple((key, str(value)) for key, value in pair.metadata.items() if key != "category"),
        notes=remarks,
    )
    pair.release()
    return card


def _shown(pair: PreferencePair) -> list[tuple[str, Picture]]:
    """The images of a pair with what each is called: A, or A 1 and A 2 of a candidate with two."""
    named = (("A", pictures_of(pair.a)), ("B", pictures_of(pair.b)), ("source", pair.sources))
    return [
        (role if len(pictures) == 1 else f"{role} {number}", picture)
        for role, pictures in named
        for number, picture in enumerate(pictures, start=1)
    ]


def _image(role: str, picture: Picture) -> PairImage:
    try:
        return PairImage(role, thumbnail(picture.load()), picture.name)
    except ImageUnreadable as error:
        return PairImage(role, b"", str(error))


def judgment(
    rubric: str, order: Order, verdict: Verdict, label: Label, statements: dict[str, str]
) -> Judgment:
    """One verdict in the pair's own terms, whatever the presentation."""
    named = chosen(order, verdict)
    return Judgment(
        rubric,
        ORDER_NAMES[order],
        str(verdict.outcome),
        "" if named is None else str(named),
        named is label if named is not None and named.decided and label.decided else None,
        verdict.rationale,
        verdict.detail,
        tuple(_finding(finding, order, statements.get) for finding in verdict.findings),
    )


def _finding(finding: Finding, order: Order, statement: Callable[[str, str], str]) -> FindingView:
    straight = order is Order.AB
    answer = {
        Answer.FIRST: "A" if straight else "B",
        Answer.SECOND: "B" if straight else "A",
        Answer.EQUAL: "equal",
        Answer.CANNOT_TELL: "cannot tell",
    }[finding.answer]
    first, second = finding.first, finding.second
    a, b = (first, second) if straight else (second, first)
    return FindingView(statement(finding.criterion, finding.criterion), answer, a, b, finding.note)
