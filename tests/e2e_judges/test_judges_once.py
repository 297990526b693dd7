"""Nothing is paid for twice: killed runs, several processes, edited rubrics, batches."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter

import pytest
from looking import digest

OPENAI, GEMINI = "openai:gpt-5.2", "gemini:gemini-2.5-pro"


def evaluated(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize(("name", "kept"), [(OPENAI, "journal"), (GEMINI, "cache")])
def test_a_killed_run_goes_on_without_repeating_a_request(arrkit, start, wires, pairs, folder, name, kept):
    hosted = wires(name)
    calm = hosted.wire.respond
    answered = Counter()
    counting = threading.Lock()  # the server answers in several threads: exactly eleven get through

    def respond(seen):
        with counting:
            if sum(answered.values()) == 11:
                return calm(seen).after(60)  # under way when the process dies
            answered[digest(seen)] += 1
        return calm(seen)

    hosted.wire.respond = respond
    where = ("--cache", "kept") if kept == "cache" else ("--no-cache",)
    command = ("judge", "eval", "--pairs", pairs(10), "--judge", hosted.spec, "--concurrency", "4", *where)
    process = start(*command, "--out", "first")
    journal = folder / "first" / "journal.jsonl"
    deadline = time.monotonic() + 30
    while not journal.exists() or journal.read_bytes().count(b"\n") < 11:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -9

    def awake(seen):
        answered[digest(seen)] += 1
        return calm(seen)

    hosted.wire.respond = awake
    # The answers are found in the run's own journal, or, in another run, in the cache.
    again = evaluated(arrkit(*command, "--out", "first" if kept == "journal" else "second", "--json"))
    assert again["rows"][0]["stats"]["coverage"]["value"] == 1.0
    assert len(answered) == 20
    assert set(answered.values()) == {1}
    assert again["calls"]["requests"] == 9
    assert (again["replayed"], again["calls"]["cached"]) == ((11, 0) if kept == "journal" else (0, 11))


def test_two_processes_share_one_cache(arrkit, start, wires, pairs):
    hosted = wires(OPENAI)
    hosted.wire.latency = 0.01
    command = ("judge", "eval", "--pairs", pairs(12), "--judge", hosted.spec, "--cache", "shared", "--json")
    processes = [start(*command, "--out", f"run-{number}") for number in range(2)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    first, second = (json.loads(out) for out, _ in outputs)
    assert first["rows"] == second["rows"]
    sent = len(hosted.wire.requests)
    assert 24 <= sent <= 48
    for report in (first, second):
        assert report["calls"]["requests"] + report["calls"]["cached"] == 24
    third = evaluated(arrkit(*command, "--out", "run-3"))
    assert third["rows"] == first["rows"]
    assert third["calls"]["cached"] == 24
    assert len(hosted.wire.requests) == sent


def test_without_a_cache_nothing_is_kept_outside_the_run(arrkit, wires, pairs, folder):
    hosted = wires(OPENAI)
    command = ("judge", "eval", "--pairs", pairs(2), "--judge", hosted.spec, "--no-cache", "--json")
    for number in range(2):
        evaluated(arrkit(*command, "--out", f"run-{number}"))
    assert set(hosted.bodies().values()) == {2}
    cached = json.loads(arrkit("cache", "info", "--json").stdout)
    assert cached["entries"] == 0


@pytest.mark.parametrize("name", [OPENAI, GEMINI])
def test_flipped_labels_leave_every_request_as_it_is(arrkit, wires, pairs, name):
    hosted = wires(name)
    sent, right = [], []
    for flip in (False, True):
        hosted.wire.requests.clear()
        file = pairs(6, flip=flip, name=f"flip-{flip}.jsonl")
        command = ("judge", "bias", "--pairs", file, "--rubric", "t2i-general", "--judge", hosted.spec)
        report = evaluated(arrkit(*command, "--no-cache", "--json"))
        sent.append(hosted.bodies())
        right.append(report["rows"][1]["stats"]["accuracy"]["value"])
    assert sent[0] == sent[1]
    assert len(sent[0]) == 24
    assert right[0] + right[1] == pytest.approx(1.0)


def test_one_word_of_a_rubric_costs_the_judgments_under_it_and_no_other(arrkit, wires, pairs, folder):
    hosted = wires(OPENAI)
    both = ("--rubric", "mine.json", "--rubric", "t2i-general")
    command = ("judge", "eval", "--pairs", pairs(4), "--judge", hosted.spec, *both, "--json")
    rubric = json.loads(arrkit("rubric", "show", "t2i-general", "--json").stdout)

    def sealed(text):
        (folder / "mine.json").write_text(text)
        assert arrkit("rubric", "seal", "mine.json").exit_code == 0

    rubric["name"] = "mine"
    rubric["dimensions"][0]["criteria"][0]["statement"] += " Everywhere."
    sealed(json.dumps(rubric))
    evaluated(arrkit(*command, "--out", "one"))
    assert len(hosted.wire.requests) == 24

    hosted.wire.requests.clear()
    sealed((folder / "mine.json").read_text().replace("Everywhere", "Throughout"))
    edited = evaluated(arrkit(*command, "--out", "two"))
    assert len(hosted.wire.requests) == 8
    assert all(b"Throughout" in seen.raw for seen in hosted.wire.requests)
    assert edited["calls"]["cached"] == 16

    hosted.wire.requests.clear()
    about = json.loads((folder / "mine.json").read_text())
    sealed(json.dumps(about | {"description": "What no judge is told."}))
    renamed = evaluated(arrkit(*command, "--out", "three"))
    assert (hosted.wire.requests, renamed["calls"]["cached"]) == ([], 24)


@pytest.mark.parametrize("name", [OPENAI, GEMINI])
def test_a_batch_gives_the_numbers_of_a_live_run_at_half_the_price(arrkit, wires, pairs, folder, name):
    hosted = wires(name)
    command = ("judge", "eval", "--pairs", pairs(6), "--rubric", "t2i-general", "--judge", hosted.spec)
    command += ("--no-cache", "--json")
    live = evaluated(arrkit(*command, "--out", "live"))
    assert len(hosted.wire.requests) == 24
    batch = evaluated(arrkit(*command, "--out", "batch", "--batch"))
    assert len(hosted.wire.requests) == 24, "all went by batch"
    for one, other in zip(batch["rows"], live["rows"], strict=True):
        assert one["cost"].pop("dollars") == pytest.approx(other["cost"].pop("dollars") / 2)
    for part in ("rows", "dataset", "scoring", "judge"):
        assert batch[part] == live[part], part
    assert batch["calls"]["cost"] == pytest.approx(live["calls"]["cost"] / 2)
    assert {path.name for path in (folder / "batch").iterdir()} - {
        path.name for path in (folder / "live").iterdir()
    } == {"batches.jsonl"}
