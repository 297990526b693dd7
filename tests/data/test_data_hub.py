"""The hub's cache, its byte ranges and downloads, by the real client against a stand-in on loopback."""

import io
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub")

from hub import Hub

from arrkit.backends.datasets.source import find_files, lacking
from arrkit.backends.plugin import DatasetPlugin
from arrkit.backends.spec import Spec
from arrkit.data.archives import Unpacked
from arrkit.data.files import LocalFiles
from arrkit.data.hub import HubError, HubFiles, Trouble, pull
from arrkit.data.pairs import ImageUnreadable
from arrkit.data.tables import Table
from arrkit.errors import InputError
from arrkit.progress import Progress

BIG = bytes(range(256)) * 16_000
REPO = "org/set"
RECORD = DatasetPlugin(
    summary="a set", factory="m:f", hub=REPO, size="141 GB", license="MIT", patterns=("*.json",)
)
SPEC = Spec("pets", "test")


FILES = {"test.json": b'[{"a": 1}]', "images/a.bin": b"a" * 5000, "README.md": b"hello"}


# One for all tests, so that the client's session stays: to set up its encryption takes a tenth of a second.
@pytest.fixture(scope="module")
def server() -> Iterator[Hub]:
    with Hub({}, gated=("org/shut",)) as server:
        yield server


@pytest.fixture
def hub(server: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hub:
    server.repos = {REPO: dict(FILES), "org/shut": dict(FILES)}
    server.requests.clear()
    server.down, server.cut = False, None
    server.used_by(monkeypatch, tmp_path / "cache")
    return server


def test_what_is_cached_needs_no_network(hub: Hub) -> None:
    pulled = pull(REPO)
    assert pulled.revision == hub.commit(REPO)
    hub.requests.clear()
    hub.down = True
    for revision in ("", "main", hub.commit(REPO)):
        for stream in (False, True):
            files = HubFiles(REPO, revision, stream=stream)
            assert files.revision == hub.commit(REPO)
            assert files.has("images/a.bin")
            with files.open("test.json") as opened:
                assert opened.read() == b'[{"a": 1}]'
    assert HubFiles(REPO).names() == ["README.md", "images/a.bin", "test.json"]
    assert HubFiles(REPO).stamp("a") != HubFiles(REPO).stamp("b")
    assert hub.requests == []


def test_the_cached_commit_stays_when_the_hub_goes_on(hub: Hub) -> None:
    first = pull(REPO).revision
    hub.repos[REPO]["test.json"] = b"[]"
    assert HubFiles(REPO).revision == first
    assert HubFiles(REPO, stream=True).revision == first
    assert pull(REPO).revision == hub.commit(REPO) != first
    assert HubFiles(REPO, first).revision == first


def test_only_patterns_are_pulled_and_bytes_are_told(hub: Hub) -> None:
    seen: list[Progress] = []
    files = pull(REPO, patterns=["images/*"], watch=seen.append)
    assert files.names() == ["images/a.bin"]
    assert not files.has("test.json")
    with pytest.raises(FileNotFoundError):
        files.open("test.json")
    assert seen[-1].done == seen[-1].total == 5000


def test_a_broken_download_goes_on_where_it_ended(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1_000_000)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    hub.repos[REPO]["images/a.bin"] = BIG
    hub.cut = 3_500_000
    with pull(REPO, patterns=["images/*"]).open("images/a.bin") as opened:
        assert opened.read() == BIG
    ranges = [span for method, path, span in hub.requests if method == "GET" and path.endswith("a.bin")]
    assert ranges == ["", "bytes=3000000-"]
    assert caplog.text == ""


def test_streaming_reads_ranges_of_the_asked_commit(hub: Hub) -> None:
    hub.repos[REPO]["images/a.bin"] = BIG
    files = HubFiles(REPO, stream=True)
    assert files.revision == hub.commit(REPO)
    assert files.names("images") == ["images/a.bin"]
    assert files.has("test.json")
    assert not files.has("none.json")
    with files.open("images/a.bin") as opened:
        assert opened.seek(-10, os.SEEK_END) == len(BIG) - 10
        assert opened.read() == BIG[-10:]
        opened.seek(2_000_000)
        assert opened.read(20) == BIG[2_000_000:2_000_020]
        assert io.BufferedReader(opened, 64).read(100) == BIG[2_000_020:2_000_120]
    assert hub.read("images/a.bin") < len(BIG) / 2
    assert all(f"/{files.revision}/" in path for method, path, _ in hub.requests if "resolve" in path)
    with pytest.raises(FileNotFoundError):
        files.open("none.json")
    with pytest.raises(FileNotFoundError):
        files.open("../set/test.json")


def test_without_streaming_nothing_is_asked(hub: Hub) -> None:
    with pytest.raises(HubError) as caught:
        HubFiles(REPO)
    assert caught.value.trouble is Trouble.NOT_CACHED
    assert hub.requests == []


@pytest.mark.parametrize(
    ("repo", "revision", "trouble"),
    [
        ("org/none", "", Trouble.NOT_FOUND),
        ("org/shut", "", Trouble.GATED),
        (REPO, "v9", Trouble.NO_REVISION),
        ("not an id", "", Trouble.NOT_FOUND),
    ],
)
def test_what_the_hub_refuses(hub: Hub, repo: str, revision: str, trouble: Trouble) -> None:
    with pytest.raises(HubError) as caught:
        pull(repo, revision)
    assert caught.value.trouble is trouble
    assert repo in str(caught.value)
    assert "http" not in str(caught.value)


def test_a_token_opens_and_never_shows(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrongsecret")
    with pytest.raises(HubError) as caught:
        pull("org/shut")
    text = f"{caught.value!r} {caught.value} {caught.value.__cause__} {caught.value.__dict__}"
    assert "wrongsecret" not in text
    assert caught.value.__suppress_context__
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert pull("org/shut").has("test.json")


def test_a_hub_that_is_down_or_forbidden(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    hub.down = True
    with pytest.raises(HubError) as caught:
        pull(REPO)
    assert caught.value.trouble is Trouble.UNREACHABLE
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for ask in (lambda: pull(REPO), lambda: HubFiles(REPO, stream=True)):
        with pytest.raises(HubError) as caught:
            ask()
        assert caught.value.trouble is Trouble.OFFLINE


def test_a_set_is_found_in_the_cache_or_streamed(hub: Hub) -> None:
    needs = ("test.json", ("images.tar.gz.*", "images/*"))
    streamed = find_files(RECORD, SPEC, needs, stream=True)
    assert streamed.revision == hub.commit(REPO)
    pull(REPO)
    hub.requests.clear()
    assert find_files(RECORD, SPEC, needs).revision == hub.commit(REPO)
    assert hub.requests == []
    assert lacking(streamed, ("a.json", ("b.*", "c"))) == ["a.json", "b.* or c"]


def said(error: InputError) -> str:
    return re.sub(r"\s+", " ", str(error))


def test_a_set_that_is_nowhere(hub: Hub) -> None:
    with pytest.raises(InputError) as caught:
        find_files(RECORD, SPEC, ("test.json",))
    text = said(caught.value)
    for part in ("dataset pets", REPO, "141 GB", "MIT", "arrkit data pull pets:test", "--data DIR"):
        assert part in text
    assert hub.requests == []


def test_a_set_that_is_there_in_part(hub: Hub) -> None:
    pull(REPO, patterns=["test.json"])
    with pytest.raises(InputError, match=r"lacks images/\*") as caught:
        find_files(RECORD, SPEC, ("test.json", "images/*"))
    assert "arrkit data pull" in said(caught.value)


def test_a_gated_set(hub: Hub) -> None:
    record = DatasetPlugin(summary="", factory="m:f", hub="org/shut", gated=True)
    for stream in (False, True):
        with pytest.raises(InputError) as caught:
            find_files(record, SPEC, ("test.json",), stream=stream)
        for part in ("org/shut", "terms", "HF_TOKEN", "arrkit data pull", "--data DIR"):
            assert part in said(caught.value)


def test_a_removed_set_and_its_mirrors(hub: Hub) -> None:
    gone = DatasetPlugin(summary="", factory="m:f", hub="org/gone", removed=True)
    with pytest.raises(InputError) as caught:
        find_files(gone, SPEC)
    assert "org/gone was removed from the hub" in said(caught.value)
    assert "--data DIR" in said(caught.value)
    assert "pull" not in said(caught.value)
    mirrored = DatasetPlugin(summary="", factory="m:f", hub="org/gone", removed=True, mirrors=(REPO,))
    with pytest.raises(InputError) as caught:
        find_files(mirrored, SPEC)
    assert "org/gone was removed" in said(caught.value)
    assert REPO in said(caught.value)
    assert find_files(mirrored, SPEC, ("test.json",), stream=True).name == REPO
    assert not any("org/gone" in path for _, path, _ in hub.requests)
    pull(REPO)
    assert find_files(mirrored, SPEC, ("test.json",)).name == REPO


def test_a_folder_comes_before_all(hub: Hub, tmp_path: Path) -> None:
    pull(REPO)
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match=r"no test\.json, no images.*or images") as caught:
        find_files(RECORD, SPEC, ("test.json", ("images.tar.gz.*", "images/*")), data=str(tmp_path / "mine"))
    assert str(tmp_path / "mine") in said(caught.value)
    with pytest.raises(InputError, match="does not exist"):
        find_files(RECORD, SPEC, data=str(tmp_path / "none"))
    (tmp_path / "mine" / "test.json").write_text("[]")
    files = find_files(RECORD, SPEC, ("test.json",), data=str(tmp_path / "mine"))
    assert isinstance(files, LocalFiles)
    assert files.revision == ""


def test_tables_and_archives_are_read_in_ranges(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    monkeypatch.setattr("arrkit.data.hub._BLOCK", 50_000)
    from pyarrow.parquet import write_table

    rows, packed = io.BytesIO(), io.BytesIO()
    noise = [os.urandom(400_000) for _ in range(12)]
    write_table(pyarrow.table({"n": list(range(12)), "image": noise}), rows, row_group_size=4)
    with zipfile.ZipFile(packed, "w") as archive:
        for number, data in enumerate(noise):
            archive.writestr(f"{number}.bin", data)
    hub.repos[REPO] |= {"a.parquet": rows.getvalue(), "a.zip": packed.getvalue()}
    files = HubFiles(REPO, stream=True)
    found = list(Table(files, ["a.parquet"]).rows("n", "image"))
    assert [n for n, _ in found] == list(range(12))
    with pytest.raises(ImageUnreadable, match="not an image"):
        found[1][1].load()
    with Unpacked(files, ["*.zip"]).open("7.bin") as opened:
        assert opened.read() == noise[7]
    for path in ("a.parquet", "a.zip"):
        assert 0 < hub.read(path) < len(hub.repos[REPO][path]) * 0.8
