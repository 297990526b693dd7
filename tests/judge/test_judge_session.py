"""A session asks once, keeps answers, retries outages and lets nothing through but outcomes."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest
from scripted import FAILED, FIRST, ScriptedJudge, pair, unreadable

from arrkit.data.pairs import ImageUnreadable
from arrkit.errors import RunError
from arrkit.judge import session as session_module
from arrkit.judge.protocol import Order, Outcome, Verdict, compare_request
from arrkit.judge.session import JudgeSession
from arrkit.runs.journal import Journal, read_records


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(session_module, "RETRY_SECONDS", 0.0)


def ask(judge, journal=None, *, times=1, **options):
    async def work():
        session = JudgeSession(judge, journal, **options)
        request = compare_request(pair(1), Order.AB, ())
        return [await session.compare(request, pair="pair-1") for _ in range(times)], session

    with nullcontext() if journal is None else journal:
        return asyncio.run(work())


def test_an_answer_is_kept_for_the_next_start(tmp_path):
    judge = ScriptedJudge()
    ask(judge, Journal(tmp_path / "j.jsonl"))
    [verdict], session = ask(judge, Journal(tmp_path / "j.jsonl"))
    assert verdict == FIRST
    assert (session.asked, session.replayed, len(judge.requests)) == (0, 1, 1)
    [record] = read_records(tmp_path / "j.jsonl")
    assert (record["op"], record["pair"]) == ("compare", "pair-1")


def test_another_judge_is_asked_anew(tmp_path):
    ask(ScriptedJudge(), Journal(tmp_path / "j.jsonl"))
    other = ScriptedJudge(name="scripted?seed=2")
    _, session = ask(other, Journal(tmp_path / "j.jsonl"))
    assert session.asked == 1


@pytest.mark.parametrize("outcome", [o for o in Outcome if not o.settled])
def test_an_answer_that_settles_nothing_is_asked_again_at_the_next_start(tmp_path, outcome):
    judge = ScriptedJudge(compares=lambda request: Verdict(outcome, detail="no"))
    ask(judge, Journal(tmp_path / "j.jsonl"), retries=0)
    _, session = ask(judge, Journal(tmp_path / "j.jsonl"), retries=0)
    assert session.asked == 1


def test_an_outage_is_retried_and_a_refusal_is_not():
    answers = iter([FAILED, FAILED, FIRST])
    [verdict], _ = ask(ScriptedJudge(compares=lambda request: next(answers)), retries=2)
    assert verdict == FIRST
    refusing = ScriptedJudge(compares=lambda request: Verdict(Outcome.REFUSED, detail="policy"))
    ask(refusing, retries=2)
    assert len(refusing.requests) == 1


def test_what_a_judge_raises_is_a_failed_call_with_its_words():
    def broken(request):
        raise KeyError("choices")

    [verdict], session = ask(ScriptedJudge(compares=broken), retries=1)
    assert verdict.outcome is Outcome.FAILED
    assert "KeyError" in verdict.detail
    assert session.outcomes[Outcome.FAILED] == 1


def test_an_error_of_arrkit_stops_the_run():
    def exhausted(request):
        raise RunError("the quota is used up")

    with pytest.raises(RunError, match="quota"):
        ask(ScriptedJudge(compares=exhausted))


def test_an_unreadable_image_is_the_callers_matter():
    async def work():
        session = JudgeSession(ScriptedJudge())
        await session.compare(compare_request(pair(1, a=unreadable()), Order.AB, ()))

    with pytest.raises(ImageUnreadable, match=r"gone\.png"):
        asyncio.run(work())


def test_no_more_requests_are_under_way_than_allowed():
    running = most = 0

    class Slow(ScriptedJudge):
        async def compare(self, request):
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.001)
            running -= 1
            return FIRST

    async def work():
        session = JudgeSession(Slow(), concurrency=3)
        await asyncio.gather(*(session.compare(compare_request(pair(i), Order.AB, ())) for i in range(20)))

    asyncio.run(work())
    assert most == 3


def test_a_twin_of_an_unreadable_question_hears_the_same_reason():
    async def work():
        class Late(ScriptedJudge):
            async def compare(self, request):
                await asyncio.sleep(0)
                raise ImageUnreadable("torn.png is cut off")

        session = JudgeSession(Late())
        twins = (session.compare(compare_request(pair(1), Order.AB, ())) for _ in range(2))
        return await asyncio.gather(*twins, return_exceptions=True)

    assert [str(error) for error in asyncio.run(work())] == ["torn.png is cut off"] * 2
