"""Prompt sets from text and rows, and every bad row by its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from arrkit.data.pairs import Task
from arrkit.data.prompts import read_prompts, scan_prompts
from arrkit.errors import InputError


@pytest.fixture
def write(tmp_path: Path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "blue.png")

    def to(name: str, *rows: object) -> Path:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return tmp_path / name

    return to


def test_a_text_file_has_one_prompt_on_each_line_that_is_not_blank(write):
    path = write("p.txt", "\ufeffa red circle", "", "  zwei Kreise, 两个圆  ", "# three")
    prompts = read_prompts(path, task=Task.T2I)
    assert [prompt.text for prompt in prompts] == ["a red circle", "zwei Kreise, 两个圆", "# three"]
    assert [prompt.id for prompt in prompts] == ["row-1", "row-2", "row-3"]
    assert prompts[1].origin == f"{path}:3"


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1), min_size=1))
def test_no_line_of_text_is_lost_or_changed(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("texts") / "p.txt"
    path.write_text("\n".join(texts), encoding="utf-8")
    assert [prompt.text for prompt in read_prompts(path, task=Task.T2I)] == texts


def test_a_line_that_is_no_text_is_a_problem_and_the_others_are_read(tmp_path):
    (tmp_path / "p.txt").write_bytes(b"a red circle\n\xff\xfe\na blue one\n")
    scan = scan_prompts(tmp_path / "p.txt", task=Task.T2I)
    assert [prompt.text for prompt in scan.prompts] == ["a red circle", "a blue one"]
    assert [problem.where.rpartition(":")[2] for problem in scan.problems] == ["2"]


def test_rows_give_instruction_sources_id_and_metadata(write, tmp_path):
    path = write(
        "p.jsonl",
        {"instruction": "make it blue", "source": "red.png", "id": "one", "level": 3},
        {"prompt": "join them", "sources": ["red.png", "blue.png"], "metadata": {"kind": "two"}},
        {"prompt": "turn it", "images": [str(tmp_path / "blue.png")]},
    )
    one, two, three = read_prompts(path, task=Task.EDIT)
    assert (one.id, one.text, one.metadata) == ("one", "make it blue", {"level": 3})
    assert one.sources[0].load().getpixel((0, 0)) == (255, 0, 0)
    assert [picture.name for picture in two.sources] == [
        str(tmp_path / name) for name in ("red.png", "blue.png")
    ]
    assert two.metadata == {"kind": "two"}
    assert three.id == "row-3"
    assert len(three.sources) == 1


def test_pairs_serve_as_prompts_without_their_candidates(write):
    edit = {"query": "make it blue", "source_image": "red.png", "edited_images": ["a", "b"], "label": "A"}
    unmarked = {"query": "turn it", "response": ["red.png", "a", "b"], "label_rank": [1, 2]}
    prompts = read_prompts(write("e.jsonl", edit, unmarked), task=Task.EDIT)
    assert [[Path(each.name).name for each in prompt.sources] for prompt in prompts] == [["red.png"]] * 2
    paint = {"prompt": "a red circle", "images": ["a.png", "b.png"], "label_rank": [1, 2]}
    assert read_prompts(write("t.jsonl", paint), task=Task.T2I)[0].sources == ()


def test_equal_requests_have_equal_digests_and_others_have_not(write, tmp_path):
    (tmp_path / "copy.png").write_bytes((tmp_path / "red.png").read_bytes())
    rows = [
        {"prompt": text, "source": source} for text in "ab" for source in ("red.png", "copy.png", "blue.png")
    ]
    digests = [prompt.digest for prompt in read_prompts(write("p.jsonl", *rows), task=Task.EDIT)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


BAD_EDITS = [
    ({"prompt": "x", "source": "gone.png"}, "there is no image"),
    ({"prompt": "x"}, "no source image"),
    ({"prompt": "  ", "source": "red.png"}, "no prompt"),
    ({"promt": "x", "source": "red.png"}, "prompt"),
    ({"prompt": 7, "source": "red.png"}, "a number"),
    ({"prompt": "x", "source": 7}, "a number"),
    ({"prompt": "x", "source": "https://example.org/a.png"}, "URL"),
    ({"prompt": "x", "source": "red.png", "id": "good"}, "stands at"),
    ({"prompt": "x", "source": "red.png", "task": "t2i"}, "task"),
    ({"prompt": "x", "source": "red.png", "metadata": 3}, "metadata"),
    ("[1]", "not an object"),
    ("{", ""),
]


@pytest.mark.parametrize(("row", "says"), BAD_EDITS)
def test_a_bad_row_is_a_problem_with_its_line_and_spoils_no_other(write, row, says):
    good = {"prompt": "good", "source": "red.png"}
    path = write("p.jsonl", {**good, "id": "good"}, row, good)
    scan = scan_prompts(path, task=Task.EDIT)
    assert [prompt.origin for prompt in scan.prompts] == [f"{path}:1", f"{path}:3"]
    assert {problem.where for problem in scan.problems} == {f"{path}:2"}
    assert says in str(scan.problems[0])


def test_all_bad_rows_are_refused_at_once(write):
    path = write("p.jsonl", *[row for row, _ in BAD_EDITS[:4]])
    with pytest.raises(InputError) as caught:
        read_prompts(path, task=Task.EDIT)
    lines = {problem.where.rpartition(":")[2] for problem in caught.value.problems}
    assert lines == {"1", "2", "3", "4"}


def test_a_source_is_refused_where_the_policy_paints(write):
    scan = scan_prompts(write("p.jsonl", {"prompt": "x", "source": "red.png"}), task=Task.T2I)
    assert (scan.prompts, len(scan.problems)) == ((), 1)


@pytest.mark.parametrize(("name", "rows"), [("p.txt", ["", " "]), ("p.jsonl", [])])
def test_a_file_without_prompts_is_refused(write, name, rows):
    with pytest.raises(InputError, match="holds no prompts"):
        read_prompts(write(name, *rows), task=Task.T2I)


def test_text_is_refused_for_edits(write):
    with pytest.raises(InputError, match="source image for each prompt"):
        read_prompts(write("p.txt", "make it blue"), task=Task.EDIT)


@pytest.mark.parametrize("name", ["", "gone.txt"])
def test_what_is_no_file_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"is a folder|does not exist"):
        read_prompts(tmp_path / name, task=Task.T2I)


def test_the_limit_takes_the_first(write):
    assert len(read_prompts(write("p.txt", *"abc"), task=Task.T2I, limit=2)) == 2


def test_the_words_of_prompts_load_no_images(python):
    code = "import sys, arrkit.data.prompts; print({'PIL', 'numpy'} & set(sys.modules))"
    assert python("-c", code).stdout == "set()\n"
