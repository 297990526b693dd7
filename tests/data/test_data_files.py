"""A folder as the files of a set: no path leads out of it, and no more of it is walked than is asked."""

import os
from pathlib import Path

import pytest

from arrkit.data.files import LocalFiles, any_matching, inside, matching, picture_in
from arrkit.data.pairs import ImageUnreadable


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    for name in ("test.json", "data/a-1.parquet", "data/a-2.parquet", "images/x/1.png", "images/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return LocalFiles(tmp_path)


def test_names_and_patterns(files: LocalFiles) -> None:
    assert files.names() == [
        "data/a-1.parquet",
        "data/a-2.parquet",
        "images/2.png",
        "images/x/1.png",
        "test.json",
    ]
    assert files.names("images/") == ["images/2.png", "images/x/1.png"]
    assert files.names("images/x") == ["images/x/1.png"]
    assert files.names("data/a-2") == ["data/a-2.parquet"]
    assert matching(files, "data/*.parquet") == ["data/a-1.parquet", "data/a-2.parquet"]
    assert matching(files, "*.png") == ["images/2.png", "images/x/1.png"]
    assert matching(files, "test.json") == ["test.json"]
    assert matching(files, "data/a-[2-9].parquet") == ["data/a-2.parquet"]
    for pattern in ("data/*", "test.json", "*/1.png"):
        assert any_matching(files, pattern)
    for pattern in ("data/*.json", "train.json", "test.jso", "dat/*"):
        assert not any_matching(files, pattern)
        assert matching(files, pattern) == []


def test_only_folders_that_can_hold_the_pattern_are_walked(
    files: LocalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: walked.append(Path(folder).name) or scan(folder))
    assert matching(files, "data/*.parquet")
    assert "images" not in walked


def test_what_leads_out_is_not_there(files: LocalFiles) -> None:
    (files.folder.parent / "outside.txt").write_text("secret")
    for path in (
        "../outside.txt",
        "images/../../outside.txt",
        str(files.folder.parent / "outside.txt"),
        "",
        "a\0b",
    ):
        assert not files.has(path)
        assert not inside(path)
        with pytest.raises(FileNotFoundError):
            files.open(path)
    assert inside("a..b/c")


def test_a_stamp_tells_another_file(files: LocalFiles) -> None:
    before = files.stamp("test.json")
    assert files.stamp("test.json") == before
    (files.folder / "test.json").write_text("another")
    assert files.stamp("test.json") != before


def test_pictures_name_what_is_wrong(files: LocalFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    missing, broken = picture_in(files, "images/none.png"), picture_in(files, "images/2.png")
    with pytest.raises(ImageUnreadable, match=r"images/none\.png: there is no such file"):
        missing.load()
    with pytest.raises(ImageUnreadable, match=r"images/2\.png: this is not an image"):
        broken.load()
    monkeypatch.setattr("arrkit.data.files.MAX_IMAGE_BYTES", 5)
    with pytest.raises(ImageUnreadable, match="more than the limit of 5 bytes"):
        picture_in(files, "images/2.png").load()
