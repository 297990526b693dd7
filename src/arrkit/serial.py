"""Between frozen dataclasses and JSON, by their type hints: one pair of functions for every value type.

Covers what arrkit's values are made of: dataclasses, enums, tuples, string-keyed mappings, optional values
and plain scalars. A field that equals its default is left out, which keeps files short.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from arrkit.canonical import Json

T = TypeVar("T")


def to_json(value: object, *, defaults: bool = False) -> Json:
    """``value`` as JSON; fields that equal their default are left out unless ``defaults`` is set."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str):
        return value
    kind: Any = type(value)
    fields = _fields(kind)
    if fields is not None:
        record: dict[str, Json] = {}
        for field in fields:
            item = getattr(value, field.name)
            if defaults or not _is_default(field, item):
                record[field.name] = to_json(item, defaults=defaults)
        return record
    if isinstance(value, Mapping):
        return {str(key): to_json(item, defaults=defaults) for key, item in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [to_json(item, defaults=defaults) for item in value]
    return str(value)


def from_json(kind: type[T], value: object) -> T:
    """The value of type ``kind`` that :func:`to_json` wrote.

    Raises ``ValueError`` or ``TypeError`` where the JSON does not fit; unknown keys are ignored, so that a
    newer writer's files can be read.
    """
    return _read(kind, value)  # type: ignore[no-any-return]


def _is_default(field: dataclasses.Field[Any], value: object) -> bool:
    if field.default is not dataclasses.MISSING:
        return bool(value == field.default)
    if field.default_factory is not dataclasses.MISSING:
        return bool(value == field.default_factory())
    return False


@cache
def _fields(kind: type) -> tuple[dataclasses.Field[Any], ...] | None:
    """The fields of a dataclass, None for another type. Asking each value anew takes most of the time."""
    return dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else None


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: Any, value: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(kind):
            return None
        choices = [choice for choice in get_args(kind) if choice is not type(None)]
        return value if len(choices) > 1 else _read(choices[0], value)
    if origin is tuple:
        inner = get_args(kind)
        if len(inner) == 2 and inner[1] is Ellipsis:
            return tuple(_read(inner[0], item) for item in value)
        return tuple(_read(each, item) for each, item in zip(inner, value, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return {key: _read(get_args(kind)[1], item) for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise TypeError(f"{kind} is read from an object, not {type(value).__name__}")
        make: Any = kind
        hints = _hints(make)
        known = {field.name for field in dataclasses.fields(make)}
        return make(**{name: _read(hints[name], item) for name, item in value.items() if name in known})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if kind is float and isinstance(value, int):
        return float(value)
    return value
