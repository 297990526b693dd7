"""``judge compare``: one pair, both orders, explained."""

from __future__ import annotations

import json

import pytest
from PIL import Image
from scripted import FAILED, FIRST, TIE, ScriptedJudge
from typer.testing import CliRunner

from arrkit.cli.app import app
from arrkit.commands.compare import compare_images
from arrkit.commands.options import CompareOptions
from arrkit.data.pairs import Label
from arrkit.errors import InputError


@pytest.fixture(autouse=True)
def _two_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, level in (("bright.png", 200), ("dark.png", 50)):
        Image.new("RGB", (8, 8), (level, 0, 0)).save(name)


def compared(judge, **changes):
    values = {"a": "dark.png", "b": "bright.png", "prompt": "a lamp"} | changes
    return compare_images(CompareOptions(**values), judge=judge)


def test_what_both_orders_name_is_preferred():
    judge = ScriptedJudge()
    assert compared(judge).preferred is Label.B
    assert [request.first.name for request in judge.requests] == ["dark.png", "bright.png"]
    assert judge.closed


@pytest.mark.parametrize(
    ("verdict", "preferred"),
    [(FIRST, Label.TIE), (TIE, Label.TIE), (FAILED, None)],
    ids=["flips", "tie", "out"],
)
def test_a_judge_that_flips_has_not_chosen(verdict, preferred):
    assert compared(ScriptedJudge(compares=lambda request: verdict)).preferred is preferred


def test_an_image_that_cannot_be_read_is_one_sentence():
    with pytest.raises(InputError, match=r"gone\.png"):
        compared(ScriptedJudge(), b="gone.png")


def test_a_rubric_for_the_other_task_is_refused():
    with pytest.raises(InputError, match="edit"):
        compared(ScriptedJudge(), rubric="edit-general")


def test_the_command_needs_a_judge_and_prints_json():
    words = ["judge", "compare", "dark.png", "bright.png", "--prompt", "a lamp"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "shapes" in result.stderr
    result = CliRunner().invoke(app, [*words, "--judge", "shapes", "--json"])
    told = json.loads(result.stdout)
    assert told["judge"] == "shapes"
    assert told["a_first"]["outcome"] == "abstain"  # neither is of its world
    assert told["preferred"] is None
