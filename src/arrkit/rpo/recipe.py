"""How a policy is trained: every number that decides the result, in one value.

A preset gives all of them, a policy may suggest others that suit its model, and the user has the last word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum


class Preset(StrEnum):
    """``paper`` is RPO as published; ``recommended`` differs where the publication costs accuracy or time."""

    RECOMMENDED = "recommended"
    PAPER = "paper"


class Algorithm(StrEnum):
    """How answers of the judge become advantages.

    ``rpo``: two images a prompt, fixed advantages for the better and the worse one (arXiv 2605.08354);
    ``flow-grpo``: a group of images a prompt, each one's reward against the group's (arXiv 2505.05470).
    """

    RPO = "rpo"
    FLOW_GRPO = "flow-grpo"


class Reward(StrEnum):
    """What is asked of the judge.

    ``pairwise``: which of two images is better, in both orders; ``weighted``: how far each image meets each
    criterion, summed by the rubric's weights; ``mixture``: both, see ``Recipe.mix``.
    """

    PAIRWISE = "pairwise"
    WEIGHTED = "weighted"
    MIXTURE = "mixture"

    @property
    def compares(self) -> bool:
        """Whether images are compared in pairs."""
        return self is not Reward.WEIGHTED

    @property
    def scores(self) -> bool:
        """Whether each image is scored by itself."""
        return self is not Reward.PAIRWISE


class Noise(StrEnum):
    """How a stochastic step injects noise; see :mod:`arrkit.rpo.kernel`."""

    CPS = "cps"
    FLOW = "flow"
    DANCE = "dance"


class GridKind(StrEnum):
    """``scheduler``: the model's own; ``shift3``: evenly spaced, then shifted by 3, as RPO's code does."""

    SCHEDULER = "scheduler"
    SHIFT3 = "shift3"


class Trust(StrEnum):
    """What keeps an update near the policy that sampled.

    ``none``: one update on policy, where the ratio is 1; ``clip``: PPO's clip of the mean log ratio;
    ``ratio-norm``: the ratio without its bias and scale (GRPO-Guard, arXiv 2510.22319).
    """

    NONE = "none"
    CLIP = "clip"
    RATIO_NORM = "ratio-norm"


class Divergence(StrEnum):
    """The penalty for leaving the reference policy: on transition means, on velocities, or none."""

    GAUSSIAN = "gaussian"
    VELOCITY = "velocity"
    NONE = "none"


class StepWeight(StrEnum):
    """``score`` weighs a step as the policy gradient does, by |g|/s; ``flat`` weighs all alike."""

    FLAT = "flat"
    SCORE = "score"


class Schedule(StrEnum):
    """How the learning rate goes on after the warm-up, over the real number of updates."""

    CONSTANT = "constant"
    LINEAR = "linear"
    COSINE = "cosine"


class Window(StrEnum):
    """Which steps are stochastic and trained.

    ``all-but-last``; ``early``: ``window`` steps that follow each other, drawn anew for each update from the
    first ``window_range``; ``scattered``: the same, but any steps of that range. What is drawn is shared by
    both candidates, all pairs and all processes of an update.
    """

    ALL_BUT_LAST = "all-but-last"
    EARLY = "early"
    SCATTERED = "scattered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All hyper-parameters of a training run.

    Args:
        algorithm, reward: see :class:`Algorithm` and :class:`Reward`.
        group: images sampled for one prompt; two for ``rpo``.
        mix: the share of the weighted reward in a mixture, in [0, 1].
        pairs: prompts sampled for one rollout, over all processes; each gives a pair, or a group.
        updates: optimiser updates a rollout; more than one needs ``trust``.
        steps: sampling steps.
        noise, level: kind of injected noise and its parameter (eta of ``dance``, a of ``flow`` and ``cps``).
        window, window_size, window_range: the stochastic steps, see :class:`Window`.
        shared_start: whether all images of a prompt begin from the same noise.
        win, lose: advantages of the preferred and of the other candidate of a pair.
        trust, clip: see :class:`Trust`; ``clip`` is in units of the ratio.
        divergence, beta: the penalty and its weight.
        step_weight: see :class:`StepWeight`.
        learning_rate, warmup, schedule, weight_decay, beta1, beta2, grad_clip: of AdamW.
        rank, alpha: of the adapters.
        ema: decay of an average of the adapter that is saved instead of the last one; 0 for none.
    """

    algorithm: Algorithm = Algorithm.RPO
    reward: Reward = Reward.PAIRWISE
    group: int = 2
    mix: float = 0.5
    pairs: int = 32
    updates: int = 1
    steps: int = 8
    noise: Noise = Noise.CPS
    level: float = 0.7
    window: Window = Window.EARLY
    window_size: int = 2
    window_range: int = 4
    shared_start: bool = True
    grid: GridKind = GridKind.SCHEDULER
    win: float = 0.55
    lose: float = -0.55
    trust: Trust = Trust.NONE
    clip: float = 2e-6
    divergence: Divergence = Divergence.VELOCITY
    beta: float = 0.01
    step_weight: StepWeight = StepWeight.FLAT
    learning_rate: float = 1e-4
    warmup: int = 10
    schedule: Schedule = Schedule.CONSTANT
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.95
    grad_clip: float = 1.0
    rank: int = 16
    alpha: float = 32.0
    ema: float = 0.0
    max_steps: int = 300


GROUP = 8
"""Images for one prompt of ``flow-grpo``, unless the user names another number."""

PRESETS: Mapping[Preset, Recipe] = {
    Preset.RECOMMENDED: Recipe(),
    # arXiv 2605.08354, with what its released code adds: eta, grid, all but the last step, AdamW's defaults.
    Preset.PAPER: Recipe(
        pairs=32,
        steps=8,
        noise=Noise.DANCE,
        level=0.3,
        window=Window.ALL_BUT_LAST,
        grid=GridKind.SHIFT3,
        win=1.0,
        lose=-0.1,
        trust=Trust.CLIP,
        clip=0.2,
        divergence=Divergence.GAUSSIAN,
        beta=0.01,
        step_weight=StepWeight.SCORE,
        learning_rate=5e-5,
        warmup=0,
        weight_decay=1e-4,
        beta2=0.999,
    ),
}


def recipe_for(
    preset: Preset, suggested: Mapping[str, str | int | float], given: Mapping[str, object]
) -> Recipe:
    """The preset, changed by what the policy suggests (not for ``paper``) and then by what the user gave.

    ``given`` may hold ``None`` for what was not given. Raises ``TypeError`` for a name that is no field.
    """
    names = {field.name for field in fields(Recipe)}
    if unknown := sorted({*suggested, *given} - names):
        raise TypeError(f"Recipe has no field {', '.join(unknown)}")
    base = PRESETS[preset]
    kinds = {"noise": Noise, "window": Window, "grid": GridKind, "trust": Trust, "divergence": Divergence}
    kinds |= {"schedule": Schedule, "step_weight": StepWeight, "algorithm": Algorithm, "reward": Reward}
    hints = {} if preset is Preset.PAPER else dict(suggested)
    if given.get("algorithm") == Algorithm.FLOW_GRPO:
        group = int(str(given.get("group") or GROUP))
        # As many images for an update as of pairs: what a rollout costs stays what it was.
        pairs = max(1, 2 * int(hints.get("pairs", base.pairs)) // group)
        hints |= {"reward": Reward.WEIGHTED, "group": group, "pairs": pairs}
    changes = {**hints, **{name: value for name, value in given.items() if value is not None}}
    typed = {name: kinds[name](str(value)) if name in kinds else value for name, value in changes.items()}
    return replace(base, **typed)  # type: ignore[arg-type]
