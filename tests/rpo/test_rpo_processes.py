"""Several processes: that there really are several, that they agree, and that none outlives the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st

from arrkit.errors import InputError, RunError
from arrkit.rpo.launching import launch
from arrkit.rpo.processes import Processes, join

pytestmark = pytest.mark.xdist_group("torch")

CPU = torch.device("cpu")

WORK = """
import hashlib, json, random, sys
from pathlib import Path
import torch
from torch import nn
from arrkit.errors import InputError, RunError
from arrkit.rpo.optimiser import finish_update, make_optimiser
from arrkit.rpo.processes import join
from arrkit.rpo.recipe import Recipe

out, recipe = Path(sys.argv[1]), Recipe(learning_rate=0.1, warmup=0)
with join() as processes:
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    parameters = dict(module.named_parameters())
    optimiser = make_optimiser(parameters, recipe)
    data = torch.linspace(-1, 2, 12).view(4, 3)
    mine = data[:3] if processes.is_main else data[3:]
    module(mine).square().sum().backward()
    settings = {"recipe": recipe, "processes": processes}
    update = finish_update(
        optimiser, parameters, terms=len(mine), loss=float(len(mine)), step=0, **settings
    )
    digest = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in parameters.values())).hexdigest()
    weights = [p.tolist() for p in parameters.values()]
    # One process has no decided pair, and then a gradient of one is broken: neither may block the other.
    if processes.is_main:
        module(mine).sum().backward()
    empty = finish_update(
        optimiser, parameters, terms=3 * processes.is_main, loss=0.0, step=1, **settings
    )
    module(mine).sum().backward()
    if not processes.is_main:
        parameters["bias"].grad[0] = float("nan")
    bad = finish_update(
        optimiser, parameters, terms=1, loss=0.0, step=2, suspects=["a cup"], **settings
    )
    processes.agree("rubric", "rubric")
    try:
        processes.agree(processes.rank, "rubric")
        disagreement = ""
    except RunError as error:
        disagreement = str(error)
    def refuse():
        raise InputError("no such rubric")
    try:
        processes.on_main(refuse)
    except InputError as error:
        refusal = str(error)
    (out / f"{processes.rank}.json").write_text(json.dumps({
        "said": processes.describe(),
        "window": processes.broadcast([random.SystemRandom().randrange(10**9)]),
        "share": processes.share(range(7)),
        "digest": digest,
        "weights": weights,
        "update": [update.norm, update.loss, update.terms],
        "empty": [empty.terms, empty.skipped],
        "bad": [bad.bad, bad.skipped],
        "gathered": [len(data) for data in processes.gather_bytes(b"x" * (1 + 1000 * processes.rank))],
        "ranks": processes.gather({"rank": processes.rank, "name": "é" * processes.rank}),
        "disagreement": disagreement,
        "refusal": refusal,
    }))
"""

# Process 1 fails alone and asks for all to save, while process 0 sums gradients: neither takes the other's
# numbers for its own, or waits.
FAIL = """
import sys, time
from pathlib import Path
import torch
from arrkit.errors import RunError
from arrkit.rpo.processes import LostError, join

try:
    with join() as processes:
        if processes.rank == 1:
            Path(sys.argv[1], "failed").write_text(str(time.time()))
            try:
                processes.gather_bytes(b"my state")
            except LostError as error:
                print(error, file=sys.stderr)
                raise RunError("the disk of process 1 is full") from None
        try:
            processes.sum_flat([torch.ones(1)])
        except LostError as error:
            print(error, file=sys.stderr)
        processes.barrier()
except RunError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def script(tmp_path, text):
    path = tmp_path / "work.py"
    path.write_text(text)
    return [str(path)]


@pytest.mark.slow
def test_two_processes_are_two_and_agree(tmp_path):
    assert launch([str(tmp_path)], 2, program=script(tmp_path, WORK)) == 0
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first["said"] == second["said"] == "2 processes on cpu over gloo"
    assert first["window"] == second["window"]
    assert (first["share"], second["share"]) == ([0, 2, 4, 6], [1, 3, 5])
    assert first["digest"] == second["digest"]
    assert first["update"] == second["update"]
    assert first["update"][1:] == [1.0, 4]
    assert first["empty"] == second["empty"] == [3, ""]
    assert first["bad"] == second["bad"]
    assert "bias (a cup) on process 1" in first["bad"][1]
    assert first["gathered"] == second["gathered"] == [1, 1001]
    assert first["ranks"] == second["ranks"] == [{"rank": 0, "name": ""}, {"rank": 1, "name": "é"}]
    assert "process 1 of 2 has another rubric" in first["disagreement"]
    assert first["refusal"] == second["refusal"] == "no such rubric"
    for got, expected in zip(first["weights"], alone(), strict=True):
        torch.testing.assert_close(torch.tensor(got), expected)


def alone():
    """The same update in one process."""
    from arrkit.rpo.optimiser import finish_update, make_optimiser
    from arrkit.rpo.recipe import Recipe

    recipe = Recipe(learning_rate=0.1, warmup=0)
    torch.manual_seed(0)
    module = torch.nn.Linear(3, 2)
    parameters = dict(module.named_parameters())
    module(torch.linspace(-1, 2, 12).view(4, 3)).square().sum().backward()
    optimiser = make_optimiser(parameters, recipe)
    finish_update(optimiser, parameters, terms=4, loss=4.0, step=0, recipe=recipe, processes=Processes(CPU))
    return [parameter.detach() for parameter in parameters.values()]


@pytest.mark.slow
def test_a_process_that_fails_ends_the_others_at_once_and_is_heard(tmp_path, capfd):
    assert launch([str(tmp_path)], 2, program=script(tmp_path, FAIL)) == 1
    took = time.time() - float((tmp_path / "failed").read_text())
    assert took < 15
    said = capfd.readouterr().err
    assert "process 0 of 2 is no longer in step" in said
    assert "process 1 of 2:\nprocess 1 of 2 is no longer in step" in said
    assert "the disk of process 1 is full" in said
    assert "process 0 of 2 has lost the others" in said


def test_the_first_process_speaks_for_a_mistake_that_all_found(tmp_path, capfd):
    code = "import os, sys; print('no such rubric', file=sys.stderr); sys.exit(2)"
    assert launch([], 3, program=["-c", code]) == 2
    assert capfd.readouterr().err == "no such rubric\n"


def test_what_several_say_alike_is_shown_once(capfd):
    code = """
import os, sys, time
rank = os.environ["RANK"]
print("lost" if rank == "0" else "no judge", file=sys.stderr)
sys.exit(69 if rank == "0" else 1)
"""
    assert launch([], 3, program=["-c", code]) == 1
    said = capfd.readouterr().err
    assert said.count("no judge") == 1
    assert said.count("lost") == 1


def test_only_the_first_process_writes_data(capfd):
    assert launch([], 2, program=["-c", "import os; print(os.environ['RANK'])"]) == 0
    assert capfd.readouterr().out == "0\n"


def test_a_process_that_was_killed_is_named(capfd):
    code = """
import os, signal, time
if os.environ["RANK"] == "1":
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(60)
"""
    started = time.monotonic()
    with pytest.raises(RunError, match="process 1 of 2 was ended by SIGKILL"):
        launch([], 2, program=["-c", code], notice=0.2)
    assert time.monotonic() - started < 20


PATIENT = """
import os, sys, time
from pathlib import Path
from arrkit.rpo.launching import end_with_parent
end_with_parent()
rank = os.environ["RANK"]
try:
    Path(sys.argv[1], f"pid-{rank}.tmp").write_text(str(os.getpid()))
    Path(sys.argv[1], f"pid-{rank}.tmp").rename(Path(sys.argv[1], f"pid-{rank}"))
    time.sleep(60)
except KeyboardInterrupt:
    Path(sys.argv[1], f"saved-{rank}").touch()
    sys.exit(130)
"""


def start_patient(tmp_path):
    """A launcher in a process of its own, once both of its processes are at work; and their ids."""
    work = script(tmp_path, PATIENT)
    code = f"""
import sys
from arrkit.rpo.launching import launch
sys.exit(launch({[str(tmp_path)]}, 2, program={work}))
"""
    launcher = subprocess.Popen([sys.executable, "-c", code])
    until = time.monotonic() + 30
    while len(list(tmp_path.glob("pid-?"))) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    return launcher, [int((tmp_path / f"pid-{rank}").read_text()) for rank in range(2)]


def gone(pid, seconds=10.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        # An orphan that nobody waits for stays as a zombie where the first process does not reap.
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
        if state.startswith("Z") or not state:
            return True
        time.sleep(0.02)
    return False


def test_ctrl_c_is_passed_on_once_and_all_may_save(tmp_path):
    launcher, pids = start_patient(tmp_path)
    launcher.send_signal(signal.SIGINT)
    assert launcher.wait(20) == 130
    assert {path.name for path in tmp_path.glob("saved-*")} == {"saved-0", "saved-1"}
    assert all(gone(pid) for pid in pids)


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux tells a child of its parent's end"
)
def test_no_process_outlives_a_launcher_that_was_killed(tmp_path):
    launcher, pids = start_patient(tmp_path)
    launcher.kill()
    launcher.wait(20)
    assert all(gone(pid) for pid in pids)


@given(st.lists(st.integers()), st.integers(1, 5))
def test_shares_are_disjoint_and_together_everything(items, world):
    shares = [Processes(CPU, rank=rank, world=world).share(items) for rank in range(world)]
    assert sorted(item for share in shares for item in share) == sorted(items)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_alone_every_question_is_answered_at_once():
    processes = Processes(CPU)
    gradient = torch.ones(2)
    processes.sum_flat([gradient])
    processes.barrier()
    assert processes.describe() == "1 process on cpu"
    assert gradient.tolist() == [1, 1]
    assert processes.total([1, 2.5, True]) == [1.0, 2.5, 1.0]
    assert processes.gather({"a": 1}) == [{"a": 1}]
    assert processes.broadcast([3]) == [3]
    assert processes.on_main(lambda: 5) == 5
    assert processes.is_main


@pytest.fixture
def bare(monkeypatch):
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "ARRKIT_PROCESSES", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_process_that_nobody_launched_is_alone(bare):
    with join("cpu") as processes:
        assert (processes.rank, processes.world, processes.device) == (0, 1, CPU)


def test_a_launcher_that_started_fewer_than_promised_is_found_out(bare):
    bare.setenv("ARRKIT_PROCESSES", "2")
    with pytest.raises(InputError, match="2 processes were asked for, and the launcher started 1"), join():
        pass


def test_accelerate_on_a_cpu_is_found_out(bare):
    # What accelerate launch --cpu --num_processes 2 sets for the only process that it starts.
    bare.setenv("ACCELERATE_MIXED_PRECISION", "no")
    bare.setenv("MASTER_PORT", "29500")
    with pytest.raises(InputError, match="More than one process was asked for"), join():
        pass


@pytest.mark.parametrize("device", ["gpu0", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(bare, device):
    with pytest.raises(InputError, match=device), join(device):
        pass
