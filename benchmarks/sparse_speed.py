"""What ``rubric build --method sparse`` costs of our own time, the judge's apart.

The judge answers at once, a criterion an answer's worth of arithmetic, through the same session, journal and
store of scores as any other: 60 candidates on 256 pairs are to take under a minute, scoring, fitting, hard
pairs and a second round included. The refiner alone, with its whole path, is to take under 2 s on 2,000 pairs
under 500 criteria. Times are processor time of this process.

python benchmarks/sparse_speed.py
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from arrkit.data.pairs import Label, Picture, PreferencePair, Task
from arrkit.judge.protocol import (
    CompareRequest,
    CriterionScore,
    Draft,
    Outcome,
    Proposal,
    ProposeRequest,
    RefineRequest,
    ScoreRequest,
    Scores,
    Structure,
    StructuredCriterion,
    StructuredDimension,
    StructureRequest,
    Verdict,
)
from arrkit.judge.session import JudgeSession
from arrkit.rubric.sparse.learn import LearnedSparse, SparseRecipe, learn_sparse
from arrkit.rubric.sparse.refiner import refine_weights
from arrkit.rubric.sparse.scores import ScoreStore
from arrkit.runs.journal import Journal
from common import Bar, Result, main

PAIRS = 256
CANDIDATES = 60
REFINER = (2000, 500)


@dataclass
class InstantJudge:
    """Scores by a hash of picture and statement; the first statements agree with people."""

    name: str = "instant"

    async def compare(self, request: CompareRequest) -> Verdict:  # noqa: ARG002  nothing is compared
        return Verdict(Outcome.TIE)

    async def score(self, request: ScoreRequest) -> Scores:
        level = request.image.load().getpixel((0, 0))[0] / 255  # type: ignore[union-attr, index]
        found = []
        for criterion in request.dimensions[0].criteria:
            number = int(criterion.statement.split()[1])
            noise = (int(request.image.digest[:8], 16) * (number + 1) * 2654435761 % 2**32) / 2**32
            share = 0.9 / (1 + number)
            found.append(CriterionScore(criterion.id, share * level + (1 - share) * noise))
        return Scores(Outcome.OK, tuple(found))

    async def propose(self, request: ProposeRequest) -> Proposal:
        start = int(request.first.digest[:8], 16) % CANDIDATES
        numbers = [(start + step) % CANDIDATES for step in range(request.count)]
        return Proposal(Outcome.OK, tuple(Draft(f"Statement {number} holds.") for number in numbers))

    async def refine(self, request: RefineRequest) -> Proposal:
        start = CANDIDATES + int(request.proposed.first.digest[:8], 16) % CANDIDATES
        return Proposal(Outcome.OK, (Draft(f"Statement {start} holds."),))

    async def structure(self, request: StructureRequest) -> Structure:
        criteria = tuple(StructuredCriterion(each.statement, (at,)) for at, each in enumerate(request.pool))
        return Structure(Outcome.OK, (StructuredDimension("All", criteria),))

    async def aclose(self) -> None:
        return None


def pairs() -> list[PreferencePair]:
    """Pairs of pictures of one grey each, the lighter of which people preferred, but for one in ten."""
    dice = np.random.default_rng(0)
    made = []
    for number in range(PAIRS):
        levels = dice.integers(0, 256, 2)
        images = [
            Picture(
                f"{number}-{side}",
                lambda level=int(level), at=number: Image.new("RGB", (8, 8), (level, at % 256, at // 256)),
            )
            for side, level in zip("ab", levels, strict=True)
        ]
        lighter = Label.A if levels[0] > levels[1] else Label.B
        label = lighter.swapped if dice.random() < 0.1 else lighter
        made.append(PreferencePair(f"p{number}", Task.T2I, f"prompt {number}", *images, label))
    return made


def learning(folder: Path) -> tuple[float, LearnedSparse]:
    """Processor time of learning from all pairs in two rounds, and what came of it."""

    async def work() -> LearnedSparse:
        store = ScoreStore(folder / "scores.sqlite")
        with Journal(folder / "journal.jsonl") as journal:
            session = JudgeSession(InstantJudge(), journal)
            try:
                recipe = SparseRecipe(rounds=2, candidates=CANDIDATES)
                return await learn_sparse(session, pairs(), Task.T2I, recipe, store)
            finally:
                store.close()

    start = time.process_time()
    learned = asyncio.run(work())
    return time.process_time() - start, learned


def refining() -> float:
    """Processor time of the refiner with its path."""
    count, criteria = REFINER
    dice = np.random.default_rng(0)
    rows = dice.random((count, criteria)) - dice.random((count, criteria))
    weights = np.zeros(criteria)
    weights[:10] = 2.0
    labels = np.where(dice.random(count) < 1 / (1 + np.exp(-(rows @ weights))), 1.0, -1.0)
    rows *= labels[:, None]
    refine_weights(rows[:100], rows[100:150], top=10)  # imports
    start = time.process_time()
    refine_weights(rows[: count * 3 // 4], rows[count * 3 // 4 :], top=10)
    return time.process_time() - start


def measure() -> list[Result]:
    """Seconds, as ratios to one second."""
    with tempfile.TemporaryDirectory() as temporary:
        seconds, learned = learning(Path(temporary))
    scored = learned.learning.candidates
    refiner = refining()
    return [
        Result(
            "seconds of our own to learn from 256 pairs under 60 candidates",
            seconds,
            60.0,
            Bar.AT_MOST,
            f"{PAIRS} pairs, {scored} candidates in the end, {len(learned.learning.rounds)} rounds",
        ),
        Result(
            "seconds of the refiner on 2,000 pairs under 500 criteria",
            refiner,
            2.0,
            Bar.AT_MOST,
            "the whole path and the pruning, a quarter of the pairs for validation",
        ),
    ]


if __name__ == "__main__":
    sys.exit(main(measure))
