"""The records of the public sets, and what holds for the adapters of all of them."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from dataclasses import dataclass
from importlib.metadata import entry_points
from itertools import islice

import pytest
from bright_judge import BrightJudge
from dataset_fixtures import forms

from arrkit.backends.datasets import plugins
from arrkit.backends.plugin import DatasetPlugin
from arrkit.backends.registry import Group, find_plugin, make_dataset
from arrkit.data.pairs import Label, PreferencePair, pictures_of
from arrkit.errors import InputError
from arrkit.judge.choices import Orders
from arrkit.judge.evaluate import Contender, judge_pairs, presentations
from arrkit.judge.metrics import find_metric
from arrkit.judge.protocol import Order, Side
from arrkit.judge.session import JudgeSession

ENOUGH, LOOKED_AT = 50, 20
RECORDS = {
    entry.name: entry.value
    for entry in entry_points(group="arrkit.datasets")
    if entry.module == plugins.__name__
}
FORMS = {form.name: form for form in forms()}


def record_of(name):
    return find_plugin(Group.DATASETS, name).record


def test_every_record_is_an_entry_point():
    written = {name for name, value in vars(plugins).items() if isinstance(value, DatasetPlugin)}
    assert {value.partition(":")[2] for value in RECORDS.values()} == written
    assert all(value.partition(":")[2] == name.replace("-", "_") for name, value in RECORDS.items())


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_says_all_that_a_user_must_know(name):
    record = record_of(name)
    assert record.hub.count("/") == 1
    assert record.splits
    assert record.tasks
    assert all((record.summary, record.license, record.convention, record.images, record.official))
    assert record.example.startswith(name)
    assert {"data", "revision", "stream"} <= set(record.parameters)
    find_metric("official", official=record.official)


@pytest.mark.parametrize("name", RECORDS)
def test_a_factory_takes_what_its_record_declares(name):
    record = record_of(name)
    module, _, made = record.factory.partition(":")
    factory = getattr(importlib.import_module(module), made)
    first, *rest = inspect.signature(factory).parameters.values()
    assert first.name == "spec"
    assert {each.name for each in rest} == set(record.parameters)
    assert all(each.kind is each.KEYWORD_ONLY for each in rest)


@pytest.mark.parametrize("name", RECORDS)
def test_a_set_that_is_not_there_is_refused_with_its_facts(name):
    pytest.importorskip("huggingface_hub")
    record = record_of(name)
    with pytest.raises(InputError) as refused:
        make_dataset(name)
    (problem,) = refused.value.problems
    assert any(repo in problem.what for repo in (record.hub, *record.mirrors))
    for fact in (record.size, record.license):
        assert fact in problem.what
    assert "--data DIR" in problem.hint
    if record.removed:
        assert "removed" in problem.what
    if record.gated:
        assert "terms" in problem.hint


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of a form, written once: ``written(form, flip=True)``."""
    folders = {}

    def write(form, *, flip=False):
        for module in form.needs:
            pytest.importorskip(module)
        key = form.name, flip
        if key not in folders:
            folders[key] = tmp_path_factory.mktemp("set")
            form.write(folders[key], form.rows, flip)
        return folders[key]

    return write


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]


def shade(candidate):
    """How bright the first image of a candidate is, None where it has none."""
    pictures = pictures_of(candidate)
    return sum(pictures[0].load().getpixel((0, 0))) if pictures else None


@dataclass(frozen=True)
class Looked:
    """A pair and what is seen in its images: how bright each candidate is, each picture's name and digest."""

    pair: PreferencePair
    shades: tuple[int | None, int | None]
    pictures: frozenset[tuple[str, str]]


@pytest.fixture(scope="module")
def looked(written):
    """The first pairs of a form, looked at once: ``looked(form, flip=True)``."""
    found = {}

    def look(form, *, flip=False):
        key = form.name, flip
        if key not in found:
            found[key] = []
            for pair in islice(make_dataset(form.spec_in(written(form, flip=flip))), LOOKED_AT):
                pictures = frozenset((each.name.split("/")[-1], each.digest) for each in pair.pictures)
                found[key].append(Looked(pair, (shade(pair.a), shade(pair.b)), pictures))
                pair.release()
        return found[key]

    return look


@pytest.mark.parametrize("flip", [False, True])
def test_labels_say_what_people_preferred(looked, form, flip):
    seen = [each for each in looked(form, flip=flip) if None not in each.shades]
    for each in seen:
        a, b = each.shades
        assert each.pair.label.decided is (a != b), each
        if a != b:
            assert (each.pair.label is Label.A) is ((a > b) is not flip), each
    assert len(seen) >= LOOKED_AT // 2


def test_a_judge_that_prefers_the_first_image_gets_half(written, form):
    dataset = make_dataset(form.spec_in(written(form)))
    decided = [pair for pair in dataset if pair.label.decided]
    assert len(decided) >= ENOUGH

    async def judged():
        session = JudgeSession(BrightJudge(slot=Side.FIRST), retries=0)
        return await judge_pairs(session, islice(decided, 8), [Contender("none")])

    evaluation = asyncio.run(judged())
    (tally,) = evaluation.tallies
    assert evaluation.skipped == []
    assert tally.stats(resamples=20).accuracy.value == 0.5
    drawn = [presentations(pair, Orders.RANDOM, seed=0) for pair in decided]
    right = sum(
        (order == (Order.AB,)) is (pair.label is Label.A) for pair, order in zip(decided, drawn, strict=True)
    )
    assert 0.3 < right / len(decided) < 0.7


def test_the_label_shows_in_no_id_name_or_order(written, looked, form):
    told = []
    for flip in (False, True):
        pairs = list(make_dataset(form.spec_in(written(form, flip=flip))))
        ids = [(pair.id, pair.group, pair.prompt) for pair in pairs]
        orders = [presentations(pair, Orders.RANDOM, seed=1) for pair in pairs]
        told.append((ids, orders, [each.pictures for each in looked(form, flip=flip)]))
    assert told[0] == told[1]


def test_ids_are_unique_and_the_same_each_time(written, form):
    dataset = make_dataset(form.spec_in(written(form)))
    first = [pair.id for pair in dataset]
    assert first == [pair.id for pair in dataset]
    assert len(set(first)) == len(first)
    assert dataset.size() in (None, len(first))


def test_groups_hold_each_two_candidates_once(written, form):
    groups = {}
    for pair in make_dataset(form.spec_in(written(form))):
        groups.setdefault(pair.group or pair.id, []).append(pair)
    for pairs in groups.values():
        candidates = {id_ for pair in pairs for id_ in (id(pair.a), id(pair.b))}
        assert len(pairs) == len(candidates) * (len(candidates) - 1) // 2


def test_no_image_is_opened_before_someone_looks(written, form):
    dataset = make_dataset(form.spec_in(written(form)))
    pair = next(iter(dataset))
    assert all(picture.known_digest is None for picture in pair.pictures)


def test_the_cache_of_the_hub_gives_what_the_folder_gives(written, form, tmp_path, monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    folder, commit = written(form), "0123456789abcdef" * 2 + "01234567"
    repo = form.hub or record_of(form.spec.partition(":")[0]).hub
    cached = tmp_path / f"datasets--{repo.replace('/', '--')}"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    (cached / "snapshots").mkdir()
    (cached / "snapshots" / commit).symlink_to(folder)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    dataset = make_dataset(form.spec_in(None))
    assert f"revision={commit}" in dataset.name
    there, here = ([*islice(each, 5)] for each in (dataset, make_dataset(form.spec_in(folder))))
    assert [(pair.id, pair.label, pair.digest) for pair in there] == [
        (pair.id, pair.label, pair.digest) for pair in here
    ]
