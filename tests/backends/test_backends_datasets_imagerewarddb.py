"""ImageRewardDB: zips and folders of the hub, the group file of its authors, and the real one of these."""

from __future__ import annotations

import json
import zipfile
from functools import partial

import pytest
from dataset_fixtures import imagerewarddb

from arrkit.backends.registry import make_dataset
from arrkit.data.pairs import ImageUnreadable, Label
from arrkit.errors import InputError

WRITERS = {
    "zips": imagerewarddb.write,
    "zips with a folder in each": partial(imagerewarddb.write, inner="test_1/", parts=1),
    "folders": partial(imagerewarddb.write, packed=False),
    "group file": imagerewarddb.write_groups,
}


def read(folder, split="test", **options):
    text = "".join(f"&{key}={value}" for key, value in options.items())
    return make_dataset(f"imagerewarddb:{split}?data={folder}{text}")


@pytest.mark.conformance
def test_the_real_test_file_has_its_pairs_and_ties(conformance):
    pairs = list(read(conformance / "imagereward"))
    assert (len(pairs), sum(pair.label.decided for pair in pairs)) == (7230, 6399)
    assert len({pair.group for pair in pairs}) == 466
    first = pairs[0]
    assert first.prompt.startswith("deathly portal to the abyss")
    assert (first.group, first.metadata, first.label) == ("005658-0040", {"rank_a": 1, "rank_b": 2}, Label.A)
    with pytest.raises(ImageUnreadable, match=r"part-005658/images/0040/.*webp: there is no such file"):
        first.a.load()


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_every_form_has_the_same_groups_and_images(tmp_path, write):
    write(tmp_path, 6)
    groups = {}
    for pair in read(tmp_path):
        a, b = (each.load().getpixel((0, 0)) for each in (pair.a, pair.b))
        assert pair.label is (Label.A if a > b else Label.B if b > a else Label.TIE)
        groups.setdefault(pair.group, []).append(pair)
    assert list(groups) == [f"{number:06d}-0040" for number in range(6)]
    assert [len(pairs) for pairs in groups.values()] == [6, 10, 21] * 2
    assert [pair.id.removeprefix("000000-0040-") for pair in groups["000000-0040"]] == [
        *("1-2", "1-3", "1-4"),
        *("2-3", "2-4", "3-4"),
    ]


def test_ratings_and_kinds_come_along(tmp_path):
    imagerewarddb.write(tmp_path, 1, parts=1)
    first, *_ = read(tmp_path)
    assert first.metadata == {
        "classification": "People",
        "rank_a": 4,
        "rank_b": 1,
        "overall_rating_a": 3,
        "overall_rating_b": 6,
        "image_text_alignment_rating_a": 5,
        "image_text_alignment_rating_b": 5,
        "fidelity_rating_a": 6,
        "fidelity_rating_b": 6,
    }
    assert first.origin == "images/test/test_1/test_1.json:1"


def test_parts_are_read_in_the_order_of_their_numbers(tmp_path):
    imagerewarddb.write(tmp_path, 11, split="train", parts=11)
    groups = dict.fromkeys(pair.group for pair in read(tmp_path, "train"))
    assert list(groups) == [f"{number:06d}-0040" for number in range(11)]


def test_images_of_the_group_file_may_lie_elsewhere(tmp_path):
    (tmp_path / "images").mkdir()
    imagerewarddb.write_groups(tmp_path / "images", 1)
    (tmp_path / "images" / "data" / "test.json").rename(tmp_path / "test.json")
    assert next(iter(read(tmp_path, images=tmp_path / "images"))).a.load().size == (8, 8)


def test_rows_that_cannot_be_used_are_counted(tmp_path):
    imagerewarddb.write(tmp_path, 2, parts=1, packed=False)
    file = tmp_path / "images" / "test" / "test_1" / "test_1.json"
    rows = json.loads(file.read_text())
    second = [row for row in rows if row["prompt_id"].startswith("000001")]
    rows.remove(second[0])
    rows.remove(second[1])
    second[2]["rank"] = None
    second[3]["prompt"] = ""
    file.write_text(json.dumps(rows))
    dataset = read(tmp_path)
    assert {pair.group for pair in dataset} == {"000000-0040"}
    assert dataset.left_out == {
        "it has no rank": 1,
        "it has no prompt": 1,
        "it is the only image of its prompt": 1,
    }


def test_groups_that_cannot_be_used_are_counted(tmp_path):
    imagerewarddb.write_groups(tmp_path, 2)
    file = tmp_path / "data" / "test.json"
    rows = json.loads(file.read_text())
    rows[0]["ranking"].pop()
    file.write_text(json.dumps(rows))
    dataset = read(tmp_path)
    assert {pair.group for pair in dataset} == {"000001-0040"}
    assert dataset.left_out == {"its ranking does not order its generations": 1}


def test_a_zip_without_ranks_or_a_damaged_one_is_refused_by_name(tmp_path):
    folder = tmp_path / "images" / "test"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "test_1.zip", "w") as archive:
        archive.writestr("a.webp", b"")
    with pytest.raises(InputError, match=r"there is no images/test/test_1/test_1\.json in"):
        list(read(tmp_path))
    (folder / "test_1.zip").write_bytes(b"no zip")
    with pytest.raises(InputError, match=r"test_1\.zip is damaged"):
        list(read(tmp_path))


def test_a_folder_with_none_of_the_forms_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not hold the files of the set"):
        read(tmp_path)
