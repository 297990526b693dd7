"""``arrkit data``: which preference pairs there are, and a look at them before a judge does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from arrkit.cli.bind import bind
from arrkit.commands.options import CheckOptions, ConvertOptions, InfoOptions, PullOptions

if TYPE_CHECKING:
    from rich.console import Console

    from arrkit.commands.datasets import DatasetInfo
    from arrkit.data.checking import PairCheck
    from arrkit.errors import Problem

app = typer.Typer(help="List, fetch, check and convert preference pairs.", no_args_is_help=True)

SHOWN = 5
"""So many examples of each kind of trouble are printed; ``--json`` has up to twenty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """``arrkit data list`` has no options of its own."""


@bind(app, "data", "list", ListOptions, example="arrkit data list --json")
def list_(options: ListOptions, as_json: bool) -> None:  # noqa: ARG001  every command takes both
    """List the datasets that --dataset may name, and where the files of each are."""
    from arrkit.cli import draw
    from arrkit.commands.datasets import list_datasets

    found = list_datasets()
    if as_json:
        draw.print_json(found)
        return
    rows = [
        (
            each.name,
            "\n".join(each.tasks),
            each.size or "-",
            each.license or "-",
            ", ".join(each.splits) or "-",
            str(each.place),
        )
        for each in found
    ]
    headers = ("name", "tasks", "size", "licence", "splits, the first by default", "where")
    draw.console().print(draw.table(headers, rows, left=len(headers)))
    draw.messages().print("arrkit data info NAME says all that is known of one.")


@bind(app, "data", "info", InfoOptions, example="arrkit data info hpdv3")
def info(options: InfoOptions, as_json: bool) -> None:
    """Show what is known of a dataset: files, labels, metric, licence, and commands to copy."""
    from arrkit.cli import draw
    from arrkit.commands.datasets import describe_dataset

    found = describe_dataset(options)
    if as_json:
        draw.print_json(found)
    else:
        _draw_info(draw.console(), found)


def _draw_info(out: Console, found: DatasetInfo) -> None:
    from rich.table import Table

    terms = ["No rubric is built from it."] if found.benchmark_only else []
    cached = f" ({', '.join(found.cached)})" if any(found.cached) else ""
    facts = (
        ("summary", found.summary),
        ("tasks", ", ".join(found.tasks)),
        ("splits", ", ".join(found.splits)),
        ("where", f"{found.place}{cached}{f', commit {found.revision}' if found.revision else ''}"),
        ("why not", found.reason),
        ("on the hub", ", ".join(filter(None, (found.hub, *found.mirrors)))),
        ("size", found.size),
        (
            "licence",
            " ".join(f"{each.rstrip('.')}." for each in (found.license, found.notes, *terms) if each),
        ),
        ("images", found.images),
        ("label", found.convention),
        ("official metric", found.official),
        *((f"not read: {split}", why) for split, why in found.refused.items()),
        *((f"?{key}=", said) for key, said in found.parameters.items()),
    )
    table = Table.grid(padding=(0, 2))
    for name, value in facts:
        if value:
            table.add_row(name, value)
    out.print(f"[bold]{found.name}[/bold]")
    out.print(table)
    if found.read:
        out.print(f"\n{found.read}", markup=False)
    if found.commands:
        out.print("")
    for line in found.commands:
        out.print(f"$ {line}", markup=False)


@bind(app, "data", "pull", PullOptions, example="arrkit data pull mmrb2:t2i")
def pull(options: PullOptions, as_json: bool) -> None:
    """Fetch a dataset's files to the cache of the hub, or those of one split. Goes on where it stopped.

    Sets of prompts for arrkit rpo are fetched as well: sharegpt-4o-image:edit.
    """
    from arrkit.cli import draw
    from arrkit.cli.progress import watching
    from arrkit.commands.datasets import plan_pull, pull_dataset

    draw.messages().print(plan_pull(options).sentence, markup=False)
    with watching() as watch:
        made = pull_dataset(options, watch=watch)
    if as_json:
        draw.print_json(made)
        return
    draw.messages().print(
        f"{made.repo} at {made.revision}: {made.files:,} files, {made.bytes / 1e6:,.0f} MB in {made.folder}",
        markup=False,
    )


@bind(app, "data", "check", CheckOptions, example="arrkit data check pairs.jsonl --open")
def check(options: CheckOptions, as_json: bool) -> None:
    """Check a file of preference pairs, or a dataset: every problem, with its line. No judge is asked."""
    from arrkit.cli import draw
    from arrkit.cli.progress import watching
    from arrkit.commands.data import check_pairs

    with watching() as watch:
        found = check_pairs(options, watch=watch)
    if as_json:
        draw.print_json(found)
    else:
        _draw_check(draw.console(), options.source, found)
        if not options.open:
            draw.messages().print("No image was opened: --open decodes each.")


def _draw_check(out: Console, source: str, found: PairCheck) -> None:
    kind = f" for {found.task}" if found.task else ", of more than one task"
    ties = "1 of them a tie" if found.ties == 1 else f"{found.ties:,} of them ties"
    out.print(f"{source}: {_many(found.pairs, 'pair')}{kind}, {ties}", markup=False)
    out.print("labels: " + ", ".join(f"{label} {count:,}" for label, count in found.labels.items()))
    said = (
        (found.groups, "group", "of pairs"),
        (found.voted, "pair", "with votes"),
        (found.rated, "pair", "with a confidence"),
    )
    if any(count for count, _, _ in said):
        out.print(", ".join(f"{_many(count, one)} {what}" for count, one, what in said if count))
    if found.other_task:
        out.print(f"{found.other_task} rows name another task and are left out")
    for reason, count in found.left_out.items():
        rows = [each.where for each in found.unusable if each.what == reason][:SHOWN]
        at = f", {'first ' if len(rows) < count else ''}at {', '.join(rows)}" if rows else ""
        out.print(f"left out, {reason}: {count:,}{at}", markup=False)
    if found.metadata_keys:
        out.print(f"metadata for --by: {', '.join(found.metadata_keys)}", markup=False)
    _examples(out, found.missing_pairs, "with an image file that does not exist", found.missing)
    _examples(out, found.unreadable_pairs, "with an image that cannot be read", found.unreadable)
    _examples(out, found.odd_pairs, "with something odd", found.odd)


def _many(count: int, one: str) -> str:
    return f"1 {one}" if count == 1 else f"{count:,} {one}s"


def _examples(out: Console, count: int, what: str, examples: Sequence[Problem]) -> None:
    if count:
        out.print(f"{_many(count, 'pair')} {what}, such as:")
        for problem in examples[:SHOWN]:
            out.print(f"  {problem}", markup=False)


@bind(
    app, "data", "convert", ConvertOptions, example="arrkit data convert shapes-edit:test my-pairs --limit 20"
)
def convert(options: ConvertOptions, as_json: bool) -> None:
    """Write pairs as JSONL in arrkit's format, with their images as PNG files beside it.

    The source is a dataset, one of a public set's own files (such as HPDv3's test.json), or a file of pairs.
    """
    from arrkit.cli import draw
    from arrkit.cli.progress import watching
    from arrkit.commands.data import convert_pairs

    with watching() as watch:
        made = convert_pairs(options, watch=watch)
    if as_json:
        draw.print_json(made)
        return
    err = draw.messages()
    for line in made.unusable[:SHOWN]:
        err.print(f"left out: {line}", markup=False)
    if len(made.unusable) > SHOWN:
        err.print(f"... and {len(made.unusable) - SHOWN} more that cannot be written", markup=False)
    for reason, count in made.left_out.items():
        err.print(f"left out, {reason}: {count:,}", markup=False)
    err.print(f"pairs: {made.pairs} ({made.written:,})", markup=False)
