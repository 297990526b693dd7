"""Rows come one at a time, each with its line, and one bad row does not spoil the next."""

import gzip
import io
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from arrkit.data import readers
from arrkit.data import yaml_rows as yaml_rows_module
from arrkit.data.files import LocalFiles
from arrkit.data.json_array import ArrayText
from arrkit.data.readers import read_json, read_jsonl, read_rows, rows_in
from arrkit.data.rows import BrokenRow, Row
from arrkit.data.yaml_rows import read_yaml

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text('ab"\\[]{},: \né☃😀', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('k"\\[,}', max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def no_decoder(text: str, at: int) -> tuple[object, int]:
    """What cannot read anything, so that every element's end is looked for by its brackets."""
    raise ValueError(text, at)


gaps = st.text(" \t\r\n", max_size=3)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.lists(values, max_size=6), st.integers(1, 40), st.sampled_from([None, 0, 2]))
def test_any_array_in_any_pieces(
    data: st.DataObject, items: list[object], size: int, indent: int | None
) -> None:
    text = data.draw(gaps) + "["
    lines = []
    for index, item in enumerate(items):
        text += data.draw(gaps)
        lines.append(1 + text.count("\n"))
        text += json.dumps(item, indent=indent, ensure_ascii=data.draw(st.booleans())) + data.draw(gaps)
        text += "," if index < len(items) - 1 else ""
    text += data.draw(gaps) + "]" + data.draw(gaps)
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    found = list(ArrayText(pieces, 10_000).elements(no_decoder))
    assert [json.loads(element or "") for _, _, element in found] == items
    assert [line for line, _, _ in found] == lines
    rows = list(read_json(io.BytesIO(text.encode()), chunk=size))
    assert [(row.number, row.line, row.value) for row in rows if isinstance(row, Row)] == [
        (number, line, item) for number, (line, item) in enumerate(zip(lines, items, strict=True), start=1)
    ]
    assert len(rows) == len(items)


@settings(max_examples=200, deadline=None)
@given(st.text('[]{}",\\ a1\n', max_size=30), st.integers(1, 7))
def test_any_text_is_read_as_json_reads_it(text: str, size: int) -> None:
    rows = list(read_json(io.BytesIO(text.encode()), chunk=size))
    broken = [row for row in rows if isinstance(row, BrokenRow)]
    try:
        whole = json.loads(text)
    except ValueError:
        assert broken or not text.strip()
    else:
        if isinstance(whole, list):
            assert [row.value for row in rows if isinstance(row, Row)] == whole
            assert not broken
        else:
            assert broken
    assert all(1 <= row.line <= 1 + text.count("\n") for row in rows)


@pytest.mark.parametrize("between", [", ", ",", "\n ,\n "])
def test_only_an_element_that_two_pieces_share_is_looked_at_sign_by_sign(between: str) -> None:
    text = f"[ {between.join(json.dumps({'n': number}) for number in range(500))} ]"
    pieces = [text[start : start + 300] for start in range(0, len(text), 300)]
    found = list(ArrayText(pieces, 10_000).elements(json.JSONDecoder().raw_decode))
    assert len(found) == 500
    assert sum(text is not None for _, _, text in found) <= len(pieces)


def json_rows(text: str) -> list[Row | BrokenRow]:
    return list(read_json(io.BytesIO(text.encode()), chunk=5))


def jsonl_rows(data: str | bytes) -> list[Row | BrokenRow]:
    return list(read_jsonl(io.BytesIO(data.encode() if isinstance(data, str) else data)))


def yaml_rows(text: str) -> list[Row | BrokenRow]:
    return list(read_yaml(io.BytesIO(text.encode())))


def test_an_element_that_is_not_json_does_not_spoil_the_next() -> None:
    good, bad, after = json_rows('[{"a": 1},\n {"b": oops},\n {"c": 3}]')
    assert isinstance(good, Row)
    assert isinstance(bad, BrokenRow)
    assert (bad.line, bad.last) == (2, False)
    assert bad.what == "not JSON: expecting value at column 7"
    assert isinstance(after, Row)
    assert (after.number, after.line, after.value) == (3, 3, {"c": 3})


def test_an_error_within_a_row_has_its_own_line() -> None:
    (bad,) = json_rows('[{"a": 1,\n  "b" 2\n}]')
    assert isinstance(bad, BrokenRow)
    assert (bad.line, bad.what) == (2, "not JSON: expecting ':' delimiter at column 7")


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('{"pairs": []}', 1, "a JSON file must hold one array"),
        ('[{"a": 1},\n {"b": 2}', 2, "ends in the middle of a row: the array is not closed"),
        ('[{"a": "open}\n]', 1, "ends in the middle of a row: a string is not closed"),
        ("[1]\n[2]", 2, "more behind the closing bracket"),
        ("[1,\n]", 2, "a row is missing"),
        ("[,1]", 1, "a row is missing"),
    ],
)
def test_arrays_that_are_none(text: str, line: int, what: str) -> None:
    broken = [row for row in json_rows(text) if isinstance(row, BrokenRow)]
    assert len(broken) == 1
    assert broken[0].line == line
    assert what in broken[0].what


def test_an_object_points_to_jsonl() -> None:
    (row,) = json_rows('{"prompt": "x"}\n{"prompt": "y"}')
    assert isinstance(row, BrokenRow)
    assert ".jsonl" in row.hint


def test_empty_files_have_no_rows() -> None:
    for text in ("", " \n", "\ufeff"):
        assert json_rows(text) == []
        assert jsonl_rows(text) == []
    assert json_rows("[ ]") == []
    for text in ("", "# nothing\n", "---\n", "[]", "---\n[]\n"):
        assert [row for row in yaml_rows(text) if isinstance(row, Row)] == []


def test_keys_that_stand_twice_are_named() -> None:
    text = '{"a": 1, "b": {"c": 1, "c": 2}, "a": 3, "a": 4}'
    for row in (*json_rows(f"[{text}]"), *jsonl_rows(text)):
        assert isinstance(row, Row)
        assert row.repeated == ("c", "a")
    row, after = yaml_rows("- a: 1\n  b:\n    c: 1\n    c: 2\n  a: 3\n- a: 1\n")
    assert isinstance(row, Row)
    assert set(row.repeated) == {"c", "a"}
    assert isinstance(after, Row)
    assert after.repeated == ()


def test_lines_of_a_jsonl_file() -> None:
    rows = jsonl_rows('\ufeff{"a": "\u2028"}\r\n\n   \n{"b": }\n{"c": 3}')
    assert [(row.number, row.line) for row in rows] == [(1, 1), (2, 4), (3, 5)]
    assert [type(row) for row in rows] == [Row, BrokenRow, Row]


def test_single_quotes_get_a_hint() -> None:
    (row,) = jsonl_rows("{'a': 1}")
    assert isinstance(row, BrokenRow)
    assert row.hint == "JSON wants double quotes."


def test_an_array_in_a_jsonl_file_is_one_problem() -> None:
    for text in ('[\n{"a": 1},\n{"b": 2}\n]\n', '[{"a": 1},\n{"b": 2}]'):
        (row,) = jsonl_rows(text)
        assert isinstance(row, BrokenRow)
        assert ".json" in row.hint


def test_text_that_is_not_utf8() -> None:
    first, second = jsonl_rows(b'{"a": "\xe9"}\n{"b": 1}\n')
    assert isinstance(first, BrokenRow)
    assert first.what == "the text is not UTF-8 (byte 0xe9)"
    assert isinstance(second, Row)
    rows = list(read_json(io.BytesIO(b'[1,\n2,\n"\xe9"]'), chunk=3))
    assert isinstance(rows[-1], BrokenRow)
    assert "not UTF-8 (byte 0xe9)" in rows[-1].what
    (row,) = read_yaml(io.BytesIO(b'- a: "\xe9"\n'))
    assert isinstance(row, BrokenRow)


def test_a_row_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "ROW_LIMIT", 100)
    text = '"' + "x" * 200 + '"'
    for rows in (jsonl_rows(f"{text}\n1\n"), json_rows(f"[{text}, 1]")):
        assert len(rows) == 1
        assert isinstance(rows[0], BrokenRow)
        assert "longer than" in rows[0].what
    assert all(isinstance(row, Row) for row in jsonl_rows("1\n" * 200))
    assert len(json_rows("[" + "1," * 200 + "1]")) == 201


def test_deep_nesting_and_long_numbers() -> None:
    deep, number, after = jsonl_rows("[" * 100_000 + "\n" + "1" * 5000 + "\n1\n")
    assert isinstance(deep, BrokenRow)
    assert deep.what == "the row is nested too deeply"
    assert isinstance(number, BrokenRow)
    assert isinstance(after, Row)
    (row,) = yaml_rows("- " + "[" * 3000 + "]" * 3000)
    assert isinstance(row, BrokenRow)
    assert row.what == "the row is nested too deeply"


def test_items_of_a_yaml_file() -> None:
    text = "# pairs\n- prompt: a\n  n: 1\n\n-\n  prompt: |\n    b\n    c\n- &x plain\n- *x\n"
    rows = yaml_rows(text)
    assert [(row.number, row.line) for row in rows] == [(1, 2), (2, 6), (3, 9), (4, 10)]
    assert [row.value for row in rows if isinstance(row, Row)] == yaml.safe_load(text)


@settings(max_examples=40, deadline=None)
@given(st.lists(values, min_size=1, max_size=4), st.sampled_from([None, False, True]))
def test_any_yaml_list(items: list[object], flow: bool | None) -> None:
    text = yaml.safe_dump(items, default_flow_style=flow, allow_unicode=True)
    assert [row.value for row in yaml_rows(text) if isinstance(row, Row)] == items


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("prompt: a\n", 1, "one list of rows"),
        ("- a: 1\n- b: [1\n- c: 2\n", 3, "not YAML: "),
        ("- a: !!python/object:os.system {}\n- b: 1\n", 1, "not plain YAML: "),
        ("- a: 2024-99-99\n", 1, "not plain YAML: "),
        ("- a\n---\n- b\n", 2, "one document"),
        ("- &x [1, *x]\n", 1, "*x stands within itself"),
        ("- \x00", 1, "not YAML: "),
        ("- *nothing\n", 1, "not YAML: found undefined alias"),
    ],
)
def test_yaml_that_is_not_read(text: str, line: int, what: str) -> None:
    broken = [row for row in yaml_rows(text) if isinstance(row, BrokenRow)]
    assert len(broken) == 1
    assert (broken[0].line, what in broken[0].what) == (line, True), broken[0]


def test_a_bad_tag_does_not_spoil_the_next_item() -> None:
    _, after = yaml_rows("- a: !!python/name:os.system\n- b: 1\n")
    assert isinstance(after, Row)
    assert after.value == {"b": 1}


def test_a_small_file_cannot_become_large() -> None:
    laughs = "- a0: &a0 [x, x]\n" + "".join(
        f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
    )
    (row,) = yaml_rows(laughs)
    assert isinstance(row, BrokenRow)
    assert row.what == "not YAML: a row of more than 100000 values"
    text = f"- &long {'x' * 500_000}\n- [{', '.join(['*long'] * 1000)}]\n"
    assert [type(row) for row in yaml_rows(text)] == [Row, BrokenRow]


def test_the_limit_of_a_yaml_row_is_for_each_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_rows_module, "_MOST_NODES", 20)
    assert [type(row) for row in yaml_rows("- [1, 2, 3]\n" * 10)] == [Row] * 10
    assert [type(row) for row in yaml_rows(f"- [{'1, ' * 19}1]\n")] == [BrokenRow]


def test_aliases_and_merged_keys() -> None:
    text = "- &one {a: 1, r: &r [1, 2]}\n- {<<: *one, a: 2}\n- {r: *r}\n- {<<: *one, a: 3}\n"
    rows = yaml_rows(text)
    assert [row.value for row in rows if isinstance(row, Row)] == yaml.safe_load(text)
    assert [row.repeated for row in rows if isinstance(row, Row)] == [()] * 4


def test_the_suffix_decides(tmp_path: Path) -> None:
    texts = {"a.jsonl": "{}\n{}\n", "a.NDJSON": "{}\n{}\n", "a.yml": "- {}\n- {}\n", "a.yaml": "- {}\n- {}\n"}
    for name, text in (texts | {"a.json": "[{}, {}]", "a.txt": "[{}, {}]"}).items():
        (tmp_path / name).write_text(text)
        assert [row.value for row in read_rows(tmp_path / name) if isinstance(row, Row)] == [{}, {}], name


@settings(max_examples=60)
@given(st.lists(values, max_size=4), st.lists(values, max_size=3), st.booleans(), st.integers(1, 40))
def test_an_array_within_an_object(items: list[object], others: list[object], after: bool, size: int) -> None:
    members = [f'"m{number}" : {json.dumps(other)}' for number, other in enumerate(others)]
    members.insert(len(members) if not after else 0, f'"pairs": {json.dumps(items)}')
    text = " {" + " ,\n".join(members) + " } \n"
    assert [*json.loads(text)["pairs"]] == items
    rows = list(read_json(io.BytesIO(text.encode()), key="pairs", chunk=size))
    assert [row.value for row in rows if isinstance(row, Row)] == items
    assert len(rows) == len(items)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[1]", 'an object with an array "pairs"'),
        ("{}", 'an object with an array "pairs"'),
        ('{"other": [1], "x": {"pairs": [2]}}', 'an object with an array "pairs"'),
        ('{"pairs": {"a": 1}}', 'an object with an array "pairs"'),
        ('{"pairs": [1]', "the object around the array is not closed"),
        ('{"pairs": [1]} 2', "more behind the closing bracket"),
        ('{"pairs": [1], "x": 2', "the object is not closed"),
        ('{"pairs"', "the object is not closed"),
    ],
)
def test_objects_without_the_array(text: str, what: str) -> None:
    for chunk in (3, 100):
        rows = list(read_json(io.BytesIO(text.encode()), key="pairs", chunk=chunk))
        assert [what in row.what for row in rows if isinstance(row, BrokenRow)] == [True], rows


def test_rows_of_packed_files(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'{"pairs": [{"a": 1}, {"a": 2}]}'))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n{"a": 2}\n'))
    for name, key in (("a.json.gz", "pairs"), ("b.jsonl.gz", "")):
        rows = list(rows_in(LocalFiles(tmp_path), name, key=key))
        assert [row.value for row in rows if isinstance(row, Row)] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_a_damaged_packed_file_ends_in_a_broken_row(tmp_path: Path, suffix: str) -> None:
    rows = "".join(f'{{"a": "{number * 7919 % 1009}"}}\n' for number in range(5000))
    text = rows if suffix == ".jsonl" else f"[{','.join(rows.splitlines())}]"
    packed = gzip.compress(text.encode())
    spoilt = bytearray(packed)
    spoilt[len(packed) // 2] ^= 0xFF
    for data in (packed[:-500], bytes(spoilt), b"not gzip"):
        (tmp_path / f"a{suffix}.gz").write_bytes(data)
        *_, last = read_rows(tmp_path / f"a{suffix}.gz")
        assert isinstance(last, BrokenRow)
        assert last.last
        assert "cannot be unpacked" in last.what
