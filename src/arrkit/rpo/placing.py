"""In which data type a frozen model is held."""

from __future__ import annotations

import torch

from arrkit.rpo.options import Precision


def dtype_for(precision: Precision | None, device: torch.device) -> torch.dtype:
    """What was asked for, else bfloat16 on a GPU and float32 on a CPU."""
    if precision is None:
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    return torch.bfloat16 if precision is Precision.BF16 else torch.float32
