"""A draw hangs on seed and names, never on the order or length of what is offered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from arrkit.data.pairs import Label, Picture, PreferencePair, Task
from arrkit.data.sampling import Draw, group_mark, mark_of, pair_mark

GREY = Picture("grey", lambda: Image.new("RGB", (1, 1)))


def pair(name: str, group: str = "") -> PreferencePair:
    return PreferencePair(name, Task.T2I, "x", GREY, GREY, Label.A, group=group)


def drawn(pairs: list[PreferencePair], count: int, seed: int = 0) -> set[str]:
    draw = Draw(count)
    for each in pairs:
        draw.offer(group_mark(each, seed))
    draw.close()
    names = {each.id for each in pairs if group_mark(each, seed) <= draw.highest}
    assert draw.total == len(names)
    return names


pairs_in_groups = st.lists(st.sampled_from(["", "g", "h", "i", "j"]), max_size=40).map(
    lambda groups: [pair(f"p{number}", group) for number, group in enumerate(groups)]
)


@given(pairs_in_groups, st.integers(1, 45), st.integers(0, 5), st.randoms())
def test_the_order_plays_no_part_and_groups_stay_whole(pairs, count, seed, random):
    first = drawn(pairs, count, seed)
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert drawn(shuffled, count, seed) == first
    for group in {each.group for each in pairs} - {""}:
        members = {each.id for each in pairs if each.group == group}
        assert members <= first or not members & first
    sizes = [sum(1 for each in pairs if each.group == group) for group in "ghij"]
    assert len(first) <= max(count, *sizes)
    assert len(first) >= min(len(pairs), 1)


@given(st.integers(0, 60), st.integers(1, 70), st.integers(0, 3))
def test_without_groups_as_many_are_drawn_as_were_asked_for(there, count, seed):
    assert len(drawn([pair(str(number)) for number in range(there)], count, seed)) == min(there, count)


def test_another_seed_draws_others_and_more_pairs_change_little():
    pairs = [pair(str(number)) for number in range(400)]
    assert drawn(pairs, 50) != drawn(pairs, 50, seed=1)
    assert len(drawn(pairs, 50) & drawn([*pairs, pair("new")], 50)) >= 49
    assert drawn(pairs, 50) < drawn(pairs, 80)


def test_every_pair_is_drawn_about_as_often():
    pairs = [pair(str(number)) for number in range(40)]
    times = dict.fromkeys((each.id for each in pairs), 0)
    for seed in range(300):
        for name in drawn(pairs, 10, seed):
            times[name] += 1
    assert 45 < min(times.values()) <= max(times.values()) < 110  # 75 each; the bounds are 4 deviations


def test_marks():
    assert mark_of("x", 0) == mark_of("x", 0) != mark_of("x", 1)
    assert 0 <= mark_of("", 0) < 2**64
    assert group_mark(pair("x", "g"), 0) == group_mark(pair("y", "g"), 0) != group_mark(pair("g"), 0)
    assert pair_mark(pair("x", "g"), 0) != pair_mark(pair("y", "g"), 0)


def test_memory_grows_with_the_draw_only():
    draw = Draw(10)
    for number in range(5000):
        draw.offer(mark_of(str(number), 0))
    assert len(draw._pairs) == len(draw._marks) == 10
