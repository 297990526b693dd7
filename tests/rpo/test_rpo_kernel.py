"""The step of the sampler against the published expressions, in float64 where they are exact."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st

from arrkit.errors import InputError
from arrkit.rpo.kernel import (
    drift,
    gaussian_kl,
    log_ratio,
    mean_of,
    nats,
    take,
    transition,
    transitions,
    velocity_kl,
)
from arrkit.rpo.policy import Grid
from arrkit.rpo.recipe import Noise

pytestmark = pytest.mark.xdist_group("torch")

FLUX = [1, 0.9293, 0.8492, 0.7578, 0.6525, 0.5298, 0.3849, 0.2115, 0]
QWEN = [1, 0.9290, 0.8515, 0.7666, 0.6733, 0.5701, 0.4555, 0.3274, 0.1833, 0.0200, 0]
SD35 = [1, 0.9601, 0.9133, 0.8577, 0.7904, 0.7073, 0.6022, 0.4649, 0.2780, 0.0089, 0]
SHIFT3 = [1, 0.9643, 0.9231, 0.8750, 0.8182, 0.7500, 0.6667, 0.5625, 0.4286, 0.2500, 0]


def grid(sigmas: list[float]) -> Grid:
    levels = torch.tensor(sigmas, dtype=torch.float32)
    return Grid(levels, levels[:-1] * 1000)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("here", "there"), [(0.9, 0.8), (0.5, 0.3), (0.2, 0.05)])
def test_dance_is_the_published_euler_maruyama_step(here, there):
    x, v = drawn(3, 5), drawn(3, 5, seed=1)
    step = transition(0, here, there, Noise.DANCE, 0.3)
    dt = there - here
    x0 = x - here * v
    score = -(x - (1 - here) * x0) / here**2
    assert torch.allclose(mean_of(x, v, step), x + dt * v - 0.5 * 0.3**2 * score * dt, rtol=0, atol=1e-12)
    assert step.s == pytest.approx(0.3 * math.sqrt(-dt), abs=1e-15)


@pytest.mark.parametrize(("here", "there"), [(0.9, 0.8), (0.5, 0.3), (1.0, 0.9)])
def test_flow_is_the_published_step_of_flow_grpo(here, there):
    x, v = drawn(3, 5), drawn(3, 5, seed=1)
    step = transition(0, here, there, Noise.FLOW, 0.7)
    dt = there - here
    std = math.sqrt(here / (1 - (there if here == 1 else here))) * 0.7
    published = x * (1 + std**2 / (2 * here) * dt) + v * (1 + std**2 * (1 - here) / (2 * here)) * dt
    assert torch.allclose(mean_of(x, v, step), published, rtol=0, atol=1e-12)
    assert step.s == pytest.approx(std * math.sqrt(-dt), abs=1e-15)


@given(st.floats(0.02, 1), st.floats(0.01, 0.99), st.floats(0.01, 1))
@settings(max_examples=50, deadline=None)
def test_cps_keeps_the_noise_level(here, share, level):
    step = transition(0, here, here * share, Noise.CPS, level)
    assert step.total == pytest.approx(step.sigma_next, abs=1e-12)


@pytest.mark.parametrize("noise", list(Noise))
def test_the_mean_is_linear_in_the_velocity_with_slope_g(noise):
    x, v, other = drawn(2, 4), drawn(2, 4, seed=1), drawn(2, 4, seed=2)
    step = transition(0, 0.7, 0.6, noise, 0.4)
    assert torch.allclose(mean_of(x, v, step) - mean_of(x, other, step), step.g * (v - other), atol=1e-12)


@pytest.mark.parametrize("noise", list(Noise))
def test_without_noise_every_kind_is_euler(noise):
    x, v = drawn(2, 4), drawn(2, 4, seed=1)
    step = transition(0, 0.7, 0.4, noise, 0.0)
    assert torch.allclose(mean_of(x, v, step), x - 0.3 * v, atol=1e-12)
    assert torch.allclose(take(x, v, step), x - 0.3 * v, atol=1e-7)
    nearly = transition(0, 0.7, 0.4, noise, 1e-7)
    assert torch.allclose(mean_of(x, v, nearly), x - 0.3 * v, atol=1e-6)


def test_the_last_step_ends_at_the_predicted_clean_latents():
    x, v = drawn(2, 4), drawn(2, 4, seed=1)
    step = transition(0, 0.25, 0.0, Noise.CPS, 0.8)
    assert not step.stochastic
    assert torch.allclose(take(x, v, step), x - 0.25 * v, atol=1e-12)


@pytest.mark.parametrize(("noise", "level"), [(Noise.DANCE, 0.3), (Noise.FLOW, 0.7)])
@pytest.mark.parametrize("sigmas", [QWEN, SD35])
def test_late_stochastic_steps_of_real_grids_are_refused_by_name(noise, level, sigmas):
    last = len(sigmas) - 2
    with pytest.raises(InputError, match=rf"step {last} of {last + 1}"):
        transitions(grid(sigmas), range(last), noise, level)
    assert transitions(grid(sigmas), range(last), Noise.CPS, level)
    assert transitions(grid(sigmas), (1, 2), noise, level)


def test_the_paper_s_own_grid_passes_with_all_but_the_last_step_and_not_with_the_last():
    assert len(transitions(grid(SHIFT3), range(9), Noise.DANCE, 0.3)) == 10
    assert len(transitions(grid(FLUX), range(7), Noise.DANCE, 0.3)) == 8
    with pytest.raises(InputError, match="step 10 of 10"):
        transitions(grid(SHIFT3), range(10), Noise.DANCE, 0.3)


def _log_density(x: torch.Tensor, mean: torch.Tensor, s: float) -> torch.Tensor:
    return (-((x - mean) ** 2) / (2 * s**2)).flatten(1).mean(1)


@pytest.mark.parametrize("noise", list(Noise))
def test_the_difference_form_is_the_direct_log_ratio(noise):
    step = transition(0, 0.7, 0.6, noise, 0.4)
    x, v, eps = drawn(3, 64), drawn(3, 64, seed=1), drawn(3, 64, seed=2)
    new = v + 1e-3 * drawn(3, 64, seed=3)
    taken = take(x, v, step, eps)
    direct = _log_density(taken, mean_of(x, new, step), step.s) - _log_density(
        taken, mean_of(x, v, step), step.s
    )
    assert torch.allclose(log_ratio(new, v, eps, step), direct, rtol=1e-9, atol=1e-15)
    assert not log_ratio(v, v, eps, step).any()


def test_the_difference_form_keeps_its_figures_in_float32_where_the_direct_one_does_not():
    step = transition(0, 0.7, 0.6, Noise.FLOW, 0.7)
    x, v, eps = drawn(1, 65536), drawn(1, 65536, seed=1), drawn(1, 65536, seed=2)
    new = v + 1e-5 * drawn(1, 65536, seed=3)
    exact = log_ratio(new, v, eps, step)
    single = [each.float() for each in (new, v, eps)]
    ours = log_ratio(*single, step).double()
    taken = take(x.float(), v.float(), step, eps.float())
    direct = _log_density(taken, mean_of(x.float(), new.float(), step), step.s) - _log_density(
        taken, mean_of(x.float(), v.float(), step), step.s
    )
    assert abs(ours - exact) < abs(direct.double() - exact) / 10
    assert torch.allclose(ours, exact, rtol=0.02)


def test_ratio_norm_is_the_log_ratio_without_its_bias_and_scale():
    step = transition(0, 0.7, 0.6, Noise.CPS, 0.5)
    v, eps = drawn(3, 64, seed=1), drawn(3, 64, seed=2)
    new = v + 0.1 * drawn(3, 64, seed=3)
    bias = gaussian_kl(new, v, step)
    assert torch.allclose(drift(new, v, eps, step), (log_ratio(new, v, eps, step) + bias) * step.s)


def test_the_divergence_is_that_of_two_normal_distributions():
    step = transition(0, 0.7, 0.6, Noise.CPS, 0.5)
    v, ref = drawn(2, 8), drawn(2, 8, seed=1)
    x = drawn(2, 8, seed=2)
    means = mean_of(x, v, step), mean_of(x, ref, step)
    normal = [torch.distributions.Normal(mean, torch.tensor(step.s, dtype=torch.float64)) for mean in means]
    exact = torch.distributions.kl_divergence(*normal).mean(1)
    assert torch.allclose(gaussian_kl(v, ref, step), exact, rtol=1e-10)
    assert torch.allclose(velocity_kl(v, ref) * step.g**2 / (2 * step.s**2), exact, rtol=1e-10)


def test_a_clip_of_the_mean_in_nats():
    below, above = nats(0.2, 65536)
    assert (round(below), round(above)) == (-14624, 11949)
