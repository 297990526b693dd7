"""What is taken of a dataset, what is left out, and that each is counted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from arrkit.data.filters import NO_VALUE, Selected, Selection, Taken, fits, parse_where, select
from arrkit.data.pairs import ImageUnreadable, Label, Picture, PreferencePair, Task
from arrkit.errors import InputError


def closed() -> Image.Image:
    raise ImageUnreadable("nobody may look")


SHUT = Picture("shut", closed)


def pair(name: object, confidence: float | None = None, group: str = "", **metadata: object):
    return PreferencePair(
        str(name), Task.T2I, "x", SHUT, SHUT, Label.A, (), metadata, group=group, confidence=confidence
    )


class Pairs:
    """A dataset that counts its passes and how far they went."""

    name, task = "some", Task.T2I

    def __init__(self, *pairs: PreferencePair, known: bool = True) -> None:
        self.pairs, self.known = pairs, known
        self.passes = self.given = 0

    def __iter__(self) -> Iterator[PreferencePair]:
        self.passes += 1
        for each in self.pairs:
            self.given += 1
            yield each

    def size(self) -> int | None:
        return len(self.pairs) if self.known else None


def names(dataset) -> list[str]:
    return [each.id for each in dataset]


def test_where_takes_any_value_of_a_field_and_all_fields():
    there = Pairs(
        pair(1, kind="a", n=1), pair(2, kind="b", n=1), pair(3, kind="c", n=1), pair(4, kind="a", n=2)
    )
    assert names(select(there, Selection(where=("kind=a", "kind=b", "n=1")))) == ["1", "2"]
    assert names(select(there, Selection(where=(" kind = a ",)))) == ["1", "4"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a=b", "f=a=b"),
        (True, "f=true"),
        (False, "f=False"),
        (3, "f=3"),
        (2.0, "f=2.0"),
        (2.0, "f=2"),
        (0.25, "f=0.25"),
        ("true", "f=true"),
        ("", "f="),
    ],
)
def test_values_are_compared_as_they_are_shown(value, text):
    assert fits(pair(1, f=value), parse_where([text]))
    assert not fits(pair(1, f=value), parse_where(["f=other"]))
    assert not fits(pair(1), parse_where([text]))


def test_a_field_that_a_pair_lacks():
    there = Pairs(pair(1, kind="a"), pair(2))
    assert names(select(there, Selection(where=(f"kind={NO_VALUE}",)))) == ["2"]


@pytest.mark.parametrize("text", ["kind", "=a", " =a", ""])
def test_what_is_no_field_and_value(text):
    with pytest.raises(InputError, match=rf'--where: "{text}" is no field=value'):
        select(Pairs(), Selection(where=(text, "a=b")))


def test_a_pair_without_confidence_is_left_out_and_counted_apart():
    there = Pairs(pair(1, 0.95), pair(2, 0.949), pair(3), pair(4, 1.0), pair(5, 0.0))
    chosen = select(there, Selection(min_confidence=0.95))
    assert names(chosen) == ["1", "4"]
    assert chosen.taken == Taken(read=5, below=2, unrated=1, kept=2)
    assert names(select(there, Selection(min_confidence=0))) == ["1", "2", "4", "5"]


def test_the_steps_come_in_their_order():
    there = Pairs(
        *(pair(number, number / 100, half="low" if number < 50 else "high") for number in range(100))
    )
    selection = Selection(("half=high",), 0.6, sample=20, seed=3, limit=5)
    chosen = select(there, selection)
    taken = names(chosen)
    assert len(taken) == 5
    fit = [str(number) for number in range(60, 100)]
    whole = select(there, Selection(("half=high",), 0.6, sample=20, seed=3))
    assert len(names(whole)) == 20
    assert taken == names(whole)[:5]
    assert set(taken) <= set(fit)
    assert whole.taken == Taken(100, unfit=50, below=10, undrawn=20, kept=20)
    assert chosen.taken.kept == 5
    assert chosen.name == "some (half=high, confidence from 0.6, 20 drawn, first 5)"
    assert whole.left_out == {
        "does not fit --where half=high": 50,
        "is below --min-confidence 0.6": 10,
        "was not drawn by --sample 20": 20,
    }


def test_what_the_dataset_left_out_itself_is_told_on():
    there = Pairs(pair(1, 1), pair(2))
    there.left_out = {"it is not an object": 4}
    chosen = select(there, Selection(min_confidence=0.5))
    assert names(chosen) == ["1"]
    assert chosen.left_out == {
        "it is not an object": 4,
        "has no confidence to hold against --min-confidence 0.5": 1,
    }


def test_nothing_asked_for_is_the_dataset_itself():
    there = Pairs(pair(1))
    assert select(there, Selection(seed=7)) is there
    assert Taken(read=3, kept=3).reasons(Selection()) == {}


def test_a_sample_is_in_the_order_of_the_data_and_the_same_each_time():
    there = Pairs(*map(pair, range(300)))
    chosen = select(there, Selection(sample=30))
    first = names(chosen)
    assert first == sorted(first, key=int) == names(chosen)
    assert there.passes == 3  # one to draw, two to read
    backwards = select(Pairs(*map(pair, reversed(range(300)))), Selection(sample=30))
    assert names(backwards) == first[::-1]


def test_a_sample_keeps_groups_whole():
    there = Pairs(*(pair(f"{g}-{n}", group=str(g)) for g in range(50) for n in range(6)))
    chosen = names(select(there, Selection(sample=20)))
    assert len(chosen) == 18
    assert {len(list(members)) for _, members in itertools.groupby(chosen, lambda name: name[:2])} == {6}


def test_a_limit_reads_no_further():
    there = Pairs(*map(pair, range(100)))
    chosen = select(there, Selection(limit=7))
    assert names(chosen) == [str(number) for number in range(7)]
    assert there.given == 7
    assert chosen.taken == Taken(read=7, kept=7)
    assert chosen.name == "some (first 7)"
    there.given = 0
    assert next(iter(select(there, Selection(where=(f"x={NO_VALUE}",))))).id == "0"
    assert there.given == 1


def test_the_pass_that_went_furthest_is_counted():
    chosen = select(Pairs(pair(1, 1), pair(2, 0), pair(3, 1)), Selection(min_confidence=0.5))
    assert len(names(chosen)) == 2
    next(iter(chosen))
    assert chosen.taken == Taken(3, below=1, kept=2)


@pytest.mark.parametrize(
    ("selection", "known", "size"),
    [
        (Selection(limit=2), True, 2),
        (Selection(limit=9), True, 3),
        (Selection(limit=2), False, 2),
        (Selection(where=("a=b",)), True, None),
        (Selection(min_confidence=0.5), True, None),
        (Selection(sample=2), True, None),
        (Selection(sample=2, limit=1), True, 1),
    ],
)
def test_the_size(selection, known, size):
    assert select(Pairs(pair(1), pair(2), pair(3), known=known), selection).size() == size


def test_the_size_of_a_sample_is_known_once_it_is_drawn():
    chosen = select(Pairs(pair(1), pair(2), pair(3)), Selection(sample=2))
    names(chosen)
    assert chosen.size() == 2


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (("kind=anme",), r'has kind=anme \(did you mean "anime"\?\)\n  Its values: anime, photo\.'),
        (("kind=x", "kind=y"), r"has kind=x or y\n"),
        (("knd=anime",), 'no pair of some has the metadata field "knd"'),
        (("kind=anime", "n=2"), "no pair of some fits all of kind, n"),
    ],
)
def test_where_nothing_fits_the_values_are_named(selection, said):
    there = Pairs(pair(1, kind="anime", n=1), pair(2, kind="photo", n=2))
    with pytest.raises(InputError, match=said):
        names(select(there, Selection(where=selection)))


def test_where_no_confidence_is_enough():
    with pytest.raises(InputError, match=r"confidence of 0\.5 or more: none has a confidence"):
        names(select(Pairs(pair(1), pair(2)), Selection(min_confidence=0.5)))
    with pytest.raises(InputError, match=r"confidence of 0\.5 or more: none has so much"):
        names(select(Pairs(pair(1), pair(2, 0.1)), Selection(min_confidence=0.5)))


def test_no_pairs_at_all_are_no_ones_fault():
    assert names(select(Pairs(), Selection(where=("a=b",)))) == []


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.floats(0, 1)), min_size=1, max_size=30),
    st.none() | st.floats(0, 1),
    st.none() | st.integers(1, 40),
)
def test_every_pair_read_is_kept_or_counted(rows, least, sample):
    there = Pairs(*(pair(number, confidence, kind=kind) for number, (kind, confidence) in enumerate(rows)))
    chosen = Selected(there, Selection(("kind=a", "kind=b"), least, sample))
    try:
        kept = names(chosen)
    except InputError:
        kept = []
    taken = chosen.taken
    assert taken.read == len(rows) == taken.kept + sum(chosen.left_out.values())
    assert taken.kept == len(kept)
