"""Learn a rubric from preference pairs: generate, verify, refine, structure.

The method is Auto-Rubric as Reward (arXiv 2605.08354, section 3.2). For each pair a judge proposes criteria
that explain the human choice. The same or another judge then compares the pair under these criteria without
being told the choice. Criteria that recover it are verified; others are revised with a critique of what
went wrong, and given up after ``max_refine`` revisions. The verified ones are gathered into one rubric.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from arrkit.concurrency import run_bounded
from arrkit.data.pairs import ImageUnreadable, Label, PreferencePair, Task
from arrkit.errors import InputError, RunError
from arrkit.judge.protocol import (
    Answer,
    Draft,
    Order,
    Outcome,
    ProposeRequest,
    RefineRequest,
    Side,
    StructuredDimension,
    StructureRequest,
    Verdict,
    compare_request,
    draft_dimensions,
)
from arrkit.judge.session import JudgeSession
from arrkit.judge.tally import chosen
from arrkit.rubric.lint import mentions_position
from arrkit.rubric.model import SHORT_DIGEST, Counts, Criterion, Dimension, normalised, slug
from arrkit.rubric.selection import Pooled

FURTHER = "Further criteria"
"""The dimension that takes what a judge put into more dimensions than were asked for."""


class Fate(StrEnum):
    """What became of a build pair."""

    PASSED = "passed"
    REFINED = "refined"
    DISCARDED = "discarded"
    POSTPONED = "postponed"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to learn: see the options of ``arrkit rubric build``."""

    criteria: int = 5
    orders: tuple[Order, ...] = (Order.AB, Order.BA)
    max_refine: int = 5
    dimensions: int = 5
    seed: int = 0


CANDIDATES = "Candidate criteria"
"""The dimension that criteria stand in while they are tried."""


@dataclass(frozen=True, slots=True)
class Revision:
    """Candidate criteria of one pair, and the verdicts under them in each order shown."""

    drafts: tuple[Draft, ...]
    verdicts: tuple[tuple[Order, Verdict], ...]

    def recovered(self, label: Label) -> int:
        """In how many orders the verdict named the image that people preferred."""
        return sum(chosen(order, verdict) is label for order, verdict in self.verdicts)

    def verified(self, label: Label) -> bool:
        """Whether every order recovered the human choice."""
        return self.recovered(label) == len(self.verdicts)


@dataclass(frozen=True, slots=True)
class Learned:
    """What one pair taught: its fate, the verified drafts, the best revision.

    ``drafts`` is empty unless the pair passed or was refined, ``revisions`` counts the refinements tried, and
    ``trouble`` says why a pair was postponed, ``unreadable`` whether an image was why.
    """

    pair: PreferencePair
    fate: Fate
    drafts: tuple[Draft, ...] = ()
    best: Revision | None = None
    revisions: int = 0
    trouble: str = ""
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class LearnedRubric:
    """The structured criteria, what became of every pair, and the short digests of the pairs seen."""

    dimensions: tuple[Dimension, ...]
    learned: tuple[Learned, ...]
    counts: Counts
    build_pairs: tuple[str, ...]


Select = Callable[[Sequence[Pooled]], Awaitable[Sequence[int]]]
"""Which of the verified criteria to structure, as indices."""


class _JudgeTrouble(Exception):
    """A judge call ended without an answer; the pair may be tried again."""


async def learn_rubric(
    generator: JudgeSession,
    verifier: JudgeSession,
    pairs: Sequence[PreferencePair],
    task: Task,
    recipe: Recipe,
    *,
    window: int = 16,
    strict: bool = False,
    on_pair: Callable[[int, Mapping[str, int]], None] = lambda *_: None,
    on_stage: Callable[[str], None] = lambda _: None,
    select: Select | None = None,
) -> LearnedRubric:
    """Learn a rubric from ``pairs``, none of which may be a tie.

    A pair whose judge calls failed is postponed to the end and tried once more. ``select`` is given the
    verified criteria and says which are structured; without it all are.

    Raises:
        InputError: with ``strict``, an unreadable image.
        RunError: no pair gave verified criteria, or the judge could not structure them.
    """
    results: dict[int, Learned] = {}

    async def learn(index: int) -> None:
        pair = pairs[index]
        try:
            results[index] = await _learn_pair(generator, verifier, pair, recipe)
        except ImageUnreadable as error:
            if strict:
                raise InputError(f"{pair.origin or pair.id}: {error}") from error
            results[index] = Learned(pair, Fate.POSTPONED, trouble=str(error), unreadable=True)
        except _JudgeTrouble as trouble:
            results[index] = Learned(pair, Fate.POSTPONED, trouble=str(trouble))
        finally:
            pair.release()
        fates = Counter(each.fate for each in results.values())
        on_pair(len(results), {str(fate): fates[fate] for fate in Fate})

    await run_bounded((learn(index) for index in range(len(pairs))), window)
    postponed = [index for index, each in results.items() if each.fate is Fate.POSTPONED]
    for index in postponed:
        del results[index]
    await run_bounded((learn(index) for index in sorted(postponed)), window)

    learned = tuple(results[index] for index in range(len(pairs)))
    fates = Counter(each.fate for each in learned)
    if not fates[Fate.PASSED] + fates[Fate.REFINED]:
        troubles = [each.trouble for each in learned if each.trouble]
        raise RunError(
            f"none of the {len(pairs)} pairs gave criteria that recover the human choice",
            hint=f"The first trouble: {troubles[0]}" if troubles else "Give more pairs, or another judge.",
            resumable=bool(troubles),
        )
    pool = _pool(learned)
    if select is not None:
        pool = [pool[index] for index in await select(pool)]
    on_stage("structuring")
    dimensions = await _structure(generator, pool, task, recipe)
    return LearnedRubric(
        dimensions,
        learned,
        Counts(
            seen=len(pairs),
            passed=fates[Fate.PASSED],
            refined=fates[Fate.REFINED],
            discarded=fates[Fate.DISCARDED],
            postponed=fates[Fate.POSTPONED],
        ),
        tuple(each.pair.digest[:SHORT_DIGEST] for each in learned if not each.trouble),
    )


async def _learn_pair(
    generator: JudgeSession, verifier: JudgeSession, pair: PreferencePair, recipe: Recipe
) -> Learned:
    request = propose_request(pair, recipe)
    proposal = await generator.propose(request, pair=pair.id)
    if proposal.outcome is not Outcome.OK or not proposal.drafts:
        raise _JudgeTrouble(f"propose ended as {proposal.outcome}: {proposal.detail}")
    best = await _verify(verifier, pair, proposal.drafts[: recipe.criteria], recipe)
    tried = {best.drafts}
    worse: list[Revision] = []
    revisions = 0
    while not best.verified(pair.label) and revisions < recipe.max_refine:
        revised = await generator.refine(
            RefineRequest(request, best.drafts, critique(best, pair.label, worse)),
            pair=pair.id,
            revision=revisions + 1,
        )
        if revised.outcome is not Outcome.OK or not revised.drafts:
            raise _JudgeTrouble(f"refine ended as {revised.outcome}: {revised.detail}")
        revisions += 1
        drafts = revised.drafts[: recipe.criteria]
        if drafts in tried:
            break  # the judge has nothing new to say; asking again would only cost
        tried.add(drafts)
        revision = await _verify(verifier, pair, drafts, recipe)
        # The best revision stands, not the last: a worse one is not built upon.
        if revision.recovered(pair.label) >= best.recovered(pair.label):
            best, worse = revision, []
        else:
            worse.append(revision)
    if not best.verified(pair.label):
        return Learned(pair, Fate.DISCARDED, best=best, revisions=revisions)
    fate = Fate.REFINED if revisions else Fate.PASSED
    return Learned(pair, fate, supporting(best, pair.label), best, revisions)


def propose_request(pair: PreferencePair, recipe: Recipe) -> ProposeRequest:
    """The request for criteria. The preferred image stands first or second as the seed and the pair's
    digest draw it, so that a judge which leans to one side does not write its bias into the rubric.
    """
    drawn = hashlib.sha256(f"{recipe.seed}/{pair.a.digest}/{pair.b.digest}".encode()).digest()[0] & 1
    first, second = (pair.b, pair.a) if drawn else (pair.a, pair.b)
    preferred = Side.FIRST if (pair.label is Label.A) != bool(drawn) else Side.SECOND
    return ProposeRequest(pair.task, pair.prompt, first, second, preferred, recipe.criteria, pair.sources)


async def _verify(
    verifier: JudgeSession, pair: PreferencePair, drafts: tuple[Draft, ...], recipe: Recipe
) -> Revision:
    dimensions = draft_dimensions(CANDIDATES, drafts)
    verdicts = []
    for order in recipe.orders:
        verdict = await verifier.compare(compare_request(pair, order, dimensions), pair=pair.id, order=order)
        if not verdict.outcome.settled:
            raise _JudgeTrouble(f"verification ended as {verdict.outcome}: {verdict.detail}")
        verdicts.append((order, verdict))
    return Revision(drafts, tuple(verdicts))


def critique(revision: Revision, label: Label, worse: Sequence[Revision] = ()) -> str:
    """What went wrong under a revision's criteria, for the judge that revises them.

    One line for each order, then one for each criterion: ``supports``, ``misleads``, ``does not tell them
    apart`` or ``could not be checked``, with the statement in quotes. Then, for each revision of these
    criteria that did ``worse``, a line that says so and one for each statement that was new in it. So no two
    requests for revisions are equal, and none is answered from the journal with what has failed already.
    """
    lines = []
    for order, verdict in revision.verdicts:
        named = chosen(order, verdict)
        said = {None: "could not decide", Label.TIE: "saw a tie"}.get(
            named, "recovered the human choice" if named is label else "preferred the other image"
        )
        place = "first" if (order is Order.AB) == (label is Label.A) else "second"
        lines.append(f"With the preferred image shown {place} the judge {said}.")
    for index, draft in enumerate(revision.drafts, start=1):
        signs = _signs(revision, f"c{index}", label)
        if -1 in signs:
            word = "misleads"
        elif 1 in signs:
            word = "supports"
        elif 0 in signs:
            word = "does not tell them apart"
        else:
            word = "could not be checked"
        lines.append(f'{word}: "{draft.statement}"')
    for number, attempt in enumerate(worse, start=1):
        lines.append(f"Revision {number} of these criteria did worse.")
        lines += [f'did worse: "{each.statement}"' for each in attempt.drafts if each not in revision.drafts]
    return "\n".join(lines)


def supporting(revision: Revision, label: Label) -> tuple[Draft, ...]:
    """The drafts of a verified revision that did not point to the other image in any order.

    Of these only the ones that pointed to the right image at least once, unless the judge reported no
    findings at all.
    """
    signs = {draft: _signs(revision, f"c{i}", label) for i, draft in enumerate(revision.drafts, start=1)}
    kept = tuple(draft for draft in revision.drafts if -1 not in signs[draft] and 1 in signs[draft])
    return kept or tuple(draft for draft in revision.drafts if -1 not in signs[draft]) or revision.drafts


def _signs(revision: Revision, criterion: str, label: Label) -> set[int]:
    """What the findings on a criterion say: 1 for the human choice, -1 against it, 0 for neither."""
    signs = set()
    for order, verdict in revision.verdicts:
        for finding in verdict.findings:
            if finding.criterion != criterion or finding.answer is Answer.CANNOT_TELL:
                continue
            if finding.answer is Answer.EQUAL:
                signs.add(0)
                continue
            points_to_a = (finding.answer is Answer.FIRST) == (order is Order.AB)
            signs.add(1 if points_to_a == (label is Label.A) else -1)
    return signs


def _pool(learned: Sequence[Learned]) -> list[Pooled]:
    """The verified criteria, each statement once, with the pairs that it came from."""
    pool: dict[str, Draft] = {}
    supporters: dict[str, list[str]] = {}
    for each in learned:
        for draft in each.drafts:
            key = normalised(draft.statement)
            pool.setdefault(key, draft)
            if each.pair.id not in supporters.setdefault(key, []):
                supporters[key].append(each.pair.id)
    return [Pooled(draft, tuple(supporters[key])) for key, draft in pool.items()]


async def _structure(
    generator: JudgeSession, pool: Sequence[Pooled], task: Task, recipe: Recipe
) -> tuple[Dimension, ...]:
    request = StructureRequest(task, tuple(each.draft for each in pool), recipe.dimensions)
    structure = await generator.structure(request)
    if structure.outcome is not Outcome.OK or not structure.dimensions:
        raise RunError(f"the judge could not structure the criteria: {structure.outcome}: {structure.detail}")
    return assemble(structure.dimensions, [each.pairs for each in pool], most=recipe.dimensions)


def assemble(
    structured: Sequence[StructuredDimension], sources: Sequence[tuple[str, ...]], *, most: int
) -> tuple[Dimension, ...]:
    """The rubric's dimensions: ids, source pairs and weights added, positions and surplus removed.

    ``sources[i]`` are the ids of the pairs that the pool's draft ``i`` came from. A criterion's weight is the
    number of pairs it came from, relative to the best supported criterion, and at least 0.05.
    A criterion that speaks of an image's position is dropped: a rubric must not depend on presentation.
    """
    merged: list[tuple[StructuredDimension, Criterion]] = []
    ids: Counter[str] = Counter()
    for dimension in structured:
        for each in dimension.criteria:
            pairs = tuple(dict.fromkeys(pair for member in each.members for pair in sources[member]))
            if mentions_position(each.statement) or not pairs:
                continue
            name = slug(each.statement)
            ids[name] += 1
            unique = name if ids[name] == 1 else f"{name}-{ids[name]}"
            merged.append((dimension, Criterion(unique, each.statement, 1.0, each.guidance, pairs)))
    if not merged:
        raise RunError("structuring left no criterion that is independent of the images' positions")
    top = max(len(criterion.source_pairs) for _, criterion in merged)
    grouped: dict[str, list[Criterion]] = {}
    described: dict[str, str] = {}
    for dimension, criterion in merged:
        weight = max(0.05, round(len(criterion.source_pairs) / top, 2))
        name = dimension.name
        if name not in grouped and len(grouped) >= most - 1 and _surplus(structured, most):
            name = FURTHER
        grouped.setdefault(name, []).append(
            Criterion(criterion.id, criterion.statement, weight, criterion.guidance, criterion.source_pairs)
        )
        described.setdefault(name, "" if name == FURTHER else dimension.description)
    return tuple(
        Dimension(slug(name), name, tuple(criteria), described[name]) for name, criteria in grouped.items()
    )


def _surplus(structured: Sequence[StructuredDimension], most: int) -> bool:
    return len({dimension.name for dimension in structured}) > most
