"""All that a judge does, through each backend, as people do it."""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest

SPECS = {
    "openai, listed": ("openai:gpt-5.2", {}),
    "openai, unknown": ("openai:someone/model", {"logprobs": 0, "schema": False}),
    "vllm, listed": ("vllm:Qwen/Qwen3-VL-8B-Instruct", {}),
    "vllm, unknown": ("vllm:my-model", {"decisions": True}),
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


@pytest.fixture
def done(arrkit):
    def run(*arguments):
        result = arrkit(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


def test_a_rubric_is_built_measured_merged_and_used(done, hosted, pairs, folder):
    judge = ("--judge", hosted.spec)
    seeds = pairs(10, task="edit")

    built = done("rubric", "build", "--task", "edit", "--pairs", seeds, "--out", "mine.json", *judge)
    # Every fifth pair was liked for its darkness, which this judge cannot explain.
    assert built["rubric"]["provenance"]["counts"]["discarded"] == 2
    assert [each["name"] for each in built["rubric"]["dimensions"]] == ["Light"]
    assert "logprob" not in built["held_out"]["scoring"], "each criterion was to be checked by itself"

    measured = done("judge", "eval", "--pairs", seeds, "--rubric", "mine.json", *judge)
    bare, ruled = (row["stats"] for row in measured["rows"])
    assert bare["accuracy"]["value"] == ruled["accuracy"]["value"] == 0.8
    assert ruled["coverage"]["value"] == ruled["consistency"]["value"] == 1.0

    requests = len(hosted.wire.requests)
    biased = done("judge", "bias", "--pairs", seeds, "--rubric", "mine.json", *judge)
    assert biased["rows"][1]["stats"]["gap"]["value"] == 0.0
    verified = done("rubric", "verify", "mine.json", "--pairs", seeds, "--min-accuracy", "0.7", *judge)
    assert verified["measured"]["rows"][1]["stats"]["accuracy"]["value"] == 0.8
    assert len(hosted.wire.requests) == requests, "all three commands ask the same, and pay for it once"

    merged = done("rubric", "merge", "mine.json", "edit-general", "--out", "both.json", *judge)
    names = [dimension["name"] for dimension in merged["dimensions"]]
    assert "Light" in names
    assert "Artifacts" in names
    assert len(merged["provenance"]["parents"]) == 2

    images = ("0-l.png", "0-d.png", "--source", "0-s.png", "--prompt", "brighter")
    explained = done("judge", "compare", *images, "--rubric", "mine.json", *judge)
    assert explained["preferred"] == "A"
    first, second = explained["a_first"], explained["b_first"]
    assert (first["preferred"], second["preferred"]) == ("first", "second")
    assert [each["answer"] for each in second["findings"]] == ["second"] * 3
    assert first["rationale"]


@pytest.mark.parametrize(
    ("name", "scoring"),
    [
        ("vllm:my-model", "decision"),
        ("vllm:my-model", "logprob"),
        ("vllm:my-model", "generate"),
        ("gemini:gemini-9-ultra", "decision"),
    ],
)
def test_a_judge_is_as_right_in_whichever_way_it_is_asked(done, wires, pairs, name, scoring):
    hosted = wires(name)
    hosted.wire.can.decisions = True
    report = done(
        *("judge", "eval", "--pairs", pairs(5), "--rubric", "t2i-general", "--scoring", scoring),
        *("--judge", hosted.spec),
    )
    assert report["scoring"] == {scoring: 20}
    assert [row["stats"]["accuracy"]["value"] for row in report["rows"]] == [0.8, 0.8]
    assert len(hosted.wire.requests) == 20, "one request for each judgment"


def test_zero_shot_criteria_are_asked_for_once_for_each_prompt(done, wires, pairs, folder):
    hosted = wires("openai:gpt-5.2")
    rows = [json.loads(line) for line in pairs(6).read_text().splitlines()]
    for number, row in enumerate(rows):
        row["prompt"] = f"a lamp of kind {number % 2}"
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ("judge", "eval", "--pairs", "pairs.jsonl", "--judge", hosted.spec)
    report = done(*command, "--rubric", "zero-shot", "--criteria", "2", "--concurrency", "6")
    kinds = Counter("verdict" if "A or" in str(seen.raw) else "other" for seen in hosted.wire.requests)
    blind = [seen for seen in hosted.wire.requests if b"no image" in seen.raw]
    assert len(blind) == 2, kinds
    assert all(b"data:image" not in seen.raw for seen in blind)
    assert [row["rubric"] for row in report["rows"]] == ["none", "zero-shot"]
    assert report["rows"][1]["stats"]["coverage"]["value"] == 1.0
    ruled = [seen for seen in hosted.wire.requests if b"brightly lit" in seen.raw]
    assert len(ruled) == 12, "each pair was judged under them, in both orders"


def test_a_report_in_json_holds_all_that_is_in_the_run(arrkit, wires, pairs, folder):
    hosted = wires("openai:gpt-5.2")
    command = ("judge", "eval", "--pairs", pairs(5), "--judge", hosted.spec, "--rubric", "t2i-general")
    shown = json.loads(arrkit(*command, "--out", "run", "--json").stdout)
    assert shown == json.loads((folder / "run" / "report.json").read_text())
    calls = shown["calls"]
    assert calls["requests"] == calls["outcomes"]["stop"] == 20
    assert calls["fresh"] == {"tokens": 20 * (900 - 512), "unknown": 0}
    assert calls["cached_input"] == {"tokens": 20 * 512, "unknown": 0}
    assert calls["reasoning"] == {"tokens": 20 * 8, "unknown": 0}
    assert math.isclose(calls["cost"], 20 * (900 * 1e-6 + 40 * 1e-5))
    told = arrkit(*command, "--out", "other", "--no-cache")
    assert "20 requests" in told.output
    assert "logprob (20)" in told.output
    assert f"${calls['cost']:.4f}" in told.output


@pytest.mark.parametrize("hosted", ["openai, listed", "gemini, unknown"], indirect=True)
def test_a_dry_run_sends_nothing_and_counts_what_is_sent_then(done, hosted, pairs):
    command = ("judge", "eval", "--pairs", pairs(6), "--rubric", "zero-shot", "--rubric", "t2i-general")
    command += ("--judge", hosted.spec)
    foreseen = done(*command, "--dry-run")
    assert (hosted.wire.requests, hosted.wire.canaries, hosted.wire.connections) == ([], [], 0)
    assert foreseen["unknown"] == ("ultra" in hosted.spec)
    assert foreseen["cached"] == 0
    done(*command)
    assert foreseen["requests"] == len(hosted.wire.requests) == 6 + 3 * 12
    again = done(*command, "--dry-run")
    assert (again["requests"], again["cached"], again["unknown"]) == (0, 42, False)


def test_a_dry_run_of_building_and_verifying_counts_too(done, wires, pairs):
    hosted = wires("openai:gpt-5.2")
    judge = ("--pairs", pairs(4), "--judge", hosted.spec)
    foreseen = done("rubric", "build", *judge, "--dry-run")
    assert hosted.wire.connections == 0
    assert foreseen["cost"] > 0
    done("rubric", "build", *judge, "--out", "mine.json")
    assert foreseen["requests"] == len(hosted.wire.requests), "here no criteria had to be refined"
    before = len(hosted.wire.requests)
    foreseen = done("rubric", "verify", "mine.json", *judge, "--dry-run")
    assert len(hosted.wire.requests) == before
    done("rubric", "verify", "mine.json", *judge)
    assert foreseen["requests"] == len(hosted.wire.requests) - before
