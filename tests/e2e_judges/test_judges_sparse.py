"""Weighted criteria learned through each backend: every question once, whatever way scores are asked for."""

from __future__ import annotations

import json

import pytest

WAYS = {
    "openai, generate": ("openai:gpt-5.2", "generate"),
    "vllm, decision": ("vllm:my-model", "decision"),
    "vllm, unstructured": ("vllm:my-model", "generate"),
    "gemini, logprob": ("gemini:gemini-9-ultra", "logprob"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_sparse_rubric_is_built_and_no_question_is_paid_for_twice(arrkit, wires, pairs, folder, way):
    name, scoring = WAYS[way]
    hosted = wires(name)
    hosted.wire.can.decisions = True
    if name.startswith("gemini"):
        hosted.wire.can.logprobs = 5
    if "unstructured" in way:
        hosted.wire.can.schema = False
    command = ("rubric", "build", "--method", "sparse", "--pairs", pairs(16), "--judge", hosted.spec)
    options = ("--scoring", scoring, "--rounds", "2", "--out", "s.json", "--json")
    done = arrkit(*command, *options)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    learning = report["rubric"]["learning"]
    assert learning["weights"], "light explains four of five choices"
    assert learning["held_out"]["accuracy"]["n"] > 0
    assert sum(learning["rounds"][0]["mined"].values()) > 0
    asked = hosted.bodies()
    assert set(asked.values()) == {1}
    words = [str(seen.raw) for seen in hosted.wire.requests]
    assert any("What does the rubric miss" in each for each in words)
    assert any("Put what the rubric misses" in each for each in words)

    again = arrkit(*command, *options)
    assert json.loads(again.stdout)["asked"] == 0
    assert len(hosted.wire.requests) == sum(asked.values())
    fresh = arrkit(*command, *options[:-2], "other.json", "--json")
    assert fresh.exit_code == 0, fresh.output
    assert len(hosted.wire.requests) == sum(asked.values()), "the user's cache has all answers"


def test_a_build_of_weights_is_foreseen(arrkit, wires, pairs, folder):
    hosted = wires("openai:gpt-5.2")
    command = ("rubric", "build", "--method", "sparse", "--pairs", pairs(10), "--judge", hosted.spec)
    foreseen = arrkit(*command, "--dry-run", "--json")
    assert foreseen.exit_code == 0, foreseen.output
    assert not hosted.wire.requests
    assert json.loads(foreseen.stdout)["requests"] > 10 * 2
