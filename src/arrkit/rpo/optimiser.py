"""The optimiser: one update from gradients that were summed over many pairs and several processes.

Back-propagate *sums* over terms (a term is whatever the loss counts, such as one trained transition of a
decided pair). :func:`finish_update` divides by their number over all processes, once. So one batch of four
equals four of one, and a process with few decided pairs weighs as much as it has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from arrkit.errors import RunError
from arrkit.rpo.processes import Processes
from arrkit.rpo.recipe import Recipe, Schedule


def make_optimiser(parameters: Mapping[str, nn.Parameter], recipe: Recipe) -> torch.optim.AdamW:
    """AdamW as the recipe says. The rate is set by :func:`finish_update`, from :func:`rate`."""
    return torch.optim.AdamW(
        list(parameters.values()),
        lr=rate(0, recipe),
        betas=(recipe.beta1, recipe.beta2),
        weight_decay=recipe.weight_decay,
    )


def rate(step: int, recipe: Recipe) -> float:
    """The learning rate of update ``step``, counted from 0.

    It rises evenly over the warm-up, whose last update has the full rate already, and then follows the
    schedule so that it would be 0 at update ``max_steps``, the first that is not made.
    """
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    done = min(1.0, (step - recipe.warmup) / max(1, recipe.max_steps - recipe.warmup))
    if recipe.schedule is Schedule.LINEAR:
        return recipe.learning_rate * (1 - done)
    if recipe.schedule is Schedule.COSINE:
        return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
    return recipe.learning_rate


@dataclass(frozen=True, slots=True)
class Update:
    """What became of one update, the same on all processes.

    ``norm`` is that of the mean gradient before it was cut; ``loss`` the mean over terms; ``skipped`` says
    why no step was made, or is empty; ``bad`` whether that was for non-finite numbers.
    """

    rate: float
    norm: float
    loss: float
    terms: int
    skipped: str = ""
    bad: bool = False


def finish_update(
    optimiser: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
    *,
    terms: int,
    loss: float,
    step: int,
    recipe: Recipe,
    processes: Processes,
    suspects: Sequence[str] = (),
) -> Update:
    """Make update ``step`` from the gradients in ``parameters``, and clear them.

    Args:
        terms: how many terms this process back-propagated; 0 is allowed.
        loss: their summed loss.
        suspects: what to name if numbers turn out non-finite, such as the prompts whose loss was.

    No step is made without terms, or where a loss or gradient is not finite on any process.
    """
    for parameter in parameters.values():
        # A process without terms has none; zeros also let weight decay act the same everywhere.
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in parameters.values() if parameter.grad is not None]
    local = math.isfinite(loss) and (processes.world == 1 or _finite(gradients))
    total, loss_sum, broken = processes.total([terms, loss if math.isfinite(loss) else 0.0, not local])
    learning_rate = rate(step, recipe)
    count = int(total)
    try:
        if not count and not broken:
            return Update(learning_rate, 0.0, 0.0, 0, skipped="no pair was decided")
        norm = math.nan
        if not broken:
            processes.sum_flat(gradients)
            torch._foreach_div_(gradients, float(count))
            norm = float(nn.utils.get_total_norm(gradients))
        if not math.isfinite(norm):
            blame = _blame(parameters, loss, suspects, processes)
            return Update(learning_rate, norm, math.nan, count, skipped=blame, bad=True)
        if recipe.grad_clip:
            nn.utils.clip_grads_with_norm_(
                list(parameters.values()), recipe.grad_clip, torch.tensor(norm, device=gradients[0].device)
            )
        for group in optimiser.param_groups:
            group["lr"] = learning_rate
        optimiser.step()
        return Update(learning_rate, norm, loss_sum / count, count)
    finally:
        optimiser.zero_grad(set_to_none=True)


def _finite(gradients: Sequence[torch.Tensor]) -> bool:
    return bool(torch.isfinite(nn.utils.get_total_norm(gradients)))


def _blame(
    parameters: Mapping[str, nn.Parameter], loss: float, suspects: Sequence[str], processes: Processes
) -> str:
    """What was not finite and where, over all processes."""
    where = ", ".join(suspects[:3]) + (f" and {len(suspects) - 3} more" if len(suspects) > 3 else "")
    wrong = [
        name
        for name, parameter in parameters.items()
        if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all())
    ]
    mine = ""
    if not math.isfinite(loss):
        mine = f"the loss is {loss}"
    elif wrong:
        mine = f"{len(wrong)} of {len(parameters)} gradients are not finite, first {wrong[0]}"
    if mine and where:
        mine += f" ({where})"
    found = processes.gather(mine)
    told = [
        f"{text} on process {rank}" if processes.world > 1 else str(text)
        for rank, text in enumerate(found)
        if text
    ]
    return "; ".join(told) or "the norm of the gradient is not finite"


class Strikes:
    """Counts updates that were skipped for non-finite numbers, and ends a run of too many in a row."""

    def __init__(self, most: int, *, row: int = 0, total: int = 0) -> None:
        self._most = most
        self.row = row
        self.total = total

    def note(self, update: Update, step: int) -> None:
        """Look at an update. Raises :class:`~arrkit.errors.RunError` at the last bad one that is allowed."""
        if not update.bad:
            self.row = 0
            return
        self.row += 1
        self.total += 1
        if self.row >= self._most:
            raise RunError(
                f"update {step} is the {_ordinal(self.row)} in a row with non-finite numbers: "
                f"{update.skipped}",
                hint="Lower --learning-rate or --level, or try --precision fp32; --resume goes on from the "
                "last checkpoint.",
            )

    def state(self) -> dict[str, int]:
        """What to make it from again when a run goes on: ``Strikes(most, **state)``."""
        return {"row": self.row, "total": self.total}


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number % 100 not in (11, 12, 13) else 0, "th")
    return f"{number}{ending}"
