"""What a run has answered is never lost and never doubled."""

from __future__ import annotations

import json
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrkit.canonical import utc_now
from arrkit.errors import InputError, RunError
from arrkit.runs.folder import RunFolder
from arrkit.runs.journal import Journal, read_records


def key(number: int) -> str:
    return f"{number:064x}"


def test_a_later_start_finds_what_an_earlier_one_wrote(tmp_path):
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append({"key": key(1), "answer": "ja"})
        assert journal.get(key(1)) is None  # a start does not index what it writes itself
    with Journal(tmp_path / "journal.jsonl") as later:
        assert later.get(key(1)) == {"key": key(1), "answer": "ja"}
        assert later.get(key(2)) is None
        assert len(later) == 1


def test_the_later_of_two_answers_counts(tmp_path):
    with Journal(tmp_path / "journal.jsonl") as journal:
        for answer in ("failed", "ok"):
            journal.append({"key": key(7), "answer": answer})
    with Journal(tmp_path / "journal.jsonl") as later:
        assert later.get(key(7))["answer"] == "ok"


@given(cut=st.integers(min_value=0, max_value=400))
def test_a_file_cut_anywhere_loses_the_torn_line_alone(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "journal.jsonl"
    with Journal(path) as journal:
        for number in range(4):
            journal.append({"key": key(number), "answer": "ä" * number})
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    complete = whole[:cut].count(b"\n")
    with Journal(path) as again:
        assert len(again) == complete
        again.append({"key": key(9), "answer": "new"})
    assert [record["key"] for record in read_records(path)] == [*map(key, range(complete)), key(9)]


def test_a_line_that_a_full_disk_cuts_off_does_not_spoil_the_next(tmp_path):
    path = tmp_path / "journal.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(path) as journal:
        journal.append({"key": key(1)})
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
        try:
            with pytest.raises(RunError, match="the disk is full"):
                journal.append({"key": key(2)})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        journal.append({"key": key(3)})
    assert [record["key"] for record in read_records(path)] == [key(1), key(3)]
    with Journal(path) as again:
        assert len(again) == 2


def test_a_foreign_line_in_the_middle_is_named_not_dropped(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps({"key": key(1)}) + "\nnot json\n" + json.dumps({"key": key(2)}) + "\n")
    with pytest.raises(RunError, match="not a record"):
        Journal(path)


def test_the_same_command_finds_its_folder_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with RunFolder("judge eval", {"seed": 1}) as run:
        first, started = run.path, run.started_at
        assert not run.resumed
    with RunFolder("judge eval", {"seed": 1}) as run:
        assert (run.path, run.started_at, run.resumed) == (first, started, True)
    with RunFolder("judge eval", {"seed": 2}) as run:
        assert run.path != first


def test_a_folder_of_another_run_is_refused_unless_forced_and_keeps_its_answers(tmp_path):
    with RunFolder("judge eval", {"seed": 1}, path=tmp_path / "run") as run:
        run.journal.append({"key": key(1), "answer": "kept"})
    with pytest.raises(InputError, match="another run"):
        RunFolder("judge eval", {"seed": 2}, path=tmp_path / "run")
    with RunFolder("judge eval", {"seed": 2}, path=tmp_path / "run", force=True) as run:
        assert run.journal.get(key(1))["answer"] == "kept"
        assert not run.resumed


def test_a_folder_with_other_things_in_it_is_refused(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"")
    with pytest.raises(InputError, match="not empty"):
        RunFolder("judge eval", {}, path=tmp_path)
    with pytest.raises(InputError, match="is a file"):
        RunFolder("judge eval", {}, path=tmp_path / "photo.png")


def test_two_processes_cannot_share_a_folder(tmp_path):
    first = RunFolder("judge eval", {}, path=tmp_path / "run")
    with pytest.raises(InputError, match="another process"):
        RunFolder("judge eval", {}, path=tmp_path / "run")
    first.close()
    RunFolder("judge eval", {}, path=tmp_path / "run").close()


def test_the_time_can_be_fixed(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert utc_now() == "1970-01-01T00:00:00Z"
