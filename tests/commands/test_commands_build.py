"""``rubric build`` as a whole: split, learn, measure, write, resume."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripted import Pairs, ScriptedJudge, bright, pair, unreadable

from arrkit.commands.build import build_rubric
from arrkit.commands.evaluate import evaluate_judge
from arrkit.commands.options import BuildOptions, EvalOptions
from arrkit.commands.seeds import split_pairs
from arrkit.data.pairs import Label, Task
from arrkit.errors import InputError, RunError
from arrkit.judge.protocol import CompareRequest, Outcome, Verdict
from arrkit.rubric.files import read_rubric, rubric_digest


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def forty():
    """Forty pairs of twenty prompts; A is always preferred and brighter."""
    return Pairs([pair(i, prompt=f"prompt {i // 2}") for i in range(40)])


def test_a_build_writes_a_sealed_rubric_with_its_history_and_metrics():
    judge = ScriptedJudge()
    report = build_rubric(BuildOptions(out=Path("mine.json")), judge=judge, pairs=forty())
    rubric = read_rubric("mine.json")
    assert rubric == report.rubric
    made = rubric.provenance
    assert (made.method, made.generator, made.verifier) == ("arr", "scripted", "scripted")
    assert made.dataset.pairs == made.counts.seen == 28
    assert len(made.build_pairs) == 28
    assert rubric.metrics.n == 12
    assert rubric.metrics.accuracy.value == 1.0
    assert judge.closed
    assert Path(report.run, "report.html").stat().st_size > 1000
    assert json.loads(Path(report.run, "report.json").read_text())["digest"] == rubric_digest(rubric)


def test_a_prompt_is_on_one_side_only_and_the_seed_decides():
    split = split_pairs(forty(), Task.T2I, holdout=0.3, seed=0)
    assert (len(split.build), len(split.held_out)) == (28, 12)
    assert not {p.prompt for p in split.build} & {p.prompt for p in split.held_out}

    def held(seed):
        return [p.id for p in split_pairs(forty(), Task.T2I, holdout=0.3, seed=seed).held_out]

    assert [p.id for p in split.held_out] == held(0) != held(1)
    assert split_pairs(forty(), Task.T2I, holdout=0.0, seed=0).held_out == ()


def test_ties_are_left_out_of_learning_and_counted():
    pairs = Pairs([pair(i, Label.TIE if i < 5 else Label.A) for i in range(20)])
    report = build_rubric(BuildOptions(holdout=0.0), judge=ScriptedJudge(), pairs=pairs)
    assert report.ties == 5
    assert report.rubric.provenance.counts.seen == 15
    with pytest.raises(InputError, match="all 20 that are not held back are ties"):
        build_rubric(
            BuildOptions(out=Path("b.json"), holdout=0.0),
            judge=ScriptedJudge(),
            pairs=Pairs([pair(i, Label.TIE) for i in range(20)]),
        )


def test_the_same_build_again_asks_nothing_and_writes_the_same_file():
    build_rubric(BuildOptions(), judge=ScriptedJudge(), pairs=forty())
    before = Path("rubric-t2i.json").read_bytes()
    judge = ScriptedJudge()
    report = build_rubric(BuildOptions(), judge=judge, pairs=forty())
    assert (judge.requests, report.asked) == ([], 0)
    assert Path("rubric-t2i.json").read_bytes() == before


def test_an_existing_file_of_something_else_is_refused_before_anything_is_asked():
    Path("rubric-t2i.json").write_text("mine")
    judge = ScriptedJudge()
    with pytest.raises(InputError, match=r"rubric-t2i\.json exists already"):
        build_rubric(BuildOptions(), judge=judge, pairs=forty())
    assert judge.requests == []
    assert Path("rubric-t2i.json").read_text() == "mine"
    build_rubric(BuildOptions(force=True), judge=judge, pairs=forty())
    read_rubric("rubric-t2i.json")


def test_a_build_cut_off_in_the_middle_pays_for_the_rest_only():
    whole = ScriptedJudge(name="another, so that its run is another")
    build_rubric(BuildOptions(out=Path("whole.json")), judge=whole, pairs=forty())

    asked = 0

    def breaks_down(request):
        nonlocal asked
        asked += 1
        if asked > 25:
            raise KeyboardInterrupt
        return bright(request)

    first = ScriptedJudge(compares=breaks_down)
    with pytest.raises(KeyboardInterrupt) as stop:
        build_rubric(BuildOptions(out=Path("cut.json")), judge=first, pairs=forty())
    assert "Run the same command again" in stop.value.__notes__[0]
    assert not Path("cut.json").exists()
    second = ScriptedJudge()
    build_rubric(BuildOptions(out=Path("cut.json")), judge=second, pairs=forty())
    compared = [
        sum(isinstance(r, CompareRequest) for r in judge.requests) for judge in (whole, first, second)
    ]
    assert compared[1] - 1 + compared[2] == compared[0]
    assert read_rubric("cut.json").dimensions == read_rubric("whole.json").dimensions


def test_pairs_of_two_tasks_need_a_choice():
    mixed = Pairs([pair(0), pair(1, task=Task.EDIT)], task=None)
    with pytest.raises(InputError, match="more than one task"):
        build_rubric(BuildOptions(), judge=ScriptedJudge(), pairs=mixed)
    report = build_rubric(BuildOptions(task=Task.T2I, holdout=0.0), judge=ScriptedJudge(), pairs=mixed)
    assert report.rubric.provenance.counts.seen == 1


def test_an_unreadable_image_does_not_stop_a_build_unless_strict():
    pairs = Pairs([pair(0), pair(1, a=unreadable()), pair(2)])
    report = build_rubric(BuildOptions(holdout=0.0), judge=ScriptedJudge(), pairs=pairs)
    assert report.rubric.provenance.counts.postponed == 1
    with pytest.raises(InputError, match=r"gone\.png"):
        build_rubric(
            BuildOptions(holdout=0.0, strict=True, out=Path("s.json")), judge=ScriptedJudge(), pairs=pairs
        )


def test_evaluation_says_which_pairs_are_not_held_out():
    report = build_rubric(BuildOptions(), judge=ScriptedJudge(), pairs=forty())
    measured = evaluate_judge(
        EvalOptions(rubric=(report.path,), out=Path("all")), judge=ScriptedJudge(), pairs=forty()
    )
    assert measured.seen == 28
    assert [row.rubric for row in measured.rows] == ["none", report.rubric.name]
    assert measured.rows[1].digest == report.digest


def test_a_judge_without_a_single_answer_ends_the_run_with_its_reason():
    silent = ScriptedJudge(proposes=lambda request: Verdict(Outcome.FAILED))  # not even of the right kind
    with pytest.raises(RunError, match="none of the 28 pairs"):
        build_rubric(BuildOptions(), judge=silent, pairs=forty())


def test_what_was_learned_is_kept_whatever_becomes_of_the_pairs_held_back():
    tied = Pairs([pair(i, Label.A if i < 10 else Label.TIE, prompt=f"p{i // 10}") for i in range(20)])
    seed = next(
        s for s in range(20) if split_pairs(tied, Task.T2I, holdout=0.5, seed=s).held_out[0].id == "pair-10"
    )
    report = build_rubric(BuildOptions(holdout=0.5, seed=seed), judge=ScriptedJudge(), pairs=tied)
    assert report.held_out is None
    assert read_rubric("rubric-t2i.json").metrics is None

    silent = ScriptedJudge(
        compares=lambda request: (
            bright(request)
            if request.dimensions and request.dimensions[0].name == "Candidate criteria"
            else Verdict(Outcome.FAILED, detail="out")
        )
    )
    with pytest.raises(RunError, match="gave no answer"):
        build_rubric(BuildOptions(out=Path("kept.json")), judge=silent, pairs=forty())
    assert len(read_rubric("kept.json")) == 1


def test_an_unreadable_pair_is_named():
    pairs = Pairs([pair(0), pair(1, a=unreadable()), pair(2)])
    report = build_rubric(BuildOptions(holdout=0.0), judge=ScriptedJudge(), pairs=pairs)
    assert [(each.origin, each.reason) for each in report.skipped] == [
        ("pairs.jsonl:2", "gone.png does not exist")
    ]


def test_pairs_of_one_prompt_cannot_be_held_back():
    with pytest.raises(InputError, match="have one prompt"):
        build_rubric(
            BuildOptions(), judge=ScriptedJudge(), pairs=Pairs([pair(i, prompt="same") for i in range(9)])
        )


def test_two_files_from_one_command_do_not_trouble_each_other():
    for out in ("one.json", "two.json", "one.json"):
        build_rubric(BuildOptions(out=Path(out)), judge=ScriptedJudge(), pairs=forty())
    assert read_rubric("one.json").name == "one"
    assert read_rubric("two.json").name == "two"


def test_two_rubrics_of_one_name_stay_apart():
    for folder, pairs in (("a", forty()), ("b", Pairs(forty().pairs[:20]))):
        build_rubric(
            BuildOptions(out=Path(folder, "same.json")), judge=ScriptedJudge(name=folder), pairs=pairs
        )
    report = evaluate_judge(
        EvalOptions(rubric=("a/same.json", "b/same.json")), judge=ScriptedJudge(), pairs=forty()
    )
    names = [row.rubric for row in report.rows]
    assert len(set(names)) == 3
    assert all(name.startswith("same@") and "sha256" not in name for name in names[1:])


def test_a_field_that_no_pair_has_is_refused_before_anything_is_judged():
    judge = ScriptedJudge()
    pairs = Pairs([pair(i, metadata={"category": "x"}) for i in range(4)])
    with pytest.raises(InputError, match="did you mean"):
        evaluate_judge(EvalOptions(by=("categry",)), judge=judge, pairs=pairs)
    assert judge.requests == []
