"""What a run logs, and what it says when a GPU is out of memory."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st

from arrkit.errors import RunError
from arrkit.rpo import log, memory
from arrkit.rpo.memory import GIB, Situation

pytestmark = pytest.mark.xdist_group("torch")


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def filled(path, steps):
    metrics = log.Metrics(path)
    for step in steps:
        metrics.write(step, {"loss": step / 10})
    metrics.close()


def test_rows_stand_in_the_file_at_once(tmp_path):
    metrics = log.Metrics(tmp_path / "run" / "metrics.jsonl")
    metrics.write(1, {"loss": 0.5, "judge": {"ties": 3}, "prompt": "café"})
    assert rows(tmp_path / "run" / "metrics.jsonl") == [
        {"step": 1, "loss": 0.5, "judge": {"ties": 3}, "prompt": "café"}
    ]
    metrics.close()


def test_no_step_appears_twice_after_a_resume(tmp_path):
    path = tmp_path / "metrics.jsonl"
    filled(path, range(1, 7))
    again = log.Metrics(path, after=4)
    again.write(5, {"loss": 9.0})
    again.close()
    assert [(row["step"], row["loss"]) for row in rows(path)][3:] == [(4, 0.4), (5, 9.0)]


def test_a_torn_last_row_is_cut_off(tmp_path):
    path = tmp_path / "metrics.jsonl"
    filled(path, [1, 2])
    with path.open("a") as stream:
        stream.write('{"step": 3, "lo')
    assert [row["step"] for row in log.read_metrics(path)] == [1, 2]
    log.Metrics(path, after=10).close()
    assert [row["step"] for row in rows(path)] == [1, 2]


def test_a_new_run_begins_with_an_empty_file(tmp_path):
    filled(tmp_path / "metrics.jsonl", [1, 2])
    log.Metrics(tmp_path / "metrics.jsonl").close()
    assert log.read_metrics(tmp_path / "metrics.jsonl") == []
    assert log.read_metrics(tmp_path / "none.jsonl") == []


def test_numbers_that_json_has_not_are_null(tmp_path):
    metrics = log.Metrics(tmp_path / "metrics.jsonl")
    metrics.write(1, {"norm": float("nan"), "by step": [1.0, float("inf")]})
    metrics.close()
    assert rows(tmp_path / "metrics.jsonl") == [{"step": 1, "norm": None, "by step": [1.0, None]}]


def test_a_full_disk_is_one_sentence(tmp_path):
    metrics = log.Metrics(tmp_path / "metrics.jsonl")
    metrics.close()
    metrics._file = open("/dev/full", "wb", buffering=0)  # noqa: PTH123, SIM115
    with pytest.raises(RunError, match=r"cannot write .*metrics.jsonl: No space left"):
        metrics.write(1, {})
    metrics.close()


def test_all_trackers_that_cannot_be_used_are_named(monkeypatch):
    monkeypatch.setattr(log.importlib.util, "find_spec", lambda name: name == "tensorboard" or None)
    unknown, missing = log.check_trackers(["tensorboard", "tensorbord", "wandb"])
    assert "tensorbord" in unknown.what
    assert "trackio" in unknown.hint
    assert missing.hint == "pip install wandb"


def test_nested_numbers_get_a_path_and_the_rest_is_left_out():
    row = {"loss": 0.5, "judge": {"ties": 3, "name": "shapes"}, "norm": float("nan"), "flag": True}
    assert log.flatten(row) == {"loss": 0.5, "judge/ties": 3, "flag": True}
    assert log.flatten({"targets": ["to_q"], "seed": 0}, text=True) == {"targets": '["to_q"]', "seed": 0}


def test_curves_reach_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    trackers = log.Trackers(["tensorboard"], folder=tmp_path, config={"seed": 0, "rubric": {"name": "x"}})
    trackers.write(1, {"loss": 0.5, "norm": None})
    trackers.close()
    events = b"".join(path.read_bytes() for path in (tmp_path / "logs").rglob("events.*"))
    assert b"loss" in events


def crowded(**changes):
    return Situation(
        **{
            "capacity": 80 * GIB,
            "resting": 30 * GIB,
            "needed": 84 * GIB,
            "batch": 8,
            "width": 512,
            "height": 512,
            **changes,
        }
    )


def test_three_options_that_would_have_fitted_are_offered():
    batch, recompute, smaller = memory.suggestions(crowded())
    # 81 GiB of activations, 46 GiB of room.
    assert batch == "--batch 4 (about 70.5 GiB)"
    assert recompute.startswith("--gradient-checkpointing (")
    assert smaller.startswith("images of 384x384")


def test_what_is_done_already_is_not_offered():
    text = " ".join(memory.suggestions(crowded(checkpointing=True)))
    assert "checkpointing" not in text
    assert "checkpointing" not in " ".join(memory.suggestions(crowded(training=False)))
    assert "--batch" not in " ".join(memory.suggestions(crowded(batch=1)))


def test_encoders_and_float32_can_go():
    text = " ".join(
        memory.suggestions(crowded(encoders=20 * GIB, needed=81 * GIB, resting=60 * GIB, half=False))
    )
    assert "rpo preprocess" in text
    assert "--precision bf16" in text


def test_a_model_that_is_too_large_by_itself_says_so():
    error = memory.explain(crowded(resting=79 * GIB, needed=81 * GIB, batch=1, checkpointing=True))
    assert "take a larger GPU" in str(error)


def test_the_sentence_has_the_numbers():
    text = str(memory.explain(crowded()))
    assert text.startswith(
        "the GPU is out of memory while training 8 images of 512x512: 84.0 GiB of 80.0 GiB at the peak"
    )
    assert ") or images of" in text


@given(
    st.integers(1, 79),
    st.integers(1, 60),
    st.integers(1, 64),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_whatever_is_offered_fits(resting, more, batch, training, checkpointing, half):
    situation = crowded(
        resting=resting * GIB,
        needed=max(80, resting + more) * GIB,
        batch=batch,
        training=training,
        checkpointing=checkpointing,
        half=half,
    )
    options = memory.suggestions(situation)
    assert len(options) <= 3
    for option in options:
        assert float(option.split("about ")[1].split()[0]) <= 76.05
        if "--batch" in option:
            assert 1 <= int(option.split("--batch ")[1].split()[0]) < batch


def test_the_size_that_was_asked_for_is_read_from_torch():
    assert memory.requested("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has") == int(2.5 * GIB)
    assert memory.requested("something else") == 0
