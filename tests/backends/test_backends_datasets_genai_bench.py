"""GenAI-Bench: four classes, two editions, and the dataset that only has its name."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from dataset_fixtures import genai_bench as written

from arrkit.backends.registry import make_dataset
from arrkit.data.pairs import Label, Task
from arrkit.errors import InputError
from arrkit.judge.answered import Answered, Choice
from arrkit.judge.metrics.official import OFFICIAL

pytest.importorskip("pyarrow")


def counted(config):
    return [vote for vote, count in written.COUNTED[config].items() for _ in range(count)]


def test_an_edit_has_its_source_and_its_instruction(tmp_path):
    written.write(tmp_path, 10, config="image_edition")
    dataset = make_dataset(f"genai-bench:image_edition?data={tmp_path}")
    pairs = list(dataset)
    assert (dataset.task, dataset.size()) == (Task.EDIT, 10)
    assert pairs[3].prompt == "make it red, no. 3"
    assert [each.load().getpixel((0, 0))[0] for each in pairs[3].sources] == [5]
    assert pairs[3].metadata == {"idx": 3, "vote_type": "leftvote", "model_a": "m1", "model_b": "m2"}
    assert [pair.label for pair in pairs[3:5]] == [Label.A, Label.BOTH_BAD]
    assert pairs[9].label is Label.TIE


def test_generation_has_no_source(tmp_path):
    written.write(tmp_path, 4, config="image_generation")
    dataset = make_dataset(f"genai-bench?data={tmp_path}")
    assert dataset.task is Task.T2I
    assert [(pair.prompt, pair.sources) for pair in dataset][1] == ("a fox, no. 1", ())


def test_the_official_edition_is_read_unless_another_is_named(tmp_path):
    written.write(tmp_path, 6, config="image_edition")
    assert make_dataset(f"genai-bench:image_edition?data={tmp_path}").size() == 6
    assert make_dataset(f"genai-bench:image_edition?data={tmp_path}&edition=test").size() == 1


@pytest.mark.parametrize("config", written.COUNTED)
def test_always_a_gets_the_share_of_left_votes(tmp_path, config):
    votes = counted(config)
    written.write(tmp_path, len(votes), config=config, votes=votes)
    answers = [
        Answered(pair.id, pair.label, Choice.A, task=pair.task)
        for pair in make_dataset(f"genai-bench:{config}?data={tmp_path}")
    ]
    labels = Counter(answer.label for answer in answers)
    assert list(labels.values()) == list(written.COUNTED[config].values())
    assert OFFICIAL["genai-bench"].metric(answers).rate.value == pytest.approx(
        written.COUNTED[config]["leftvote"] / len(votes)
    )


def test_videos_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match="pairs of videos"):
        make_dataset(f"genai-bench:video_generation?data={tmp_path}")


@pytest.mark.parametrize("path", ["data/train-00000-of-00001.parquet", "image_edition/test_v1-0.parquet"])
def test_another_dataset_of_the_same_name_is_refused_by_its_own(tmp_path, path):
    import pyarrow
    from pyarrow import parquet

    (tmp_path / path).parent.mkdir()
    row = {"Index": "00001", "Prompt": "a fox", "HumanRatings": "[3, 4, 5]", "SDXL": b"", "DALLE_3": b""}
    parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / path)
    with pytest.raises(InputError, match="BaiqiL/GenAI-Bench") as refused:
        make_dataset(f"genai-bench:image_edition?data={tmp_path}")
    assert "arrkit data pull genai-bench" in refused.value.problems[0].hint


def test_a_folder_without_the_configuration_says_what_it_lacks(tmp_path):
    written.write(tmp_path, 2, config="image_generation")
    with pytest.raises(InputError, match=r"image_edition/test_v1-\*\.parquet"):
        make_dataset(f"genai-bench:image_edition?data={tmp_path}")


def test_a_vote_that_is_none_of_the_four_is_counted(tmp_path):
    written.write(tmp_path, 3, config="image_edition", votes=["leftvote", "upvote", "rightvote"])
    dataset = make_dataset(f"genai-bench:image_edition?data={tmp_path}")
    assert [pair.metadata["idx"] for pair in dataset] == [0, 2]
    (skipped,) = dataset.skipped
    assert Path(skipped.origin).name == "test_v1-00000-of-00001.parquet:2"
    assert skipped.reason.startswith("vote_type is none of leftvote")
