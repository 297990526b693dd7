"""The ways to train: presets, criteria for each prompt, launchers."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from forked import adapter_of, rows

pytestmark = pytest.mark.xdist_group("torch")

TRAIN = ("rpo", "train", "--policy", "shapes", "--prompts", "prompts.txt", "--pairs", "4", "--max-steps", "2")


def ok(result):
    assert result.exit_code == 0, f"{result.output}{result.exception!r}"
    return result


def test_the_paper_s_preset_starts_and_says_what_its_clip_means(arrkit, folder):
    done = ok(arrkit(*TRAIN, "--preset", "paper", "--rank", "2", "--out", "run"))
    said = re.search(
        r"A clip of 0\.2 on the mean over (\d+) dimensions .* between (\S+) and (\S+) nats", done.stderr
    )
    assert said, done.stderr
    count, below, above = int(said[1]), float(said[2]), float(said[3])
    # ln(1 - 0.2) and ln(1 + 0.2) of the mean, times the number of dimensions.
    assert below == pytest.approx(-0.2231 * count, rel=0.01)
    assert above == pytest.approx(0.1823 * count, rel=0.01)
    config = json.loads((folder / "run/config.json").read_text())
    recipe = config["recipe"]
    assert (recipe["win"], recipe["lose"], recipe["steps"], recipe["level"]) == (1.0, -0.1, 8, 0.3)
    assert (recipe["noise"], recipe["window"], recipe["grid"]) == ("dance", "all-but-last", "shift3")
    logged = rows(folder / "run/metrics.jsonl")
    assert [row["step"] for row in logged] == [1, 2]
    for row in logged:
        decided = 4 - row["judge/tie_rate"] * 4
        assert row["terms"] == decided * 2 * 7  # all but the last of 8 steps
        assert row["log_ratio/0"] == 0.0


def test_criteria_for_each_prompt_are_written_once_and_trained_on(arrkit, folder, monkeypatch):
    from arrkit.shapes.judge import ShapesJudge

    asked, inner = [], ShapesJudge.zero_shot

    async def zero_shot(self, request):
        asked.append(request.prompt)
        return await inner(self, request)

    monkeypatch.setattr(ShapesJudge, "zero_shot", zero_shot)
    train = (*TRAIN, "--rubric-mode", "zero-shot", "--rank", "2", "--eval-prompts", "prompts.txt")
    report = json.loads(ok(arrkit(*train, "--out", "run", "--json")).stdout)
    assert report["rubric"] == "zero-shot"
    assert sorted(asked) == sorted((folder / "prompts.txt").read_text().splitlines())
    assert sum(row["judge/failures"] for row in rows(folder / "run/metrics.jsonl")) == 0
    assert sum(row["terms"] for row in rows(folder / "run/metrics.jsonl")) > 0
    assert "criteria that it wrote for each prompt" in (folder / "run/README.md").read_text()
    both = arrkit(*train, "--rubric", "shapes-t2i", "--out", "both")
    assert both.exit_code == 2
    assert "--rubric is given, and --rubric-mode zero-shot uses none" in both.stderr


LAUNCHERS = {
    "its own": (sys.executable, "-m", "arrkit", *TRAIN, "--launch", "2"),
    "accelerate's": (
        *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"),
        *("-m", "arrkit", *TRAIN),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launcher_starts_two_that_come_to_what_one_comes_to(launcher, arrkit, folder):
    quick = ("--rank", "2", "--steps", "3", "--out")
    done = subprocess.run([*LAUNCHERS[launcher], *quick, "two"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "2 processes on cpu over gloo" in done.stderr
    assert done.stderr.count("train: 2/2") == 1
    assert done.stdout.count("adapter  two/pytorch_lora_weights.safetensors") == 1
    assert len(list((folder / "two/checkpoint-2").glob("generators-*"))) == 2
    ok(arrkit(*TRAIN, *quick, "one"))
    _, alone = adapter_of(folder / "one")
    _, together = adapter_of(folder / "two")
    for name, numbers in alone.items():
        one, two = (
            torch.frombuffer(bytearray(each), dtype=torch.float32) for each in (numbers, together[name])
        )
        # By norm: Adam divides by the size of a gradient, so one that is almost 0 shows its last bit.
        assert float((one - two).norm()) <= 0.01 * float(one.norm()), name
