"""Learn a sparse rubric: algorithm 1 of arXiv 2605.17602 as one loop over a judge's answers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from arrkit.data.pairs import PreferencePair, Task
from arrkit.errors import RunError
from arrkit.judge.protocol import Draft, Outcome, StructureRequest
from arrkit.judge.session import JudgeSession
from arrkit.rubric.build import Recipe
from arrkit.rubric.model import (
    Criterion,
    Dimension,
    Learning,
    PathStep,
    Rate,
    RoundRecord,
    unique_slug,
)
from arrkit.rubric.sparse.candidates import (
    Candidate,
    Hard,
    Heard,
    fold_candidates,
    gather,
    hear_hard,
    hear_pairs,
)
from arrkit.rubric.sparse.mining import Bucket, Mined, mine_pairs
from arrkit.rubric.sparse.refiner import Floats, Refined, accuracy_rate, labels_kept, refine_weights
from arrkit.rubric.sparse.scores import Matrix, ScoreStore, fill_scores

PATIENCE = 2
"""After so many rounds without a better validation result learning stops."""


@dataclass(frozen=True, slots=True)
class SparseRecipe:
    """How to learn: see the options of ``arrkit rubric build --method sparse``.

    ``top`` criteria are kept, ``rounds`` at most are gone through, ``candidates`` are taken from the seeds
    and again as many from all hard pairs together; ``hard`` pairs are looked at in a round. ``validation`` is
    the share of the pairs that decides when to stop and, without ``c``, how strong the penalty is.
    """

    criteria: int = 5
    top: int = 10
    rounds: int = 5
    candidates: int = 60
    hard: int = 24
    c: float | None = None
    validation: float = 0.25
    dimensions: int = 5
    seed: int = 0

    @property
    def proposing(self) -> Recipe:
        """What the requests for statements are made with."""
        return Recipe(criteria=self.criteria, seed=self.seed)


@dataclass(frozen=True, slots=True)
class LearnedSparse:
    """A sparse rubric and how it came to be.

    ``learning`` is what the artifact keeps. ``heard`` is what was said of each pair at first, ``mined`` which
    pairs were looked at again and what the rubric was found to miss on them, ``wrong`` the training pairs
    that the rubric ranks wrongly in the end.
    """

    dimensions: tuple[Dimension, ...]
    learning: Learning
    heard: tuple[Heard, ...]
    mined: tuple[tuple[Bucket, Heard], ...]
    wrong: tuple[str, ...]

    @property
    def weights(self) -> Floats:
        """The learned weights in the order of the rubric's criteria."""
        by_id = dict(self.learning.weights)
        return np.array([by_id[each.id] for dimension in self.dimensions for each in dimension.criteria])

    @property
    def drafts(self) -> tuple[Draft, ...]:
        """The rubric's criteria as the judge was asked for them."""
        return tuple(
            Draft(each.statement, each.guidance)
            for dimension in self.dimensions
            for each in dimension.criteria
        )


async def learn_sparse(
    session: JudgeSession,
    pairs: Sequence[PreferencePair],
    task: Task,
    recipe: SparseRecipe,
    store: ScoreStore,
    *,
    window: int = 16,
    strict: bool = False,
    on_step: Callable[[str, int, int], None] = lambda *_: None,
) -> LearnedSparse:
    """Learn weighted criteria from ``pairs``, none of which may be a tie.

    Args:
        session: the judge, which explains preferences, scores images and says what a rubric misses.
        pairs: seeds and training pairs in one.
        task: theirs.
        recipe: how.
        store: keeps all scores.
        window: pairs under way at once.
        strict: whether an unreadable image ends the run.
        on_step: is told a stage's name, how much of it is done and of how much.

    Raises:
        InputError: with ``strict``, an unreadable image.
        RunError: there are no statements, no scores, or none tells preferred images from others.
    """
    train, validation = divide(pairs, recipe.validation, recipe.seed)
    heard = await hear_pairs(
        session,
        train,
        recipe.proposing,
        window=window,
        strict=strict,
        on_pair=partial(_tell, on_step, "explaining preferences", len(train)),
    )
    pool = await fold_candidates(session, (), gather(heard), task, most=recipe.candidates)
    if not pool:
        troubles = [each.trouble for each in heard if each.trouble]
        raise RunError(
            f"none of the {len(train)} pairs gave a statement",
            hint=f"The first trouble: {troubles[0]}" if troubles else "Give more pairs, or another judge.",
            resumable=bool(troubles),
        )
    everyone = [*train, *validation]
    records: list[RoundRecord] = []
    best: _Round | None = None
    since = 0
    counted: Counter[int] = Counter()
    looked_at: list[tuple[Bucket, Heard]] = []
    for number in range(recipe.rounds):
        matrix = await fill_scores(
            session,
            store,
            everyone,
            [each.draft for each in pool],
            window=window,
            on_image=partial(on_step, f"scoring, round {number + 1}"),
        )
        now = _refine(matrix, len(train), tuple(pool), recipe)
        if best is None or now.better_than(best):
            best, since = now, 0
        else:
            since += 1
        last = number + 1 == recipe.rounds or since >= PATIENCE
        mined = () if last else _mine(now, counted, number, recipe)
        known = [pool[index].draft for index in labels_kept(now.refined.weights)]
        hard = [Hard(train[each.row], report_of(now, each.row)) for each in mined]
        found = await hear_hard(
            session,
            hard,
            known,
            recipe.proposing,
            window=window,
            on_pair=partial(_tell, on_step, "looking at hard pairs", len(hard)),
        )
        counted.update(each.row for each in mined)
        looked_at += [(each.bucket, answer) for each, answer in zip(mined, found, strict=True)]
        room = max(0, 2 * recipe.candidates - len(pool))
        grown = await fold_candidates(session, pool, gather(found), task, most=room) if found else pool
        records.append(_record(number, now, mined, len(grown) - len(pool)))
        if not mined:
            break
        # Also where it is no larger: the next round looks at other pairs, and the same scores cost nothing.
        pool = grown
    assert best is not None
    if not best.refined.step.kept:
        raise RunError(
            f"no statement of {len(best.pool)} tells preferred images from others",
            hint="Give more pairs, or another judge.",
        )
    return await _finished(session, task, recipe, best, records, heard, looked_at, train)


def _tell(on_step: Callable[[str, int, int], None], stage: str, of: int, done: int) -> None:
    on_step(stage, done, of)


def divide(
    pairs: Sequence[PreferencePair], share: float, seed: int
) -> tuple[list[PreferencePair], list[PreferencePair]]:
    """Training and validation pairs, in their order; pairs of one prompt stay together.

    Whole prompts, in an order drawn from ``seed``, go to validation until it has ``share`` of the pairs.
    Where all have one prompt there is no validation.
    """
    prompts = sorted({pair.prompt for pair in pairs})
    random.Random(f"validation/{seed}").shuffle(prompts)  # noqa: S311  a seeded split, no secret
    sizes = Counter(pair.prompt for pair in pairs)
    wanted, taken, chosen = round(share * len(pairs)), 0, set()
    for prompt in prompts[:-1]:
        if taken >= wanted:
            break
        chosen.add(prompt)
        taken += sizes[prompt]
    return (
        [pair for pair in pairs if pair.prompt not in chosen],
        [pair for pair in pairs if pair.prompt in chosen],
    )


@dataclass(frozen=True, slots=True)
class _Round:
    """One fit: the candidates, their scores and the weights. The first ``train`` rows are for training."""

    pool: tuple[Candidate, ...]
    matrix: Matrix
    train: int
    refined: Refined
    accuracy: Rate | None
    validation: Rate | None

    def better_than(self, other: _Round) -> bool:
        """By validation accuracy, then by loss; without validation pairs, by the training pairs alike."""
        mine, theirs = self._result, other._result
        return mine > theirs

    @property
    def _result(self) -> tuple[float, float]:
        rate = self.validation or self.accuracy
        return (rate.value if rate else 0.0, -self.refined.step.loss)


def _refine(matrix: Matrix, train: int, pool: tuple[Candidate, ...], recipe: SparseRecipe) -> _Round:
    known = matrix.known
    if not known[:train].any():
        raise RunError(
            "the judge scored no training pair under any statement",
            hint="Its answers stand in the run's journal. --method arr needs no scores.",
            resumable=True,
        )
    differences = matrix.differences
    rows = np.arange(len(differences))
    fit, check = known & (rows < train), known & (rows >= train)
    refined = refine_weights(differences[fit], differences[check], top=recipe.top, c=recipe.c)
    margins = differences @ refined.weights
    return _Round(pool, matrix, train, refined, accuracy_rate(margins[fit]), accuracy_rate(margins[check]))


def _mine(now: _Round, counted: Counter[int], number: int, recipe: SparseRecipe) -> tuple[Mined, ...]:
    rows = np.flatnonzero(now.matrix.known[: now.train])
    preferred, other = now.matrix.rewards(now.refined.weights)
    mined = mine_pairs(
        preferred[rows],
        other[rows],
        {place: counted[int(row)] for place, row in enumerate(rows)},
        count=recipe.hard,
        round_=number,
        rounds=max(1, recipe.rounds - 1),
        seed=recipe.seed,
    )
    return tuple(Mined(int(rows[each.row]), each.bucket) for each in mined)


def report_of(now: _Round, row: int) -> str:
    """How the kept criteria did on a training pair, one line each: scores, and which image they speak for."""
    weights = now.refined.weights
    lines = []
    for index in labels_kept(weights):
        preferred, other = (float(each[row, index]) for each in (now.matrix.preferred, now.matrix.other))
        statement = now.pool[index].draft.statement
        if not np.isfinite(preferred) or not np.isfinite(other):
            lines.append(f'could not be checked: "{statement}"')
            continue
        word = "supports" if preferred > other else "misleads" if preferred < other else "does not tell"
        lines.append(f'{word} ({preferred:.2f} and {other:.2f}, weight {weights[index]:.2f}): "{statement}"')
    return "\n".join(lines) or "No criterion has a weight yet."


def _record(number: int, now: _Round, mined: Sequence[Mined], fresh: int) -> RoundRecord:
    return RoundRecord(
        round=number + 1,
        candidates=len(now.pool),
        kept=now.refined.step.kept,
        c=now.refined.step.c,
        loss=now.refined.step.loss,
        train=now.accuracy,
        validation=now.validation,
        mined={str(bucket): sum(each.bucket is bucket for each in mined) for bucket in Bucket},
        fresh=fresh,
    )


async def _finished(
    session: JudgeSession,
    task: Task,
    recipe: SparseRecipe,
    best: _Round,
    records: Sequence[RoundRecord],
    heard: tuple[Heard, ...],
    looked_at: Sequence[tuple[Bucket, Heard]],
    train: Sequence[PreferencePair],
) -> LearnedSparse:
    weights = best.refined.weights
    order = labels_kept(weights)
    ids: dict[int, str] = {}
    for index, candidate in enumerate(best.pool):
        ids[index] = unique_slug(candidate.draft.statement, set(ids.values()))
    criteria = {
        index: Criterion(
            ids[index],
            best.pool[index].draft.statement,
            # Only ratios matter: relative to the heaviest, a person can read them.
            max(0.001, round(float(weights[index] / weights.max()), 3)),
            best.pool[index].draft.guidance,
            best.pool[index].sources,
        )
        for index in order
    }
    dimensions = await _dimensions(session, task, recipe, [(best.pool[i].draft, criteria[i]) for i in order])
    path = tuple(
        PathStep(
            step.c,
            step.kept,
            step.accuracy,
            step.loss,
            {ids[index]: float(step.weights[index]) for index in labels_kept(step.array)},
        )
        for step in best.refined.path
    )
    margins = best.matrix.differences[: best.train] @ weights
    known = best.matrix.known[: best.train]
    return LearnedSparse(
        dimensions,
        Learning(
            judge=session.judge.name,
            c=best.refined.step.c,
            candidates=len(best.pool),
            weights={ids[index]: float(weights[index]) for index in order},
            path=path,
            rounds=tuple(records),
        ),
        heard,
        tuple(looked_at),
        tuple(train[int(row)].id for row in np.flatnonzero(known & (margins <= 0))),
    )


FALLBACK = "Criteria"
"""The dimension of criteria that the judge could not put into any."""


async def _dimensions(
    session: JudgeSession, task: Task, recipe: SparseRecipe, kept: Sequence[tuple[Draft, Criterion]]
) -> tuple[Dimension, ...]:
    """The kept criteria in dimensions as the judge groups them, in its order; their words stay as scored."""
    request = StructureRequest(task, tuple(draft for draft, _ in kept), recipe.dimensions)
    structure = await session.structure(request)
    homes: dict[int, str] = {}
    described: dict[str, str] = {}
    if structure.outcome is Outcome.OK:
        for dimension in structure.dimensions[: recipe.dimensions]:
            described.setdefault(dimension.name, dimension.description)
            for group in dimension.criteria:
                homes |= dict.fromkeys(group.members, dimension.name)
    grouped: dict[str, list[Criterion]] = {name: [] for name in described}
    for index, (_, criterion) in enumerate(kept):
        grouped.setdefault(homes.get(index, FALLBACK), []).append(criterion)
    dimensions: list[Dimension] = []
    for name, criteria in grouped.items():
        if criteria:
            unique = unique_slug(name, {each.id for each in dimensions})
            dimensions.append(Dimension(unique, name, tuple(criteria), described.get(name, "")))
    return tuple(dimensions)
