"""Updates: the rate over their real number, sums divided once, and non-finite numbers that are named."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from arrkit.errors import RunError
from arrkit.rpo.optimiser import Strikes, Update, finish_update, make_optimiser, rate
from arrkit.rpo.processes import Processes
from arrkit.rpo.recipe import Recipe, Schedule

pytestmark = pytest.mark.xdist_group("torch")

ALONE = Processes(torch.device("cpu"))
RECIPE = Recipe(learning_rate=1.0, warmup=4, max_steps=12)


def curve(**changes):
    return [round(rate(step, replace(RECIPE, **changes)), 6) for step in range(12)]


def test_the_rate_rises_evenly_and_stays():
    assert curve() == [0.25, 0.5, 0.75, *[1.0] * 9]


def test_a_line_would_end_at_zero_one_update_after_the_last():
    assert curve(schedule=Schedule.LINEAR)[3:] == [1.0, *(1 - k / 8 for k in range(8))]


def test_a_cosine_is_at_its_half_in_the_middle():
    falling = curve(schedule=Schedule.COSINE)[4:]
    assert falling[0] == 1.0
    assert falling[4] == 0.5
    assert 0 < falling[-1] < 0.05


@given(
    st.integers(0, 50),
    st.integers(0, 20),
    st.integers(1, 40),
    st.sampled_from(list(Schedule)),
)
def test_the_rate_is_never_negative_nor_above_the_given_one(step, warmup, most, schedule):
    recipe = Recipe(learning_rate=3e-4, warmup=warmup, max_steps=most, schedule=schedule)
    assert 0 <= rate(step, recipe) <= 3e-4 * (1 + 1e-12)
    if step < most:
        assert rate(step, recipe) > 0


def setup(recipe=RECIPE):
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    parameters = dict(module.named_parameters())
    return module, parameters, make_optimiser(parameters, recipe)


DATA = torch.linspace(-1, 2, 12).view(4, 3)


def step_in(batches, recipe=RECIPE, processes=ALONE):
    module, parameters, optimiser = setup(recipe)
    for batch in batches:
        module(batch).square().sum().backward()
    terms = sum(len(batch) for batch in batches)
    update = finish_update(
        optimiser, parameters, terms=terms, loss=1.0, step=0, recipe=recipe, processes=processes
    )
    return update, parameters


def test_accumulating_one_by_one_equals_all_at_once():
    one, split = step_in([DATA]), step_in([DATA[:1], DATA[1:2], DATA[2:3], DATA[3:]])
    assert one[0].terms == split[0].terms == 4
    assert one[0].norm == pytest.approx(split[0].norm, rel=1e-6)
    for name in one[1]:
        torch.testing.assert_close(one[1][name], split[1][name])


def test_the_mean_gradient_is_what_is_measured_and_cut():
    update, parameters = step_in([DATA], replace(RECIPE, grad_clip=0))
    module, _, _ = setup()
    module(DATA).square().sum(dim=1).mean().backward()
    expected = math.sqrt(sum(float(p.grad.square().sum()) for p in module.parameters()))
    assert update.norm == pytest.approx(expected, rel=1e-6)
    assert update.loss == 0.25
    assert all(parameter.grad is None for parameter in parameters.values())


def test_gradients_are_cut_to_the_norm():
    module, parameters, _ = setup()
    plain = torch.optim.SGD(module.parameters(), lr=0.0)
    module(DATA).square().sum().backward()
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    recipe = replace(RECIPE, grad_clip=0.01, warmup=0)
    update = finish_update(plain, parameters, terms=4, loss=1.0, step=0, recipe=recipe, processes=ALONE)
    assert update.norm > 0.1
    moved = torch.cat([(parameters[name].detach() - before[name]).flatten() for name in before])
    assert float(moved.norm()) == pytest.approx(0.01, rel=1e-3)


def test_a_parameter_that_no_term_reached_decays_like_the_others():
    recipe = Recipe(learning_rate=0.5, warmup=0, weight_decay=0.1)
    unused = nn.Parameter(torch.ones(1))
    used = nn.Parameter(torch.ones(1))
    parameters = {"unused": unused, "used": used}
    optimiser = make_optimiser(parameters, recipe)
    used.grad = torch.zeros(1)
    finish_update(optimiser, parameters, terms=1, loss=0.0, step=0, recipe=recipe, processes=ALONE)
    assert unused.item() == used.item() == pytest.approx(0.95)


def test_the_optimiser_has_the_rate_of_the_step():
    _, parameters, optimiser = setup()
    for parameter in parameters.values():
        parameter.grad = torch.ones_like(parameter)
    finish_update(optimiser, parameters, terms=1, loss=0.0, step=2, recipe=RECIPE, processes=ALONE)
    assert optimiser.param_groups[0]["lr"] == 0.75


def frozen(action):
    """The update that ``action`` spoils, and that it moved nothing."""
    module, parameters, optimiser = setup()
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    update = action(module, parameters, optimiser)
    assert all(torch.equal(parameters[name], before[name]) for name in before)
    assert not optimiser.state
    assert all(parameter.grad is None for parameter in parameters.values())
    return update


def test_without_a_decided_pair_nothing_moves_and_nothing_is_wrong():
    update = frozen(
        lambda _, parameters, optimiser: finish_update(
            optimiser, parameters, terms=0, loss=0.0, step=0, recipe=RECIPE, processes=ALONE
        )
    )
    assert update.skipped
    assert not update.bad


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_is_skipped_and_named(value):
    def spoil(module, parameters, optimiser):
        module(DATA).sum().backward()
        parameters["bias"].grad[1] = value
        return finish_update(
            optimiser,
            parameters,
            terms=4,
            loss=1.0,
            step=0,
            recipe=RECIPE,
            processes=ALONE,
            suspects=["a red cup"],
        )

    update = frozen(spoil)
    assert update.bad
    assert "bias" in update.skipped
    assert "a red cup" in update.skipped


def test_a_loss_that_is_not_finite_is_skipped_even_if_gradients_are():
    def spoil(module, parameters, optimiser):
        module(DATA).sum().backward()
        return finish_update(
            optimiser,
            parameters,
            terms=4,
            loss=float("nan"),
            step=0,
            recipe=RECIPE,
            processes=ALONE,
        )

    update = frozen(spoil)
    assert update.bad
    assert "loss is nan" in update.skipped


def test_bad_updates_in_a_row_end_the_run_and_a_good_one_forgives():
    bad = Update(1e-4, math.nan, math.nan, 4, skipped="the loss is nan", bad=True)
    good = Update(1e-4, 1.0, 0.5, 4)
    strikes = Strikes(3)
    for step, update in enumerate([bad, bad, good, bad, bad]):
        strikes.note(update, step)
    again = Strikes(3, **strikes.state())
    with pytest.raises(RunError, match=r"update 9 is the 3rd in a row.*the loss is nan"):
        again.note(bad, 9)
    assert again.total == 5
