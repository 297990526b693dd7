"""Multimodal RewardBench 2: its forms, what becomes of texts and images, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from dataset_fixtures import mmrb2 as written
from hypothesis import given
from hypothesis import strategies as st

from arrkit.backends.datasets.mmrb2 import marked_content
from arrkit.backends.registry import make_dataset
from arrkit.commands.build import build_rubric
from arrkit.commands.options import BuildOptions
from arrkit.data.pairs import Label, Passage, Picture, Task
from arrkit.errors import InputError
from arrkit.judge.answered import Answered, Choice
from arrkit.judge.metrics.official import OFFICIAL

pytest.importorskip("pyarrow")

WRITERS = {"hub": written.write_hub, "local": written.write_local}


def opened(folder, part):
    return make_dataset(f"mmrb2:{part}?data={folder}")


def pairs_of(folder, part, form="hub", count=12):
    WRITERS[form](folder, count, part=part)
    return list(opened(folder, part))


def said(candidate):
    """A candidate with the brightness of its images in their places."""
    parts = candidate.parts if isinstance(candidate, Passage) else (candidate,)
    return [part if isinstance(part, str) else part.load().getpixel((0, 0))[0] for part in parts]


@pytest.mark.parametrize("part", written.PARTS)
def test_both_forms_hold_the_same_pairs(tmp_path, part):
    """The images of the hub's form are the files of the local one, so that even digests agree."""
    hub = pairs_of(tmp_path, part)
    (tmp_path / "local").mkdir()
    local = pairs_of(tmp_path / "local", part, "local")
    assert [pair.digest for pair in hub] == [pair.digest for pair in local]
    for one, other in zip(hub, local, strict=True):
        assert (one.id, one.metadata, one.votes, one.confidence) == (
            other.id,
            other.metadata,
            other.votes,
            other.confidence,
        )


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("part", written.PARTS)
def test_an_answer_keeps_the_order_of_its_texts_and_images(tmp_path, part, form):
    for row, pair in enumerate(pairs_of(tmp_path, part, form)):
        asked, first, second = written.contents(part, row)
        assert said(pair.a) == first
        assert said(pair.b) == second
        assert [each.load().getpixel((0, 0))[0] for each in pair.sources] == [
            each for each in asked if isinstance(each, int)
        ]
        assert pair.task is {"t2i": Task.T2I, "edit": Task.EDIT}.get(part, Task.INTERLEAVED)
        passages = isinstance(pair.a, Passage), isinstance(pair.b, Passage)
        if pair.task is Task.INTERLEAVED:
            assert passages == (True, True)
        else:
            assert passages == (part == "edit" and row == 7, False)


def test_marks_stand_where_images_of_a_prompt_must_be_told_apart(tmp_path):
    prompts = [pair.prompt for pair in pairs_of(tmp_path, "edit")]
    assert prompts[0] == "Put <image 1> into <image 2> as in no. 0."
    assert prompts[1] == "Prompt no. 1 of edit."
    assert prompts[3] == "<image 1> beside no. 3 <image 2>"


def test_ratings_become_votes_and_confidence(tmp_path):
    for pair in pairs_of(tmp_path, "t2i"):
        mean = 14 / 3 if pair.label is Label.A else 7 / 3
        assert pair.votes == ((2, 1) if pair.label is Label.A else (1, 2))
        assert pair.confidence == pytest.approx(abs(mean - 3.5) / 2.5)
        assert pair.metadata["ratings"] == ("6 5 3" if pair.label is Label.A else "1 2 4")
        assert pair.metadata["mean_rating"] == pytest.approx(mean, abs=1e-4)


def test_grades_of_reasoning_are_metadata(tmp_path):
    pair = pairs_of(tmp_path, "reasoning")[1]
    assert (pair.label, pair.votes, pair.confidence) == (Label.A, None, None)
    assert (pair.metadata["grades_a"], pair.metadata["grades_b"]) == ("A A B", "")


def test_metadata_says_where_a_pair_is_from(tmp_path):
    pair = pairs_of(tmp_path, "edit")[1]
    about = {"config": "edit", "source": "emu-edit", "model_a": "m1", "model_b": "m2"}
    assert about.items() <= pair.metadata.items()
    assert (pair.metadata["category"], pair.metadata["prompt_id"]) == ("object", 1)
    assert pair.origin == "edit/test-00000-of-00002.parquet:2"


def test_always_a_gets_the_share_of_a_in_the_stored_order(tmp_path):
    """532, 555, 575 and 475 of 1,000, pooled 53.425 as in the benchmark's README; half in both orders."""
    forward, both = [], []
    for part, count in written.COUNTED.items():
        letters = "".join(
            "A" if row * count // 1000 < (row + 1) * count // 1000 else "B" for row in range(1000)
        )
        written.write_hub(tmp_path, 1000, part=part, letters=letters)
        dataset = opened(tmp_path, part)
        assert dataset.size() == 1000
        for pair in dataset:
            first = Answered(
                f"{part}/{pair.id}", pair.label, Choice.A, task=pair.task, metadata=pair.metadata
            )
            forward.append(first)
            # Who says A whatever is shown says B in the pair's own terms once the answers are exchanged.
            both.append(replace(first, ba=Choice.B))
    value = OFFICIAL["mmrb2"].metric(forward)
    assert value.rate.value == pytest.approx(0.53425)
    assert {each.name: each.rate.value for each in value.parts} == pytest.approx(
        {part: count / 1000 for part, count in written.COUNTED.items()}
    )
    assert OFFICIAL["mmrb2"].metric(both).rate.value == 0.5


@pytest.mark.parametrize(
    "name", ["edit_response_only.json", "benchmark/edit_response_only.json", "edit.json"]
)
def test_answers_without_prompts_are_refused(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    written.write_bare(tmp_path, part="edit", as_name=name)
    with pytest.raises(InputError) as refused:
        opened(tmp_path, "edit")
    (problem,) = refused.value.problems
    assert problem.what == f"{tmp_path}/{name} holds the answers of MMRB2 without their prompts"
    assert "arrkit data pull mmrb2:edit" in problem.hint


FAULTS = {
    "chosen is neither A nor B": {"chosen": "tie"},
    "it has no object response_b": {"response_b": "b.png"},
    "it has no id": {"id": ""},
    "its prompt has no text": {"prompt_content": [["image", "x.png"]]},
    "its prompt_content is not a list of texts and images": {"prompt_content": [["video", "x.mp4"]]},
    "its response_content is not a list of texts and images": {"response_a": {"response_content": "a.png"}},
    "an answer holds no image": {"response_a": {"response_content": [["text", "no"]]}},
}


def test_rows_that_cannot_be_used_are_counted_by_what_is_wrong(tmp_path):
    written.write_local(tmp_path, 2 + len(FAULTS), part="edit")
    rows = json.loads((tmp_path / "edit.json").read_text())["pairs"]
    for row, fault in zip(rows[2:], FAULTS.values(), strict=True):
        row |= fault
    (tmp_path / "edit.json").write_text(json.dumps({"pairs": rows}))
    dataset = opened(tmp_path, "edit")
    assert [pair.id for pair in dataset] == [row["id"] for row in rows[:2]]
    assert dataset.left_out == dict.fromkeys(FAULTS, 1)


def test_ratings_that_are_none_say_nothing(tmp_path):
    written.write_local(tmp_path, 4, part="edit")
    rows = json.loads((tmp_path / "edit.json").read_text())["pairs"]
    for row, said_of_it in zip(rows, ([], ["6", 5, 5], [7, 5, 5], None), strict=True):
        row["human_annotations"] = said_of_it
    (tmp_path / "edit.json").write_text(json.dumps({"pairs": rows}))
    for pair in opened(tmp_path, "edit"):
        assert (pair.votes, pair.confidence) == (None, None)
        assert "ratings" not in pair.metadata


@given(st.lists(st.sampled_from(["words", "<image_1>", "<image_7>", " ", ""])), st.integers(0, 4))
def test_images_are_taken_in_the_order_of_the_marks(pieces, count):
    pictures = [Picture(str(index), lambda: None) for index in range(count)]  # type: ignore[arg-type]
    content = marked_content(" ".join(pieces), pictures)
    marks = sum(piece.startswith("<") for piece in pieces)
    taken = [part for part in content if isinstance(part, Picture)]
    assert taken == pictures[: marks or count]
    assert all(part.strip() and "<image_" not in part for part in content if isinstance(part, str))
    words = " ".join(part for part in content if isinstance(part, str)).split()
    assert words == [piece for piece in pieces if piece == "words"]


def test_no_rubric_is_built_from_a_benchmark(tmp_path):
    written.write_hub(tmp_path, 4, part="edit")
    options = BuildOptions(dataset=f"mmrb2:edit?data={tmp_path}", judge="shapes", out=tmp_path / "r.json")
    with pytest.raises(InputError, match="benchmarking only") as refused:
        build_rubric(options)
    assert "judge eval --dataset mmrb2" in refused.value.problems[0].hint
