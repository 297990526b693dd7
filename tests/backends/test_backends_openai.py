from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import TypeVar
from urllib.parse import urlsplit

import pytest
from loopback import HANG_UP, Action, as_json
from wire_openai import (
    Wire,
    chat,
    decision,
    failure,
    images_of,
    page,
    parts_of,
    response,
    schema_of,
    system_of,
    throttled,
)

from arrkit.backends.judges.compatible import Drawing
from arrkit.backends.judges.endpoint import Endpoint
from arrkit.backends.judges.openai import OpenAITransport, make_transport
from arrkit.backends.judges.wire import Wire as Line
from arrkit.backends.registry import make_judge
from arrkit.backends.spec import Spec
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
    TransportError,
)

T = TypeVar("T")
KEY = "sk-planted-0123456789abcdef"
SCHEMA = {
    "type": "object",
    "properties": {"overall": {"type": "string", "enum": ["A", "B"]}},
    "required": ["overall"],
    "additionalProperties": False,
}
A = ImagePart(b"first image", "image/jpeg", 8, 8)
B = ImagePart(b"second image", "image/png", 8, 8)
PAIR = GenerateRequest(
    "Judge by this rubric, please.",
    (TextPart("Image A:"), A, TextPart("Image B:"), B, TextPart("Which is better, all in all?")),
    schema=SCHEMA,
    schema_name="verdict",
)
LABELS = replace(PAIR, schema=None, labels=("Yes", "No"))
ASKED = DecideRequest(
    "Judge by this rubric, please.",
    (TextPart("Image A:"), A),
    (Question("q1", "Is the cat red?"), Question("q2", "Which is better?", ("A", "B", "tie"))),
)


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as server:
        yield server


def official(wire: Wire, model: str = "gpt-4o", *, api: str = "auto", **drawing: object) -> OpenAITransport:
    """A transport that takes the loopback server for OpenAI itself."""
    endpoint = Endpoint(urlsplit(wire.url).netloc, model, key="OPENAI_API_KEY", secrets=(KEY,))
    line = Line(wire.base_url, KEY, endpoint, timeout=5.0, account=True)
    return OpenAITransport(
        Spec("openai", model), line, Drawing(**drawing), detail="high", api=api, official=True
    )


def using(transport: OpenAITransport, ask: Callable[[OpenAITransport], Awaitable[T]]) -> T:
    async def run() -> T:
        try:
            return await ask(transport)
        finally:
            await transport.aclose()

    return asyncio.run(run())


def generate(transport: OpenAITransport, request: GenerateRequest = PAIR) -> Reply:
    return using(transport, lambda each: each.generate(request))


def failing(transport: OpenAITransport, request: GenerateRequest = PAIR) -> TransportError:
    with pytest.raises(TransportError) as caught:
        generate(transport, request)
    return caught.value


# Requests


def test_chat_gets_the_parts_in_order_and_the_schema(wire: Wire) -> None:
    generate(official(wire))
    (seen,) = wire.requests
    assert seen.path == "/v1/chat/completions"
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert system_of(seen) == PAIR.system
    assert [part["type"] for part in parts_of(seen)] == ["text", "image_url", "text", "image_url", "text"]
    assert images_of(seen) == [A.data, B.data]
    first = parts_of(seen)[1]["image_url"]
    assert first["url"].startswith("data:image/jpeg;base64,")
    assert first["detail"] == "high"
    assert seen.body["response_format"]["json_schema"] == {
        "name": "verdict",
        "strict": True,
        "schema": SCHEMA,
    }
    assert seen.body["max_completion_tokens"] == 4096
    assert seen.body["store"] is False
    assert "temperature" not in seen.body
    assert "seed" not in seen.body


def test_requests_under_one_rubric_share_a_cache_key(wire: Wire) -> None:
    other = replace(PAIR, parts=PAIR.parts[::-1])
    edited = replace(PAIR, system=PAIR.system + " Thanks.")
    using(official(wire), lambda each: asyncio.gather(*map(each.generate, (PAIR, other, edited))))
    by_system: dict[str, set[str]] = {}
    for seen in wire.requests:
        by_system.setdefault(system_of(seen), set()).add(seen.body["prompt_cache_key"])
    assert [len(keys) for keys in by_system.values()] == [1, 1]
    assert by_system[PAIR.system] != by_system[edited.system]


def test_the_rubric_alone_is_written_to_the_cache_where_writing_costs(wire: Wire) -> None:
    generate(official(wire, "gpt-6-sol"))
    (seen,) = wire.requests
    assert seen.body["prompt_cache_options"] == {"mode": "explicit"}
    assert seen.body["messages"][0]["content"][-1]["prompt_cache_breakpoint"] == {"mode": "explicit"}
    assert not any("prompt_cache_breakpoint" in part for part in parts_of(seen))


@pytest.mark.parametrize(
    ("model", "wish", "drawing", "sent"),
    [
        ("gpt-4o", Sampling(temperature=0.5, seed=3, effort="low"), {}, {"temperature": 0.5, "seed": 3}),
        ("gpt-5", Sampling(temperature=0.5, seed=3, effort="low"), {}, {"reasoning_effort": "low"}),
        ("gpt-5", Sampling(effort="none"), {}, {}),
        ("gpt-5.2", Sampling(temperature=0.0, effort="high"), {}, {"reasoning_effort": "high"}),
        (
            "gpt-5.2",
            Sampling(temperature=0.0, effort="none"),
            {},
            {"temperature": 0.0, "reasoning_effort": "none"},
        ),
        (
            "gpt-5",
            Sampling(),
            {"temperature": 0.0, "seed": 7, "effort": "high"},
            {"temperature": 0.0, "seed": 7, "reasoning_effort": "high"},
        ),
    ],
)
def test_wishes_the_model_would_refuse_stay_home_and_orders_go_out(
    wire: Wire, model: str, wish: Sampling, drawing: dict[str, object], sent: dict[str, object]
) -> None:
    generate(official(wire, model, **drawing), replace(PAIR, sampling=wish))
    body = wire.requests[0].body
    assert {key: body[key] for key in ("temperature", "seed", "reasoning_effort") if key in body} == sent


def test_more_room_is_given_and_never_less(wire: Wire) -> None:
    roomy = replace(PAIR, sampling=Sampling(max_output_tokens=9000))
    using(
        official(wire, max_output_tokens=6000),
        lambda each: asyncio.gather(each.generate(PAIR), each.generate(roomy)),
    )
    assert {seen.body["max_completion_tokens"] for seen in wire.requests} == {6000, 9000}


def test_responses_are_asked_not_to_keep_anything(wire: Wire) -> None:
    reply = generate(official(wire, "gpt-5-pro"))
    (seen,) = wire.requests
    assert seen.path == "/v1/responses"
    assert seen.body["store"] is False
    assert system_of(seen) == PAIR.system
    assert images_of(seen) == [A.data, B.data]
    assert schema_of(seen) == SCHEMA
    assert json.loads(reply.text) == {"overall": "A"}


def test_limits_are_checked_before_anything_is_sent(wire: Wire) -> None:
    heavy = replace(A, data=b"x" * 20_000_001)
    error = failing(official(wire), replace(PAIR, parts=(heavy, B)))
    assert error.kind is ErrorKind.TOO_LARGE
    assert "20,000,001" in str(error)
    assert failing(official(wire), replace(PAIR, parts=(A,) * 501)).kind is ErrorKind.TOO_LARGE
    fair = replace(A, data=b"x" * 19_000_000)
    assert failing(official(wire), replace(PAIR, parts=(fair,) * 2)).kind is ErrorKind.TOO_LARGE
    assert wire.requests == []


# Answers


@pytest.mark.parametrize(("api", "answer"), [("chat", chat), ("responses", response)])
def test_an_answer_brings_its_usage_and_where_it_came_from(
    wire: Wire, api: str, answer: Callable[[str], Action]
) -> None:
    wire.script(answer('{"overall": "B"}'))
    reply = generate(official(wire, api=api))
    assert reply.finish is Finish.STOP
    assert reply.text == '{"overall": "B"}'
    assert reply.model == "resolved-model"
    assert reply.request_id == "req-1"
    assert reply.tier == "default"
    assert replace(reply.usage, seconds=None) == Usage(900, 512, 40, 8)
    assert reply.usage.seconds is not None
    assert 0 < reply.usage.seconds < 5


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"prompt_tokens": -1}, "many"])
def test_usage_that_nobody_told_is_unknown_and_not_zero(wire: Wire, usage: object) -> None:
    wire.script(chat("{}", usage=usage))
    assert replace(generate(official(wire)).usage, seconds=None) == Usage()


@pytest.mark.parametrize(
    ("api", "action", "finish", "text", "refusal"),
    [
        ("chat", chat('{"overall": "', finish="length"), Finish.LENGTH, '{"overall": "', ""),
        ("chat", chat(None, refusal="I will not."), Finish.REFUSAL, "", "I will not."),
        ("chat", chat(None, finish="content_filter"), Finish.FILTER, "", "content_filter"),
        ("chat", chat("Sure! {}"), Finish.STOP, "Sure! {}", ""),
        ("chat", chat([{"type": "text", "text": "in parts"}]), Finish.STOP, "in parts", ""),
        ("chat", chat(None), Finish.STOP, "", ""),
        ("responses", response("{", status="incomplete", reason="max_output_tokens"), Finish.LENGTH, "{", ""),
        ("responses", response(None, status="incomplete", reason="max_output_tokens"), Finish.LENGTH, "", ""),
        (
            "responses",
            response(None, status="incomplete", reason="content_filter"),
            Finish.FILTER,
            "",
            "content_filter",
        ),
        ("responses", response(refusal="I will not."), Finish.REFUSAL, "", "I will not."),
    ],
)
def test_every_way_to_end(
    wire: Wire, api: str, action: Action, finish: Finish, text: str, refusal: str
) -> None:
    wire.script(action)
    reply = generate(official(wire, api=api))
    assert (reply.finish, reply.text, reply.refusal) == (finish, text, refusal)
    assert reply.usage.output_tokens == 40


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalid_prompt", ErrorKind.REFUSED),
        ("image_content_policy_violation", ErrorKind.REFUSED),
        ("image_too_large", ErrorKind.TOO_LARGE),
        ("invalid_image_format", ErrorKind.REJECTED),
        ("server_error", ErrorKind.TRANSIENT),
        ("rate_limit_exceeded", ErrorKind.RATE_LIMIT),
    ],
)
def test_a_response_that_failed_after_all(wire: Wire, code: str, kind: ErrorKind) -> None:
    wire.script(response(None, status="failed", error={"code": code, "message": "No."}))
    error = failing(official(wire, api="responses"))
    assert error.kind is kind
    assert error.usage.input_tokens == 900
    assert error.request_id == "req-1"


def test_words_are_scored_by_the_tokens_that_spell_them(wire: Wire) -> None:
    wire.script(
        chat("Yes", finish="length", tokens={"Yes": 0.5, " yes": 0.2, "No": 0.1, "Maybe": 0.15, "YES": 0.0})
    )
    reply = generate(official(wire), LABELS)
    body = wire.requests[0].body
    assert (body["logprobs"], body["top_logprobs"], body["max_completion_tokens"]) == (True, 20, 1)
    assert "response_format" not in body
    assert reply.finish is Finish.STOP
    assert reply.labels == pytest.approx({"Yes": 0.7, "No": 0.1})
    assert reply.mass == pytest.approx(0.8)


def test_words_are_scored_without_reasoning_before_them(wire: Wire) -> None:
    generate(official(wire, "gpt-5.2", effort="high"), LABELS)
    assert wire.requests[0].body["reasoning_effort"] == "none"


def test_words_are_scored_over_responses_too(wire: Wire) -> None:
    wire.script(response("Yes", tokens={"Yes": 0.6, "No": 0.3}))
    reply = generate(official(wire, api="responses"), LABELS)
    body = wire.requests[0].body
    assert body["include"] == ["message.output_text.logprobs"]
    assert body["max_output_tokens"] == 16
    assert reply.labels == pytest.approx({"Yes": 0.6, "No": 0.3})
    assert reply.mass == pytest.approx(0.9)


@pytest.mark.parametrize(("api", "answer"), [("chat", chat("Yes")), ("responses", response("Yes"))])
def test_probabilities_that_do_not_come_are_no_probabilities(wire: Wire, api: str, answer: Action) -> None:
    wire.script(answer)
    error = failing(official(wire, api=api), LABELS)
    assert error.kind is ErrorKind.REJECTED
    assert "--scoring" in error.remedy


def test_a_refusal_to_score_is_a_refusal(wire: Wire) -> None:
    wire.script(chat(None, refusal="I will not."))
    reply = generate(official(wire), LABELS)
    assert (reply.finish, reply.labels, reply.mass) == (Finish.REFUSAL, {}, None)


# Decisions


def test_questions_are_decided_with_probabilities(wire: Wire) -> None:
    options = [{"value": "A", "probability": 0.5}, {"value": "B", "probability": 0.3}]
    choice = {"type": "choice", "name": "q2", "choice": "A", "confidence": 0.5}
    wire.script(
        decision(
            {"type": "predicate", "name": "q1", "probability": 0.8},
            {**choice, "probabilities": [*options, {"value": "tie", "probability": 0.2}]},
        )
    )
    # All is known of this model but what a decision does not need.
    transport = official(wire, "gpt-6-luna")
    reply = using(transport, lambda each: each.decide(ASKED))
    (seen,) = wire.requests
    assert seen.path == "/v1/decisions"
    assert system_of(seen) == ASKED.system
    assert images_of(seen) == [A.data]
    assert seen.body["questions"] == [
        {"type": "predicate", "name": "q1", "instructions": "Is the cat red?"},
        {
            "type": "choice",
            "name": "q2",
            "instructions": "Which is better?",
            "choices": [{"value": "A"}, {"value": "B"}, {"value": "tie"}],
        },
    ]
    assert reply.answers["q1"] == pytest.approx({"yes": 0.8, "no": 0.2})
    assert reply.answers["q2"] == pytest.approx({"A": 0.5, "B": 0.3, "tie": 0.2})
    assert replace(reply.usage, seconds=None) == Usage(900, 512, 40, 8)


@pytest.mark.parametrize(
    "answer",
    [
        {"type": "refusal", "name": "q1"},
        {"type": "predicate", "name": "q1", "probability": 1.5},
        {"type": "predicate", "name": "other", "probability": 0.5},
        {},
    ],
)
def test_a_question_without_an_answer_is_left_out(wire: Wire, answer: dict[str, object]) -> None:
    options = [{"value": value, "probability": 1 / 3} for value in ("A", "B", "tie")]
    wire.script(decision(answer, {"type": "choice", "name": "q2", "probabilities": options}))
    reply = using(official(wire, "gpt-6-luna"), lambda each: each.decide(ASKED))
    assert list(reply.answers) == ["q2"]


# Failures


@pytest.mark.parametrize(
    ("action", "kind", "wait"),
    [
        (throttled(retry_after="10"), ErrorKind.RATE_LIMIT, 10.0),
        (throttled(retry_after_ms="300"), ErrorKind.RATE_LIMIT, 0.3),
        (throttled(retry_after="121"), ErrorKind.RATE_LIMIT, 121.0),
        (throttled(x_ratelimit_reset_requests="6m0s"), ErrorKind.RATE_LIMIT, 360.0),
        (throttled(), ErrorKind.RATE_LIMIT, None),
        (failure(503, code="slow_down"), ErrorKind.RATE_LIMIT, None),
        (failure(503, retry_after="3"), ErrorKind.RATE_LIMIT, 3.0),
        (failure(503), ErrorKind.TRANSIENT, None),
        (failure(500), ErrorKind.TRANSIENT, None),
        (failure(500, retry_after="2"), ErrorKind.TRANSIENT, 2.0),
        (failure(500, x_should_retry="false"), ErrorKind.REJECTED, None),
        (failure(408), ErrorKind.TRANSIENT, None),
        (failure(409), ErrorKind.TRANSIENT, None),
        (page(502), ErrorKind.TRANSIENT, None),
        (page(200), ErrorKind.TRANSIENT, None),
        (as_json([]), ErrorKind.TRANSIENT, None),
        (as_json({"choices": []}), ErrorKind.TRANSIENT, None),
        (as_json({"choices": None}), ErrorKind.TRANSIENT, None),
        (as_json({"error": {"message": "upstream", "code": 429}}), ErrorKind.RATE_LIMIT, None),
        (as_json({"error": {"message": "upstream", "code": 502}}), ErrorKind.TRANSIENT, None),
        (HANG_UP, ErrorKind.TRANSIENT, None),
        (chat("cut").cut(40), ErrorKind.TRANSIENT, None),
        (failure(429, code="insufficient_quota", retry_after="1"), ErrorKind.EXHAUSTED, None),
        (failure(429, kind="insufficient_quota"), ErrorKind.EXHAUSTED, None),
        (failure(402), ErrorKind.EXHAUSTED, None),
        (failure(400, code="content_policy_violation"), ErrorKind.REFUSED, None),
        (failure(400, code="invalid_prompt"), ErrorKind.REFUSED, None),
        (failure(413), ErrorKind.TOO_LARGE, None),
        (failure(400, code="image_too_large"), ErrorKind.TOO_LARGE, None),
        (failure(400, code="context_length_exceeded"), ErrorKind.TOO_LARGE, None),
        (failure(400), ErrorKind.REJECTED, None),
        (failure(401), ErrorKind.REJECTED, None),
        (failure(403), ErrorKind.REJECTED, None),
        (failure(404), ErrorKind.REJECTED, None),
        (failure(422), ErrorKind.REJECTED, None),
    ],
)
def test_a_failure_says_what_it_calls_for(
    wire: Wire, action: Action, kind: ErrorKind, wait: float | None
) -> None:
    wire.script(action)
    error = failing(official(wire))
    assert error.kind is kind
    assert error.retry_after == wait
    assert len(wire.requests) == 1, "the SDK must not retry"
    assert "<" not in str(error)


def test_a_wrong_key_comes_with_its_remedy_and_without_the_key(wire: Wire) -> None:
    wire.script(failure(401, f"Incorrect API key provided: {KEY} or sk-pl****cdef.", code="invalid_api_key"))
    error = failing(official(wire))
    assert "OPENAI_API_KEY" in error.remedy
    assert error.status == 401
    assert error.request_id == "req-1"
    assert "planted" not in f"{error!r} {error} {error.remedy}"
    assert "cdef" not in str(error)


def test_a_failure_repeats_nothing_of_the_request(wire: Wire) -> None:
    private = replace(PAIR, parts=(TextPart("A secret unicorn project,\nas a photo."), A))

    def echo(seen: object) -> Action:
        return failure(400, f"Failed to apply Processor on data={{'text': {seen.body['messages'][1]}")  # type: ignore[attr-defined]

    wire.respond = echo
    error = failing(official(wire), private)
    assert "Failed to apply Processor" in str(error)
    assert "unicorn" not in str(error)
    assert "photo" not in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize(
    "action",
    [chat("x").after(5), chat("x").stalled(5), chat("x" * 200).dripped(0.05)],
    ids=["hang", "stall", "drip"],
)
def test_patience_ends(wire: Wire, action: Action, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arrkit.backends.judges.wire.CONNECT_SECONDS", 0.2)
    endpoint = Endpoint("loopback", "gpt-4o")
    line = Line(wire.base_url, KEY, endpoint, timeout=0.3)
    transport = OpenAITransport(
        Spec("openai", "gpt-4o"), line, Drawing(), detail="", api="chat", official=True
    )
    wire.script(action)
    started = time.monotonic()
    error = failing(transport)
    assert error.kind is ErrorKind.TRANSIENT
    assert "in time" in str(error)
    assert time.monotonic() - started < 3


def test_nobody_there(wire: Wire) -> None:
    transport = official(wire)
    transport.wire.base_url = "http://127.0.0.1:9/v1"
    error = failing(transport)
    assert error.kind is ErrorKind.TRANSIENT
    assert "connection" in str(error)


# Many at once, and lives


def test_many_at_once_share_connections(wire: Wire) -> None:
    wire.latency = 0.05

    async def twice(transport: OpenAITransport) -> None:
        for _ in range(2):
            await asyncio.gather(*(transport.generate(PAIR) for _ in range(256)))

    using(official(wire), twice)
    assert len(wire.requests) == 512
    assert wire.peak > 100
    assert wire.connections <= 256


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_transport_outlives_its_loop(wire: Wire) -> None:
    transport = official(wire)
    first = asyncio.run(transport.generate(PAIR))  # and nobody closed it
    assert generate(transport).text == first.text
    assert generate(transport).text == first.text
    gc.collect()  # what was left open complains here, where it is expected


# Batches


def test_a_batch_comes_back_by_id_in_any_order(wire: Wire) -> None:
    wire.batch_states.extendleft(["in_progress", "validating"])
    wire.script(
        chat('{"overall": "A"}'),
        failure(400, code="content_policy_violation"),
        chat("Yes", tokens={"Yes": 0.9, "No": 0.05}),
    )
    handed_in = {"one": PAIR, "two": PAIR, "three": LABELS}
    batch = using(official(wire), lambda each: each.submit(handed_in))
    lines = [json.loads(line) for line in next(iter(wire.files.values())).splitlines()]
    assert {line["url"] for line in lines} == {"/v1/chat/completions"}
    assert lines[0]["body"]["response_format"]["json_schema"]["schema"] == SCHEMA

    # As another process would, which knows the id and nothing else.
    looks = [using(official(wire), lambda each: each.collect(batch)) for _ in range(3)]
    assert [(look.done, look.state) for look in looks] == [
        (False, "validating"),
        (False, "in_progress"),
        (True, "completed"),
    ]
    replies = looks[-1].replies
    assert set(replies) == set(handed_in)
    assert replies["one"].text == '{"overall": "A"}'
    assert replies["one"].usage == Usage(900, 512, 40, 8)
    assert replies["two"].kind is ErrorKind.REFUSED
    assert replies["three"].labels == pytest.approx({"Yes": 0.9, "No": 0.05})


def test_a_batch_over_responses(wire: Wire) -> None:
    batch = using(official(wire, "gpt-5-pro"), lambda each: each.submit({"one": PAIR}))
    status = using(official(wire, "gpt-5-pro"), lambda each: each.collect(batch))
    assert status.replies["one"].text == '{"overall": "A"}'


def test_what_a_batch_had_no_time_for_may_be_asked_again(wire: Wire) -> None:
    wire.batch_states[0] = "expired"
    batch = using(official(wire), lambda each: each.submit({"one": PAIR, "two": PAIR}))
    status = using(official(wire), lambda each: each.collect(batch))
    assert (status.done, status.state) == (True, "expired")
    assert status.replies["one"].text == '{"overall": "A"}'
    assert status.replies["two"].kind is ErrorKind.TRANSIENT


@pytest.mark.parametrize(
    ("code", "kind"),
    [("token_limit_exceeded", ErrorKind.EXHAUSTED), ("invalid_json_line", ErrorKind.REJECTED)],
)
def test_a_batch_that_failed_says_why(wire: Wire, code: str, kind: ErrorKind) -> None:
    wire.batch_states[0] = "failed"
    wire.batch_errors.append({"code": code, "message": "Enqueued too much."})
    batch = using(official(wire), lambda each: each.submit({"one": PAIR}))
    with pytest.raises(TransportError, match="Enqueued too much") as caught:
        using(official(wire), lambda each: each.collect(batch))
    assert caught.value.kind is kind


def test_a_batch_that_nobody_knows(wire: Wire) -> None:
    with pytest.raises(TransportError) as caught:
        using(official(wire), lambda each: each.collect("batch-../x"))
    assert caught.value.status == 404


def test_a_batch_over_the_limits_is_not_sent(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arrkit.backends.judges.batches.MOST_LINES", 2)
    with pytest.raises(TransportError, match="3 requests") as caught:
        using(official(wire), lambda each: each.submit({str(number): PAIR for number in range(3)}))
    assert caught.value.kind is ErrorKind.TOO_LARGE
    monkeypatch.setattr("arrkit.backends.judges.batches.MOST_BYTES", 1000)
    with pytest.raises(TransportError, match="2 of 2") as caught:
        using(official(wire), lambda each: each.submit({"a": PAIR, "b": PAIR}))
    assert caught.value.kind is ErrorKind.TOO_LARGE
    assert wire.files == {}


# Specs


def test_openai_itself_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        make_judge("openai:gpt-5.2")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    transport = make_judge("openai:gpt-5.2")
    assert transport.name == "openai:gpt-5.2"
    assert transport.endpoint == "api.openai.com"
    assert transport.model == "gpt-5.2"


def test_another_endpoint_needs_none_and_gets_nothing_of_the_account(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-mine")
    transport = make_judge(f"openai:some-model?base_url={wire.base_url}/&temperature=0.5&timeout=9")
    assert transport.name == f"openai:some-model?base_url={wire.base_url}&temperature=0.5"
    assert transport.endpoint == urlsplit(wire.url).netloc
    generate(transport)
    (seen,) = wire.requests
    assert seen.headers["authorization"] == "Bearer none"
    assert "org-mine" not in str(seen.headers)
    assert "proj-mine" not in str(seen.headers)
    assert seen.body["temperature"] == 0.5
    assert "store" not in seen.body
    assert "prompt_cache_key" not in seen.body


def test_the_environment_may_name_the_endpoint(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", wire.base_url)
    transport = make_judge("openai:some-model")
    assert transport.name == f"openai:some-model?base_url={wire.base_url}"
    generate(transport)
    assert wire.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "localhost:8000"}, "no http"),
        ({"base_url": "http://user:hidden@host/v1"}, "more than an address"),
        ({"base_url": "http://host/v1?key=hidden"}, "more than an address"),
        ({"base_url": "http://host/v1", "temperature": "warm"}, "no number from 0 to 2"),
        ({"base_url": "http://host/v1", "temperature": "nan"}, "no number from 0 to 2"),
        ({"base_url": "http://host/v1", "seed": "x"}, "not a whole number"),
        ({"base_url": "http://host/v1", "effort": "hard"}, "none of none, minimal"),
    ],
)
def test_options_that_cannot_be(options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make_transport(Spec("openai", "m"), **options)  # type: ignore[arg-type]
    assert "hidden" not in str(caught.value)
