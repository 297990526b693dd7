"""Commands that may run in several processes: ``--launch N``, and which of them speaks."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from enum import Enum
from typing import Any

from arrkit.options import declared


def is_main() -> bool:
    """Whether this process, of several or alone, is the one that tells people."""
    return os.environ.get("RANK", "0") == "0"


def starts_processes(processes: int) -> bool:
    """Whether to start processes: asked for, and this is not one of several already."""
    return processes > 1 and "WORLD_SIZE" not in os.environ


def start_processes(command: str, options: object, as_json: bool) -> int:
    """Run a command, such as ``rpo train``, in as many processes as its options say; the exit status."""
    from arrkit.commands.rpo_policies import require_extra
    from arrkit.rpo.launching import launch

    require_extra()
    arguments = [*command.split(), *arguments_of(options)]
    arguments += ["--json"] if as_json else []
    arguments += ["--debug"] if "--debug" in sys.argv else []
    return launch(arguments, int(getattr(options, "launch", 1)))


# Any: an option may be of whatever type its dataclass declares.
def arguments_of(options: Any) -> Iterator[str]:
    """The command line that gives these options, whatever file or variable they came from."""
    for each in declared(type(options)):
        value = getattr(options, each.name)
        if value == each.default or each.name == "launch":
            continue
        if isinstance(value, bool):
            yield each.flag if value else f"--no-{each.flag.removeprefix('--')}"
            continue
        for item in value if isinstance(value, tuple) else (value,):
            text = item.value if isinstance(item, Enum) else item
            yield str(text) if each.opt.argument else f"{each.flag}={text}"
