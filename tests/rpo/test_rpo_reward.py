"""The referee: what two verdicts come to, and that no judge keeps a trainer waiting."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scripted import FIRST, SECOND, TIE, ScriptedJudge, bright

from arrkit.backends.registry import make_judge
from arrkit.data.pairs import ImageUnreadable, Label, Picture, Task
from arrkit.data.prompts import Prompt
from arrkit.errors import InputError, RunError
from arrkit.judge.calls.health import FIRST_ALIKE, Health, Outage
from arrkit.judge.calls.totals import CallTotals
from arrkit.judge.protocol import Answer, Draft, Finding, Outcome, Proposal, Usage, Verdict
from arrkit.judge.session import JudgeSession
from arrkit.judge.transport import ErrorKind, TransportError
from arrkit.rpo.reward import ALIKE, GAP, Candidates, FailureBudget, Referee, advantages, shown_source
from arrkit.rpo.ruling import Ruling, judging_metrics, no_ruling, rule, spending_metrics
from arrkit.rubric.files import read_rubric
from arrkit.runs.journal import Journal, read_records
from arrkit.serial import from_json, to_json
from arrkit.shapes.render import render
from arrkit.shapes.scene import Background, Colour, Scene, Shape, Thing

# A judge that blocks its thread for good leaves coroutines behind that nobody can await.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PROMPT = Prompt("p", Task.T2I, "picture")
SOON = 5.0


def image(value: int) -> Image.Image:
    return Image.new("RGB", (4, 4), (value, 0, 0))


def candidates(a: int = 200, b: int = 50, name: str = "pair", prompt: Prompt = PROMPT) -> Candidates:
    return Candidates(name, prompt, image(a), image(b))


def referee(judge, **options) -> Referee:
    journal = options.pop("journal", None)
    return Referee(JudgeSession(judge, journal, retries=0), **{"first_wait": 0.01, **options})


def rulings(judge, *pairs: Candidates, **options) -> list[Ruling]:
    with referee(judge, **options) as asked:
        return [future.result(SOON) for future in [asked.submit(each) for each in pairs]]


VERDICTS = {
    "first": FIRST,
    "second": SECOND,
    "tie": TIE,
    "abstain": Verdict(Outcome.ABSTAIN, detail="too dark"),
    "failed": Verdict(Outcome.FAILED, detail="out"),
}


class TestRule:
    @pytest.mark.parametrize(
        ("ab", "ba", "preferred", "consistent", "slot"),
        [
            ("first", "second", Label.A, True, (1, 2)),
            ("second", "first", Label.B, True, (1, 2)),
            ("first", "first", Label.TIE, False, (2, 2)),
            ("second", "second", Label.TIE, False, (0, 2)),
            ("tie", "tie", Label.TIE, True, (0, 0)),
            ("first", "tie", Label.TIE, False, (1, 1)),
            ("tie", "first", Label.TIE, False, (1, 1)),
            ("first", "abstain", None, None, (1, 1)),
            ("failed", "second", None, None, (0, 1)),
        ],
    )
    def test_both_orders_decide_together(self, ab, ba, preferred, consistent, slot):
        ruling = rule(VERDICTS[ab], VERDICTS[ba])
        assert (ruling.preferred, ruling.consistent) == (preferred, consistent)
        assert (ruling.first_slot, ruling.presentations) == slot

    @given(st.sampled_from(sorted(VERDICTS)), st.sampled_from(sorted(VERDICTS)))
    def test_exchanging_the_candidates_exchanges_the_ruling(self, ab, ba):
        one, other = rule(VERDICTS[ab], VERDICTS[ba]), rule(VERDICTS[ba], VERDICTS[ab])
        assert other.preferred == (one.preferred.swapped if one.preferred else None)
        worth = advantages(one, 1.0, -0.1)
        assert advantages(other, 1.0, -0.1) == (worth[::-1] if worth else None)

    def test_an_outage_is_named_before_other_trouble(self):
        ruling = rule(VERDICTS["abstain"], VERDICTS["failed"])
        assert (ruling.outcome, ruling.detail) == (Outcome.FAILED, "out")

    def test_findings_are_turned_round_and_averaged(self):
        def said(**answers: Answer) -> tuple[Finding, ...]:
            return tuple(Finding(name, answer) for name, answer in answers.items())

        ab = Verdict(
            Outcome.TIE, findings=said(x=Answer.FIRST, y=Answer.EQUAL, z=Answer.SECOND, n=Answer.CANNOT_TELL)
        )
        ba = Verdict(Outcome.TIE, findings=said(x=Answer.SECOND, y=Answer.FIRST, z=Answer.CANNOT_TELL))
        assert rule(ab, ba).findings == {"x": 1.0, "y": -0.5, "z": -1.0}

    def test_a_ruling_travels_as_json(self):
        ruling = rule(FIRST, SECOND, seconds=0.5)
        assert from_json(Ruling, to_json(ruling)) == ruling
        assert from_json(Ruling, to_json(no_ruling("out"))) == no_ruling("out")


class TestAdvantages:
    def test_the_paper_s_numbers(self):
        assert advantages(Ruling(Label.A), 1.0, -0.1) == (1.0, -0.1)
        assert advantages(Ruling(Label.B), 1.0, -0.1) == (-0.1, 1.0)

    def test_ties_and_failures_are_masked_and_not_zero(self):
        assert advantages(Ruling(Label.TIE), 1.0, -0.1) is None
        assert advantages(no_ruling("out"), 1.0, -0.1) is None


class TestBudget:
    def test_it_ends_a_run_with_the_last_reason(self):
        budget = FailureBudget(0.5, window=10)
        budget.add([Ruling(Label.A)] * 5 + [no_ruling("the disk hums\nand more")] * 5)
        budget.check()
        budget.add([no_ruling("the cat", outcome=Outcome.REFUSED)])
        with pytest.raises(RunError, match="6 of the last 10 pairs") as caught:
            budget.check()
        assert "5 failed, 1 refused" in str(caught.value)
        assert "The last reason: the cat." in str(caught.value)
        assert caught.value.resumable

    def test_ties_are_rulings_and_a_few_failures_at_the_start_are_no_share(self):
        budget = FailureBudget(0.0)
        budget.add([Ruling(Label.TIE)] * 20)
        budget.check()
        early = FailureBudget(0.0)
        early.add([no_ruling("out")] * 7)
        early.check()
        early.add([no_ruling("out")])
        with pytest.raises(RunError):
            early.check()

    def test_one_lets_everything_through(self):
        budget = FailureBudget(1.0)
        budget.add([no_ruling("out")] * 100)
        budget.check()


def test_metrics_leave_out_what_has_no_base():
    assert judging_metrics([no_ruling("out")]) == {"judge/pairs": 1, "judge/failures": 1, "judge/latency": 0}
    metrics = judging_metrics(
        [rule(FIRST, SECOND, seconds=1), rule(FIRST, FIRST, seconds=2), rule(TIE, TIE), no_ruling("out")]
    )
    assert metrics == {
        "judge/pairs": 4,
        "judge/failures": 1,
        "judge/tie_rate": pytest.approx(2 / 3),
        "judge/consistency": pytest.approx(2 / 3),
        "judge/first_rate": 0.75,
        "judge/latency": 0.75,
    }


def test_what_is_not_known_of_the_cost_is_left_out():
    totals = CallTotals()
    assert spending_metrics(totals) == {"judge/requests": 0, "judge/cached": 0, "judge/dollars": 0}
    totals.count("stop")
    totals.bill(Usage(100, 20, 7, 0, 1.0), 0.25)
    assert spending_metrics(totals) == {
        "judge/requests": 1,
        "judge/cached": 0,
        "judge/input_tokens": 100,
        "judge/output_tokens": 7,
        "judge/dollars": 0.25,
    }
    totals.count("stop")
    totals.bill(Usage(), None)
    assert spending_metrics(totals) == {"judge/requests": 2, "judge/cached": 0, "judge/dollars": 0.25}


class TestReferee:
    def test_the_better_image_wins_in_either_place(self):
        judge = ScriptedJudge()
        one, other = rulings(judge, candidates(200, 50), candidates(60, 210))
        assert (one.preferred, other.preferred) == (Label.A, Label.B)
        assert len(judge.requests) == 4
        assert judge.closed

    def test_a_judge_that_goes_by_the_order_yields_only_ties(self):
        for verdict in (FIRST, SECOND):
            judge = ScriptedJudge(compares=lambda request, said=verdict: said)
            found = rulings(judge, *(candidates(100 + n, n, str(n)) for n in range(20)))
            assert {each.preferred for each in found} == {Label.TIE}
            assert all(advantages(each, 1.0, -0.1) is None for each in found)

    def test_equal_images_are_a_tie_that_nobody_is_asked_about(self):
        judge = ScriptedJudge(compares=lambda request: FIRST)
        assert rulings(judge, candidates(7, 7))[0].preferred is Label.TIE
        assert judge.requests == []

    def test_submitting_does_not_wait_and_both_orders_are_under_way_together(self):
        gate, most, under_way = threading.Event(), [0], [0]

        class Slow(ScriptedJudge):
            async def compare(self, request):
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
                while not gate.is_set():
                    await asyncio.sleep(0.001)
                under_way[0] -= 1
                return bright(request)

        with referee(Slow(), window=2) as asked:
            futures = [asked.submit(candidates(200, n, str(n))) for n in range(10)]
            until = time.monotonic() + SOON
            while most[0] < 4 and time.monotonic() < until:
                time.sleep(0.001)
            time.sleep(0.02)
            assert not any(future.done() for future in futures)
            gate.set()
            assert {future.result(SOON).preferred for future in futures} == {Label.A}
        assert most[0] == 4

    def test_another_rubric_for_one_pair(self):
        judge = ScriptedJudge()
        rubric = read_rubric("shapes-t2i").dimensions
        with referee(judge) as asked:
            asked.submit(candidates(), dimensions=rubric).result(SOON)
        assert {request.dimensions for request in judge.requests} == {rubric}

    def test_verdicts_can_be_traced_in_the_journal(self, tmp_path):
        with Journal(tmp_path / "journal.jsonl") as journal:
            rulings(ScriptedJudge(), candidates(name="step-3/pair-1"), journal=journal)
        records = list(read_records(tmp_path / "journal.jsonl"))
        assert {(each["pair"], each["order"]) for each in records} == {
            ("step-3/pair-1", "ab"),
            ("step-3/pair-1", "ba"),
        }

    def test_the_embedded_judge_on_rendered_scenes(self):
        def scene(colour: Colour) -> Image.Image:
            return render(Scene((Thing(Shape.CIRCLE, colour, 0.5, 0.5, 0.4),), Background.SKY), 96)

        prompt = Prompt("p", Task.T2I, "a red circle")
        pair = Candidates("p", prompt, scene(Colour.BLUE), scene(Colour.RED))
        rubric = read_rubric("shapes-t2i").dimensions
        (ruling,) = rulings(make_judge("shapes"), pair, dimensions=rubric)
        assert ruling.preferred is Label.B
        assert min(ruling.findings.values()) == -1.0


def exit_once(judge):
    """Raise SystemExit the first time: again, it would break off the loop's own cleaning up too."""
    if not hasattr(judge, "exited"):
        judge.exited = True
        raise SystemExit(3)


class TestTrouble:
    def test_a_judge_that_raises_spoils_its_pair_alone(self):
        def sometimes(request):
            if request.prompt == "bad":
                raise ValueError("no such thing")
            return bright(request)

        bad = Prompt("b", Task.T2I, "bad")
        one, other = rulings(ScriptedJudge(compares=sometimes), candidates(prompt=bad), candidates())
        assert (one.preferred, one.outcome, one.detail) == (None, Outcome.FAILED, "ValueError: no such thing")
        assert other.preferred is Label.A

    @pytest.mark.parametrize("junk", [None, 7, "first", {"preferred": "first"}])
    def test_junk_is_no_ruling(self, junk):
        (ruling,) = rulings(ScriptedJudge(compares=lambda request: junk), candidates())
        assert (ruling.preferred, ruling.outcome) == (None, Outcome.FAILED)

    def test_a_judge_that_hangs_runs_out_of_time(self):
        class Hangs(ScriptedJudge):
            async def compare(self, request):
                await asyncio.sleep(3600)

        (ruling,) = rulings(Hangs(), candidates(), timeout=0.05)
        assert (ruling.outcome, ruling.detail) == (Outcome.FAILED, "no answer in 0.05 s")

    def test_closing_ends_what_is_under_way(self):
        class Hangs(ScriptedJudge):
            async def compare(self, request):
                await asyncio.sleep(3600)

        judge = Hangs()
        asked = referee(judge)
        future = asked.submit(candidates())
        time.sleep(0.05)
        began = time.monotonic()
        asked.close()
        assert time.monotonic() - began < 2
        with pytest.raises(RunError, match="closed with work under way"):
            future.result(0)
        assert judge.closed
        with pytest.raises(RunError, match="has ended"):
            asked.submit(candidates())
        asked.close()
        assert not any(thread.name == "arrkit-referee" for thread in threading.enumerate())

    @pytest.mark.filterwarnings("ignore:Exception in thread arrkit-referee")
    def test_a_loop_that_dies_leaves_nobody_waiting(self):
        class Exits(ScriptedJudge):
            async def compare(self, request):
                exit_once(self)
                await asyncio.sleep(SOON)

        with referee(Exits()) as asked, pytest.raises(RunError):
            asked.submit(candidates()).result(SOON)

    @pytest.mark.filterwarnings("ignore:Exception in thread arrkit-referee")
    @pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
    def test_nor_does_one_that_dies_before_it_begins_with_a_pair(self):
        busy = threading.Event()

        class Exits(ScriptedJudge):
            async def compare(self, request):
                busy.set()
                time.sleep(0.1)
                exit_once(self)
                await asyncio.sleep(SOON)

        with referee(Exits()) as asked:
            first = asked.submit(candidates())
            busy.wait(SOON)
            second = asked.submit(candidates(201, 51))
            assert isinstance(first.exception(SOON), RunError)
            assert isinstance(second.exception(SOON), RunError)

    def test_an_unreadable_source_spoils_its_pair_and_is_no_outage(self):
        def gone():
            raise ImageUnreadable("gone.png does not exist")

        prompt = Prompt("e", Task.EDIT, "make it red", (Picture("gone.png", gone),))
        found = rulings(ScriptedJudge(), *(candidates(9 + n, n, prompt=prompt) for n in range(ALIKE + 2)))
        assert {each.detail for each in found} == {"gone.png does not exist"}

    def test_what_stops_one_pair_for_good_stops_all(self):
        def broke(request):
            raise RunError("the money is spent")

        with referee(ScriptedJudge(compares=broke)) as asked:
            for _ in range(2):
                with pytest.raises(RunError, match="the money is spent"):
                    asked.submit(candidates()).result(SOON)


class Flaky(ScriptedJudge):
    """Fails while ``down`` is set; remembers how often it was asked in that time."""

    def __init__(self) -> None:
        super().__init__()
        self.down = threading.Event()
        self.refused = 0

    async def compare(self, request):
        await asyncio.sleep(0)
        if self.down.is_set():
            self.refused += 1
            return Verdict(Outcome.FAILED, detail="connection refused")
        return bright(request)


class TestOutage:
    def test_a_judge_that_comes_back_is_waited_for(self):
        judge, said = Flaky(), []
        judge.down.set()
        with referee(judge, window=4, notice=said.append) as asked:
            futures = [asked.submit(candidates(200, n, str(n))) for n in range(30)]
            while not said:
                time.sleep(0.001)
            judge.down.clear()
            found = [future.result(SOON) for future in futures]
        lost = sum(each.preferred is None for each in found)
        assert lost < ALIKE
        assert sum(each.preferred is Label.A for each in found) == 30 - lost
        assert said == ["scripted is down (connection refused): waiting for it", "scripted is back"]
        assert asked.paused > 0

    def test_one_that_stays_away_ends_every_future(self):
        judge = Flaky()
        judge.down.set()
        with referee(judge, patience=0.1) as asked:
            futures = [asked.submit(candidates(200, n, str(n))) for n in range(20)]
            ends = [future.exception(SOON) for future in futures]
            lost = [future for future, end in zip(futures, ends, strict=True) if end is None]
            assert len(lost) < ALIKE
            error = next(end for end in ends if end is not None)
            assert isinstance(error, RunError)
            assert error.resumable
            assert "did not come back in 0.1 s: connection refused" in str(error)
            assert "--resume" in str(error)
            with pytest.raises(RunError, match="did not come back"):
                asked.submit(candidates()).result(SOON)

    def test_looks_become_rarer(self):
        asked_for = [0]

        def gone(request):
            asked_for[0] += 1
            raise Outage("gone")

        with referee(ScriptedJudge(compares=gone), patience=0.7, first_wait=0.1) as asked:
            assert isinstance(asked.submit(candidates()).exception(SOON), RunError)
        # Both orders of the pair, then looks after 0.1, 0.3 and 0.7 s, perhaps one more at the end.
        assert 4 <= asked_for[0] <= 6

    def test_after_it_came_back_one_failure_is_one_failure(self):
        judge, said = Flaky(), []
        judge.down.set()
        with referee(judge, notice=said.append) as asked:
            futures = [asked.submit(candidates(200, n, str(n))) for n in range(ALIKE)]
            while not said:
                time.sleep(0.001)
            judge.down.clear()
            for future in futures:
                future.result(SOON)
            judge.down.set()
            assert asked.submit(candidates(201, 3)).result(SOON).preferred is None
        assert len(said) == 2

    def test_pairs_that_always_fail_do_not_pass_for_an_outage_without_end(self):
        said: list[str] = []
        failed = Verdict(Outcome.FAILED, detail="too large")
        judge = ScriptedJudge(compares=lambda each: failed if each.prompt == PROMPT.text else bright(each))
        with referee(judge, window=1, notice=said.append) as asked:
            futures = [asked.submit(candidates(200, n, str(n))) for n in range(2 * ALIKE)]
            assert {future.result(SOON).detail for future in futures} == {"too large"}
        assert sum("is down" in each for each in said) == 2

    def test_a_caller_that_gave_up_is_revived(self):
        judge = Flaky()
        stopped = [Outage("vllm:x: 20 calls failed the same way")]

        def compares(request):
            if stopped:
                raise stopped[0]
            return bright(request)

        judge = ScriptedJudge(compares=compares)
        with referee(judge, revive=stopped.clear) as asked:
            found = [asked.submit(candidates(200, n, str(n))) for n in range(5)]
            assert {future.result(SOON).preferred for future in found} == {Label.A}

    def test_an_outage_of_an_endpoint_is_told_from_a_request_it_rejects(self):
        def stopped_by(kind: ErrorKind, status: int) -> RunError | None:
            health = Health("x")
            ends = [health.failed(TransportError(kind, "no", status=status)) for _ in range(FIRST_ALIKE)]
            return next((end for end in ends if end is not None), None)

        assert isinstance(stopped_by(ErrorKind.TRANSIENT, 503), Outage)
        assert not isinstance(stopped_by(ErrorKind.REJECTED, 400), Outage)


class TestCanary:
    def test_a_judge_that_is_up(self):
        judge = ScriptedJudge()
        with referee(judge) as asked:
            asked.check()
            asked.check(Task.EDIT)
            asked.check()
        assert [len(request.sources) for request in judge.requests] == [0, 1, 0]
        # Drawn anew each time, or a cache would answer for a judge that is down.
        assert len({request.first.digest for request in judge.requests}) == 3

    def test_the_embedded_judge_abstains_on_a_drawing_and_is_up(self):
        with referee(make_judge("shapes"), dimensions=read_rubric("shapes-t2i").dimensions) as asked:
            asked.check()

    def test_no_answer_of_an_earlier_start_can_stand_in(self, tmp_path):
        judge = Flaky()
        for down in (False, True):
            if down:
                judge.down.set()
            with Journal(tmp_path / "journal.jsonl") as journal, referee(judge, journal=journal) as asked:
                if down:
                    with pytest.raises(RunError):
                        asked.check()
                else:
                    asked.check()

    def test_one_that_is_down_is_refused_in_a_sentence(self):
        judge = Flaky()
        judge.down.set()
        with referee(judge) as asked, pytest.raises(RunError) as caught:
            asked.check()
        assert str(caught.value).splitlines() == [
            "scripted gives no verdict on two drawings: connection refused",
            "  See to it that it is up, or name another one with --judge. Nothing was loaded.",
        ]

    def test_one_that_raises_an_error_of_ours_says_it(self):
        def wrong(request):
            raise InputError("the key is wrong")

        with referee(ScriptedJudge(compares=wrong)) as asked, pytest.raises(InputError, match="the key"):
            asked.check()


class Author(ScriptedJudge):
    """Writes criteria for prompts, and remembers for which."""

    def __init__(self, *proposals: Proposal) -> None:
        findings = (Finding("c1", Answer.EQUAL),)
        super().__init__(compares=lambda request: replace(bright(request), findings=findings))
        self.proposals = list(proposals)
        self.asked_for: list[str] = []

    async def zero_shot(self, request):
        self.asked_for.append(request.prompt)
        if self.proposals:
            return self.proposals.pop(0)
        return Proposal(Outcome.OK, (Draft(f"It shows {request.prompt}."),) * request.count)


class TestZeroShot:
    def test_criteria_are_written_once_for_each_prompt(self):
        judge = Author()
        prompts = [Prompt(str(n), Task.T2I, f"picture {n}") for n in range(2)]
        pairs = [candidates(200, n, str(n), prompts[n % 2]) for n in range(6)]
        found = rulings(judge, *pairs, zero_shot=3)
        assert sorted(judge.asked_for) == ["picture 0", "picture 1"]
        assert {len(request.dimensions[0].criteria) for request in judge.requests} == {3}
        assert {each.preferred for each in found} == {Label.A}
        assert not any(each.findings for each in found)

    def test_without_criteria_there_is_no_ruling_and_they_are_asked_for_again(self):
        judge = Author(Proposal(Outcome.REFUSED, detail="not that"))
        with referee(judge, zero_shot=2) as asked:
            first = asked.submit(candidates()).result(SOON)
            second = asked.submit(candidates()).result(SOON)
        assert (first.preferred, first.outcome) == (None, Outcome.REFUSED)
        assert first.detail == "no criteria for the prompt: not that"
        assert second.preferred is Label.A

    def test_a_judge_that_cannot_is_refused_at_once(self):
        with pytest.raises(InputError, match="writes no criteria"):
            referee(ScriptedJudge(), zero_shot=2)


def test_several_sources_are_shown_as_one_row():
    def source(width: int, height: int) -> Picture:
        return Picture(f"{width}.png", lambda: Image.new("RGB", (width, height), (9, 9, 9)))

    assert shown_source(PROMPT) is None
    one = source(10, 20)
    assert shown_source(Prompt("e", Task.EDIT, "x", (one,))) is one
    row = shown_source(Prompt("e", Task.EDIT, "x", (one, source(40, 40))))
    assert row is not None
    assert row.load().size == (10 + GAP + 20, 20)


def test_many_threads_may_submit():
    judge = ScriptedJudge()
    found: list[Ruling] = []
    with referee(judge, window=3) as asked:

        def work(number: int) -> None:
            rng = random.Random(number)
            for n in range(10):
                found.append(asked.submit(candidates(200, rng.randrange(200), f"{number}/{n}")).result(SOON))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [each.preferred for each in found] == [Label.A] * 40
