"""The table of protocols on one dataset, through each backend."""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest

from arrkit.judge.answered import read_judgments
from arrkit.judge.choices import JudgeProtocol

BACKENDS = {
    "openai, logprob": ("openai:gpt-5.2", {}),
    "openai, skeleton": ("openai:someone/model", {"logprobs": 0, "schema": False}),
    "vllm, decision": ("vllm:my-model", {"decisions": True}),
    "gemini, generate": ("gemini:gemini-2.5-pro", {}),
}
RUBRICS = {"arr": {"bright": 1.0}, "sparse": {"bright": 1.6, "light": 0.4}}
"""One as ``arr`` leaves it, one as sparse learning does: criteria and their weights."""


@pytest.fixture
def rubrics(arrkit, folder) -> None:
    for name, weights in RUBRICS.items():
        criteria = [
            {"id": word, "statement": f"The image is {word} all over.", "weight": weight}
            for word, weight in weights.items()
        ]
        made = {"method": "manual", "arrkit_version": "0.1.0", "created_at": "2026-01-01T00:00:00Z"}
        rubric = {
            "schema_version": 1,
            "name": name,
            "version": "1.0.0",
            "task": "t2i",
            "dimensions": [{"id": "light", "name": "Light", "criteria": criteria}],
            "provenance": made,
        }
        (folder / f"{name}.json").write_text(json.dumps(rubric))
        sealed = arrkit("rubric", "seal", f"{name}.json")
        assert sealed.exit_code == 0, sealed.output


@pytest.mark.parametrize("name", BACKENDS)
def test_every_protocol_has_its_row_with_an_interval_and_a_cost(arrkit, wires, pairs, rubrics, name):
    spec, can = BACKENDS[name]
    hosted = wires(spec)
    for each, value in can.items():
        setattr(hosted.wire.can, each, value)
    command = ("judge", "eval", "--pairs", pairs(5), "--judge", hosted.spec, "--out", "run")
    command += ("--rubric=zero-shot", "--rubric=arr.json", "--rubric=sparse.json")
    command += tuple(f"--protocol={each}" for each in JudgeProtocol)
    result = arrkit(*command, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)

    rows = {row["rubric"]: row for row in report["rows"]}
    assert list(rows) == [
        *("none", "zero-shot", "arr", "sparse"),
        *("zero-shot, weighted", "arr, weighted", "sparse, weighted"),
        *("checklist", "plan-verify"),
    ]
    for row in rows.values():
        # Every fifth pair was liked for its darkness, which this model cannot see.
        assert row["stats"]["accuracy"] == rows["none"]["stats"]["accuracy"]
        assert row["stats"]["accuracy"]["value"] == 0.8
        assert row["stats"]["coverage"]["value"] == 1.0
    calls = {name: row["cost"]["calls"] for name, row in rows.items()}
    assert calls == {
        **dict.fromkeys(("none", "arr", "sparse"), 2.0),
        **dict.fromkeys(("arr, weighted", "sparse, weighted"), 2.0),
        **dict.fromkeys(("zero-shot", "zero-shot, weighted", "checklist"), 3.0),
        "plan-verify": 4.0,
    }
    # A word is asked for each criterion of each image; a list of questions or an object holds them all.
    each = 2 if report["scoring"].get("logprob") else 1
    assert rows["sparse, weighted"]["cost"]["requests"] == 2.0 * each
    assert rows["checklist"]["cost"]["requests"] == 1 + 2 * (3 if each == 2 else 1)
    assert rows["plan-verify"]["cost"]["requests"] == 4.0
    for row in rows.values():
        cost = row["cost"]
        assert cost["input_tokens"] > 0
        priced = spec in ("openai:gpt-5.2", "gemini:gemini-2.5-pro")
        assert (cost["dollars"] is not None) == priced

    # Asked again elsewhere, all comes from the cache, and takes what it took.
    sent = len(hosted.wire.requests)
    again = json.loads(arrkit(*command, "--out", "other", "--json").stdout)
    assert len(hosted.wire.requests) == sent
    for one, other in zip(report["rows"], again["rows"], strict=True):
        assert one["cost"].keys() == other["cost"].keys()
        for key, value in one["cost"].items():
            assert value == other["cost"][key] or math.isclose(value, other["cost"][key]), (
                one["rubric"],
                key,
            )


def test_a_checklist_is_asked_for_once_for_each_prompt_and_never_sees_an_image(arrkit, wires, pairs, folder):
    hosted = wires("openai:gpt-5.2")
    rows = [json.loads(line) for line in pairs(6).read_text().splitlines()]
    for number, row in enumerate(rows):
        row["prompt"] = f"a lamp of kind {number % 2}"
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ("judge", "eval", "--pairs", "pairs.jsonl", "--judge", hosted.spec, "--protocol", "checklist")
    told = arrkit(*command, "--criteria", "2", "--no-baseline", "--out", "run", "--json")
    (row,) = json.loads(told.stdout)["rows"]
    written = [seen for seen in hosted.wire.requests if b"checklist" in seen.raw]
    assert len(written) == 2
    assert all(b"data:image" not in seen.raw for seen in written)
    assert math.isclose(row["cost"]["calls"], 2 + 2 / 6)
    assert math.isclose(row["cost"]["requests"], 4 + 2 / 6), "two items, each a word, for two images"
    assert (row["stats"]["consistency"]["value"], row["stats"]["gap"]["value"]) == (1.0, 0.0)
    for judged in read_judgments(folder / "run" / "judgments.jsonl"):
        assert judged.ba == "not_asked", "a score knows no order"
        assert judged.margin is not None
        assert (judged.margin > 0) == (judged.ab == "A")


def test_a_plan_is_made_of_both_images_in_the_order_shown_and_its_points_alone_are_checked(
    arrkit, wires, pairs, folder
):
    hosted = wires("gemini:gemini-2.5-pro")
    command = ("judge", "eval", "--pairs", pairs(2), "--judge", hosted.spec, "--protocol", "plan-verify")
    told = arrkit(*command, "--no-baseline", "--language", "zh", "--json")
    assert told.exit_code == 0, told.output
    kinds = Counter("plan" if '"points"' in seen.raw.decode() else "verdict" for seen in hosted.wire.requests)
    assert kinds == {"plan": 4, "verdict": 4}
    checked = [seen.raw.decode() for seen in hosted.wire.requests if '"verdict"' in seen.raw.decode()]
    assert all("The picture is light all over." in each for each in checked)
    assert all("No part of it is very dark." not in each for each in checked), "the model named two points"


def test_a_dry_run_counts_what_each_protocol_sends(arrkit, wires, pairs):
    hosted = wires("gemini:gemini-2.5-pro")
    command = ("judge", "eval", "--pairs", pairs(3), "--judge", hosted.spec, "--rubric", "t2i-general")
    command += ("--protocol=weighted", "--protocol=checklist", "--protocol=plan-verify")
    foreseen = json.loads(arrkit(*command, "--dry-run", "--json").stdout)
    assert hosted.wire.connections == 0
    arrkit(*command)
    assert foreseen["requests"] == len(hosted.wire.requests) == 3 * (2 + 2 + 3 + 4)
