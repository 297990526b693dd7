"""``rubric build --select``: orders of criteria, what they are measured by, and a build with each."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import FAILED, Pairs, ScriptedJudge, bright, pair, unreadable

from arrkit.commands.build import build_rubric, forecast_build
from arrkit.commands.options import BuildOptions, Method, Select
from arrkit.commands.seeds import split_pairs
from arrkit.data.pairs import Label, Task
from arrkit.errors import InputError, RunError
from arrkit.judge.protocol import (
    Answer,
    CompareRequest,
    Draft,
    Finding,
    Outcome,
    Proposal,
    ProposeRequest,
    Side,
)
from arrkit.judge.session import JudgeSession
from arrkit.rubric.selection import (
    AT_ONCE,
    DISTORTION,
    Pooled,
    ask_leads,
    best_prefix,
    coding_order,
    coding_rate,
    combined_rates,
    embed_statements,
    greedy_order,
    support_order,
    support_weights,
)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def leads(*criteria):
    """Leads of criteria that see the same in both orders: one list over the pairs for each."""
    return np.repeat(np.array(criteria, dtype=float).T[:, None, :], 2, axis=1)


def pooled(*statements, pairs=()):
    counts = pairs or [1] * len(statements)
    return [
        Pooled(Draft(said), tuple(map(str, range(count))))
        for said, count in zip(statements, counts, strict=True)
    ]


class TestGreedy:
    def test_what_completes_the_others_comes_before_what_repeats_them(self):
        first, again, other = [1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [0, 0, 0, 1, 0]
        order = greedy_order(leads(first, again, other), np.ones(3), 3, seed=0)
        assert order[1] == 2
        assert set(order) == {0, 1, 2}

    def test_a_criterion_right_in_one_order_alone_does_not_count(self):
        lopsided, plain = np.zeros((4, 2)), np.zeros((4, 2))
        lopsided[:, 0], lopsided[:, 1] = 1, -1
        plain[:1] = 0.1
        assert greedy_order(np.stack([lopsided, plain], axis=2), np.ones(2), 1, seed=0) == [1]

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 10_000))
    def test_each_step_is_the_best_there_is_and_orders_and_names_do_not_matter(self, seed):
        draw = np.random.default_rng(seed)
        values, weights = draw.uniform(-1, 1, (12, 2, 5)), draw.uniform(0.05, 1, 5)
        order = greedy_order(values, weights, 5, seed=seed)
        for size in range(1, 6):
            reached = combined_rates(values, weights, order[:size])[1].value
            for index in order[size - 1 :]:
                assert reached >= combined_rates(values, weights, [*order[: size - 1], index])[1].value
        assert greedy_order(values[:, ::-1], weights, 5, seed=seed) == order
        shuffled = draw.permutation(5)
        again = greedy_order(values[:, :, shuffled], weights[shuffled], 5, seed=seed)
        assert [int(shuffled[index]) for index in again] == order

    def test_no_other_subset_of_three_does_better_where_criteria_are_independent(self):
        block = np.zeros((6, 30))
        for index, size in enumerate((9, 7, 5, 4, 3, 2)):
            start = sum((9, 7, 5, 4, 3, 2)[:index])
            block[index, start : start + size] = 1
        values = leads(*block)
        found = combined_rates(values, np.ones(6), greedy_order(values, np.ones(6), 3, seed=0))
        best = max(combined_rates(values, np.ones(6), trio)[1].value for trio in combinations(range(6), 3))
        assert found[1].value == best == 21 / 30

    def test_the_fewest_of_equally_good_ones_are_kept(self):
        values = leads([1, 1, 0], [0, 0, 1], [1, 1, 1])
        assert best_prefix(values, np.ones(3), [0, 1, 2], 3) == 2
        assert best_prefix(values, np.ones(3), [0, 1, 2], 1) == 1
        assert best_prefix(leads([1, -1], [-9, -9]), np.ones(2), [0, 1], 2) == 1

    def test_the_seed_draws_among_equals_alone(self):
        alike = leads(*[[1, 1]] * 6)
        assert len({tuple(greedy_order(alike, np.ones(6), 6, seed=seed)) for seed in range(5)}) > 1
        assert greedy_order(alike, np.ones(6), 6, seed=3) == greedy_order(alike, np.ones(6), 6, seed=3)


def test_accuracy_gives_half_for_a_tie_and_weights_decide():
    values = leads([1, -1, 0], [-1, -1, 0])
    accuracy, both = combined_rates(values, np.array([1.0, 0.5]), [0, 1])
    assert (accuracy.value, both.value, both.n) == (0.5, 1 / 3, 3)
    assert combined_rates(values, np.array([0.5, 1.0]), [0, 1])[1].value == 0
    assert combined_rates(np.zeros((0, 2, 2)), np.ones(2), [0]) is None


class TestCodingRate:
    def test_it_is_the_closed_form_of_orthogonal_and_of_equal_vectors(self):
        apart, same = np.eye(3, 4), np.repeat(np.eye(1, 4), 3, axis=0)
        assert coding_rate(apart) == pytest.approx(1.5 * math.log(1 + 4 / (3 * DISTORTION)))
        assert coding_rate(same) == pytest.approx(0.5 * math.log(1 + 4 / DISTORTION))
        assert coding_rate(np.zeros((0, 4))) == 0

    def test_repetitions_come_last_and_the_preferred_of_equals_first(self):
        rows = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0.8, 0.6, 0], [0, 0, 1]])
        order = coding_order(rows, [4, 3, 2, 1, 0], 5)
        assert order[0] == 4
        assert set(order[:3]) & {2, 3}
        assert len(set(order[:3]) & {0, 1}) <= 1
        assert coding_order(rows, range(5), 5)[0] == 0

    def test_it_goes_by_the_words_of_statements(self):
        pool = pooled(
            "The objects have sharp edges",
            "The objects have sharp clean edges",
            "Every word of a caption is legible",
        )
        rows, space = embed_statements(pool, 0)
        assert "TF-IDF" in space or "embeddings" in space
        assert 2 in coding_order(rows, support_order(pool, 0), 2)


def test_support_orders_and_weighs_by_source_pairs():
    pool = pooled("a", "b", "c", pairs=(1, 40, 20))
    assert support_order(pool, 0) == [1, 2, 0]
    assert support_weights(pool).tolist() == [0.05, 1.0, 0.5]


def sees(request: CompareRequest):
    """Prefers the brighter image under each criterion but ``wrong`` ones; says nothing of ``blind`` ones."""
    verdict = bright(request)
    findings = []
    for criterion in (each for dimension in request.dimensions for each in dimension.criteria):
        side = verdict.preferred.other if "wrong" in criterion.statement else verdict.preferred
        answer = Answer.FIRST if side is Side.FIRST else Answer.SECOND
        blind = "blind" in criterion.statement
        findings.append(Finding(criterion.id, Answer.CANNOT_TELL if blind else answer))
    return replace(verdict, findings=tuple(findings))


class TestAsking:
    def ask(self, judge, pairs, drafts, **changes):
        return asyncio.run(ask_leads(JudgeSession(judge, retries=0), pairs, drafts, **changes))

    def test_leads_point_to_the_human_choice_whatever_the_order(self):
        drafts = [Draft("bright"), Draft("wrong"), Draft("blind")]
        pairs = [pair(0), pair(1, Label.B)]
        found = self.ask(ScriptedJudge(sees), pairs, drafts)
        assert found.values.tolist() == [[[1, -1, 0]] * 2, [[-1, 1, 0]] * 2]

    def test_one_request_asks_for_twenty_criteria(self):
        judge = ScriptedJudge(sees)
        drafts = [Draft(f"wrong {index}" if index in (3, 44) else f"bright {index}") for index in range(45)]
        found = self.ask(judge, [pair(0)], drafts)
        assert len(judge.requests) == 2 * 3
        assert [int(index) for index in np.flatnonzero(found.values[0, 0] < 0)] == [3, 44]

    def test_a_pair_without_an_answer_has_no_row(self):
        def sometimes(request):
            return FAILED if request.prompt == "picture 1" else sees(request)

        pairs = [pair(0), pair(1), pair(2, a=unreadable())]
        found = self.ask(ScriptedJudge(sometimes), pairs, [Draft("bright")])
        assert (len(found.values), found.missing) == (1, 2)
        with pytest.raises(InputError):
            self.ask(ScriptedJudge(sees), pairs, [Draft("bright")], strict=True)
        with pytest.raises(RunError, match="none of 1 pairs"):
            self.ask(ScriptedJudge(lambda _: FAILED), [pair(0)], [Draft("bright")])


def proposing(*statements):
    return lambda request: Proposal(Outcome.OK, tuple(Draft(each, dimension="Light") for each in statements))


def forty():
    return Pairs([pair(i, prompt=f"prompt {i // 2}") for i in range(40)])


class TestBuild:
    def test_greedy_chooses_on_pairs_that_nothing_was_learned_from(self):
        judge = ScriptedJudge(sees, proposes=proposing("It is bright", "It is light", "It is blind to it"))
        options = BuildOptions(select=Select.GREEDY, out=Path("mine.json"))
        report = build_rubric(options, judge=judge, pairs=forty())
        chosen = report.selection
        proposed = {each.prompt for each in judge.requests if isinstance(each, ProposeRequest)}
        assert (chosen.method, chosen.pool, chosen.kept) == (Select.GREEDY, 2, 1)
        assert (len(proposed), chosen.selection_pairs) == (10, 8)
        assert len(report.rubric) == 1
        # What the choice went by is no held-out pair of the rubric either.
        assert len(report.rubric.provenance.build_pairs) == 28
        assert report.rubric.provenance.options["select"] == "greedy"
        assert [row.criteria for row in chosen.rows] == [1]
        assert chosen.rows[0].seen.value == chosen.rows[0].held_out.value == 1.0
        saved = json.loads(Path(report.run, "report.json").read_text())
        assert saved["selection"]["rows"][0]["held_out"]["n"] == 12
        page = Path(report.run, "report.html").read_text(encoding="utf-8")
        assert "Accuracy against the number of criteria" in page

    @pytest.mark.parametrize("seed", range(4))
    def test_the_rates_are_those_of_the_criteria_kept(self, seed):
        held = {each.prompt for each in split_pairs(forty(), Task.T2I, holdout=0.3, seed=seed).held_out}

        def astray(request):
            said = sees(request)
            criteria = [each for dimension in request.dimensions for each in dimension.criteria]
            findings = tuple(
                replace(found, answer=Answer.SECOND if found.answer is Answer.FIRST else Answer.FIRST)
                if "odd" in criterion.statement and request.prompt in held
                else found
                for criterion, found in zip(criteria, said.findings, strict=True)
            )
            return replace(said, findings=findings)

        judge = ScriptedJudge(astray, proposes=proposing("It is bright", "Something odd"))
        options = BuildOptions(select=Select.MCR2, top=1, seed=seed)
        report = build_rubric(options, judge=judge, pairs=forty())
        kept = next(report.rubric.criteria()).statement
        (row,) = report.selection.rows
        assert row.held_out.value == row.both_right.value == float(kept == "It is bright")

    def test_a_second_start_asks_nothing_anew(self):
        def build(judge):
            build_rubric(BuildOptions(select=Select.GREEDY), judge=judge, pairs=forty())
            return judge.requests

        assert build(ScriptedJudge(sees))
        assert build(ScriptedJudge(sees)) == []

    def test_mcr2_keeps_the_varied_and_asks_of_the_held_out_alone(self):
        said = ("The sky is bright", "The bright sky is bright", "Colours look warm", "Edges look sharp")
        judge = ScriptedJudge(sees, proposes=proposing(*said))
        report = build_rubric(BuildOptions(select=Select.MCR2, top=3), judge=judge, pairs=forty())
        assert report.selection.selection_pairs == 0
        assert report.selection.rows[0].seen is None
        assert [row.criteria for row in report.selection.rows] == [1, 3]
        kept = {each.statement for each in report.rubric.criteria()}
        assert len(kept) == 3
        assert {"Colours look warm", "Edges look sharp"} < kept

    def test_without_it_all_are_kept_and_nothing_more_is_asked(self):
        plain, chosen = ScriptedJudge(sees), ScriptedJudge(sees)
        report = build_rubric(BuildOptions(out=Path("a.json")), judge=plain, pairs=forty())
        assert report.selection is None
        assert "select" not in report.rubric.provenance.options
        build_rubric(BuildOptions(select=Select.MCR2, out=Path("b.json")), judge=chosen, pairs=forty())
        assert len(chosen.requests) == len(plain.requests) + 2 * 12

    def test_a_forecast_counts_what_choosing_asks(self, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "none")

        def requests(select):
            options = BuildOptions(
                dataset="shapes-t2i:train?n=20", judge="openai:gpt-4o-mini", select=select, no_cache=True
            )
            return forecast_build(options).requests

        held_out, most = 6, 40
        plain = requests(Select.NONE)
        assert requests(Select.MCR2) - plain == held_out * 2 * most // AT_ONCE
        assert requests(Select.GREEDY) > plain

    def test_one_prompt_cannot_be_divided_and_sparse_chooses_by_itself(self):
        alike = Pairs([pair(i, prompt="one") for i in range(8)])
        with pytest.raises(InputError, match="cannot be divided"):
            build_rubric(
                BuildOptions(select=Select.GREEDY, holdout=0.0), judge=ScriptedJudge(sees), pairs=alike
            )
        with pytest.raises(InputError, match="--select mcr2 chooses among"):
            build_rubric(
                BuildOptions(select=Select.MCR2, method=Method.SPARSE),
                judge=ScriptedJudge(sees),
                pairs=forty(),
            )

    def test_a_rubric_without_held_out_pairs_has_no_rates_of_them(self):
        options = BuildOptions(select=Select.MCR2, holdout=0.0)
        report = build_rubric(options, judge=ScriptedJudge(sees), pairs=forty())
        assert all(row.held_out is None and row.support is None for row in report.selection.rows)
        assert report.held_out is None
