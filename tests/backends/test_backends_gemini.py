"""The ``gemini`` transport, through the real SDK, against a loopback server."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
from loopback import HANG_UP, Action, as_json
from wire_gemini import (
    USAGE,
    Wire,
    answer,
    blocked,
    camel,
    candidate,
    config_of,
    decision,
    failure,
    images_of,
    parts_of,
    response,
    system_of,
    throttled,
)

from arrkit.backends.judges.gemini import GeminiTransport
from arrkit.backends.judges.gemini_request import dialect
from arrkit.backends.registry import make_judge
from arrkit.canonical import Json
from arrkit.errors import InputError
from arrkit.judge.protocol import Usage
from arrkit.judge.transport import (
    DecideRequest,
    ErrorKind,
    Finish,
    GenerateRequest,
    ImagePart,
    Question,
    Reply,
    Sampling,
    TextPart,
    Transport,
    TransportError,
)

Result = TypeVar("Result")

KEY = "AIzaPlantedKeyThatMustNotShow0123456789"
ONE = ImagePart(b"\xff\xfe\xfd one", "image/jpeg", 40, 30)
TWO = ImagePart(b"\x89PNG two", "image/png", 30, 40)
SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {
        "reasoning": {"type": "string"},
        "overall": {"type": "string", "enum": ["A", "B"]},
    },
    "required": ["reasoning", "overall"],
    "additionalProperties": False,
}
PAIR = GenerateRequest(
    "The rubric.", (TextPart("Image A:"), ONE, TextPart("Image B:"), TWO, TextPart("Answer.")), schema=SCHEMA
)
LABELS = GenerateRequest("The rubric.", (ONE, TextPart("Is it red?")), labels=("Yes", "No"))
DECIDE = DecideRequest(
    "The rubric.",
    (TextPart("Image A:"), ONE),
    (Question("red", "Is it red?"), Question("best", "Which is best?", ("A", "B", "tie"))),
)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as server:
        yield server


def ask(
    wire: Wire,
    use: Callable[[GeminiTransport], Awaitable[Result]],
    model: str = "gemini-3.5-flash",
    **options: str,
) -> Result:
    """What ``use`` makes of a transport to ``wire``, which is closed afterwards."""

    async def main() -> Result:
        query = "&".join(f"{key}={value}" for key, value in {"base_url": wire.url, **options}.items())
        transport = make_judge(f"gemini:{model}?{query}")
        assert isinstance(transport, GeminiTransport)
        try:
            return await use(transport)
        finally:
            await transport.aclose()

    return asyncio.run(main())


def generate(wire: Wire, request: GenerateRequest = PAIR, **options: str) -> Reply:
    return ask(wire, lambda transport: transport.generate(request), **options)


def decide(wire: Wire, request: DecideRequest = DECIDE) -> Reply:
    return ask(wire, lambda transport: transport.decide(request), model="gemini-decision-1")


def fails(wire: Wire, *actions: Action, use: Callable[[Wire], object] = generate) -> TransportError:
    wire.script(*actions)
    with pytest.raises(TransportError) as caught:
        use(wire)
    assert KEY not in repr(caught.value)
    assert caught.value.__cause__ is None, "the SDK's exception holds the request and its key"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


def test_a_request_is_the_static_text_then_the_parts_in_order(wire: Wire) -> None:
    reply = generate(wire)
    (seen,) = wire.requests
    assert seen.path == "/v1beta/models/gemini-3.5-flash:generateContent"
    assert seen.headers["x-goog-api-key"] == KEY
    assert system_of(seen) == "The rubric."
    assert [part.get("text", "image") for part in parts_of(seen)] == [
        "Image A:",
        "image",
        "Image B:",
        "image",
        "Answer.",
    ]
    assert images_of(seen) == [ONE.data, TWO.data]
    assert [part["inlineData"]["mimeType"] for part in parts_of(seen) if "inlineData" in part] == [
        "image/jpeg",
        "image/png",
    ]
    config = config_of(seen)
    assert config == {
        "maxOutputTokens": 4096,
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }
    assert {setting["threshold"] for setting in seen.body["safetySettings"]} == {"OFF"}
    assert json.loads(reply.text) == {"reasoning": "because", "overall": "A"}
    assert (reply.finish, reply.model, reply.request_id, reply.tier) == (
        Finish.STOP,
        "resolved-model",
        "resp-1",
        "standard",
    )


def test_the_order_of_the_schema_s_properties_is_kept(wire: Wire) -> None:
    generate(wire)
    sent = config_of(wire.requests[0])["responseJsonSchema"]
    assert list(sent["properties"]) == ["reasoning", "overall"]


def test_a_schema_keeps_only_the_keywords_that_gemini_lists() -> None:
    schema: dict[str, Json] = {
        "type": "object",
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {
            "pattern": {"type": "string", "pattern": "a+", "minLength": 1, "description": "d"},
            "kind": {"const": "x"},
            "rows": {
                "type": "array",
                "items": {"$ref": "#/$defs/row", "description": "dropped"},
                "minItems": 1,
                "uniqueItems": True,
            },
        },
        "required": ["pattern"],
        "additionalProperties": False,
        "$defs": {"row": {"anyOf": [{"type": "integer", "multipleOf": 2}, {"type": "null"}]}},
    }
    assert dialect(schema) == {
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "description": "d"},
            "kind": {"enum": ["x"]},
            "rows": {"type": "array", "items": {"$ref": "#/$defs/row"}, "minItems": 1},
        },
        "required": ["pattern"],
        "additionalProperties": False,
        "$defs": {"row": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
    }


@pytest.mark.parametrize(
    ("model", "options", "sampling", "expected"),
    [
        # What is merely preferred is left out where the model does not take it.
        ("gemini-3.5-flash", {}, Sampling(temperature=0.0, seed=3, effort="xhigh"), {"seed": 3}),
        ("gemini-3.5-flash", {}, Sampling(effort="low"), {"thinkingConfig": {"thinkingLevel": "LOW"}}),
        ("gemini-2.5-pro", {}, Sampling(effort="low"), {"thinkingConfig": {"thinkingBudget": 1024}}),
        ("gemini-2.5-pro", {}, Sampling(temperature=0.0), {"temperature": 0.0}),
        # What the spec says is sent as it stands.
        (
            "gemini-3.5-flash",
            {"temperature": "0.5", "seed": "7"},
            Sampling(),
            {"temperature": 0.5, "seed": 7},
        ),
        ("gemini-2.5-flash", {"effort": "none"}, Sampling(), {"thinkingConfig": {"thinkingBudget": 0}}),
        ("gemini-3.5-flash", {"max_output_tokens": "9000"}, Sampling(), {"maxOutputTokens": 9000}),
        (
            "gemini-3.5-flash",
            {"media_resolution": "low"},
            Sampling(),
            {"mediaResolution": "MEDIA_RESOLUTION_LOW"},
        ),
    ],
)
def test_sampling_follows_the_profile_and_the_spec(
    wire: Wire, model: str, options: dict[str, str], sampling: Sampling, expected: dict[str, Any]
) -> None:
    request = GenerateRequest("", (TextPart("Hello."),), sampling=sampling)
    generate(wire, request, model=model, **options)
    assert config_of(wire.requests[0]) == {"maxOutputTokens": 4096} | expected
    assert "systemInstruction" not in wire.requests[0].body


def test_the_highest_resolution_is_asked_for_image_by_image(wire: Wire) -> None:
    generate(wire, media_resolution="ultra_high")
    parts = [part for part in parts_of(wire.requests[0]) if "inlineData" in part]
    assert [part["mediaResolution"]["level"] for part in parts] == ["MEDIA_RESOLUTION_ULTRA_HIGH"] * 2
    assert "mediaResolution" not in config_of(wire.requests[0])


def test_thoughts_are_no_part_of_the_answer_but_are_paid_for_as_output(wire: Wire) -> None:
    wire.script(answer('{"overall": "A"}', thought="Let me see."))
    reply = generate(wire)
    assert reply.text == '{"overall": "A"}'
    assert reply.usage.seconds is not None
    seconds = reply.usage.seconds
    assert 0 < seconds < 30
    assert reply.usage == Usage(900, 512, 40, 8, seconds)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, (None, None, None, None)),
        ({}, (None, None, None, None)),
        ({"promptTokenCount": 900}, (900, None, None, None)),
        ({"promptTokenCount": 900, "candidatesTokenCount": 32}, (900, None, 32, None)),
        # A count of zero is left out of Google's JSON; the total tells.
        ({"promptTokenCount": 900, "totalTokenCount": 900}, (900, None, 0, None)),
        ({"promptTokenCount": 900, "thoughtsTokenCount": 64, "totalTokenCount": 964}, (900, None, 64, 64)),
        ({"promptTokenCount": "many"}, (None, None, None, None)),
    ],
)
def test_missing_counts_stay_unknown(
    wire: Wire, usage: object, expected: tuple[int | None, int | None, int | None, int | None]
) -> None:
    wire.script(answer("x", usage=usage))
    found = generate(wire).usage
    assert (found.input_tokens, found.cached_tokens, found.output_tokens, found.reasoning_tokens) == expected


def test_a_cut_answer_keeps_its_text(wire: Wire) -> None:
    wire.script(answer('{"reasoning": "Bec', finish="MAX_TOKENS"))
    reply = generate(wire)
    assert (reply.finish, reply.text) == (Finish.LENGTH, '{"reasoning": "Bec')


def test_thinking_may_eat_all_the_room(wire: Wire) -> None:
    wire.script(answer(None, finish="MAX_TOKENS", content={}))
    assert (generate(wire).finish, generate(wire).text) == (
        Finish.LENGTH,
        '{"reasoning": "because", "overall": "A"}',
    )


def test_an_unfinished_answer_is_not_sent_on(wire: Wire) -> None:
    # With a token the SDK would by itself ask for the rest, at a price nobody agreed to.
    wire.script(answer("The first half", finish="CONTINUATION", continuationToken="aGFsZg=="))
    reply = generate(wire)
    assert (reply.finish, reply.text, len(wire.requests)) == (Finish.LENGTH, "The first half", 1)


@pytest.mark.parametrize(
    "reason",
    [
        "SAFETY",
        "PROHIBITED_CONTENT",
        "BLOCKLIST",
        "SPII",
        "RECITATION",
        "LANGUAGE",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "ESCALATION",
        "MODEL_ARMOR",
    ],
)
def test_a_filter_on_the_output_is_an_answer(wire: Wire, reason: str) -> None:
    wire.script(answer(None, finish=reason))
    reply = generate(wire)
    assert (reply.finish, reply.refusal, reply.text) == (Finish.FILTER, reason, "")
    assert reply.usage.input_tokens == 900, "what was filtered is paid for all the same"


@pytest.mark.parametrize("reason", ["SAFETY", "OTHER", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "SOMETHING_NEW"])
def test_a_blocked_prompt_is_an_answer(wire: Wire, reason: str) -> None:
    wire.script(blocked(reason))
    reply = generate(wire)
    assert (reply.finish, reply.refusal) == (Finish.FILTER, reason)
    assert reply.usage.input_tokens == 900


def test_a_refusal_in_words_is_what_the_model_wrote(wire: Wire) -> None:
    wire.script(answer("I cannot compare images of people."))
    reply = generate(wire)
    assert (reply.finish, reply.text) == (Finish.STOP, "I cannot compare images of people.")


@pytest.mark.parametrize(
    "reason",
    ["OTHER", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "MALFORMED_FUNCTION_CALL", "A_REASON_OF_2031"],
)
def test_a_model_that_gave_up_may_be_asked_again(wire: Wire, reason: str) -> None:
    error = fails(wire, answer(None, finish=reason, finishMessage="Malformed."))
    assert error.kind is ErrorKind.TRANSIENT
    assert reason in str(error)
    assert "Malformed." in str(error)
    assert error.usage.output_tokens == 40, "it was paid for all the same"
    assert error.request_id == "resp-1"


def test_an_account_that_is_limited_is_no_matter_of_waiting(wire: Wire) -> None:
    error = fails(wire, answer(None, finish="PUP_LIMITED_DISABLED"))
    assert (error.kind, "appeal" in error.remedy) == (ErrorKind.REJECTED, True)


@pytest.mark.parametrize(
    "empty",
    [response(), as_json({}), as_json({"candidates": [], "usageMetadata": USAGE}), answer(None, finish=None)],
    ids=["no candidates", "nothing", "an empty list", "an empty candidate"],
)
def test_an_answer_without_an_answer_may_be_asked_again(wire: Wire, empty: Action) -> None:
    assert fails(wire, empty).kind is ErrorKind.TRANSIENT


def test_an_empty_text_is_left_to_the_reader(wire: Wire) -> None:
    wire.script(answer(None))
    assert (generate(wire).finish, len(wire.requests)) == (Finish.STOP, 1)


# Token probabilities


def labelled(wire: Wire, model: str = "gemini-3.8-flash") -> Reply:
    return ask(wire, lambda transport: transport.generate(LABELS), model=model)


def test_probabilities_are_summed_over_the_spellings_of_a_word(wire: Wire) -> None:
    tokens = {"Yes": 0.5, " yes": 0.2, "YES": 0.05, "No": 0.1, "Maybe": 0.15}
    wire.script(answer("Yes", finish="MAX_TOKENS", tokens=tokens))
    reply = labelled(wire)
    assert config_of(wire.requests[0]) == {"maxOutputTokens": 1, "responseLogprobs": True, "logprobs": 20}
    assert reply.labels == pytest.approx({"Yes": 0.75, "No": 0.1})
    assert reply.mass == pytest.approx(0.85)
    assert reply.finish is Finish.STOP, "one token was asked for, and one token came"


def test_a_chosen_token_counts_that_is_missing_among_the_top_ones(wire: Wire) -> None:
    made = candidate("No", tokens={"Yes": 0.3})
    made["logprobsResult"]["chosenCandidates"] = [{"token": "No", "logProbability": -1.2039728}]
    wire.script(response(made))
    assert labelled(wire).labels == pytest.approx({"Yes": 0.3, "No": 0.3})


def test_an_answer_without_the_probabilities_it_was_asked_for_is_none(wire: Wire) -> None:
    error = fails(wire, answer("Yes"), use=labelled)
    assert (error.kind, "--scoring" in error.remedy) == (ErrorKind.REJECTED, True)


def test_a_filter_comes_before_probabilities(wire: Wire) -> None:
    wire.script(answer(None, finish="SAFETY"))
    reply = labelled(wire)
    assert (reply.finish, reply.labels, reply.mass) == (Finish.FILTER, {}, None)


# Decisions


def test_a_decision_asks_all_questions_over_one_input(wire: Wire) -> None:
    wire.script(
        decision(
            {
                "red": {"type": "noul", "noul": 0.8, "confidence": 0.8},
                "best": {
                    "type": "choice",
                    "choice": "A",
                    "confidence": 0.6,
                    "probabilities": {"A": 0.6, "B": 0.3, "tie": 0.1},
                },
            }
        )
    )
    reply = decide(wire)
    (seen,) = wire.requests
    assert seen.path == "/v1beta/decisions"
    assert seen.headers["x-goog-api-key"] == KEY
    assert seen.body["model"] == "models/gemini-decision-1"
    assert [block.get("text", "image") for block in seen.body["input"]] == [
        "The rubric.",
        "Image A:",
        "image",
    ]
    assert seen.body["input"][2]["mime_type"] == "image/jpeg"
    assert seen.body["questions"]["red"] == {"type": "noul", "instructions": "Is it red?"}
    assert list(seen.body["questions"]["best"]["criteria"]) == ["A", "B", "tie"]
    assert reply.answers == {
        "red": pytest.approx({"yes": 0.8, "no": 0.2}),
        "best": {"A": 0.6, "B": 0.3, "tie": 0.1},
    }
    assert (reply.usage.input_tokens, reply.usage.cached_tokens, reply.usage.output_tokens) == (900, 512, 2)


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"type": "noul", "noul": 1.5},
        {"type": "noul", "noul": "often"},
        {"type": "something-new", "value": 1},
        None,
    ],
)
def test_a_question_without_a_usable_answer_is_missing(wire: Wire, odd: Any) -> None:
    best = {
        "type": "choice",
        "choice": "A",
        "confidence": 1.0,
        "probabilities": {"A": 1.0, "B": 0.0, "tie": 0.0},
    }
    wire.script(decision({"red": odd, "best": best}))
    assert set(decide(wire).answers) == {"best"}


def test_a_choice_that_leaves_an_option_out_is_missing(wire: Wire) -> None:
    best = {"type": "choice", "choice": "A", "confidence": 0.7, "probabilities": {"A": 0.7, "B": 0.3}}
    wire.script(decision({"red": {"type": "noul", "noul": 0.2, "confidence": 0.8}, "best": best}))
    assert set(decide(wire).answers) == {"red"}


def test_a_blocked_decision_is_an_answer(wire: Wire) -> None:
    wire.script(as_json({"prompt_feedback": {"block_reason": "prohibited_content"}}))
    reply = decide(wire)
    assert (reply.finish, reply.refusal, reply.answers) == (Finish.FILTER, "PROHIBITED_CONTENT", {})


def test_a_decision_without_any_answer_may_be_asked_again(wire: Wire) -> None:
    assert fails(wire, decision({}), use=decide).kind is ErrorKind.TRANSIENT


# Errors


def detail(kind: str, **fields: object) -> dict[str, object]:
    return {"@type": f"type.googleapis.com/google.rpc.{kind}", **fields}


ERRORS: dict[str, tuple[Action, ErrorKind, float | None]] = {
    "throttled": (throttled(), ErrorKind.RATE_LIMIT, None),
    "RetryInfo": (throttled(delay="17s"), ErrorKind.RATE_LIMIT, 17.0),
    "RetryInfo with parts of a second": (throttled(delay="17.25s"), ErrorKind.RATE_LIMIT, 17.25),
    "Retry-After": (throttled(retry_after="9"), ErrorKind.RATE_LIMIT, 9.0),
    "retry-after-ms": (throttled(retry_after_ms="300"), ErrorKind.RATE_LIMIT, 0.3),
    "a hint in words": (
        failure(429, "RESOURCE_EXHAUSTED", "Quota exceeded, limit: 10. Please retry in 4.5s."),
        ErrorKind.RATE_LIMIT,
        4.5,
    ),
    "busy": (failure(503, "RESOURCE_EXHAUSTED", "Busy."), ErrorKind.RATE_LIMIT, None),
    "overloaded": (failure(503, "UNAVAILABLE", "The model is overloaded."), ErrorKind.TRANSIENT, None),
    "a quota of the day": (
        throttled(delay="17s", quota="GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
        ErrorKind.EXHAUSTED,
        None,
    ),
    "no quota at all": (
        failure(429, "RESOURCE_EXHAUSTED", "Quota exceeded for metric: x, limit: 0, model: y"),
        ErrorKind.EXHAUSTED,
        None,
    ),
    "no credit": (
        failure(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
        ErrorKind.EXHAUSTED,
        None,
    ),
    "payment required": (failure(402, "FAILED_PRECONDITION", "Pay."), ErrorKind.EXHAUSTED, None),
    "timeout at the server": (failure(408, "DEADLINE_EXCEEDED", "Late."), ErrorKind.TRANSIENT, None),
    "aborted": (failure(409, "ABORTED", "Again."), ErrorKind.TRANSIENT, None),
    "cancelled": (failure(499, "CANCELLED", "Gone."), ErrorKind.TRANSIENT, None),
    "internal": (failure(500, "INTERNAL", "Oops."), ErrorKind.TRANSIENT, None),
    "bad gateway": (
        Action(502, b"<html>Bad Gateway</html>", {"content-type": "text/html"}),
        ErrorKind.TRANSIENT,
        None,
    ),
    "gateway timeout": (failure(504, "DEADLINE_EXCEEDED", "Late."), ErrorKind.TRANSIENT, None),
    "not implemented": (failure(501, "UNIMPLEMENTED", "No."), ErrorKind.REJECTED, None),
    "bad request": (failure(400, "INVALID_ARGUMENT", "Unknown name."), ErrorKind.REJECTED, None),
    "wrong place": (
        failure(400, "FAILED_PRECONDITION", "User location is not supported."),
        ErrorKind.REJECTED,
        None,
    ),
    "unauthenticated": (failure(401, "UNAUTHENTICATED", "Who?"), ErrorKind.REJECTED, None),
    "forbidden": (failure(403, "PERMISSION_DENIED", "No."), ErrorKind.REJECTED, None),
    "no such model": (failure(404, "NOT_FOUND", "models/x is not found."), ErrorKind.REJECTED, None),
    "unprocessable": (failure(422, "INVALID_ARGUMENT", "No."), ErrorKind.REJECTED, None),
    "too large": (failure(413, "INVALID_ARGUMENT", "Too big."), ErrorKind.TOO_LARGE, None),
    "payload too large": (
        failure(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."),
        ErrorKind.TOO_LARGE,
        None,
    ),
    "context too long": (
        failure(
            400,
            "INVALID_ARGUMENT",
            "The input token count (9) exceeds the maximum number of tokens allowed (8).",
        ),
        ErrorKind.TOO_LARGE,
        None,
    ),
    "an error in a list": (
        Action(429, b'[{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Slow."}}]'),
        ErrorKind.RATE_LIMIT,
        None,
    ),
    "hung up": (HANG_UP, ErrorKind.TRANSIENT, None),
    "cut in the middle": (answer("A long answer.").cut(30), ErrorKind.TRANSIENT, None),
    "cut JSON": (Action(200, b'{"candidates": [{"content": {"par'), ErrorKind.TRANSIENT, None),
    "no JSON": (Action(200, b"<html>Welcome to the hotel</html>"), ErrorKind.TRANSIENT, None),
    "JSON of another kind": (Action(200, b"[1, 2]"), ErrorKind.TRANSIENT, None),
}


@pytest.mark.parametrize("use", [generate, decide])
@pytest.mark.parametrize(("action", "kind", "wait"), ERRORS.values(), ids=ERRORS)
def test_every_failure_has_its_kind_and_is_tried_once(
    wire: Wire, action: Action, kind: ErrorKind, wait: float | None, use: Callable[[Wire], object]
) -> None:
    error = fails(wire, action, use=use)
    assert (error.kind, error.retry_after) == (kind, wait)
    assert len(wire.requests) == 1, "the SDK tried again by itself"
    if 400 <= action.status < 600:
        assert error.status == action.status
    if kind in (ErrorKind.EXHAUSTED, ErrorKind.TOO_LARGE):
        assert error.remedy


def test_a_wrong_key_is_told_from_a_wrong_request(wire: Wire) -> None:
    error = fails(
        wire,
        failure(400, "INVALID_ARGUMENT", "API key not valid.", detail("ErrorInfo", reason="API_KEY_INVALID")),
    )
    assert (error.kind, "GEMINI_API_KEY" in error.remedy) == (ErrorKind.REJECTED, True)


@pytest.mark.parametrize("use", [generate, decide])
def test_an_error_in_a_list_is_read(wire: Wire, use: Callable[[Wire], object]) -> None:
    assert "(RESOURCE_EXHAUSTED): Slow." in str(fails(wire, ERRORS["an error in a list"][0], use=use))


def test_no_message_repeats_a_key_or_the_request(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = f"The key {KEY} may not say: The rubric. " + "QUJD" * 50
    for use in (generate, decide):
        error = fails(wire, failure(403, "PERMISSION_DENIED", said), use=use)
        assert "The rubric" not in str(error)
        assert "QUJDQUJD" not in str(error)
        assert "PERMISSION_DENIED" in str(error)
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "slow",
    [answer("x").after(20), answer("x").stalled(20), answer("x").dripped(0.3)],
    ids=["silence", "a hanging body", "a dripping body"],
)
@pytest.mark.parametrize("use", ["generate", "decide"])
def test_patience_ends(wire: Wire, slow: Action, use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The connection's own allowance comes on top of the second that the spec grants.
    monkeypatch.setattr("arrkit.backends.judges.gemini_wire._CONNECT_SECONDS", 0.2)
    wire.script(slow)
    started = time.monotonic()

    async def impatient(transport: GeminiTransport) -> Reply:
        return await (transport.generate(PAIR) if use == "generate" else transport.decide(DECIDE))

    with pytest.raises(TransportError, match="did not answer in time") as caught:
        ask(
            wire,
            impatient,
            model="gemini-3.5-flash" if use == "generate" else "gemini-decision-1",
            timeout="1",
        )
    assert caught.value.kind is ErrorKind.TRANSIENT
    assert "timeout" in caught.value.remedy
    assert time.monotonic() - started < 6
    if use == "generate":
        assert wire.requests[0].headers["x-server-timeout"] == "1"


def test_nobody_at_home(wire: Wire) -> None:
    with Wire() as gone:
        pass
    error = fails(gone)
    assert error.kind is ErrorKind.TRANSIENT
    assert str(gone.port) in str(error)


def test_what_is_over_a_known_limit_is_never_sent(wire: Wire) -> None:
    heavy = ImagePart(bytes(16_000_000), "image/png", 4000, 4000)
    with pytest.raises(TransportError, match="20,000,000") as caught:
        generate(wire, GenerateRequest("", (heavy,)))
    assert (caught.value.kind, wire.requests) == (ErrorKind.TOO_LARGE, [])


# Keys, names, loops


def test_either_variable_holds_the_key_and_the_particular_one_goes_first(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "AIzaTheOther")
    generate(wire)
    monkeypatch.delenv("GEMINI_API_KEY")
    generate(wire)
    assert [seen.headers["x-goog-api-key"] for seen in wire.requests] == [KEY, "AIzaTheOther"]


def test_the_sdk_s_note_on_keys_stays_unsaid(
    wire: Wire, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    # It names the variable that was not taken. Where no one has set up logging, Python prints such notes.
    code = f"""
import asyncio
from arrkit.backends.registry import make_judge
from arrkit.judge.transport import GenerateRequest, TextPart
transport = make_judge("gemini:gemini-3.5-flash?base_url={wire.url}")
asyncio.run(transport.generate(GenerateRequest("", (TextPart("Hello."),))))
"""
    done = python("-c", code, GEMINI_API_KEY=KEY, GOOGLE_API_KEY="AIzaTheOther")
    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_key_it_says_which_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEMINI_API_KEY")
    with pytest.raises(InputError, match="GEMINI_API_KEY"):
        make_judge("gemini:gemini-3.5-flash")


@pytest.mark.parametrize(
    "variable", ["GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE", "GOOGLE_GENAI_API_VERSION"]
)
def test_the_environment_does_not_send_pictures_elsewhere(
    wire: Wire, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "true" if "USE" in variable else "v9")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9")
    generate(wire)
    assert wire.requests[0].path.startswith("/v1beta/models/")


def test_the_name_holds_what_changes_answers_and_no_secret(wire: Wire) -> None:
    spec = f"gemini:gemini-3.5-flash?timeout=7&effort=low&base_url={wire.url}"
    transport = make_judge(spec)
    assert isinstance(transport, GeminiTransport)
    checked: Transport = transport
    assert checked.name == f"gemini:gemini-3.5-flash?base_url={wire.url}&effort=low"
    assert checked.endpoint == f"127.0.0.1:{wire.port}"
    assert checked.model == "gemini-3.5-flash"
    plain = make_judge("gemini:gemini-3.5-flash")
    assert isinstance(plain, GeminiTransport)
    assert (plain.name, plain.endpoint) == ("gemini:gemini-3.5-flash", "generativelanguage.googleapis.com")


@pytest.mark.parametrize(
    "query",
    [
        "effort=huge",
        "temperature=hot",
        "seed=x",
        "media_resolution=4k",
        "base_url=ftp://x",
        "base_url=http://u:p@x",
    ],
)
def test_impossible_options_are_refused(query: str) -> None:
    with pytest.raises(InputError):
        make_judge(f"gemini:gemini-3.5-flash?{query}")


def test_one_transport_serves_one_event_loop_after_another(wire: Wire) -> None:
    transport = make_judge(f"gemini:gemini-3.5-flash?base_url={wire.url}")
    assert isinstance(transport, GeminiTransport)

    async def once() -> None:
        await transport.generate(PAIR)
        await transport.aclose()

    asyncio.run(once())
    asyncio.run(once())
    assert len(wire.requests) == 2


def test_many_requests_are_under_way_at_once(wire: Wire) -> None:
    wire.latency = 0.2

    async def many(transport: GeminiTransport) -> list[Reply]:
        return await asyncio.gather(*(transport.generate(PAIR) for _ in range(40)))

    assert len(ask(wire, many)) == 40
    assert wire.peak == 40


# Profiles


def test_a_model_in_the_data_is_not_asked(wire: Wire) -> None:
    profile = ask(wire, lambda transport: transport.profile())
    assert (profile.structured, profile.logprobs, profile.batch, profile.known) == ("schema", 0, True, "data")
    assert (wire.canaries, wire.requests) == ([], [])


def test_an_unknown_model_is_asked_once_and_remembered(wire: Wire) -> None:
    wire.can.logprobs = 5
    wire.can.temperature = False
    for _ in range(2):
        profile = ask(wire, lambda transport: transport.profile(), model="gemini-from-tomorrow")
        assert profile.known == "probe"
        assert (profile.structured, profile.images, profile.logprobs) == ("schema", 9, 5)
        assert (profile.temperature, profile.seed, profile.questions) == (False, True, 0)
        assert (profile.effort, profile.batch) == (("low", "high"), True)
        asked = len(wire.canaries)
    assert len(wire.canaries) == asked
    assert wire.requests == []


def test_an_unknown_model_that_decides_is_found_to(wire: Wire) -> None:
    wire.can.decisions = True
    assert ask(wire, lambda transport: transport.profile(), model="gemini-from-tomorrow").questions == 1000


def test_what_the_data_leaves_open_is_asked_and_nothing_else(wire: Wire) -> None:
    wire.can.logprobs = 0
    profile = ask(wire, lambda transport: transport.profile(), model="gemini-3.8-flash")
    assert (profile.logprobs, profile.images, profile.structured) == (0, 900, "schema")
    assert all("responseLogprobs" in config_of(seen) for seen in wire.canaries)


def test_a_schema_that_is_silently_ignored_is_not_counted_on(wire: Wire) -> None:
    wire.can.schema = False
    assert ask(wire, lambda transport: transport.profile(), model="gemini-from-tomorrow").structured == "json"


# Batches


def test_a_batch_asks_what_live_requests_would(wire: Wire) -> None:
    requests = {"pair/1": PAIR, "pair/2": LABELS}

    async def both(transport: GeminiTransport) -> str:
        for request in requests.values():
            await transport.generate(request)
        return await transport.submit(requests)

    batch = ask(wire, both, model="gemini-3.8-flash", effort="low", seed="5")
    assert batch == "batches/1"
    lines = [json.loads(line) for line in wire.files["files/1"].splitlines()]
    assert [camel(line["request"]) for line in lines] == [camel(seen.body) for seen in wire.requests]


def test_a_batch_is_collected_by_its_id_in_another_process(wire: Wire) -> None:
    wire.batch_states.extendleft(["BATCH_STATE_RUNNING", "BATCH_STATE_PENDING"])
    requests = {"one": PAIR, "two": LABELS, "three": PAIR, "four": PAIR}
    batch = ask(wire, lambda transport: transport.submit(requests), model="gemini-3.8-flash")
    wire.script(
        answer('{"overall": "A"}'),
        answer("Yes", tokens={"Yes": 0.8, "No": 0.2}),
        answer(None, finish="SAFETY"),
        throttled(),
    )
    looks = [ask(wire, lambda transport: transport.collect(batch)) for _ in range(3)]
    assert [(look.done, look.state) for look in looks] == [
        (False, "JOB_STATE_PENDING"),
        (False, "JOB_STATE_RUNNING"),
        (True, "JOB_STATE_SUCCEEDED"),
    ]
    replies = looks[-1].replies
    one, two, three, four = (replies[name] for name in requests)
    assert isinstance(one, Reply)
    assert one.text == '{"overall": "A"}'
    assert isinstance(two, Reply)
    assert two.labels == pytest.approx({"Yes": 0.8, "No": 0.2})
    assert isinstance(three, Reply)
    assert three.finish is Finish.FILTER
    assert isinstance(four, TransportError)
    assert four.kind is ErrorKind.RATE_LIMIT


@pytest.mark.parametrize("state", ["EXPIRED", "PARTIALLY_SUCCEEDED"])
def test_a_batch_that_ended_early_keeps_what_was_finished(wire: Wire, state: str) -> None:
    wire.batch_states[0] = f"JOB_STATE_{state}"
    batch = ask(wire, lambda transport: transport.submit({"one": PAIR, "two": PAIR}))
    status = ask(wire, lambda transport: transport.collect(batch))
    assert (status.done, status.state) == (True, f"JOB_STATE_{state}")
    late = status.replies["two"]
    assert isinstance(status.replies["one"], Reply)
    assert isinstance(late, TransportError)
    assert late.kind is ErrorKind.TRANSIENT


def test_a_batch_that_was_cancelled_has_no_replies(wire: Wire) -> None:
    wire.batch_states[0] = "BATCH_STATE_CANCELLED"
    batch = ask(wire, lambda transport: transport.submit({"one": PAIR}))
    status = ask(wire, lambda transport: transport.collect(batch))
    assert (status.done, dict(status.replies)) == (True, {})


def test_a_batch_that_failed_says_so(wire: Wire) -> None:
    wire.batch_states[0] = "BATCH_STATE_FAILED"
    batch = ask(wire, lambda transport: transport.submit({"one": PAIR}))
    with pytest.raises(TransportError, match="batches/1") as caught:
        ask(wire, lambda transport: transport.collect(batch))
    assert (caught.value.kind, bool(caught.value.remedy)) == (ErrorKind.REJECTED, True)


@pytest.mark.parametrize("batch", ["batches/nowhere", "something else"])
def test_a_batch_that_is_unknown_says_so(wire: Wire, batch: str) -> None:
    with pytest.raises(TransportError) as caught:
        ask(wire, lambda transport: transport.collect(batch))
    assert caught.value.kind is ErrorKind.REJECTED


def test_a_large_batch_goes_up_in_pieces(wire: Wire) -> None:
    heavy = ImagePart(bytes(range(256)) * 28_000, "image/png", 1000, 1000)
    batch = ask(wire, lambda transport: transport.submit({"one": GenerateRequest("", (heavy,))}))
    (line,) = wire.files["files/1"].splitlines()
    assert len(line) > 8 * 2**20
    assert json.loads(line)["key"] == "one"
    assert batch == "batches/1"
