"""A quick look at whether an answer is valid, so that good answers need no more than that."""

from __future__ import annotations

from collections.abc import Mapping

from arrkit.canonical import Json

_DIALECT = frozenset(
    {"type", "enum", "properties", "required", "additionalProperties", "items"}
    | {"minItems", "maxItems", "minimum", "maximum"}
)


def fits(value: Json, schema: Mapping[str, Json]) -> bool:
    """Whether ``value`` is surely valid under ``schema``, for the dialect that arrkit asks in.

    A twentieth of what the general validator takes, which every good answer would pay; what does not pass
    here is left to that validator, and so is every schema with a keyword that this does not know.
    """
    if not schema.keys() <= _DIALECT:
        return False
    kinds = schema.get("type")
    if value is None:
        return isinstance(kinds, list) and "null" in kinds and "enum" not in schema
    match value:
        case str():
            names = schema.get("enum")
            return _is("string", kinds) and (names is None or (isinstance(names, list) and value in names))
        case bool():
            return False
        case int() | float():  # to JSON Schema 1.0 is an integer
            low, high = schema.get("minimum", value), schema.get("maximum", value)
            return (
                _is("integer", kinds)
                and (isinstance(value, int) or value.is_integer())
                and "enum" not in schema
                and isinstance(low, int)
                and isinstance(high, int)
                and low <= value <= high
            )
        case dict():
            fields = schema.get("properties")
            return (
                kinds == "object"
                and isinstance(fields, dict)
                and schema.get("additionalProperties") is False
                and value.keys() == fields.keys()
                and all(fits(each, fields[name]) for name, each in value.items())
            )
        case list():
            item = schema.get("items")
            low, high = schema.get("minItems", 0), schema.get("maxItems", len(value))
            return (
                kinds == "array"
                and isinstance(item, dict)
                and isinstance(low, int)
                and isinstance(high, int)
                and low <= len(value) <= high
                and all(fits(each, item) for each in value)
            )
    return False


def _is(kind: str, kinds: Json) -> bool:
    return kinds == kind or (isinstance(kinds, list) and kind in kinds)
