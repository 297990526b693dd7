"""HPDv2: ranked groups and their votes, training pairs, both with images in place."""

from __future__ import annotations

import json

import pytest
from dataset_fixtures import hpdv2
from hypothesis import given
from hypothesis import strategies as st

from arrkit.backends.datasets.common import Group
from arrkit.backends.registry import make_dataset
from arrkit.data.pairs import Label, Picture


def read(folder, split="test"):
    return make_dataset(f"hpdv2:{split}?data={folder}")


def rewrite(folder, change, split="test"):
    file = folder / f"{split}.json"
    rows = json.loads(file.read_text())
    change(rows)
    file.write_text(json.dumps(rows))


def test_a_ranked_group_becomes_all_its_pairs(tmp_path):
    hpdv2.write(tmp_path, 2)
    pairs = list(read(tmp_path))
    assert [pair.id for pair in pairs] == [
        f"hpdv2-test-{row}-{pair}" for row in (1, 2) for pair in ("1-2", "1-3", "2-3")
    ]
    assert [pair.group for pair in pairs] == ["hpdv2-test-1"] * 3 + ["hpdv2-test-2"] * 3
    assert [pair.label for pair in pairs] == [Label.A, Label.A, Label.TIE, Label.B, Label.TIE, Label.A]
    assert pairs[0].metadata == {"rank_a": 1, "rank_b": 2}
    assert read(tmp_path).size() is None


def test_votes_are_those_of_single_people_where_they_are_there(tmp_path):
    hpdv2.write(tmp_path, 1)
    assert [pair.votes for pair in read(tmp_path)] == [(2, 1), (2, 1), (0, 1)]
    rewrite(tmp_path, lambda rows: rows[0]["raw_annotations"].append({"rank": [1, 2]}))
    rewrite(tmp_path, lambda rows: rows[0]["raw_annotations"].append("h4"))
    assert [pair.votes for pair in read(tmp_path)] == [(2, 1), (2, 1), (0, 1)]
    rewrite(tmp_path, lambda rows: rows[0].pop("raw_annotations"))
    assert [pair.votes for pair in read(tmp_path)] == [None, None, None]


def test_training_rows_are_pairs(tmp_path):
    hpdv2.write(tmp_path, 4, split="train")
    pairs = list(read(tmp_path, "train"))
    assert [(pair.id, pair.group) for pair in pairs] == [(f"hpdv2-train-{row}", "") for row in (1, 2, 3, 4)]
    assert [pair.label for pair in pairs] == [Label.A, Label.B, Label.A, Label.B]


@pytest.mark.parametrize("split", ["test", "train"])
@pytest.mark.parametrize("packed", [True, False])
def test_images_are_read_from_the_archive_or_beside_it(tmp_path, split, packed):
    hpdv2.write(tmp_path, 6, split=split, packed=packed)
    for pair in read(tmp_path, split):
        a, b = (each.load().getpixel((0, 0)) for each in (pair.a, pair.b))
        assert pair.label is (Label.A if a > b else Label.B if b > a else Label.TIE)


@pytest.mark.parametrize("bare", [True, False])
def test_names_may_say_their_folder_or_the_members_not(tmp_path, bare):
    rows, images = hpdv2.ranked_rows(1, False, annotated=False)
    if bare:
        images = {name.removeprefix("test/"): data for name, data in images.items()}
    else:
        rows[0]["image_path"] = [f"test/{name}" for name in rows[0]["image_path"]]
    (tmp_path / "test.json").write_text(json.dumps(rows))
    hpdv2.split_tar(tmp_path, images, "test.tar.gz", "w:gz", [""])
    assert [pair.a.load().size for pair in read(tmp_path)] == [(8, 8)] * 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rank": [1, 2]}, "its rank does not order its images"),
        ({"rank": [1, None, 2]}, "its rank does not order its images"),
        ({"image_path": ["a.jpg"]}, "image_path has fewer than two"),
        ({"image_path": "a.jpg"}, "it has no list image_path of texts"),
        ({"prompt": None}, "it has no prompt"),
    ],
)
def test_groups_that_cannot_be_used_are_counted(tmp_path, change, reason):
    hpdv2.write(tmp_path, 2)
    rewrite(tmp_path, lambda rows: rows[0].update(change))
    dataset = read(tmp_path)
    assert {pair.group for pair in dataset} == {"hpdv2-test-2"}
    assert dataset.left_out == {reason: 1}


@pytest.mark.parametrize("preference", [[1, 1], [0, 0], [1], "first", None, [0.5, 0.5]])
def test_training_rows_without_a_winner_are_counted(tmp_path, preference):
    hpdv2.write(tmp_path, 2, split="train")
    rewrite(tmp_path, lambda rows: rows[0].update(human_preference=preference), "train")
    dataset = read(tmp_path, "train")
    assert [pair.id for pair in dataset] == ["hpdv2-train-2"]
    assert dataset.left_out == {"its human_preference is neither [1, 0] nor [0, 1] for two images": 1}


@given(st.lists(st.integers(1, 5), min_size=2, max_size=9), st.data())
def test_any_ranking_becomes_each_two_images_once(ranks, data):
    people = data.draw(st.lists(st.permutations(ranks), max_size=4))
    images = [Picture(str(place), lambda: None) for place in range(len(ranks))]
    pairs = list(Group("g", "p", images, ranks, "o", rankings=people).pairs())
    assert [(pair.a.name, pair.b.name) for pair in pairs] == [
        (str(i), str(j)) for i in range(len(ranks)) for j in range(i + 1, len(ranks))
    ]
    for pair in pairs:
        i, j = int(pair.a.name), int(pair.b.name)
        assert pair.label is (
            Label.A if ranks[i] < ranks[j] else Label.B if ranks[i] > ranks[j] else Label.TIE
        )
        assert pair.id == f"g-{i + 1}-{j + 1}"
        if people:
            for_a, for_b = (sum(p[x] < p[y] for p in people) for x, y in ((i, j), (j, i)))
            assert pair.votes == (for_a, for_b)
        else:
            assert pair.votes is None
