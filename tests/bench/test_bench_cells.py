"""Cells, their means, and intervals over items: what every number of the benchmarks goes through."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrkit.bench.cells import Answers, Tally, differences, gather, scores, tally
from arrkit.bench.model import Item, Mode, Status, Unit
from arrkit.data.pairs import Task
from arrkit.errors import InputError


def item(name: str, group: str = "", images: int = 1) -> Item:
    files = tuple(f"{name}-{image}.png" for image in range(images))
    return Item(id=name, task=Task.T2I, prompt=name, files=files, groups={"g": group} if group else {})


def unit(name: str, value: float | None = None, image: int = 0, status: Status | None = None) -> Unit:
    status = status or (Status.MISSING if value is None else Status.SCORED)
    return Unit(item=name, image=image, value=value, status=status)


def headline(answers: Answers, mode: Mode, **options: object) -> Tally:
    return tally("m", mode, answers, cells=answers.group("g"), headline=True, **options)  # type: ignore[arg-type]


def test_a_number_is_the_mean_of_its_cells_means_not_of_its_units():
    items = [item("a", "one"), item("b", "two"), item("c", "two"), item("d", "two")]
    answers = gather(items, [unit("a", 1.0), unit("b", 0.0), unit("c", 0.0), unit("d", 1.0)])
    made = headline(answers, Mode.STRICT)
    assert made.means == {"one": 1.0, "two": pytest.approx(1 / 3)}
    assert made.value == pytest.approx(2 / 3)
    assert tally("micro", Mode.STRICT, answers).value == 0.5


def test_official_leaves_out_what_is_missing_and_strict_counts_it_as_nothing():
    items = [item("a", "one"), item("b", "one"), item("c", "two"), item("d", "three")]
    given = [unit("a", 1.0), unit("b", status=Status.UNPARSED), unit("c", 1.0)]
    answers = gather(items, given)
    assert answers.counts.expected == 4
    assert (answers.counts.scored, answers.counts.missing, answers.counts.unparsed) == (2, 1, 1)
    assert headline(answers, Mode.OFFICIAL).value == 1.0  # the third cell is empty, and gone
    assert headline(answers, Mode.STRICT).value == pytest.approx((0.5 + 1 + 0) / 3)
    score = scores([headline(answers, Mode.STRICT)])[0]
    assert (score.expected, score.scored, score.missing, score.unparsed) == (4, 2, 1, 1)


def test_a_number_of_nothing_is_none_and_has_no_interval():
    (score,) = scores([headline(gather([item("a", "one")], []), Mode.OFFICIAL)])
    assert (score.value, score.low, score.high, score.missing) == (None, None, None, 1)


def test_what_nobody_asked_and_what_stands_twice_is_refused():
    items = [item("a", images=2)]
    with pytest.raises(InputError, match='two answers for image 1 of "a"'):
        gather(items, [unit("a", 1.0, 1), unit("a", 0.0, 1)])
    with pytest.raises(InputError, match='"b", which is no item'):
        gather(items, [unit("b", 1.0)])
    with pytest.raises(InputError, match='image 2 of "a"'):
        gather(items, [unit("a", 1.0, 2)])
    with pytest.raises(InputError, match='question "colour"'):
        gather(items, [Unit(item="a", question="colour", value=1.0)])


def test_questions_are_expected_in_the_order_in_which_they_are_asked():
    answers = gather(
        [item("a", images=2)],
        [Unit(item="a", image=1, question="x", value=1.0)],
        lambda each: ((image, name) for image in range(len(each.files)) for name in ("y", "x")),
    )
    assert [(each.image, each.question, each.status) for each in answers.units] == [
        (0, "y", Status.MISSING),
        (0, "x", Status.MISSING),
        (1, "y", Status.MISSING),
        (1, "x", Status.SCORED),
    ]


def test_a_rule_may_give_its_own_addends_and_its_own_way_from_cells_to_the_number():
    items = [item("a", "one", 2), item("b", "two", 2)]
    answers = gather(items, [unit("a", 1.0), unit("a", 0.0, 1), unit("b", 1.0), unit("b", 1.0, 1)])
    best = np.array([1.0, 1.0])  # one for each item: whether any of its images is right
    prompts = tally("any", Mode.OFFICIAL, answers, at=np.arange(2), values=best)
    assert prompts.value == 1.0
    worst = headline(answers, Mode.OFFICIAL, combine=lambda means: means.min(axis=-1))
    assert worst.value == 0.5
    rounded = headline(answers, Mode.OFFICIAL, combine=lambda means: np.round(means, 0).mean(axis=-1))
    assert rounded.value == 0.5


units = st.lists(
    st.tuples(
        st.sampled_from("xyz"),
        st.lists(st.one_of(st.none(), st.floats(0, 10, allow_subnormal=False)), min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=9,
)


@given(units, st.randoms(use_true_random=False), st.sampled_from(Mode))
def test_every_number_is_what_plain_arithmetic_says_in_whatever_order_units_come(drawn, chance, mode):
    items = [item(str(place), group, len(values)) for place, (group, values) in enumerate(drawn)]
    given_units = [
        unit(str(place), value, image)
        for place, (_, values) in enumerate(drawn)
        for image, value in enumerate(values)
    ]
    told = [each for each in given_units if each.status is Status.SCORED or chance.random() < 0.5]
    chance.shuffle(told)
    made = headline(gather(items, told), mode, top=10.0)
    cells: dict[str, list[float]] = {}
    for group, values in drawn:
        for value in values:
            if value is not None or mode is Mode.STRICT:
                cells.setdefault(group, []).append(value or 0.0)
    means = [sum(held) / len(held) for held in cells.values()]
    expected = sum(means) / len(means) if means else None
    assert made.value == (None if expected is None else pytest.approx(expected))
    (score,) = scores([made], resamples=50)
    if score.value is not None:
        assert score.low is not None
        assert score.high is not None
        assert 0 <= score.low <= score.value <= score.high <= 10 or math.isclose(score.low, score.high)
    assert scores([headline(gather(items, given_units), mode, top=10.0)], resamples=50) == (score,)


def test_the_interval_is_that_of_a_stratified_mean_also_with_two_items_a_stratum():
    draw = random.Random(5)
    items = [item(f"{group}-{place}", group) for group in "abcdefghijkl" for place in range(2)]
    values = {each.id: draw.random() for each in items}
    made = headline(gather(items, [unit(name, value) for name, value in values.items()]), Mode.STRICT)
    (score,) = scores([made], resamples=4000)
    spread = sum((values[f"{group}-0"] - values[f"{group}-1"]) ** 2 / 4 for group in "abcdefghijkl") / 12**2
    assert score.value is not None
    assert score.high is not None
    assert score.high - score.value == pytest.approx(1.96 * math.sqrt(spread), rel=0.15)


def test_numbers_that_are_all_alike_still_have_an_interval():
    items = [item(str(place), "one") for place in range(20)]
    (score,) = scores([headline(gather(items, [unit(each.id, 1.0) for each in items]), Mode.STRICT)])
    assert score.value == score.high == 1.0
    assert score.low is not None
    assert 0.8 < score.low < 0.9


def test_items_that_were_left_out_make_an_interval_no_narrower_nor_wider():
    told = [unit(f"a{place}", float(place < 3)) for place in range(6)]
    few = [item(f"a{place}", "a") for place in range(6)]
    many = [*few, *(item(f"b{place}", "a") for place in range(90))]
    alone, among = (scores([headline(gather(items, told), Mode.OFFICIAL)])[0] for items in (few, many))
    assert (alone.low, alone.high) == (among.low, among.high)
    same = [unit(f"a{place}", 1.0) for place in range(6)]
    alone, among = (scores([headline(gather(items, same), Mode.OFFICIAL)])[0] for items in (few, many))
    assert alone.low == among.low
    assert alone.low is not None
    assert alone.low < 0.7


def run_of(values: dict[str, float | None]) -> list[Tally]:
    items = [item(name, name[0]) for name in values]
    told = [unit(name, value) for name, value in values.items() if value is not None]
    return [headline(gather(items, told), mode) for mode in Mode]


def test_a_difference_is_paired_by_item():
    draw = random.Random(1)
    base: dict[str, float | None] = {
        f"{group}{place}": draw.random() for group in "ab" for place in range(50)
    }
    better = {name: (value or 0.0) * 0.9 + 0.1 for name, value in base.items()}
    official, strict = differences(run_of(base), run_of(dict(better)))
    assert official.mode is Mode.OFFICIAL
    assert strict.value == pytest.approx(0.1 - 0.1 * (strict.base or 0))
    assert strict.certain
    assert strict.items == 100
    apart = scores(run_of(base))[0]
    assert apart.high is not None
    assert apart.low is not None
    assert strict.high is not None
    assert strict.low is not None
    assert strict.high - strict.low < 0.2 * (apart.high - apart.low)  # what they share has no part in it
    turned = dict(reversed(better.items()))
    assert differences(run_of(base), run_of(dict(turned)))[1] == strict
    back = differences(run_of(dict(better)), run_of(base))[1]
    assert (back.value, back.low, back.high) == (
        pytest.approx(-(strict.value or 0)),
        pytest.approx(-strict.high, abs=1e-9),
        pytest.approx(-strict.low, abs=1e-9),
    )


def test_runs_are_compared_on_the_items_that_both_have_in_whatever_order():
    base = {"a1": 0.0, "a2": 1.0, "b1": 0.0}
    other = {"b1": 1.0, "a2": 1.0, "c9": 1.0}
    found = differences(run_of(dict(base)), run_of(dict(other)))[1]
    assert (found.base, found.other, found.value, found.items) == (0.5, 1.0, 0.5, 2)
    none = differences(run_of({"a1": None}), run_of({"a1": 1.0}))[0]
    assert (none.value, none.base, none.other) == (None, None, 1.0)
    assert not none.certain


def test_equal_runs_differ_by_nothing_and_that_is_not_certain():
    same = run_of({f"a{place}": float(place % 2) for place in range(40)})
    for found in differences(same, same):
        assert found.value == 0
        assert found.low is not None
        assert found.high is not None
        assert found.low < 0 < found.high
        assert not found.certain
