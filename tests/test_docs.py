"""Every command in the README and in docs/ works as it stands there, in the order in which it stands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
# plugins.md needs the example package and is run by its own test; commands.md is generated.
APART = ("plugins.md", "commands.md")
PAGES = [
    REPOSITORY / "README.md",
    *sorted(page for page in (REPOSITORY / "docs").glob("*.md") if page.name not in APART),
]


def commands(page: Path) -> list[list[str]]:
    lines = re.findall(r"^\$ arrkit (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


# Every command at a third of its size: whether it works does not hang on how many pairs it reads.
SMALLER = {"ARRKIT_LIMIT": "60"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_work(page, tmp_path):
    for command in commands(page):
        done = subprocess.run(
            [sys.executable, "-m", "arrkit", *command],
            cwd=tmp_path,
            env=os.environ | SMALLER,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"arrkit {shlex.join(command)}\n{done.stdout}{done.stderr}"


def python_blocks() -> list[str]:
    return [
        block
        for page in PAGES
        for block in re.findall(
            r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        )
    ]


@pytest.mark.parametrize("code", python_blocks())
def test_the_python_of_a_page_works(python, code):
    done = python("-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_links_of_a_page_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), link


def test_the_newcomers_pages_hold_commands():
    assert all(
        commands(page) for page in PAGES if page.stem in ("README", "build-a-rubric", "measure-a-judge")
    )
