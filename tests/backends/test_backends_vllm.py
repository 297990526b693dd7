from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import pytest
from loopback import Action, as_json
from wire_openai import Wire, chat, failure, images_of, schema_of, system_of, systemone

from arrkit.backends.judges.vllm import VLLMTransport, make_transport
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
QWEN = "Qwen/Qwen3-VL-8B-Instruct"
A = ImagePart(b"first image", "image/png", 8, 8)
B = ImagePart(b"second image", "image/png", 8, 8)
SCHEMA = {"type": "object", "properties": {"overall": {"type": "string", "enum": ["A", "B"]}}}
PAIR = GenerateRequest(
    "Judge by this rubric, please.",
    (TextPart("Image A:"), A, TextPart("Image B:"), B, TextPart("Which is better, all in all?")),
    schema=SCHEMA,
)
LABELS = replace(PAIR, schema=None, labels=("Yes", "No"))


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as server:
        yield server


def served(wire: Wire, options: str = "", model: str = QWEN) -> VLLMTransport:
    transport = make_judge(f"vllm:{model}?base_url={wire.base_url}{options}")
    assert isinstance(transport, VLLMTransport)
    return transport


def using(transport: VLLMTransport, ask: Callable[[VLLMTransport], Awaitable[T]]) -> T:
    async def run() -> T:
        try:
            return await ask(transport)
        finally:
            await transport.aclose()

    return asyncio.run(run())


def generate(transport: VLLMTransport, request: GenerateRequest = PAIR) -> Reply:
    return using(transport, lambda each: each.generate(request))


def failing(transport: VLLMTransport, request: GenerateRequest = PAIR) -> TransportError:
    with pytest.raises(TransportError) as caught:
        generate(transport, request)
    return caught.value


def test_a_request_for_json(wire: Wire) -> None:
    reply = generate(served(wire))
    (seen,) = wire.requests
    assert reply.text == '{"overall": "A"}'
    assert reply.finish is Finish.STOP
    assert replace(reply.usage, seconds=None) == Usage(900, 512, 40, 8)
    assert system_of(seen) == PAIR.system
    assert images_of(seen) == [A.data, B.data]
    assert schema_of(seen) == SCHEMA
    assert seen.body["response_format"]["type"] == "json_schema"
    assert not any(name.startswith("guided") for name in seen.body), "vLLM ignores these without a word"
    assert wire.canaries == []


@pytest.mark.parametrize(
    ("options", "wish", "sent"),
    [
        ("", Sampling(), 0.0),
        ("", Sampling(temperature=0.7), 0.7),
        ("&temperature=1", Sampling(temperature=0.7), 1.0),
    ],
)
def test_a_temperature_is_always_sent(wire: Wire, options: str, wish: Sampling, sent: float) -> None:
    generate(served(wire, options), replace(PAIR, sampling=wish))
    assert wire.requests[0].body["temperature"] == sent


def test_a_seed_is_sent(wire: Wire) -> None:
    generate(served(wire), replace(PAIR, sampling=Sampling(seed=11)))
    assert wire.requests[0].body["seed"] == 11


def test_no_effort_means_no_thinking(wire: Wire) -> None:
    generate(served(wire, "&effort=none"))
    generate(served(wire, "&effort=high"))
    quiet, loud = (seen.body for seen in wire.requests)
    assert quiet["chat_template_kwargs"] == {"enable_thinking": False}
    assert "reasoning_effort" not in quiet
    assert loud["reasoning_effort"] == "high"
    assert "chat_template_kwargs" not in loud


def test_words_are_scored_by_token_id(wire: Wire) -> None:
    wire.respond = lambda seen: chat("Yes", tokens={"Yes": 0.5, " yes": 0.2, "No": 0.1, "The": 0.2})
    transport = served(wire)
    replies = using(transport, lambda each: asyncio.gather(*(each.generate(LABELS) for _ in range(3))))
    body = wire.requests[0].body
    assert body["logprob_token_ids"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert body["return_tokens_as_token_ids"] is True
    assert body["max_completion_tokens"] == 1
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    for reply in replies:
        assert reply.labels == pytest.approx({"Yes": 0.7, "No": 0.1})
        assert reply.mass == pytest.approx(0.8)


def test_a_server_that_knows_no_token_ids_is_read_by_text(wire: Wire) -> None:
    wire.token_ids = False
    wire.respond = lambda seen: chat("Yes", tokens={"Yes": 0.5, " yes": 0.2, "No": 0.1, "The": 0.2})
    assert generate(served(wire), LABELS).labels == pytest.approx({"Yes": 0.7, "No": 0.1})


@pytest.mark.parametrize(
    "tokens",
    [{}, {"Yes": 1, "No": 2, " No": 2, "unused": 9} | {"Yes": 1}, {"Yes": 1}],
    ids=["no such path", "both", "no token"],
)
def test_words_without_a_token_of_their_own_are_looked_for_among_the_likeliest(
    wire: Wire, tokens: dict[str, int]
) -> None:
    wire.tokens = tokens
    wire.respond = lambda seen: chat("Yes", tokens={"Yes": 0.6, "No": 0.3})
    reply = generate(served(wire), LABELS)
    assert ("logprob_token_ids" in wire.requests[0].body) is ("No" in tokens)
    assert wire.requests[0].body["top_logprobs"] == 20
    assert reply.labels == pytest.approx({"Yes": 0.6, "No": 0.3})


def test_masked_tokens_count_as_nothing(wire: Wire) -> None:
    wire.script(chat("Yes", tokens={"Yes": 0.4, "No": 0.0}))
    reply = generate(served(wire), LABELS)
    assert reply.labels == pytest.approx({"Yes": 0.4, "No": 0.0})


ASKED = DecideRequest(
    "Judge by this rubric, please.",
    (TextPart("Image A:"), A, TextPart("Image B:"), B),
    (Question("c1", "Is the cat red?"), Question("c2", "Which is better?", ("A", "B"))),
)


def test_questions_are_decided_with_the_images_beside_them(wire: Wire) -> None:
    wire.script(
        systemone(
            {
                "c1": {"type": "noul", "noul": 0.8, "confidence": 0.7},
                "c2": {"type": "choice", "choice": "A", "probabilities": {"A": 0.6, "B": 0.4}},
            }
        )
    )
    reply = using(served(wire), lambda each: each.decide(ASKED))
    (seen,) = wire.requests
    assert seen.path == "/v1/systemone"
    assert len(seen.body["images"]) == 2
    state = seen.body["state"]
    assert state.index("Image A:") < state.index("[image 1]") < state.index("Image B:")
    assert seen.body["questions"] == {
        "c1": {"type": "noul", "instructions": "Is the cat red?"},
        "c2": {"type": "choice", "instructions": "Which is better?", "criteria": {"A": None, "B": None}},
    }
    assert reply.answers["c1"] == pytest.approx({"yes": 0.8, "no": 0.2})
    assert reply.answers["c2"] == pytest.approx({"A": 0.6, "B": 0.4})
    assert replace(reply.usage, seconds=None) == Usage(900, None, 2, None)


def test_questions_without_an_answer_are_left_out(wire: Wire) -> None:
    wire.script(systemone({"c1": {"type": "noul"}, "c2": {"type": "choice", "probabilities": {"A": 0.6}}}))
    assert using(served(wire), lambda each: each.decide(ASKED)).answers == {}


@pytest.mark.parametrize(
    ("action", "kind", "remedy"),
    [
        (failure(503, "queue is full", kind="ServiceUnavailable", code=503), ErrorKind.RATE_LIMIT, ""),
        (failure(500, "EngineCore encountered an issue", code=500), ErrorKind.TRANSIENT, ""),
        (failure(501, "no Decisions API", code=501), ErrorKind.REJECTED, ""),
        (
            failure(404, "The model does not exist.", kind="NotFoundError", param="model", code=404),
            ErrorKind.REJECTED,
            f"vllm serve {QWEN}",
        ),
        (as_json({"detail": "Not Found"}, 404), ErrorKind.REJECTED, f"vllm serve {QWEN}"),
        (as_json({"error": "Unauthorized"}, 401), ErrorKind.REJECTED, "VLLM_API_KEY"),
        (
            failure(400, "At most 1 image(s) may be provided", param="image", code=400),
            ErrorKind.TOO_LARGE,
            "",
        ),
        (failure(400, "at least 4097 tokens", param="input_tokens", code=400), ErrorKind.TOO_LARGE, ""),
        (failure(400, "Grammar error: ...", kind="BadRequestError", code=400), ErrorKind.REJECTED, ""),
        (failure(422, "cannot fetch", code=422), ErrorKind.REJECTED, ""),
    ],
)
def test_a_failure_says_what_it_calls_for(wire: Wire, action: Action, kind: ErrorKind, remedy: str) -> None:
    wire.script(action)
    error = failing(served(wire))
    assert error.kind is kind
    assert remedy in error.remedy
    assert len(wire.requests) == 1


def test_a_server_that_is_not_there(wire: Wire) -> None:
    transport = make_judge(f"vllm:{QWEN}?base_url=http://127.0.0.1:9/v1")
    error = failing(transport)
    assert error.kind is ErrorKind.TRANSIENT
    assert f"vllm serve {QWEN}" in error.remedy


def test_a_key_of_the_server_is_sent_and_never_shown(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "planted-key")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-you")
    wire.script(as_json({"error": "Unauthorized: planted-key"}, 401))
    error = failing(served(wire))
    assert wire.requests[0].headers["authorization"] == "Bearer planted-key"
    assert "planted-key" not in f"{error!r}{error.remedy}"


def test_without_a_key_none_goes_out(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-you")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-not-for-you")
    generate(served(wire))
    assert "not-for-you" not in str(wire.requests[0].headers)


def test_batches_are_not_for_vllm(wire: Wire) -> None:
    with pytest.raises(TransportError, match="takes no batches") as caught:
        using(served(wire), lambda each: each.submit({"one": PAIR}))
    assert caught.value.kind is ErrorKind.REJECTED
    with pytest.raises(TransportError, match="takes no batches"):
        using(served(wire), lambda each: each.collect("batch-1"))


def test_names_say_what_is_not_the_default(wire: Wire) -> None:
    assert make_judge(f"vllm:{QWEN}").name == f"vllm:{QWEN}"
    assert make_judge(f"vllm:{QWEN}").endpoint == "localhost:8000"
    named = served(wire, "&max_output_tokens=6000&timeout=30&seed=3")
    assert named.name == f"vllm:{QWEN}?base_url={wire.base_url}&max_output_tokens=6000&seed=3"
    with pytest.raises(InputError, match="not named"):
        make_judge("vllm")
    with pytest.raises(InputError, match="no http"):
        make_transport(Spec("vllm", QWEN), base_url="gpu-box")
