"""The config file, and where each option's value came from."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_origin

import typer

from arrkit.errors import InputError, Problem, nearest
from arrkit.options import declared

CONFIG_FILE = "arrkit.toml"
SHARED = "defaults"


def read_config(path: Path | None, command: str, commands: Mapping[str, type]) -> dict[str, Any]:
    """The values that a config file gives ``command``: its table ``[defaults]``, then its own, such as
    ``[judge.eval]``.

    Without ``path`` the file is ``arrkit.toml`` in the working directory, if there is one. A key stands as
    its option is written, with hyphens or underscores.

    Raises:
        InputError: the file is missing or no TOML, or holds tables or keys that no command has; all at once.
    """
    if path is None:
        path = Path(CONFIG_FILE)
        if not path.is_file():
            return {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error
    problems = list(_problems(path, tables, commands))
    if problems:
        raise InputError(problems)
    group, _, name = command.partition(" ")
    own = tables.get(group, {})
    values = {_field(key): value for key, value in tables.get(SHARED, {}).items()}
    values |= {_field(key): value for key, value in (own.get(name, {}) if name else own).items()}
    kinds = {each.name: each.type for each in declared(commands[command])}
    # What may be given several times may stand in the file as one value; its letters are not several.
    return {
        key: [value] if get_origin(kinds[key]) is tuple and isinstance(value, str) else value
        for key, value in values.items()
        if key in kinds
    }


def _problems(path: Path, tables: Mapping[str, Any], commands: Mapping[str, type]) -> list[Problem]:
    problems: list[Problem] = []
    every = {each.name for options in commands.values() for each in declared(options)}

    def check(table: str, values: object, names: set[str]) -> None:
        if not isinstance(values, Mapping):
            problems.append(Problem(f"[{table}] must be a table", str(path)))
            return
        for key in values:
            if _field(key) not in names:
                hint = nearest(_field(key), names)
                problems.append(Problem(f'unknown key "{key}" in [{table}]{hint}', str(path)))

    for table, content in tables.items():
        if table == SHARED:
            check(SHARED, content, every)
        elif table in commands:
            check(table, content, {each.name for each in declared(commands[table])})
        elif any(command.startswith(f"{table} ") for command in commands):
            if not isinstance(content, Mapping):
                problems.append(
                    Problem(
                        f'"{table}" must be tables such as [{table}.{_first(table, commands)}]',
                        str(path),
                        f"An option for all commands stands under [{SHARED}].",
                    )
                )
                continue
            for name, values in content.items():
                full = f"{table} {name}"
                if full not in commands:
                    names = [c.partition(" ")[2] for c in commands if c.startswith(f"{table} ")]
                    problems.append(Problem(f"no command is called {full}{nearest(name, names)}", str(path)))
                    continue
                check(f"{table}.{name}", values, {each.name for each in declared(commands[full])})
        else:
            tops = {SHARED} | {command.split()[0] for command in commands}
            problems.append(
                Problem(
                    f'unknown table or key "{table}"{nearest(table, tops)}',
                    str(path),
                    f"An option for all commands stands under [{SHARED}], others under [GROUP.COMMAND].",
                )
            )
    return problems


def _first(group: str, commands: Mapping[str, type]) -> str:
    return next(c.partition(" ")[2] for c in commands if c.startswith(f"{group} "))


def _field(key: str) -> str:
    return key.replace("-", "_")


def show(ctx: typer.Context, options: type, *, as_json: bool) -> None:
    """Print every option of the command, its value, and where the value came from."""
    rows = []
    for each in declared(options):
        source = ctx.get_parameter_source(each.name)
        kind = source.name if source is not None else "DEFAULT"
        origin = {
            "COMMANDLINE": "command line",
            "ENVIRONMENT": each.variable,
            "DEFAULT_MAP": str(ctx.params.get("config") or CONFIG_FILE),
        }.get(kind, "default")
        rows.append((each.flag.removeprefix("--"), _shown(ctx.params.get(each.name)), origin))
    if as_json:
        typer.echo(
            json.dumps({name: {"value": value, "from": origin} for name, value, origin in rows}, indent=2)
        )
        return
    width = max(len(name) for name, _, _ in rows)
    wide = max(len(_text(value)) for _, value, _ in rows)
    for name, value, origin in rows:
        typer.echo(f"{name:<{width}}  {_text(value):<{wide}}  {origin}")


def _shown(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [_shown(item) for item in value]
    return None if value is dataclasses.MISSING else value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value in (None, "") else str(value)
