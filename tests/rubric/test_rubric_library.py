"""Rubrics by path and by bare name, and the ones that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from arrkit.data.pairs import Task
from arrkit.errors import InputError, RunError
from arrkit.resources import resource_folder
from arrkit.rubric.files import check_rubric, list_rubrics, read_rubric, write_rubric
from arrkit.rubric.library import find_rubric, shipped_names


def test_every_shipped_rubric_is_valid_sealed_and_named_as_its_file() -> None:
    names = shipped_names()
    assert {"t2i-general", "edit-general"} <= set(names)
    for name in names:
        found = find_rubric(name)
        assert found.shipped
        assert check_rubric(found.text, found.name) == []
    assert tuple(rubric.name for rubric in list_rubrics()) == names


@pytest.mark.parametrize(("name", "task"), [("t2i-general", Task.T2I), ("edit-general", Task.EDIT)])
def test_the_general_rubrics_are_manual_and_make_no_claims(name: str, task: Task) -> None:
    rubric = read_rubric(name)
    assert rubric.task is task
    assert rubric.provenance.method == "manual"
    assert rubric.metrics is None
    assert 10 <= len(rubric) <= 16
    for criterion in rubric.criteria():
        assert len(criterion.guidance) > 80
        assert criterion.source_pairs == ()


def test_a_file_that_exists_wins_over_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t2i-general").mkdir()
    assert read_rubric("t2i-general").task is Task.T2I  # a folder is no rubric file
    write_rubric(read_rubric("edit-general"), Path("edit"))
    assert not find_rubric("edit").shipped
    (tmp_path / "t2i-general").rmdir()
    write_rubric(read_rubric("edit-general"), Path("t2i-general"))
    assert read_rubric("t2i-general").task is Task.EDIT
    monkeypatch.undo()


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        read_rubric("t2i-genral")
    assert 'no rubric file "t2i-genral"' in str(caught.value)
    assert '(did you mean "t2i-general"?)' in str(caught.value)
    assert "edit-general, shapes-edit, shapes-painting, shapes-t2i, t2i-general" in str(caught.value)
    assert "arrkit rubric list" in str(caught.value)


def test_a_folder_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        read_rubric(tmp_path)


def test_an_installation_without_a_folder_says_so() -> None:
    with pytest.raises(RunError, match='lacks its folder "nowhere"'):
        resource_folder("nowhere")
