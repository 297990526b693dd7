"""Groups of images of the toy policy, under a judge that scores how bright and how red they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from bright_judge import BrightJudge
from toy_policy import ToyPolicy

from arrkit.errors import RunError
from arrkit.judge.protocol import CriterionScore, Outcome, ScoreRequest, Scores
from arrkit.judge.session import JudgeSession
from arrkit.rpo.feed import Feed
from arrkit.rpo.learner import Learner, Sums
from arrkit.rpo.lora import adapter_hash, add_adapter
from arrkit.rpo.policy import Part
from arrkit.rpo.processes import Processes
from arrkit.rpo.recipe import Algorithm, Divergence, Recipe, Reward, Trust, Window
from arrkit.rpo.reward import Referee
from arrkit.rpo.rollout import draw_window, roll_out
from arrkit.rpo.ruling import FailureBudget
from arrkit.rpo.sample import sample_latents
from arrkit.rpo.trainer import Trainer
from arrkit.rubric.model import Criterion, Dimension

pytestmark = pytest.mark.xdist_group("torch")

CPU = torch.device("cpu")
RUBRIC = (Dimension("d", "d", (Criterion("bright", "it is bright", 3.0), Criterion("red", "it is red"))),)
RECIPE = Recipe(
    algorithm=Algorithm.FLOW_GRPO,
    reward=Reward.WEIGHTED,
    group=4,
    pairs=8,
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


class ScoringJudge(BrightJudge):
    """Scores brightness and redness; ``alike`` gives all images one score, every ``lost``-th has none."""

    def __init__(self, *, alike: bool = False, lost: int = 0, likes: float = 1.0) -> None:
        super().__init__()
        self.alike, self.lost, self.likes = alike, lost, likes
        self.scored = 0

    async def score(self, request: ScoreRequest) -> Scores:
        self.scored += 1
        if self.lost and self.scored % self.lost == 0:
            return Scores(Outcome.REFUSED, detail="it is a cat")
        red, green, blue = request.image.load().getpixel((0, 0))
        bright = 0.5 if self.alike else (red + green + blue) / 765
        reddish = 0.5 if self.alike else red / 255
        found = {"bright": bright, "red": reddish}
        return Scores(
            Outcome.OK,
            tuple(CriterionScore(name, s if self.likes > 0 else 1 - s) for name, s in found.items()),
        )


@contextmanager
def training(
    recipe: Recipe = RECIPE, judge: ScoringJudge | None = None, *, batch: int = 32
) -> Iterator[Trainer]:
    policy = ToyPolicy()
    policy.load([Part.TRANSFORMER, Part.DECODER], device=CPU, dtype=torch.float32)
    add_adapter(policy.transformer, rank=4, alpha=8, targets=policy.targets, seed=1)
    prompts = policy.prompts("train")
    conditions = dict(zip([each.id for each in prompts], policy.encode(prompts), strict=True))
    feed = Feed(prompts, lambda prompt: conditions[prompt.id], seed=0)
    with Referee(JudgeSession(judge or ScoringJudge(), concurrency=64), RUBRIC, window=64) as referee:
        budget = FailureBudget(0.5)
        yield Trainer(policy, recipe, feed, referee, Processes(CPU), seed=0, batch=batch, budget=budget)


def brightness(policy: ToyPolicy) -> float:
    conditions = policy.encode(policy.prompts("test")) * 8
    noise = torch.stack([policy.noise(c, torch.Generator().manual_seed(i)) for i, c in enumerate(conditions)])
    return float(torch.sigmoid(sample_latents(policy, conditions, noise, 5).mean(1)).mean())


def gradient(recipe: Recipe = RECIPE, **options: object) -> torch.Tensor:
    """The change of the adapter by one plain update."""
    with training(recipe, **options) as trainer:  # type: ignore[arg-type]
        trainer.optimiser = torch.optim.SGD(trainer.parameters.values(), lr=1.0)
        before = torch.cat([each.detach().clone().flatten() for each in trainer.parameters.values()])
        trainer.advance()
        return torch.cat([each.detach().flatten() for each in trainer.parameters.values()]) - before


@pytest.mark.parametrize("reward", list(Reward))
def test_a_known_preference_is_learnt_under_any_reward(reward):
    with training(replace(RECIPE, reward=reward)) as trainer:
        before = brightness(trainer.policy)
        for _ in range(10):
            (row,) = trainer.advance().rows
        assert brightness(trainer.policy) > before + 0.15
        assert row["images"] == 32
        assert row["terms"] == 32 * 2 * (1 - row["reward/flat"])
        assert ("reward/criterion/red" in row) is reward.scores
        assert row.get("judge/pairs", 0) == (8 * 6 if reward.compares else 0)


def test_rpo_learns_from_scores_too():
    with training(replace(RECIPE, algorithm=Algorithm.RPO, group=2, pairs=16)) as trainer:
        before = brightness(trainer.policy)
        for _ in range(10):
            trainer.advance()
        assert brightness(trainer.policy) > before + 0.15
        assert trainer.referee.judge == "bright"


def test_several_updates_a_rollout_leave_the_policy_that_sampled():
    recipe = replace(RECIPE, trust=Trust.CLIP, clip=0.2, updates=2)
    with training(recipe) as trainer:
        first, second = trainer.advance().rows
        assert all(value == 0 for name, value in first.items() if name.startswith("log_ratio"))
        assert any(abs(value) > 1e-6 for name, value in second.items() if name.startswith("log_ratio"))


def test_the_opposite_judge_gives_the_opposite_gradient():
    one, other = gradient(judge=ScoringJudge(likes=1.0)), gradient(judge=ScoringJudge(likes=-1.0))
    assert one.abs().max() > 1e-4
    assert torch.allclose(one, -other, atol=1e-5)


def test_groups_of_equals_change_nothing():
    with training(judge=ScoringJudge(alike=True)) as trainer:
        before = adapter_hash(trainer.policy.transformer)
        (row,) = trainer.advance().rows
        assert adapter_hash(trainer.policy.transformer) == before
        assert (row["reward/flat"], row["terms"], row["skipped"]) == (1, 0, 1)


def test_lost_images_are_masked_and_too_many_end_the_run():
    with training(judge=ScoringJudge(lost=8)) as trainer:
        done = trainer.advance()
        (row,) = done.rows
        assert row["reward/failures"] == 4
        assert row["terms"] == (32 - 4) * 2
        trainer.budget.check()
    with training(judge=ScoringJudge(lost=1)) as trainer:
        trainer.advance()
        with pytest.raises(RunError, match="images got no score from the judge"):
            trainer.budget.check()


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("batch", [8, 3])
def test_groups_in_parts_train_as_in_one(shared, batch):
    recipe = replace(RECIPE, group=5, pairs=3, shared_start=shared)
    assert torch.allclose(gradient(recipe, batch=64), gradient(recipe, batch=batch), atol=1e-5)


def test_an_image_does_not_depend_on_who_else_is_in_its_group():
    policy = ToyPolicy()
    policy.load([Part.TRANSFORMER], device=CPU, dtype=torch.float32)
    add_adapter(policy.transformer, rank=4, alpha=8, targets=policy.targets, seed=1)
    conditions = policy.encode(policy.prompts("train")[:2])
    window = draw_window(RECIPE, 0, 0)

    def rolled(*candidates: int):  # type: ignore[no-untyped-def]
        recipe = replace(RECIPE, shared_start=True)
        return roll_out(
            policy, conditions, ["x", "y"], recipe, window, seed=0, device=CPU, candidates=candidates
        )

    whole, part = rolled(0, 1, 2, 3), rolled(2, 3)
    assert (whole.group, part.group) == (4, 2)
    assert torch.allclose(whole.latents[4:], part.latents, atol=1e-6)
    assert torch.allclose(whole.latents[:4], rolled(0, 1).latents, atol=1e-6)
    assert len({tuple(each.flatten().tolist()) for each in whole.latents}) == 8
    learner = Learner(policy, RECIPE, device=CPU, batch=64)
    assert learner.check_ratio(whole) == 0
    sums = Sums()
    learner.learn(whole, [(1.0, None, -1.0, 0.5), None], sums)
    assert sums.terms == 3 * len(window)


def test_a_run_is_a_function_of_its_seed():
    assert torch.equal(gradient(), gradient())
