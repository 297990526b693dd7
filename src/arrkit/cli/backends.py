"""``arrkit backends``: what is installed, what is ready, and how to mend what is not."""

from __future__ import annotations

import json
from dataclasses import dataclass

import typer

from arrkit.cli.bind import bind


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendsOptions:
    """``arrkit backends`` has no options of its own."""


def register(app: typer.Typer) -> None:
    """Add the command to the root application."""
    bind(app, "", "backends", BackendsOptions, example="arrkit backends --json")(_backends)


def _backends(options: BackendsOptions, as_json: bool) -> None:  # noqa: ARG001  every command takes both
    """List the plug-ins that are installed and what each needs.

    Judges, policies, datasets and benchmarks, arrkit's own and those of other packages.
    """
    from arrkit.backends.listing import Status, list_plugins
    from arrkit.cli import draw

    listings = list_plugins()
    if as_json:
        draw.write(json.dumps([each.to_json() for each in listings], indent=2) + "\n")
        return
    rows = [
        (
            each.group.noun,
            each.name,
            str(each.status),
            each.record.summary if each.record else "",
            each.distribution,
        )
        for each in listings
    ]
    out = draw.console()
    out.print(draw.table(("kind", "name", "status", "what it is", "from"), rows, left=5))
    for each in listings:
        if each.status is not Status.READY:
            out.print(f"{each.name} ({each.group.noun}): {each.reason}", markup=False)
            out.print(f"  {each.mend}", markup=False)
