"""How the command behaves in a shell: streams, exit codes, interruption, folders."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from arrkit.cli.bind import COMMANDS
from arrkit.commands.evaluate import evaluate_judge
from arrkit.commands.options import EvalOptions

SLOW = ("judge", "eval", "--judge", "shapes?latency=0.02", "--concurrency", "1", "--out", "run")


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for_answers(path, count, process):
    deadline = time.monotonic() + 30
    while lines(path) < count:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "no answers came"
        time.sleep(0.005)


def test_with_json_stdout_is_data_and_stderr_the_rest(start):
    process = start("judge", "eval", "--limit", "5", "--json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["dataset"]["pairs"] == 5
    assert "judging: 5/5" in err
    assert "report: runs/judge-eval-" in err


@pytest.mark.parametrize(
    "command",
    [
        ("judge", "bias", "--limit", "4"),
        ("rubric", "build", "--task", "t2i", "--limit", "12"),
        ("rubric", "verify", "edit-general", "--dataset", "shapes-edit:test?n=4"),
        ("rubric", "verify", "edit-general"),
        ("rubric", "merge", "edit-general", "edit-general", "--out", "merged.json"),
        ("rubric", "show", "edit-general"),
        ("rubric", "list"),
        ("rubric", "diff", "edit-general", "t2i-general"),
        ("rubric", "export", "edit-general"),
        ("backends",),
    ],
    ids=" ".join,
)
def test_every_command_gives_json_alone_on_stdout(arrkit, command):
    result = arrkit(*command, "--json")
    assert result.exit_code == 0, result.output
    json.loads(result.stdout)
    assert arrkit(*command, *(["--force"] if "merge" in command else [])).exit_code == 0


def test_without_a_terminal_progress_is_plain_lines(start):
    process = start("rubric", "build", "--task", "edit", "--limit", "20")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "\x1b" not in err
    assert "\r" not in err
    assert "learning criteria: " in err
    assert "measuring on held-out pairs: 6/6" in err


def test_every_help_page_ends_with_an_example(arrkit):
    for command in COMMANDS:
        page = arrkit(*command.split(), "--help")
        assert page.exit_code == 0
        last = " ".join(page.stdout.rpartition("\n\n")[2].split())
        assert last.startswith(f"Example: arrkit {command}")


def test_a_usage_error_ends_with_2_and_a_wrong_command_is_corrected(arrkit):
    assert arrkit("judge", "evil").exit_code == 2
    assert "Did you mean 'eval'?" in arrkit("judge", "evil").stderr
    assert arrkit("judge", "eval", "--no-such-option").exit_code == 2


def test_tracebacks_appear_under_debug_alone_and_change_no_exit_code(arrkit):
    plain = arrkit("judge", "eval", "--rubric", "gone.json")
    assert (plain.exit_code, "Traceback" in plain.stderr) == (2, False)
    for how in ({"ARRKIT_DEBUG": "1"}, {}):
        debug = arrkit("judge", "eval", "--rubric", "gone.json", *([] if how else ["--debug"]), **how)
        assert (debug.exit_code, "Traceback" in debug.stderr) == (2, True)
        assert 'no rubric file "gone.json"' in debug.stderr


def test_an_error_of_our_own_is_one_sentence_and_ends_with_1(arrkit, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("a slip")

    monkeypatch.setattr("arrkit.rubric.files.read_rubric", broken)
    result = arrkit("rubric", "show", "edit-general")
    assert result.exit_code == 1
    assert "arrkit met an error of its own: ZeroDivisionError: a slip" in result.stderr
    assert "--debug" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in arrkit("rubric", "show", "edit-general", "--debug").stderr


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(start, arrkit, folder):
    process = start(*SLOW)
    wait_for_answers(folder / "run" / "journal.jsonl", 10, process)
    other = arrkit(*SLOW)
    assert other.exit_code == 2
    assert "another process is working in run" in other.stderr
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert out == ""
    assert "Interrupted." in err
    assert "All answers so far are in run. Run the same command again to go on from there." in err
    assert "Traceback" not in err
    assert lines(folder / "run" / "journal.jsonl") >= 10


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (("rubric", "show", "edit-general"), 0),
        (("rubric", "list", "--json"), 0),
        (("rubric", "verify", "edit-general", "--dataset", "shapes-edit:test?n=4", "--min-accuracy", "1"), 1),
    ],
)
def test_a_reader_that_has_gone_changes_nothing(start, command, status):
    process = start(*command)
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    assert "Traceback" not in err
    assert "Broken" not in err
    assert "error of its own" not in err


def test_nothing_is_made_outside_the_working_directory(folder):
    home, elsewhere, here = (folder / name for name in ("home", "temporary", "deep/down"))
    for each in (home, elsewhere, here):
        each.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-m", "arrkit", "rubric", "build", "--task", "edit", "--limit", "12"],
        cwd=here,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(elsewhere)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert [path for each in (home, elsewhere) for path in each.rglob("*")] == []
    assert {path.name for path in here.iterdir()} == {"rubric-edit.json", "runs"}
    assert {path.name for path in folder.iterdir()} == {"home", "temporary", "deep"}
    [run] = (here / "runs").iterdir()
    assert {path.name for path in run.iterdir() if not path.name.startswith(".")} == {
        "config.json",
        "journal.jsonl",
        "report.json",
        "report.html",
        "rubric.json",
    }


def test_a_run_of_another_cwd_may_be_named_by_path(arrkit, folder):
    assert arrkit("judge", "eval", "--limit", "2", "--out", folder / "some" / "where").exit_code == 0
    again = arrkit("judge", "eval", "--limit", "2", "--out", "some/where", "--json")
    assert json.loads(again.stdout)["asked"] == 0


def test_a_breakdown_by_another_field_asks_nothing_anew(arrkit):
    command = ("judge", "eval", "--limit", "4", "--json")
    assert json.loads(arrkit(*command).stdout)["asked"] == 8
    grouped = json.loads(arrkit(*command, "--by", "category").stdout)
    assert grouped["asked"] == 0
    groups = grouped["rows"][0]["groups"]["category"]
    assert sum(each["pairs"] for each in groups.values()) == 4
    assert 'No pair has the metadata field "colour"' in arrkit(*command[:-1], "--by", "colour").stdout


def test_one_order_is_not_spoken_of_as_bias(arrkit):
    forward = arrkit("judge", "eval", "--limit", "6", "--orders", "forward")
    assert forward.exit_code == 0
    assert "position bias" not in forward.stdout
    assert "the judge agrees with people on" in forward.stdout


def test_the_library_works_where_a_loop_is_running_already():
    async def notebook():
        return evaluate_judge(EvalOptions(limit=5, out=Path("run")))

    report = asyncio.run(notebook())
    assert report.dataset.pairs == 5
    assert evaluate_judge(EvalOptions(limit=5, out=Path("run"))).rows == report.rows


def test_the_library_raises_where_the_command_complains():
    from arrkit.errors import InputError

    async def notebook():
        return evaluate_judge(EvalOptions(dataset="shapes-t3i"))

    with pytest.raises(InputError, match="did you mean"):
        asyncio.run(notebook())
