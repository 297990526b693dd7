"""How fast a lane lets requests pass, on virtual time."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from fake_transport import FakeTransport, VirtualLoop, answer, ask, error, now, virtually
from hypothesis import given, settings
from hypothesis import strategies as st

from arrkit.judge.calls.caller import Caller
from arrkit.judge.calls.limiter import FIRST_WIDTH, Bucket, Lane, lane
from arrkit.judge.protocol import Usage
from arrkit.judge.transport import ErrorKind


async def drive(way, sizes, seconds=0.2):
    """Send requests of these sizes through ``way``, all waiting from the start; when each was sent."""
    sent = []

    async def one(size):
        ticket = await way.enter(size)
        sent.append((ticket.sent, size))
        await asyncio.sleep(seconds)
        way.leave(ticket, healthy=True)

    await asyncio.gather(*map(one, sizes))
    return sent


def fullest_minute(sent):
    """The most that was sent in any 60 s, by sizes."""
    return max(sum(size for time, size in sent if start <= time < start + 60 - 1e-6) for start, _ in sent)


def test_concurrency_grows_to_the_cap_while_answers_come():
    async def work():
        transport = FakeTransport(latency=0.2)
        caller = Caller(transport, concurrency=32)
        await asyncio.gather(*(caller.call(ask(number), parser="1") for number in range(640)))
        return transport

    transport = virtually(work())
    assert transport.most == 32
    assert len([time for time in transport.times if time < 0.1]) == FIRST_WIDTH
    # The ideal is 20 rounds of 0.2 s; growing costs two or three more.
    assert transport.times[-1] <= 0.2 * 23


def test_a_single_place_is_never_shared():
    async def work():
        transport = FakeTransport()
        caller = Caller(transport, concurrency=1)
        await asyncio.gather(*(caller.call(ask(number), parser="1") for number in range(20)))
        return transport.most

    assert virtually(work()) == 1


def test_concurrency_settles_where_the_endpoint_stops_throttling():
    """An endpoint that serves ten at once and throttles the rest, without a hint."""
    running = 0

    async def script(request, attempt):
        nonlocal running
        if running >= 10:
            return error(ErrorKind.RATE_LIMIT)
        running += 1
        await asyncio.sleep(0.5)
        running -= 1
        return answer()

    async def work():
        transport = FakeTransport(script, latency=0)
        caller = Caller(transport, concurrency=64)
        called = await asyncio.gather(*(caller.call(ask(number), parser="1") for number in range(800)))
        return called, caller.totals, now()

    called, totals, seconds = virtually(work())
    assert all(each.reply is not None for each in called)
    assert totals.outcomes["rate_limit"] < 100
    assert seconds < 0.5 * 800 / 10 * 1.6


def test_one_burst_of_throttling_shrinks_once():
    async def work():
        way = Lane(16)
        way.width = 16.0
        tickets = [await way.enter() for _ in range(16)]
        await asyncio.sleep(1)
        for ticket in tickets[:8]:
            way.leave(ticket, throttled=True)
        first = way.width
        late = await way.enter() if way.running < way.width else None
        for ticket in tickets[8:]:
            way.leave(ticket, throttled=True)
        return first, way.width, late

    first, last, _ = virtually(work())
    assert (first, last) == (8.0, 8.0)


def test_width_never_falls_below_one():
    async def work():
        way = Lane(4)
        for _ in range(10):
            ticket = await way.enter()
            await asyncio.sleep(1)
            way.leave(ticket, throttled=True)
        return way.width

    assert virtually(work()) == 1.0


def test_a_retried_request_goes_before_those_that_wait():
    async def work():
        way, order = Lane(1), []
        first = await way.enter()

        async def one(name, again):
            ticket = await way.enter(again=again)
            order.append(name)
            way.leave(ticket)

        tasks = [asyncio.create_task(one("new", False)), asyncio.create_task(one("again", True))]
        await asyncio.sleep(0.1)
        way.leave(first)
        await asyncio.gather(*tasks)
        return order

    assert virtually(work()) == ["again", "new"]


@given(rpm=st.integers(1, 600), count=st.integers(1, 300))
@settings(max_examples=40)
def test_no_minute_holds_more_requests_than_rpm(rpm, count):
    async def work():
        way = Lane(64, rpm=rpm)
        way.open_wide()
        return await drive(way, [1.0] * count)

    sent = virtually(work())
    assert len(sent) == count
    assert fullest_minute([(time, 1) for time, _ in sent]) <= rpm
    # And the limit is used: at most two per cent, and a second, are lost.
    assert sent[-1][0] <= (count - 1) * 60 / rpm * 1.03 + 1


@given(st.integers(100, 100_000), st.lists(st.floats(0.002, 0.5), min_size=1, max_size=80))
@settings(max_examples=40)
def test_no_minute_holds_more_tokens_than_tpm(tpm, shares):
    async def work():
        way = Lane(64, tpm=tpm)
        way.open_wide()
        return await drive(way, [share * tpm for share in shares])

    sent = virtually(work())
    assert len(sent) == len(shares)
    assert fullest_minute(sent) <= tpm * (1 + 1e-6)


def test_a_request_larger_than_a_minute_is_sent_all_the_same():
    async def work():
        return len(await drive(Lane(4, tpm=100), [50.0, 500.0, 50.0]))

    assert virtually(work()) == 3


def test_tokens_are_corrected_by_what_was_measured():
    """Replies report ten times the tokens that were estimated, so the flow slows to a tenth."""

    async def work():
        transport = FakeTransport(
            lambda *_: answer(usage=Usage(input_tokens=5000, cached_tokens=0, output_tokens=0))
        )
        caller = Caller(transport, tpm=60_000, concurrency=1)
        await asyncio.gather(*(caller.call(ask(number), parser="1") for number in range(60)))
        return transport.times[-1]

    assert virtually(work()) > 0.8 * 60 * 5000 / 60_000 * 60


def test_rpm_holds_through_a_caller():
    async def work():
        transport = FakeTransport(latency=0.1)
        caller = Caller(transport, rpm=30, concurrency=50)
        await asyncio.gather(*(caller.call(ask(number), parser="1") for number in range(90)))
        return transport.times

    assert fullest_minute([(time, 1) for time in virtually(work())]) <= 30


def test_the_bucket_gives_tokens_back():
    bucket = Bucket(600, 0.0)
    bucket.take(10, 0.0)
    assert bucket.wait(10, 0.0) > 0.9
    bucket.take(-10, 0.0)
    assert bucket.wait(10, 0.0) == 0


def test_lanes_are_shared_by_endpoint_and_model_and_the_stricter_limit_holds():
    async def work():
        one = lane("host", "a", cap=4, rpm=100)
        assert lane("host", "a", cap=9, rpm=10) is one
        assert lane("host", "b", cap=4) is not one
        assert lane("other", "a", cap=4) is not one
        assert one.cap == 9
        return len([time for time, _ in await drive(one, [1.0] * 12) if time < 59])

    assert virtually(work()) <= 10


def test_lanes_do_not_outlive_their_loop():
    loop = VirtualLoop()
    seen = []

    async def work():
        await Caller(FakeTransport()).call(ask(1), parser="1")
        seen.append(weakref.ref(lane("fake.example", "model", cap=1)))

    loop.run_until_complete(work())
    loop.close()
    del loop
    gc.collect()
    assert seen[0]() is None


def test_a_pause_is_never_shortened():
    async def work():
        way = Lane(2)
        way.pause(10)
        way.pause(3)
        return (await way.enter()).sent

    assert virtually(work()) == pytest.approx(10)


def test_a_place_given_to_someone_who_left_in_that_moment_is_not_lost():
    async def work():
        way = Lane(1)
        first = await way.enter()
        waiting = asyncio.create_task(way.enter())
        await asyncio.sleep(0.1)
        way.leave(first)  # the place goes to the one who waits ...
        waiting.cancel()  # ... and who is gone before it hears of it
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert way.running == 0

    virtually(work())
