"""Pick-a-Pic: labels and ties, rows that nobody labelled, mirrors, files without images."""

from __future__ import annotations

import pytest
from dataset_fixtures import pickapic

from arrkit.backends.registry import make_dataset
from arrkit.data.pairs import Label
from arrkit.errors import InputError

pyarrow = pytest.importorskip("pyarrow")
from pyarrow import parquet


def read(folder, split="test_unique", **options):
    text = "".join(f"&{key}={value}" for key, value in options.items())
    return make_dataset(f"pickapic:{split}?data={folder}{text}")


def write_rows(folder, rows, split="test_unique"):
    (folder / "data").mkdir(exist_ok=True)
    table = pyarrow.Table.from_pylist(rows)
    parquet.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")


def test_labels_say_which_image_won_and_halves_are_ties(tmp_path):
    pickapic.write(tmp_path, 6)
    pairs = list(read(tmp_path))
    assert [pair.label for pair in pairs] == [Label.B, Label.A, Label.B, Label.A, Label.TIE, Label.A]
    assert pairs[0].id == "pickapic-v2-test_unique-1"
    assert pairs[0].prompt == "a fox in snow, no. 0"
    assert pairs[0].metadata == {
        "are_different": True,
        "num_example_per_prompt": 3,
        "model_a": "m0",
        "model_b": "m1",
    }


def test_rows_that_nobody_labelled_are_counted_and_keep_their_number(tmp_path):
    pickapic.write(tmp_path, 15)
    dataset = read(tmp_path)
    assert [int(pair.id.rpartition("-")[2]) for pair in dataset] == [*range(1, 7), *range(8, 14), 15]
    assert dataset.left_out == {"has_label is false": 2}
    assert dataset.skipped[0].origin == "test_unique row 7"
    assert dataset.size() == 13


@pytest.mark.parametrize("as_struct", [False, True])
def test_images_are_bytes_or_dicts(tmp_path, as_struct):
    pickapic.write(tmp_path, 20, as_struct=as_struct)
    for pair in read(tmp_path):
        a, b = (each.load().getpixel((0, 0)) for each in (pair.a, pair.b))
        assert pair.label is (Label.A if a > b else Label.B if b > a else Label.TIE)


def test_splits_whose_names_begin_alike_are_told_apart(tmp_path):
    pickapic.write(tmp_path, 4)
    write_rows(tmp_path, pickapic.rows(2, False), "test")
    write_rows(tmp_path, pickapic.rows(3, False), "validation")
    assert [len(list(read(tmp_path, split))) for split in ("test_unique", "test", "validation")] == [4, 2, 3]
    with pytest.raises(InputError, match="does not hold the files of the set"):
        read(tmp_path, "train")
    (tmp_path / "data" / "latest-validation_unique2.parquet").write_bytes(b"")
    with pytest.raises(InputError, match="no files of the split validation_unique"):
        read(tmp_path, "validation_unique")


def test_the_training_split_is_not_counted_beforehand(tmp_path):
    pickapic.write(tmp_path, 4, split="train")
    assert read(tmp_path, "train", version="v1").size() is None


@pytest.mark.parametrize(
    ("row", "label"),
    [
        ({"label_0": 1.0}, Label.A),
        ({"label_1": 1.0}, Label.B),
        ({"label_0": 0, "label_1": 1}, Label.B),
        ({"label_0": 1.0, "label_1": 1.0}, None),
        ({"label_0": 0.7, "label_1": 0.3}, None),
        ({"label_0": float("nan")}, None),
        ({"label_0": None, "label_1": None}, None),
    ],
)
def test_a_mirror_may_have_fewer_columns_and_strange_labels(tmp_path, row, label):
    images = {"jpg_0": pickapic.picture(200, "JPEG"), "jpg_1": pickapic.picture(20, "JPEG")}
    sound = {"label_0": 0.5, "label_1": 0.5}
    rows = [{"caption": "p", **images, **row}, {"caption": "p", **images, **{key: sound[key] for key in row}}]
    write_rows(tmp_path, rows)
    dataset = read(tmp_path)
    labels = [pair.label for pair in dataset]
    assert labels == ([label] if label else []) + [Label.TIE]
    assert dataset.left_out == ({} if label else {"its labels are not 1, 0 or 0.5, together 1": 1})
    assert dataset.size() == len(labels)


def test_rows_without_an_image_or_a_caption_are_counted(tmp_path):
    rows = pickapic.rows(4, False)
    rows[0]["jpg_1"] = None
    rows[1]["caption"] = ""
    write_rows(tmp_path, rows)
    dataset = read(tmp_path)
    assert [pair.id for pair in dataset] == ["pickapic-v2-test_unique-3", "pickapic-v2-test_unique-4"]
    assert dataset.left_out == {"it lacks an image": 1, "it has no caption": 1}


def test_files_with_urls_in_place_of_images_are_refused(tmp_path):
    rows = [{"caption": "p", "image_0_url": "u", "image_1_url": "u", "label_0": 1.0, "label_1": 0.0}]
    write_rows(tmp_path, rows)
    with pytest.raises(InputError, match="this file has URLs in place of images"):
        list(read(tmp_path))


def test_a_removed_repository_is_said_to_be_removed():
    pytest.importorskip("huggingface_hub")
    for spec, repo in (
        ("pickapic", "pickapic_v2"),
        ("pickapic?version=v1", "pickapic_v1"),
        ("pickapic?repo=someone/mirror", "someone/mirror"),
    ):
        with pytest.raises(InputError) as refused:
            make_dataset(spec)
        text = str(refused.value)
        assert repo in text
        assert ("removed" in text) is ("repo" not in spec)
