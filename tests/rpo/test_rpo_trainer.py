"""Whole rollouts and updates of the toy policy under a judge that likes bright images."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from bright_judge import BrightJudge, referee_of
from toy_policy import ToyPolicy

from arrkit.judge.protocol import Side
from arrkit.rpo import trainer as trainer_module
from arrkit.rpo.feed import Feed
from arrkit.rpo.foresight import foresee
from arrkit.rpo.lora import adapter_hash, adapter_parameters, add_adapter, reference
from arrkit.rpo.policy import Part
from arrkit.rpo.processes import Processes
from arrkit.rpo.recipe import Divergence, Recipe, Trust, Window
from arrkit.rpo.ruling import FailureBudget
from arrkit.rpo.sample import sample_latents
from arrkit.rpo.trainer import Judged, Trainer

pytestmark = pytest.mark.xdist_group("torch")

CPU = torch.device("cpu")
RECIPE = Recipe(
    pairs=16,
    steps=5,
    level=0.7,
    window=Window.SCATTERED,
    window_size=2,
    window_range=4,
    shared_start=False,
    divergence=Divergence.NONE,
    learning_rate=2e-2,
    warmup=0,
    max_steps=12,
)


@contextmanager
def training(
    recipe: Recipe = RECIPE, judge: object = None, *, batch: int = 32, defer: bool = False
) -> Iterator[Trainer]:
    policy = ToyPolicy()
    policy.load([Part.TRANSFORMER, Part.DECODER], device=CPU, dtype=torch.float32)
    add_adapter(policy.transformer, rank=4, alpha=8, targets=policy.targets, seed=1)
    prompts = policy.prompts("train")
    conditions = dict(zip([each.id for each in prompts], policy.encode(prompts), strict=True))
    feed = Feed(prompts, lambda prompt: conditions[prompt.id], seed=0)
    with referee_of(judge or BrightJudge()) as referee:
        yield Trainer(
            policy,
            recipe,
            feed,
            referee,
            Processes(CPU),
            seed=0,
            batch=batch,
            budget=FailureBudget(0.5),
            defer=defer,
        )


def brightness(policy: ToyPolicy) -> float:
    conditions = policy.encode(policy.prompts("test")) * 8
    noise = torch.stack([policy.noise(c, torch.Generator().manual_seed(i)) for i, c in enumerate(conditions)])
    latents = sample_latents(policy, conditions, noise, 5)
    return float(torch.sigmoid(latents.mean(1)).mean())


def test_a_known_preference_is_learnt():
    with training() as trainer:
        with reference(trainer.policy.transformer):
            before = brightness(trainer.policy)
        for _ in range(12):
            rows = trainer.advance().rows
        assert brightness(trainer.policy) > before + 0.2
        assert rows[0]["update"] == 12


@pytest.mark.parametrize("trust", [Trust.CLIP, Trust.RATIO_NORM])
def test_it_is_learnt_with_several_updates_a_rollout_too(trust):
    recipe = replace(RECIPE, trust=trust, clip=0.2, updates=2)
    with training(recipe) as trainer:
        before = brightness(trainer.policy)
        rows = [row for _ in range(6) for row in trainer.advance().rows]
        assert [row["update"] for row in rows] == list(range(1, 13))
        assert brightness(trainer.policy) > before + 0.1
        assert any(
            abs(row[name]) > 1e-5 for row in rows[1::2] for name in row if name.startswith("log_ratio")
        )


def test_a_judge_that_goes_by_the_place_changes_nothing():
    with training(judge=BrightJudge(slot=Side.FIRST)) as trainer:
        before = adapter_hash(trainer.policy.transformer)
        (row,) = trainer.advance().rows
        assert adapter_hash(trainer.policy.transformer) == before
        assert (row["judge/tie_rate"], row["judge/consistency"], row["judge/first_rate"]) == (1, 0, 1)
        assert (row["terms"], row["skipped"], row["bad"]) == (0, 1, 0)


def adapted(recipe: Recipe, updates: int = 2, **options: object) -> torch.Tensor:
    with training(recipe, **options) as trainer:  # type: ignore[arg-type]
        for _ in range(updates):
            trainer.advance()
        parameters = adapter_parameters(trainer.policy.transformer).values()
        return torch.cat([each.detach().flatten() for each in parameters])


def test_four_batches_of_one_pair_train_as_one_of_four():
    recipe = replace(RECIPE, pairs=4)
    assert torch.allclose(adapted(recipe, batch=8), adapted(recipe, batch=2), atol=2e-5)


@pytest.mark.parametrize("before", [4, 2])
def test_gradients_before_the_rulings_train_as_those_after_them(monkeypatch, before):
    recipe = replace(RECIPE, pairs=4, divergence=Divergence.VELOCITY, beta=0.05)
    early = []

    def slowly(learner: object, rollout: object, pair: int) -> object:
        early.append(pair)
        if pair == before - 1:
            time.sleep(0.4)  # in the meantime all rulings come in
        return foresee(learner, rollout, pair)

    monkeypatch.setattr(trainer_module, "foresee", slowly)
    slow = BrightJudge(seconds=0.2)
    assert torch.allclose(adapted(recipe, 1), adapted(recipe, 1, defer=True, judge=slow), atol=2e-5)
    assert early == list(range(before))


def test_nothing_is_made_ready_for_a_judge_that_is_faster(monkeypatch):
    monkeypatch.setattr(trainer_module, "foresee", None)
    monkeypatch.setattr(Trainer, "_sample", lambda *a, _of=Trainer._sample: _waited(_of(*a)))
    adapted(replace(RECIPE, pairs=4), 1, defer=True)


def _waited(sampled: Iterator[Judged]) -> Iterator[Judged]:
    for judged in sampled:
        wait(judged.futures)
        yield judged


def test_a_run_is_a_function_of_its_seed():
    assert torch.equal(adapted(RECIPE), adapted(RECIPE))


def test_every_prompt_comes_once_before_any_comes_again():
    policy = ToyPolicy()
    prompts = policy.prompts("train")
    feed = Feed(prompts, lambda prompt: policy.encode([prompt])[0], seed=3)
    drawn = [each.prompt.id for rollout in range(4) for each in feed.draw(rollout, 4, range(4))]
    assert len(set(drawn[:8])) == len(set(drawn[8:])) == 8
    assert drawn[:8] != drawn[8:]
    again = Feed(prompts, lambda prompt: policy.encode([prompt])[0], seed=3)
    assert [each.prompt.id for each in again.draw(3, 4, [1, 3])] == [drawn[13], drawn[15]]


def test_judged_batches_go_first_and_the_judge_works_while_others_are_sampled():
    judge = BrightJudge(seconds=0.05)
    with training(judge=judge, batch=8) as trainer:
        (row,) = trainer.advance().rows
        assert judge.asked == 32
        assert row["seconds/judge"] < 0.05 * 4
        assert {"seconds/rollout", "seconds/decode", "seconds/train"} <= row.keys()
