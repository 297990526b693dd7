"""Where and how a frozen model is held: data type, threads, what is compiled and what is recomputed."""

from __future__ import annotations

import os
from typing import Any

import torch

from arrkit.errors import InputError, Problem
from arrkit.rpo.options import Precision
from arrkit.rpo.policy import Policy


def dtype_for(precision: Precision | None, device: torch.device) -> torch.dtype:
    """What was asked for, else bfloat16 on a GPU and float32 on a CPU."""
    if precision is None:
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    return torch.bfloat16 if precision is Precision.BF16 else torch.float32


def settle_threads(policy: Policy, device: torch.device) -> None:
    """Give torch as many CPU threads as suit the model, unless the environment says how many.

    A small model's threads wait for each other longer than they work: with two on two cores that others use
    too, one update of the embedded policy took ten times as long as with one.
    """
    suggested = int(policy.suggested.get("threads", 0))
    if device.type == "cpu" and suggested and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(suggested)


def settle_transformer(policy: Policy, *, compiled: bool, checkpointing: bool) -> None:
    """Compile the blocks of the loaded transformer, or have it recompute activations in training.

    Raises :class:`~arrkit.errors.InputError` where the model cannot recompute.
    """
    transformer: Any = policy.transformer
    if checkpointing:
        if not hasattr(transformer, "enable_gradient_checkpointing"):
            where = "--gradient-checkpointing"
            raise InputError(
                Problem(f"{policy.name} cannot recompute its activations", where, "Leave it out.")
            )
        transformer.enable_gradient_checkpointing()
    if compiled:
        if hasattr(transformer, "compile_repeated_blocks"):
            transformer.compile_repeated_blocks()
        else:
            transformer.compile()
