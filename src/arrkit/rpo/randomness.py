"""The state of every generator that a run may draw from, as tensors, to be put back exactly."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor


def take(generators: Mapping[str, torch.Generator], device: torch.device) -> dict[str, Tensor]:
    """The states of the global generators (torch on CPU and ``device``, Python, NumPy) and of those given."""
    version, words, gauss = random.getstate()
    legacy = cast("dict[str, object]", np.random.get_state(legacy=False))
    inner = cast("dict[str, object]", legacy["state"])
    state = {
        "torch": torch.get_rng_state(),
        "python": torch.tensor([version, *words], dtype=torch.int64),
        # NaN stands for Python's None: there is no second Gaussian waiting.
        "python-gauss": torch.tensor([float("nan") if gauss is None else gauss], dtype=torch.float64),
        "numpy": torch.from_numpy(np.asarray(inner["key"], dtype=np.int64).copy()),
        "numpy-place": torch.tensor([int(str(inner["pos"])), int(str(legacy["has_gauss"]))]),
        "numpy-gauss": torch.tensor([float(str(legacy["gauss"]))], dtype=torch.float64),
        **{f"own/{name}": generator.get_state() for name, generator in generators.items()},
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def put(state: Mapping[str, Tensor], generators: Mapping[str, torch.Generator], device: torch.device) -> None:
    """Put back what :func:`take` gave. Raises ``KeyError`` for a generator whose state was not taken."""
    for name, generator in generators.items():
        generator.set_state(state[f"own/{name}"])
    torch.set_rng_state(state["torch"])
    version, *words = state["python"].tolist()
    gauss = float(state["python-gauss"])
    random.setstate((version, tuple(words), None if np.isnan(gauss) else gauss))
    place, waiting = state["numpy-place"].tolist()
    np.random.set_state(
        ("MT19937", state["numpy"].numpy().astype(np.uint32), place, waiting, float(state["numpy-gauss"]))
    )
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
