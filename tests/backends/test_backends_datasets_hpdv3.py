"""HPDv3 and HPDv3++: votes, confidence, split archives, rows that cannot be used."""

from __future__ import annotations

import json
from functools import partial

import pytest
from dataset_fixtures import hpdv3

from arrkit.backends.registry import make_dataset
from arrkit.data.pairs import ImageUnreadable, Label, Task
from arrkit.errors import InputError


def read(folder, split="test", **options):
    text = "".join(f"&{key}={value}" for key, value in options.items())
    return make_dataset(f"hpdv3:{split}?data={folder}{text}")


def rewrite(folder, change, split="test"):
    file = folder / f"{split}.json"
    rows = json.loads(file.read_text())
    change(rows)
    file.write_text(json.dumps(rows))


def test_a_test_row_has_a_label_and_models_and_no_votes(tmp_path):
    hpdv3.write(tmp_path, 3)
    dataset = read(tmp_path)
    first, *_ = dataset
    assert (first.id, first.task, first.label) == ("hpdv3-test-1", Task.T2I, Label.A)
    assert first.prompt == "a red kite, no. 0"
    assert first.metadata == {"model_a": "flux", "model_b": "infinity"}
    assert (first.votes, first.confidence, first.group, first.origin) == (None, None, "", "test.json:1")
    assert (dataset.size(), dataset.task, dataset.revision) == (None, Task.T2I, "")


@pytest.mark.parametrize("split", ["train", "all"])
def test_votes_and_confidence_are_null_for_imported_rows(tmp_path, split):
    hpdv3.write(tmp_path, 8, split=split, packed=False)
    pairs = list(read(tmp_path, split))
    assert [pair.votes for pair in pairs] == [(12, 7), (12, 7), (12, 7), None] * 2
    assert [pair.confidence is None for pair in pairs] == [False, False, False, True] * 2
    assert pairs[1].confidence == pytest.approx(0.51)


def test_the_larger_number_of_votes_is_for_the_preferred_image(tmp_path):
    hpdv3.write(tmp_path, 3, split="train", packed=False)
    rewrite(tmp_path, lambda rows: rows[0].update(choice_dist=[3, 9]), "train")
    rewrite(tmp_path, lambda rows: rows[1].update(choice_dist=[3, -9], confidence="high"), "train")
    rewrite(tmp_path, lambda rows: rows[2].update(choice_dist="many", confidence=True), "train")
    votes = [(pair.votes, pair.confidence) for pair in read(tmp_path, "train")]
    assert votes == [((9, 3), 0.5), (None, None), (None, None)]


@pytest.mark.parametrize("write", [hpdv3.write, partial(hpdv3.write, packed=False)])
def test_images_are_read_from_the_archive_or_beside_it(tmp_path, write):
    write(tmp_path, 12)
    shades = [
        (pair.a.load().getpixel((0, 0))[0], pair.b.load().getpixel((0, 0))[0]) for pair in read(tmp_path)
    ]
    assert shades == [hpdv3.levels(row, False) for row in range(12)]


@pytest.mark.parametrize("root", ["elsewhere", "elsewhere/images"])
def test_images_may_lie_in_a_folder_of_their_own(tmp_path, root):
    (tmp_path / "elsewhere").mkdir()
    hpdv3.write(tmp_path / "elsewhere", 2, packed=False)
    (tmp_path / "test.json").write_bytes((tmp_path / "elsewhere" / "test.json").read_bytes())
    with pytest.raises(ImageUnreadable):
        next(iter(read(tmp_path))).a.load()
    pair = next(iter(read(tmp_path, images=tmp_path / root)))
    assert pair.a.load().size == (8, 8)


def test_a_missing_image_is_named_when_it_is_looked_at(tmp_path):
    hpdv3.write(tmp_path, 3)
    rewrite(tmp_path, lambda rows: rows[1].update(path2="images/gone.jpg"))
    rewrite(tmp_path, lambda rows: rows[2].update(path2="../../etc/passwd"))
    _, gone, outside = read(tmp_path)
    with pytest.raises(ImageUnreadable, match=r"images/gone\.jpg: there is no such file"):
        gone.b.load()
    with pytest.raises(ImageUnreadable, match="there is no such file"):
        outside.b.load()
    assert gone.a.load().size == (8, 8)


def test_rows_that_are_no_pairs_are_counted_and_named(tmp_path):
    hpdv3.write(tmp_path, 6)

    def spoil(rows):
        rows[0]["prompt"] = " "
        rows[1]["path2"] = rows[1]["path1"]
        del rows[2]["path1"]
        rows[3] = "row"

    rewrite(tmp_path, spoil)
    dataset = read(tmp_path)
    assert [pair.id for pair in dataset] == ["hpdv3-test-5", "hpdv3-test-6"]
    assert sum(dataset.left_out.values()) == len(dataset.skipped) == 4
    assert [row.reason for row in dataset.skipped] == [
        "it has no prompt",
        "both candidates are the same image",
        "it has no path1",
        "it is not an object",
    ]
    assert dataset.skipped[0].origin == "test.json:1"


def test_a_file_of_no_usable_row_is_refused_with_the_first_reason(tmp_path):
    (tmp_path / "test.json").write_text('[{"prompt": "p"}, {"prompt": "q"}]')
    with pytest.raises(InputError, match=r"test\.json:1: none of its 2 rows can be used: it has no path1"):
        list(read(tmp_path))


def test_a_file_that_breaks_off_is_refused_where_it_does(tmp_path):
    hpdv3.write(tmp_path, 3)
    text = (tmp_path / "test.json").read_text()
    (tmp_path / "test.json").write_text(text[:-20])
    with pytest.raises(InputError, match=r"test\.json:1 \(row 3\): the file ends in the middle of a row"):
        list(read(tmp_path))


def test_the_first_pair_comes_before_the_rest_is_read(tmp_path):
    hpdv3.write(tmp_path, 3)
    text = (tmp_path / "test.json").read_text()
    filler = '{"prompt": "p", "path1": "images/a.jpg", "path2": "images/b.jpg"},' * 20000
    (tmp_path / "test.json").write_text(f"[{filler} broken")
    assert next(iter(read(tmp_path))).prompt == "p"
    assert text


def test_rows_leave_no_trace_in_memory(tmp_path):
    import tracemalloc

    row = '{"prompt": "a red kite", "path1": "images/a.jpg", "path2": "images/b.jpg", "model1": "m"}'
    (tmp_path / "test.json").write_text(f"[{','.join([row] * 5000)}]")
    tracemalloc.start()
    count = sum(1 for _ in read(tmp_path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 5000
    assert peak < 2**21  # all rows at once are three times as much


def test_plusplus_has_splits_of_its_own(tmp_path):
    hpdv3.write_plusplus(tmp_path, 2, split="train_tf")
    pairs = list(make_dataset(f"hpdv3-plusplus:train_tf?data={tmp_path}"))
    assert [pair.id for pair in pairs] == ["hpdv3-plusplus-train_tf-1", "hpdv3-plusplus-train_tf-2"]
    assert pairs[0].label is Label.A
    assert pairs[0].a.name == "images/qwen_image/16000000-aa.jpg"


@pytest.mark.parametrize(("packed", "root"), [(False, "hpdv3/images"), (True, "hpdv3")])
def test_images_of_hpdv3_that_plusplus_names_are_found_in_its_folder(tmp_path, packed, root):
    (tmp_path / "hpdv3").mkdir()
    (tmp_path / "set").mkdir()
    hpdv3.write(tmp_path / "hpdv3", 1, packed=packed)
    rows, _ = hpdv3.rows(1, False, folder="images/hpdv3")
    (tmp_path / "set" / "stage1_ref.json").write_text(json.dumps(rows))
    spec = f"hpdv3-plusplus:stage1_ref?data={tmp_path / 'set'}&images={tmp_path / root}"
    (pair,) = make_dataset(spec)
    assert pair.a.load().size == (8, 8)
