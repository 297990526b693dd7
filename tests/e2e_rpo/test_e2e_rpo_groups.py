"""``rpo train --algorithm flow-grpo`` and scalar rewards from outside: refused, resumed, stopped early."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")

from forked import adapter_of, rows

pytestmark = pytest.mark.xdist_group("torch")

TRAIN = ("rpo", "train", "--policy", "shapes", "--prompts", "prompts.txt", "--eval-prompts", "prompts.txt")
TRAIN += ("--pairs", "2", "--steps", "4", "--rank", "2", "--schedule", "constant", "--warmup", "0")
TRAIN += ("--window", "early", "--window-size", "1", "--window-range", "3", "--eval-every", "0")
GROUPS = (*TRAIN, "--algorithm", "flow-grpo", "--group", "3")


def ok(result):
    assert result.exit_code == 0, f"{result.output}{result.exception!r}"
    return result


def test_a_run_in_two_parts_is_a_run_in_one_and_keeps_its_reward(arrkit, folder):
    train = (*GROUPS, "--reward", "mixture")
    ok(arrkit(*train, "--max-steps", "1", "--out", "parts"))
    other = arrkit(*GROUPS, "--max-steps", "2", "--out", "parts", "--resume", "--reward", "pairwise")
    assert other.exit_code == 2
    assert "the recipe's reward is pairwise now, and was mixture" in other.output
    ok(arrkit(*train, "--max-steps", "2", "--out", "parts", "--resume"))
    ok(arrkit(*train, "--max-steps", "2", "--out", "whole"))
    assert adapter_of(folder / "parts") == adapter_of(folder / "whole")
    logged = rows(folder / "whole/metrics.jsonl")
    assert [row["step"] for row in logged] == [1, 2]
    assert all(row["images"] == row["reward/images"] == row["judge/pairs"] == 6 for row in logged)
    assert any(name.startswith("reward/criterion/") for name in logged[0])
    (first, *_) = rows(folder / "whole/judgments.jsonl")
    assert (len(first["grading"]["grades"]), len(first["grading"]["rulings"])) == (3, 3)
    assert "Flow-GRPO" in (folder / "whole/README.md").read_text()
    assert "Score by criterion" in (folder / "whole/report.html").read_text()


def test_rpo_trains_on_scores(arrkit, folder):
    report = json.loads(ok(arrkit(*TRAIN, "--reward", "weighted", "--max-steps", "1", "--json")).stdout)
    logged = rows(folder / report["folder"] / "metrics.jsonl")
    assert (logged[0]["images"], logged[0]["reward/images"]) == (4, 4)
    assert "judge/pairs" not in logged[0]


def test_a_gap_between_two_rubrics_stops_a_run_and_keeps_it_stopped(arrkit, folder, monkeypatch):
    from arrkit.rpo import job

    monkeypatch.setattr(job, "too_far_apart", lambda history, most: "far" if len(history) > 1 else "")
    train = (*GROUPS, "--watch-rubric", "shapes-t2i", "--stop-gap", "0.2", "--max-steps", "5", "--out", "run")
    train += ("--eval-every", "1")
    report = json.loads(ok(arrkit(*train, "--json")).stdout)
    assert (report["updates"], report["alarms"]) == (2, ["far"])
    assert [row["gap/low"] <= row["gap"] for row in rows(folder / "run/metrics.jsonl")] == [True, True]
    again = json.loads(ok(arrkit(*train, "--resume", "--json")).stdout)
    assert again["updates"] == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--group", "3"), "rpo samples two images for each prompt"),
        (("--algorithm", "flow-grpo", "--preset", "paper"), "the paper's preset is RPO as published"),
        (("--algorithm", "flow-grpo", "--win", "1"), "not --win and --lose"),
        (("--algorithm", "flow-grpo", "--defer"), "not of groups"),
        (("--mix", "0.3"), "--mix has no meaning for the reward pairwise"),
        (("--stop-gap", "0.3"), "needs a second rubric"),
    ],
)
def test_what_does_not_go_together_is_refused(arrkit, folder, more, said):
    done = arrkit(*TRAIN, *more)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
    assert "Nothing was loaded." in done.output
    assert not (folder / "runs").exists()
