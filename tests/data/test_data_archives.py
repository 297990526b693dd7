"""Members of archives are read where they stand, in parts or whole, and found again by another run."""

import gc
import gzip
import io
import random
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from arrkit.data import tar_index
from arrkit.data.archives import Unpacked
from arrkit.data.files import LocalFiles, picture_in
from arrkit.data.pairs import ImageUnreadable
from arrkit.data.streams import Joined
from arrkit.errors import InputError
from arrkit.progress import Progress


def png(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 3), (shade, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


IMAGES = {f"images/{number:02d}.png": png(number) for number in range(20)}


def tar_bytes(members: dict[str, bytes], prefix: str = "") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def zip_bytes(members: dict[str, bytes], prefix: str = "") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(prefix + name, data)
    return stream.getvalue()


def tgz_bytes(members: dict[str, bytes], prefix: str = "") -> bytes:
    pytest.importorskip("indexed_gzip")
    return gzip.compress(tar_bytes(members, prefix), 1)


MAKERS = {"images.tar": tar_bytes, "images.tar.gz": tgz_bytes, "images.zip": zip_bytes}


def write(folder: Path, name: str, data: bytes, parts: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if parts == 1:
        (folder / name).write_bytes(data)
    step = -(-len(data) // parts)
    for part in range(parts if parts > 1 else 0):
        (folder / f"{name}.{part:02d}").write_bytes(data[part * step : (part + 1) * step])


def shade(files: Unpacked, path: str) -> int:
    return picture_in(files, path).load().getpixel((0, 0))[0]


@pytest.mark.parametrize("parts", [1, 3, 11])
@pytest.mark.parametrize("prefix", ["", "./", "data/"])
@pytest.mark.parametrize("name", MAKERS)
def test_members_in_any_order(tmp_path: Path, name: str, prefix: str, parts: int) -> None:
    write(tmp_path, name, MAKERS[name](IMAGES, prefix), parts)
    files = Unpacked(LocalFiles(tmp_path), [f"{name}*"])
    for number in (7, 2, 19, 0, 7):
        assert shade(files, f"images/{number:02d}.png") == number
    assert files.has("images/03.png")
    assert not files.has("images/99.png")
    assert files.lacks("images/99.png")
    assert len([path for path in files.names() if path.endswith(".png")]) == 20
    with pytest.raises(ImageUnreadable, match="there is no such file"):
        picture_in(files, "images/99.png").load()


@pytest.mark.parametrize("name", ["images.tar", "images.tar.gz"])
def test_another_run_does_not_read_the_archive_again(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, name, MAKERS[name](IMAGES))
    seen = []
    Unpacked(LocalFiles(tmp_path), [name]).index(seen.append)
    assert isinstance(seen[0], Progress)
    monkeypatch.setattr(tar_index, "_Headers", lambda stream: pytest.fail("the archive is read again"))
    files = Unpacked(LocalFiles(tmp_path), [name])
    assert shade(files, "images/11.png") == 11
    assert files.lacks("images/99.png")


@pytest.mark.parametrize("name", ["images.tar", "images.tar.gz"])
def test_an_archive_is_read_as_far_as_the_member(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, name, MAKERS[name](IMAGES))
    files = Unpacked(LocalFiles(tmp_path), [name])
    assert shade(files, "images/04.png") == 4
    (archive,) = files.archives
    assert list(archive._index.names()) == list(IMAGES)[:5]
    assert not files.lacks("images/99.png")
    headers = []
    read = tarfile.TarFile.next
    monkeypatch.setattr(tarfile.TarFile, "next", lambda tar: headers.append(read(tar)) or headers[-1])
    again = Unpacked(LocalFiles(tmp_path), [name])
    assert shade(again, "images/05.png") == 5
    assert {header.name for header in headers} == {"images/05.png"}
    assert list(again.archives[0]._index.names()) == list(IMAGES)[:6]


def test_another_archive_under_the_name_is_read_anew(tmp_path: Path) -> None:
    for shift in (0, 1):
        members = {name: png((number + shift) % 20) for number, name in enumerate(IMAGES)}
        members["more.png"] = bytes(shift)
        write(tmp_path, "images.tar", tar_bytes(members))
        assert shade(Unpacked(LocalFiles(tmp_path), ["images.tar"]), "images/05.png") == 5 + shift


def test_the_cache_may_be_damaged_or_not_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "images.tar", tar_bytes(IMAGES))
    Unpacked(LocalFiles(tmp_path), ["images.tar"]).index()
    for file in tar_index._folder().glob("*.sqlite"):
        file.write_bytes(b"not a database" * 100)
    assert shade(Unpacked(LocalFiles(tmp_path), ["images.tar"]), "images/05.png") == 5
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert shade(Unpacked(LocalFiles(tmp_path), ["images.tar"]), "images/05.png") == 5


def test_unpacked_files_come_first(tmp_path: Path) -> None:
    write(tmp_path, "images.zip", zip_bytes(IMAGES))
    write(tmp_path / "images", "03.png", png(77))
    files = Unpacked(LocalFiles(tmp_path), ["images.zip"])
    assert shade(files, "images/03.png") == 77
    assert shade(files, "images/04.png") == 4


@pytest.mark.parametrize("name", MAKERS)
def test_a_damaged_archive_spoils_its_pictures_and_not_the_command(tmp_path: Path, name: str) -> None:
    noise = random.Random(0).randbytes(200_000)
    whole = MAKERS[name]({"a.png": png(1), "noise": noise, **IMAGES})
    for data in (whole[: len(whole) // 2], b"", b"not an archive", whole[:600]):
        write(tmp_path, name, data)
        files = Unpacked(LocalFiles(tmp_path), [name])
        with pytest.raises(ImageUnreadable):
            picture_in(files, "images/19.png").load()


def test_a_tar_that_ends_early_says_so(tmp_path: Path) -> None:
    whole = tar_bytes(IMAGES)
    write(tmp_path, "images.tar", whole[: 512 * 20])
    files = Unpacked(LocalFiles(tmp_path), ["images.tar"])
    with pytest.raises(OSError, match=r"no images/19\.png, but .*images\.tar ends in the middle"):
        files.open("images/19.png")
    assert shade(files, "images/02.png") == 2


def test_a_header_cannot_fill_the_memory(tmp_path: Path) -> None:
    for length in (2**10, 2**22):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
            info = tarfile.TarInfo("a.png")
            info.size, info.pax_headers = len(png(3)), {"comment": "x" * length}
            tar.addfile(info, io.BytesIO(png(3)))
        write(tmp_path, "images.tar", stream.getvalue())
        files = Unpacked(LocalFiles(tmp_path), ["images.tar"])
        if length < 2**20:
            assert shade(files, "a.png") == 3
        else:
            with pytest.raises(OSError, match=r"is damaged: a header of \d+ bytes"):
                files.open("a.png")


def test_links_and_names_that_lead_out_are_no_members(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        for name in ("../../a.png", "/b.png"):
            info = tarfile.TarInfo(name)
            info.size = len(png(9))
            tar.addfile(info, io.BytesIO(png(9)))
    write(tmp_path, "images.tar", stream.getvalue())
    files = Unpacked(LocalFiles(tmp_path), ["images.tar"])
    assert not files.has("link.png")
    assert shade(files, "b.png") == 9
    for path in ("../../a.png", "/b.png", ""):
        with pytest.raises(OSError):
            files.open(path)


@pytest.mark.parametrize("name", MAKERS)
def test_an_open_member_outlives_its_archive(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tar_index, "_AT_ONCE", 1000)
    data = random.Random(0).randbytes(100_000)
    write(tmp_path, name, MAKERS[name]({"a": data}))
    with Unpacked(LocalFiles(tmp_path), [name]).open("a") as opened:
        gc.collect()
        assert opened.read(10) + opened.read() == data
        opened.seek(50_000)
        assert opened.read(20) == data[50_000:50_020]


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    for lost, named in ((1, "part 01"), (0, "part 00")):
        folder = tmp_path / named
        write(folder, "images.tar", tar_bytes(IMAGES), 4)
        (folder / f"images.tar.{lost:02d}").unlink()
        if lost == 0:
            (folder / "images.tar.01").unlink()
        with pytest.raises(InputError, match=rf"{named} of .*images.tar is missing"):
            Unpacked(LocalFiles(folder), ["images.tar.*"])


@pytest.mark.parametrize(
    "name", ["images.tar.part{:02d}", "images.tar.gz.{}", "images.tar.gz-part{}", "images.tar.gz.a{}"]
)
def test_names_of_parts(tmp_path: Path, name: str) -> None:
    data = tgz_bytes(IMAGES)
    for part in range(3):
        place = "abc"[part] if name.endswith("a{}") else part
        (tmp_path / name.format(place)).write_bytes(data[part * 700 : (part + 1) * 700 if part < 2 else None])
    files = Unpacked(LocalFiles(tmp_path), ["images.tar*"])
    assert len(files.archives) == 1
    assert shade(files, "images/12.png") == 12


def test_ten_parts_and_more_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    data = tar_bytes(IMAGES)
    for part in range(12):
        (tmp_path / f"images.tar.{part}").write_bytes(
            data[part * 3000 : (part + 1) * 3000 if part < 11 else None]
        )
    assert shade(Unpacked(LocalFiles(tmp_path), ["images.tar.*"]), "images/19.png") == 19


def test_parts_read_as_one_file(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(1000)
    write(tmp_path, "x", data, 7)
    joined = Joined(LocalFiles(tmp_path), [f"x.{part:02d}" for part in range(7)]).buffered()
    draw = random.Random(2)
    for _ in range(50):
        start, length = draw.randrange(1100), draw.randrange(400)
        joined.seek(start)
        assert joined.read(length) == data[start : start + length]
    joined.close()


def test_an_image_in_an_archive_has_a_limit(tmp_path: Path) -> None:
    write(tmp_path, "images.zip", zip_bytes({"a.png": bytes(65 * 2**20)}))
    with pytest.raises(ImageUnreadable, match="more than the limit"):
        picture_in(Unpacked(LocalFiles(tmp_path), ["*.zip"]), "a.png").load()
