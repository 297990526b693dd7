"""Several hosted judges as one: who is sent what, on one budget, and what each of them took."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def two(wires):
    """A cheap judge whose price is not listed, and a dear one."""
    cheap, dear = wires("vllm:my-model"), wires("openai:gpt-5.2")
    cheap.wire.can.decisions = True
    return cheap, dear


def judged_by(two, *options):
    judges = [option for hosted in two for option in ("--judge", hosted.spec)]
    return ("judge", "eval", "--no-baseline", "--rubric", "t2i-general", *judges, *options)


@pytest.fixture
def done(arrkit):
    def run(*arguments):
        result = arrkit(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


@pytest.mark.parametrize("rule", ["majority", "mean"])
def test_all_are_asked_of_all_and_their_costs_are_told_apart(done, two, pairs, rule):
    cheap, dear = two
    report = done(*judged_by(two, "--ensemble", rule, "--pairs", pairs(5)))
    assert (len(cheap.wire.requests), len(dear.wire.requests)) == (10, 10)
    (row,) = report["rows"]
    assert row["stats"]["accuracy"]["value"] == 0.8
    one, other = row["stages"]
    assert [each["judge"] for each in (one, other)] == [cheap.spec, dear.spec]
    assert [each["stats"]["accuracy"]["value"] for each in (one, other)] == [0.8, 0.8]
    assert [each["cost"]["requests"] for each in (one, other)] == [2.0, 2.0]
    assert (one["cost"]["dollars"], other["cost"]["dollars"]) == (None, pytest.approx(2 * 0.0013))
    assert row["cost"]["dollars"] is None, "a sum with an unknown part is unknown"
    assert row["cost"]["input_tokens"] == 4 * 900
    assert report["ensemble"] == rule
    assert report["calls"]["requests"] == 20
    assert report["scoring"] == {"decision": 10, "logprob": 10}
    (margins,) = row["calibration"]
    assert margins["kind"] == "margin"
    assert margins["pairs"] == 5


def test_a_cascade_sends_to_the_dear_judge_only_what_the_cheap_one_leaves(done, two, pairs, folder):
    cheap, dear = two
    seeds = pairs(6)
    command = judged_by(two, "--ensemble", "cascade", "--pairs", seeds)
    foreseen = done(*command, "--dry-run")
    assert (cheap.wire.connections, dear.wire.connections) == (0, 0)
    assert foreseen["requests"] == 24, "without an answer every pair goes on"

    sure = done(*command, "--margin", "0")
    assert (len(cheap.wire.requests), len(dear.wire.requests)) == (12, 0)
    first, second = sure["rows"][0]["stages"]
    assert (first["settled"]["value"], second["stats"]["pairs"]) == (1.0, 0)
    assert second["cost"]["calls"] == 0

    unsure = done(*command, "--margin", "1", "--out", "all")
    assert (len(cheap.wire.requests), len(dear.wire.requests)) == (12, 12), "the cheap answers are kept"
    assert [each["stats"]["pairs"] for each in unsure["rows"][0]["stages"]] == [6, 6]
    requests = len(dear.wire.requests)
    again = done(*command, "--margin", "1", "--out", "all")
    assert len(dear.wire.requests) == requests
    assert again["replayed"] == 24
    assert again["rows"] == unsure["rows"]
    page = (folder / "all" / "report.html").read_text()
    assert "The judges of the cascade" in page
    assert "How sure of the image ahead" in page


def test_judges_share_one_budget(arrkit, wires, pairs):
    one, other = wires("openai:gpt-5.2"), wires("gemini:gemini-2.5-pro")
    command = judged_by((one, other), "--ensemble", "mean", "--pairs", pairs(20))
    result = arrkit(*command, "--max-cost", "0.02", "--concurrency", "1")
    assert result.exit_code == 1
    assert "--max-cost" in result.output
    assert 0 < len(one.wire.requests) + len(other.wire.requests) <= 0.02 / 0.0013


def test_an_embedded_judge_may_stand_before_a_hosted_one(done, wires):
    hosted = wires("openai:gpt-5.2")
    command = ("judge", "eval", "--limit", "4", "--judge", "shapes", "--judge", hosted.spec)
    command += ("--ensemble", "cascade", "--rubric", "t2i-general", "--no-baseline", "--margin", "1")
    assert done(*command, "--dry-run")["requests"] == 8
    report = done(*command)
    assert len(hosted.wire.requests) == 8
    assert [each["cost"]["requests"] for each in report["rows"][0]["stages"]] == [0.0, 2.0]
