"""One call after the other through everything that stands before the wire, on virtual time."""

from __future__ import annotations

import asyncio
import random

import pytest
from fake_transport import FakeTransport, answer, ask, error, now, number_of, virtually

from arrkit.errors import RunError
from arrkit.judge.calls.cache import AnswerCache
from arrkit.judge.calls.caller import Caller
from arrkit.judge.calls.health import RESUME, Outage
from arrkit.judge.protocol import Usage
from arrkit.judge.transport import DecideRequest, ErrorKind, Finish, Question, TextPart


async def call_all(caller, numbers, window=64):
    """Call every number, at most ``window`` at a time, in order of arrival."""
    slots = asyncio.Semaphore(window)

    async def one(number):
        async with slots:
            return await caller.call(ask(number), parser="1")

    return await asyncio.gather(*map(one, numbers))


def test_an_answer_comes_through():
    async def work():
        caller = Caller(FakeTransport())
        called = await caller.call(ask(1), parser="1")
        await caller.aclose()
        return caller, called

    caller, called = virtually(work())
    assert (called.reply.text, called.error, called.attempts, called.cached) == ("answer 1", None, 1, False)
    assert caller.name == "fake:model"
    assert caller.totals.outcomes == {"stop": 1}
    assert caller.totals.fresh.tokens == 80
    assert caller.totals.cost is None  # nobody knows the price of "model"


def test_a_decision_goes_to_the_decision_endpoint():
    request = DecideRequest("rubric", (TextPart("item 3"),), (Question("q", "Is it?"),))

    async def work():
        transport = FakeTransport()
        called = await Caller(transport).call(request, parser="1")
        return transport, called

    transport, called = virtually(work())
    assert called.reply.text == "answer 3"
    assert transport.sent[0][1] is request


def test_retry_after_pauses_the_whole_lane():
    """Of 60 calls the 11th is told to wait 10 s: nothing is sent in that time, and all are answered."""

    def script(request, attempt):
        if number_of(request) == 10 and attempt == 1:
            return error(ErrorKind.RATE_LIMIT, retry_after=10.0, status=429)
        return answer()

    async def work():
        transport = FakeTransport(script)
        called = await call_all(Caller(transport, concurrency=8), range(60))
        return transport, called

    transport, called = virtually(work())
    assert all(each.reply is not None for each in called)
    assert len(transport.sent) == 61
    told = transport.times[10] + 0.2
    assert not [time for time in transport.times if told < time < told + 10 - 1e-6]
    assert called[10].attempts == 2
    assert called[10].waited == pytest.approx(10, abs=0.5)


def test_two_callers_of_one_model_pause_together():
    def script(request, attempt):
        throttled = number_of(request) == 0 and attempt == 1
        return error(ErrorKind.RATE_LIMIT, retry_after=10.0) if throttled else answer()

    async def work():
        transport = FakeTransport(script)
        other = FakeTransport(name="fake:model?seed=1")
        first = asyncio.create_task(Caller(transport).call(ask(0), parser="1"))
        await asyncio.sleep(0.5)
        await Caller(other).call(ask(1), parser="1")
        await first
        return other.times

    assert virtually(work()) == [pytest.approx(10.2)]


def test_a_storm_of_500s_is_weathered():
    """Half of all requests fail at random; six attempts for each call bring nearly all through."""
    draw = random.Random(1)

    def script(request, attempt):
        return error(ErrorKind.TRANSIENT, status=500) if draw.random() < 0.3 else answer()

    async def work():
        caller = Caller(FakeTransport(script), concurrency=16)
        return caller, await call_all(caller, range(300))

    caller, called = virtually(work())
    assert sum(each.reply is not None for each in called) >= 298
    assert max(each.attempts for each in called) <= 6
    assert caller.totals.requests == sum(each.attempts for each in called)
    assert caller.totals.retries == caller.totals.requests - 300
    assert caller.totals.outcomes["transient"] >= 60


def test_an_endpoint_that_always_fails_stops_the_run_after_twenty_calls():
    async def work():
        transport = FakeTransport(
            lambda *_: error(ErrorKind.TRANSIENT, "internal error", status=500, remedy="Look at its log")
        )
        with pytest.raises(RunError) as caught:
            await call_all(Caller(transport, concurrency=8), range(200), window=8)
        return transport, str(caught.value)

    transport, message = virtually(work())
    assert "20 calls failed the same way from the start (transient 500: internal error)" in message
    assert "Look at its log." in message
    assert RESUME in message
    assert len(transport.sent) <= 28 * 6


def test_failures_of_two_kinds_do_not_stop_the_run():
    def script(request, attempt):
        kind = ErrorKind.REFUSED if number_of(request) % 2 else ErrorKind.TOO_LARGE
        return error(kind)

    async def work():
        return await call_all(Caller(FakeTransport(script)), range(60))

    called = virtually(work())
    assert all(each.reply is None and each.attempts == 1 for each in called)
    assert called[1].error.kind is ErrorKind.REFUSED


def test_an_endpoint_that_goes_away_in_mid_run_stops_it():
    def script(request, attempt):
        return answer() if number_of(request) < 50 else error(ErrorKind.TRANSIENT, "gone")

    async def work():
        caller = Caller(FakeTransport(script))
        with pytest.raises(RunError, match="20 calls failed the same way in a row"):
            await call_all(caller, range(200), window=8)

    virtually(work())


def test_who_waited_for_an_outage_to_pass_may_ask_again():
    away = [True]

    def script(request, attempt):
        return error(ErrorKind.TRANSIENT, "gone") if away[0] else answer()

    async def work():
        caller = Caller(FakeTransport(script))
        for _ in range(2):  # the second time it has all its failures before it again
            calls = [caller.call(ask(number), parser="1") for number in range(30)]
            ends = await asyncio.gather(*calls, return_exceptions=True)
            assert any(isinstance(end, Outage) for end in ends)
            with pytest.raises(Outage):
                await caller.call(ask(1), parser="1")
            caller.revive()
            assert (await caller.call(ask(1), parser="1")).reply is None
        away[0] = False
        return await caller.call(ask(1), parser="1")

    assert virtually(work()).reply is not None


def test_a_wrong_key_is_no_outage_to_wait_for():
    async def work():
        caller = Caller(FakeTransport(lambda *_: error(ErrorKind.REJECTED, "who are you", status=401)))
        for _ in range(2):
            with pytest.raises(RunError, match="who are you"):
                await caller.call(ask(1), parser="1")
            caller.revive()
        return caller

    assert virtually(work()).totals.requests == 1


def test_refusals_that_stand_together_in_the_data_do_not_stop_a_run_under_way():
    def script(request, attempt):
        return answer() if number_of(request) < 5 else error(ErrorKind.REFUSED)

    async def work():
        return await call_all(Caller(FakeTransport(script)), range(100))

    assert sum(each.reply is None for each in virtually(work())) == 95


def test_a_model_that_refuses_everything_stops_the_run():
    def script(request, attempt):
        return answer("", finish=Finish.REFUSAL, refusal="I cannot")

    async def work():
        with pytest.raises(RunError, match="20 calls failed the same way"):
            await call_all(Caller(FakeTransport(script)), range(100))

    virtually(work())


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_name_stops_the_run_at_the_first_answer(status):
    async def work():
        transport = FakeTransport(
            lambda *_: error(ErrorKind.REJECTED, "no such model", status=status, remedy="Set OPENAI_API_KEY")
        )
        caller = Caller(transport, concurrency=4)
        with pytest.raises(RunError, match="no such model") as caught:
            await call_all(caller, range(50), window=4)
        with pytest.raises(RunError):  # and nobody is asked again
            await caller.call(ask(99), parser="1")
        return transport, str(caught.value)

    transport, message = virtually(work())
    assert len(transport.sent) <= 4
    assert "Set OPENAI_API_KEY. " in message


def test_a_key_that_is_revoked_in_mid_run_stops_it_at_once():
    def script(request, attempt):
        if number_of(request) < 20:
            return answer()
        return error(ErrorKind.REJECTED, "revoked", status=401)

    async def work():
        transport = FakeTransport(script)
        with pytest.raises(RunError, match="revoked"):
            await call_all(Caller(transport), range(100), window=1)
        return len(transport.sent)

    assert virtually(work()) == 21


def test_requests_that_are_wrong_stop_the_run_when_the_first_three_are():
    async def work():
        transport = FakeTransport(lambda *_: error(ErrorKind.REJECTED, "bad schema", status=400))
        with pytest.raises(RunError, match="the first 3 requests were rejected: bad schema"):
            await call_all(Caller(transport), range(50), window=1)
        return transport

    assert len(virtually(work()).sent) == 3


def test_one_bad_request_among_good_ones_is_only_its_own():
    def script(request, attempt):
        return error(ErrorKind.REJECTED, status=400) if number_of(request) == 0 else answer()

    async def work():
        return await call_all(Caller(FakeTransport(script)), range(50))

    assert [each.reply is None for each in virtually(work())].count(True) == 1


def test_an_exhausted_quota_stops_at_once_and_says_how_to_go_on():
    def script(request, attempt):
        return answer() if number_of(request) < 30 else error(ErrorKind.EXHAUSTED, "no credit left")

    async def work():
        transport = FakeTransport(script)
        with pytest.raises(RunError) as caught:
            await call_all(Caller(transport, concurrency=4), range(500), window=4)
        return transport, str(caught.value)

    transport, message = virtually(work())
    assert "the quota is used up: no credit left" in message
    assert RESUME in message
    assert len(transport.sent) <= 34


def test_a_wait_beyond_patience_is_an_exhausted_quota():
    async def work():
        transport = FakeTransport(lambda *_: error(ErrorKind.RATE_LIMIT, retry_after=86_400))
        with pytest.raises(RunError, match="wait of 86400 s"):
            await Caller(transport).call(ask(0), parser="1")
        return now()

    assert virtually(work()) == pytest.approx(0.2)


def test_a_call_that_breaks_the_transport_gives_its_place_back():
    def script(request, attempt):
        if number_of(request) == 0:
            raise ZeroDivisionError
        return answer()

    async def work():
        caller = Caller(FakeTransport(script), concurrency=1)
        with pytest.raises(ZeroDivisionError):
            await caller.call(ask(0), parser="1")
        assert (await caller.call(ask(1), parser="1")).reply is not None
        return caller.totals

    totals = virtually(work())
    assert (totals.doubtful, totals.doubtful_cost) == (1, None)


def test_a_cancelled_call_gives_its_place_back():
    async def work():
        caller = Caller(FakeTransport(), concurrency=1)
        calls = [asyncio.create_task(caller.call(ask(number), parser="1")) for number in range(4)]
        await asyncio.sleep(0.1)
        calls[0].cancel()  # being answered
        calls[2].cancel()  # waiting
        await asyncio.wait(calls)
        assert calls[1].result().reply is not None
        assert calls[3].result().reply is not None

    virtually(work())


def test_equal_calls_under_way_are_sent_once_with_a_cache(tmp_path):
    async def work(cache):
        transport = FakeTransport()
        caller = Caller(transport, cache=cache)
        called = await asyncio.gather(*(caller.call(ask(1), parser="1") for _ in range(5)))
        return transport, called, caller.totals

    cache = AnswerCache(tmp_path)
    transport, called, totals = virtually(work(cache))
    cache.close()
    assert len(transport.sent) == 1
    assert sorted(each.attempts for each in called) == [0, 0, 0, 0, 1]
    assert {each.reply.text for each in called} == {"answer 1"}
    assert totals.cached == 4


def test_who_waits_for_an_equal_call_that_is_cancelled_asks_by_itself(tmp_path):
    async def work(cache):
        transport = FakeTransport()
        caller = Caller(transport, cache=cache)
        first, second = (asyncio.create_task(caller.call(ask(1), parser="1")) for _ in range(2))
        await asyncio.sleep(0.1)
        first.cancel()
        return (await second).reply.text, len(transport.sent)

    cache = AnswerCache(tmp_path)
    assert virtually(work(cache)) == ("answer 1", 2)
    cache.close()


def test_what_is_kept_is_not_asked_again_and_nothing_else_is_kept(tmp_path):
    async def work(cache):
        transport = FakeTransport()
        caller = Caller(transport, cache=cache)
        for number in (1, 2):
            called = await caller.call(ask(number), parser="1")
            if number == 1:
                await caller.keep(ask(number), called.reply, parser="1")
        again = [await caller.call(ask(number), parser="1") for number in (1, 2)]
        other = await caller.call(ask(1), parser="2")
        return [each.cached for each in (*again, other)], again[0], caller.totals

    cache = AnswerCache(tmp_path)
    flags, kept, totals = virtually(work(cache))
    cache.close()
    assert flags == [True, False, False]
    assert (kept.attempts, kept.reply.usage) == (0, Usage(100, 20, 10, 4))
    assert (totals.requests, totals.cached) == (4, 1)
