"""The command line from outside: processes where a process matters, else the same application in this one."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from arrkit.cli.app import app


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the test: empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def arrkit() -> Callable[..., Result]:
    """The command line in this process: ``arrkit("judge", "eval", ARRKIT_SEED="3")``."""

    def run(*arguments: str | Path, **variables: str) -> Result:
        return CliRunner().invoke(app, [str(each) for each in arguments], env=variables)

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``python -m arrkit`` in the working directory; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str | Path, **options: object) -> subprocess.Popen[str]:
        settings = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **options,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "arrkit", *map(str, arguments)],
            env=dict(os.environ),
            text=True,
            **settings,  # type: ignore[call-overload]
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def write_rows(folder: Path) -> Callable[..., Path]:
    """Write a JSONL file of rows, each a mapping or a text as it is."""

    def write(name: str, *rows: dict[str, object] | str) -> Path:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (folder / name).write_text("".join(line + "\n" for line in lines))
        return folder / name

    return write


@pytest.fixture
def photos(folder: Path) -> Path:
    """A folder of images: ``0.png`` ... ``7.png`` of noise, and three that cannot be read.

    ``cut.png`` is a truncated PNG, ``text.png`` is text, ``bomb.png`` says it has 200 megapixels.
    """
    images = folder / "photos"
    images.mkdir()
    random = np.random.default_rng(0)
    for number in range(8):
        Image.fromarray(random.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(images / f"{number}.png")
    whole = (images / "0.png").read_bytes()
    (images / "cut.png").write_bytes(whole[: len(whole) // 2])
    (images / "text.png").write_text("no image")
    (images / "bomb.png").write_bytes(_bomb())
    return images


def _bomb() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 10_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture
def row() -> Callable[..., dict[str, object]]:
    """A t2i row of two images of ``photos``, the first preferred."""

    def make(a: str | int, b: str | int, **changes: object) -> dict[str, object]:
        images = [f"photos/{a}.png", f"photos/{b}.png"]
        return {"task": "t2i", "prompt": f"{a} and {b}", "images": images, "label_rank": [1, 2], **changes}

    return make


def tree(folder: Path) -> set[str]:
    """All files below a folder, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
