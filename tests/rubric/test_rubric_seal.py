"""Sealing an edited file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from arrkit.errors import InputError
from arrkit.rubric import checking
from arrkit.rubric.files import read_rubric
from arrkit.rubric.seal import Bump, seal_rubric

FULL = Path(__file__).parents[1] / "fixtures" / "rubrics" / "full.v1.json"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(shutil.copy(FULL, tmp_path / "full.json"))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_an_untouched_file_is_left_alone(path: Path) -> None:
    before = path.read_bytes()
    sealed = seal_rubric(path)
    assert not sealed.changed
    assert "unchanged" in sealed.messages[0]
    assert path.read_bytes() == before


@pytest.mark.parametrize(("bump", "version"), [("patch", "1.2.4"), ("minor", "1.3.0"), ("major", "2.0.0")])
def test_an_edit_that_judges_do_not_see_keeps_the_metrics(path: Path, bump: Bump, version: str) -> None:
    was = read_rubric(path)
    claimed = json.loads(path.read_text(encoding="utf-8"))["digest"]
    edit(path, "Everything a rubric can say.", "Another word.")
    sealed = seal_rubric(path, bump)
    assert (sealed.changed, sealed.metrics_dropped) == (True, False)
    now = read_rubric(path)
    assert now == sealed.rubric
    assert (now.version, now.metrics, now.description) == (version, was.metrics, "Another word.")
    *earlier, last = now.provenance.parents
    assert tuple(earlier) == was.provenance.parents
    assert (last.name, last.version, last.digest) == ("full", "1.2.3", claimed)
    assert not seal_rubric(path).changed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("The named object is the one that changed.", "The named object changed."),
        ('"weight": 1.5', '"weight": 4'),
        ("Compare with the source image.", "Compare closely."),
        ('"name": "Preservation"', '"name": "What stays"'),
    ],
)
def test_an_edit_of_what_judges_see_drops_the_metrics_and_says_so(path: Path, old: str, new: str) -> None:
    edit(path, old, new)
    sealed = seal_rubric(path)
    assert sealed.metrics_dropped
    assert any("metrics were dropped" in message for message in sealed.messages)
    assert read_rubric(path).metrics is None


def test_an_invalid_file_is_refused_with_all_its_other_problems(path: Path) -> None:
    edit(path, '"weight": 1.5', '"weight": 0')
    edit(path, '"right-target"', '"change-made"')
    before = path.read_bytes()
    with pytest.raises(InputError) as caught:
        seal_rubric(path)
    text = str(caught.value)
    assert '"weight" must be above 0' in text
    assert 'criterion id "change-made" stands twice' in text
    assert "digest" not in text
    assert text.endswith("2 problems. Nothing was sealed.")
    assert path.read_bytes() == before


def test_a_file_written_by_hand_needs_neither_digest_nor_provenance(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    criteria = [{"id": "cat", "statement": "The cat is red."}]
    document = {
        "schema_version": 1,
        "name": "mine",
        "version": "0.3.0",
        "task": "t2i",
        "dimensions": [{"id": "d", "name": "D", "criteria": criteria}],
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    assert seal_rubric(path).changed
    rubric = read_rubric(path)
    assert (rubric.version, rubric.provenance.method, rubric.provenance.parents) == ("0.3.0", "manual", ())


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 9}'])
def test_what_is_no_rubric_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="Nothing was sealed"):
        seal_rubric(path)
    assert path.read_text(encoding="utf-8") == text


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        seal_rubric(tmp_path / "none.json")


def test_sealing_an_older_version_writes_the_newest(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def same(document: dict[str, Any]) -> dict[str, Any]:
        return document

    monkeypatch.setitem(checking.MIGRATIONS, 0, same)
    edit(path, '"schema_version": 1', '"schema_version": 0')
    assert seal_rubric(path).changed
    assert json.loads(path.read_text(encoding="utf-8"))["schema_version"] == 1
    assert read_rubric(path).metrics is not None
