"""Which pairs a rubric is learned from: drawn or chosen, never more than asked for, none held twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from scripted import Pairs, ScriptedJudge, pair

from arrkit.commands import seeds
from arrkit.commands.build import build_rubric
from arrkit.commands.options import BuildOptions, Seeds
from arrkit.commands.seeds import choose_split, split_pairs
from arrkit.data.pairs import Label, Task
from arrkit.errors import InputError

KINDS = ("a red kite over the beach", "an old castle in fog", "two cats playing chess", "neon city at night")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def options(limit=None, chosen=Seeds.RANDOM, **changes) -> BuildOptions:
    return BuildOptions(limit=limit, seeds=chosen, **changes)


def voted(number: int, prompt: str, votes=None, label: Label = Label.A):
    return replace(pair(number, label, prompt=prompt), votes=votes)


def crowd():
    """200 pairs of one kind of prompt, unclear, and twenty of each of three others, clear and unclear."""
    pairs = [voted(number, f"{KINDS[0]} number {number}", (5, 4)) for number in range(200)]
    for kind in range(1, 4):
        for number in range(20):
            votes = (9, 0) if number % 2 else (5, 4)
            pairs.append(voted(200 + 20 * kind + number, f"{KINDS[kind]} number {number}", votes))
    return Pairs(pairs)


def ids(pairs) -> list[str]:
    return [each.id for each in pairs]


def plain(split) -> tuple:
    return ids(split.build), ids(split.held_out), split.ties, split.chosen


def test_without_a_limit_all_pairs_are_taken():
    split = choose_split(crowd(), Task.T2I, options())
    assert plain(split) == plain(split_pairs(crowd(), Task.T2I, holdout=0.3, seed=0))
    assert split.chosen == ""
    assert plain(choose_split(crowd(), Task.T2I, options(1000))) == plain(split)


def test_random_pairs_are_drawn_from_all_of_them():
    split = choose_split(crowd(), Task.T2I, options(40))
    assert len(split.build) + len(split.held_out) == 40
    assert len(split.held_out) == 12
    taken = sorted(int(each.removeprefix("pair-")) for each in ids(split.build + split.held_out))
    assert taken[-1] > 200  # not the first 40
    assert split.chosen == "40 of 260 pairs, drawn at random."
    assert plain(choose_split(crowd(), Task.T2I, options(40))) == plain(split)
    assert ids(choose_split(crowd(), Task.T2I, options(40, seed=1)).build) != ids(split.build)


def test_diverse_pairs_are_clear_and_of_every_kind():
    split = choose_split(crowd(), Task.T2I, options(20, Seeds.DIVERSE))
    assert (len(split.build), len(split.held_out)) == (14, 6)
    kinds = [next(kind for kind in KINDS if kind in each.prompt) for each in split.build]
    assert set(kinds) == set(KINDS)
    assert kinds.count(KINDS[0]) < 8  # three of four pairs are of it
    clear = sum(each.votes == (9, 0) for each in split.build)
    assert clear >= 6
    assert not {each.prompt for each in split.build} & {each.prompt for each in split.held_out}
    assert split.chosen.startswith("14 of 1")
    assert (
        "chosen for clear labels (by votes 14) and for prompts of many kinds (14 clusters, by TF-IDF"
        in split.chosen
    )
    assert plain(choose_split(crowd(), Task.T2I, options(20, Seeds.DIVERSE))) == plain(split)


def test_what_is_held_back_is_drawn_and_not_chosen():
    held = [
        each
        for seed in range(6)
        for each in choose_split(crowd(), Task.T2I, options(60, Seeds.DIVERSE, seed=seed)).held_out
    ]
    clear = sum(each.votes == (9, 0) for each in held)
    assert len(held) == 6 * 18
    assert clear / len(held) < 0.25  # 30 of 260 are


def test_ties_are_no_seeds():
    pairs = [voted(number, f"{KINDS[0]} {number}", label=Label.TIE) for number in range(30)]
    pairs += [voted(100 + number, f"{KINDS[1]} {number}") for number in range(30)]
    split = choose_split(Pairs(pairs), Task.T2I, options(20, Seeds.DIVERSE))
    assert all(each.label.decided for each in split.build)
    assert split.ties > 0
    assert "(by nothing 14)" in split.chosen


def test_diverse_wants_to_know_how_many():
    with pytest.raises(InputError, match=r"nothing says how many\n  Give --limit as well"):
        choose_split(crowd(), Task.T2I, options(None, Seeds.DIVERSE))


def test_of_a_large_dataset_a_pool_is_drawn_first(monkeypatch):
    monkeypatch.setattr(seeds, "POOL", 50)
    split = choose_split(crowd(), Task.T2I, options(10, Seeds.DIVERSE))
    assert (len(split.build), len(split.held_out)) == (7, 3)
    assert split.chosen.endswith(" They are of 50 pairs drawn from 260.")


def test_only_pairs_of_the_task_are_seen():
    edits = [replace(each, task=Task.EDIT, id=f"edit-{each.id}") for each in crowd().pairs]
    mixed = Pairs([each for two in zip(edits, crowd().pairs, strict=True) for each in two])
    for chosen in Seeds:
        split = choose_split(mixed, Task.T2I, options(30, chosen))
        assert len(split.build) + len(split.held_out) == 30
        assert {each.task for each in (*split.build, *split.held_out)} == {Task.T2I}


def test_no_image_is_opened_to_choose():
    looked = []
    for each in (dataset := crowd()).pairs:
        for picture in each.pictures:
            picture._load = lambda: looked.append(1)
    choose_split(dataset, Task.T2I, options(20, Seeds.DIVERSE))
    assert looked == []


def test_the_report_and_the_rubric_say_how_pairs_were_chosen():
    report = build_rubric(options(20, Seeds.DIVERSE), judge=ScriptedJudge(), pairs=crowd())
    assert report.rubric.provenance.counts.seen == 14
    assert report.rubric.provenance.options["seeds"] == "diverse"
    assert report.rubric.provenance.options["limit"] == 20
    assert report.held_out.dataset.pairs == 6
    assert json.loads(Path(report.run, "report.json").read_text())["chosen"] == report.chosen
    assert "prompts of many kinds" in Path(report.run, "report.html").read_text()
