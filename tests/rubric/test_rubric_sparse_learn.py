"""Sparse learning as a loop: candidates, scores asked once, hard pairs, when it ends, what it keeps."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from scripted import ScriptedJudge, flat, pair, unreadable

from arrkit.data.pairs import Label, Task
from arrkit.errors import InputError, RunError
from arrkit.judge.learning import DiagnoseRequest, ExplainRequest, ExtractRequest
from arrkit.judge.protocol import (
    CriterionScore,
    Draft,
    Outcome,
    Proposal,
    ScoreRequest,
    Scores,
    Structure,
    StructuredCriterion,
    StructuredDimension,
)
from arrkit.judge.session import JudgeSession
from arrkit.rubric.sparse.candidates import Candidate, fold_candidates, gather, usable
from arrkit.rubric.sparse.learn import SparseRecipe, divide, learn_sparse
from arrkit.rubric.sparse.scores import Matrix, ScoreStore, criterion_key, fill_scores

BRIGHT, RED, LUCK, SQUARE = "The image is bright.", "Red is strong.", "It brings luck.", "It is square."


def channel(request: ScoreRequest, index: int) -> float:
    return request.image.load().getpixel((0, 0))[index] / 255


@dataclass
class Painter(ScriptedJudge):
    """Scores the channels of a flat picture; explains by luck, and finds red once it is missing."""

    out: bool = False
    said: list[str] = field(default_factory=lambda: [LUCK, BRIGHT])

    async def score(self, request: ScoreRequest) -> Scores:
        self.requests.append(request)
        if self.out:
            return Scores(Outcome.FAILED, detail="out")
        found = []
        for criterion in (each for dimension in request.dimensions for each in dimension.criteria):
            value = {
                BRIGHT: lambda: sum(request.image.load().getpixel((0, 0))) / 765,
                RED: lambda: channel(request, 0),
                SQUARE: lambda: 1.0,
                LUCK: lambda: None,
            }[criterion.statement]()
            found.append(CriterionScore(criterion.id, value))
        return Scores(Outcome.OK, tuple(found))

    async def explain(self, request: ExplainRequest) -> Proposal:
        self.requests.append(request)
        return Proposal(Outcome.OK, tuple(map(Draft, self.said)))

    async def diagnose(self, request: DiagnoseRequest) -> Proposal:
        self.requests.append(request)
        return Proposal(Outcome.OK, (Draft("It says nothing of red."),))

    async def extract(self, request: ExtractRequest) -> Proposal:
        self.requests.append(request)
        return Proposal(Outcome.OK, (Draft(RED), Draft(f"{BRIGHT} ")))

    def asked(self, kind: type) -> list:
        return [each for each in self.requests if isinstance(each, kind)]


def reds(count=60):
    """Pairs of which people prefer the redder image, which is as often the darker one."""
    dice = np.random.default_rng(0)
    made = []
    for number in range(count):
        one, two = dice.integers(0, 256, 3).tolist(), dice.integers(0, 256, 3).tolist()
        label = Label.A if one[0] > two[0] else Label.B
        made.append(pair(number, label, a=flat(*one), b=flat(*two)))
    return made


def learn(judge, pairs, recipe=None, store=None, **options):
    async def work():
        session = JudgeSession(judge, retries=0)
        made = recipe or SparseRecipe()
        return await learn_sparse(session, pairs, Task.T2I, made, store or ScoreStore(None), **options)

    return asyncio.run(work())


def test_what_the_hard_pairs_show_to_be_missing_gets_the_weight():
    judge = Painter()
    learned = learn(judge, reds())
    first, second = learned.learning.rounds[:2]
    assert first.candidates == 2
    assert second.candidates == 3
    assert first.fresh == 1
    assert sum(first.mined.values()) > 0
    assert second.validation.value > first.validation.value
    assert max(learned.learning.weights, key=learned.learning.weights.get) == "red-is-strong"
    criteria = {each.statement: each for dim in learned.dimensions for each in dim.criteria}
    assert criteria[RED].weight == 1.0
    assert LUCK not in criteria
    reports = [each.report for each in judge.asked(DiagnoseRequest)]
    assert all(BRIGHT in report and "misleads" in report for report in reports[:3])
    assert {each.diagnosis.statement for each in judge.asked(ExtractRequest)} == {"It says nothing of red."}


def test_each_image_is_asked_for_each_criterion_once():
    judge = Painter()
    learn(judge, reds())
    asked = Counter(
        (request.prompt, request.image.digest, each.statement)
        for request in judge.asked(ScoreRequest)
        for dimension in request.dimensions
        for each in dimension.criteria
    )
    assert set(asked.values()) == {1}
    assert len(asked) == 120 * 3
    assert len(judge.asked(ScoreRequest)) == 240, "criteria asked for together go into one request"


def test_a_store_on_disk_answers_the_same_run_again(tmp_path):
    first, again = Painter(), Painter()
    store = ScoreStore(tmp_path / "scores.sqlite")
    one = learn(first, reds(), store=store)
    store.close()
    store = ScoreStore(tmp_path / "scores.sqlite")
    two = learn(again, reds(), store=store)
    store.close()
    assert not again.asked(ScoreRequest)
    assert one.learning == two.learning
    assert one.dimensions == two.dimensions
    other = ScoreStore(tmp_path / "scores.sqlite")
    assert other.column("somebody else", criterion_key(Draft(RED))) == {}
    other.close()


def test_a_file_that_is_no_store_is_refused(tmp_path):
    (tmp_path / "scores.sqlite").write_text("x" * 5000)
    with pytest.raises(InputError, match="not a file of scores"):
        ScoreStore(tmp_path / "scores.sqlite")


def test_exchanging_a_and_b_teaches_the_same():
    pairs = reds()
    turned = [
        pair(number, each.label.swapped, a=each.b, b=each.a) if number % 3 else each
        for number, each in enumerate(pairs)
    ]
    one, two = learn(Painter(), pairs), learn(Painter(), turned)
    assert one.learning.weights == two.learning.weights
    assert one.learning.path == two.learning.path


def test_it_stops_two_rounds_after_the_best_one_and_after_the_rounds():
    once = learn(Painter(), reds(), SparseRecipe(rounds=1))
    assert len(once.learning.rounds) == 1
    assert not once.mined
    full = learn(Painter(), reds(), SparseRecipe(rounds=9))
    assert [each.fresh for each in full.learning.rounds] == [1, 0], "no pair is ranked wrongly any more"
    wayward = [
        replace(each, label=each.label.swapped) if n % 7 == 0 else each for n, each in enumerate(reds())
    ]
    tried = learn(Painter(), wayward, SparseRecipe(rounds=9)).learning.rounds
    assert [each.fresh for each in tried] == [1, 0, 0, 0], "two rounds after the best one"
    assert [sum(each.mined.values()) > 0 for each in tried] == [True, True, True, False]


def test_a_judge_that_only_proposes_and_refines_will_do():
    class Plain(ScriptedJudge):
        score = Painter.score
        out = False

    judge = Plain(
        proposes=lambda request: Proposal(Outcome.OK, (Draft(BRIGHT),)),
        refines=lambda request: Proposal(Outcome.OK, (Draft(RED),)),
    )
    learned = learn(judge, reds())
    assert max(learned.learning.weights, key=learned.learning.weights.get) == "red-is-strong"


def test_answers_that_fail_leave_gaps_and_no_zeros():
    async def work(judge, store):
        session = JudgeSession(judge, retries=0)
        return await fill_scores(session, store, reds(4), [Draft(RED), Draft(LUCK)])

    store = ScoreStore(None)
    broken = asyncio.run(work(Painter(out=True), store))
    assert not broken.known.any()
    assert np.isnan(broken.preferred).all()
    mended = asyncio.run(work(Painter(), store))
    assert mended.known.all()
    assert (mended.differences[:, 0] > 0).all()
    assert (mended.differences[:, 1] == 0).all(), "what cannot be told says nothing"
    preferred, other = mended.rewards(np.array([1.0, 5.0]))
    assert np.allclose(preferred - other, mended.differences[:, 0])


def test_a_score_of_one_image_alone_counts_for_neither():
    matrix = Matrix(np.array([[0.9, np.nan]]), np.array([[0.2, 0.8]]))
    assert matrix.differences.tolist() == [[0.9 - 0.2, 0.0]]
    preferred, other = matrix.rewards(np.array([1.0, 1.0]))
    assert (preferred.tolist(), other.tolist()) == ([0.9], [0.2])


def test_without_any_score_or_statement_there_is_no_rubric():
    with pytest.raises(RunError, match="scored no training pair"):
        learn(Painter(out=True), reds())
    with pytest.raises(RunError, match="gave a statement"):
        learn(Painter(said=["Image A is brighter."]), reds(8))
    with pytest.raises(RunError, match="tells preferred images from others"):
        learn(Painter(said=[SQUARE]), reds(8), SparseRecipe(rounds=1))


def test_an_unreadable_image_spoils_its_pair_alone_unless_strict():
    pairs = [*reds(), pair(99, a=unreadable())]
    learned = learn(Painter(), pairs)
    assert "red-is-strong" in learned.learning.weights
    with pytest.raises(InputError, match=r"gone\.png"):
        learn(Painter(), [pair(99, a=unreadable(), prompt="picture 1"), *reds(3)], strict=True)


def test_a_prompt_trains_or_validates():
    pairs = [pair(number, prompt=f"p{number // 3}") for number in range(30)]
    train, validation = divide(pairs, 0.25, 0)
    assert {each.prompt for each in train}.isdisjoint(each.prompt for each in validation)
    assert len(validation) == 9
    assert divide(pairs[:3], 0.25, 0) == (pairs[:3], [])
    assert divide(pairs, 0.25, 1) != divide(pairs, 0.25, 0)


def test_duplicates_are_folded_and_known_statements_keep_their_words():
    def folded(known, fresh, structures=None, most=10):
        judge = ScriptedJudge(**({"structures": structures} if structures else {}))
        work = fold_candidates(JudgeSession(judge), known, fresh, Task.T2I, most=most)
        return asyncio.run(work)

    heard = [
        type("H", (), {"pair": pair(n), "drafts": (Draft(s),)})()
        for n, s in enumerate([BRIGHT, "the image is  BRIGHT", RED])
    ]
    fresh = gather(heard)
    assert [len(each.sources) for each in fresh] == [2, 1]
    known = (Candidate(Draft(BRIGHT), ("old",)),)
    grown = folded(known, fresh)
    assert [each.draft.statement for each in grown] == [BRIGHT, RED]
    assert grown[0].sources == ("old", "pair-0", "pair-1")

    def fails(request):
        return Structure(Outcome.FAILED, detail="out")

    def alike(request):
        one = StructuredCriterion("Light and red.", tuple(range(len(request.pool))), "Look.")
        return Structure(Outcome.OK, (StructuredDimension("All", (one,)),))

    (only,) = folded(known, fresh, alike)
    assert (only.draft.statement, only.sources) == (BRIGHT, ("old", "pair-0", "pair-1", "pair-2"))
    (joined,) = folded((), fresh, alike)
    assert (joined.draft.statement, joined.draft.guidance) == ("Light and red.", "Look.")
    assert [each.draft.statement for each in folded((), fresh, fails)] == [BRIGHT, RED]
    assert [each.draft.statement for each in folded((), fresh, most=1)] == [BRIGHT]
    assert usable((Draft("Image A is brighter."), Draft(" "), Draft(RED))) == (Draft(RED),)
