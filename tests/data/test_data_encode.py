from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from arrkit.data.encode import Encoded, ImageEncoder, check_size, encode, encode_image, fitted, look
from arrkit.data.images import picture_from_bytes
from arrkit.data.pairs import ImageUnreadable, Picture


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)  # type: ignore[arg-type]
    return file.getvalue()


def run(*pictures: Picture, long_edge: int = 1024) -> list[Encoded]:
    async def all_at_once() -> list[Encoded]:
        return await asyncio.gather(*(encode(picture, long_edge) for picture in pictures))

    return asyncio.run(all_at_once())


def counting(image: Image.Image) -> tuple[Picture, list[float]]:
    """A picture, and when its pixels were read."""
    reads: list[float] = []

    def load() -> Image.Image:
        reads.append(time.monotonic())
        return image

    return Picture("counted", load), reads


def test_the_same_picture_has_the_same_bytes_whatever_it_was_saved_as() -> None:
    image = noise(120, 90)
    transparent = image.convert("RGBA")
    # Fully transparent pixels hide their colour: what is seen is white.
    transparent.paste((9, 9, 9, 0), (0, 0, 40, 40))
    seen = image.copy()
    seen.paste((255, 255, 255), (0, 0, 40, 40))

    jpeg = saved(seen, "JPEG", quality=95)
    decoded = Image.open(io.BytesIO(jpeg)).convert("RGB")
    orientation = Image.Exif()
    orientation[0x0112] = 6  # shown turned by 90 degrees, clockwise
    turned = saved(decoded.transpose(Image.Transpose.ROTATE_90), "TIFF", exif=orientation)

    plain, alpha = run(
        picture_from_bytes(saved(seen, "PNG"), "plain.png"),
        picture_from_bytes(saved(transparent, "PNG"), "alpha.png"),
    )
    assert plain == alpha
    as_jpeg, as_turned = run(picture_from_bytes(jpeg, "plain.jpg"), picture_from_bytes(turned, "turned.tif"))
    assert as_jpeg == as_turned
    assert as_jpeg != plain


def test_a_rotated_jpeg_has_the_bytes_of_the_upright_one() -> None:
    # Blocks of one colour are stored without loss, so that turning the stored picture changes nothing else.
    blocks = noise(16, 12).resize((128, 96), Image.Resampling.NEAREST)
    orientation = Image.Exif()
    orientation[0x0112] = 6
    lying = blocks.transpose(Image.Transpose.ROTATE_90)
    options = {"quality": 100, "subsampling": 0}
    upright = Image.open(io.BytesIO(saved(blocks, "JPEG", **options))).convert("RGB")
    stored = Image.open(io.BytesIO(saved(lying, "JPEG", **options))).convert("RGB")
    assert np.array_equal(np.asarray(stored.transpose(Image.Transpose.ROTATE_270)), np.asarray(upright))

    one, other = run(
        picture_from_bytes(saved(blocks, "JPEG", **options), "upright.jpg"),
        picture_from_bytes(saved(lying, "JPEG", exif=orientation, **options), "rotated.jpg"),
    )
    assert one == other
    assert (one.width, one.height) == (128, 96)


def test_metadata_does_not_travel() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a secret description"
    (made,) = run(picture_from_bytes(saved(noise(100, 100), "JPEG", exif=exif), "tagged.jpg"))
    assert made.mime == "image/jpeg"
    assert b"secret" not in made.data
    assert b"Exif" not in made.data


@pytest.mark.parametrize(
    ("image", "mime"),
    [
        (noise(300, 200), "image/jpeg"),
        (noise(64, 64), "image/png"),
        (Image.new("RGB", (500, 400), (9, 200, 30)), "image/png"),
    ],
    ids=["photo", "small", "flat"],
)
def test_the_format_follows_the_content(image: Image.Image, mime: str) -> None:
    made = encode_image(image)
    shown = Image.open(io.BytesIO(made.data))
    assert (made.mime, shown.get_format_mimetype()) == (mime, mime)
    assert (made.width, made.height) == shown.size == image.size
    if mime == "image/png":
        assert np.array_equal(np.asarray(shown), np.asarray(image))
    else:
        # 4:4:4: one sample of colour for each of brightness.
        assert {sampling[1:3] for sampling in shown.layer} == {(1, 1)}  # type: ignore[attr-defined]


def test_large_images_shrink_by_lanczos_and_small_ones_stay() -> None:
    image = noise(400, 200)
    small = encode_image(image, 100)
    assert (small.width, small.height) == (100, 50)
    expected = encode_image(image.resize((100, 50), Image.Resampling.LANCZOS))
    assert small == expected
    assert encode_image(image, 400) == encode_image(image, 4000)
    assert (encode_image(image, 4000).width, encode_image(image, 4000).height) == (400, 200)


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 4096))
def test_the_aspect_ratio_is_kept_to_the_nearest_pixel(width: int, height: int, long_edge: int) -> None:
    made = fitted(width, height, long_edge)
    longest = max(width, height)
    assert max(made) == min(longest, long_edge)
    scale = min(1.0, long_edge / longest)
    for side, was in zip(made, (width, height), strict=True):
        assert side == 1 or abs(side - was * scale) <= 0.5 + 1e-9
        assert 1 <= side <= was


@settings(max_examples=20)
@given(st.integers(1, 80), st.integers(1, 80), st.integers(0, 5))
def test_bytes_depend_on_pixels_alone(width: int, height: int, seed: int) -> None:
    image = noise(width, height, seed)
    assert encode_image(image, 40).data == encode_image(image.copy(), 40).data


def test_requests_at_the_same_time_share_one_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    real = encode_image

    def slow(image: Image.Image, long_edge: int) -> Encoded:
        made.append(threading.current_thread().name)
        time.sleep(0.05)
        return real(image, long_edge)

    monkeypatch.setattr("arrkit.data.encode.encode_image", slow)
    encoder = ImageEncoder(threads=4)
    picture, reads = counting(noise(200, 150))
    twin, _ = counting(noise(200, 150))

    async def all_at_once() -> list[Encoded]:
        return await asyncio.gather(*(encoder.encode(each) for each in [picture] * 6 + [twin] * 6))

    results = asyncio.run(all_at_once())
    assert len(made) == 1, "pictures of the same pixels were encoded twice"
    assert len(reads) == 1
    assert {id(result) for result in results} == {id(results[0])}
    assert all(name.startswith("arrkit-encode") for name in made)
    # Another event loop finds what the first one left, and another size is another encoding.
    assert asyncio.run(encoder.encode(twin)) is results[0]
    asyncio.run(encoder.encode(twin, 100))
    assert len(made) == 2


def test_one_who_stops_waiting_takes_nothing_from_the_others() -> None:
    gate = threading.Event()

    def load() -> Image.Image:
        assert gate.wait(10)
        return noise(100, 100)

    picture = Picture("slow", load)
    encoder = ImageEncoder(threads=1)

    async def main() -> Encoded:
        first = asyncio.create_task(encoder.encode(picture))
        second = asyncio.create_task(encoder.encode(picture))
        await asyncio.sleep(0.02)
        first.cancel()
        await asyncio.sleep(0)
        gate.set()
        return await second

    assert asyncio.run(main()) == encode_image(noise(100, 100))


def test_memory_is_bounded_and_the_longest_unused_goes_first() -> None:
    one = len(encode_image(noise(200, 200)).data)
    encoder = ImageEncoder(memory=int(one * 3.5))
    pictures = [counting(noise(200, 200, seed)) for seed in range(6)]

    async def ask(number: int) -> None:
        await encoder.encode(pictures[number][0])
        pictures[number][0].release()
        assert encoder.held <= encoder.memory

    async def main() -> None:
        for number in (0, 1, 2, 0, 3, 4):
            await ask(number)
        reads = [len(seen) for _, seen in pictures]
        await ask(0)
        assert [len(seen) for _, seen in pictures] == reads, "0 was used lately, and had to be encoded again"
        await ask(1)
        assert len(pictures[1][1]) == reads[1] + 1, "1 was kept beyond the limit"

    asyncio.run(main())
    assert encoder.held > 2 * one


def test_what_is_larger_than_the_memory_is_not_kept() -> None:
    encoder = ImageEncoder(memory=10)
    picture, _ = counting(noise(100, 100))
    assert asyncio.run(encoder.encode(picture)) == encode_image(noise(100, 100))
    assert encoder.held == 0


@pytest.mark.parametrize("ask", [lambda picture: run(picture), lambda picture: run(picture, picture)])
def test_an_unreadable_picture_says_so_and_is_not_remembered(ask: Callable[[Picture], object]) -> None:
    working = False

    def load() -> Image.Image:
        if not working:
            raise ImageUnreadable("cat.png: there is no such file")
        return noise(30, 30)

    picture = Picture("cat.png", load)
    with pytest.raises(ImageUnreadable, match=r"cat\.png: there is no such file"):
        ask(picture)
    working = True
    assert run(picture) == [encode_image(noise(30, 30))]


def test_sizes_are_checked_before_anything_is_sent() -> None:
    made = encode_image(noise(300, 200))
    check_size(made, 0, "cat.png")
    check_size(made, len(made.data), "cat.png")
    with pytest.raises(ImageUnreadable, match=r"cat\.png: .* at 300 x 200 are more than the .*--image-size"):
        check_size(made, len(made.data) - 1, "cat.png")


def test_the_digest_is_of_the_bytes() -> None:
    made = encode_image(noise(70, 70))
    assert made.digest == Encoded(made.data, "x", 1, 1).digest
    assert made.digest != encode_image(noise(70, 70, 1)).digest
    assert "\\x" not in repr(made), "the bytes do not belong into a message"


def test_pictures_are_looked_at_in_threads() -> None:
    where: list[threading.Thread] = []

    def load() -> Image.Image:
        where.append(threading.current_thread())
        return noise(8, 8)

    pictures = [Picture("a", load), Picture("b", load)]
    asyncio.run(look(pictures))
    assert all(picture.known_digest for picture in pictures)
    assert len(where) == 2
    assert threading.main_thread() not in where


def test_encodings_go_before_looks() -> None:
    encoder = ImageEncoder(threads=1)
    order: list[str] = []
    gate = threading.Event()

    def picture(name: str, seed: int) -> Picture:
        def load() -> Image.Image:
            order.append(name)
            if name == "first":
                assert gate.wait(5)
            return noise(80, 80, seed)

        return Picture(name, load)

    async def work() -> None:
        known = picture("known", 1)
        await encoder.look(known)
        known.release()
        waiting = [asyncio.create_task(encoder.look(picture(name, 2))) for name in ("first", "second")]
        while "first" not in order:
            await asyncio.sleep(0.001)
        waiting.append(asyncio.create_task(encoder.encode(known)))
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*waiting)

    asyncio.run(work())
    assert order == ["known", "first", "known", "second"]
