"""Endpoints that throttle, stumble, refuse, run dry or send us away: what people see, and what is sent."""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest
import wire_gemini
import wire_openai
from looking import digest

OPENAI, GEMINI = "openai:gpt-5.2", "gemini:gemini-2.5-pro"


def evaluated(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def prompt_of(seen):
    """The number of the pair that a request is about."""
    return int(seen.raw.partition(b"lamp number ")[2].split(b"\\n")[0])


@pytest.mark.parametrize("name", [OPENAI, GEMINI])
def test_a_throttled_run_waits_as_told_and_judges_every_pair(arrkit, wires, pairs, name):
    hosted = wires(name)
    wire, calm = hosted.wire, hosted.wire.respond
    wire.latency = 0.08  # without a pause requests would go on for half a second
    told = []

    def respond(seen):
        if len(wire.requests) == 6:
            told.append(seen.at)
            if name == GEMINI:
                return wire_gemini.throttled(delay="1.2s")
            return wire_openai.throttled(retry_after="1.2")
        return calm(seen)

    wire.respond = respond
    report = evaluated(
        arrkit("judge", "eval", "--pairs", pairs(10), "--judge", hosted.spec, "--concurrency", "3", "--json")
    )
    (began,) = told
    # Those under way at that moment may still arrive; then nobody sends until the time is over.
    pause = [seen.at - began for seen in wire.requests if 0.2 < seen.at - began < 1.2]
    assert pause == []
    assert report["rows"][0]["stats"]["coverage"]["value"] == 1.0
    assert report["calls"]["requests"] == len(wire.requests) == 21
    assert report["calls"]["outcomes"] == {"stop": 20, "rate_limit": 1}


@pytest.mark.parametrize("name", [OPENAI, GEMINI])
def test_a_storm_is_weathered_and_the_sdk_adds_no_storm_of_its_own(arrkit, wires, pairs, name):
    hosted = wires(name)
    wire, calm = hosted.wire, hosted.wire.respond
    failure = (
        wire_gemini.failure(503, "UNAVAILABLE") if name == GEMINI else wire_openai.failure(500, "it broke")
    )
    seen_before = set()

    def respond(seen):
        if digest(seen) in seen_before:
            return calm(seen)
        seen_before.add(digest(seen))
        return failure

    wire.respond = respond
    report = evaluated(arrkit("judge", "eval", "--pairs", pairs(6), "--judge", hosted.spec, "--json"))
    assert report["rows"][0]["stats"]["coverage"]["value"] == 1.0
    assert set(hosted.bodies().values()) == {2}
    assert report["calls"]["retries"] == 12


FAILURES = {
    "refused": wire_openai.chat(None, refusal="I cannot help with that."),
    "filtered": wire_openai.chat("", finish="content_filter"),
    "rejected": wire_openai.failure(400, "The image cannot be processed.", code="invalid_image"),
    "no answer": wire_openai.chat("I would rather speak of the weather."),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_one_pair_in_five_failing_is_coverage_and_not_accuracy(arrkit, wires, pairs, folder, failure):
    hosted = wires(OPENAI)
    calm = hosted.wire.respond
    hosted.wire.respond = lambda seen: FAILURES[failure] if prompt_of(seen) % 5 == 3 else calm(seen)
    whole = pairs(10)
    command = ("judge", "eval", "--judge", hosted.spec, "--scoring", "generate", "--no-cache", "--json")
    torn = evaluated(arrkit(*command, "--pairs", whole))["rows"][0]["stats"]
    lines = whole.read_text().splitlines()
    rest = [line for number, line in enumerate(lines) if number % 5 != 3]
    (folder / "rest.jsonl").write_text("\n".join(rest) + "\n")
    left_out = evaluated(arrkit(*command, "--pairs", "rest.jsonl"))["rows"][0]["stats"]
    assert math.isclose(torn["coverage"]["value"], 0.8)
    assert left_out["coverage"]["value"] == 1.0
    for measure in ("accuracy", "forward", "reverse", "consistency", "both_right", "gap"):
        assert torn[measure] == left_out[measure], measure
    assert torn["accuracy"]["value"] == 0.75, "six of the eight that were judged"


def test_an_answer_that_fits_no_schema_is_repaired_once(arrkit, wires, pairs):
    hosted = wires(OPENAI)
    calm = hosted.wire.respond
    hosted.wire.respond = lambda seen: (
        calm(seen) if b"could not be used" in seen.raw else wire_openai.chat('{"verdict": "the left one"}')
    )
    command = ("judge", "eval", "--pairs", pairs(2), "--judge", hosted.spec, "--scoring", "generate")
    report = evaluated(arrkit(*command, "--json"))
    assert report["rows"][0]["stats"]["coverage"]["value"] == 1.0
    assert len(hosted.wire.requests) == 8
    evaluated(arrkit(*command, "--out", "again", "--json"))
    assert len(hosted.wire.requests) == 8, "what was mended is kept, and not paid for again"


QUOTAS = {
    OPENAI: wire_openai.failure(429, "You exceeded your current quota.", code="insufficient_quota"),
    GEMINI: wire_gemini.throttled(quota="GenerateRequestsPerDayPerProjectPerModel", delay="40000s"),
}


@pytest.mark.parametrize("name", QUOTAS)
def test_a_quota_that_is_used_up_stops_the_run_cleanly_and_the_same_command_goes_on(
    arrkit, wires, pairs, name
):
    hosted = wires(name)
    calm = hosted.wire.respond
    answered = Counter()

    def respond(seen):
        if sum(answered.values()) == 7:
            return QUOTAS[name]
        answered[digest(seen)] += 1
        return calm(seen).after(0.15)  # some are under way when the run stops, and paid for

    hosted.wire.respond = respond
    command = ("judge", "eval", "--pairs", pairs(10), "--judge", hosted.spec, "--no-cache")
    stopped = arrkit(*command)
    assert stopped.exit_code == 1
    assert "quota" in stopped.output
    assert stopped.output.count("same command again") == 1, stopped.output
    assert "Traceback" not in stopped.output

    def healed(seen):
        answered[digest(seen)] += 1
        return calm(seen)

    hosted.wire.respond = healed
    report = evaluated(arrkit(*command, "--json"))
    assert report["rows"][0]["stats"]["coverage"]["value"] == 1.0
    assert report["replayed"] == 7
    assert set(answered.values()) == {1}


WRONG_KEYS = {
    OPENAI: wire_openai.failure(401, "Incorrect API key provided: sk-test.", code="invalid_api_key"),
    GEMINI: wire_gemini.failure(
        400,
        "INVALID_ARGUMENT",
        "API key not valid. Please pass a valid API key.",
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
    ),
    "gemini:gemini-9-ultra": wire_gemini.failure(
        400,
        "INVALID_ARGUMENT",
        "API key not valid. Please pass a valid API key.",
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
    ),
    "openai:someone/model": wire_openai.failure(401, "Incorrect API key provided.", code="invalid_api_key"),
    "vllm:my-model": wire_openai.failure(401, "Unauthorized", code=401),
}


@pytest.mark.parametrize("name", WRONG_KEYS)
def test_a_wrong_key_stops_the_run_at_once_with_the_remedy_said_once(arrkit, wires, pairs, name):
    hosted = wires(name)
    hosted.wire.react = lambda seen: hosted.wire.requests.append(seen) or WRONG_KEYS[name]
    result = arrkit("judge", "eval", "--pairs", pairs(10), "--judge", hosted.spec, "--concurrency", "4")
    assert result.exit_code == 1
    variable = {"openai": "OPENAI_API_KEY", "gemini": "GEMINI_API_KEY", "vllm": "VLLM_API_KEY"}
    assert result.output.count(variable[name.partition(":")[0]]) == 1, result.output
    assert len(hosted.wire.requests) <= 4
    assert len(result.output.splitlines()) <= 4


def test_without_a_key_nothing_is_sent_and_the_variable_is_named(arrkit, wires, pairs, monkeypatch):
    hosted = wires(GEMINI)
    monkeypatch.delenv("GEMINI_API_KEY")
    result = arrkit("judge", "eval", "--pairs", pairs(2), "--judge", hosted.spec)
    assert (result.exit_code, hosted.wire.connections) == (2, 0)
    assert "Set GEMINI_API_KEY" in result.output


def test_a_model_that_cannot_be_asked_what_it_can_do_stops_the_run_once(arrkit, wires, pairs):
    hosted = wires("vllm:my-model")
    asked = []
    failure = wire_openai.failure(404, "The model `my-model` does not exist.", code=404)
    hosted.wire.react = lambda seen: asked.append(seen) or failure
    result = arrkit("judge", "eval", "--pairs", pairs(10), "--judge", hosted.spec)
    assert result.exit_code == 1
    assert len(asked) == 1
    assert "vllm serve my-model" in result.output


def test_a_model_that_stumbles_when_it_is_asked_what_it_can_do_is_asked_again(arrkit, wires, pairs):
    hosted = wires("vllm:my-model")
    usual, stumbles = hosted.wire.react, [wire_openai.failure(503, "starting")] * 2
    hosted.wire.react = lambda seen: stumbles.pop() if stumbles else usual(seen)
    report = evaluated(arrkit("judge", "eval", "--pairs", pairs(2), "--judge", hosted.spec, "--json"))
    assert report["rows"][0]["stats"]["coverage"]["value"] == 1.0


def test_a_budget_stops_the_run_before_it_goes_over_and_says_how_to_go_on(arrkit, wires, pairs):
    hosted = wires(OPENAI)
    modest = {"prompt_tokens": 250, "completion_tokens": 1}  # less than is reckoned with at the most
    hosted.wire.respond = lambda seen: wire_openai.chat("A", tokens={"A": 0.9}, usage=modest)
    command = ("judge", "eval", "--pairs", pairs(20), "--judge", hosted.spec)
    each = 250 * 1e-6 + 1 * 1e-5
    stopped = arrkit(*command, "--max-cost", 9.5 * each)
    assert stopped.exit_code == 1, stopped.output
    assert "--max-cost" in stopped.output
    assert "same command again" in stopped.output
    sent = len(hosted.wire.requests)
    assert 4 <= sent <= 9
    report = evaluated(arrkit(*command, "--max-cost", 40 * each, "--json"))
    assert report["rows"][0]["stats"]["coverage"]["value"] == 1.0
    assert set(hosted.bodies().values()) == {1}
    assert math.isclose(report["calls"]["cost"], (40 - sent) * each)


def test_a_budget_needs_a_price(arrkit, wires, pairs):
    hosted = wires("vllm:my-model")
    result = arrkit("judge", "eval", "--pairs", pairs(2), "--judge", hosted.spec, "--max-cost", "1")
    assert (result.exit_code, hosted.wire.connections) == (2, 0)
    assert "prices.toml" in result.output


def test_batches_are_for_endpoints_that_take_them(arrkit, wires, pairs):
    hosted = wires("vllm:my-model")
    result = arrkit("judge", "eval", "--pairs", pairs(2), "--judge", hosted.spec, "--batch")
    assert result.exit_code in (1, 2)
    assert "Leave --batch out." in result.output
