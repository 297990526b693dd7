"""Training runs of the embedded policy: killed, resumed, begun anew, by one process and by two."""

from __future__ import annotations

import random
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from forked import ADAPTER, Forked, adapter_of, rows
from numpy.linalg import norm
from safetensors.numpy import load_file

from arrkit.rpo.launching import LOST

pytestmark = pytest.mark.xdist_group("torch")

UPDATES = 6
TRAIN = ("rpo", "train", "--policy", "shapes", "--prompts", "prompts.txt", "--eval-prompts", "prompts.txt")
TRAIN += (
    "--max-steps",
    str(UPDATES),
    "--pairs",
    "4",
    "--steps",
    "4",
    "--rank",
    "2",
    "--schedule",
    "constant",
)
# With a judge that takes a while an update is long enough to be killed in.
TRAIN += ("--judge", "shapes?latency=0.04", "--window", "early", "--window-size", "1", "--window-range", "3")
TRAIN += ("--checkpoint-every", "2", "--eval-every", "3", "--learning-rate", "0.001", "--warmup", "0")


def ok(result: Any) -> Any:
    assert result.exit_code == 0, f"{result.output}{result.exception!r}"
    return result


def logged(run: Path) -> list[dict[str, Any]]:
    """The rows of the log, without what a clock says."""
    timed = re.compile("seconds|latency|images_per_second")
    return [
        {name: value for name, value in row.items() if not timed.search(name)}
        for row in rows(run / "metrics.jsonl")
    ]


def rulings(run: Path) -> list[tuple[int, str, str, str | None]]:
    return [
        (row["step"], row["pair"], row["prompt"], row["ruling"].get("preferred"))
        for row in rows(run / "judgments.jsonl")
    ]


def reached(run: Path) -> int:
    log = run / "metrics.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def kill_somewhere(process: Forked, run: Path, chance: random.Random, goal: int) -> None:
    """Kill it at a random moment after ``goal`` updates have been logged."""
    while reached(run) < goal and process.running:
        time.sleep(0.001)
    time.sleep(chance.random() * 0.08)
    process.kill()
    assert process.wait() == -signal.SIGKILL, process.said.read_text()


_KEPT: dict[str, Path] = {}


@pytest.fixture
def one(arrkit, tmp_path_factory) -> Path:
    """The folder of a run that one process made, undisturbed."""
    if "one" not in _KEPT:
        _KEPT["one"] = tmp_path_factory.mktemp("whole") / "one"
        ok(arrkit(*TRAIN, "--out", _KEPT["one"]))
    return _KEPT["one"]


@pytest.fixture
def two(fork_two, tmp_path_factory, folder) -> Path:
    """The folder of the same run by two processes; what each saw stands in ``witness-0.jsonl`` beside it."""
    if "two" not in _KEPT:
        _KEPT["two"] = tmp_path_factory.mktemp("whole") / "two"
        both = fork_two(*TRAIN, "--out", _KEPT["two"], before=WITNESS)
        assert [process.wait() for process in both] == [0, 0], both[0].said.read_text()
        assert "2 processes on cpu over gloo" in both[0].said.read_text()
        assert both[1].said.read_text() == ""
        for rank in (0, 1):
            (folder / f"witness-{rank}.jsonl").rename(_KEPT["two"].parent / f"witness-{rank}.jsonl")
    return _KEPT["two"]


def test_a_run_that_is_killed_again_and_again_ends_as_if_it_never_was(arrkit, fork, one, folder):
    torn = folder / "one"
    chance = random.Random()
    for goal in (1, 4):
        kill_somewhere(fork(*TRAIN, "--out", "one", "--resume"), torn, chance, goal)
    ok(arrkit(*TRAIN, "--out", "one", "--resume"))
    assert adapter_of(torn) == adapter_of(one)
    assert [row["step"] for row in logged(torn)] == [*range(1, UPDATES + 1)]
    assert logged(torn) == logged(one)
    assert rulings(torn) == rulings(one)
    assert (torn / "README.md").read_text() == (one / "README.md").read_text()
    assert not list(torn.glob(".checkpoint*"))


def test_a_finished_run_is_shown_again_and_changed_by_nothing(arrkit, folder):
    ok(arrkit(*TRAIN, "--max-steps", "2", "--out", "run"))
    before = {file.name: file.read_bytes() for file in (folder / "run").iterdir() if file.is_file()}
    again = ok(arrkit(*TRAIN, "--max-steps", "2", "--out", "run", "--resume"))
    assert "Going on after update 2." in again.stderr
    assert adapter_of(folder / "run/checkpoint-2") == adapter_of(folder / "run")
    for name in ("README.md", "metrics.jsonl", "judgments.jsonl", "before-after.png"):
        assert (folder / "run" / name).read_bytes() == before[name], name


def test_a_folder_with_a_run_is_used_only_by_who_says_how(arrkit, folder):
    train = (*TRAIN, "--eval-every", "0", "--out", "run")
    ok(arrkit(*train, "--max-steps", "4"))
    again = arrkit(*train, "--max-steps", "4")
    assert again.exit_code == 2
    assert "run holds a run that reached update 4\n  Add --resume" in again.stderr
    other = arrkit(*train, "--pairs", "2", "--resume", "--learning-rate", "0.5", "--prompts", "few.txt")
    assert other.exit_code == 2
    (folder / "few.txt").write_text("a star\n")
    other = arrkit(*train, "--pairs", "2", "--resume", "--learning-rate", "0.5", "--prompts", "few.txt")
    assert other.exit_code == 2
    said = other.stderr
    assert "run/checkpoint-4: the recipe's learning_rate is 0.5 now, and was 0.001" in said
    assert "run/checkpoint-4: the recipe's pairs is 2 now, and was 4" in said
    assert "the prompts is" in said
    assert "3 problems. Nothing was loaded." in said
    # Begun anew, it must not go on from what was there, nor keep that in place of its own.
    ok(arrkit(*train, "--max-steps", "2", "--seed", "1", "--force"))
    assert [path.name for path in (folder / "run").glob("checkpoint-*")] == ["checkpoint-2"]
    assert [row["step"] for row in rows(folder / "run/metrics.jsonl")] == [1, 2]


WITNESS = """
import json, os
from arrkit.rpo.lora import adapter_hash
from arrkit.rpo.trainer import Trainer
inner = Trainer.advance
def advance(self):
    done = inner(self)
    facts = {
        "hash": adapter_hash(self.policy.transformer),
        "window": sorted(name for row in done.rows for name in row if name.startswith("window/")),
        "prompts": [each.prompt.id for each in self.feed.draw(
            self.rollouts - 1, self.recipe.pairs, self.processes.share(range(self.recipe.pairs)))],
        "rubric": [criterion.id for each in self.referee._dimensions for criterion in each.criteria],
        "pid": os.getpid(),
    }
    with open(f"witness-{self.processes.rank}.jsonl", "a") as stream:
        print(json.dumps(facts), file=stream)
    return done
Trainer.advance = advance
"""


def test_two_processes_are_two_agree_and_come_to_what_one_comes_to(one, two):
    first, second = (rows(two.parent / f"witness-{rank}.jsonl") for rank in (0, 1))
    assert first[0]["pid"] != second[0]["pid"]
    for mine, other in zip(first, second, strict=True):
        assert mine["hash"] == other["hash"]
        assert mine["window"] == other["window"]
        assert mine["rubric"] == other["rubric"] != []
        assert len(mine["prompts"]) == len(other["prompts"]) == 2
        assert not {*mine["prompts"]} & {*other["prompts"]}
    assert len({each["hash"] for each in first}) == UPDATES
    assert len({tuple(each["window"]) for each in first}) > 1
    saved = {path.name for path in (two / f"checkpoint-{UPDATES}").iterdir()}
    assert {"generators-0.safetensors", "generators-1.safetensors"} <= saved
    assert rulings(two) == rulings(one)
    alone, together = (load_file(run / ADAPTER) for run in (one, two))
    for name, mine in alone.items():
        # By norm: Adam divides by the size of a gradient, so one that is almost 0 shows its last bit.
        assert norm((mine - together[name]).ravel()) <= 0.01 * norm(mine.ravel()), name


def test_when_one_of_two_is_killed_the_other_ends_and_both_go_on(fork_two, two, folder):
    chance = random.Random()
    victim = chance.randrange(2)
    both = fork_two(*TRAIN, "--out", "two")
    kill_somewhere(both[victim], folder / "two", chance, 2)
    other = both[1 - victim]
    assert other.wait(20) == LOST
    said = other.said.read_text()
    assert f"process {1 - victim} of 2 has lost the others" in said
    assert re.search(r"(\d) updates are saved in two/checkpoint-\1: --resume goes on from there.", said), said
    both = fork_two(*TRAIN, "--out", "two", "--resume")
    assert [process.wait() for process in both] == [0, 0], both[0].said.read_text()
    assert adapter_of(folder / "two") == adapter_of(two)
    assert logged(folder / "two") == logged(two)


def test_a_run_of_one_process_is_not_gone_on_with_by_two(arrkit, fork_two, one, folder):
    shutil.copytree(one, folder / "run")
    both = fork_two(*TRAIN, "--out", "run", "--resume")
    assert [process.wait() for process in both] == [2, 2]
    assert "the processes is 2 now, and was 1" in both[0].said.read_text()
