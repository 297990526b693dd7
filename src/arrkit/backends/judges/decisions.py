"""Decision endpoints: questions over one shared input, answered with probabilities and no prose. Pure.

OpenAI's ``/v1/decisions`` lists questions and answers in one order; vLLM's ``/v1/systemone`` maps ids to both
and takes images beside the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from arrkit.backends.judges.bodies import data_url
from arrkit.backends.judges.reading import number, rows, table, words
from arrkit.backends.judges.responses import input_parts, token_usage
from arrkit.backends.judges.wire import Answered
from arrkit.canonical import Json
from arrkit.judge.transport import DecideRequest, Finish, ImagePart, Question, Reply

DECISIONS_PATH = "/decisions"
SYSTEMONE_PATH = "/systemone"


def decisions_body(model: str, request: DecideRequest, *, detail: str = "auto") -> dict[str, Json]:
    """The body of OpenAI's ``POST /v1/decisions``."""
    lead: list[Json] = []
    if request.system:
        lead = [{"role": "developer", "content": [{"type": "input_text", "text": request.system}]}]
    return {
        "model": model,
        "input": [*lead, {"role": "user", "content": input_parts(request.parts, detail=detail)}],
        "questions": [_question(question) for question in request.questions],
    }


def _question(question: Question) -> dict[str, Json]:
    asked: dict[str, Json] = {"name": question.id, "instructions": question.text}
    if question.options:
        return {"type": "choice", **asked, "choices": [{"value": option} for option in question.options]}
    return {"type": "predicate", **asked}


def decisions_reply(answered: Answered, questions: Sequence[Question]) -> Reply:
    """What was decided. A question whose answer is a refusal, or lacks a probability, is left out."""
    answers: dict[str, dict[str, float]] = {}
    for question, answer in zip(questions, map(table, rows(answered.body.get("answers"))), strict=False):
        named = answer.get("name")
        if isinstance(named, str) and named != question.id:
            continue
        if not question.options and answer.get("type") == "predicate":
            _yes_or_no(answers, question, number(answer.get("probability")))
        elif question.options and answer.get("type") == "choice":
            given = {
                words(table(entry).get("value")): number(table(entry).get("probability"))
                for entry in rows(answer.get("probabilities"))
            }
            _choice(answers, question, given)
    return _reply(answered, answers)


def systemone_body(model: str, request: DecideRequest) -> dict[str, Json]:
    """The body of vLLM's ``POST /v1/systemone``: text in order, with the place of each image marked in it."""
    images: list[Json] = []
    lines = [request.system] if request.system else []
    for part in request.parts:
        if isinstance(part, ImagePart):
            images.append(data_url(part))
            lines.append(f"[image {len(images)}]")
        else:
            lines.append(part.text)
    questions: dict[str, Json] = {}
    for question in request.questions:
        asked: dict[str, Json] = {
            "type": "choice" if question.options else "noul",
            "instructions": question.text,
        }
        if question.options:
            asked["criteria"] = dict.fromkeys(question.options)
        questions[question.id] = asked
    body: dict[str, Json] = {"model": model, "state": "\n\n".join(lines), "questions": questions}
    if images:
        body["images"] = images
    return body


def systemone_reply(answered: Answered, questions: Sequence[Question]) -> Reply:
    """What was decided; a question without a usable answer is left out."""
    given = table(answered.body.get("answers"))
    answers: dict[str, dict[str, float]] = {}
    for question in questions:
        answer = table(given.get(question.id))
        if question.options:
            shares = {key: number(value) for key, value in table(answer.get("probabilities")).items()}
            _choice(answers, question, shares)
        else:
            _yes_or_no(answers, question, number(answer.get("noul")))
    return _reply(answered, answers)


def _yes_or_no(answers: dict[str, dict[str, float]], question: Question, share: float | None) -> None:
    if share is not None and 0.0 <= share <= 1.0:
        answers[question.id] = {"yes": share, "no": 1.0 - share}


def _choice(
    answers: dict[str, dict[str, float]], question: Question, given: Mapping[str, float | None]
) -> None:
    shares = {option: given.get(option) for option in question.options}
    known = {option: share for option, share in shares.items() if share is not None and 0.0 <= share <= 1.0}
    if len(known) == len(question.options):
        answers[question.id] = known


def _reply(answered: Answered, answers: Mapping[str, Mapping[str, float]]) -> Reply:
    return Reply(
        Finish.STOP,
        answers=answers,
        usage=token_usage(answered.body, answered.seconds),
        model=words(answered.body.get("model")),
        request_id=answered.request_id or words(answered.body.get("id")),
    )
