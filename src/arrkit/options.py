"""Options: declared once, for the command line, the config file, the environment and the library alike.

A command's options are a frozen dataclass whose fields are annotated with :class:`Opt`::

    @dataclass(frozen=True, slots=True, kw_only=True)
    class GreetOptions:
        name: Annotated[str, Opt("who is greeted", argument=True)]
        loud: Annotated[bool, Opt("shout")] = False

This module is imported for ``arrkit --help`` and must stay light.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import get_annotations
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from arrkit.canonical import Json


@dataclass(frozen=True, slots=True)
class Opt:
    """How one field is offered.

    Args:
        help: one sentence, lower case, without a full stop.
        argument: a positional argument instead of an option.
        flag: the option's name where it is not the field's with hyphens.
        metavar: what stands for the value in the help.
        low, high: inclusive bounds of a number.
        rare: whether only ``--help-all`` shows the option.
        identity: whether the option decides the results. Those that do not (where to write, how many at once)
            may change when a run is resumed.
    """

    help: str
    argument: bool = False
    flag: str = ""
    metavar: str = ""
    low: float | None = None
    high: float | None = None
    rare: bool = False
    identity: bool = True


@dataclass(frozen=True, slots=True)
class Declared:
    """One declared option: its field's name, its type without the annotation, and how it is offered."""

    name: str
    type: Any
    opt: Opt
    default: Any = dataclasses.MISSING

    @property
    def flag(self) -> str:
        return self.opt.flag or "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable that sets the option."""
        return "ARRKIT_" + self.flag.removeprefix("--").replace("-", "_").upper()


def declared(options: type) -> Iterator[Declared]:
    """The options of a dataclass, its own before inherited ones, each in the order declared."""
    hints = get_type_hints(options, include_extras=True)
    depths = {
        name: depth
        for depth, base in reversed([*enumerate(options.__mro__)])
        for name in get_annotations(base)
    }
    for field in sorted(dataclasses.fields(options), key=lambda field: depths[field.name]):
        annotation = hints[field.name]
        if get_origin(annotation) is not Annotated:
            raise TypeError(f"{options.__name__}.{field.name} is not annotated with Opt")
        kind, opt = get_args(annotation)[:2]
        default = field.default
        if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        yield Declared(field.name, kind, opt, default)


def identity(options: Any) -> dict[str, Json]:
    """The values of the options that decide the results, as JSON; paths absolute, since a folder may move."""
    values: dict[str, Json] = {}
    for each in declared(type(options)):
        if each.opt.identity:
            values[each.name] = _plain(getattr(options, each.name))
    return values


def _plain(value: Any) -> Json:
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value  # type: ignore[no-any-return]
