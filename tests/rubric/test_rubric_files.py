"""Reading, checking and writing rubric files, the digest, and older and newer schema versions."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from arrkit.data.pairs import Task
from arrkit.errors import InputError
from arrkit.resources import resource_text
from arrkit.rubric import checking
from arrkit.rubric.files import (
    check_rubric,
    criterion_lines,
    parse_rubric,
    read_rubric,
    require_task,
    rubric_digest,
    rubric_from_json,
    rubric_to_json,
    write_rubric,
)
from arrkit.rubric.model import (
    Counts,
    Criterion,
    DatasetRef,
    Dimension,
    Metrics,
    ParentRef,
    Provenance,
    Rate,
    Rubric,
)

FULL = Path(__file__).parents[1] / "fixtures" / "rubrics" / "full.v1.json"

characters = st.characters(codec="utf-8")
texts = st.text(characters, max_size=20)
words = st.text(characters, min_size=1, max_size=20).filter(str.strip)
lines = words.filter(lambda text: not set(text) & {"\r", "\n"})
weights = st.floats(min_value=1e-6, max_value=1e9)
hexes = st.text("0123456789abcdef", min_size=64, max_size=64)
versions = st.from_regex(r"(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]?)\.(0|[1-9])", fullmatch=True)
datasets = st.builds(DatasetRef, name=words, digest=hexes, pairs=st.integers(0, 10**9))
shares = st.floats(-1, 1)
rates = st.builds(Rate, shares, shares, shares, st.integers(0, 1000))
small = st.integers(0, 1000)
provenances = st.builds(
    Provenance,
    method=st.sampled_from(["arr", "manual", "merge", "import"]),
    arrkit_version=words,
    created_at=st.just("2026-01-31T12:00:00Z"),
    generator=texts,
    verifier=texts,
    dataset=st.none() | datasets,
    counts=st.none() | st.builds(Counts, small, small, small, small, small),
    options=st.dictionaries(
        texts, st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-9, 9) | texts, max_size=3
    ),
    parents=st.lists(st.builds(ParentRef, words, versions, hexes.map("sha256:{}".format)), max_size=2).map(
        tuple
    ),
    build_pairs=st.lists(hexes.map(lambda text: text[:16]), max_size=3).map(tuple),
)
metrics = st.builds(
    Metrics,
    words,
    datasets,
    st.integers(0, 1000),
    accuracy=rates,
    baseline=rates,
    difference=rates,
    consistency=rates,
)


@st.composite
def rubrics(draw: st.DrawFn) -> Rubric:
    """A valid rubric with every field in play."""
    dimensions = []
    for i in range(draw(st.integers(1, 3))):
        criteria = tuple(
            Criterion(
                f"c-{i}-{j}",
                draw(words),
                draw(weights),
                draw(texts),
                tuple(draw(st.lists(texts, max_size=2))),
            )
            for j in range(draw(st.integers(1, 2)))
        )
        dimensions.append(Dimension(f"d-{i}", draw(words), criteria, draw(texts)))
    return Rubric(
        draw(lines),
        draw(st.sampled_from(Task)),
        tuple(dimensions),
        draw(provenances),
        draw(versions),
        draw(texts),
        draw(st.none() | metrics),
    )


def small_rubric(**changes: Any) -> Rubric:
    criteria = (Criterion("red-cat", "The cat is red."), Criterion("blue-dog", "The dog is blue.", 2.5))
    values: dict[str, Any] = {
        "name": "small",
        "task": Task.T2I,
        "dimensions": (Dimension("colours", "Colours", criteria),),
        "provenance": Provenance("manual", "0.1.0", "2026-01-31T12:00:00Z"),
    }
    return Rubric(**{**values, **changes})


def text_of(rubric: Rubric) -> str:
    return json.dumps(rubric_to_json(rubric), indent=2)


def line_of(text: str, part: str, which: int = 0) -> int:
    return [number for number, line in enumerate(text.splitlines(), 1) if part in line][which]


@given(rubrics())
@settings(max_examples=40, deadline=None)
def test_a_rubric_survives_its_json_and_the_schema_accepts_it(rubric: Rubric) -> None:
    document = json.loads(json.dumps(rubric_to_json(rubric)))
    assert rubric_from_json(document) == rubric
    schema = json.loads(resource_text("schemas", "rubric.v1.schema.json"))
    Draft202012Validator(schema).validate(document)


@given(rubrics(), st.randoms(), st.sampled_from([None, 0, 7]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_digest_is_over_the_content_and_not_its_formatting(
    rubric: Rubric, random: Any, indent: int | None, ascii_only: bool
) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            keys = list(value)
            random.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(member) for member in value] if isinstance(value, list) else value

    text = json.dumps(shuffled(rubric_to_json(rubric)), indent=indent, ensure_ascii=ascii_only)
    assert check_rubric(text, "r.json") == []
    assert rubric_digest(parse_rubric(text, "r.json")) == rubric_digest(rubric)


def test_the_digest_is_what_the_schema_says_it_is() -> None:
    document = json.loads(FULL.read_text(encoding="utf-8"))
    claimed = document.pop("digest")
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert claimed == "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def test_whole_numbers_digest_alike_with_and_without_a_fraction() -> None:
    text = text_of(small_rubric())
    assert '"weight": 1,' in text
    assert check_rubric(text.replace('"weight": 1,', '"weight": 1.0,'), "r.json") == []


def test_the_published_version_1_loads() -> None:
    rubric = read_rubric(FULL)
    assert rubric.metrics is not None
    assert rubric.provenance.options == {
        "criteria": 5, "holdout": 0.3, "verify_orders": "both", "resume": True, "limit": None
    }  # fmt: skip
    assert [criterion.weight for criterion in rubric.criteria()] == [2.0, 1.5, 1.0]


def test_every_field_of_the_schema_is_documented() -> None:
    def fields(schema: Any, way: str = "") -> Any:
        if isinstance(schema, dict):
            for name, field in schema.get("properties", {}).items():
                yield f"{way}.{name}", field
            for key, part in schema.items():
                yield from fields(part, f"{way}.{key}")

    schema = json.loads(resource_text("schemas", "rubric.v1.schema.json"))
    Draft202012Validator.check_schema(schema)
    assert schema["$id"].endswith("/rubric.v1.schema.json")
    bare = [
        way
        for way, field in fields(schema)
        if not (field.get("title") and field.get("description"))
        and "#/$defs/dataset/properties" not in field.get("$ref", "")
    ]
    assert bare == []


def test_writing_and_reading_a_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "small.json"
    write_rubric(small_rubric(), path)
    assert read_rubric(path) == small_rubric()
    with pytest.raises(InputError, match=r"exists already\n  Pass --force"):
        write_rubric(small_rubric(), path)
    write_rubric(small_rubric(version="2.0.0"), path, force=True)
    assert read_rubric(str(path)).version == "2.0.0"
    assert [entry.name for entry in path.parent.iterdir()] == ["small.json"]


def test_what_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    twice = (Dimension("d", "D", (Criterion("a", "One thing."), Criterion("a", "Another."))),)
    with pytest.raises(InputError, match="Nothing was written") as caught:
        write_rubric(small_rubric(dimensions=twice), tmp_path / "bad.json")
    assert 'criterion id "a" stands twice' in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_all_problems_are_told_at_once_each_at_its_line() -> None:
    text = text_of(small_rubric())
    text = text.replace('"task": "t2i"', '"task": "t2v"').replace('"guidance"', '"guidence"', 1)
    text = text.replace('"weight": 2.5', '"weight": -1').replace('"blue-dog"', '"red-cat"')
    text = text.replace('"created_at"', '"hue": 1, "created_at"').replace('"name": "small",', "")
    found = [(problem.where, problem.what) for problem in check_rubric(text, "r.json")]
    assert found == [
        ("r.json:1", 'missing key "name"'),
        (
            f"r.json:{line_of(text, 't2v')}",
            '"task" must be one of "t2i", "edit", "interleaved", not "t2v" (did you mean "t2i"?)',
        ),
        (f"r.json:{line_of(text, 'guidence')}", 'unknown key "guidence" (did you mean "guidance"?)'),
        (
            f"r.json:{line_of(text, 'red-cat', 1)}",
            f'criterion id "red-cat" stands twice, first at r.json:{line_of(text, "red-cat")}',
        ),
        (f"r.json:{line_of(text, '-1')}", '"weight" must be above 0, not -1'),
        (f"r.json:{line_of(text, 'hue')}", 'unknown key "hue"'),
    ]


def test_a_misspelt_required_key_is_one_problem() -> None:
    text = text_of(small_rubric()).replace('"statement"', '"statment"', 1)
    found = check_rubric(text, "r.json")
    assert [problem.what for problem in found] == ['unknown key "statment" (did you mean "statement"?)']


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (('"The cat is red."', '" "'), '"statement" is empty'),
        (('"weight": 2.5', '"weight": "2.5"'), '"weight" must be a number, not text'),
        (('"weight": 2.5', '"weight": true'), '"weight" must be a number, not true or false'),
        (('"weight": 2.5', '"weight": 1e999'), "too large or not finite"),
        (('"weight": 2.5', '"weight": NaN'), "too large or not finite"),
        (('"weight": 2.5', '"weight": 1' + "0" * 400), "too large or not finite"),
        (('"weight": 2.5', '"weight": 2.5, "weight": 3'), 'key "weight" stands twice, first on line'),
        (("The cat is red.", "The \\ud800 is red."), "half of a surrogate pair"),
        (('"version": "1.0.0"', '"version": "1.0"'), '"version" cannot be "1.0"'),
        (('"version": "1.0.0"', '"version": "1.0.0\\n"'), '"version" cannot be "1.0.0'),
        (('"red-cat"', '"Red Cat"'), '"id" cannot be "Red Cat"'),
        (
            ('"source_pairs": []', '"source_pairs": [1]'),
            'an entry of "source_pairs" must be text, not a number',
        ),
        (('"metrics": null', '"metrics": []'), '"metrics" must be an object or null, not a list'),
        (('"schema_version": 1', '"schema_version": 0'), "schema_version 0 never was"),
        (('"schema_version": 1', '"schema_version": "1"'), '"schema_version" must be 1, not "1"'),
    ],
)
def test_each_kind_of_problem(change: tuple[str, str], what: str) -> None:
    text = text_of(small_rubric())
    assert change[0] in text
    text = text.replace(*change, 1)
    found = check_rubric(text, "r.json")
    assert len(found) == 1
    assert what in found[0].what
    assert found[0].where == f"r.json:{line_of(text, change[1])}"


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('{\n  "name": x\n}', "r.json:2", "not JSON: Expecting value (line 2, column 11)"),
        ("", "r.json:1", "not JSON: Expecting value (line 1, column 1)"),
        ("[]", "r.json:1", "a rubric is a JSON object, not a list"),
        ("null", "r.json:1", "a rubric is a JSON object, not null"),
        ("[" * 200_000, "r.json", "nested too deeply"),
        ("9" * 5000, "r.json", "not usable"),
    ],
)
def test_what_is_no_rubric_at_all_is_one_problem(text: str, where: str, what: str) -> None:
    [problem] = check_rubric(text, "r.json")
    assert problem.where == where
    assert what in problem.what


keys = st.sampled_from(list(rubric_to_json(small_rubric())))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner),
    max_leaves=12,
)


@given(st.text(characters, max_size=40) | values.map(json.dumps))
@settings(max_examples=100, deadline=None)
def test_no_text_makes_the_check_stumble(text: str) -> None:
    assert check_rubric(text, "r.json")


@pytest.mark.parametrize("depth", range(800, 1000, 7))
def test_any_depth_of_nesting_is_a_problem_and_no_crash(depth: int) -> None:
    assert check_rubric('{"dimensions": ' + "[" * depth + "]" * depth + "}", "r.json")


def test_an_edited_file_is_refused_with_the_command_that_seals_it() -> None:
    text = text_of(small_rubric()).replace("The cat is red.", "The cat is green.")
    [problem] = check_rubric(text, "my rubric.json")
    assert problem.where == f"my rubric.json:{line_of(text, 'digest')}"
    assert "digest is stale" in problem.what
    assert problem.hint.endswith("arrkit rubric seal 'my rubric.json'")
    with pytest.raises(InputError, match="digest is stale"):
        parse_rubric(text, "my rubric.json")


def test_a_file_without_digest_is_refused_with_the_same_command() -> None:
    document = rubric_to_json(small_rubric())
    del document["digest"]
    [problem] = check_rubric(json.dumps(document), "r.json")
    assert problem.what == 'missing key "digest"'
    assert problem.hint == "Seal it: arrkit rubric seal r.json"


def test_metrics_of_other_criteria_are_refused() -> None:
    rubric = read_rubric(FULL)
    document = rubric_to_json(rubric)
    text = json.dumps(document)
    measured = document["metrics"]["criteria_digest"]  # type: ignore[call-overload, index]
    forged = text.replace(str(measured), "sha256:" + "0" * 64)
    # The digest itself is right, since it is over what was measured and not over this claim alone.
    [problem] = check_rubric(forged, "r.json")
    assert "measured under other criteria" in problem.what


def test_a_newer_version_is_refused_with_the_arrkit_that_wrote_it() -> None:
    text = text_of(small_rubric()).replace('"schema_version": 1', '"schema_version": 7, "novelty": []')
    text = text.replace('"arrkit_version": "0.1.0"', '"arrkit_version": "3.2.0"')
    [problem] = check_rubric(text, "r.json")
    assert re.match(r"schema_version 7 is newer than arrkit \S+ reads \(up to 1\)", problem.what)
    assert problem.where == "r.json:2"
    assert problem.hint == "Upgrade: pip install --upgrade 'arrkit>=3.2.0'"


def test_older_versions_are_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    def from_0(document: dict[str, Any]) -> dict[str, Any]:
        criteria = document.pop("rules")
        return {**document, "dimensions": [{"id": "all", "name": "All", "criteria": criteria}]}

    monkeypatch.setitem(checking.MIGRATIONS, 0, from_0)
    old: dict[str, Any] = rubric_to_json(small_rubric())
    old |= {"schema_version": 0, "rules": old.pop("dimensions")[0]["criteria"]}
    del old["digest"]
    canonical = json.dumps(old, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    old["digest"] = "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()

    rubric = parse_rubric(json.dumps(old), "old.json")
    assert [criterion.id for criterion in rubric.criteria()] == ["red-cat", "blue-dog"]
    assert rubric_to_json(rubric)["schema_version"] == 1
    old["rules"][0]["statement"] = "The cat is green."
    [problem] = check_rubric(json.dumps(old), "old.json")
    assert "digest is stale" in problem.what


def test_a_rubric_of_the_wrong_task_is_refused() -> None:
    require_task(small_rubric(), Task.T2I)
    with pytest.raises(InputError) as caught:
        require_task(small_rubric(), Task.EDIT, "small.json")
    assert str(caught.value).startswith(
        'small.json: rubric "small" is for the task t2i, the pairs are for edit'
    )
    assert "edit-general" in str(caught.value)
    assert "arrkit rubric build --task edit" in str(caught.value)


def test_problems_of_a_value_in_memory_name_its_field() -> None:
    document: Any = rubric_to_json(small_rubric())
    document["dimensions"][0]["criteria"][1]["weight"] = 0
    with pytest.raises(InputError, match=r'dimensions\[0\]\.criteria\[1\]\.weight: "weight" must be above 0'):
        rubric_from_json(document)


def test_lines_of_criteria() -> None:
    text = text_of(small_rubric())
    assert criterion_lines(text) == {
        "red-cat": line_of(text, "red-cat") - 1,
        "blue-dog": line_of(text, "blue-dog") - 1,
    }


def test_a_file_that_is_not_utf8_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "latin.json"
    path.write_bytes('{"name": "é"}'.encode("latin-1"))
    with pytest.raises(InputError, match=r"is not UTF-8 text \(byte 10\)"):
        read_rubric(path)
