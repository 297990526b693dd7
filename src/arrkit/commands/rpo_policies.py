"""From a policy's spec to a policy, for the ``rpo`` commands. Loads nothing, imports no torch."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, cast

from arrkit.backends.listing import Group, Status, list_plugins
from arrkit.backends.registry import make_policy
from arrkit.errors import InputError

if TYPE_CHECKING:
    from arrkit.rpo.policy import Policy

MODULES = ("torch", "diffusers", "transformers", "peft", "accelerate", "safetensors")
"""What the extra ``rpo`` brings."""


def choose_policy(spec: str) -> Policy:
    """The policy of a spec.

    Raises:
        InputError: the extra is not installed, or the spec cannot be used; for an empty one the message names
            the policies that are ready.
    """
    require_extra()
    if not spec:
        ready = [each.name for each in list_plugins(Group.POLICIES) if each.status is Status.READY]
        raise InputError("no policy is named", hint=f"Pass --policy. Ready here: {', '.join(ready)}.")
    return cast("Policy", make_policy(spec))


def require_extra() -> None:
    """Raise :class:`InputError` where what the ``rpo`` commands stand on is not installed."""
    lacking = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if lacking:
        verb = "is" if len(lacking) == 1 else "are"
        raise InputError(
            f"arrkit rpo needs {', '.join(lacking)}, which {verb} not installed",
            hint='pip install "arrkit[rpo]"',
        )
