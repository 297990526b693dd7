"""Is a document a valid rubric? Every problem at once, each with its line and what to do.

The rules are those of ``schemas/rubric.v1.schema.json``, and three that JSON Schema cannot say: ids are
unique, the digest fits the content, and so does the digest of the criteria that the metrics hold for.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from arrkit import __version__
from arrkit.canonical import Json, digest
from arrkit.errors import Problem, nearest
from arrkit.resources import resource_text
from arrkit.rubric.codec import Document, criteria_digest, rubric_digest, rubric_from_document
from arrkit.rubric.model import SCHEMA_VERSION, Rubric
from arrkit.rubric.positions import Pointer, Positions

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

Migration = Callable[[dict[str, Json]], dict[str, Json]]

MIGRATIONS: dict[int, Migration] = {}
"""From a schema version to the function that makes a document of it one of the next version."""

_DERIVED: tuple[Pointer, ...] = (("digest",), ("metrics", "criteria_digest"))

_TYPE_WORDS = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}


@dataclass(frozen=True, slots=True)
class _Places:
    """Says where a value stands: by file and line where positions are known, else by its field."""

    name: str
    positions: Positions | None = None

    def __call__(self, pointer: Pointer) -> str:
        if self.positions is not None:
            return f"{self.name}:{self.positions.line(pointer)}"
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in pointer).lstrip(".")
        return ": ".join(part for part in (self.name, path) if part)

    @property
    def seal_command(self) -> str:
        return f"arrkit rubric seal {shlex.quote(self.name) if self.name else 'FILE'}"


def check_document(
    document: Json, name: str, positions: Positions | None = None, *, sealed: bool = True
) -> tuple[Rubric | None, list[Problem]]:
    """The rubric of a parsed JSON document, or every problem that it has.

    Older schema versions are migrated first. With ``sealed`` off, the digests are not looked at. Without
    ``positions``, problems name the field instead of the line.
    """
    where = _Places(name, positions)
    if not isinstance(document, Mapping):
        return None, [Problem(f"a rubric is a JSON object, not {_kind(document)}", where(()))]
    current, problems = _migrate(document, where)
    if problems:
        return None, problems
    problems = [*_schema_problems(current, where, sealed), *_repeated_ids(current, where)]
    if problems:
        return None, sorted(problems, key=_in_order)
    rubric = rubric_from_document(current)
    if sealed:
        problems = _stale(document, rubric, where)
    return (None, problems) if problems else (rubric, [])


def _migrate(document: Document, where: _Places) -> tuple[dict[str, Json], list[Problem]]:
    """The document in the newest schema version, or why that cannot be."""
    found = document.get("schema_version")
    current = dict(document)
    if not isinstance(found, int) or isinstance(found, bool):
        return current, []  # the schema says what is wrong with it
    place = where(("schema_version",))
    if found > SCHEMA_VERSION:
        what = f"schema_version {found} is newer than arrkit {__version__} reads (up to {SCHEMA_VERSION})"
        return current, [Problem(what, place, f"Upgrade: pip install --upgrade {_writer(document)}")]
    while found < SCHEMA_VERSION:
        step = MIGRATIONS.get(found)
        if step is None:
            return current, [Problem(f"schema_version {found} never was: versions begin at 1", place)]
        found += 1
        current = {**step(current), "schema_version": found}
    return current, []


def _writer(document: Document) -> str:
    # The requirement that pip takes: the arrkit that wrote the file, where the file says so.
    provenance = document.get("provenance")
    written_by = provenance.get("arrkit_version") if isinstance(provenance, Mapping) else None
    if isinstance(written_by, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)*", written_by):
        return f"'arrkit>={written_by}'"
    return "arrkit"


@cache
def _validator() -> Draft202012Validator:
    import json

    from jsonschema import Draft202012Validator, validators
    from jsonschema.exceptions import ValidationError

    # Python's "$" also matches before a final newline, ECMA's (which JSON Schema means) does not.
    def pattern(_: object, expression: str, value: object, __: object) -> Iterator[ValidationError]:
        strict = re.sub(r"\$$", r"\\Z", expression)
        if isinstance(value, str) and not re.search(strict, value):
            yield ValidationError(f"{value!r} does not match {expression!r}")

    schema = json.loads(resource_text("schemas", f"rubric.v{SCHEMA_VERSION}.schema.json"))
    extend: Any = validators.extend
    return cast("Draft202012Validator", extend(Draft202012Validator, {"pattern": pattern})(schema))


def _schema_problems(document: Document, where: _Places, sealed: bool) -> list[Problem]:
    found: dict[tuple[Pointer, str], Problem] = {}
    for error in _validator().iter_errors(document):
        for pointer, problem in _from_schema(error, tuple(error.absolute_path), where):
            if sealed or pointer not in _DERIVED:
                # The schema library tells of each missing key of an object apart: each is told once here.
                found.setdefault((pointer, problem.what), problem)
    return list(found.values())


def _in_order(problem: Problem) -> int:
    line = re.search(r":(\d+)$", problem.where)
    return int(line[1]) if line else 0


def _from_schema(
    error: ValidationError, pointer: Pointer, where: _Places
) -> Iterator[tuple[Pointer, Problem]]:
    instance: Any = error.instance
    rule = error.validator
    expected: Any = error.validator_value
    schema = cast(Mapping[str, Any], error.schema)
    description = str(schema.get("description", ""))
    field = f'"{pointer[-1]}"' if pointer and isinstance(pointer[-1], str) else _entry(pointer)
    if rule == "additionalProperties":
        known = schema["properties"]
        for key in instance.keys() - known.keys():
            at = (*pointer, key)
            yield at, Problem(f'unknown key "{key}"{nearest(key, known.keys() - instance.keys())}', where(at))
    elif rule == "required":
        unknown = instance.keys() - schema["properties"].keys()
        for key in expected:
            # A misspelt key is told once, by the key that stands there.
            if key in instance or any(f'"{key}"' in nearest(word, expected) for word in unknown):
                continue
            hint = _first_sentence(schema["properties"][key].get("description", ""))
            if key == "digest":
                hint = f"Seal it: {where.seal_command}"
            at = (*pointer, key)
            yield at, Problem(f'missing key "{key}"{_inside(pointer)}', where(pointer), hint)
    elif rule == "type":
        kinds = [expected] if isinstance(expected, str) else expected
        words = " or ".join(_TYPE_WORDS[kind] for kind in kinds)
        yield pointer, Problem(f"{field} must be {words}, not {_kind(instance)}", where(pointer))
    elif rule in ("enum", "const"):
        choices = [expected] if rule == "const" else expected
        words = ", ".join(_shown(choice) for choice in choices)
        near = nearest(instance, choices) if isinstance(instance, str) and rule == "enum" else ""
        one_of = "one of " if len(choices) > 1 else ""
        yield (
            pointer,
            Problem(f"{field} must be {one_of}{words}, not {_shown(instance)}{near}", where(pointer)),
        )
    elif rule in ("minItems", "minLength") or (rule == "pattern" and not str(instance).strip()):
        yield pointer, Problem(f"{field} is empty", where(pointer), description)
    elif rule == "exclusiveMinimum":
        yield (
            pointer,
            Problem(f"{field} must be above {expected}, not {_shown(instance)}", where(pointer), description),
        )
    elif rule in ("minimum", "maximum"):
        side = "at least" if rule == "minimum" else "at most"
        yield pointer, Problem(f"{field} must be {side} {expected}, not {_shown(instance)}", where(pointer))
    elif rule == "maxLength":
        yield (
            pointer,
            Problem(f"{field} has {len(instance)} characters, more than {expected}", where(pointer)),
        )
    else:
        yield pointer, Problem(f"{field} cannot be {_shown(instance)}", where(pointer), description)


def _repeated_ids(document: Document, where: _Places) -> list[Problem]:
    first: dict[tuple[str, str], Pointer] = {}
    problems = []
    for kind, value, pointer in _ids(document):
        at = first.setdefault((kind, value), pointer)
        if at != pointer:
            here, there = where(pointer), where(at)
            what = f'{kind} id "{value}" stands twice, first at {there}'
            problems.append(Problem(what, here, "Give each its own id, or remove one of the two."))
    return problems


def _ids(document: Document) -> Iterator[tuple[str, str, Pointer]]:
    for i, dimension in enumerate(_entries(document, "dimensions")):
        value = dimension.get("id")
        if isinstance(value, str):
            yield "dimension", value, ("dimensions", i, "id")
        for j, criterion in enumerate(_entries(dimension, "criteria")):
            value = criterion.get("id")
            if isinstance(value, str):
                yield "criterion", value, ("dimensions", i, "criteria", j, "id")


def _entries(entry: Document, key: str) -> list[Document]:
    # An entry that is no object keeps its place, so that indices stay true.
    value = entry.get(key)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return [member if isinstance(member, Mapping) else {} for member in value]


def _stale(document: Document, rubric: Rubric, where: _Places) -> list[Problem]:
    # A file of an older version was digested before its migration, as its writer left it.
    if document.get("schema_version") == SCHEMA_VERSION:
        actual = rubric_digest(rubric)
    else:
        actual = f"sha256:{digest({key: document[key] for key in document if key != 'digest'})}"
    hint = f"If the change was meant, seal it: {where.seal_command}"
    if document.get("digest") != actual:
        return [
            Problem("the digest is stale: the content was changed after sealing", where(("digest",)), hint)
        ]
    metrics = document.get("metrics")
    if isinstance(metrics, Mapping) and metrics.get("criteria_digest") != criteria_digest(rubric.dimensions):
        at = where(("metrics", "criteria_digest"))
        return [Problem("the metrics were measured under other criteria", at, hint)]
    return []


def _entry(pointer: Pointer) -> str:
    if not pointer:
        return "a rubric"
    named = [step for step in pointer if isinstance(step, str)]
    return f'an entry of "{named[-1]}"'


def _inside(pointer: Pointer) -> str:
    if not pointer:
        return ""
    return f" in {_entry(pointer)}" if isinstance(pointer[-1], int) else f' in "{pointer[-1]}"'


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.])\s", text, maxsplit=1)[0]


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 60 else f'"{value[:57]}..."'
    if isinstance(value, Mapping | list):
        return _kind(value)
    return "null" if value is None else str(value).lower()


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    kinds = {dict: "an object", list: "a list", str: "text", int: "a number", float: "a number"}
    return next((word for kind, word in kinds.items() if isinstance(value, kind)), "null")
