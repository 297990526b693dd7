"""The prompts that judge: two images against each other, several in order, one by itself."""

from __future__ import annotations

from arrkit.judge.answers.schemas import (
    LETTERS,
    Schema,
    ranking_schema,
    scores_schema,
    verdict_schema,
)
from arrkit.judge.prompts.parts import (
    Form,
    Prompt,
    Shown,
    criterion_text,
    item,
    letters,
    listed,
    rubric_text,
    sections,
    skeleton,
)
from arrkit.judge.prompts.wording import Wording
from arrkit.judge.protocol import CompareRequest, RankRequest, ScoreRequest
from arrkit.judge.transport import Question, TextPart
from arrkit.rubric.model import Criterion

CHOICE_LABELS = ("A", "B", "tie")
CRITERION_LABELS = ("A", "B", "equal")
YES_LABELS = ("Yes", "No")
OVERALL = "overall"
"""The id of the question for the choice itself; those of criteria are numbered, so they cannot clash."""


def criterion_question_id(index: int) -> str:
    """The id of the question on the rubric's criterion ``index``."""
    return f"c{index + 1}"


def compare_prompt(
    request: CompareRequest, shown: Shown, wording: Wording, form: Form, criterion: Criterion | None = None
) -> Prompt:
    """Which of two images is better; in the form ``word`` by ``criterion`` alone where one is given."""
    criteria = [entry.id for dimension in request.dimensions for entry in dimension.criteria]
    judging = [wording.seeing[request.task]]
    if criteria:
        judging.append(wording.under_rubric)
    else:
        judging.append(wording.aims[request.task])
    judging += [
        wording.unbiased[request.task],
        wording.text_is_evidence[request.task],
        wording.ties[request.task],
    ]
    schema = verdict_schema(criteria)
    shape = [wording.reasoning_shape[request.task]]
    if criteria:
        shape += [wording.verdict_criteria_shape[request.task], wording.override_shape[request.task]]
    shape.append(wording.verdict_shape)
    system = sections(
        wording.compare_role[request.task],
        listed(wording.judging, judging),
        rubric_text(request.dimensions, wording) if criteria else "",
        _answer(shape, schema, wording, form),
    )
    parts = item(request.prompt, request.task, shown, letters(request.task, wording, 2), wording)
    if form is Form.QUESTIONS:
        return Prompt(system, tuple(parts))
    if form is Form.WORD and criterion is not None:
        closing = wording.choose_criterion_closing[request.task].format(
            criterion=criterion_text(criterion, wording)
        )
        return Prompt(system, (*parts, TextPart(closing)), labels=CRITERION_LABELS)
    if form is Form.WORD:
        return Prompt(system, (*parts, TextPart(wording.choose_closing[request.task])), labels=CHOICE_LABELS)
    return Prompt(system, (*parts, TextPart(wording.compare_closing[request.task])), schema, "verdict")


def compare_questions(request: CompareRequest, wording: Wording) -> tuple[Question, ...]:
    """The questions of a decision endpoint: the choice, then one for each criterion."""
    criteria = [entry for dimension in request.dimensions for entry in dimension.criteria]
    return (
        Question(OVERALL, wording.choose_question[request.task], CHOICE_LABELS),
        *(
            Question(
                criterion_question_id(index),
                wording.criterion_question[request.task].format(criterion=criterion_text(criterion, wording)),
                CRITERION_LABELS,
            )
            for index, criterion in enumerate(criteria)
        ),
    )


def rank_prompt(request: RankRequest, shown: Shown, wording: Wording, form: Form) -> Prompt:
    """In which order 3 to 8 images stand, best first. Only as an object or by a skeleton."""
    criteria = [entry.id for dimension in request.dimensions for entry in dimension.criteria]
    count = len(request.candidates)
    judging = [wording.seeing[request.task]]
    if criteria:
        judging.append(wording.under_rubric)
    else:
        judging.append(wording.aims[request.task])
    judging += [wording.unbiased_many[request.task], wording.text_is_evidence[request.task]]
    schema = ranking_schema(criteria, count)
    shape = [wording.reasoning_shape[request.task]]
    if criteria:
        shape.append(wording.ranking_criteria_shape[request.task])
    shape.append(wording.ranking_shape[request.task])
    system = sections(
        wording.rank_role[request.task],
        listed(wording.judging, judging),
        rubric_text(request.dimensions, wording) if criteria else "",
        _answer(shape, schema, wording, form),
    )
    closing = wording.rank_closing[request.task].format(letters=", ".join(LETTERS[:count]))
    parts = item(request.prompt, request.task, shown, letters(request.task, wording, count), wording)
    return Prompt(system, (*parts, TextPart(closing)), schema, "ranking")


def score_prompt(
    request: ScoreRequest,
    shown: Shown,
    wording: Wording,
    form: Form,
    *,
    criterion: Criterion | None = None,
    scale: tuple[int, int] = (0, 10),
) -> Prompt:
    """How well one image meets each criterion, or in the form ``word`` whether it meets ``criterion``.

    Words and questions carry their criterion themselves, so the rubric stands in front only for an object.
    """
    criteria = [entry.id for dimension in request.dimensions for entry in dimension.criteria]
    written = form in (Form.OBJECT, Form.SKELETON)
    low, high = scale
    schema = scores_schema(criteria, low, high)
    shape = [
        wording.criteria_evidence_shape[request.task],
        wording.scores_shape[request.task].format(low=low, high=high),
    ]
    system = sections(
        wording.score_role[request.task],
        listed(
            wording.judging,
            [
                wording.seeing[request.task],
                wording.under_rubric_score,
                wording.text_is_evidence[request.task],
            ],
        ),
        rubric_text(request.dimensions, wording) if written else "",
        _answer(shape, schema, wording, form),
    )
    parts = item(request.prompt, request.task, shown, [wording.judged_image[request.task]], wording)
    if form is Form.QUESTIONS:
        return Prompt(system, tuple(parts))
    if form is Form.WORD and criterion is not None:
        closing = wording.yes_closing[request.task].format(criterion=criterion_text(criterion, wording))
        return Prompt(system, (*parts, TextPart(closing)), labels=YES_LABELS)
    return Prompt(system, (*parts, TextPart(wording.score_closing[request.task])), schema, "scores")


def score_questions(request: ScoreRequest, wording: Wording) -> tuple[Question, ...]:
    """The questions of a decision endpoint: one yes or no for each criterion."""
    criteria = [entry for dimension in request.dimensions for entry in dimension.criteria]
    return tuple(
        Question(
            criterion_question_id(index),
            wording.yes_question[request.task].format(criterion=criterion_text(criterion, wording)),
        )
        for index, criterion in enumerate(criteria)
    )


def _answer(shape: list[str], schema: Schema, wording: Wording, form: Form) -> str:
    if form is Form.WORD:
        return f"{wording.answer_title}\n{wording.word_answer}"
    if form is Form.QUESTIONS:
        return f"{wording.answer_title}\n{wording.short_answers}"
    example = skeleton(schema, wording) if form is Form.SKELETON else ""
    return sections("\n".join([wording.answer_title, *shape]), example)
