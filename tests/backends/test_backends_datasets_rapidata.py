"""Rapidata's image sets: votes, shares, and what is refused."""

from __future__ import annotations

import pytest
from dataset_fixtures import rapidata as written

from arrkit.backends.registry import make_dataset
from arrkit.data.pairs import Label
from arrkit.errors import InputError

pytest.importorskip("pyarrow")


def table(folder, row):
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist([row]), folder / "train-0.parquet")


def test_votes_of_people_are_kept_with_the_margin_as_confidence(tmp_path):
    written.write(tmp_path, 6)
    pairs = list(make_dataset(f"rapidata?data={tmp_path}"))
    assert [pair.label for pair in pairs] == [Label.B, Label.A, Label.B, Label.A, Label.TIE, Label.A]
    assert [pair.votes for pair in pairs[3:]] == [(20, 6), (13, 13), (20, 6)]
    assert [pair.confidence for pair in pairs[3:]] == pytest.approx([14 / 26, 0.0, 14 / 26])
    assert pairs[3].metadata == {"model_a": "flux", "model_b": "sd3"}


def test_shares_of_other_questions_are_metadata(tmp_path):
    written.write(tmp_path, 6, weighted=True)
    pair = list(make_dataset(f"rapidata?data={tmp_path}"))[3]
    assert (pair.label, pair.votes) == (Label.A, None)
    assert pair.confidence == pytest.approx(14 / 26)
    assert {"alignment_a": 0.5, "alignment_b": 0.5, "coherence_a": 0.25}.items() <= pair.metadata.items()
    assert pair.metadata["coherence_b"] == 0.5


def test_a_set_of_videos_is_refused(tmp_path):
    table(tmp_path, {"prompt": "a fox", "file_name1": "a.mp4", "file_name2": "b.mp4"})
    with pytest.raises(InputError, match="holds videos"):
        make_dataset(f"rapidata?data={tmp_path}")


@pytest.mark.parametrize("lacks", ["image2", "votes_image2"])
def test_columns_unheard_of_are_named(tmp_path, lacks):
    row = {key: value for key, value in written.rows(1, False, weighted=False)[0].items() if key != lacks}
    table(tmp_path, row)
    with pytest.raises(InputError, match=r"has no (image2|votes on image1 and image2)") as refused:
        make_dataset(f"rapidata?data={tmp_path}")
    assert "prompt" in refused.value.problems[0].hint


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"votes_image1": -1}, "are not two numbers"),
        ({"image1": None}, "are not two images"),
        ({"prompt": ""}, "it has no prompt"),
    ],
)
def test_a_row_that_cannot_be_used_is_counted(tmp_path, fault, reason):
    import pyarrow
    from pyarrow import parquet

    rows = written.rows(2, False, weighted=False)
    rows[0] |= fault
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "train-0.parquet")
    dataset = make_dataset(f"rapidata?data={tmp_path}")
    assert [pair.label for pair in dataset] == [Label.A]
    assert reason in dataset.skipped[0].reason
