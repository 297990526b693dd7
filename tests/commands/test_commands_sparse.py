"""``rubric build --method sparse`` as a whole, in the embedded world."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripted import Pairs, ScriptedJudge, pair

from arrkit.commands.build import build_rubric
from arrkit.commands.evaluate import evaluate_judge
from arrkit.commands.options import BuildOptions, EvalOptions, MergeOptions, Method, Select
from arrkit.commands.rubrics import merge_rubrics
from arrkit.errors import InputError, RunError
from arrkit.rubric.checking import check_document
from arrkit.rubric.files import read_rubric, rubric_digest

NOISY = "shapes?noise=0.1&seed=3"
SMALL = {"dataset": "shapes-t2i:train?n=48&size=96"}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def options(**changes):
    return BuildOptions(method=Method.SPARSE, **({"judge": NOISY, "limit": 90} | changes))


def test_a_sparse_build_writes_weights_path_and_rounds_and_does_well_on_pairs_held_back():
    report = build_rubric(options(out=Path("s.json")))
    rubric = read_rubric("s.json")
    assert rubric == report.rubric
    assert rubric_digest(rubric) == report.digest
    made, learning = rubric.provenance, rubric.learning
    assert (made.method, made.generator, made.counts) == ("sparse", NOISY, None)
    assert (made.options["top"], made.options["rounds"], made.options["seeds"]) == (10, 5, "diverse")
    assert len(made.build_pairs) == made.dataset.pairs == 63
    criteria = {each.id: each.weight for each in rubric.criteria()}
    assert set(criteria) == set(learning.weights)
    heaviest = max(learning.weights.values())
    for name, weight in learning.weights.items():
        assert criteria[name] == pytest.approx(weight / heaviest, abs=0.001)
    assert learning.c in [step.c for step in learning.path]
    assert [each.round for each in learning.rounds] == list(range(1, len(learning.rounds) + 1))
    assert learning.held_out.accuracy.value > 0.7
    assert learning.held_out.accuracy.n == learning.held_out.uniform.n == learning.held_out.dataset.pairs
    assert report.held_out.rows[1].stats.accuracy.value > report.held_out.rows[0].stats.accuracy.value
    page = Path(report.run, "report.html").read_text()
    assert "Rounds of learning" in page
    assert "The weighted score on pairs held back" in page
    saved = json.loads(Path(report.run, "report.json").read_text())
    assert saved["rubric"]["learning"]["weights"] == pytest.approx(dict(learning.weights))

    before = Path("s.json").read_bytes()
    again = build_rubric(options(out=Path("s.json")))
    assert again.asked == 0
    assert Path("s.json").read_bytes() == before
    Path(report.run, "scores.sqlite").unlink()
    journal = build_rubric(options(out=Path("s.json")))
    assert journal.asked == 0, "what the scores were is in the journal too"
    measured = evaluate_judge(EvalOptions(rubric=("s.json",), judge=(NOISY,), limit=20, out=Path("e")))
    assert measured.rows[1].rubric == "s"
    once_more = MergeOptions(rubrics=("s.json", "t2i-general"), out=Path("m.json"))
    assert merge_rubrics(once_more).learning is None, "the weights of two rubrics were not learned together"


def test_an_old_file_says_nothing_of_learning_and_a_wrong_one_is_told_of():
    report = build_rubric(options(out=Path("s.json"), rounds=1, holdout=0.0, **SMALL))
    assert report.held_out is None
    document = json.loads(Path("s.json").read_text())
    assert document["learning"]["held_out"] is None
    document["learning"]["path"][0]["c"] = 0
    document["learning"]["weight"] = {}
    _, problems = check_document(document, "s.json", sealed=False)
    said = " ".join(each.what for each in problems)
    assert '"c" must be above 0' in said
    assert 'unknown key "weight"' in said
    arr = build_rubric(BuildOptions(out=Path("a.json"), limit=8, holdout=0.0))
    assert arr.rubric.learning is None
    assert "learning" not in json.loads(Path("a.json").read_text())


def test_a_fixed_c_is_taken_and_few_criteria_are_kept():
    report = build_rubric(options(sparse_c=0.5, top=2, rounds=1, **SMALL))
    learning = report.rubric.learning
    assert (learning.c, len(learning.path)) == (0.5, 1)
    assert 1 <= len(learning.weights) <= 2


def test_selection_is_for_the_other_method():
    with pytest.raises(InputError, match="--select greedy chooses among the verified criteria"):
        build_rubric(options(select=Select.GREEDY))


def test_a_judge_that_scores_nothing_ends_the_run_with_what_to_do():
    pairs = Pairs([pair(number) for number in range(20)])
    with pytest.raises(RunError, match="scored no training pair") as stop:
        build_rubric(options(judge="", limit=20, holdout=0.0), judge=ScriptedJudge(), pairs=pairs)
    assert "--method arr" in str(stop.value)
