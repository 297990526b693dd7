"""Hosted judges from outside: the real command line against loopback servers that look at what they get."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wire_gemini
import wire_openai
from looking import digest, looking_gemini, looking_openai
from PIL import Image
from typer.testing import CliRunner, Result

from arrkit.cli.app import app

MODELS = """
[[openai]]
names = ["gpt-5.2"]
images = 500
structured = "schema"
logprobs = 20
temperature = true
seed = false
effort = ["none", "low", "medium", "high"]
batch = true
"""

PRICES = """
[models."gpt-5.2"]
input = 1.0
output = 10.0
[models."gemini-2.5-pro"]
input = 1.0
output = 10.0
"""

Wire = wire_openai.Wire | wire_gemini.Wire


@dataclass
class Hosted:
    """A judge and the server behind it."""

    spec: str
    wire: Wire

    def bodies(self) -> Counter[str]:
        """How often each request arrived, by a digest of its body."""
        return Counter(digest(seen) for seen in self.wire.requests)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the test: empty. The user has listed models and prices, and has keys."""
    monkeypatch.chdir(tmp_path)
    settings = Path(os.environ["XDG_CONFIG_HOME"]) / "arrkit"
    settings.mkdir(parents=True)
    (settings / "models.toml").write_text(MODELS)
    (settings / "prices.toml").write_text(PRICES)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("GEMINI_API_KEY", "test")
    return tmp_path


@pytest.fixture
def wires() -> Iterator[Callable[..., Hosted]]:
    """Start a server: ``wires("vllm:my-model")`` is a judge by that name, behind a server of its wire."""
    running: list[Wire] = []

    def start(name: str, options: str = "") -> Hosted:
        gemini = name.startswith("gemini:")
        wire: Wire = wire_gemini.Wire(looking_gemini()) if gemini else wire_openai.Wire(looking_openai())
        running.append(wire.__enter__())
        url = wire.base_url if isinstance(wire, wire_openai.Wire) else wire.url
        return Hosted(f"{name}?base_url={url}{options}", wire)

    yield start
    for wire in running:
        wire.__exit__()


@pytest.fixture
def arrkit() -> Callable[..., Result]:
    """The command line in this process."""

    def run(*arguments: object, **variables: str) -> Result:
        return CliRunner().invoke(app, [str(each) for each in arguments], env=variables)

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``python -m arrkit`` in the working directory; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "arrkit", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def pairs(folder: Path) -> Callable[..., Path]:
    """Write pairs of a light and a dark image; people preferred the lighter, but for every fifth pair.

    ``pairs(8, task="edit", flip=True)`` turns every label round and leaves all else as it is.
    """

    def write(count: int, *, task: str = "t2i", flip: bool = False, name: str = "pairs.jsonl") -> Path:
        random = np.random.default_rng(0)
        rows = []
        for number in range(count):
            light, dark, source = (_noise(random, level) for level in (190 + number % 9, 60, 120))
            images = {f"{number}-{kind}.png": image for kind, image in (("l", light), ("d", dark))}
            if task == "edit":
                images[f"{number}-s.png"] = source
            for file, image in images.items():
                image.save(folder / file)
            shown = list(images)[:2] if number % 2 else list(images)[:2][::-1]
            liked = shown.index(f"{number}-{'d' if number % 5 == 4 else 'l'}.png")
            row: dict[str, Any] = {
                "task": task,
                "prompt": f"lamp number {number}",
                "images": shown,
                "label_rank": [2, 1] if (liked == 1) != flip else [1, 2],
            }
            if task == "edit":
                row["source"] = f"{number}-s.png"
            rows.append(row)
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return folder / name

    return write


def _noise(random: np.random.Generator, level: int) -> Image.Image:
    pixels = random.integers(level - 30, level + 30, (24, 32, 3), dtype=np.uint8)
    return Image.fromarray(pixels)
