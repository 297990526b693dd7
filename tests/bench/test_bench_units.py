"""Units in files, and which items a quick look takes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrkit.bench.choosing import chains, spread, turns
from arrkit.bench.judged import in_all, news
from arrkit.bench.model import Item, Status, Unit
from arrkit.bench.units import Scored, UnitFile, is_unit_file, read_units
from arrkit.data.pairs import Task
from arrkit.errors import InputError

GOOD = Unit(item="a", value=1.0, answer={"seen": ["bär", None]})
LOST = Unit(item="a", image=1, question="colour?", status=Status.FAILED, answer="an outage")


def test_units_come_back_as_they_were_and_only_failed_ones_are_asked_for_again(tmp_path):
    file = tmp_path / "units.jsonl"
    with UnitFile(file) as units:
        units.add(Scored("b", ("1", None), (Unit(item="b", status=Status.MISSING),)))
        units.add(Scored("a", ("1", "2"), (GOOD, LOST)))
        assert units.find("a", ["1", "2"]) is None
        with pytest.raises(ValueError, match="scored already"):
            units.add(Scored("b", ("1", None), (Unit(item="b", value=1.0),)))
    assert is_unit_file(file)
    with UnitFile(file) as units:
        assert units.units(["a", "x", "b"]) == [GOOD, LOST, Unit(item="b", status=Status.MISSING)]
        assert units.find("b", ["1", None]) is not None
        assert units.find("b", ["1", "2"]) is None  # its image is there now
        mended = Unit(item="a", image=1, question="colour?", value=0.0)
        units.add(Scored("a", ("1", "2"), (GOOD, mended)))
    assert read_units(file) == [Unit(item="b", status=Status.MISSING), GOOD, mended]


def test_what_a_judge_tells_of_itself_adds_up_over_starts(tmp_path):
    file = tmp_path / "units.jsonl"
    fixed = {"judge": "openai:some", "image_size": 1024}
    starts = (
        ({"m-1": 2}, [None], 1),
        ({"m-1": 1, "m-2": 4}, [None, 0.0], 0),
    )
    for start, (snapshots, temperatures, repeats) in enumerate(starts):
        with UnitFile(file) as units:
            told: dict[str, object] = {}
            for step, now in enumerate(
                (
                    {**fixed, "snapshots": {}, "temperatures": [], "repeats": 0},
                    {**fixed, "snapshots": {"m-1": 1}, "temperatures": [None], "repeats": 0},
                    {**fixed, "snapshots": snapshots, "temperatures": temperatures, "repeats": repeats},
                )
            ):
                name = f"{start}-{step}"
                units.add(Scored(name, (), (Unit(item=name, value=1.0),)), news(told, now))
                told = now
    empty = {**fixed, "snapshots": {}, "temperatures": [], "repeats": 0}
    with UnitFile(file) as units:
        found = in_all(units.by, empty)
    assert found == {
        **fixed,
        "snapshots": {"m-1": 3, "m-2": 4},
        "temperatures": [None, 0.0],
        "repeats": 1,
    }
    assert in_all([], {"judge": "shapes"}) == {"judge": "shapes"}
    assert news(empty, empty) == {}


def test_a_torn_line_is_cut_off_and_its_item_scored_again(tmp_path):
    file = tmp_path / "units.jsonl"
    with UnitFile(file) as units:
        units.add(Scored("a", (), (GOOD,)))
    whole = file.read_bytes()
    file.write_bytes(whole + whole[: len(whole) // 2])
    with UnitFile(file) as units:
        assert units.units(["a"]) == [GOOD]
    assert file.read_bytes() == whole


def test_units_that_repeat_each_other_or_are_of_another_item_are_not_written(tmp_path):
    with UnitFile(tmp_path / "units.jsonl") as units:
        for wrong in ((GOOD, GOOD), (Unit(item="b", value=1.0),)):
            with pytest.raises(ValueError, match="repeat each other"):
                units.add(Scored("a", (), wrong))
    assert (tmp_path / "units.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", "this is no line of units"),
        ("[]", "this is no line of units"),
        ('{"key":"0a","item":"a"}', "'units'"),
        ('{"key":"0a","item":"a","units":[{"value":"1"}]}', "a value is not a number"),
        ('{"key":"0a","item":"a","units":[{"value":1,"status":"nearly"}]}', "nearly"),
        ('{"key":"0a","item":"a","units":[{}]}', "value None"),
        ('{"key":"0a","item":"b","units":[{"value":1}]}', '"b" stands in the file already'),
    ],
)
def test_a_line_that_is_none_of_its_is_named(tmp_path, line, said):
    file = tmp_path / "units.jsonl"
    file.write_text('{"key":"0b","item":"b","images":[],"units":[{"value":1}]}\n' + line + "\n")
    with pytest.raises(InputError) as caught:
        read_units(file)
    assert f"{file}:2: " in str(caught.value)
    assert said in str(caught.value)


def test_other_files_are_not_taken_for_units(tmp_path):
    file = tmp_path / "results.jsonl"
    file.write_text(json.dumps({"filename": "0.png", "tag": "position", "correct": True}) + "\n")
    assert not is_unit_file(file)
    assert not is_unit_file(tmp_path)
    with pytest.raises(InputError, match="cannot read"):
        read_units(tmp_path / "nowhere")


def items(*groups: str) -> list[Item]:
    return [
        Item(id=f"{group}{place}", task=Task.T2I, prompt="p", files=(f"{place}.png",), groups={"g": group})
        for place, group in enumerate(groups)
    ]


def test_a_quick_look_takes_as_many_of_each_group_and_keeps_the_order():
    all_items = items(*"aaaaaaaabbbbcc")
    assert [each.id for each in spread(all_items, 6)] == ["a0", "a1", "b8", "b9", "c12", "c13"]
    assert [each.id for each in spread(all_items, 8)] == ["a0", "a1", "a2", "b8", "b9", "b10", "c12", "c13"]
    many = items(*"abcdefghijkl")
    assert [each.id for each in spread(many, 3)] == ["a0", "e4", "i8"]
    assert spread(all_items, None) == spread(all_items, 99) == all_items


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=30), st.integers(1, 40))
def test_a_quick_look_takes_what_was_asked_for_evenly(groups, limit):
    all_items = items(*groups)
    taken = spread(all_items, limit)
    assert len(taken) == min(limit, len(all_items))
    counts = {group: sum(each.groups["g"] == group for each in taken) for group in groups}
    for group, count in counts.items():
        assert count >= min(groups.count(group), max(counts.values()) - 1)


def test_turns_of_an_edit_stay_together_and_come_one_after_the_other():
    edits = [
        Item(id=name, task=Task.EDIT, prompt=name, files=(f"{name}.png",), before=before)
        for name, before in (("x1", ""), ("y1", ""), ("x2", "x1"), ("y2", "y1"), ("x3", "x2"))
    ]
    assert [[each.id for each in chain] for chain in chains(edits)] == [["x1", "x2", "x3"], ["y1", "y2"]]
    assert [[each.id for each in turn] for turn in turns(edits)] == [["x1", "y1"], ["x2", "y2"], ["x3"]]
    assert [each.id for each in spread(edits, 4)] == ["x1", "x2", "x3"]
    assert [each.id for each in spread(edits, 1)] == ["x1", "x2", "x3"]
