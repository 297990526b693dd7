"""``arrkit data``: look at preference pairs before a judge does."""

from __future__ import annotations

import typer

from arrkit.cli.bind import bind
from arrkit.commands.options import CheckOptions, ConvertOptions

app = typer.Typer(help="Check and convert preference pairs.", no_args_is_help=True)


@bind(app, "data", "check", CheckOptions, example="arrkit data check pairs.jsonl")
def check(options: CheckOptions, as_json: bool) -> None:
    """Check a file of preference pairs: every problem, with its line. No judge is asked."""
    from arrkit.cli import draw
    from arrkit.commands.data import check_pairs

    found = check_pairs(options)
    if as_json:
        draw.print_json(found)
        return
    out = draw.console()
    kind = f" for {found.task}" if found.task else ", of more than one task"
    pairs = "1 pair" if found.pairs == 1 else f"{found.pairs} pairs"
    ties = "1 of them a tie" if found.ties == 1 else f"{found.ties} of them ties"
    out.print(f"{options.pairs}: {pairs}{kind}, {ties}", markup=False)
    if found.other_task:
        out.print(f"{found.other_task} rows name another task and are left out")
    if found.metadata_keys:
        out.print(f"metadata for --by: {', '.join(found.metadata_keys)}", markup=False)
    if found.missing_pairs:
        out.print(f"{found.missing_pairs} pairs have an image file that does not exist, such as:")
        for problem in found.missing[:5]:
            out.print(f"  {problem}", markup=False)


@bind(
    app, "data", "convert", ConvertOptions, example="arrkit data convert shapes-edit:test my-pairs --limit 20"
)
def convert(options: ConvertOptions, as_json: bool) -> None:
    """Write pairs as JSONL in arrkit's format, with their images as PNG files beside it."""
    from arrkit.cli import draw
    from arrkit.commands.data import convert_pairs

    path = convert_pairs(options)
    if as_json:
        draw.print_json({"pairs": str(path)})
    else:
        draw.messages().print(f"pairs: {path}", markup=False)
