"""Conditions of prompts in memory, where nothing was preprocessed."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from arrkit.data.pairs import ImageUnreadable
from arrkit.data.prompts import Prompt, PromptUnusable
from arrkit.errors import InputError, Problem
from arrkit.progress import Progress, Watch, unwatched
from arrkit.rpo.policy import Condition, Part, Policy


def encode_or_reason(policy: Policy, prompts: Sequence[Prompt]) -> list[Condition | str]:
    """For each prompt its condition, or the one-line reason why there is none. Needs the encoders.

    All are encoded at once; only where one of them is refused, each by itself.
    """
    try:
        return [*policy.encode(prompts)]
    except (PromptUnusable, ImageUnreadable) as error:
        if len(prompts) == 1:
            return [str(error)]
    return [each for prompt in prompts for each in encode_or_reason(policy, [prompt])]


def encode_all(
    policy: Policy,
    prompts: Sequence[Prompt],
    *,
    device: torch.device,
    dtype: torch.dtype,
    batch: int = 8,
    watch: Watch = unwatched,
) -> list[Condition]:
    """The conditions of ``prompts``; loads the encoders and lets them go again.

    Raises:
        InputError: prompts that cannot be encoded, all of them listed.
    """
    policy.load([Part.ENCODERS], device=device, dtype=dtype)
    watch(Progress("encode", 0, len(prompts)))
    conditions: list[Condition] = []
    problems: list[Problem] = []
    for start in range(0, len(prompts), batch):
        part = prompts[start : start + batch]
        for prompt, made in zip(part, encode_or_reason(policy, part), strict=True):
            if isinstance(made, str):
                problems.append(Problem(made, prompt.origin or prompt.id))
            else:
                conditions.append(made)
            for picture in prompt.sources:
                picture.release()
        watch(Progress("encode", start + len(part), len(prompts)))
    policy.unload([Part.ENCODERS])
    if problems:
        raise InputError(problems)
    return conditions
