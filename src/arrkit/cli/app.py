"""The command line: groups, commands, and nothing that is slow to import.

Each command module binds its functions when it is imported; what a command needs is imported inside it.
"""

from __future__ import annotations

import typer

from arrkit import __version__
from arrkit.cli import backends, bench, cache, data, judge, rpo, rubric

app = typer.Typer(
    name="arrkit",
    help="Turn image preferences into explicit rubrics, and measure judges under them.",
    epilog="Start with: arrkit rubric build --task edit",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"arrkit {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="print the version"
    ),
) -> None:
    """The options of arrkit itself."""


app.add_typer(rubric.app, name="rubric")
app.add_typer(judge.app, name="judge")
app.add_typer(rpo.app, name="rpo")
app.add_typer(bench.app, name="bench")
app.add_typer(data.app, name="data")
app.add_typer(cache.app, name="cache")
backends.register(app)
