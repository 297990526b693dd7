"""What bad input meets: one sentence that says what, where and what to do; nothing judged or littered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL.ImageFile import ImageFile

from arrkit.runs.journal import read_records


def refused(result, *said, status=2):
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for each in said:
        assert each in result.stderr, result.stderr


def test_pairs_with_bad_images_are_reported_and_the_others_judged(arrkit, write_rows, row, photos):
    write_rows("p.jsonl", row(0, 1), row("gone", 1), row("cut", 1), row(2, "bomb"), row("text", 3), row(4, 5))
    result = arrkit("judge", "eval", "--pairs", "p.jsonl", "--judge", "shapes", "--out", "run")
    assert result.exit_code == 0, result.output
    for said in (
        "skipped p.jsonl:2: photos/gone.png",
        "skipped p.jsonl:3: photos/cut.png: the image is truncated",
        "skipped p.jsonl:4: photos/bomb.png: 20000 x 10000 pixels",
        "skipped p.jsonl:5: photos/text.png: this is not an image",
    ):
        assert said in result.stderr
    report = json.loads(Path("run/report.json").read_text())
    assert report["dataset"]["pairs"] == 2
    assert [each["origin"] for each in report["skipped"]] == [f"p.jsonl:{line}" for line in (2, 3, 4, 5)]
    assert {record["pair"] for record in read_records(Path("run/journal.jsonl"))} == {"row-1", "row-6"}


@pytest.mark.parametrize("bad", ["gone", "cut", "bomb", "text"])
def test_strict_stops_at_the_first_bad_image(arrkit, write_rows, row, photos, bad):
    write_rows("p.jsonl", row(0, 1), row(2, bad))
    refused(
        arrkit("judge", "eval", "--pairs", "p.jsonl", "--judge", "shapes", "--strict"),
        "p.jsonl:2: ",
        f"photos/{bad}.png",
    )


def test_a_bomb_is_never_loaded(arrkit, write_rows, row, photos, monkeypatch):
    loaded = []
    load = ImageFile.load
    monkeypatch.setattr(ImageFile, "load", lambda image: loaded.append(image.size) or load(image))
    write_rows("p.jsonl", row(0, 1), row(2, "bomb"))
    assert arrkit("judge", "eval", "--pairs", "p.jsonl", "--judge", "shapes").exit_code == 0
    assert set(loaded) == {(64, 64)}


def test_a_file_without_a_readable_pair_fails_the_run(arrkit, write_rows, row, photos):
    write_rows("p.jsonl", row("cut", 1), row("text", 1))
    result = arrkit("judge", "eval", "--pairs", "p.jsonl", "--judge", "shapes")
    refused(result, "none of the 2 pairs of p.jsonl could be read", "p.jsonl:1: photos/cut.png", status=1)
    assert "Run the same command again" not in result.stderr


@pytest.mark.parametrize("command", [("judge", "eval"), ("judge", "bias"), ("rubric", "build")])
def test_all_problems_of_a_file_are_listed_and_nothing_is_judged(
    arrkit, write_rows, row, photos, folder, command
):
    write_rows(
        "p.jsonl",
        row(0, 1),
        '{"task": "t2i", ',
        row(0, 1, task="video"),
        row(0, 1, label_rank=[1, 1]),
        {"task": "t2i", "prompt": "x", "images": ["photos/0.png"], "label_rank": [1]},
        {"task": "t2i", "prompt": "x", "imges": ["photos/0.png", "photos/1.png"], "label_rank": [1, 2]},
    )
    refused(
        arrkit(*command, "--pairs", "p.jsonl", "--judge", "shapes"),
        "p.jsonl:2: not JSON",
        'p.jsonl:3: unknown task "video"',
        "p.jsonl:4: label_rank [1, 1] does not order the two images",
        "p.jsonl:5: one candidate image, and a pair needs two",
        'p.jsonl:6: unknown key "imges" (did you mean "images"?)',
        "5 problems. Nothing was sent to a judge.",
    )
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("command", [("judge", "eval"), ("judge", "bias"), ("rubric", "build")])
def test_nothing_to_measure_is_one_sentence(arrkit, write_rows, row, photos, command):
    write_rows("empty.jsonl")
    write_rows("ties.jsonl", *({**row(i, i + 1, label="tie"), "label_rank": None} for i in range(3)))
    refused(arrkit(*command, "--pairs", "empty.jsonl", "--judge", "shapes"), "empty.jsonl holds no pairs")
    refused(
        arrkit(*command, "--pairs", "ties.jsonl", "--judge", "shapes"), "all 3 pairs of ties.jsonl are ties"
    )
    refused(arrkit(*command, "--dataset", "shapes-t2i?ties=1&n=6"), "tie")


def test_pairs_and_dataset_exclude_each_other(arrkit, write_rows, row, photos):
    write_rows("p.jsonl", row(0, 1))
    for judge in ((), ("--judge", "shapes")):
        refused(
            arrkit("judge", "eval", "--pairs", "p.jsonl", "--dataset", "shapes-t2i", *judge),
            "--pairs and --dataset are both given",
        )


def test_own_pairs_need_a_judge_from_the_command_line_the_environment_or_the_file(
    arrkit, write_rows, row, photos, folder
):
    write_rows("p.jsonl", row(0, 1))
    refused(
        arrkit("judge", "eval", "--pairs", "p.jsonl"),
        "no judge is named",
        "--judge",
        "ARRKIT_JUDGE",
        "arrkit.toml",
        "shapes",
    )
    assert arrkit("judge", "eval", "--pairs", "p.jsonl", ARRKIT_JUDGE="shapes").exit_code == 0
    (folder / "arrkit.toml").write_text('[defaults]\njudge = "shapes"\n')
    assert arrkit("judge", "eval", "--pairs", "p.jsonl").exit_code == 0


def test_unknown_names_are_answered_with_the_nearest(arrkit):
    refused(arrkit("judge", "eval", "--judge", "shaped"), 'unknown judge "shaped" (did you mean "shapes"?)')
    refused(arrkit("judge", "eval", "--judge", "shapes?nose=1"), "noise")
    refused(arrkit("judge", "eval", "--dataset", "shapes-t3i"), '(did you mean "shapes-t2i"?)')
    refused(arrkit("judge", "eval", "--rubric", "edit-generl"), '(did you mean "edit-general"?)')
    refused(
        arrkit("judge", "eval", "--pairs", "none.jsonl", "--judge", "shapes"), "none.jsonl does not exist"
    )
    refused(arrkit("judge", "eval", "--limit", "0"), "--limit")
    refused(arrkit("judge", "eval", "--orders", "backwards"), "'forward', 'reverse', 'both', 'random'")


@pytest.fixture
def own(arrkit, folder):
    """An edit rubric in ``own.json``."""
    (folder / "own.txt").write_text(
        "Theme: Edits\n- Tip 1: The asked change is made.\n- Tip 2: Nothing else is.\n"
    )
    done = arrkit("rubric", "import", "own.txt", "--task", "edit", "--out", "own.json")
    assert done.exit_code == 0, done.output
    return folder / "own.json"


def uses(rubric):
    yield "judge", "eval", "--rubric", rubric
    yield "judge", "bias", "--rubric", rubric
    yield "rubric", "verify", rubric
    yield "rubric", "show", rubric
    yield "rubric", "merge", rubric, "edit-general", "--out", "merged.json"
    yield "rubric", "export", rubric


def test_a_rubric_with_a_stale_digest_is_refused_with_the_command_that_seals_it(arrkit, own):
    content = json.loads(own.read_text())
    content["dimensions"][0]["criteria"][0]["weight"] = 0.5
    own.write_text(json.dumps(content, indent=2))
    for command in uses("own.json"):
        refused(arrkit(*command), "own.json:", "digest is stale", "arrkit rubric seal own.json")
    assert arrkit("rubric", "seal", "own.json").exit_code == 0
    assert arrkit("rubric", "verify", "own.json").exit_code == 0


def test_a_rubric_of_a_newer_schema_is_refused_with_the_command_that_upgrades(arrkit, own):
    own.write_text(json.dumps(json.loads(own.read_text()) | {"schema_version": 99}, indent=2))
    for command in uses("own.json"):
        refused(arrkit(*command), "own.json:", "schema_version 99 is newer", "pip install --upgrade")


def test_a_rubric_of_the_wrong_task_is_refused_with_what_fits(arrkit, own):
    t2i = ("--dataset", "shapes-t2i")
    refused(arrkit("judge", "eval", "--rubric", "own.json", *t2i), "t2i", "edit")
    refused(arrkit("rubric", "verify", "own.json", *t2i), "t2i", "edit")
    refused(
        arrkit("judge", "bias", "--rubric", "own.json", "--rubric", "t2i-general"),
        'rubric "t2i-general" is for the task t2i',
        "arrkit rubric build --task edit",
    )
    refused(
        arrkit("rubric", "merge", "own.json", "t2i-general", "--out", "m.json"), "Merge rubrics of one task"
    )


def test_an_existing_output_is_refused_unless_forced(arrkit, own, folder):
    build = ("rubric", "build", "--task", "edit", "--limit", "12", "--out", "taken.json")
    writers = {
        "build": build,
        "merge": ("rubric", "merge", "own.json", "edit-general", "--out", "taken.json"),
        "import": ("rubric", "import", "own.txt", "--task", "edit", "--out", "taken.json"),
        "export": ("rubric", "export", "own.json", "--out", "taken.json"),
    }
    for command in writers.values():
        (folder / "taken.json").write_text("mine")
        refused(arrkit(*command), "taken.json exists already", "--force")
        assert (folder / "taken.json").read_text() == "mine"
        assert not (folder / "runs").exists()
    for command in writers.values():
        assert arrkit(*command, "--force").exit_code == 0
        assert (folder / "taken.json").read_text() != "mine"
        (folder / "taken.json").write_text("mine")


def test_a_folder_that_is_no_run_or_another_run_is_refused_unless_forced(arrkit, folder):
    (folder / "full").mkdir()
    (folder / "full" / "letter.txt").write_text("dear")
    command = ("judge", "eval", "--limit", "2", "--out")
    refused(arrkit(*command, "full"), "full is not empty and holds no run", "--force")
    refused(arrkit(*command, "full/letter.txt"), "full/letter.txt is a file")
    assert arrkit(*command, "run").exit_code == 0
    refused(
        arrkit("judge", "eval", "--limit", "3", "--out", "run"),
        "run holds another run (judge eval)",
        "--force",
    )
    forced = arrkit("judge", "eval", "--limit", "3", "--out", "run", "--force", "--json")
    assert json.loads(forced.stdout)["replayed"] == 4
    assert (folder / "full" / "letter.txt").read_text() == "dear"


def test_an_accuracy_below_the_one_asked_for_fails(arrkit):
    verify = ("rubric", "verify", "edit-general")
    on = ("--dataset", "shapes-edit:test?n=20")
    refused(
        arrkit(*verify, "--min-accuracy", "0.5"), "--min-accuracy needs pairs", "--dataset shapes-edit:test"
    )
    assert arrkit(*verify, *on, "--min-accuracy", "0").exit_code == 0
    failed = arrkit(*verify, *on, "--min-accuracy", "1")
    assert failed.exit_code == 1
    assert "Not passed: " in failed.stdout
    assert "asked for" in failed.stdout


def test_the_shapes_judge_says_that_photographs_are_not_its_world(arrkit, write_rows, row, photos):
    write_rows("p.jsonl", row(0, 1), row(2, 3))
    result = arrkit("judge", "eval", "--pairs", "p.jsonl", "--judge", "shapes")
    assert result.exit_code == 0
    assert "Warning: 4 of 4 judgments decided nothing (4 abstain)" in result.stderr
    assert "not of the shapes world" in result.stderr
    data = arrkit("judge", "eval", "--pairs", "p.jsonl", "--judge", "shapes", "--json")
    assert json.loads(data.stdout)["rows"][0]["stats"]["accuracy"] is None
    assert "Warning: " in data.stderr
    built = arrkit("rubric", "build", "--pairs", "p.jsonl", "--judge", "shapes")
    refused(built, "not of the shapes world", status=1)


def test_a_judge_that_answers_nothing_fails_the_run(arrkit):
    result = arrkit("judge", "eval", "--judge", "shapes?fail=1", "--limit", "3")
    refused(result, "shapes?fail=1 gave no answer in 6 judgments", "failed", status=1)
