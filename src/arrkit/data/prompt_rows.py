"""Prompts as other people's files have them: their names for things, and tables in CSV.

====================================  ====================================================================
form                                  what is read of it
====================================  ====================================================================
ShareGPT-4o-Image, JSON array         ``input_prompt``, ``input_image`` (a list); ``output_image`` is what
                                      GPT-4o made and is not looked at
UniGenBench, CSV                      ``prompt_en`` or ``prompt_zh``, ``index``; of ``sub_dims_*`` (JSON
                                      text) the categories and test points, as metadata
Pref-GRPO's edit sets, JSONL          ``instruction``, ``prompt``, ``caption`` or ``text``; ``source_image``
                                      or ``image``; ``target_image`` and ``instruction_cn`` are not looked at
====================================  ====================================================================

Sources: FreedomIntelligence/ShareGPT-4o-Image README.md and train/train_janus.py; CodeGoat24/UniGenBench
data/*.csv; CodeGoat24/Pref-GRPO.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from typing import IO

from arrkit.data import keys
from arrkit.data.rows import BrokenRow, Row

_PROMPT = ("input_prompt", "prompt_en", "prompt_zh", "caption", "text")
_DIMENSIONS = ("sub_dims_en", "sub_dims_zh")
_MEANINGS = {
    "Primary Categories": "category",
    "Secondary Categories": "subcategory",
    "Subjects": "subject",
    "Sentence Structure": "sentence",
    "Testpoints": "testpoints",
    "Testpoint Description": "testpoint_descriptions",
    "一级垂类": "category",
    "二级垂类": "subcategory",
    "主体": "subject",
    "句式": "sentence",
    "考点": "testpoints",
    "考点对应描述": "testpoint_descriptions",
}


def foreign_prompt(row: Mapping[object, object]) -> tuple[str, str] | None:
    """The key and the prompt of a row that has none of arrkit's own keys for it, or None."""
    if any(row.get(key) for key in keys.PROMPT):
        return None
    for key in _PROMPT:
        if isinstance(text := row.get(key), str) and text.strip():
            return key, text
    return None


def read_csv(stream: IO[bytes]) -> Iterator[Row | BrokenRow]:
    """The rows of a CSV file with a header, as text under the header's names; empty cells are left out.

    A row whose ``sub_dims_*`` is not JSON is broken: UniGenBench's long English prompts have one (index 509),
    in which a comma is missing.
    """
    reader = csv.reader(_lines(stream), strict=True)
    number, line = 0, 1
    try:
        header = next(reader, [])
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                number += 1
                yield _row(number, line, header, cells)
            line = reader.line_num + 1
    except UnicodeDecodeError:
        yield BrokenRow(number + 1, line, "the text is not UTF-8 in this row or after it", last=True)
    except csv.Error as error:
        yield BrokenRow(number + 1, line, f"not CSV: {error}", last=True)


def _lines(stream: IO[bytes]) -> Iterator[str]:
    for number, raw in enumerate(stream):
        yield raw.decode("utf-8" if number else "utf-8-sig")


def _row(number: int, line: int, header: list[str], cells: list[str]) -> Row | BrokenRow:
    if len(cells) != len(header):
        return BrokenRow(number, line, f"the row has {len(cells)} cells, and the header {len(header)}")
    value: dict[str, object] = {key: cell for key, cell in zip(header, cells, strict=True) if cell}
    for column in _DIMENSIONS:
        if not isinstance(found := value.pop(column, None), str):
            continue
        index = f" of index {value['index']}" if "index" in value else ""
        try:
            dimensions = json.loads(found)
        except json.JSONDecodeError as error:
            what = f"{column}{index} is not JSON: {error.msg.lower()} at character {error.pos + 1}"
            return BrokenRow(number, line, what, "Mend the cell, or take the row out.")
        if not isinstance(dimensions, Mapping):
            return BrokenRow(number, line, f"{column}{index} is not a JSON object")
        value["metadata"] = {_MEANINGS.get(key, key): entry for key, entry in dimensions.items()}
    if "index" in value and ("prompt_en" in value or "prompt_zh" in value):
        value.setdefault("id", value.pop("index"))
    return Row(number, line, value)
