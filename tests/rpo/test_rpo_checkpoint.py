"""Checkpoints: a run that stopped goes on bit by bit as if it had not, and no half of one is ever used."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from arrkit.errors import InputError, RunError
from arrkit.rpo import checkpoint, lora
from arrkit.rpo.optimiser import finish_update, make_optimiser
from arrkit.rpo.processes import Processes
from arrkit.rpo.recipe import Recipe, Schedule

pytestmark = pytest.mark.xdist_group("torch")

ALONE = Processes(torch.device("cpu"))
RECIPE = Recipe(learning_rate=0.1, warmup=2, max_steps=6, schedule=Schedule.COSINE, weight_decay=0.01)
MARKS = {"recipe": "a" * 64, "rubric": "b" * 64, "processes": 1, "noise levels": (1.0, 0.5, 0.0)}


class Run:
    """A tiny training run that draws from every generator there is."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(0)
        self.module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        lora.add_adapter(self.module, rank=2, alpha=4, targets=("0", "2"), seed=seed)
        parameters = lora.adapter_parameters(self.module)
        self.training = checkpoint.Training(
            parameters,
            make_optimiser(parameters, RECIPE),
            lora.Average(parameters, 0.9),
            {"noise": torch.Generator().manual_seed(5)},
        )
        random.seed(3)
        np.random.seed(3)

    def steps(self, first: int, last: int) -> None:
        for step in range(first, last):
            x = torch.randn(5, 4, generator=self.training.generators["noise"]) + torch.randn(5, 4)
            x = x + random.gauss(0, 1) + float(np.random.standard_normal())
            self.module(x).square().sum().backward()
            finish_update(
                self.training.optimiser,
                self.training.parameters,
                terms=5,
                loss=1.0,
                step=step,
                recipe=RECIPE,
                processes=ALONE,
            )
            self.training.average.update()

    def save(self, folder: Path, step: int, keep: int = 3, write=None, marks=MARKS) -> Path:
        return checkpoint.save(
            folder,
            step,
            self.training,
            position={"step": step, "epoch": 0, "order": [3, 1]},
            marks=marks,
            write_adapter=write
            or (lambda into: (into / "pytorch_lora_weights.safetensors").write_bytes(b"x")),
            processes=ALONE,
            keep=keep,
        )

    def hashes(self) -> list[str]:
        training = self.training
        states = {
            f"{number}/{part}": value
            for number, state in enumerate(training.optimiser.state.values())
            for part, value in state.items()
        }
        return [
            lora.tensors_hash(values) for values in (training.parameters, training.average.state(), states)
        ] + [random.random(), np.random.standard_normal(), torch.rand(1).item()]


# Python and NumPy draw Gaussians in twos: after three steps the second of a couple is waiting.
def test_three_steps_a_stop_and_three_more_are_six_steps_bit_by_bit(tmp_path):
    whole = Run()
    whole.steps(0, 6)
    expected = whole.hashes()
    first = Run()
    first.steps(0, 3)
    first.save(tmp_path, 3)
    assert first.training.optimiser.state
    second = Run(seed=1)  # all that it begins with is replaced
    torch.manual_seed(99)
    found, remarks = checkpoint.latest(tmp_path)
    assert remarks == []
    assert (found.step, found.position) == (3, {"step": 3, "epoch": 0, "order": [3, 1]})
    checkpoint.restore(found, second.training, marks=MARKS, processes=ALONE)
    second.steps(3, 6)
    assert second.hashes() == expected


def test_a_checkpoint_of_a_run_without_an_average_or_an_update_comes_back(tmp_path):
    run = Run()
    bare = checkpoint.Training(run.training.parameters, run.training.optimiser)
    before = lora.tensors_hash(bare.parameters)
    run.training = bare
    run.save(tmp_path, 0)
    with torch.no_grad():
        for parameter in bare.parameters.values():
            parameter.add_(1)
    checkpoint.restore(checkpoint.latest(tmp_path)[0], bare, marks=MARKS, processes=ALONE)
    assert lora.tensors_hash(bare.parameters) == before


def test_no_file_is_a_pickle_and_the_adapter_is_there_for_users(tmp_path):
    run = Run()
    run.steps(0, 1)
    names = sorted(path.name for path in run.save(tmp_path, 1).iterdir())
    assert names == [
        "checkpoint.json",
        "generators-0.safetensors",
        "pytorch_lora_weights.safetensors",
        "state.safetensors",
    ]


def test_all_that_differs_is_refused_by_name_and_nothing_changes(tmp_path):
    run = Run()
    run.save(tmp_path, 1)
    found, _ = checkpoint.latest(tmp_path)
    now = {**MARKS, "rubric": "c" * 64, "processes": 2}
    before = lora.tensors_hash(run.training.parameters)
    with pytest.raises(InputError) as refusal:
        checkpoint.restore(found, run.training, marks=now, processes=ALONE)
    assert [problem.what for problem in refusal.value.problems] == [
        "the processes is 2 now, and was 1",
        "the rubric is cccccccccccc… now, and was bbbbbbbbbbbb…",
    ]
    assert lora.tensors_hash(run.training.parameters) == before
    assert checkpoint.differences(found, MARKS) == []


def test_a_state_of_another_adapter_is_refused(tmp_path):
    run = Run()
    run.save(tmp_path, 1)
    other = Run()
    module = nn.Sequential(nn.Linear(4, 4))
    lora.add_adapter(module, rank=1, alpha=1, targets=("0",), seed=0)
    parameters = lora.adapter_parameters(module)
    other.training = checkpoint.Training(parameters, make_optimiser(parameters, RECIPE))
    with pytest.raises(InputError, match="another adapter"):
        checkpoint.restore(checkpoint.latest(tmp_path)[0], other.training, marks=MARKS, processes=ALONE)


def test_only_the_newest_are_kept_by_number_not_by_name(tmp_path):
    run = Run()
    for step in (8, 9, 10, 11):
        run.save(tmp_path, step, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-11"]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: (path / "state.safetensors").write_bytes(b"torn"), "state.safetensors"),
        (lambda path: (path / "generators-0.safetensors").unlink(), "generators-0.safetensors"),
        (lambda path: (path / "checkpoint.json").write_text('{"form'), "checkpoint.json"),
        (lambda path: (path / "checkpoint.json").unlink(), "checkpoint.json"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_with_a_remark(tmp_path, harm, said):
    run = Run()
    run.save(tmp_path, 1)
    harm(run.save(tmp_path, 2))
    found, (remark,) = checkpoint.latest(tmp_path)
    assert found.step == 1
    assert "checkpoint-2" in remark
    assert said in remark


def test_what_a_killed_save_left_is_no_checkpoint_and_goes_with_the_next(tmp_path):
    left = tmp_path / ".checkpoint-5.tmp"
    left.mkdir()
    (left / "checkpoint.json").write_text("{}")
    assert checkpoint.latest(tmp_path) == (None, [])
    Run().save(tmp_path, 1)
    assert not left.exists()


def test_a_checkpoint_takes_the_place_of_a_torn_one_of_its_step(tmp_path):
    (tmp_path / "checkpoint-1").mkdir()
    Run().save(tmp_path, 1)
    assert checkpoint.latest(tmp_path)[0].step == 1
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1"]


def full(_: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_checkpoint_before_it_whole(tmp_path):
    run = Run()
    run.save(tmp_path, 1)
    with pytest.raises(RunError, match=r"cannot save .*checkpoint-2: No space left[^\n]*\n  checkpoint-1 is"):
        run.save(tmp_path, 2, write=full)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1"]
    assert checkpoint.latest(tmp_path)[0].step == 1


def test_a_checkpoint_of_a_newer_arrkit_is_passed_over(tmp_path):
    path = Run().save(tmp_path, 1)
    header = path / "checkpoint.json"
    header.write_text(header.read_text().replace('"format": 1', '"format": 2'))
    found, (remark,) = checkpoint.latest(tmp_path)
    assert found is None
    assert "was written by arrkit" in remark
