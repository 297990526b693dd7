"""What Gemini says, from JSON to a :class:`~arrkit.judge.transport.Reply`. Pure.

Read from the JSON and not through the SDK's types: those warn of every finish reason newer than themselves
and turn what they cannot read into None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from arrkit.backends.judges.labels import label_probabilities
from arrkit.backends.judges.reading import count, number, rows, table, words
from arrkit.canonical import Json
from arrkit.judge.protocol import Usage
from arrkit.judge.transport import ErrorKind, Finish, Question, Reply, TransportError

_STOPPED = frozenset({"STOP", "FINISH_REASON_UNSPECIFIED", ""})
# CONTINUATION is a pause that arrkit does not resume, so that cost and time stay bounded.
_CUT = frozenset({"MAX_TOKENS", "CONTINUATION"})
_FILTERED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "ESCALATION",
        "MODEL_ARMOR",
    }
    | {"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"}
)
_DISABLED = "PUP_LIMITED_DISABLED"


def generate_reply(
    body: Mapping[str, Json],
    labels: Sequence[str],
    *,
    host: str,
    seconds: float | None = None,
    tier: str = "",
) -> Reply:
    """The answer in a ``GenerateContentResponse``.

    ``labels`` are the words whose probabilities were asked for. Raises ``TransportError`` where the answer is
    none: the model gave up for a reason that may not last, or for one that nobody here knows.
    """
    usage = generate_usage(body, seconds)
    model = words(body.get("modelVersion"))
    request_id = words(body.get("responseId"))
    candidate = table(next(iter(rows(body.get("candidates"))), None))
    blocked = words(table(body.get("promptFeedback")).get("blockReason"))
    if not candidate and blocked:
        return Reply(
            Finish.FILTER, refusal=blocked, usage=usage, model=model, request_id=request_id, tier=tier
        )
    text = "".join(_texts(candidate))
    reason = words(candidate.get("finishReason"))
    finish = _finish(reason)
    if not candidate or finish is None or (not reason and not text):
        raise _no_answer(reason, words(candidate.get("finishMessage")), host, request_id, usage)
    shares: dict[str, float] = {}
    mass: float | None = None
    if labels and finish in (Finish.STOP, Finish.LENGTH):
        # One token was asked for, so running out of room after it is how such an answer ends.
        finish = Finish.STOP
        result = candidate.get("logprobsResult")
        if not isinstance(result, Mapping):
            raise no_probabilities(host, model, request_id, usage)
        shares, mass = label_probabilities(labels, _alternatives(result))
    return Reply(
        finish,
        text,
        reason if finish is Finish.FILTER else "",
        shares,
        mass,
        usage=usage,
        model=model,
        request_id=request_id,
        tier=tier,
    )


def generate_usage(body: Mapping[str, Json], seconds: float | None = None) -> Usage:
    """The tokens that were used; what is not reported stays unknown.

    Gemini counts thoughts beside the candidates and bills both as output: here they are one, as with others.
    """
    usage = table(body.get("usageMetadata"))
    prompt = count(usage.get("promptTokenCount"))
    written = count(usage.get("candidatesTokenCount"))
    thoughts = count(usage.get("thoughtsTokenCount"))
    total = count(usage.get("totalTokenCount"))
    output: int | None = None
    if written is not None or thoughts is not None:
        output = (written or 0) + (thoughts or 0)
    elif total is not None and prompt is not None:
        # Counts of zero are left out of the JSON; the total tells them from unknown ones.
        output = max(0, total - prompt)
    return Usage(
        input_tokens=prompt,
        cached_tokens=count(usage.get("cachedContentTokenCount")),
        output_tokens=output,
        reasoning_tokens=thoughts,
        seconds=seconds,
    )


def decision_reply(
    body: Mapping[str, Json],
    questions: Sequence[Question],
    *,
    model: str,
    host: str,
    request_id: str = "",
    seconds: float | None = None,
) -> Reply:
    """What was decided. A question without a usable answer is left out; all of them are, where the input was
    blocked.

    Raises ``TransportError`` where no question was answered and nothing says why.
    """
    usage = decision_usage(body, seconds)
    blocked = words(table(body.get("prompt_feedback")).get("block_reason"))
    if blocked:
        return Reply(Finish.FILTER, refusal=blocked.upper(), usage=usage, model=model, request_id=request_id)
    given = table(body.get("answers"))
    answers: dict[str, dict[str, float]] = {}
    for question in questions:
        shares = _shares(question, table(given.get(question.id)))
        if shares is not None:
            answers[question.id] = shares
    if questions and not answers:
        raise _no_answer("", "", host, request_id, usage)
    return Reply(Finish.STOP, answers=answers, usage=usage, model=model, request_id=request_id)


def decision_usage(body: Mapping[str, Json], seconds: float | None = None) -> Usage:
    usage = table(body.get("usage"))
    written = count(usage.get("total_output_tokens"))
    thoughts = count(usage.get("total_thought_tokens"))
    return Usage(
        input_tokens=count(usage.get("total_input_tokens")),
        cached_tokens=count(usage.get("total_cached_tokens")),
        output_tokens=None if written is None and thoughts is None else (written or 0) + (thoughts or 0),
        reasoning_tokens=thoughts,
        seconds=seconds,
    )


def no_probabilities(host: str, model: str, request_id: str, usage: Usage) -> TransportError:
    """The error for an answer that lacks the token probabilities it was asked for."""
    return TransportError(
        ErrorKind.REJECTED,
        f"{host} gave no token probabilities for {model or 'this model'}",
        remedy="Score by generated verdicts instead: --scoring generate.",
        request_id=request_id,
        usage=usage,
    )


def _finish(reason: str) -> Finish | None:
    if reason in _STOPPED:
        return Finish.STOP
    if reason in _CUT:
        return Finish.LENGTH
    return Finish.FILTER if reason in _FILTERED else None


def _no_answer(reason: str, message: str, host: str, request_id: str, usage: Usage) -> TransportError:
    # OTHER, MALFORMED_RESPONSE and whatever may be new: with those that are known, asking again helps.
    disabled = reason == _DISABLED
    said = (
        f"{host} stopped without an answer: {reason}"
        if reason
        else f"{host} answered without an answer in it"
    )
    return TransportError(
        ErrorKind.REJECTED if disabled else ErrorKind.TRANSIENT,
        f"{said} ({message})" if message else said,
        remedy="The account is limited for what it sent before; its owner can appeal." if disabled else "",
        request_id=request_id,
        usage=usage,
    )


def _texts(candidate: Mapping[str, Json]) -> Iterator[str]:
    for part in map(table, rows(table(candidate.get("content")).get("parts"))):
        if part.get("thought") is not True:
            yield words(part.get("text"))


def _alternatives(result: Mapping[str, Json]) -> Iterator[tuple[str, float]]:
    tops = table(next(iter(rows(result.get("topCandidates"))), None))
    # What was chosen may be missing among the top ones.
    for entry in map(table, [*rows(tops.get("candidates")), *rows(result.get("chosenCandidates"))[:1]]):
        logprob = number(entry.get("logProbability"))
        if logprob is not None:
            yield words(entry.get("token")), logprob


def _shares(question: Question, answer: Mapping[str, Json]) -> dict[str, float] | None:
    if not question.options:
        share = number(answer.get("noul"))
        return None if share is None or not 0.0 <= share <= 1.0 else {"yes": share, "no": 1.0 - share}
    given = {key: number(value) for key, value in table(answer.get("probabilities")).items()}
    shares = {option: given.get(option) for option in question.options}
    known = {option: share for option, share in shares.items() if share is not None and 0.0 <= share <= 1.0}
    return known if len(known) == len(question.options) else None
