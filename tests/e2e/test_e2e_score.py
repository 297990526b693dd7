"""``judge eval`` saves its judgments and shows the set's own number; ``judge score`` counts them again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dataset_fixtures import hpdv3, mmrb2
from scripted import ScriptedJudge, pair

from arrkit.commands.evaluate import evaluate_judge
from arrkit.commands.options import EvalOptions
from arrkit.data.pairs import Task
from arrkit.errors import InputError


def metrics(row):
    return {each["name"]: each for each in row["metrics"]}


def test_a_run_shows_official_and_strict_and_its_file_scores_the_same(arrkit):
    command = ("judge", "eval", "--limit", "20", "--rubric", "t2i-general", "--out", "run")
    run = arrkit(*command, "--json")
    assert run.exit_code == 0, run.output
    rows = json.loads(run.stdout)["rows"]
    assert [list(metrics(row)) for row in rows] == [["official:shapes", "strict-pair"]] * 2
    found = metrics(rows[0])["strict-pair"]
    assert found["expected"] == found["judged"] == 2 * found["rate"]["n"]
    lines = Path("run", "judgments.jsonl").read_text().splitlines()
    assert [json.loads(line)["rubric"] for line in lines] == ["none", "t2i-general"] * 20

    page = Path("run", "report.html").read_text()
    assert "Metrics by name" in page
    assert "official:shapes" in page
    shown = arrkit(*command)
    assert "official:shapes" in shown.stdout
    assert "strict-pair" in shown.stdout

    again = arrkit(
        *("judge", "score", "--judgments", "run/judgments.jsonl", "--dataset", "shapes-t2i"),
        *("--limit", "20", "--json"),
    )
    assert again.exit_code == 0, again.output
    scored = json.loads(again.stdout)["rows"]
    assert [row["rubric"] for row in scored] == ["none", "t2i-general"]
    assert [row["metrics"] for row in scored] == [row["metrics"] for row in rows]
    alone = arrkit("judge", "score", "--judgments", "run/judgments.jsonl", "--json")
    assert [metrics(row)["strict-pair"] for row in json.loads(alone.stdout)["rows"]] == [
        metrics(row)["strict-pair"] for row in rows
    ]


def test_other_metrics_ask_nothing_anew_and_unknown_ones_are_refused_first(arrkit):
    command = ("judge", "eval", "--limit", "6", "--out", "run", "--json")
    refused = arrkit(*command, "--metric", "strict")
    assert refused.exit_code == 2
    assert 'unknown metric "strict" (did you mean "strict-pair"?)' in refused.stderr
    mistyped = arrkit(*command, "--metric", "macro:categry")
    assert mistyped.exit_code == 2
    assert "--metric: no pair of shapes-t2i" in mistyped.stderr
    assert not Path("run").exists()
    arrkit(*command)
    named = ("--metric", "macro:category", "--metric", "both-right", "--metric", "official:genai-bench")
    report = json.loads(arrkit(*command, *named).stdout)
    assert report["asked"] == 0
    assert list(metrics(report["rows"][0])) == ["macro:category", "both-right", "official:genai-bench"]


def test_a_pair_whose_image_is_gone_is_a_missing_judgment(arrkit, write_rows, photos, row):
    write_rows("pairs.jsonl", row(0, 1), row(2, "gone"), row(3, 4))
    run = arrkit("judge", "eval", "--pairs", "pairs.jsonl", "--judge", "shapes", "--out", "run", "--json")
    assert run.exit_code == 0, run.output
    found = metrics(json.loads(run.stdout)["rows"][0])
    # The native format's own rule counts over all rows, the strict one over what was judged.
    assert found["official:native"]["rate"]["n"] == 3
    assert found["official:native"]["missing"] == 1
    assert found["strict-pair"]["missing"] == 2
    lines = [json.loads(line) for line in Path("run", "judgments.jsonl").read_text().splitlines()]
    assert [line["ab"] == "missing" for line in lines] == [False, True, False]


@pytest.fixture
def answers(write_rows):
    return write_rows(
        "answers.jsonl",
        {"id": "t2i-test-0-0", "choice": "[[B>A]]"},
        {"id": "t2i-test-0-1", "choice": "who knows"},
        {"id": "nobody", "choice": "A"},
        {"id": "t2i-test-0-0", "choice": "B"},
    )


def test_what_does_not_fit_is_counted_and_named(arrkit, answers):
    command = ("judge", "score", "--judgments", answers, "--dataset", "shapes-t2i", "--limit", "3")
    result = arrkit(*command)
    assert result.exit_code == 0, result.output
    assert "1 id without an answer: t2i-test-0-2" in result.stderr
    assert "1 id in the file that is no pair's: nobody" in result.stderr
    assert "1 id said twice, and counted once" in result.stderr
    report = json.loads(arrkit(*command, "--json").stdout)
    assert report["rows"][0]["unknown"] == {"count": 1, "first": ["nobody"]}
    found = metrics(report["rows"][0])["strict-pair"]
    assert (found["judged"], found["missing"], found["unparsed"]) == (1, 1, 1)
    strict = arrkit(*command, "--strict")
    assert strict.exit_code == 2
    assert "Nothing was scored." in strict.stderr


def test_answers_without_labels_need_their_pairs(arrkit, answers):
    result = arrkit("judge", "score", "--judgments", answers)
    assert result.exit_code == 2
    assert "Name the pairs that it answers for with --dataset or --pairs." in result.stderr


def test_answers_that_go_by_place_need_all_pairs(arrkit, write_rows):
    write_rows("answers.jsonl", {"vote": "[[A>B]]"}, {"vote": "[[B>A]]"})
    command = ("judge", "score", "--judgments", "answers.jsonl", "--dataset", "shapes-t2i")
    shown = arrkit(*command, "--limit", "2")
    assert shown.exit_code == 0, shown.output
    assert "put to the pairs by their place" in shown.stdout
    refused = arrkit(*command, "--where", "category=counting")
    assert refused.exit_code == 2
    assert "its answers go by their place among all pairs" in refused.stderr


def test_answers_that_go_by_place_are_refused_where_the_set_leaves_out_rows(arrkit, folder, write_rows):
    (folder / "set").mkdir()
    hpdv3.write(folder / "set", 3)
    command = ("judge", "score", "--judgments", "answers.jsonl", "--dataset", "hpdv3", "--data", "set")
    write_rows("answers.jsonl", *({"vote": "[[A>B]]"} for _ in range(3)))
    assert arrkit(*command).exit_code == 0
    rows = json.loads(Path("set/test.json").read_text())
    del rows[1]["path2"]
    Path("set/test.json").write_text(json.dumps(rows))
    refused = arrkit(*command, "--limit", "2")
    assert refused.exit_code == 2
    assert "hpdv3:test?data=set leaves out 1 row" in refused.stderr
    assert "Give each answer the id of its pair." in refused.stderr


def test_scoring_opens_no_image(arrkit, write_rows):
    rows = [
        {"id": str(n), "prompt": str(n), "images": [f"{n}a.png", f"{n}b.png"], "label": label, "topic": "x"}
        for n, label in enumerate(["A", "B", "tie"])
    ]
    write_rows("pairs.jsonl", *rows)
    write_rows("answers.jsonl", *({"id": str(n), "score_a": 1 - n, "score_b": 0} for n in range(3)))
    command = ("judge", "score", "--judgments", "answers.jsonl", "--pairs", "pairs.jsonl", "--json")
    wanted = ("tie-calibrated", "tie-credit", "macro:topic", "official")
    result = arrkit(*command, *(part for name in wanted for part in ("--metric", name)))
    assert result.exit_code == 0, result.output
    found = metrics(json.loads(result.stdout)["rows"][0])
    assert found["tie-calibrated"]["note"] == "Threshold 0."
    assert found["tie-calibrated"]["rate"]["value"] == pytest.approx(1 / 3)
    assert found["macro:topic"]["rate"]["value"] == 0.5
    assert list(found)[-1] == "official:native"


def test_predictions_of_mmrb2_are_scored_on_its_own_files(arrkit, folder):
    data = folder / "mmrb2"
    data.mkdir()
    mmrb2.write_local(data, 10, part="edit")
    labels = [mmrb2.chosen(row, False) for row in range(10)]
    says_a = {"forward": [{"judgement": "A"}], "reverse": [{"judgement": "B"}]}
    predictions = {mmrb2.name_of("edit", row): says_a for row in range(9)}
    Path("predictions.json").write_text(json.dumps(predictions))
    command = ("judge", "score", "--judgments", "predictions.json", "--dataset", "mmrb2:edit", "--data", data)
    result = arrkit(*command, "--json")
    assert result.exit_code == 0, result.output
    [row] = json.loads(result.stdout)["rows"]
    found = metrics(row)["official:mmrb2"]
    assert found["rate"]["value"] == pytest.approx(labels[:9].count("A") / 9)
    assert (found["rate"]["n"], found["unit"], found["missing"]) == (18, "judgments", 2)
    assert [part["name"] for part in found["parts"]] == ["edit"]
    assert row["missing"]["count"] == 1


@pytest.mark.conformance
def test_the_votes_of_gpt4o_give_the_number_that_the_paper_prints(arrkit, conformance):
    path = conformance / "genai_bench" / "image_edition_gpt4o.jsonl"
    result = arrkit("judge", "score", "--judgments", path, "--metric", "official:genai-bench")
    assert result.exit_code == 0, result.output
    assert "53.54 [50, 57]   919 pairs" in result.stdout


class Repeating:
    """Three pairs, two of which have one id."""

    name = "repeating"
    task = Task.T2I

    def __iter__(self):
        return iter([pair(0), pair(1), pair(2, id="pair-1")])

    def size(self):
        return 3


def test_a_dataset_with_a_repeated_id_keeps_its_report_without_metrics(folder):
    options = EvalOptions(judge=("shapes",), out=folder / "run")
    report = evaluate_judge(options, pairs=Repeating(), judge=ScriptedJudge())
    assert report.rows[0].stats.pairs == 3
    assert report.rows[0].metrics == ()
    assert report.remarks == ('No metrics by name: the pair "pair-1" has two judgments.',)


def test_pairs_made_elsewhere_have_no_official_metric(folder):
    class Plain(Repeating):
        def __iter__(self):
            return iter([pair(0), pair(1)])

    report = evaluate_judge(EvalOptions(out=folder / "run"), pairs=Plain(), judge=ScriptedJudge())
    assert [each.name for each in report.rows[0].metrics] == ["strict-pair"]
    with pytest.raises(InputError, match="these pairs have no official metric"):
        evaluate_judge(EvalOptions(metric=("official",)), pairs=Plain(), judge=ScriptedJudge())
