"""Rows of parquet: those of pyarrow, whatever the columns; images read when looked at, and no more."""

import io
import re
import threading
from pathlib import Path

import pytest

pyarrow = pytest.importorskip("pyarrow")

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from arrkit.data import table_images
from arrkit.data.files import LocalFiles
from arrkit.data.pairs import ImageUnreadable, Picture
from arrkit.data.tables import Table
from arrkit.errors import InputError


def png(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 3), (shade, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def shade(picture: object) -> int:
    assert isinstance(picture, Picture)
    found = picture.load().getpixel((0, 0))[0]
    picture.release()
    return found


def write(path: Path, columns: dict, groups: int = 3, **options: object) -> LocalFiles:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pyarrow.table(columns), path, row_group_size=groups, **options)
    return LocalFiles(path.parent)


SCALARS = {
    "text": st.text(max_size=4),
    "same": st.sampled_from(["flux", "infinity"]),
    "int": st.integers(-(2**40), 2**40),
    "float": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "ints": st.lists(st.integers(0, 9), max_size=3),
    "two": st.lists(st.integers(0, 9), min_size=2, max_size=2),
    "texts": st.lists(st.text(max_size=2) | st.none(), max_size=3),
    "object": st.fixed_dictionaries({"a": st.integers(0, 3), "b": st.text(max_size=2)}),
}
TYPES = {
    "text": pyarrow.string(),
    "same": pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
    "int": pyarrow.int64(),
    "float": pyarrow.float64(),
    "bool": pyarrow.bool_(),
    "ints": pyarrow.list_(pyarrow.int64()),
    "two": pyarrow.list_(pyarrow.int32()),
    "texts": pyarrow.list_(pyarrow.string()),
    "object": pyarrow.struct([("a", pyarrow.int64()), ("b", pyarrow.string())]),
}


@settings(max_examples=40)
@given(st.data(), st.booleans(), st.integers(1, 5), st.integers(1, 9))
def test_rows_are_those_of_pyarrow(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, nulls: bool, groups: int, at_once: int
) -> None:
    rows = data.draw(
        st.lists(
            st.fixed_dictionaries({k: v | st.none() if nulls else v for k, v in SCALARS.items()}), max_size=8
        )
    )
    columns = {name: pyarrow.array([row[name] for row in rows], TYPES[name]) for name in SCALARS}
    files = write(tmp_path_factory.mktemp("t") / "a.parquet", columns, groups)
    names = data.draw(st.permutations(list(SCALARS)))[: data.draw(st.integers(1, len(SCALARS)))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("arrkit.data.tables._ROWS", at_once)
        found = list(Table(files, ["a.parquet"]).rows(*names))
    assert found == [tuple(row[name] for name in names) for row in rows]


def test_text_of_few_values_is_the_same_text(tmp_path: Path) -> None:
    models = [["flux", "infinity", None][number % 3] for number in range(3000)]
    files = write(tmp_path / "a.parquet", {"model": models, "n": list(range(3000))}, 1000)
    assert list(Table(files, ["a.parquet"]).rows("model", "n")) == list(zip(models, range(3000), strict=True))


def image_columns(count: int) -> dict:
    """Every way in which a set keeps images; row 2 has none."""
    encoded = [None if row == 2 else png(row) for row in range(count)]
    structs = [data and {"bytes": data, "path": f"{row}.png"} for row, data in enumerate(encoded)]
    lists = [None if row == 2 else [structs[row]] * (row % 3) for row in range(count)]
    hf = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    return {
        "n": list(range(count)),
        "struct": pyarrow.array(structs, hf),
        "pathless": pyarrow.array(
            [data and {"bytes": data} for data in encoded], pyarrow.struct([("bytes", pyarrow.binary())])
        ),
        "bytes": pyarrow.array(encoded, pyarrow.binary()),
        "large": pyarrow.array(encoded, pyarrow.large_binary()),
        "structs": pyarrow.array(lists, pyarrow.list_(hf)),
        "many": pyarrow.array(
            [None if row == 2 else [encoded[row]] * (row % 3) for row in range(count)],
            pyarrow.list_(pyarrow.binary()),
        ),
    }


@pytest.mark.parametrize("column", ["struct", "pathless", "bytes", "large"])
def test_columns_of_images(tmp_path: Path, column: str) -> None:
    files = write(tmp_path / "a.parquet", image_columns(20), 7)
    rows = list(Table(files, ["a.parquet"]).rows("n", column))
    assert [row[0] for row in rows] == list(range(20))
    assert rows[2][1] is None
    for row in (19, 0, 1, 8, 7, 6, 19):
        assert shade(rows[row][1]) == row
    assert rows[19][1].name.endswith(f"a.parquet:20 {column}")


@pytest.mark.parametrize("column", ["structs", "many"])
def test_columns_of_lists_of_images(tmp_path: Path, column: str) -> None:
    files = write(tmp_path / "a.parquet", image_columns(20), 7)
    rows = [images for (images,) in Table(files, ["a.parquet"]).rows(column)]
    assert [None if images is None else len(images) for images in rows] == [
        None if row == 2 else row % 3 for row in range(20)
    ]
    for row in (17, 5, 8):
        assert [shade(picture) for picture in rows[row]] == [row, row]


def test_rows_without_a_null_in_their_group_are_not_read_to_be_counted(tmp_path: Path) -> None:
    files = write(tmp_path / "a.parquet", {"image": [png(n) for n in range(9)]}, 3)
    with table_images.open_parquet(files, "a.parquet") as file:
        column = table_images.image_column(file, "image")
        assert column is not None
        patch = type("Blind", (), {"metadata": file.metadata})()  # cannot read a batch
        assert column.counts(patch, 1) == [1, 1, 1]


def test_scalars_are_read_without_the_images(tmp_path: Path) -> None:
    noise = [bytes([row]) * 300_000 for row in range(40)]
    rows = {"n": list(range(40)), "image": [{"bytes": data, "path": "x"} for data in noise]}
    files = write(tmp_path / "a.parquet", rows, 20, compression="none", use_dictionary=False)
    read = Counting(files)
    found = list(Table(read, ["a.parquet"]).rows("n", "image"))
    assert len(found) == 40
    assert read.bytes < 3_000_000
    with pytest.raises(ImageUnreadable, match="not an image"):
        found[0][1].load()
    assert read.bytes < 10_000_000


class Counting(LocalFiles):
    """A folder that counts the bytes that are read."""

    def __init__(self, files: LocalFiles) -> None:
        super().__init__(files.folder)
        self.bytes = 0

    def open(self, path: str) -> io.BufferedReader:
        counter = self

        class Counted(io.FileIO):
            def readinto(self, buffer: memoryview) -> int:
                got = super().readinto(buffer)
                counter.bytes += got
                return got

            def read(self, size: int = -1) -> bytes:
                data = super().read(size)
                counter.bytes += len(data)
                return data

        return io.BufferedReader(Counted(self.folder / path))


def test_looks_in_order_read_a_group_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_images, "_KEPT_BYTES", 2000)
    files = write(tmp_path / "a.parquet", image_columns(200), 100)
    begun = []
    batches = pq.ParquetFile.iter_batches
    monkeypatch.setattr(
        pq.ParquetFile,
        "iter_batches",
        lambda self, *a, **k: begun.append((k["columns"], k["row_groups"])) or batches(self, *a, **k),
    )
    pictures = [image for (image,) in Table(files, ["a.parquet"]).rows("struct")]
    begun.clear()
    for row in (0, 1, 3, 5, 4, 6, 9, 7, 8, 50, 99, 100, 150):
        assert shade(pictures[row]) == row
    assert begun == [(["struct"], [0]), (["struct"], [1])]
    assert shade(pictures[0]) == 0
    assert len(begun) == 3


def test_many_threads_see_their_own_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_images, "_KEPT_BYTES", 1000)
    files = write(tmp_path / "a.parquet", image_columns(60), 25)
    rows = list(Table(files, ["a.parquet"]).rows("n", "struct", "bytes"))
    wrong = []

    def look(start: int) -> None:
        for n, a, b in (rows[(start + 7 * step) % 60] for step in range(60)):
            if n != 2 and (shade(a), shade(b)) != (n, n):
                wrong.append(n)

    threads = [threading.Thread(target=look, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_images_may_be_files_that_a_path_names(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_bytes(png(7))
    cells = [{"bytes": None, "path": path} for path in ("images/1.png", "images/2.png", "/etc/passwd", None)]
    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    files = write(tmp_path / "a.parquet", {"image": pyarrow.array(cells, kind)})
    found = [image for (image,) in Table(files, ["a.parquet"]).rows("image")]
    assert shade(found[0]) == 7
    for picture, what in zip(found[1:], ("no such file", "no such file", "neither"), strict=True):
        with pytest.raises(ImageUnreadable, match=what):
            picture.load()


def test_several_files_are_one_table(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", {"n": [1, 2, 3], "image": [png(1), png(2), png(3)]}, 2)
    write(tmp_path / "b.parquet", {"n": [], "image": pyarrow.array([], pyarrow.binary())})
    files = write(tmp_path / "c.parquet", {"image": [png(4), png(5)], "n": [4, 5], "more": [0, 0]})
    table = Table(files, ["a.parquet", "b.parquet", "c.parquet"])
    assert table.size() == 5
    assert table.columns == ("n", "image")
    places = []
    for number, (n, image) in enumerate(table.rows("n", "image"), start=1):
        assert shade(image) == n == number
        places.append(table.where(number))
    assert places == ["a.parquet:1", "a.parquet:2", "a.parquet:3", "c.parquet:1", "c.parquet:2"]


def test_what_is_no_table_or_has_no_such_column(tmp_path: Path) -> None:
    files = write(tmp_path / "a.parquet", {"prompt": ["x"], "label": [1]})
    with pytest.raises(InputError, match=r'no column promt \(did you mean "prompt"\?\)') as caught:
        list(Table(files, ["a.parquet"]).rows("promt"))
    assert "prompt, label" in str(caught.value)
    whole = (tmp_path / "a.parquet").read_bytes()
    for name, data in (
        ("b", b"text"),
        ("c", whole[: len(whole) // 2]),
        ("d", whole[:8] + bytes(60) + whole[68:]),
    ):
        (tmp_path / f"{name}.parquet").write_bytes(data)
        with pytest.raises(InputError, match=re.escape(f"{name}.parquet")):
            list(Table(files, [f"{name}.parquet"]).rows("prompt"))
    with pytest.raises(InputError, match=r"has no file none\.parquet"):
        Table(files, ["none.parquet"]).size()


def test_a_file_that_is_spoilt_later_spoils_the_picture(tmp_path: Path) -> None:
    files = write(tmp_path / "a.parquet", image_columns(6), 6)
    pictures = [image for (image,) in Table(files, ["a.parquet"]).rows("bytes")]
    (tmp_path / "a.parquet").write_bytes(b"something else")
    with pytest.raises(ImageUnreadable, match=r"a\.parquet"):
        pictures[0].load()
