"""The transport against a real vLLM: each test states what that server does."""

from __future__ import annotations

import asyncio
import io
import json
import time
from dataclasses import replace

import pytest
from PIL import Image, ImageDraw

from arrkit.backends.registry import make_judge
from arrkit.judge.transport import (
    DecideRequest,
    ErrorKind,
    Finish,
    GenerateRequest,
    ImagePart,
    ModelProfile,
    Question,
    Reply,
    Sampling,
    TextPart,
    TransportError,
)

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("vllm")]

VERDICT = {
    "type": "object",
    "properties": {"reasoning": {"type": "string"}, "verdict": {"type": "string", "enum": ["A", "B", "tie"]}},
    "required": ["reasoning", "verdict"],
    "additionalProperties": False,
}


def image(colour: str, width: int = 96, height: int = 64) -> ImagePart:
    picture = Image.new("RGB", (width, height), colour)
    ImageDraw.Draw(picture).ellipse((0, 0, width // 2, height // 2), "white")
    file = io.BytesIO()
    picture.save(file, "PNG")
    return ImagePart(file.getvalue(), "image/png", width, height)


RED, BLUE = image("red"), image("blue", 64, 128)


def question(*images: ImagePart, text: str = "Which is better?", **options: object) -> GenerateRequest:
    named = [part for each in images for part in (TextPart("Image:"), each)]
    return GenerateRequest("You judge images.", (*named, TextPart(text)), **options)  # type: ignore[arg-type]


PAIR = question(RED, BLUE, schema=VERDICT)
WORD = question(RED, BLUE, labels=("A", "B", "tie"))


def answered(replies: list[Reply | TransportError]) -> list[Reply]:
    assert all(isinstance(each, Reply) for each in replies), replies
    return replies  # type: ignore[return-value]


def failed(replies: list[Reply | TransportError]) -> TransportError:
    (error,) = replies
    assert isinstance(error, TransportError), error
    return error


def test_the_canary_finds_out_what_the_server_can_do(spec):
    async def look() -> ModelProfile:
        transport = make_judge(spec())
        try:
            return await transport.profile()
        finally:
            await transport.aclose()

    assert asyncio.run(look()) == ModelProfile(
        images=4,
        structured="schema",
        logprobs=20,
        questions=0,
        temperature=True,
        seed=True,
        effort=("none", "low", "medium", "high"),
        known="probe",
    )


def test_the_schema_holds_whatever_the_weights_want(ask):
    requests = [replace(PAIR, sampling=Sampling(temperature=1.0, seed=seed)) for seed in range(12)]
    replies = answered(ask(*requests))
    # Not strict: vLLM's grammar lets raw control characters into strings.
    said = [json.loads(each.text, strict=False) for each in replies if each.finish is Finish.STOP]
    assert len(said) >= 6
    assert all(
        list(each) == ["reasoning", "verdict"] and each["verdict"] in ("A", "B", "tie") for each in said
    )
    assert len({each.text for each in replies}) > 6
    assert all(each.model == "tiny-judge" and each.request_id for each in replies)


def test_the_same_question_is_answered_alike(ask):
    warm = replace(PAIR, sampling=Sampling(temperature=1.0, seed=5))
    texts = [each.text for each in answered([*ask(PAIR, PAIR), *ask(warm, warm)])]
    assert texts[0] == texts[1] != texts[2] == texts[3]


def test_a_temperature_in_the_spec_is_heard(ask):
    texts = {each.text for each in answered(ask(*[PAIR] * 6, temperature=1.5))}
    assert len(texts) > 1


def test_tokens_are_counted_with_those_of_the_images(ask):
    seen, unseen = answered(ask(PAIR, question(text="Which is better?", schema=VERDICT)))
    assert seen.usage.input_tokens > unseen.usage.input_tokens > 0
    assert seen.usage.output_tokens > 0
    assert seen.usage.seconds > 0


def test_an_answer_without_room_ends_as_cut(ask):
    (reply,) = answered(ask(replace(PAIR, sampling=Sampling(max_output_tokens=3))))
    assert (reply.finish, reply.usage.output_tokens) == (Finish.LENGTH, 3)


def test_a_free_answer_is_text(ask):
    (reply,) = answered(ask(question(RED, sampling=Sampling(max_output_tokens=12))))
    assert reply.text
    assert reply.usage.output_tokens == 12


def test_every_label_has_its_probability_however_unlikely(ask):
    (reply,) = answered(ask(WORD))
    assert list(reply.labels) == ["A", "B", "tie"]
    # The server lists the twenty likeliest of 480 tokens; these are read by their ids.
    assert all(0 < share < 1 for share in reply.labels.values())
    assert reply.mass == pytest.approx(sum(reply.labels.values()))
    assert reply.usage.output_tokens == 1
    assert reply.finish is Finish.STOP


def test_probabilities_follow_the_order_of_the_images(ask):
    swapped = question(BLUE, RED, labels=WORD.labels)
    first, again, other = answered(ask(WORD, WORD, swapped))
    among_many = answered(ask(*[WORD, swapped] * 8))
    assert again.labels == pytest.approx(first.labels, rel=1e-3)
    assert all(each.labels == pytest.approx(first.labels, rel=1e-3) for each in among_many[::2])
    assert other.labels != pytest.approx(first.labels, rel=3e-3)


def test_a_temperature_changes_no_probability(ask):
    (cold,), (warm,) = answered(ask(WORD)), answered(ask(WORD, temperature=1.5))
    assert warm.labels == pytest.approx(cold.labels, rel=1e-3)


def test_labels_of_several_tokens_are_looked_for_among_the_likeliest(ask):
    (reply,) = answered(ask(replace(WORD, labels=("A", "cannot_tell"))))
    assert reply.labels["cannot_tell"] == 0.0
    assert 0 <= reply.mass <= 1


def test_there_is_no_decision_endpoint_for_this_architecture(ask):
    error = failed(ask(DecideRequest("You judge.", (RED,), (Question("q", "Is it red?"),))))
    assert (error.kind, error.status) == (ErrorKind.REJECTED, 501)


def test_a_model_that_is_not_served(spec):
    async def look() -> None:
        transport = make_judge(spec().replace("tiny-judge", "other-judge"))
        try:
            await transport.generate(PAIR)
        finally:
            await transport.aclose()

    with pytest.raises(TransportError) as raised:
        asyncio.run(look())
    error = raised.value
    assert (error.kind, error.status) == (ErrorKind.REJECTED, 404)
    assert "other-judge" in str(error)
    assert error.remedy == "Serve it: vllm serve other-judge"


@pytest.mark.parametrize("data", [b"no image", b"", RED.data[:60]], ids=["text", "nothing", "cut"])
def test_an_image_that_is_none_is_rejected(ask, data):
    error = failed(ask(question(ImagePart(data, "image/png", 96, 64), schema=VERDICT)))
    assert (error.kind, error.status) == (ErrorKind.REJECTED, 400)
    assert "base64" not in str(error)


def test_an_image_too_thin_for_the_model_is_rejected(ask):
    error = failed(ask(question(image("red", 400, 1))))
    assert (error.kind, error.status) == (ErrorKind.REJECTED, 400)


def test_more_images_than_the_server_takes_are_not_sent(ask):
    error = failed(ask(question(*[RED] * 5)))
    assert (error.kind, error.status) == (ErrorKind.TOO_LARGE, None)


def test_a_prompt_that_is_too_long_is_too_large(ask):
    error = failed(ask(question(RED, text="soup " * 40_000)))
    assert (error.kind, error.status) == (ErrorKind.TOO_LARGE, 400)
    assert "soup soup" not in str(error)


def test_a_schema_that_is_none_is_rejected(ask):
    error = failed(ask(replace(PAIR, schema={"type": "notatype"})))
    assert (error.kind, error.status) == (ErrorKind.REJECTED, 400)


def test_patience_ends_and_the_server_goes_on(ask):
    endless = question(text="soup", sampling=Sampling(temperature=1.0, max_output_tokens=20_000))
    began = time.monotonic()
    error = failed(ask(endless, timeout=1))
    assert time.monotonic() - began < 5
    assert error.kind is ErrorKind.TRANSIENT
    assert "timeout" in error.remedy
    answered(ask(PAIR))
