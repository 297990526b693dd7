"""Preference pairs: the same each time, drawn as declared, and cheap until looked at."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import pytest

from arrkit.backends.spec import Spec
from arrkit.data.pairs import Label, PreferencePair, Task
from arrkit.shapes.dataset import ShapesDataset, make_edit, make_t2i, split_prompts
from arrkit.shapes.edits import EditKind, parse_instruction
from arrkit.shapes.flaws import EDIT_FLAWS, PROMPT_FLAWS, utility
from arrkit.shapes.grammar import Family, parse_prompt, prompts

tasks = pytest.mark.parametrize("task", [Task.T2I, Task.EDIT])
FLAWS = {Task.T2I: PROMPT_FLAWS, Task.EDIT: EDIT_FLAWS}


def told(pair: PreferencePair) -> tuple[object, ...]:
    """All of a pair that is known without opening an image."""
    return pair.id, pair.task, pair.prompt, pair.label, dict(pair.metadata)


def flaws(pair: PreferencePair, side: str) -> tuple[str, ...]:
    text = str(pair.metadata[f"flaws_{side}"])
    return () if text == "none" else tuple(text.split(", "))


@tasks
def test_a_pair_depends_on_its_index_and_not_on_how_many_there_are(task: Task) -> None:
    few, many = ShapesDataset(task, n=8, seed=3), ShapesDataset(task, n=5000, seed=3)
    assert (few.size(), len(list(few)), many.size()) == (8, 8, 5000)
    assert [told(pair) for pair in few] == [told(pair) for pair in few]
    assert [told(many.pair(index)) for index in reversed(range(8))] == [told(p) for p in few][::-1]
    assert [pair.digest for pair in few] == [many.pair(index).digest for index in range(8)]


@tasks
def test_seeds_and_splits_are_other_draws(task: Task) -> None:
    sets = [ShapesDataset(task, split, n=20, seed=seed) for split in ("train", "test") for seed in (0, 1)]
    digests = [pair.digest for dataset in sets for pair in dataset]
    ids = [pair.id for dataset in sets for pair in dataset]
    assert len(set(digests)) == len(digests)
    assert len(set(ids)) == len(ids)


@tasks
def test_the_label_names_the_candidate_of_greater_utility(task: Task) -> None:
    for pair in ShapesDataset(task, n=600, seed=4, noise=0, ties=0.2):
        a, b = (utility(flaws(pair, side), FLAWS[task]) for side in "ab")
        assert pair.label is (Label.TIE if a == b else Label.A if a > b else Label.B)


@tasks
def test_noise_turns_its_share_of_labels_and_nothing_else(task: Task) -> None:
    clean = list(ShapesDataset(task, n=1000, seed=5, noise=0))
    noisy = list(ShapesDataset(task, n=1000, seed=5, noise=0.3))
    turned = list(ShapesDataset(task, n=1000, seed=5, noise=1))
    assert [p.prompt for p in clean] == [p.prompt for p in noisy]
    assert [p.label.swapped for p in clean] == [p.label for p in turned]
    decided = sum(p.label is not Label.TIE for p in clean)
    flipped = sum(p.label is not q.label for p, q in zip(clean, noisy, strict=True))
    # Four standard deviations of a share of 0.3 among 950 are 0.06.
    assert flipped / decided == pytest.approx(0.3, abs=0.06)


@tasks
def test_ties_are_as_many_as_declared_and_the_rest_is_even(task: Task) -> None:
    labels = Counter(pair.label for pair in ShapesDataset(task, n=1500, ties=0.2))
    assert labels[Label.TIE] / 1500 == pytest.approx(0.2, abs=0.042)
    assert labels[Label.A] / (labels[Label.A] + labels[Label.B]) == pytest.approx(0.5, abs=0.06)
    assert {pair.label for pair in ShapesDataset(task, n=20, ties=1)} == {Label.TIE}
    assert Label.TIE not in {pair.label for pair in ShapesDataset(task, n=300, ties=0)}


def test_the_usual_shares_are_eight_in_a_hundred_wrong_and_five_tied() -> None:
    usual, plain = ShapesDataset(Task.T2I, n=1000), ShapesDataset(Task.T2I, n=1000, noise=0)
    assert sum(pair.label is Label.TIE for pair in usual) / 1000 == pytest.approx(0.05, abs=0.028)
    wrong = sum(p.label is not q.label for p, q in zip(usual, plain, strict=True))
    assert wrong / 950 == pytest.approx(0.08, abs=0.035)


@tasks
def test_every_flaw_and_every_category_comes_up(task: Task) -> None:
    pairs = list(ShapesDataset(task, n=600))
    assert {name for pair in pairs for side in "ab" for name in flaws(pair, side)} == set(FLAWS[task])
    categories = Counter(pair.metadata["category"] for pair in pairs)
    assert set(categories) == set(Family if task is Task.T2I else EditKind)
    assert set(categories.values()) == {100}


def test_prompts_are_of_their_family_and_of_one_split_only() -> None:
    seen = {}
    for split in ("train", "test"):
        pairs = list(ShapesDataset(Task.T2I, split, n=900))
        for pair in pairs:
            wants = parse_prompt(pair.prompt)
            assert wants is not None
            assert wants.family == pair.metadata["category"]
            assert not pair.sources
        seen[split] = {pair.prompt for pair in pairs}
    assert not seen["train"] & seen["test"]


@pytest.mark.parametrize("family", Family)
def test_each_family_holds_back_at_least_sixty_prompts(family: Family) -> None:
    train, test = (set(split_prompts(family, split)) for split in ("train", "test"))
    assert train | test == set(prompts(family))
    assert not train & test
    assert min(len(train), len(test)) >= 60


def test_edits_have_a_source_and_an_instruction() -> None:
    for pair in ShapesDataset(Task.EDIT, n=120):
        edit = parse_instruction(pair.prompt)
        assert edit is not None
        assert edit.kind == pair.metadata["category"]
        assert len(pair.sources) == 1
        assert not {"nothing_done"} & set(flaws(pair, "a")) & set(flaws(pair, "b")) or pair.label is Label.TIE


def test_an_edit_that_did_nothing_shows_its_source() -> None:
    found = 0
    for pair in ShapesDataset(Task.EDIT, n=200):
        for side, picture in (("a", pair.a), ("b", pair.b)):
            if flaws(pair, side) == ("nothing_done",):
                assert len(pair.sources) == 1
                assert picture.digest == pair.sources[0].digest
                found += 1
    assert found >= 5


def test_a_general_look_at_the_pictures_tells_little() -> None:
    """How much of the frame is not background names the better picture in little more than half the pairs."""
    right = total = 0
    for pair in ShapesDataset(Task.T2I, n=400, noise=0, ties=0):
        inks = []
        for picture in (pair.a, pair.b):
            red, _, blue = picture.load().split()
            inks.append(sum(abs(x - y) > 60 for x, y in zip(red.tobytes(), blue.tobytes(), strict=True)))
        pair.release()
        total += 1
        right += (inks[0] > inks[1]) == (pair.label is Label.A)
    assert 0.42 <= right / total <= 0.66


@pytest.mark.parametrize("size", [32, 64, 96])
def test_pictures_have_the_size_asked(size: int) -> None:
    pair = ShapesDataset(Task.EDIT, n=1, size=size).pair(0)
    assert {picture.load().size for picture in pair.pictures} == {(size, size)}


@tasks
def test_memory_does_not_grow_with_the_dataset(task: Task) -> None:
    def peak(n: int) -> int:
        dataset = ShapesDataset(task, n=n, seed=9)
        tracemalloc.start()
        try:
            for _ in dataset:
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(60)
    # Pairs that were held would take 2 kB each; prompts remembered for their split take 150 bytes.
    assert peak(360) - peak(60) < 200_000


def test_names_are_canonical_specs_that_make_the_same_dataset() -> None:
    assert ShapesDataset(Task.EDIT, "test").name == "shapes-edit:test?n=200&seed=0"
    unusual = ShapesDataset(Task.T2I, "train", n=7, seed=2, noise=0.5, ties=0.0, size=64)
    spec = Spec.parse(unusual.name)
    assert (spec.name, spec.model) == ("shapes-t2i", "train")
    options = {key: float(value) for key, value in spec.options.items()}
    assert options == {"n": 7, "seed": 2, "noise": 0.5, "ties": 0, "size": 64}


@pytest.mark.parametrize(("make", "task"), [(make_t2i, Task.T2I), (make_edit, Task.EDIT)])
def test_factories_take_the_split_from_the_spec(make: type, task: Task) -> None:
    spec = Spec(f"shapes-{task}", "train")
    dataset = make(spec, n=3, seed=1, noise=0.1, ties=0.1, size=48)
    assert dataset.task is task
    plain = ShapesDataset(task, "train", n=3, seed=1, noise=0.1, ties=0.1, size=48)
    assert dataset.name == plain.name
    assert [pair.digest for pair in dataset] == [pair.digest for pair in plain]
