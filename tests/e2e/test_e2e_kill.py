"""Kill -9 at any moment: the same command finishes the rest, no answer is lost and none is paid for twice."""

from __future__ import annotations

import json
import random
import time
from collections import Counter

import pytest

from arrkit.judge.protocol import Outcome
from arrkit.runs.journal import read_records

JUDGE = ("--judge", "shapes?latency=0.03", "--concurrency", "4")
COMMANDS = {
    "eval": ("judge", "eval", "--rubric", "t2i-general", "--limit", "14", *JUDGE),
    "bias": ("judge", "bias", "--dataset", "shapes-edit:test", "--limit", "20", *JUDGE),
    "build": ("rubric", "build", "--task", "edit", "--limit", "16", *JUDGE),
}


@pytest.fixture(autouse=True)
def _one_clock(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


def only_run(folder):
    runs = list((folder / "runs").iterdir()) if (folder / "runs").exists() else []
    assert len(runs) <= 1
    return runs[0] if runs else None


def answers(folder):
    run = only_run(folder)
    journal = run / "journal.jsonl" if run else None
    return list(read_records(journal)) if journal and journal.exists() else []


def settled(records):
    return Counter(
        (record["op"], record["key"]) for record in records if Outcome(record["response"]["outcome"]).settled
    )


def numbers(folder):
    """What the command measured or made, without what may differ between one start and several."""
    report = json.loads((only_run(folder) / "report.json").read_text())
    for each in (report, report.get("held_out") or {}):
        for key in ("asked", "replayed", "run"):
            each.pop(key, None)
    rubric = folder / "rubric-edit.json"
    return json.dumps(report, indent=2), rubric.read_bytes() if rubric.exists() else b""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_run_is_finished_without_paying_or_losing_anything(start, arrkit, folder, monkeypatch, name):
    command = COMMANDS[name]
    whole, torn = folder / "whole", folder / "torn"
    for each in (whole, torn):
        each.mkdir()
    monkeypatch.chdir(whole)
    assert arrkit(*command).exit_code == 0
    wanted = settled(answers(whole))

    monkeypatch.chdir(torn)
    chance = random.Random(name)
    kept: list[object] = []
    for _ in range(3):
        process = start(*command)
        goal = len(kept) + chance.randrange(len(wanted) // 4)
        while len(answers(torn)) <= goal and process.poll() is None:
            time.sleep(0.002)
        time.sleep(chance.random() * 0.02)
        process.kill()
        assert process.wait() == -9, process.stderr.read()
        assert not (torn / "rubric-edit.json").exists()
        before, kept = kept, answers(torn)
        assert kept[: len(before)] == before

    finished = arrkit(*command, "--json")
    assert finished.exit_code == 0, finished.output
    report = json.loads(finished.stdout)
    told = report.get("held_out") or report
    assert 0 < len(kept) < len(wanted)
    assert told["asked"] == len(wanted) - len(kept)
    assert settled(answers(torn)) == wanted
    assert set(wanted.values()) == {1}
    assert numbers(torn) == numbers(whole)
    assert json.loads(arrkit(*command, "--json").stdout)["asked"] == 0


def test_a_start_that_is_killed_before_its_first_answer_leaves_nothing_in_the_way(start, arrkit, folder):
    command = (*COMMANDS["eval"], "--out", "run")
    process = start(*command)
    while not (folder / "run" / ".lock").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.0005)
    process.kill()
    process.wait()
    # The moment between the lock and config.json is too short to be hit each time.
    for name in ("config.json", "journal.jsonl"):
        (folder / "run" / name).unlink(missing_ok=True)
    (folder / "run" / ".config.json.abc.tmp").write_text('{"comm')
    assert arrkit(*command).exit_code == 0
    assert not list((folder / "run").glob(".*.tmp"))


def test_an_outage_during_a_build_pays_for_no_answer_twice(arrkit, folder, monkeypatch):
    monkeypatch.setattr("arrkit.judge.session.RECENT", 0)  # as if the pairs were too many to remember
    result = arrkit(
        "rubric",
        "build",
        "--task",
        "edit",
        "--limit",
        "30",
        "--judge",
        "shapes?fail=0.55",
        "--concurrency",
        "32",
    )
    records = answers(folder)
    assert result.exit_code == 0, result.output
    ends = Counter(record["response"]["outcome"] for record in records)
    assert ends["failed"] > 10  # so that pairs were postponed and tried again
    assert set(settled(records).values()) == {1}


def test_two_rubrics_of_the_same_criteria_are_asked_about_once(arrkit, folder):
    arrkit("rubric", "merge", "t2i-general", "t2i-general", "--out", "twin.json")
    result = arrkit(
        "judge", "eval", "--rubric", "t2i-general", "--rubric", "twin.json", "--limit", "3", "--json"
    )
    report = json.loads(result.stdout)
    assert set(settled(answers(folder)).values()) == {1}
    assert (report["asked"], report["replayed"]) == (12, 0)
    assert report["rows"][1]["stats"] == report["rows"][2]["stats"]
