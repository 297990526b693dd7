"""One decoding for every kind of image file, and one line for every kind of trouble."""

import base64
import hashlib
import io
import random
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from arrkit.data import images
from arrkit.data.images import (
    decode,
    picture_from_bytes,
    picture_from_data_url,
    picture_from_path,
    picture_from_url,
    to_rgb,
)
from arrkit.data.pairs import ImageUnreadable, Picture
from arrkit.data.remote import public_name

ORIENTATION = 0x0112


def scene(width: int = 12, height: int = 8) -> Image.Image:
    values = np.arange(width * height * 3, dtype=np.uint32) * 7 % 256
    return Image.fromarray(values.astype(np.uint8).reshape(height, width, 3))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixels(data: bytes) -> Image.Image:
    return decode(io.BytesIO(data), "it")


def colours(image: Image.Image) -> list[tuple[int, ...]]:
    return [tuple(colour) for colour in np.asarray(image).reshape(-1, 3).tolist()]


def header_only_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("PPM", {}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_lossless_formats_give_the_same_pixels(kind: str, options: dict[str, object]) -> None:
    image = pixels(encoded(scene(), kind, **options))
    assert image.mode == "RGB"
    assert image.tobytes() == scene().tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_an_orientation_tag_is_applied(kind: str, orientation: int) -> None:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = scene() if orientation == 1 else scene().transpose(turns[orientation])
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options: dict[str, object] = {"exif": exif} | ({"lossless": True} if kind == "WEBP" else {})
    image = pixels(encoded(stored, kind, **options))
    assert image.size == scene().size
    assert image.tobytes() == scene().tobytes()


def test_a_rotated_jpeg_equals_its_upright_pixels() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    plain = encoded(scene(16, 8), "JPEG", quality=95)
    rotated = encoded(scene(16, 8), "JPEG", quality=95, exif=exif)
    assert pixels(rotated).tobytes() == pixels(plain).transpose(Image.Transpose.ROTATE_270).tobytes()


def test_damaged_metadata_leaves_the_pixels_alone() -> None:
    data = encoded(scene(), "PNG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert pixels(data).tobytes() == scene().tobytes()


def test_transparency_is_flattened_on_white() -> None:
    image = Image.new("RGBA", (3, 1))
    image.putdata([(255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 128)])
    assert colours(pixels(encoded(image, "PNG"))) == [(255, 0, 0), (255, 255, 255), (127, 127, 127)]


def test_opaque_alpha_changes_nothing() -> None:
    with_alpha = scene().convert("RGBA")
    assert pixels(encoded(with_alpha, "PNG")).tobytes() == scene().tobytes()


def test_a_digest_is_of_the_file_or_of_the_pixels_where_there_is_none(tmp_path: Path) -> None:
    data = encoded(scene(), "PNG")
    (tmp_path / "one.png").write_bytes(data)
    of_file = {picture_from_bytes(data, "x").digest, picture_from_path(tmp_path / "one.png").digest}
    assert of_file == {hashlib.sha256(data).hexdigest()}
    drawn = {Picture(name, scene).digest for name in ("x", "y")}
    assert len(drawn) == 1
    assert drawn != of_file


def test_a_transparent_palette_colour_becomes_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.putdata([0, 1])
    assert colours(pixels(encoded(image, "PNG", transparency=0))) == [(255, 255, 255), (200, 0, 0)]


def test_grey_with_alpha_and_black_and_white() -> None:
    grey = Image.new("LA", (2, 1))
    grey.putdata([(40, 255), (40, 0)])
    assert colours(pixels(encoded(grey, "PNG"))) == [(40, 40, 40), (255, 255, 255)]
    bits = Image.new("1", (2, 1))
    bits.putdata([0, 1])
    assert colours(pixels(encoded(bits, "PNG"))) == [(0, 0, 0), (255, 255, 255)]


def test_sixteen_bit_grey_keeps_its_high_byte() -> None:
    image = Image.fromarray(np.array([[0x0000, 0x12FF, 0xFF00, 0xFFFF]], dtype=np.uint16))
    assert [r for r, _, _ in colours(pixels(encoded(image, "PNG")))] == [0, 0x12, 0xFF, 0xFF]
    assert [r for r, _, _ in colours(pixels(encoded(image, "TIFF")))] == [0, 0x12, 0xFF, 0xFF]


def test_sixteen_bit_grey_with_a_transparent_value() -> None:
    image = Image.fromarray(np.array([[0x1000, 0x2000]], dtype=np.uint16))
    assert [r for r, _, _ in colours(pixels(encoded(image, "PNG", transparency=0x1000)))] == [255, 0x20]


def test_cmyk_becomes_rgb() -> None:
    image = pixels(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100))
    red, green, blue = image.getpixel((4, 4))
    assert image.mode == "RGB"
    assert red > 250
    assert max(green, blue) < 5


def test_only_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert set(colours(pixels(data))) == {(255, 0, 0)}
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert set(colours(pixels(data))) == {(255, 0, 0)}


def test_nothing_but_pixels_is_kept() -> None:
    assert pixels(encoded(scene(), "PNG", dpi=(300, 300))).info == {}


def test_pixels_without_a_range_are_refused() -> None:
    with pytest.raises(ValueError, match="the kind F"):
        to_rgb(Image.new("F", (2, 2)))
    with pytest.raises(ImageUnreadable, match="it: pixels of the kind F"):
        pixels(encoded(Image.new("F", (2, 2)), "TIFF"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM"])
def test_a_truncated_file_is_unreadable(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "cut.bin"
    data = encoded(scene(64, 64), kind)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageUnreadable) as caught:
        picture_from_path(path).load()
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_truncated_png_says_so() -> None:
    data = encoded(scene(64, 64), "PNG")
    with pytest.raises(ImageUnreadable, match="it: the image is truncated"):
        pixels(data[: len(data) // 2])


# Pillow warns above 89 megapixels and raises above 179: both are met.
@pytest.mark.parametrize(
    ("width", "height"), [(8001, 8000), (10_000, 10_000), (20_000, 10_000), (2**31 - 1, 1)]
)
def test_a_bomb_is_refused_from_its_header(width: int, height: int) -> None:
    began = time.perf_counter()
    with pytest.raises(ImageUnreadable, match=f"{width} x {height} pixels are more than the limit of 64 meg"):
        pixels(header_only_png(width, height))
    assert time.perf_counter() - began < 1


def test_bombs_of_other_formats() -> None:
    gif = encoded(Image.new("P", (1, 1)), "GIF")
    gif = gif[:6] + struct.pack("<HH", 20_000, 10_000) + gif[10:]
    bmp = encoded(scene(), "BMP")
    bmp = bmp[:18] + struct.pack("<ii", 20_000, 10_000) + bmp[26:]
    for data in (gif, bmp, b"P6 20000 10000 255\n"):
        with pytest.raises(ImageUnreadable, match="20000 x 10000 pixels"):
            pixels(data)


def test_the_limit_itself_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 12 * 8)
    assert pixels(encoded(scene(), "PNG")).size == (12, 8)
    with pytest.raises(ImageUnreadable, match="13 x 8"):
        pixels(encoded(scene(13, 8), "PNG"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello, this is no image at all", "this is not an image of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "this is not an image of a known format"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "damaged PNG header"),
    ],
)
def test_what_is_no_image(data: bytes, reason: str) -> None:
    with pytest.raises(ImageUnreadable, match=f"^it: {reason}"):
        pixels(data)


def test_paths_that_lead_to_no_file(tmp_path: Path) -> None:
    with pytest.raises(ImageUnreadable, match=r"gone\.png: there is no such file"):
        picture_from_path(tmp_path / "gone.png").load()
    with pytest.raises(ImageUnreadable, match="this is not a file"):
        picture_from_path(tmp_path).load()
    with pytest.raises(ImageUnreadable, match="no such file"):
        picture_from_path("a\0b.png").load()


def test_a_picture_is_opened_late_and_can_be_let_go(tmp_path: Path) -> None:
    path = tmp_path / "later.png"
    picture = picture_from_path(path, name="image 1")
    scene().save(path)
    assert picture.name == "image 1"
    assert picture.load().size == (12, 8)
    path.unlink()
    assert picture.load().size == (12, 8)
    picture.release()
    with pytest.raises(ImageUnreadable, match=r"^image 1: there is no such file"):
        picture.load()


def test_the_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    scene().save(tmp_path / "mine.png")
    assert picture_from_path("~/mine.png").load().size == (12, 8)


def test_data_urls() -> None:
    data = encoded(scene(), "PNG")
    code = base64.b64encode(data).decode()
    folded = "\n".join(code[i : i + 40] for i in range(0, len(code), 40))
    quoted = "".join(f"%{byte:02X}" for byte in data)
    for url in (
        f"data:image/png;base64,{code}",
        f"DATA:;BASE64,{folded}",
        f"data:image/png;base64,{code.replace('+', '%2B').replace('=', '%3D')}",
        f"data:image/png,{quoted}",
    ):
        assert picture_from_data_url(url, "x").load().tobytes() == scene().tobytes()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("data:image/png;base64", "not a data URL"),
        ("data:image/png;base64,@@@@", "not base64"),
        ("data:image/png;base64,aGVsbG8=", "not an image of a known format"),
        ("data:,", "the file is empty"),
    ],
)
def test_broken_data_urls(url: str, reason: str) -> None:
    picture = picture_from_data_url(url, "pairs.jsonl:3, image 1")
    with pytest.raises(ImageUnreadable, match=f"^pairs.jsonl:3, image 1: .*{reason}"):
        picture.load()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        data = encoded(scene(), "PNG")
        path = self.path.partition("?")[0]
        if path == "/ok.png":
            self.answer(200, data)
        elif path == "/moved":
            self.answer(302, b"", Location="/ok.png")
        elif path == "/elsewhere":
            self.answer(302, b"", Location="ftp://127.0.0.1/x.png")
        elif path == "/local":
            self.answer(302, b"", Location="file:///etc/hostname")
        elif path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", str(len(data) + 100))
            self.end_headers()
            self.wfile.write(data)
        elif path == "/endless":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(200):
                    self.wfile.write(b"x" * 1000)
            except OSError:
                return
        elif path == "/drip":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(100):
                    self.wfile.write(b"x")
                    time.sleep(0.05)
            except OSError:
                return
        else:
            self.answer(404, b"no")

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_an_image_is_fetched(server: str) -> None:
    for path in ("/ok.png", "/moved"):
        assert picture_from_url(server + path).load().tobytes() == scene().tobytes()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/nothing.png", "the server answered 404"),
        ("/elsewhere", "unknown url type: ftp"),
        ("/local", "the server answered 302"),
        ("/short", "the transfer ended after"),
    ],
)
def test_an_image_that_cannot_be_fetched(server: str, path: str, reason: str) -> None:
    with pytest.raises(ImageUnreadable, match=f"{path}: {reason}"):
        picture_from_url(server + path).load()


def test_limits_of_size_and_time(server: str) -> None:
    with pytest.raises(ImageUnreadable, match="bytes are more than the limit of 20"):
        picture_from_url(f"{server}/ok.png", max_bytes=20).load()
    with pytest.raises(ImageUnreadable, match="more than the limit of 5000 bytes"):
        picture_from_url(f"{server}/endless", max_bytes=5000).load()
    began = time.monotonic()
    with pytest.raises(ImageUnreadable, match=r"not received within 0\.3 seconds"):
        picture_from_url(f"{server}/drip", timeout=0.3).load()
    assert time.monotonic() - began < 3


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(ImageUnreadable, match=r"^http://127\.0\.0\.1:9/x\.png: "):
        picture_from_url("http://127.0.0.1:9/x.png", timeout=2).load()


def test_secrets_of_a_url_stay_out_of_its_name() -> None:
    url = "https://me:secret@example.org:8443/a/b.png?X-Signature=secret#secret"
    assert public_name(url) == "https://example.org:8443/a/b.png?…"
    assert picture_from_url(url).name == public_name(url)
    assert public_name("http://[broken/") == "a malformed URL"


@pytest.mark.parametrize("size", [(1, 1), (7, 63), (5, 64), (3, 65), (9, 200)])
def test_the_digest_is_over_size_and_rgb_bytes(size: tuple[int, int]) -> None:
    image = Image.frombytes("RGB", size, random.Random(0).randbytes(3 * size[0] * size[1]))
    known = hashlib.sha256(f"RGB {size[0]}x{size[1]}\n".encode() + image.tobytes()).hexdigest()
    assert Picture("noise", lambda: image).digest == known
