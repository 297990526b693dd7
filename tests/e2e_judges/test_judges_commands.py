"""All that a judge does, through each backend, as people do it."""

from __future__ import annotations

import json

import pytest

SPECS = {
    "openai, listed": ("openai:gpt-5.2", {}),
    "openai, unknown": ("openai:someone/model", {"logprobs": 0}),
    "vllm": ("vllm:Qwen/Qwen3-VL-8B-Instruct", {}),
    "gemini, listed": ("gemini:gemini-2.5-pro", {}),
    "gemini, unknown": ("gemini:gemini-9-ultra", {"logprobs": 5}),
}


@pytest.fixture(params=SPECS)
def hosted(request, wires):
    name, can = SPECS[request.param]
    made = wires(name)
    for each, value in can.items():
        setattr(made.wire.can, each, value)
    return made


def test_every_command_passes(arrkit, hosted, pairs, folder):
    def done(*arguments):
        result = arrkit(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    print(hosted.spec)
    judge = ("--judge", hosted.spec, "--concurrency", "8")
    seeds = pairs(10, task="edit")
    built = done("rubric", "build", "--task", "edit", "--pairs", seeds, "--out", "mine.json", *judge)
    print(
        built["held_out"]["scoring"], built["rubric"]["dimensions"], built["rubric"]["provenance"]["counts"]
    )
    r = done("judge", "eval", "--pairs", seeds, "--rubric", "mine.json", *judge)
    print(r["scoring"], r["calls"], [row["stats"]["accuracy"] for row in r["rows"]])
    r = done("judge", "bias", "--pairs", seeds, "--rubric", "mine.json", *judge)
    print(r["calls"], [row["stats"]["gap"] for row in r["rows"]])
    done("rubric", "verify", "mine.json", "--pairs", seeds, *judge)
    done("rubric", "merge", "mine.json", "edit-general", "--out", "both.json", "--judge", hosted.spec)
    r = done(
        "judge",
        "compare",
        "0-l.png",
        "0-d.png",
        "--source",
        "0-s.png",
        "--prompt",
        "x",
        "--rubric",
        "mine.json",
        "--judge",
        hosted.spec,
    )
    print(json.dumps(r, indent=1))
