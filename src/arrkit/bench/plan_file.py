"""The file of a :class:`~arrkit.bench.reproduce.Plan`: TOML, written to be edited."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arrkit.bench.published import Grid
from arrkit.bench.reproduce import Column, Learning, Models, Painter, Plan, Training
from arrkit.canonical import write_atomic
from arrkit.errors import InputError, Problem, nearest
from arrkit.serial import to_json

_ABOUT = """\
# The grid behind a table of Auto-Rubric as Reward (arXiv 2605.08354): arrkit bench reproduce THIS-FILE
# Take out or add rows and columns; one that is called as in the paper gets the paper's number beside it.
"""
_WORDS = {
    "limit": "draw so many pairs, or take the first prompts, of each set",
    "max_cost": "dollars for each run, at most",
}
_SAYS = {
    "criteria": "how many the judge writes for each prompt",
    "judges": "row of the table = judge",
    "generators": "row of the table = judge that learns the rubric",
    "datasets": 'dataset; where its files are: "hpdv3:test?data=DIR"',
    "rubrics": "what follows the judge's name = none, zero-shot, build, or a rubric's file or name",
    "build": "what rubrics are learned from, by task, and from how many pairs",
}


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan, with a line on each part. Raises :class:`~arrkit.errors.InputError`."""
    values = to_json(plan)
    assert isinstance(values, dict)
    if plan.build == Learning():
        values.pop("build", None)
    elif "build" in values:
        values["build"] = to_json(plan.build, defaults=True)
    lines = [_ABOUT, *(_line(name, value) for name, value in values.items() if not _is_table(value))]
    lines += [f"# {name} = ...  {said}" for name, said in _WORDS.items() if name not in values]
    for name, value in values.items():
        if _is_table(value):
            lines += _section(name, value)
    write_atomic(path, "\n".join(lines) + "\n")


def _section(name: str, value: Any) -> list[str]:
    plain = [_line(key, each) for key, each in value.items() if not _is_table(each)]
    said = f"  # {_SAYS[name]}" if name in _SAYS else ""
    lines = ["", f"[{name}]{said}", *plain] if plain else []
    for key, each in value.items():
        if _is_table(each):
            lines += _section(f"{name}.{_key(key)}", each)
    return lines


def _line(name: str, value: object) -> str:
    said = f"  # {_SAYS[name]}" if name in _SAYS else ""
    return f"{_key(name)} = {json.dumps(value, ensure_ascii=False)}{said}"


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else json.dumps(name, ensure_ascii=False)


def read_plan(path: Path) -> Plan:
    """The plan in a file.

    Raises:
        InputError: it cannot be read, or keys or values in it mean nothing; all of them at once.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error
    reader = _Reader(str(path))
    plan = reader.plan(values)
    if reader.problems or plan is None:
        raise InputError(reader.problems, closing="Nothing was run.")
    return plan


_PLAN: dict[str, type] = {"limit": int, "seed": int, "concurrency": int, "max_cost": float}
_NAMES = ("judges", "generators", "datasets", "rubrics")
_LEARNING: dict[str, type] = {"t2i": str, "edit": str, "limit": int}
_PAINTER: dict[str, type] = {"policy": str, "lora": str}
_TRAINING: dict[str, type] = {"judge": str, "rubric": str, "max_steps": int, "pairs": int}
_COLUMN: dict[str, type] = {"benchmark": str, "judge": str, "scale": float}
_KINDS = {str: "text", int: "a whole number", float: "a number"}


@dataclass(slots=True)
class _Reader:
    """From TOML's values to a plan; what is wrong is gathered in ``problems``."""

    name: str
    problems: list[Problem] = field(default_factory=list)

    def plan(self, values: Mapping[str, Any]) -> Plan | None:
        self.known(values, {"grid", "criteria", "build", "t2i", "edit", *_PLAN, *_NAMES}, "")
        grid = str(values.get("grid", ""))
        if grid not in set(Grid):
            self.wrong("grid", f"must be one of {', '.join(Grid)}")
        criteria = values.get("criteria", [5])
        if not (isinstance(criteria, list) and criteria and all(map(_is_count, criteria))):
            self.wrong("criteria", "must be a list of whole numbers from 1 to 20, such as [1, 5]")
            criteria = [5]
        tables: dict[str, Any] = {name: self.names(values, name) for name in _NAMES}
        tables |= {name: self.models(values, name) for name in ("t2i", "edit")}
        tables |= self.fields({key: values[key] for key in _PLAN if key in values}, "", _PLAN)
        learned = self.fields(values.get("build", {}), "build", _LEARNING)
        if self.problems:
            return None
        return Plan(grid=Grid(grid), criteria=tuple(criteria), build=Learning(**learned), **tables)

    def models(self, values: Mapping[str, Any], name: str) -> Models:
        value = self.table(values.get(name, {}), name)
        self.known(value, {"policies", "benchmarks"}, name)
        policies, benchmarks = {}, {}
        for row, held in self.table(value.get("policies", {}), f"{name}.policies").items():
            where = f"{name}.policies.{row}"
            given = dict(self.table(held, where))
            trained = given.pop("train", None)
            painter = self.fields(given, where, _PAINTER)
            if trained is not None:
                painter["train"] = Training(**self.fields(trained, f"{where}.train", _TRAINING))
                if painter.get("lora"):
                    self.wrong(where, "has an adapter and is to be trained: take one of them out")
            if self.named(painter, "policy", where):
                policies[row] = Painter(**painter)
        for column, held in self.table(value.get("benchmarks", {}), f"{name}.benchmarks").items():
            where = f"{name}.benchmarks.{column}"
            scored = self.fields(held, where, _COLUMN)
            if self.named(scored, "benchmark", where):
                benchmarks[column] = Column(**scored)
        return Models(policies=policies, benchmarks=benchmarks)

    def named(self, values: Mapping[str, Any], key: str, where: str) -> bool:
        if not values.get(key):
            self.wrong(where, f"names no {key}")
        return bool(values.get(key))

    def names(self, values: Mapping[str, Any], name: str) -> dict[str, Any]:
        table = self.table(values.get(name, {}), name)
        return self.fields(table, name, dict.fromkeys(table, str))

    def fields(self, values: Any, where: str, kinds: Mapping[str, type]) -> dict[str, Any]:
        values = self.table(values, where)
        self.known(values, set(kinds), where)
        found = {}
        for key, value in values.items():
            if key not in kinds:
                continue
            if _fits(value, kinds[key]):
                found[key] = value
            else:
                self.wrong(f"{where}.{key}" if where else key, f"must be {_KINDS[kinds[key]]}")
        return found

    def table(self, value: Any, where: str) -> Mapping[str, Any]:
        if isinstance(value, Mapping):
            return value
        self.wrong(where, "must be a table")
        return {}

    def known(self, values: Mapping[str, Any], names: set[str], where: str) -> None:
        for key in values:
            if key not in names:
                self.wrong(f"{where}.{key}" if where else key, f"means nothing here{nearest(key, names)}")

    def wrong(self, where: str, what: str) -> None:
        self.problems.append(Problem(f"{where} {what}", self.name))


def _fits(value: object, kind: type) -> bool:
    if kind is str:
        return isinstance(value, str)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return (whole or (kind is float and isinstance(value, float))) and value >= 0  # type: ignore[operator]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 20
