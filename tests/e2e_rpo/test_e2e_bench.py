"""Benchmark runs that are killed and go on, and that several processes share."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from forked import Forked
from typer.testing import Result

pytestmark = pytest.mark.xdist_group("torch")

RUN = ("bench", "run", "shapes", "--policy", "shapes", "--limit", "24", "--steps", "2", "--batch", "4")

# Images that take a while, so that there is a moment to be killed in; and looks at them that do.
SLOW = """
import asyncio, time
from arrkit.commands import bench_paint
from arrkit.shapes.benchmark import ShapesScorer
save, look = bench_paint.save_image, ShapesScorer.score
def saved(file, image):
    time.sleep(0.02)
    save(file, image)
async def looked(self, item, images):
    await asyncio.sleep(0.05)
    return await look(self, item, images)
bench_paint.save_image, ShapesScorer.score = saved, looked
from arrkit.commands import bench_run
bench_run.LOOK_SECONDS = 0.05
"""


def images(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.png")}


def result(run: Path) -> tuple[dict[str, object], dict[str, bytes]]:
    """What a run came to, without its place, and its images."""
    found = json.loads((run / "report.json").read_text())
    return {key: value for key, value in found.items() if key != "run"}, images(run)


def test_a_run_that_is_killed_again_and_again_ends_as_if_it_never_was(
    arrkit: Callable[..., Result], fork: Callable[..., Forked], folder: Path
) -> None:
    done = arrkit(*RUN, "--out", "whole")
    assert done.exit_code == 0, done.output
    chance = random.Random(6)
    painted = 0
    for goal in (3, 14):
        process = fork(*RUN, "--out", "torn", before=SLOW)
        until = time.monotonic() + 60
        while len(images(folder / "torn")) < goal:
            assert process.running, process.said.read_text()
            assert time.monotonic() < until
            time.sleep(0.002)
        time.sleep(chance.random() * 0.05)
        process.kill()
        assert painted <= len(images(folder / "torn")) < 24
        painted = len(images(folder / "torn"))
    (folder / "torn" / "base" / "images" / "position" / ".0.png.1.tmp").write_text("half an image")
    units = folder / "torn" / "base" / "units.jsonl"
    assert units.exists()
    torn = units.read_bytes()
    units.write_bytes(torn + b'{"key":"00')  # as a lost machine leaves it
    again = arrkit(*RUN, "--out", "torn")
    assert again.exit_code == 0, again.output
    assert units.read_bytes().startswith(torn)
    assert len(units.read_text().splitlines()) == 24
    assert result(folder / "torn") == result(folder / "whole")
    names = [
        {file.relative_to(run) for file in run.rglob("*")} for run in (folder / "torn", folder / "whole")
    ]
    assert names[0] == names[1]


def test_two_processes_paint_what_one_does_and_the_first_scores_it_all(
    arrkit: Callable[..., Result], fork_two: Callable[..., list[Forked]], folder: Path
) -> None:
    both = fork_two(*RUN, "--out", "two", before=SLOW)
    assert [each.wait() for each in both] == [0, 0], [each.said.read_text() for each in both]
    assert "24 of 480 prompts" in both[0].said.read_text()
    assert both[1].said.read_text() == ""
    done = arrkit(*RUN, "--out", "one")
    assert done.exit_code == 0, done.output
    one, two = result(folder / "one"), result(folder / "two")
    assert two[1].keys() == one[1].keys()
    assert two == one


def test_of_two_processes_that_generate_each_paints_its_share(
    fork_two: Callable[..., list[Forked]], folder: Path
) -> None:
    generate = ("bench", "generate", "shapes", "--policy", "shapes", "--limit", "9", "--steps", "1")
    both = fork_two(*generate, "--out", "images", "--json")
    assert [each.wait() for each in both] == [0, 0], [each.said.read_text() for each in both]
    said = both[0].said.read_text()
    made = json.loads(said[said.index("{\n") : said.rindex("}") + 1])
    assert (made["painted"], made["images"]) == (9, 9)
    assert len(images(folder / "images")) == 9


def test_when_the_first_refuses_the_other_ends_too(
    arrkit: Callable[..., Result], fork_two: Callable[..., list[Forked]]
) -> None:
    assert arrkit(*RUN, "--limit", "2", "--out", "run").exit_code == 0
    both = fork_two(*RUN, "--limit", "2", "--seed", "1", "--out", "run")
    assert [each.wait() for each in both] == [2, 2], [each.said.read_text() for each in both]
    assert "run holds another run" in both[0].said.read_text()
