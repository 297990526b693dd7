"""The paper's grids: plans that can be edited, its tables with its numbers, and runs that go on."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from arrkit.bench.grid_table import Found, Place, fill, parts_of
from arrkit.bench.plan_file import read_plan, write_plan
from arrkit.bench.published import BIAS, CARDINALITY, EDITING, PAINTING, PUBLISHED, TABLE1, Grid
from arrkit.bench.reproduce import (
    Column,
    Learning,
    Models,
    Painter,
    Plan,
    ReproduceOptions,
    Training,
    embedded_plan,
    plan_of,
    usual_plan,
)
from arrkit.commands.bench_reproduce import reproduce_grid, steps_of
from arrkit.commands.evaluate import evaluate_judge
from arrkit.commands.grid_jobs import check_plan
from arrkit.commands.grid_page import grid_page, our_text, paper_text
from arrkit.commands.options import EvalOptions
from arrkit.errors import InputError, RunError


@pytest.mark.parametrize("grid", list(Grid))
@pytest.mark.parametrize("make", [usual_plan, embedded_plan])
def test_a_plan_comes_back_from_its_file(tmp_path, grid, make):
    plan = make(grid)
    for each in (plan, replace(plan, limit=20, seed=3, max_cost=1.5, criteria=(2, 7))):
        write_plan(each, tmp_path / "plan.toml")
        assert read_plan(tmp_path / "plan.toml") == each


def test_every_kind_of_entry_comes_back_from_a_file(tmp_path):
    plan = Plan(
        grid=Grid.GENERATION,
        t2i=Models(
            policies={
                'a "quoted" name': Painter(policy="shapes", lora="runs/x"),
                "ünï": Painter(policy="shapes", train=Training(judge="shapes", pairs=2)),
            },
            benchmarks={"B.1": Column(benchmark="shapes", judge="shapes", scale=100)},
        ),
        build=Learning(t2i="x"),
    )
    write_plan(plan, tmp_path / "plan.toml")
    assert read_plan(tmp_path / "plan.toml") == plan


def test_all_that_is_wrong_with_a_file_is_said_at_once(tmp_path):
    file = tmp_path / "plan.toml"
    file.write_text(
        'grid = "arr-biass"\njudgess = 1\ncriteria = [0]\nlimit = "x"\njudges = 3\n'
        '[t2i.policies.a]\nlora = "x"\n[t2i.policies.b]\npolicy = "p"\nlora = "x"\n[t2i.policies.b.train]\n'
        '[edit.benchmarks.c]\nbenchmark = "shapes"\nscale = true\n'
    )
    with pytest.raises(InputError) as caught:
        read_plan(file)
    text = str(caught.value)
    for said in (
        "grid must be one of arr-table1",
        'judgess means nothing here (did you mean "judges"?)',
        "criteria must be a list of whole numbers from 1 to 20",
        "limit must be a whole number",
        "judges must be a table",
        "t2i.policies.a names no policy",
        "t2i.policies.b has an adapter and is to be trained",
        "edit.benchmarks.c.scale must be a number",
        "Nothing was run.",
    ):
        assert said in text
    with pytest.raises(InputError, match="is not TOML"):
        read_plan(Path(__file__))


class TestPlanOf:
    def test_a_table_is_the_papers_or_the_embedded_one(self):
        assert plan_of(ReproduceOptions(grid="arr-bias")) == usual_plan(Grid.BIAS)
        assert plan_of(ReproduceOptions(grid="arr-bias", judge="shapes")) == embedded_plan(Grid.BIAS)

    def test_a_judge_stands_in_for_all(self):
        plan = plan_of(ReproduceOptions(grid="arr-table1", judge="openai:gpt-5"))
        assert plan.judges == {"openai:gpt-5": "openai:gpt-5"}
        assert plan.datasets == usual_plan(Grid.TABLE1).datasets
        own = plan_of(ReproduceOptions(grid="arr-table1", judge="shapes?noise=0.1"))
        assert (list(own.judges.values()), own.datasets) == (
            ["shapes?noise=0.1"],
            embedded_plan(Grid.TABLE1).datasets,
        )

    def test_of_a_benchmark_only_those_that_are_judged_get_another_judge(self):
        plan = plan_of(ReproduceOptions(grid="arr-generation", judge="vllm:q"))
        assert {column.judge for column in plan.t2i.benchmarks.values()} == {"", "vllm:q"}

    def test_a_file_may_stand_for_a_table_and_options_win(self, tmp_path):
        write_plan(replace(embedded_plan(Grid.BIAS), limit=5), tmp_path / "p.toml")
        plan = plan_of(ReproduceOptions(grid=str(tmp_path / "p.toml"), limit=9, seed=4))
        assert (plan.grid, plan.limit, plan.seed) == (Grid.BIAS, 9, 4)

    def test_a_slip_of_the_pen_is_answered(self):
        with pytest.raises(InputError, match='did you mean "arr-bias"'):
            plan_of(ReproduceOptions(grid="arr-bais"))


class TestPublished:
    def test_means_and_gaps_follow_from_both_orders(self):
        for row in BIAS.rows.values():
            forward, reverse, mean, gap = (each.value for each in row)
            assert mean == pytest.approx((forward + reverse) / 2, abs=0.051)
            assert gap == pytest.approx(forward - reverse, abs=0.051)

    def test_tables_agree_where_they_tell_of_the_same(self):
        for name in BIAS.rows:
            if name in TABLE1.rows:
                assert TABLE1.number(name, "HPDv3").value == BIAS.number(name, "Avg").value
        assert CARDINALITY.rows["5"][0].value == TABLE1.number("Qwen3-VL-8B + ARR", "HPDv3").value

    def test_every_row_is_as_wide_as_its_table(self):
        for table in (table for tables in PUBLISHED.values() for table in tables):
            assert {len(row) for row in table.rows.values()} == {len(table.columns)}
            assert table.notes

    def test_the_papers_plan_is_called_as_the_paper_is(self):
        for grid in Grid:
            for part in parts_of(usual_plan(grid)):
                assert part.compared
                assert set(part.rows) <= set(part.paper.rows)
                assert set(part.columns) <= set(part.paper.columns)

    def test_gains_of_the_trained_models(self):
        gain = PAINTING.number("RPO-Gemini 3.1 Pro-ARR", "GenEval").value - 0.66
        assert gain == pytest.approx(0.14)
        assert EDITING.number("RPO-GPT-5-ARR", "ImgEdit").value == 4.40


class TestFill:
    def test_the_papers_rows_stand_in_its_order_and_ones_own_below(self):
        plan = replace(usual_plan(Grid.TABLE1), judges={"mine": "shapes", "GPT-5": "openai:gpt-5"})
        found = {Place("", "GPT-5", "HPDv3"): Found(73.0, 72.0, 74.0, 400)}
        empty = {Place("", "mine", "HPDv3"): "it is down"}
        (table,) = fill(plan, found, empty)
        assert [row.name for row in table.rows] == [*TABLE1.rows, "mine", "mine + ARR"]
        cell = next(row for row in table.rows if row.name == "GPT-5").cells[0]
        assert cell.gap == pytest.approx(0.6)
        assert (our_text(cell), paper_text(cell)) == ("73.0 [72.0, 74.0]", "72.4 (+0.6)")
        (cells,) = (row.cells for row in table.rows if row.name == "mine")
        assert (cells[0].trouble, our_text(cells[0]), paper_text(cells[0])) == ("it is down", "–", "–")
        spread = next(row for row in table.rows if row.name == "GPT-5 + ARR").cells[0]
        assert paper_text(spread) == "76.1 ± 0.2"

    @pytest.mark.parametrize("grid", list(Grid))
    def test_the_embedded_tables_hold_nothing_of_the_paper(self, grid):
        for table in fill(embedded_plan(grid), {}, {}):
            assert not table.published
            assert table.notes == ()

    def test_another_dataset_is_not_held_against_the_papers(self):
        plan = replace(usual_plan(Grid.BIAS), datasets={"HPDv3": "hpdv3:test", "mine": "mine"})
        one, other = fill(plan, {}, {})
        assert (one.published, other.published) == (True, False)
        assert other.title.endswith("mine")

    def test_a_difference_to_the_base_is_shown_as_the_paper_shows_it(self):
        found = {Place("t2i", "RPO-shapes", "shapes"): Found(0.7, 0.6, 0.8, 480, change=(0.07, 0.02, 0.12))}
        table, _ = fill(embedded_plan(Grid.GENERATION), found, {})
        assert our_text(table.rows[1].cells[0]) == "0.70 [0.60, 0.80] (+0.07)"


def small(tmp_path, **more) -> str:
    """A plan of two judges, of which one answers nothing."""
    plan = Plan(
        grid=Grid.TABLE1,
        judges={"good": "shapes", "silent": "shapes?fail=1"},
        datasets={"shapes-t2i": "shapes-t2i:test"},
        rubrics={"": "none", "+ own": "shapes-t2i"},
        limit=4,
    )
    file = tmp_path / "plan.toml"
    write_plan(replace(plan, **more), file)
    return str(file)


class TestRuns:
    def test_a_run_that_comes_to_nothing_leaves_its_cells_empty(self, tmp_path):
        report = reproduce_grid(ReproduceOptions(grid=small(tmp_path), out=tmp_path / "run"))
        (table,) = report.tables
        rows = {row.name: row.cells[0] for row in table.rows}
        assert rows["good"].ours.n <= 4
        assert rows["good + own"].ours.value > 50
        assert rows["silent"].ours is None
        assert "gave no answer" in rows["silent + own"].trouble
        assert len(report.troubles) == 1
        assert report.troubles[0].startswith("arrkit judge eval")
        kept = json.loads((tmp_path / "run" / "report.json").read_text())
        assert kept["troubles"] == list(report.troubles)
        assert "came to nothing" in (tmp_path / "run" / "report.html").read_text()

    def test_what_was_run_is_not_run_again(self, tmp_path, monkeypatch):
        options = ReproduceOptions(grid="arr-cardinality", judge="shapes", limit=3, out=tmp_path / "run")
        first = reproduce_grid(options)
        assert (first.runs, first.replayed) == (4, 0)
        journal = tmp_path / "run" / "journal.jsonl"
        lines = journal.read_text().splitlines(keepends=True)
        journal.write_text("".join(lines[:3]))  # killed in the fourth
        asked = []
        monkeypatch.setattr(
            "arrkit.judge.session.JudgeSession._ask", lambda *_: asked.append(1), raising=True
        )
        again = reproduce_grid(options)  # the fourth's own journal has its answers
        assert (again.tables, again.replayed, asked) == (first.tables, 3, [])

    def test_none_at_all_is_an_error(self, tmp_path):
        plan = small(tmp_path, judges={"silent": "shapes?fail=1"}, rubrics={"": "none"}, limit=1)
        with pytest.raises(RunError, match="none of the 1 runs came to anything"):
            reproduce_grid(ReproduceOptions(grid=plan, out=tmp_path / "run"))

    @pytest.mark.parametrize("grid", [Grid.BIAS, Grid.TRANSFER])
    def test_rubrics_are_learned_before_they_are_used(self, tmp_path, grid):
        plan = replace(
            embedded_plan(grid),
            judges={"shapes": "shapes"},
            build=Learning(t2i="shapes-t2i:train", limit=10),
            limit=4,
        )
        if grid is Grid.TRANSFER:
            plan = replace(plan, generators={"one": "shapes", "two": "shapes?noise=0.2"})
        write_plan(plan, tmp_path / "p.toml")
        report = reproduce_grid(ReproduceOptions(grid=str(tmp_path / "p.toml"), out=tmp_path / "run"))
        (table,) = report.tables
        assert report.troubles == ()
        assert all(cell.ours is not None for row in table.rows for cell in row.cells)
        learned = sorted(file.name for file in (tmp_path / "run" / "rubrics").iterdir())
        assert learned == (["shapes-t2i.json"] if grid is Grid.BIAS else ["one-t2i.json", "two-t2i.json"])

    def test_rows_are_found_whatever_their_order_and_columns_are_presentations(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        plan = replace(
            embedded_plan(Grid.BIAS),
            judges={"first": "shapes?primacy=1", "good": "shapes"},
            rubrics={"+ ARR": "zero-shot", "+ own": "shapes-t2i", "": "none"},
            limit=12,
        )
        write_plan(plan, tmp_path / "p.toml")
        report = reproduce_grid(ReproduceOptions(grid=str(tmp_path / "p.toml"), out=tmp_path / "run"))
        rows = {row.name: {cell.column: cell.ours for cell in row.cells} for row in report.tables[0].rows}
        values = {column: found.value for column, found in rows["first"].items()}
        assert values == {"Forward": 100, "Reverse": 0, "Avg": 50, "Gap": 100}
        assert rows["good"]["Avg"].value < rows["good + own"]["Avg"].value
        alone = evaluate_judge(
            EvalOptions(judge=("shapes",), rubric=("zero-shot",), baseline=False, sample=12)
        )
        assert rows["good + ARR"]["Avg"].value == pytest.approx(100 * alone.rows[0].stats.accuracy.value)

    def test_steps_are_commands_with_what_they_are_for(self):
        steps = steps_of(ReproduceOptions(grid="arr-bias", judge="shapes", limit=7))
        assert [shlex.split(step.command)[1:3] for step in steps] == [
            ["rubric", "build"],
            ["judge", "bias"],
        ] * 3
        assert steps[0].fills == ""
        assert steps[1].fills.startswith("shapes / Forward, shapes / Reverse")
        assert "--sample 7" in steps[1].command

    def test_all_that_a_plan_lacks_is_said_before_anything_is_run(self, tmp_path):
        plan = replace(
            embedded_plan(Grid.BIAS),
            judges={"one": "nobody", "two": "shapes?noise=2"},
            datasets={"d": "shapes-edit", "e": "nothing"},
            rubrics={"": "none", "+ r": "no-such-rubric", "+ g": "build"},
            build=Learning(t2i="shapes-t2i"),
        )
        with pytest.raises(InputError) as caught:
            check_plan(plan)
        text = str(caught.value)
        for said in ("nobody", "noise", "nothing", "no-such-rubric", "to learn a rubric for edit from"):
            assert said in text
        assert "Nothing was run." in text

    def test_a_page_has_ours_and_the_papers_side_by_side(self):
        plan = usual_plan(Grid.CARDINALITY)
        found = {Place("HPDv3", "5", "Qwen3-VL-8B"): Found(70.0, 69.0, 71.0, 900)}
        page = grid_page(fill(plan, found, {}), plan, ["arrkit x: it is down"], "2026-01-02T03:04:05Z")
        (table,) = page.tables
        assert [column.header for column in table.columns] == [
            "Criteria",
            "Qwen3-VL-8B",
            "Qwen3-VL-8B, paper",
        ]
        assert table.rows[1][2] == "70.2 (-0.2)"
        assert "1 number of ours. The paper has 1 of them too, and 1 of its lie in" in page.summary
        assert "arrkit x: it is down" in page.notes


def test_adapters_are_trained_then_painted_with_and_held_against_their_base(tmp_path):
    for module in ("torch", "diffusers", "peft"):
        pytest.importorskip(module)
    training = Training(judge="shapes", rubric="shapes-painting", max_steps=1, pairs=2)
    plan = Plan(
        grid=Grid.GENERATION,
        t2i=Models(
            policies={"base": Painter(policy="shapes"), "RPO": Painter(policy="shapes", train=training)},
            benchmarks={"shapes": Column(benchmark="shapes", scale=100)},
        ),
        limit=6,
    )
    write_plan(plan, tmp_path / "p.toml")
    options = ReproduceOptions(grid=str(tmp_path / "p.toml"), out=tmp_path / "run")
    report = reproduce_grid(options)
    assert report.troubles == ()
    (table,) = report.tables
    base, trained = (row.cells[0].ours for row in table.rows)
    assert (base.n, base.change, base.metric, base.strict) == (6, None, "shapes", base.value)
    assert trained.change[0] == pytest.approx(trained.value - base.value)
    again = reproduce_grid(options)
    assert (again.replayed, again.runs, again.tables) == (5, 5, report.tables)
