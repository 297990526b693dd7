"""Where a benchmark's files are found, and what is read out of other people's Python without running it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged_files import write_file

from arrkit.backends.spec import Spec
from arrkit.bench.model import Item
from arrkit.bench.rounding import rounded
from arrkit.bench.sources import (
    Below,
    Home,
    canonical_name,
    constants,
    find_files,
    items_digest,
    json_object,
    official_file,
    parsed,
    read_jsonl,
    read_text,
    text_at,
    texts_at,
)
from arrkit.data.files import LocalFiles
from arrkit.data.pairs import Task
from arrkit.errors import InputError

HOME = Home(
    name="Some-Bench", files="prompts", license="MIT", url="https://example.org/some", folders=("data", "")
)


def test_files_are_found_in_a_copy_and_in_the_folder_itself(tmp_path):
    write_file(tmp_path / "data/en/a.csv", "1")
    write_file(tmp_path / "data/b.csv", "2")
    for named, folder in ((tmp_path, "data"), (tmp_path / "data", "")):
        files = find_files(HOME, ["en/*.csv", "b.csv"], data=str(named))
        assert files.names() == ["b.csv", "en/a.csv"]
        assert files.names("en/") == ["en/a.csv"]
        assert files.has("b.csv")
        assert not files.has("../b.csv")
        assert read_text(files, "en/a.csv") == "1"
        assert files.name == str(named / folder).rstrip("/")
        assert files.revision == ""
        assert files.stamp("b.csv") == LocalFiles(tmp_path / "data").stamp("b.csv")


@pytest.mark.parametrize(
    ("data", "message"),
    [("", r"the prompts of Some-Bench \(MIT\) are not on this machine"), ("gone", "gone does not exist")],
)
def test_without_files_the_licence_and_the_place_are_told(data, message):
    with pytest.raises(InputError, match=message) as caught:
        find_files(HOME, ["a.csv"], data=data)
    assert caught.value.problems[0].hint == (
        "Get a copy of https://example.org/some (MIT) and name its folder: --data DIR"
    )


def test_a_folder_without_the_files_says_which_it_lacks(tmp_path):
    write_file(tmp_path / "a.csv", "1")
    with pytest.raises(InputError, match=r"does not hold the prompts of Some-Bench: there is no b/\*\.csv"):
        find_files(HOME, ["a.csv", "b/*.csv"], data=str(tmp_path))


def test_what_is_not_in_the_hubs_cache_is_not_fetched():
    pytest.importorskip("huggingface_hub")
    home = Home(
        name="Some-Bench", files="prompts", license="MIT", url="u", hub="some/bench", hub_file="a.tar"
    )
    with pytest.raises(InputError, match=r"some/bench is not in the cache .*\(MIT\)") as caught:
        find_files(home, ["a.csv"])
    assert "hf download --repo-type dataset some/bench a.tar fetches them" in caught.value.problems[0].hint


def test_a_folder_below_a_folder_is_called_by_both(tmp_path):
    write_file(tmp_path / "a/b/c.txt", "1")
    assert Below(LocalFiles(tmp_path), "/a/b/").names() == ["c.txt"]
    assert Below(LocalFiles(tmp_path), "a/b").name == f"{tmp_path}/a/b"


# --- rows


def test_json_lines_carry_their_places_and_blank_ones_are_passed_over(tmp_path):
    write_file(tmp_path / "a.jsonl", '\ufeff{"a": 1}\r\n\n{"a": 2}\u2028\n'.replace("\u2028", ""))
    rows = read_jsonl(LocalFiles(tmp_path), "a.jsonl")
    assert rows == [(f"{tmp_path}/a.jsonl:1", {"a": 1}), (f"{tmp_path}/a.jsonl:3", {"a": 2})]


@pytest.mark.parametrize("line", ["{", "[1]", "7", '"a"', "[" * 100_000])
def test_a_line_that_is_no_object_is_named(tmp_path, line):
    write_file(tmp_path / "a.jsonl", f'{{"a": 1}}\n{line}\n')
    with pytest.raises(InputError, match=r"a\.jsonl:2: this is not"):
        read_jsonl(LocalFiles(tmp_path), "a.jsonl")


def test_a_file_that_is_no_text_or_not_there_is_named(tmp_path):
    (tmp_path / "a").write_bytes(b"\xff\xfe\x00")
    for name, message in (("a", "a: the file is not UTF-8 text"), ("b", "cannot read .*b: No such file")):
        with pytest.raises(InputError, match=message):
            read_text(LocalFiles(tmp_path), name)


@pytest.mark.parametrize("row", ['{"a": " "}', '{"a": ["b"]}', "{}"])
def test_a_text_that_is_none_is_named(row):
    with pytest.raises(InputError, match='here: "a" is not a text'):
        text_at(json_object(row, "here"), "a", "here")


@pytest.mark.parametrize("row", ['{"a": "b"}', '{"a": [1]}', "{}"])
def test_a_list_of_texts_that_is_none_is_named(row):
    with pytest.raises(InputError, match='here: "a" is not a list of texts'):
        texts_at(json_object(row, "here"), "a", "here")


def test_the_digest_of_items_is_that_of_what_is_painted_and_asked():
    item = Item(id="1", task=Task.T2I, prompt="a cat", files=("1.png",), facts={"q": ["a?"]})
    changed = Item(id="1", task=Task.T2I, prompt="a cat", files=("1.png",), facts={"q": ["b?"]})
    moved = Item(id="1", task=Task.T2I, prompt="a cat", files=("2.png",), facts={"q": ["a?"]})
    assert items_digest([item]) != items_digest([changed])
    assert items_digest([item]) == items_digest([moved])


def test_a_name_keeps_all_but_folders():
    spec = Spec.parse("some?b=2&data=/x&prompt_dir=/y&a=1")
    assert canonical_name(spec) == "some?a=1&b=2"


# --- other people's Python


def test_constants_are_read_and_nothing_is_run(tmp_path):
    path = write_file(
        tmp_path / "a.py",
        """
import a_package_that_is_nowhere
open("ran.txt", "w")
ONE = "a" + '''b\\d'''
TWO: dict = {"x": ONE, "y": [1, 2.5, True, None], "z": ("p", "q")}
THREE = FOUR = "both"
CALLED = print("ran")
PART = f"{ONE}"
UNKNOWN = {"x": NOWHERE}
BYTES = b"x"
def inside():
    HIDDEN = "h"
""",
    )
    assert constants(path) == {
        "ONE": "ab\\d",
        "TWO": {"x": "ab\\d", "y": [1, 2.5, True, None], "z": ["p", "q"]},
        "THREE": "both",
        "FOUR": "both",
    }
    assert not (tmp_path / "ran.txt").exists()


@pytest.mark.parametrize("text", ["def", "a = '", "\0"])
def test_what_is_no_python_is_refused(tmp_path, text):
    with pytest.raises(InputError, match="this is no Python file"):
        parsed(write_file(tmp_path / "a.py", text))


def test_an_official_file_may_stand_in_a_copy_or_alone(tmp_path):
    inner = write_file(tmp_path / "copy/eval/a.py", "")
    alone = write_file(tmp_path / "alone/a.py", "")
    assert official_file(str(tmp_path / "copy"), ["x.py", "eval/a.py"], HOME) == inner
    assert official_file(str(tmp_path / "alone"), ["eval/a.py"], HOME) == alone
    with pytest.raises(InputError, match=r"there is no x\.py or eval/b\.py"):
        official_file(str(tmp_path), ["x.py", "eval/b.py"], HOME)


# --- rounding


@given(
    st.lists(
        st.one_of(
            st.floats(-10, 10),
            st.integers(-1000, 1000).map(lambda n: n / 2000),
            st.tuples(st.integers(0, 500), st.integers(1, 500)).map(lambda pair: pair[0] / pair[1]),
        ),
        min_size=1,
    ),
    st.sampled_from([2, 4]),
)
def test_rounding_is_that_of_python(values, decimals):
    found = rounded(np.array(values), decimals).tolist()
    assert found == [round(each, decimals) for each in values]
    assert found == [float(f"{each:.{decimals}f}") for each in values]


def test_rounding_takes_the_side_that_numpy_misses():
    # 100 x 1.005 is 100.49999999999999 and 100 x 0.285 is 28.499999999999996; the second is below a half.
    assert rounded(np.array([[2.675, 1.005], [0.285, 0.00005]]), 2).tolist() == [[2.67, 1.0], [0.28, 0.0]]
    assert math.isnan(rounded(np.array([math.nan]), 4)[0])
