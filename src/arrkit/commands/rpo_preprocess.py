"""``rpo preprocess``: encode prompts once, so that training needs no encoders."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from arrkit.commands.rpo_policies import choose_policy
from arrkit.data.prompts import scan_prompts
from arrkit.errors import InputError
from arrkit.progress import Watch, unwatched
from arrkit.rpo.options import Precision, PreprocessOptions

if TYPE_CHECKING:
    from arrkit.rpo.preprocess import Preprocessed


def preprocess_prompts(options: PreprocessOptions, *, watch: Watch = unwatched) -> Preprocessed:
    """Encode the prompts of a file into a folder that ``rpo train --data`` takes.

    A prompt that cannot be used is a problem of the result, not an error, as long as there are others. In a
    process of several the work is shared; each of them returns when all are done.

    Raises:
        InputError: no prompt can be used, or policy, file or folder cannot be.
        RunError: the folder cannot be written; the same command goes on where it stopped.
    """
    policy = choose_policy(options.policy)
    scan = scan_prompts(options.prompts, task=policy.task)
    if not scan.prompts:
        raise InputError(scan.problems)
    from arrkit.rpo.placing import dtype_for
    from arrkit.rpo.preprocess import preprocess
    from arrkit.rpo.processes import join
    from arrkit.rpo.store import StoreKey

    with join(options.device) as processes:
        found = preprocess(
            policy,
            scan.prompts[: options.limit],
            options.out,
            key=StoreKey.of(policy, options.precision or Precision.BF16),
            device=processes.device,
            dtype=dtype_for(options.precision, processes.device),
            batch=options.batch,
            rank=processes.rank,
            world=processes.world,
            gather=processes.gather,
            watch=watch if processes.is_main else unwatched,
        )
    problems = (*scan.problems, *found.problems)
    if not found.prompts:
        raise InputError(problems)
    return replace(found, problems=problems)
