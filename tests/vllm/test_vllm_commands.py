"""The commands, from a terminal to a real vLLM and back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from arrkit.rubric.files import read_rubric

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("vllm")]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def arrkit(tmp_path: Path) -> Run:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "arrkit", *map(str, arguments)],
            cwd=tmp_path,
            env=dict(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
        )

    return run


@pytest.fixture
def ok(arrkit: Run) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        done = arrkit(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def test_a_rubric_is_built_and_judged_under(arrkit, ok, spec, tmp_path):
    """Random words may fail at every step: of a few seeds one comes through, and the others say why not."""
    asked = ("--dataset", "shapes-t2i", "--limit", 6, "--criteria", 1, "--verify-orders", "one")
    for seed in range(1, 9):
        judge = spec(temperature=1, seed=seed)
        done = arrkit("rubric", "build", *asked, "--judge", judge, "--out", "learnt.json")
        assert "Traceback" not in done.stderr
        if done.returncode == 0:
            break
        assert done.returncode == 1, done.stderr
        assert "could not structure" in done.stderr or "gave criteria" in done.stderr, done.stderr
    rubric = read_rubric(str(tmp_path / "learnt.json"))
    assert rubric.dimensions
    assert spec().partition("?")[0] in str(rubric.provenance)
    judged = ok(
        *("judge", "eval", "--dataset", "shapes-t2i:test?n=4", "--rubric", "learnt.json"),
        *("--judge", spec(), "--json"),
    )
    rows = json.loads(judged.stdout)["rows"]
    assert [row["stats"]["outcomes"]["ok"] for row in rows] == [8, 8]


def test_a_judge_is_measured_by_probabilities(ok, spec, tmp_path):
    asked = ("judge", "bias", "--dataset", "shapes-t2i:test?n=8", "--rubric", "t2i-general")
    first = ok(*asked, "--judge", spec(), "--out", "run")
    assert "coverage 32/32" in first.stderr + first.stdout
    assert "not to be relied on" in first.stderr + first.stdout
    written = json.loads((tmp_path / "run" / "report.json").read_text())
    # All requests were the model's, and none is sent again by a new run: the cache has them.
    again = ok(*asked, "--judge", spec(), "--out", "other", "--dry-run")
    assert "requests       0 (32 more are in the cache)" in again.stderr + again.stdout
    assert [row["rubric"] for row in written["rows"]] == ["none", "t2i-general"]
    assert all(row["stats"]["coverage"]["value"] == 1 for row in written["rows"])


def test_a_judge_is_measured_by_generated_verdicts(ok, spec):
    done = ok(
        *("judge", "eval", "--dataset", "shapes-edit:test?n=4", "--scoring", "generate", "--language", "zh"),
        *("--judge", spec(temperature=1, seed=1), "--json"),
    )
    (row,) = json.loads(done.stdout)["rows"]
    outcomes = row["stats"]["outcomes"]
    assert sum(outcomes.values()) == row["stats"]["expected"] == 8
    assert outcomes["failed"] == outcomes["refused"] == 0
    assert outcomes["ok"] + outcomes["tie"] >= 4


def test_criteria_without_images_first(ok, spec):
    done = ok(
        *("judge", "eval", "--dataset", "shapes-t2i:test?n=4", "--rubric", "zero-shot", "--criteria", 2),
        *("--judge", spec(temperature=1, seed=1), "--json"),
    )
    bare, zero_shot = json.loads(done.stdout)["rows"]
    assert bare["stats"]["outcomes"]["ok"] == 8
    assert sum(zero_shot["stats"]["outcomes"].values()) == 8
    assert zero_shot["stats"]["outcomes"]["ok"] > 0


def test_one_pair_explained(ok, spec, tmp_path):
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (96, 64), colour).save(tmp_path / name)
    asked = ("judge", "compare", "a.png", "b.png", "--prompt", "a red wall", "--judge", spec())
    said = json.loads(ok(*asked, "--json").stdout)
    assert said["a_first"]["basis"]["model"] == "tiny-judge"
    assert {said["a_first"]["outcome"], said["b_first"]["outcome"]} <= {"ok", "tie"}


def test_a_server_that_is_not_there(arrkit, spec, server):
    gone = spec().replace(server.base_url, "http://127.0.0.1:9/v1")
    done = arrkit("judge", "eval", "--dataset", "shapes-t2i:test?n=2", "--judge", gone)
    assert done.returncode == 1
    assert "vllm serve tiny-judge" in done.stderr
    assert "Traceback" not in done.stderr
