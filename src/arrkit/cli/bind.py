"""From an options dataclass to a Typer command.

Every command gets its options from the command line, else the environment (``ARRKIT_*``), else the config
file, else the dataclass's defaults, and four more: ``--json``, ``--config``, ``--show-config``, ``--debug``.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import sys
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

import typer

from arrkit.cli import settings
from arrkit.errors import ArrkitError
from arrkit.options import Declared, declared

Options = TypeVar("Options")

COMMANDS: dict[str, type] = {}
"""Every bound command's options, by its full name such as ``judge eval``; what a config file may hold."""


def bind(
    app: typer.Typer, group: str, name: str, options: type[Options], *, example: str
) -> Callable[[Callable[[Options, bool], int | None]], Callable[[Options, bool], int | None]]:
    """Make a function a command: it gets the options and whether ``--json`` was asked for.

    The function's docstring is the help, ``example`` one real command line at its end. It returns the exit
    status; None is 0.
    """
    full = f"{group} {name}".strip()
    COMMANDS[full] = options

    def decorate(run: Callable[[Options, bool], int | None]) -> Callable[[Options, bool], int | None]:
        def command(ctx: typer.Context, **values: Any) -> None:
            as_json, debug = bool(values.pop("json")), bool(values.pop("debug"))
            show = bool(values.pop("show_config"))
            values.pop("config")
            values.pop("help_all")
            if show:
                settings.show(ctx, options, as_json=as_json)
                return
            raise typer.Exit(_guarded(run, _typed(options, values), as_json, debug))

        parameters = [
            inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        ]
        parameters += [_parameter(each) for each in declared(options)]
        parameters += _common(full)
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        command.__name__ = name
        app.command(name, help=inspect.getdoc(run), epilog=f"Example: {example}", context_settings=_CONTEXT)(
            command
        )
        return run

    return decorate


_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _parameter(each: Declared) -> inspect.Parameter:
    kind, default = _typer_type(each.type), each.default
    required = default is dataclasses.MISSING
    if isinstance(default, tuple):
        default = list(default)
    settings_of: dict[str, Any] = {
        "help": each.opt.help,
        "metavar": each.opt.metavar or None,
        "min": _bound(each.opt.low, each.type),
        "max": _bound(each.opt.high, each.type),
        "hidden": each.opt.rare,
    }
    info: Any
    if each.opt.argument:
        settings_of["metavar"] = None  # Typer would repeat it beside the name
        info = typer.Argument(**settings_of, show_default=False)
    else:
        decls = [each.flag]
        # What is off unless asked for needs no second flag; what is on, or up to someone else, does.
        if each.type == bool | None or (each.type is bool and default is True):
            decls = [f"{each.flag}/--no-{each.flag.removeprefix('--')}"]
        hide = default is False or default in (None, "", [])
        info = typer.Option(
            *decls, **settings_of, envvar=each.variable, show_envvar=False, show_default=not hide
        )
    return inspect.Parameter(
        each.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else default,
        annotation=Annotated[kind, info],
    )


def _common(full: str) -> list[inspect.Parameter]:
    def load(ctx: typer.Context, value: Path | None) -> Path | None:
        try:
            ctx.default_map = settings.read_config(value, full, COMMANDS)
        except ArrkitError as error:
            _complain(error)
            raise typer.Exit(error.exit_code) from None
        return value

    def help_all(ctx: typer.Context, wanted: bool) -> None:
        if wanted:
            for parameter in ctx.command.params:
                parameter.hidden = False  # type: ignore[attr-defined]  # arguments have it too
            typer.echo(ctx.get_help())
            raise typer.Exit

    offers = {
        "json": (
            bool,
            False,
            typer.Option("--json", help="print data only, as JSON"),
        ),
        "config": (
            Path | None,
            None,
            typer.Option(
                "--config",
                help="config file [arrkit.toml, if present]",
                metavar="FILE",
                is_eager=True,
                callback=load,
                envvar="ARRKIT_CONFIG",
                show_envvar=False,
            ),
        ),
        "show_config": (
            bool,
            False,
            typer.Option("--show-config", help="print the options and where each came from"),
        ),
        "help_all": (
            bool,
            False,
            typer.Option(
                "--help-all", help="show all options, the rare ones too", is_eager=True, callback=help_all
            ),
        ),
        "debug": (
            bool,
            False,
            typer.Option(
                "--debug",
                help="show tracebacks",
                envvar="ARRKIT_DEBUG",
                show_envvar=False,
            ),
        ),
    }
    return [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info]
        )
        for name, (kind, default, info) in offers.items()
    ]


def _typer_type(kind: Any) -> Any:
    if get_origin(kind) is tuple:
        return list[get_args(kind)[0]]  # type: ignore[misc]
    return kind


def _bound(value: float | None, kind: Any) -> float | int | None:
    names = get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    return int(value) if value is not None and int in names else value


def _typed(options: type[Options], values: dict[str, Any]) -> Options:
    for each in declared(options):
        if get_origin(each.type) is tuple:
            values[each.name] = tuple(values[each.name] or ())
    return options(**values)


def _guarded(run: Callable[[Options, bool], int | None], options: Options, as_json: bool, debug: bool) -> int:
    try:
        return run(options, as_json) or 0
    except ArrkitError as error:
        if debug:
            traceback.print_exc()
        else:
            _complain(error)
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        notes = getattr(interrupt, "__notes__", [])
        _say("\n".join(["Interrupted.", *notes]))
        return 130
    except BrokenPipeError:
        # Whoever read the progress has gone, in the middle of the work.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            _say(
                f"arrkit met an error of its own: {type(error).__name__}: {error}\n"
                "  Run again with --debug for the traceback, and report it."
            )
        return 1


def _complain(error: ArrkitError) -> None:
    notes = getattr(error, "__notes__", [])
    _say("\n".join([error.render(), *notes]))


def _say(text: str) -> None:
    typer.echo(text, err=True)
