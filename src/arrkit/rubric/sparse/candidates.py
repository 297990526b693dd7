"""Candidates: statements from preference pairs and from pairs that were ranked wrongly, duplicates folded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from arrkit.concurrency import run_bounded
from arrkit.data.pairs import ImageUnreadable, PreferencePair, Task
from arrkit.errors import InputError
from arrkit.judge.learning import DiagnoseRequest, ExplainRequest, ExtractRequest
from arrkit.judge.protocol import Draft, Outcome, ProposeRequest, StructureRequest
from arrkit.judge.session import JudgeSession
from arrkit.rubric.build import Recipe, propose_request
from arrkit.rubric.lint import mentions_position
from arrkit.rubric.model import normalised

GROUPS = 12
"""Dimensions that a judge may sort candidates into while it folds them; what they are called is not used."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A statement that may get a weight, and the ids of the pairs that it came from."""

    draft: Draft
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Heard:
    """What a judge said of one pair; ``trouble`` says why there is nothing, ``unreadable`` whether an image
    is why. ``diagnosis`` is what the rubric was found to miss, for a pair that was looked at again.
    """

    pair: PreferencePair
    drafts: tuple[Draft, ...] = ()
    trouble: str = ""
    unreadable: bool = False
    diagnosis: str = ""


@dataclass(frozen=True, slots=True)
class Hard:
    """A pair to look at again, and how the rubric did on it in words."""

    pair: PreferencePair
    report: str


async def hear_pairs(
    session: JudgeSession,
    pairs: Sequence[PreferencePair],
    recipe: Recipe,
    *,
    window: int,
    strict: bool = False,
    on_pair: Callable[[int], None] = lambda _: None,
) -> tuple[Heard, ...]:
    """What the judge explains each preference by, in the order of ``pairs``.

    Raises:
        InputError: with ``strict``, an unreadable image.
    """

    async def explain(pair: PreferencePair) -> Heard:
        answer = await session.explain(ExplainRequest(propose_request(pair, recipe)), pair=pair.id)
        if answer.outcome is not Outcome.OK:
            return Heard(pair, trouble=f"explain ended as {answer.outcome}: {answer.detail}")
        return Heard(pair, usable(answer.drafts)[: recipe.criteria])

    return await _each(pairs, explain, window, strict, on_pair)


async def hear_hard(
    session: JudgeSession,
    hard: Sequence[Hard],
    rubric: Sequence[Draft],
    recipe: Recipe,
    *,
    window: int,
    on_pair: Callable[[int], None] = lambda _: None,
) -> tuple[Heard, ...]:
    """For each pair that ``rubric`` ranks wrongly: what it misses, then statements for that."""
    reports = {each.pair.id: each.report for each in hard}
    known = tuple(rubric)

    async def look_again(pair: PreferencePair) -> Heard:
        asked: ProposeRequest = propose_request(pair, recipe)
        found = await session.diagnose(DiagnoseRequest(asked, known, reports[pair.id]), pair=pair.id)
        if found.outcome is not Outcome.OK or not found.drafts:
            return Heard(pair, trouble=f"diagnose ended as {found.outcome}: {found.detail}")
        diagnosis = found.drafts[0]
        answer = await session.extract(ExtractRequest(asked, known, diagnosis), pair=pair.id)
        said = diagnosis.statement
        if answer.outcome is not Outcome.OK:
            trouble = f"extract ended as {answer.outcome}: {answer.detail}"
            return Heard(pair, trouble=trouble, diagnosis=said)
        return Heard(pair, usable(answer.drafts)[: recipe.criteria], diagnosis=said)

    return await _each([each.pair for each in hard], look_again, window, False, on_pair)


async def _each(
    pairs: Sequence[PreferencePair],
    ask: Callable[[PreferencePair], Awaitable[Heard]],
    window: int,
    strict: bool,
    on_pair: Callable[[int], None],
) -> tuple[Heard, ...]:
    heard: dict[int, Heard] = {}

    async def one(index: int) -> None:
        pair = pairs[index]
        try:
            heard[index] = await ask(pair)
        except ImageUnreadable as error:
            if strict:
                raise InputError(f"{pair.origin or pair.id}: {error}") from error
            heard[index] = Heard(pair, trouble=str(error), unreadable=True)
        finally:
            pair.release()
        on_pair(len(heard))

    await run_bounded((one(index) for index in range(len(pairs))), window)
    return tuple(heard[index] for index in range(len(pairs)))


def usable(drafts: Sequence[Draft]) -> tuple[Draft, ...]:
    """Drafts that can stand in a rubric: not empty, not of an image's place."""
    return tuple(
        draft
        for draft in drafts
        if normalised(draft.statement) and not mentions_position(f"{draft.statement}\n{draft.guidance}")
    )


def gather(heard: Sequence[Heard]) -> tuple[Candidate, ...]:
    """All statements once, in the order first heard, each with all pairs that gave it."""
    drafts: dict[str, Draft] = {}
    sources: dict[str, list[str]] = {}
    for each in heard:
        for draft in each.drafts:
            key = normalised(draft.statement)
            drafts.setdefault(key, draft)
            if each.pair.id not in sources.setdefault(key, []):
                sources[key].append(each.pair.id)
    return tuple(Candidate(draft, tuple(sources[key])) for key, draft in drafts.items())


async def fold_candidates(
    session: JudgeSession, known: Sequence[Candidate], fresh: Sequence[Candidate], task: Task, *, most: int
) -> tuple[Candidate, ...]:
    """``known`` with what ``fresh`` adds to them; the known ones keep their words and places.

    Equal statements are folded, then the judge says which others say the same. A fresh one that says the same
    as a known one adds its pairs to it; several fresh ones become one in the judge's words. Where the judge
    gives no usable answer, only equal ones are folded. At most ``most`` fresh ones are taken, those of most
    pairs first.
    """
    pool = list(known)
    places = {normalised(each.draft.statement): index for index, each in enumerate(pool)}
    rest: list[Candidate] = []
    for each in fresh:
        place = places.get(normalised(each.draft.statement))
        if place is None:
            rest.append(each)
        else:
            pool[place] = _with_sources(pool[place], each)
    if not rest:
        return tuple(pool)
    everything = [*pool, *rest]
    request = StructureRequest(task, tuple(each.draft for each in everything), GROUPS)
    structure = await session.structure(request)
    added: list[Candidate] = []
    if structure.outcome is Outcome.OK:
        for dimension in structure.dimensions:
            for criterion in dimension.criteria:
                members = [index for index in criterion.members if 0 <= index < len(everything)]
                old = [index for index in members if index < len(pool)]
                new = [everything[index] for index in members if index >= len(pool)]
                if old:
                    for each in new:
                        pool[old[0]] = _with_sources(pool[old[0]], each)
                elif new:
                    added.append(_folded(new, criterion.statement, criterion.guidance, dimension.name))
    else:
        added = rest
    added.sort(key=lambda each: -len(each.sources))
    return (*pool, *_distinct(pool, added)[:most])


def _folded(members: Sequence[Candidate], statement: str, guidance: str, dimension: str) -> Candidate:
    draft = members[0].draft
    said = Draft(statement, guidance, draft.dimension or dimension)
    if usable((said,)):
        draft = said
    return Candidate(draft, tuple(dict.fromkeys(pair for each in members for pair in each.sources)))


def _distinct(known: Sequence[Candidate], fresh: Sequence[Candidate]) -> list[Candidate]:
    """Fresh ones whose words no other has: a judge may put two groups into the same sentence."""
    taken = {normalised(each.draft.statement) for each in known}
    kept = []
    for each in fresh:
        key = normalised(each.draft.statement)
        if key not in taken:
            taken.add(key)
            kept.append(each)
    return kept


def _with_sources(candidate: Candidate, other: Candidate) -> Candidate:
    return replace(candidate, sources=tuple(dict.fromkeys((*candidate.sources, *other.sources))))
