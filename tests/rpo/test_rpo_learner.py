"""Losses and gradients on a policy of a few hundred weights."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from toy_policy import ToyPolicy

from arrkit.data.pairs import Label
from arrkit.errors import RunError
from arrkit.rpo.foresight import foresee
from arrkit.rpo.kernel import gaussian_kl, transition, velocity_kl
from arrkit.rpo.learner import Learner, Sums
from arrkit.rpo.lora import adapter_parameters, add_adapter, reference
from arrkit.rpo.objective import terms
from arrkit.rpo.policy import Part
from arrkit.rpo.recipe import Divergence, Noise, Preset, Recipe, Trust, Window, recipe_for
from arrkit.rpo.rollout import Rollout, draw_window, roll_out
from arrkit.rpo.ruling import Ruling, advantages

pytestmark = pytest.mark.xdist_group("torch")

CPU = torch.device("cpu")
RECIPE = Recipe(steps=6, level=0.7, beta=0.1, divergence=Divergence.VELOCITY)


def policy(**options: float) -> ToyPolicy:
    made = ToyPolicy(**options)
    made.load([Part.TRANSFORMER], device=CPU, dtype=torch.float32)
    add_adapter(made.transformer, rank=4, alpha=8, targets=made.targets, seed=1)
    return made


def rolled(made: ToyPolicy, recipe: Recipe = RECIPE, pairs: int = 3, update: int = 0) -> Rollout:
    conditions = made.encode(made.prompts("train")[:pairs])
    names = [f"{update}/{i}" for i in range(pairs)]
    window = draw_window(recipe, 0, update)
    return roll_out(made, conditions, names, recipe, window, seed=0, device=CPU)


def nudge(made: ToyPolicy, by: float = 0.05) -> None:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in adapter_parameters(made.transformer).values():
            parameter.add_(by * torch.randn(parameter.shape, generator=generator))


def gradient(made: ToyPolicy) -> torch.Tensor:
    found = [
        torch.zeros_like(p) if p.grad is None else p.grad
        for p in adapter_parameters(made.transformer).values()
    ]
    flat = torch.cat([each.flatten() for each in found])
    made.transformer.zero_grad()
    return flat


def learnt(made: ToyPolicy, rollout: Rollout, given: list, recipe: Recipe = RECIPE, batch: int = 8):
    sums = Sums()
    Learner(made, recipe, device=CPU, batch=batch).learn(rollout, given, sums)
    return gradient(made), sums


def test_on_policy_the_ratio_is_exactly_one_and_a_lie_is_found():
    made = policy()
    nudge(made)
    assert Learner(made, RECIPE, device=CPU, batch=8).check_ratio(rolled(made)) == 0
    liar = policy(lie=1e-2)
    with pytest.raises(RunError, match="disagree") as caught:
        Learner(liar, RECIPE, device=CPU, batch=8).check_ratio(rolled(liar))
    assert "data type" in str(caught.value.problems[0].hint)


def test_latents_stored_in_bf16_fail_the_check():
    made = policy()
    rollout = rolled(made)
    coarse = replace(rollout, trained=tuple(replace(t, x=t.x.bfloat16().float()) for t in rollout.trained))
    with pytest.raises(RunError, match="disagree"):
        Learner(made, RECIPE, device=CPU, batch=8).check_ratio(coarse)


def test_the_opposite_ruling_gives_the_opposite_gradient_and_a_tie_none():
    made = policy()
    rollout = rolled(made, replace(RECIPE, beta=0.0))
    recipe = replace(RECIPE, beta=0.0)
    one, _ = learnt(made, rollout, [(0.55, -0.55)] * 3, recipe)
    other, _ = learnt(made, rollout, [(-0.55, 0.55)] * 3, recipe)
    assert one.abs().max() > 0
    assert torch.allclose(one, -other, atol=1e-7)
    nothing, sums = learnt(made, rollout, [None, None, None], recipe)
    assert not nothing.any()
    assert sums.terms == 0


def test_a_masked_pair_counts_as_if_it_had_never_been_sampled():
    made = policy()
    nudge(made)
    whole = rolled(made)
    some, sums = learnt(made, whole, [(0.55, -0.55), None, (-0.55, 0.55)])
    alone = [
        learnt(made, whole, [None] * i + [given] + [None] * (2 - i))
        for i, given in ((0, (0.55, -0.55)), (2, (-0.55, 0.55)))
    ]
    assert torch.allclose(some, alone[0][0] + alone[1][0], atol=1e-6)
    assert sums.terms == sum(each.terms for _, each in alone) == 2 * 2 * RECIPE.window_size


def test_gradients_do_not_depend_on_the_batch():
    made = policy()
    nudge(made)
    rollout = rolled(made)
    given = [(0.55, -0.55), (-0.55, 0.55), (0.55, -0.55)]
    one, _ = learnt(made, rollout, given, batch=8)
    four, _ = learnt(made, rollout, given, batch=1)
    assert torch.allclose(one, four, atol=1e-6)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_gradients_made_before_the_ruling_are_those_made_after_it(centred, beta):
    made = policy()
    recipe = replace(RECIPE, beta=beta, win=0.55 if centred else 1.0, lose=-0.55 if centred else -0.1)
    rollout = rolled(made, recipe)
    nudge(made)
    given = [(recipe.win, recipe.lose), None, (recipe.lose, recipe.win)]
    after, sums = learnt(made, rollout, given, recipe)
    learner, early = Learner(made, recipe, device=CPU, batch=8), Sums()
    for pair, each in enumerate(given):
        foreseen = foresee(learner, rollout, pair)
        if each is not None:
            foreseen.settle(each, early)
    assert torch.allclose(gradient(made), after, atol=1e-6)
    assert early.terms == sums.terms


@pytest.mark.parametrize("divergence", [Divergence.VELOCITY, Divergence.GAUSSIAN])
def test_the_gradient_of_the_divergence_is_that_of_finite_differences(divergence):
    step = transition(0, 0.7, 0.6, Noise.CPS, 0.5)
    recipe = replace(RECIPE, divergence=divergence, beta=1.0)
    generator = torch.Generator().manual_seed(0)
    v, ref, eps = (torch.randn(1, 6, generator=generator, dtype=torch.float64) for _ in range(3))
    v.requires_grad_(True)

    def loss(at: torch.Tensor) -> torch.Tensor:
        return terms(at, v.detach(), eps, torch.zeros(1), step, recipe, ref).loss.sum()

    loss(v).backward()
    for index in range(6):
        shift = torch.zeros(1, 6, dtype=torch.float64)
        shift[0, index] = 1e-6
        measured = (loss(v.detach() + shift) - loss(v.detach() - shift)) / 2e-6
        assert measured.item() == pytest.approx(v.grad[0, index].item(), rel=1e-6)


def test_a_fresh_adapter_is_its_own_reference():
    made = policy()
    rollout = rolled(made)
    trained = rollout.trained[-1]
    batch = made.collate([*rollout.conditions, *rollout.conditions])
    v = made.velocity(trained.x, trained.timestep, batch)
    with reference(made.transformer):
        v_ref = made.velocity(trained.x, trained.timestep, batch)
    assert not velocity_kl(v, v_ref).any()
    assert not gaussian_kl(v, v_ref, trained.step).any()
    _, sums = learnt(made, rollout, [(0.55, -0.55)] * 3)
    assert sums.divergence == 0


def test_a_clipped_term_has_no_gradient():
    step = transition(0, 0.7, 0.6, Noise.CPS, 0.5)
    recipe = replace(RECIPE, trust=Trust.CLIP, clip=1e-4, beta=0.0)
    v = torch.full((2, 6), 0.1, requires_grad=True)
    eps = -torch.ones(2, 6)
    found = terms(v, torch.zeros(2, 6), eps, torch.tensor([1.0, -1.0]), step, recipe)
    found.loss.sum().backward()
    assert found.log_ratio[0] > 1e-4
    assert found.clipped_high.tolist() == [True, False]
    assert not v.grad[0].any()
    assert v.grad[1].any()


def test_the_paper_s_advantages_are_the_published_ones():
    paper = recipe_for(Preset.PAPER, {"win": 0.55}, {})
    assert advantages(Ruling(Label.A), paper.win, paper.lose) == (1.0, -0.1)
    assert advantages(Ruling(Label.B), paper.win, paper.lose) == (-0.1, 1.0)
    assert advantages(Ruling(Label.TIE), paper.win, paper.lose) is None
    assert draw_window(paper, 3, 5) == tuple(range(7))


def test_a_window_is_the_same_for_all_and_another_for_the_next_rollout():
    recipe = replace(RECIPE, steps=20, window_size=3, window_range=12, window=Window.SCATTERED)
    drawn = [draw_window(recipe, 0, update) for update in range(20)]
    assert drawn == [draw_window(recipe, 0, update) for update in range(20)]
    assert len(set(drawn)) > 5
    assert all(len(set(each)) == 3 and max(each) < 12 for each in drawn)
    early = [draw_window(replace(recipe, window=Window.EARLY), 0, update) for update in range(20)]
    assert all(each[2] - each[0] == 2 for each in early)


def test_candidates_share_their_start_and_part_where_noise_comes_in():
    made = policy()
    recipe = replace(RECIPE, steps=8, window_size=2, window_range=3)
    window = next(w for n in range(20) if (w := draw_window(recipe, 0, n))[0] == 1)
    conditions = made.encode(made.prompts("train")[:2])
    shared = roll_out(made, conditions, ["x", "y"], recipe, window, seed=0, device=CPU)
    assert len(shared.trained[0].x) == 2
    assert len(shared.trained[1].x) == 4
    assert not torch.equal(shared.latents[:2], shared.latents[2:])
    assert shared.forwards == 2 * (2 + 2 * 6)
    apart = roll_out(
        made, conditions, ["x", "y"], replace(recipe, shared_start=False), window, seed=0, device=CPU
    )
    assert apart.forwards == 2 * 2 * 8
    assert not torch.equal(apart.trained[0].x[:2], apart.trained[0].x[2:])


def test_a_pair_does_not_depend_on_the_others_in_its_batch():
    made = policy()
    conditions = made.encode(made.prompts("train")[:3])
    window = draw_window(RECIPE, 0, 0)
    whole = roll_out(made, conditions, ["a", "b", "c"], RECIPE, window, seed=0, device=CPU)
    alone = roll_out(made, conditions[1:2], ["b"], RECIPE, window, seed=0, device=CPU)
    assert torch.allclose(whole.latents[[1, 4]], alone.latents, atol=1e-6)
