"""``arrkit cache``: the judges' answers that are kept for all runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from arrkit.cli.bind import bind
from arrkit.options import Opt

app = typer.Typer(help="See and clear the answers kept for all runs.", no_args_is_help=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOptions:
    """Which cache; the options of ``arrkit cache info``."""

    cache: Annotated[
        Path | None, Opt("folder of the cache [~/.cache/arrkit]", metavar="DIR", identity=False)
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearOptions(CacheOptions):
    """Options of ``arrkit cache clear``."""

    model: Annotated[
        str, Opt("only the answers of this judge, such as openai:gpt-5.2", metavar="SPEC", identity=False)
    ] = ""
    older_than: Annotated[
        float | None,
        Opt("only answers older than this many days", metavar="DAYS", low=0, identity=False),
    ] = None


@bind(app, "cache", "info", CacheOptions, example="arrkit cache info --json")
def info(options: CacheOptions, as_json: bool) -> None:
    """Show how many answers are kept, of which judges, how large and how old they are."""
    from arrkit.cli import draw
    from arrkit.judge.calls.cache import opened_cache

    with opened_cache(options.cache) as cache:
        found = cache.info()
        _remarks(cache.remarks)
    if as_json:
        draw.print_json(found)
        return
    out = draw.console()
    out.print(f"{found.path}: {found.entries} answers, {found.bytes / 1e6:.1f} MB", markup=False)
    if found.entries:
        rows = [(model, str(count)) for model, count in found.models.items()]
        out.print(draw.table(("judge", "answers"), rows))
        out.print(f"oldest {found.oldest}, newest {found.newest}")


@bind(app, "cache", "clear", ClearOptions, example="arrkit cache clear --older-than 30")
def clear(options: ClearOptions, as_json: bool) -> None:
    """Delete answers, all of them unless --model or --older-than says which. They are paid for again."""
    from datetime import timedelta

    from arrkit.cli import draw
    from arrkit.judge.calls.cache import opened_cache

    age = None if options.older_than is None else timedelta(days=options.older_than)
    with opened_cache(options.cache) as cache:
        deleted = cache.clear(model=options.model, older_than=age)
        left = cache.info().entries
        _remarks(cache.remarks)
    if as_json:
        draw.print_json({"deleted": deleted, "left": left})
    else:
        draw.console().print(f"{deleted} answers deleted, {left} left")


def _remarks(remarks: list[str]) -> None:
    from arrkit.cli import draw

    for remark in remarks:
        draw.messages().print(remark, markup=False)
