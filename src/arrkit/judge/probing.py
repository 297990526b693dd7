"""Judgments by probability: a decision endpoint's questions, or the likely first words of an answer.

Both give shares of A, B and tie for a pair, and of yes and no for a criterion. A decision endpoint answers
all questions in one request. One word is one request: the criteria of a pair are asked for their own sake
only where findings are wanted.
"""

from __future__ import annotations

from collections.abc import Mapping

from arrkit.concurrency import together
from arrkit.judge.answers.read import ANSWERS, SIDES
from arrkit.judge.asking import Ended, Inquiry, word_sampling
from arrkit.judge.choices import Scoring
from arrkit.judge.prompts.parts import Form, Shown
from arrkit.judge.prompts.verdicts import (
    OVERALL,
    compare_prompt,
    compare_questions,
    criterion_question_id,
    score_prompt,
    score_questions,
)
from arrkit.judge.protocol import (
    Answer,
    CompareRequest,
    CriterionScore,
    Finding,
    Outcome,
    ScoreRequest,
    Scores,
    Side,
    Verdict,
)
from arrkit.judge.scoring import likeliest
from arrkit.rubric.model import Criterion

NAMES = {"A": "first", "B": "second"}


async def decide_pair(inquiry: Inquiry, request: CompareRequest, shown: Shown) -> Verdict:
    """A verdict, with all findings, from a decision endpoint."""
    prompt = compare_prompt(request, shown, inquiry.wording, Form.QUESTIONS)
    answers = await inquiry.decide(prompt, compare_questions(request, inquiry.wording))
    if OVERALL not in answers:
        raise Ended(Outcome.REFUSED, "the question which candidate is better was refused")
    findings = tuple(
        _finding(criterion.id, answers.get(criterion_question_id(index)))
        for index, criterion in enumerate(_criteria(request))
    )
    return _verdict(inquiry, Scoring.DECISION, answers[OVERALL], findings)


async def probe_pair(inquiry: Inquiry, request: CompareRequest, shown: Shown, *, findings: bool) -> Verdict:
    """A verdict from the probabilities of A, B and tie; with ``findings`` one more request a criterion."""
    sampling = word_sampling(inquiry.profile)
    criteria = _criteria(request) if findings else []
    prompts = [
        compare_prompt(request, shown, inquiry.wording, Form.WORD, criterion)
        for criterion in (None, *criteria)
    ]
    chosen, *found = await together(inquiry.word(prompt, sampling) for prompt in prompts)
    by_criterion = tuple(
        _finding(criterion.id, part) for criterion, part in zip(criteria, found, strict=True)
    )
    return _verdict(inquiry, Scoring.LOGPROB, chosen, by_criterion)


async def decide_scores(inquiry: Inquiry, request: ScoreRequest, shown: Shown) -> Scores:
    """P(yes) for each criterion from a decision endpoint; None for a question that it refused."""
    prompt = score_prompt(request, shown, inquiry.wording, Form.QUESTIONS)
    answers = await inquiry.decide(prompt, score_questions(request, inquiry.wording))
    scores = []
    for index, criterion in enumerate(_criteria(request)):
        found = answers.get(criterion_question_id(index))
        scores.append(
            CriterionScore(criterion.id, None, "refused")
            if found is None
            else CriterionScore(criterion.id, found["yes"])
        )
    return Scores(Outcome.OK, tuple(scores), usage=inquiry.usage, basis=inquiry.basis(Scoring.DECISION))


async def probe_scores(inquiry: Inquiry, request: ScoreRequest, shown: Shown) -> Scores:
    """P(yes) for each criterion from the probabilities of Yes and No, one request each."""
    sampling = word_sampling(inquiry.profile)
    criteria = _criteria(request)
    prompts = [
        score_prompt(request, shown, inquiry.wording, Form.WORD, criterion=criterion)
        for criterion in criteria
    ]
    found = await together(inquiry.word(prompt, sampling) for prompt in prompts)
    scores = tuple(
        CriterionScore(criterion.id, part["Yes"]) for criterion, part in zip(criteria, found, strict=True)
    )
    return Scores(Outcome.OK, scores, usage=inquiry.usage, basis=inquiry.basis(Scoring.LOGPROB))


def _criteria(request: CompareRequest | ScoreRequest) -> list[Criterion]:
    return [criterion for dimension in request.dimensions for criterion in dimension.criteria]


def _verdict(
    inquiry: Inquiry, mode: Scoring, chosen: Mapping[str, float], findings: tuple[Finding, ...]
) -> Verdict:
    side: Side | None = SIDES[likeliest(chosen, "tie")]
    return Verdict(
        Outcome.TIE if side is None else Outcome.OK,
        side,
        findings,
        f"Probabilities: {_said(chosen)}.",
        usage=inquiry.usage,
        basis=inquiry.basis(mode, chosen),
    )


def _finding(criterion: str, found: Mapping[str, float] | None) -> Finding:
    if found is None:
        return Finding(criterion, Answer.CANNOT_TELL, note="refused")
    return Finding(criterion, ANSWERS[likeliest(found, "equal")], note=_said(found))


def _said(found: Mapping[str, float]) -> str:
    # By place and not by letter: a reader of the report knows the images by other letters.
    return ", ".join(f"{NAMES.get(word, word)} {share:.2f}" for word, share in found.items())
