"""Batches behind the same interface, on virtual time."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from fake_transport import FakeTransport, answer, ask, error, number_of, virtually

from arrkit.errors import RunError
from arrkit.judge.calls.batcher import Batcher
from arrkit.judge.calls.caller import Caller
from arrkit.judge.calls.health import RESUME
from arrkit.judge.calls.limiter import FIRST_WIDTH
from arrkit.judge.calls.money import Price, PriceList
from arrkit.judge.protocol import Usage
from arrkit.judge.transport import BatchStatus, DecideRequest, ErrorKind, Finish, Question, TextPart

PRICES = PriceList({"model": Price(2.0, 8.0, tiers={"batch": 0.5, "default": 1.0})})


def batched(transport, path, **options):
    return Caller(
        Batcher(transport, path / "batches.jsonl", **options), concurrency=1000, wide=True, prices=PRICES
    )


async def call_all(caller, numbers):
    return await asyncio.gather(*(caller.call(ask(number), parser="1") for number in numbers))


def lines(path):
    return [json.loads(line) for line in (path / "batches.jsonl").read_text().splitlines()]


def test_calls_that_come_together_travel_together(tmp_path):
    async def work():
        transport = FakeTransport()
        caller = batched(transport, tmp_path)
        called = await call_all(caller, range(50))
        await caller.aclose()
        return transport, caller, called

    transport, caller, called = virtually(work())
    assert [each.reply.text for each in called] == [f"answer {number}" for number in range(50)]
    assert transport.sent == []
    assert [len(requests) for _, requests in transport.batches.values()] == [50]
    assert transport.closed
    assert caller.name == "fake:model"
    assert called[0].reply.tier == "batch"
    assert caller.totals.cost == pytest.approx(50 * (100 * 2 + 10 * 8) / 1e6 / 2)


def test_polls_grow_apart(tmp_path):
    async def work():
        transport = FakeTransport(batch_seconds=3600)
        await call_all(batched(transport, tmp_path), range(2))
        return [time for time, _ in transport.collected]

    times = virtually(work())
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits[0] == pytest.approx(5)
    assert waits == sorted(waits)
    assert max(waits) == pytest.approx(300)


def test_a_full_queue_does_not_wait(tmp_path):
    async def work():
        transport = FakeTransport()
        await call_all(batched(transport, tmp_path, most_requests=20), range(50))
        return transport

    batches = virtually(work()).batches
    assert [len(requests) for _, requests in batches.values()] == [20, 20, 10]
    assert [began for began, _ in batches.values()] == [0, 0, 2]


def test_equal_calls_are_handed_in_once(tmp_path):
    async def work():
        transport = FakeTransport()
        called = await call_all(batched(transport, tmp_path), [1, 1, 1])
        return transport, called

    transport, called = virtually(work())
    assert [len(requests) for _, requests in transport.batches.values()] == [1]
    assert all(each.reply.text == "answer 1" for each in called)


def test_the_batch_stands_in_the_file_before_it_is_looked_at(tmp_path):
    @dataclass
    class Looking(FakeTransport):
        seen: list = field(default_factory=list)

        async def collect(self, batch):
            self.seen.append(lines(tmp_path)[-1])
            return await super().collect(batch)

    async def work():
        transport = Looking()
        await call_all(batched(transport, tmp_path), range(3))
        return transport.seen[0]

    seen = virtually(work())
    assert seen["batch"] == "batch-0"
    assert len(seen["keys"]) == 3


def test_a_killed_run_collects_what_it_has_paid_for(tmp_path):
    async def work():
        transport = FakeTransport(batch_seconds=1000)
        first = batched(transport, tmp_path)
        calls = asyncio.create_task(call_all(first, range(30)))
        await asyncio.sleep(50)
        calls.cancel()  # and nothing is closed, as if the process were gone
        await asyncio.wait([calls])

        second = batched(transport, tmp_path)
        called = await call_all(second, range(40))
        await second.aclose()
        return transport, called

    transport, called = virtually(work())
    assert [each.reply.text for each in called] == [f"answer {number}" for number in range(40)]
    assert [len(requests) for _, requests in transport.batches.values()] == [30, 10]
    assert lines(tmp_path)[-1].get("answered")


def test_a_run_that_was_stopped_in_good_order_collects_too(tmp_path):
    async def work():
        transport = FakeTransport(batch_seconds=1000)
        for pause in (50, 2000):
            caller = batched(transport, tmp_path)
            calls = asyncio.create_task(call_all(caller, range(5)))
            await asyncio.wait([calls], timeout=pause)
            calls.cancel()
            await asyncio.wait([calls])
            await caller.aclose()
        return transport, calls

    transport, calls = virtually(work())
    assert len(transport.batches) == 1
    assert len(calls.result()) == 5


def test_answers_that_were_used_are_not_used_again(tmp_path):
    """What an orderly run did not keep was no good: the next run asks anew."""

    async def work():
        transport = FakeTransport(lambda _, attempt: answer(f"attempt {attempt}"))
        texts = []
        for _ in range(2):
            caller = batched(transport, tmp_path)
            texts += [each.reply.text for each in await call_all(caller, [1])]
            await caller.aclose()
        return texts, len(transport.batches)

    assert virtually(work()) == (["attempt 1", "attempt 2"], 2)


def test_an_expired_batch_keeps_its_finished_part(tmp_path):
    @dataclass
    class Expiring(FakeTransport):
        async def collect(self, batch):
            status = await super().collect(batch)
            if status.done and batch == "batch-0":
                part = dict(list(status.replies.items())[:7])
                return BatchStatus(True, "expired", part)
            return status

    async def work():
        transport = Expiring()
        caller = batched(transport, tmp_path)
        return transport, await call_all(caller, range(10)), caller.totals

    transport, called, totals = virtually(work())
    assert all(each.reply is not None for each in called)
    assert [len(requests) for _, requests in transport.batches.values()] == [10, 3]
    assert totals.doubtful == 0


def test_a_batch_that_fails_as_a_whole_stops_the_run(tmp_path):
    @dataclass
    class Failing(FakeTransport):
        async def collect(self, batch):
            return BatchStatus(True, "failed")

    async def work():
        transport = Failing()
        with pytest.raises(RunError, match=r"batch batch-0 ended \(failed\) without answers"):
            await call_all(batched(transport, tmp_path), range(10))
        return transport

    assert len(virtually(work()).batches) == 1


def test_a_batch_that_is_too_large_is_halved(tmp_path):
    @dataclass
    class Small(FakeTransport):
        async def submit(self, requests):
            if len(requests) > 4:
                raise error(ErrorKind.TOO_LARGE)
            return await super().submit(requests)

    async def work():
        transport = Small()
        called = await call_all(batched(transport, tmp_path), range(10))
        return transport, called

    transport, called = virtually(work())
    assert all(each.reply is not None for each in called)
    assert sorted(len(requests) for _, requests in transport.batches.values()) == [2, 2, 3, 3]


def test_requests_fail_one_by_one_and_are_retried(tmp_path):
    def script(request, attempt):
        if number_of(request) == 1:
            return error(ErrorKind.REFUSED)
        if number_of(request) == 2 and attempt == 1:
            return error(ErrorKind.TRANSIENT, status=500)
        return answer()

    async def work():
        transport = FakeTransport(script)
        called = await call_all(batched(transport, tmp_path), range(4))
        return called, transport

    called, transport = virtually(work())
    assert [each.reply is not None for each in called] == [True, False, True, True]
    assert [len(requests) for _, requests in transport.batches.values()] == [4, 1]
    assert called[2].attempts == 2


def test_stumbles_while_looking_are_waited_out(tmp_path):
    @dataclass
    class Stumbling(FakeTransport):
        looks: int = 0

        async def collect(self, batch):
            self.looks += 1
            if self.looks % 3:
                raise error(ErrorKind.TRANSIENT, status=500)
            return await super().collect(batch)

    async def work():
        transport = Stumbling()
        called = await call_all(batched(transport, tmp_path), range(3))
        return called, len(transport.batches)

    called, batches = virtually(work())
    assert all(each.reply is not None for each in called)
    assert batches == 1


def test_a_batch_that_cannot_be_looked_at_is_not_paid_for_again(tmp_path):
    @dataclass
    class Blind(FakeTransport):
        async def collect(self, batch):
            raise error(ErrorKind.REJECTED, "key revoked", status=401)

    async def work():
        transport = Blind()
        with pytest.raises(RunError, match="batch batch-0 cannot be collected: key revoked") as caught:
            await call_all(batched(transport, tmp_path), range(3))
        assert RESUME in str(caught.value)
        whole = FakeTransport(batches=transport.batches)
        called = await call_all(batched(whole, tmp_path), range(3))
        return called, len(whole.batches)

    called, batches = virtually(work())
    assert all(each.reply is not None for each in called)
    assert batches == 1


@pytest.mark.parametrize("changes", [{"status": 404}, {"status": 410}, {"status": None}])
def test_a_batch_that_is_gone_or_failed_as_a_whole_is_handed_in_again(tmp_path, changes):
    @dataclass
    class Forgetful(FakeTransport):
        async def collect(self, batch):
            if batch == "batch-0":
                raise error(ErrorKind.REJECTED, "no such batch", **changes)
            return await super().collect(batch)

    async def work():
        transport = Forgetful()
        with pytest.raises(RunError):
            await call_all(batched(transport, tmp_path), range(3))
        return await call_all(batched(transport, tmp_path), range(3))

    assert all(each.reply is not None for each in virtually(work()))


def test_batches_of_two_judges_in_one_file_are_told_apart(tmp_path):
    """Both endpoints call their first batch the same."""

    async def work():
        one, other = FakeTransport(), FakeTransport(name="fake:other")
        calls = asyncio.create_task(call_all(batched(one, tmp_path), range(3)))
        await asyncio.sleep(10)
        calls.cancel()
        await asyncio.wait([calls])
        caller = batched(other, tmp_path)
        await call_all(caller, range(3))
        await caller.aclose()
        await call_all(batched(one, tmp_path), range(3))
        return len(one.batches), len(other.batches)

    assert virtually(work()) == (1, 1)


def test_live_calls_and_batches_have_lanes_of_their_own(tmp_path):
    async def work():
        transport = FakeTransport()
        batch = asyncio.create_task(call_all(batched(transport, tmp_path), range(100)))
        await asyncio.sleep(1)
        await call_all(Caller(transport, concurrency=16), range(20))
        await batch
        return transport

    transport = virtually(work())
    assert [len(requests) for _, requests in transport.batches.values()] == [100]
    assert len([time for time in transport.times if time < 1.1]) == FIRST_WIDTH


def test_decisions_are_sent_at_once_at_the_full_price(tmp_path):
    request = DecideRequest("rubric", (TextPart("item 3"),), (Question("q", "Is it?"),))

    async def work():
        transport = FakeTransport(lambda *_: answer(usage=Usage(1_000_000, 0, 0)))
        caller = batched(transport, tmp_path)
        called = await caller.call(request, parser="1")
        return len(transport.sent), called.reply.tier, caller.totals.cost

    assert virtually(work()) == (1, "default", 2.0)


def test_refusals_come_through_batches_as_answers(tmp_path):
    async def work():
        transport = FakeTransport(lambda *_: answer("", finish=Finish.REFUSAL, refusal="no"))
        return await call_all(batched(transport, tmp_path), range(2))

    assert [each.reply.finish for each in virtually(work())] == [Finish.REFUSAL] * 2
