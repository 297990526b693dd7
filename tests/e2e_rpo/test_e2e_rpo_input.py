"""What can be wrong with a training run, from its options to a full disk, and what a person hears of it."""

from __future__ import annotations

import shlex

import pytest

torch = pytest.importorskip("torch")

from forked import ADAPTER, adapter_of, rows
from safetensors.torch import save_file

from arrkit.judge.calls.health import Outage, stop
from arrkit.judge.protocol import Outcome, Verdict
from arrkit.rpo.reward import Referee
from arrkit.shapes.policy.policy import ShapesPolicy

pytestmark = pytest.mark.xdist_group("torch")

TRAIN = ("rpo", "train", "--policy", "shapes", "--prompts", "prompts.txt", "--pairs", "2", "--steps", "3")
TRAIN += (
    "--out",
    "run",
    "--checkpoint-every",
    "1",
    "--max-steps",
    "3",
    "--rank",
    "2",
    "--schedule",
    "constant",
)


@pytest.fixture
def loads(monkeypatch):
    """The parts that were loaded since the test began."""
    loaded = []
    inner = ShapesPolicy.load

    def load(self, parts, **options):
        loaded.extend(parts)
        inner(self, parts, **options)

    monkeypatch.setattr(ShapesPolicy, "load", load)
    return loaded


def refused(result, loads, status=2):
    assert result.exit_code == status, f"{result.output}{result.exception!r}"
    assert loads == []
    assert result.stdout == ""
    return result.stderr


def test_all_that_is_wrong_is_told_at_once_before_anything_is_loaded(arrkit, loads, folder):
    (folder / "empty.txt").write_text("\n\n")
    said = refused(
        arrkit(
            *("rpo", "train", "--policy", "shapes", "--prompts", "empty.txt", "--out", "run"),
            *("--rubric", "shapes-edit", "--targets", "to_z", "--targets", "to_q", "--log-with", "paper"),
            *("--lora", "nowhere", "--watch-rubric", "nonesuch", "--steps", "1", "--judge", "shaper"),
        ),
        loads,
    )
    assert "empty.txt holds no prompts" in said
    assert '"shapes-edit" is for the task edit' in said
    assert "Name a rubric for t2i, such as shapes-" in said
    assert '--targets: no module of the transformer is called "to_z"' in said
    assert '--log-with: cannot log to "paper"' in said
    assert "nowhere does not exist" in said
    assert 'no rubric file "nonesuch"' in said
    assert "--steps: one step leaves none to be trained" in said
    assert "shaper" in said
    assert said.endswith("8 problems. Nothing was loaded.\n")
    assert not (folder / "run").exists()


def test_an_adapter_of_another_model_is_refused_by_its_names(arrkit, loads, folder):
    strange = {"transformer.middle.to_q.lora_A.weight": torch.zeros(2, 8)}
    wide = {"transformer.transformer_blocks.0.attn.to_q.lora_A.weight": torch.zeros(2, 8)}
    for name, tensors in (("strange", strange), ("wide", wide)):
        save_file(tensors, folder / f"{name}.safetensors")
    (folder / "torn.safetensors").write_bytes(b"\x09")
    for name, what in {
        "strange": "the model has no transformer.middle.to_q",
        "wide": "takes 64 values and not 8",
        "torn": "is no adapter that can be read",
    }.items():
        said = refused(arrkit(*TRAIN, "--lora", f"{name}.safetensors", "--rubric", "nonesuch"), loads)
        assert f"--lora: {name}.safetensors " in said
        assert what in said
        assert "2 problems. Nothing was loaded." in said
        sample = (
            "rpo",
            "sample",
            "--policy",
            "shapes",
            "--lora",
            f"{name}.safetensors",
            "--prompt",
            "a star",
        )
        assert what in refused(arrkit(*sample), loads)
    assert not (folder / "samples").exists()


def test_prepared_prompts_of_another_model_are_refused_with_what_differs(arrkit, loads, folder):
    done = arrkit("rpo", "preprocess", "--policy", "shapes", "--prompts", "prompts.txt", "--out", "data")
    assert done.exit_code == 0, done.output
    loads.clear()
    train = ("rpo", "train", "--data", "data", "--policy")
    assert "size 96, not 128" in refused(arrkit(*train, "shapes?size=128"), loads)
    assert 'task "t2i", not "edit"' in refused(arrkit(*train, "shapes?task=edit"), loads)
    both = refused(arrkit(*train, "shapes", "--prompts", "prompts.txt"), loads)
    assert "--prompts and --data are both given" in both


def test_a_judge_that_is_down_is_found_out_before_weights_are_loaded(
    arrkit, loads, vivid, folder, monkeypatch
):
    said = refused(arrkit(*TRAIN, "--judge", "shapes?fail=1"), loads, status=1)
    assert "shapes?fail=1 gives no verdict on two drawings: the judge was told to fail this call" in said
    assert "Nothing was loaded." in said
    from arrkit_example.judge import VividJudge

    async def compare(self, request):
        raise stop("vllm:m", "no connection to localhost:8000", "Start the server: vllm serve m", kind=Outage)

    monkeypatch.setattr(VividJudge, "compare", compare)
    said = refused(arrkit(*TRAIN, "--judge", vivid, "--rubric", "t2i-general"), loads, status=1)
    assert said == (
        "vllm:m: no connection to localhost:8000\n  Start the server: vllm serve m. Nothing was loaded.\n"
    )
    # Nothing was made in the folder that another judge could spoil.
    assert arrkit(*TRAIN).exit_code == 0


def test_a_judge_that_goes_away_leaves_a_checkpoint_and_the_command_that_goes_on(
    arrkit, vivid, folder, monkeypatch
):
    from arrkit_example.judge import VividJudge

    monkeypatch.setitem(Referee.__init__.__kwdefaults__, "patience", 0.2)
    monkeypatch.setitem(Referee.__init__.__kwdefaults__, "first_wait", 0.05)
    train = (*TRAIN, "--judge", vivid, "--rubric", "t2i-general")
    whole = arrkit(*train, "--out", "whole")
    assert whole.exit_code == 0, whole.output
    calls, inner = [], VividJudge.compare

    async def compare(self, request):
        calls.append(1)
        if len(calls) > 1 + 2 * 2 * 2:  # the canary, and two updates of two pairs in both orders
            raise ConnectionError("the wire was cut")
        return await inner(self, request)

    with monkeypatch.context() as broken:
        broken.setattr(VividJudge, "compare", compare)
        broken.setattr("arrkit.rpo.reward.ALIKE", 2)
        stopped = arrkit(*train, "--judge", vivid)
    assert stopped.exit_code == 1, stopped.output
    said = stopped.stderr
    assert "is down (ConnectionError: the wire was cut): waiting for it" in said
    assert "is down, and did not come back in 0.2 s: ConnectionError: the wire was cut" in said
    assert "2 updates are saved in run/checkpoint-2: --resume goes on from there." in said
    *_, command = said.splitlines()
    resumed = arrkit(*shlex.split(command)[1:])
    assert resumed.exit_code == 0, resumed.output
    assert adapter_of(folder / "run") == adapter_of(folder / "whole")


def test_a_judge_without_an_answer_to_anything_ends_the_run(arrkit, vivid, folder, monkeypatch):
    from arrkit_example.judge import VividJudge

    async def compare(self, request):
        return Verdict(Outcome.ABSTAIN, detail="I would rather not say")

    monkeypatch.setattr(VividJudge, "compare", compare)
    stopped = arrkit(*TRAIN, "--judge", vivid, "--rubric", "t2i-general", "--pairs", "8")
    assert stopped.exit_code == 1, stopped.output
    said = stopped.stderr
    assert "8 of the last 8 pairs got no ruling from the judge (8 abstain); 50% are allowed" in said
    assert "The last reason: I would rather not say. Mend the judge" in said
    [row] = rows(folder / "run/metrics.jsonl")
    assert (row["judge/failures"], row["terms"], row["why"]) == (8, 0, "no pair was decided")


def test_numbers_that_are_not_finite_are_skipped_named_and_end_the_run_in_time(arrkit, folder, monkeypatch):
    from arrkit.rpo.learner import Learner

    inner, calls = Learner.learn, []

    def learn(self, rollout, advantages, sums):
        inner(self, rollout, advantages, sums)
        calls.append(1)
        if len(calls) in (2, 4, 5):
            sums.loss = float("nan")

    monkeypatch.setattr(Learner, "learn", learn)
    stopped = arrkit(*TRAIN, "--max-steps", "9", "--max-bad-updates", "2")
    assert stopped.exit_code == 1, stopped.output
    said = stopped.stderr
    assert "Update 2 was skipped: the loss is nan (1/0, 1/1)" in said
    assert "update 5 is the 2nd in a row with non-finite numbers: the loss is nan (4/0, 4/1)" in said
    assert "5 updates are saved in run/checkpoint-5" in said
    logged = rows(folder / "run/metrics.jsonl")
    assert [row["bad"] for row in logged] == [0, 1, 0, 1, 1]
    assert logged[1]["why"] == "the loss is nan (1/0, 1/1)"
    assert adapter_of(folder / "run/checkpoint-4") == adapter_of(folder / "run/checkpoint-3")


def test_an_adapter_that_paints_nothing_any_more_is_not_saved(arrkit, folder):
    stopped = arrkit(
        *TRAIN, "--learning-rate", "1e30", "--warmup", "0", "--checkpoint-every", "9", "--max-steps", "9"
    )
    assert stopped.exit_code == 1, stopped.output
    assert "4 of 4 images came out of the model with numbers that are not finite, first that of pair 1/0" in (
        stopped.stderr
    )
    assert "begin anew with a lower --learning-rate" in stopped.stderr
    assert not list((folder / "run").glob("checkpoint-*"))
    assert not (folder / "run" / ADAPTER).exists()


FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
"""


def test_a_full_disk_leaves_the_checkpoint_before_it_and_says_so(arrkit, fork, folder):
    whole = arrkit(*TRAIN, "--out", "whole")
    assert whole.exit_code == 0, whole.output
    assert arrkit(*TRAIN, "--max-steps", "1").exit_code == 0
    full = fork(*TRAIN, "--resume", before=FULL)
    assert full.wait() == 1, full.said.read_text()
    said = full.said.read_text()
    assert "cannot save run/checkpoint-2: File too large" in said
    assert "checkpoint-1 is whole; make room, and go on with --resume." in said
    assert [path.name for path in (folder / "run").glob("*checkpoint*")] == ["checkpoint-1"]
    resumed = arrkit(*TRAIN, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert adapter_of(folder / "run") == adapter_of(folder / "whole")
