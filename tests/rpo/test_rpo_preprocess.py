"""Prompts encoded once: resumed without repeating, shared among processes, bad ones told apart."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from PIL import Image
from toy_policy import ToyPolicy

from arrkit.data.images import picture_from_path
from arrkit.data.pairs import Task
from arrkit.data.prompts import Prompt, PromptUnusable
from arrkit.progress import Progress
from arrkit.rpo import store as store_module
from arrkit.rpo.encode import encode_all
from arrkit.rpo.policy import Condition, Part
from arrkit.rpo.preprocess import Preprocessed, preprocess, share_of
from arrkit.rpo.store import StoreKey, open_store

pytestmark = pytest.mark.xdist_group("torch")

CPU = torch.device("cpu")


class Counting(ToyPolicy):
    """Says what was encoded, and refuses prompts that begin with "long"."""

    def __init__(self) -> None:
        super().__init__()
        self.encoded: list[str] = []
        self.batches: list[int] = []
        self.stop_after: int | None = None

    def encode(self, prompts: Sequence[Prompt]) -> list[Condition]:
        assert self.loaded == {Part.ENCODERS}
        if self.stop_after is not None and len(self.batches) >= self.stop_after:
            raise KeyboardInterrupt
        if any(prompt.text.startswith("long") for prompt in prompts):
            raise PromptUnusable("over the encoder's limit")
        for prompt in prompts:
            for picture in prompt.sources:
                picture.load()
        self.encoded += [prompt.text for prompt in prompts]
        self.batches.append(len(prompts))
        return super().encode(prompts)


def prompts(*texts: str) -> list[Prompt]:
    return [Prompt(f"row-{n}", Task.T2I, text, origin=f"p:{n}") for n, text in enumerate(texts, start=1)]


def run(policy: ToyPolicy, asked: Sequence[Prompt], folder: Path, **changes: object) -> Preprocessed:
    return preprocess(
        policy, asked, folder, key=StoreKey.of(policy), device=CPU, dtype=torch.float32, **changes
    )


def test_prompts_are_encoded_in_batches_each_once_and_the_transformer_is_left_alone(tmp_path):
    policy = Counting()
    asked = prompts("a", "b", "a", "c", "d", "a")
    done = run(policy, asked, tmp_path / "s", batch=2)
    assert sorted(policy.encoded) == ["a", "b", "c", "d"]
    assert policy.batches == [2, 2]
    assert policy.loaded == set()
    assert (done.prompts, done.encoded, done.problems) == (6, 4, ())
    assert done.size.conditions == 4
    store = open_store(tmp_path / "s", policy)
    assert [each.text for each in store.prompts] == [each.text for each in asked]
    expected = encode_all(policy, asked, device=CPU, dtype=torch.float32)
    for each, other in zip(store.prompts, expected, strict=True):
        assert torch.equal(store.condition(each).tensors["prompt"], other.tensors["prompt"].bfloat16())


def test_equal_prompts_within_a_batch_are_one(tmp_path):
    policy = Counting()
    run(policy, prompts("a", "a", "b"), tmp_path / "s", batch=8)
    assert sorted(policy.encoded) == ["a", "b"]


def test_a_prompt_that_cannot_be_encoded_spoils_no_other(tmp_path):
    policy = Counting()
    done = run(policy, prompts("a", "long b", "c", "long d"), tmp_path / "s", batch=4)
    assert [(problem.where, problem.what) for problem in done.problems] == [
        ("p:2", "over the encoder's limit"),
        ("p:4", "over the encoder's limit"),
    ]
    assert [each.text for each in open_store(tmp_path / "s", policy).prompts] == ["a", "c"]
    assert done.prompts == 2


def test_an_unreadable_source_spoils_its_row_alone(tmp_path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("no image")
    policy = Counting()
    policy.task = Task.EDIT
    asked = [
        Prompt(name, Task.EDIT, "turn it", (picture_from_path(tmp_path / f"{name}.png"),), origin=f"p:{name}")
        for name in ("good", "bad")
    ]
    done = run(policy, asked, tmp_path / "s")
    assert [problem.where for problem in done.problems] == ["p:bad"]
    assert asked[0].sources[0]._image is None  # let go again
    assert len(open_store(tmp_path / "s", policy).prompts) == 1


def test_an_interrupted_run_goes_on_and_repeats_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "SHARD_SECONDS", 0.0)
    first, second, third = Counting(), Counting(), Counting()
    asked = prompts(*"abcdefgh")
    first.stop_after = 2
    with pytest.raises(KeyboardInterrupt):
        run(first, asked, tmp_path / "s", batch=2)
    seen: list[Progress] = []
    done = run(second, asked, tmp_path / "s", batch=2, watch=seen.append)
    assert first.encoded == [*"abcd"]
    assert second.encoded == [*"efgh"]
    assert (done.prompts, done.encoded) == (8, 4)
    assert (seen[-1].done, seen[-1].total, seen[-1].counts["there already"]) == (4, 4, 4)
    run(third, asked, tmp_path / "s")
    assert third.batches == []


def test_more_prompts_are_added_to_what_is_there(tmp_path):
    policy = Counting()
    run(policy, prompts(*"ab"), tmp_path / "s")
    run(policy, prompts(*"bc"), tmp_path / "s")
    assert policy.encoded == [*"abc"]
    assert [each.text for each in open_store(tmp_path / "s", policy).prompts] == [*"bc"]


def test_processes_share_the_work_and_one_index_says_it_all(tmp_path):
    world = 3
    barrier = threading.Barrier(world)
    told: dict[int, object] = {}
    policies = [Counting() for _ in range(world)]
    asked = prompts("a", "b", "long", "a", "c", "d", "e", "f", "b", "g")

    def work(rank: int) -> Preprocessed:
        def gather(value: object) -> list[object]:
            told[rank] = value
            barrier.wait(20)
            return [told[each] for each in range(world)]

        return run(policies[rank], asked, tmp_path / "s", rank=rank, world=world, gather=gather)

    with ThreadPoolExecutor(world) as pool:
        done = [*pool.map(work, range(world))]
    encoded = [text for policy in policies for text in policy.encoded]
    assert sorted(encoded) == [*"abcdefg"]
    assert all(policy.encoded for policy in policies)
    assert {(each.prompts, each.encoded, each.problems) for each in done} == {(9, 7, done[0].problems)}
    assert [each.size is not None for each in done] == [True, False, False]
    alone = Counting()
    run(alone, asked, tmp_path / "t")
    shared, single = open_store(tmp_path / "s", alone), open_store(tmp_path / "t", alone)
    assert [each.id for each in shared.prompts] == [each.id for each in single.prompts]
    for one, other in zip(shared.prompts, single.prompts, strict=True):
        assert torch.equal(shared.condition(one).tensors["prompt"], single.condition(other).tensors["prompt"])


@pytest.mark.parametrize("world", [1, 2, 5])
def test_shares_are_disjoint_even_and_keep_equal_prompts_together(world):
    asked = prompts(*[f"p{n % 40}" for n in range(80)])
    shares = [share_of(asked, rank, world) for rank in range(world)]
    assert sorted(index for share in shares for index in share) == [*range(80)]
    assert {len(share) for share in shares} == {80 // world}
    texts = [{asked[index].text for index in share} for share in shares]
    assert sum(map(len, texts)) == 40
