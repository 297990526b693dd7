"""docs/plugins.md is written from the example package; here the two are kept from drifting apart."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("example")

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "plugins.md").read_text()
QUOTES = re.findall(r"<!-- (\S+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [shlex.split(line) for line in re.findall(r"^\$ arrkit (.*)$", PAGE, re.MULTILINE)]


def test_every_code_block_says_where_it_is_from():
    assert len(QUOTES) == len(re.findall(r"^```(?:python|toml)$", PAGE, re.MULTILINE)) >= 5


@pytest.mark.parametrize(("path", "text"), QUOTES)
def test_code_on_the_page_stands_in_the_package(path, text):
    source = (REPOSITORY / path).read_text()
    for part in re.split(r"^\.\.\.\n", text, flags=re.MULTILINE):
        assert part in source, f"{path} no longer holds:\n{textwrap.indent(part, '  ')}"


@pytest.mark.parametrize("link", re.findall(r"\]\((\.\./[^)]+)\)", PAGE))
def test_links_lead_somewhere(link):
    assert (REPOSITORY / "docs" / link).exists()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_on_the_page_work(python, example_site, command):
    done = python("-m", "arrkit", *command, PYTHONPATH=str(example_site))
    assert done.returncode == 0, done.stderr
