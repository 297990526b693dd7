"""``arrkit data``: every planted fault is found with its row, and any source can be checked and converted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dataset_fixtures import hpdv3
from PIL import Image

GOOD = {"task": "t2i", "images": ["photos/0.png", "photos/1.png"], "label_rank": [1, 2]}

FAULTS: list[tuple[dict[str, object] | str, str]] = [
    ({"images": ["photos/0.png", "photos/gone.png"]}, "there is no image photos/gone.png"),
    ('{"prompt": "x", "images": ["photos/0.png", ', "not JSON"),
    ({"id": "one"}, 'id "one" stands on line 1 already'),
    ({"prompt": " "}, "no prompt"),
    ({"label": "left", "label_rank": None}, 'unknown label "left"'),
    ({"label_rank": [1, 2, 3]}, "label_rank [1, 2, 3] has 3 ranks for 2 candidates"),
    ({"imges": []}, 'unknown key "imges" (did you mean "images"?)'),
    ({"images": ["photos/0.png", "photos/text.png"]}, "photos/text.png: this is not an image"),
    ({"images": ["photos/cut.png", "photos/0.png"]}, "photos/cut.png: the image is truncated"),
    ({"images": ["photos/0.png", "photos/bomb.png"]}, "photos/bomb.png: 20000 x 10000 pixels are more than"),
    ({"task": "video"}, 'unknown task "video"'),
    ({"label_rank": ["first", 2]}, 'label_rank ["first", 2] is not a list of whole numbers'),
    ({"label_rank": [0, 3]}, "label_rank [0, 3] is not made of the ranks 1 and 2"),
    ({"label_rank": [1, 1]}, "label_rank [1, 1] does not order the two images"),
    ({"label": "B"}, 'label "B" and label_rank [1, 2] contradict each other'),
    ({"label_rank": None}, "no label"),
    ({"votes": [2, 7]}, "the votes 2 : 7 contradict the label A"),
    ({"votes": [2]}, "votes [2] are not two counts"),
    ({"confidence": 1.5}, "confidence 1.5 is not a number from 0 to 1"),
    ({"images": ["photos/0.png", "./photos/0.png"]}, "both candidates are the same image"),
    ({"prompt": "a \x07bell"}, "the prompt holds a control character (U+0007)"),
    ({"images": ["photos/0.png"]}, "one candidate image"),
    ({"source_image": "photos/2.png"}, "source_image belongs to an edit"),
    (
        {"images": ["https://example.org/a.png", "photos/0.png"]},
        "nothing is fetched from the network unasked",
    ),
    ("[1, 2]", "a row is a list, not an object"),
    (
        '{"prompt": "x", "prompt": "y", "images": ["photos/0.png", "photos/1.png"], "label": "A"}',
        "stands twice",
    ),
]


def planted(write_rows) -> Path:
    rows = [
        fault if isinstance(fault, str) else {"prompt": f"no. {number}", **GOOD, **fault}
        for number, (fault, _) in enumerate(FAULTS)
    ]
    return write_rows("p.jsonl", {"id": "one", "prompt": "sound", **GOOD}, *rows)


@pytest.mark.parametrize("strict", [(), ("--strict",)])
def test_every_planted_fault_is_found_with_its_row(arrkit, write_rows, photos, strict):
    planted(write_rows)
    result = arrkit("data", "check", "p.jsonl", "--open", *strict)
    assert result.exit_code == 2
    said = result.stderr.splitlines()
    for line, (_, what) in enumerate(FAULTS, start=2):
        assert any(each.startswith(f"p.jsonl:{line}: ") and what in each for each in said), (line, what)
    assert not any(each.startswith("p.jsonl:1: ") for each in said)
    assert f"{len(FAULTS)} problems. Nothing was sent to a judge." in said


SOFT = ("gone.png", "text.png", "cut.png", "bomb.png", "votes 2 : 7", "U+0007")


def soft_rows(write_rows) -> None:
    rows = [fault for fault, what in FAULTS if any(each in what for each in SOFT)]
    assert len(rows) == len(SOFT)
    write_rows("p.jsonl", *({"prompt": f"no. {n}", **GOOD, **row} for n, row in enumerate(({}, *rows))))


def test_what_is_only_missing_unreadable_or_odd_stops_nobody_unasked(arrkit, write_rows, photos):
    soft_rows(write_rows)
    result = arrkit("data", "check", "p.jsonl", "--open")
    assert result.exit_code == 0, result.stderr
    assert "1 pair with an image file that does not exist" in result.stdout
    assert "3 pairs with an image that cannot be read" in result.stdout
    assert "2 pairs with something odd" in result.stdout
    assert (
        arrkit("data", "check", "p.jsonl").stdout.count("p.jsonl:") == 4
    )  # the name, and what needs no look
    report = json.loads(arrkit("data", "check", "p.jsonl", "--open", "--json").stdout)
    assert [report[f"{kind}_pairs"] for kind in ("missing", "unreadable", "odd")] == [1, 3, 2]
    assert [each["where"] for each in report["unreadable"]] == ["p.jsonl:3", "p.jsonl:4", "p.jsonl:5"]
    assert report["labels"] == {"A": 7}
    strict = arrkit("data", "check", "p.jsonl", "--open", "--strict")
    assert strict.exit_code == 2
    assert "6 problems." in strict.stderr


def test_a_judge_is_not_kept_from_odd_pairs(arrkit, write_rows, photos):
    write_rows("p.jsonl", {"prompt": "a \x07bell", **GOOD, "votes": [2, 7]})
    assert arrkit("judge", "eval", "--pairs", "p.jsonl", "--judge", "shapes").exit_code == 0


def test_a_check_says_what_there_is(arrkit, write_rows, photos):
    rows = [
        {**GOOD, "prompt": "x", "group": "g", "votes": [7, 2], "confidence": 0.9},
        {**GOOD, "prompt": "x", "group": "g", "label": "tie", "label_rank": None},
        {**GOOD, "prompt": "x", "label": "both_bad", "label_rank": None},
    ]
    write_rows("p.jsonl", *rows)
    said = arrkit("data", "check", "p.jsonl").stdout
    assert "3 pairs for t2i, 2 of them ties" in said
    assert "labels: A 1, tie 1, both_bad 1" in said
    assert "1 group of pairs, 1 pair with votes, 1 pair with a confidence" in said


def test_a_dataset_is_checked_as_a_file_is(arrkit, folder):
    result = arrkit("data", "check", "shapes-t2i:test", "--where", "category=position", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["pairs"] + report["left_out"]["does not fit --where category=position"] == 200


@pytest.fixture
def set_folder(folder) -> Path:
    """HPDv3's test split with its images as files."""
    rows, images = hpdv3.rows(6, False)
    (folder / "hpdv3").mkdir()
    (folder / "hpdv3" / "test.json").write_text(json.dumps(rows))
    hpdv3.write_files(folder / "hpdv3", images)
    return folder / "hpdv3"


def test_a_file_of_a_public_set_is_known_by_its_rows(arrkit, set_folder):
    assert "6 pairs for t2i" in arrkit("data", "check", "hpdv3/test.json", "--open").stdout
    result = arrkit("data", "convert", "hpdv3/test.json", "pairs.jsonl")
    assert result.exit_code == 0, result.stderr
    assert "pairs: pairs.jsonl (6)" in result.stderr
    again = arrkit("data", "check", "pairs.jsonl", "--open", "--strict", "--json")
    assert json.loads(again.stdout)["pairs"] == 6
    (set_folder / "test.json").rename(set_folder / "mine.json")
    wrong = arrkit("data", "check", "hpdv3/mine.json")
    assert wrong.exit_code == 2
    assert (
        "hpdv3/mine.json has the rows of hpdv3, whose files are called test.json or train.json"
        in wrong.stderr
    )


def test_rows_that_cannot_be_used_are_named_and_strict_stops_at_them(arrkit, set_folder):
    rows = json.loads((set_folder / "test.json").read_text())
    del rows[1]["path2"], rows[4]["path2"]
    rows[2] = "no row"
    (set_folder / "test.json").write_text(json.dumps(rows))
    found = arrkit("data", "check", "hpdv3:test", "--data", "hpdv3")
    assert found.exit_code == 0, found.stderr
    assert "hpdv3:test: 3 pairs for t2i" in found.stdout
    assert "left out, it has no path2: 2, at test.json:1 (row 2), test.json:1 (row 5)" in found.stdout
    assert "left out, it is not an object: 1, at test.json:1 (row 3)" in found.stdout
    assert "No image was opened" in found.stderr
    strict = arrkit("data", "check", "hpdv3:test", "--data", "hpdv3", "--strict")
    assert strict.exit_code == 2
    assert "test.json:1 (row 5): it has no path2" in strict.stderr
    assert "3 problems." in strict.stderr
    for command in (
        ("judge", "eval", "--dataset", "hpdv3", "--judge", "shapes"),
        ("data", "convert", "hpdv3", "pairs.jsonl"),
    ):
        stopped = arrkit(*command, "--data", "hpdv3", "--strict")
        assert stopped.exit_code == 2
        assert "test.json:1 (row 2): the row cannot be used: it has no path2" in stopped.stderr


def test_the_rows_of_an_array_on_one_line_are_told_apart(arrkit, folder, photos):
    rows = [{**GOOD, "prompt": "x", "id": "a"}, {**GOOD, "prompt": ""}, {**GOOD, "prompt": "x", "id": "a"}]
    (folder / "p.json").write_text(json.dumps(rows))
    said = arrkit("data", "check", "p.json").stderr
    assert "p.json:1 (row 2): no prompt" in said
    assert 'p.json:1 (row 3): id "a" stands on line 1 already' in said


def test_a_file_of_a_public_set_is_no_file_of_pairs(arrkit, set_folder):
    refused = arrkit("judge", "eval", "--pairs", "hpdv3/test.json", "--judge", "shapes")
    assert refused.exit_code == 2
    assert "hpdv3/test.json is a file of the set hpdv3" in refused.stderr
    assert "--dataset hpdv3:test --data hpdv3 reads it" in refused.stderr


def test_a_split_is_no_emoji(arrkit, folder):
    assert arrkit("data", "check", "shapes-t2i:train", "--limit", "2").stdout.startswith("shapes-t2i:train: ")


def test_a_set_in_a_folder_is_named_by_data_and_split(arrkit, set_folder):
    result = arrkit("data", "check", "hpdv3", "--data", "hpdv3", "--split", "test", "--sample", "4", "--open")
    assert result.exit_code == 0, result.stderr
    assert "4 pairs for t2i" in result.stdout
    assert "left out, was not drawn by --sample 4: 2" in result.stdout
    options = (
        "--dataset",
        "hpdv3",
        "--data",
        "hpdv3",
        "--where",
        "model_a=flux",
        "--limit",
        "3",
        "--out",
        "run",
    )
    assert arrkit("judge", "eval", *options, "--judge", "shapes").exit_code == 0
    dataset = json.loads(Path("run/report.json").read_text())["dataset"]
    assert (dataset["name"], dataset["pairs"]) == ("hpdv3:test?data=hpdv3 (model_a=flux, first 3)", 3)


def test_a_folder_or_an_archive_wants_its_dataset_named(arrkit, set_folder, folder):
    result = arrkit("data", "check", "./hpdv3")
    assert "hpdv3 is a folder, not a file of pairs" in result.stderr
    assert "NAME --data ./hpdv3" in result.stderr
    (folder / "part.parquet").write_bytes(b"PAR1")
    result = arrkit("data", "convert", "part.parquet", "out")
    assert result.exit_code == 2
    assert "part.parquet is part of a dataset, and its name does not say of which" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--pairs", "p.jsonl", "--data", "x"), "--data is for a dataset, and --pairs names a file"),
        (("--pairs", "p.jsonl", "--split", "x"), "--split is for a dataset, and --pairs names a file"),
        (("--data", "x"), "--data says nothing without --dataset"),
        (("--dataset", "shapes-t2i:test", "--split", "train"), "--split is train, and --dataset names test"),
        (("--dataset", "hpdv3?data=a", "--data", "b"), "--data is b, and --dataset names a"),
        (("--dataset", "shapes-t2i", "--data", "b"), "shapes-t2i has no files that could be in a folder"),
        (
            ("--dataset", "shapes-t2i", "--where", "categry=x"),
            'metadata field "categry" (did you mean "category"?)',
        ),
        (("--dataset", "shapes-t2i", "--where", "category"), '"category" is no field=value'),
        (("--dataset", "shapes-t2i", "--min-confidence", "0.5"), "none has a confidence"),
    ],
)
def test_what_the_options_cannot_mean(arrkit, write_rows, photos, options, said):
    write_rows("p.jsonl", {"prompt": "x", **GOOD})
    result = arrkit("judge", "eval", *options, "--judge", "shapes")
    assert result.exit_code == 2
    assert said in result.stderr
    assert not Path("runs").exists()


def test_a_report_counts_what_was_left_out(arrkit, folder):
    options = (
        "--where",
        "category=position",
        "--where",
        "category=counting",
        "--sample",
        "12",
        "--limit",
        "8",
    )
    result = arrkit("judge", "eval", "--dataset", "shapes-t2i:test", *options, "--out", "run")
    assert result.exit_code == 0, result.stderr
    assert "Left out of the dataset, with the reason: does not fit --where category=position" in result.stdout
    report = json.loads(Path("run/report.json").read_text())
    assert report["dataset"]["pairs"] == 8
    assert report["dataset"]["name"].endswith("(category=position or counting, 12 drawn, first 8)")
    assert sum(report["left_out"].values()) > 20
    again = arrkit("judge", "eval", "--dataset", "shapes-t2i:test", *options, "--out", "run", "--seed", "1")
    assert again.exit_code == 2  # another draw is another run


def test_seeds_may_be_diverse(arrkit, folder):
    result = arrkit(
        "rubric", "build", "--task", "t2i", "--limit", "24", "--seeds", "diverse", "--out", "r.json"
    )
    assert result.exit_code == 0, result.stderr
    assert "chosen for clear labels (by nothing 17) and for prompts of many kinds" in result.stdout


def test_pairs_that_cannot_be_written_are_left_out_and_named(arrkit, write_rows, photos):
    soft_rows(write_rows)
    result = arrkit("data", "convert", "p.jsonl", "out", "--json")
    assert result.exit_code == 0, result.stderr
    made = json.loads(result.stdout)
    assert made["written"] == 3
    assert len(made["unusable"]) == 4
    assert made["unusable"][0].startswith("p.jsonl:2: photos/gone.png: there is no such file")
    assert arrkit("data", "convert", "p.jsonl", "out2", "--strict").exit_code == 2


def test_convert_takes_some(arrkit, folder):
    options = ("--where", "category=recolour", "--sample", "3", "--seed", "5")
    result = arrkit("data", "convert", "shapes-edit:train", "mine", *options)
    assert result.exit_code == 0, result.stderr
    assert "pairs: mine/pairs.jsonl (3)" in result.stderr
    rows = [json.loads(line) for line in Path("mine/pairs.jsonl").read_text().splitlines()]
    assert [row["metadata"]["category"] for row in rows] == ["recolour"] * 3
    with Image.open("mine/" + rows[0]["source_image"]) as image:
        assert image.size == (96, 96)


def test_the_list_and_what_is_known_of_one(arrkit, folder):
    listed = {each["name"]: each for each in json.loads(arrkit("data", "list", "--json").stdout)}
    assert listed["shapes-edit"]["place"] == "here"
    assert listed["hpdv3"]["size"] == "141 GB"
    assert listed["editreward-bench"]["place"] == "gated"
    table = arrkit("data", "list").stdout
    assert all(name in table for name in listed)
    info = arrkit("data", "info", "mmrb2").stdout
    for said in (
        "CC BY-NC 4.0",
        "No rubric is built from it.",
        "chosen is A or B",
        "$ arrkit data pull mmrb2:t2i",
    ):
        assert said in info
    assert "$ arrkit data check mmrb2:edit --sample" in arrkit("data", "info", "mmrb2:edit").stdout
    wrong = arrkit("data", "info", "mmrb2:edt")
    assert wrong.exit_code == 2
    assert 'unknown split "edt" (did you mean "edit"?)' in wrong.stderr
    prompts = arrkit("data", "info", "sharegpt-4o-image")
    assert "is a set of prompts for arrkit rpo, not of pairs" in prompts.stderr
    assert "rubric build" not in info
    assert "``" not in info
    wrong = arrkit("data", "info", "hpdv4")
    assert wrong.exit_code == 2
    assert 'unknown dataset "hpdv4" (did you mean "hpdv3"?)' in wrong.stderr
