"""Which presentations are shown, what is counted, and what is kept for the report."""

from __future__ import annotations

import asyncio
import time

import pytest
from PIL import Image
from scripted import FAILED, FIRST, SECOND, TIE, Pairs, ScriptedJudge, bright, pair, unreadable

from arrkit.data.pairs import Label, Picture, PreferencePair, Task
from arrkit.errors import InputError
from arrkit.judge.choices import Orders
from arrkit.judge.evaluate import MAX_GROUPS, Contender, judge_pairs, presentations
from arrkit.judge.protocol import Order, Outcome
from arrkit.judge.session import JudgeSession
from arrkit.rubric.model import Criterion, Dimension

RULE = (Dimension("light", "Light", (Criterion("bright", "The image is bright."),)),)


BARE = (Contender("none"),)


def judge_all(judge, pairs, contenders=BARE, **options):
    async def work():
        return await judge_pairs(JudgeSession(judge, retries=0), pairs, contenders, **options)

    return asyncio.run(work())


@pytest.mark.parametrize(
    ("orders", "label", "shown"),
    [
        (Orders.BOTH, Label.A, (Order.AB, Order.BA)),
        (Orders.BOTH, Label.B, (Order.AB, Order.BA)),
        (Orders.FORWARD, Label.A, (Order.AB,)),
        (Orders.FORWARD, Label.B, (Order.BA,)),
        (Orders.REVERSE, Label.A, (Order.BA,)),
        (Orders.REVERSE, Label.B, (Order.AB,)),
        (Orders.FORWARD, Label.TIE, (Order.AB,)),
    ],
)
def test_forward_shows_the_preferred_image_first(orders, label, shown):
    assert presentations(pair(1, label), orders, seed=0) == shown


def test_a_random_order_depends_on_the_seed_and_the_pair_and_not_on_the_label():
    drawn = [presentations(pair(i), Orders.RANDOM, seed=3) for i in range(200)]
    assert drawn == [presentations(pair(i, Label.B), Orders.RANDOM, seed=3) for i in range(200)]
    assert drawn != [presentations(pair(i), Orders.RANDOM, seed=4) for i in range(200)]
    assert 60 < drawn.count((Order.AB,)) < 140


def test_flipping_every_label_leaves_every_request_as_it_was():
    requests = []
    for label in (Label.A, Label.B):
        judge = ScriptedJudge()
        judge_all(judge, [pair(i, label) for i in range(5)], (Contender("none"), Contender("r", RULE)))
        requests.append([request.content() for request in judge.requests])
    assert requests[0] == requests[1]
    assert len(requests[0]) == 20


def test_a_judge_that_always_says_first_is_all_bias():
    evaluation = judge_all(ScriptedJudge(compares=lambda request: FIRST), [pair(i) for i in range(40)])
    stats = evaluation.tallies[0].stats()
    assert stats.mean.value == 0.5
    assert stats.gap.value == 1.0
    assert stats.consistency.value == 0.0
    assert stats.first_rate.value == 1.0


def test_failures_lower_the_coverage_and_leave_the_accuracy_alone():
    def out_in_one_of_five(request):
        return FAILED if int(request.prompt.split()[1]) % 5 == 0 else bright(request)

    stats = (
        judge_all(ScriptedJudge(compares=out_in_one_of_five), [pair(i) for i in range(50)]).tallies[0].stats()
    )
    assert stats.accuracy.value == 1.0
    assert stats.accuracy.n == 40
    assert stats.coverage.value == 0.8
    assert stats.outcomes[Outcome.FAILED] == 20


def test_an_unreadable_image_costs_its_pair_and_strict_stops():
    pairs = [pair(0), pair(1, b=unreadable()), pair(2)]
    evaluation = judge_all(ScriptedJudge(), pairs)
    assert evaluation.pairs == 2
    [skipped] = evaluation.skipped
    assert (skipped.origin, skipped.reason) == ("pairs.jsonl:2", "gone.png does not exist")
    with pytest.raises(InputError, match=r"pairs\.jsonl:2: gone\.png"):
        judge_all(ScriptedJudge(), pairs, strict=True)


def test_groups_are_counted_apart_and_too_many_are_refused():
    pairs = [pair(i, metadata={"category": "odd" if i % 2 else "even"}) for i in range(9)]
    groups = judge_all(ScriptedJudge(), pairs, by=["category"]).groups["category"]
    assert {value: tallies[0].pairs for value, tallies in groups.items()} == {"even": 5, "odd": 4}
    many = [pair(i, metadata={"category": str(i)}) for i in range(MAX_GROUPS + 1)]
    with pytest.raises(InputError, match="more than 100 values"):
        judge_all(ScriptedJudge(), many, by=["category"])


def test_the_digest_depends_on_the_pairs_and_not_on_when_they_finish():
    class Uneven(ScriptedJudge):
        async def compare(self, request):
            await asyncio.sleep(0.002 if request.prompt.endswith("0") else 0)
            return bright(request)

    pairs = [pair(i) for i in range(12)]
    digest = judge_all(ScriptedJudge(), pairs).digest
    assert judge_all(Uneven(), pairs, window=8).digest == digest
    assert judge_all(ScriptedJudge(), pairs[::-1]).digest != digest


def test_the_most_telling_cases_are_kept():
    def scripted(request):
        number = int(request.prompt.split()[1])
        first_is_a = request.first.load().getpixel((0, 0))[0] == 200
        return {
            0: FAILED,
            1: FIRST,  # flips
            2: SECOND if first_is_a else FIRST,  # wrong
            3: TIE,
        }.get(number, bright(request))

    cases = judge_all(ScriptedJudge(compares=scripted), [pair(i) for i in range(30)], keep_cases=4).cases
    assert [case.pair.id for case in cases] == ["pair-0", "pair-1", "pair-2", "pair-3"]


def test_pairs_that_shaped_a_rubric_are_counted():
    pairs = [pair(i) for i in range(6)]
    shaped = {each.digest[:16] for each in pairs[:2]}
    assert judge_all(ScriptedJudge(), pairs, shaped=shaped).shaped == 2


def test_pictures_are_let_go_once_their_pair_is_done():
    pairs = [pair(i) for i in range(3)]
    judge_all(ScriptedJudge(), Pairs(pairs))
    assert all(picture._image is None for each in pairs for picture in each.pictures)


def test_a_judge_is_asked_in_the_order_of_the_data_whichever_image_is_read_first():
    def slow(number):
        def load():
            time.sleep(0.02 * (number % 3 == 0))
            return Image.new("RGB", (8, 8), (number, 0, 0))

        return Picture(f"{number}", load)

    pairs = [
        PreferencePair(f"p{i}", Task.T2I, f"{i}", slow(2 * i), slow(2 * i + 1), Label.A) for i in range(12)
    ]
    judge = ScriptedJudge()
    judge_all(judge, pairs, orders=Orders.FORWARD)
    assert [request.prompt for request in judge.requests] == [str(i) for i in range(12)]
