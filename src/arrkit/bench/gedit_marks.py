"""GEdit-Bench: the marks in a judge's answer, and in the tables that the official script writes.

The order of the steps is that of the official reader (stepfun-ai/Step1X-Edit: GEdit-Bench/viescore/utils.py):
what stands between two delimiters; else the JSON object from the first ``{`` to the last ``}``; else a list
of two integers, or one integer. Where that reader draws a random mark for what it cannot read, here is an
error.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from arrkit.bench.model import Status, Unit
from arrkit.canonical import Json
from arrkit.errors import InputError, Problem

TOP = 10.0
"""The best mark; the worst is 0."""

SEMANTICS, QUALITY = "SC", "PQ"
"""The two questions about an edit: is it what the instruction says, and does it look right?"""

GROUPS = (
    "background_change",
    "color_alter",
    "material_alter",
    "motion_change",
    "ps_human",
    "style_change",
    "subject-add",
    "subject-remove",
    "subject-replace",
    "text_change",
    "tone_transfer",
)
"""The groups of edits, in the order of the official tables."""

LANGUAGES = ("en", "cn")

ITEM_COLUMNS = ("edited_image", "instruction_language")
MARK_COLUMNS = {SEMANTICS: "sementics_score", QUALITY: "quality_score"}  # the first is spelt so

_DELIMITER = "||V^=^V||"
_TWO = re.compile(r"\[\d+, ?\d+\]")
_SCORE = re.compile(
    r"""(?<![\w"'])["']?score["']?\s*:\s*(\[[^\[\]]*\]|-?\d+(?:\.\d+)?(?=\s*(?:[,}\n]|\Z)))""", re.IGNORECASE
)


def read_marks(text: str) -> list[Json]:
    """The marks in an answer, each in [0, 10]: as a rule two, in the order in which they were asked for.

    Raises ``ValueError`` that says what is wrong with the answer.
    """
    if text.count(_DELIMITER) == 2:
        inner = text.split(_DELIMITER)[1]
        return _from_json(inner.strip())
    start, end = text.find("{"), text.rfind("}") + 1
    if start != -1 and end != 0:
        return _from_json(text[start:end])
    start, end = text.find("["), text.rfind("]") + 1
    if start != -1 and _TWO.fullmatch(text[start:end]):
        return _checked(json.loads(text[start:end]))
    if re.fullmatch(r"\s*\d{1,2}\s*", text):
        return _checked([int(text)])
    raise ValueError('the answer holds no JSON object with "score"')


def _from_json(text: str) -> list[Json]:
    """The marks under ``score`` of a JSON object, or of what is nearly one."""
    try:
        found = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        # A quote inside of the reasoning, or a key without quotes, leaves the marks as clear as they were.
        named = {re.sub(r"\s", "", match) for match in _SCORE.findall(text)}
        if len(named) != 1:
            raise ValueError("the JSON in the answer is malformed") from None
        try:
            found = {"score": json.loads(named.pop())}
        except ValueError:
            raise ValueError('"score" is not a list of two numbers') from None
    if not isinstance(found, dict) or "score" not in found:
        raise ValueError('the JSON in the answer has no "score"')
    score = found["score"]
    return _checked(score if isinstance(score, list) else [score])


def _checked(marks: Sequence[object]) -> list[Json]:
    if not marks:
        raise ValueError('"score" is empty')
    for mark in marks:
        # Comparisons with NaN are false, so it is refused as well.
        if isinstance(mark, bool) or not isinstance(mark, int | float) or not 0 <= mark <= TOP:
            raise ValueError(f'"score" holds {mark!r}, which is no number from 0 to 10')
    return [mark for mark in marks if isinstance(mark, int | float)]


def item_id(group: str, language: str, key: str) -> str:
    """The id of a sample: keys may stand in both languages."""
    return f"{group}/{language}/{key}"


def read_table(place: Path, languages: Sequence[str]) -> list[Unit]:
    """The units in a ``*_gpt_score.csv`` of the official script, or in all of them in a folder.

    Rows of other languages than ``languages`` are left out, and so are the tables that gather those of all
    groups. Raises :class:`~arrkit.errors.InputError` where a table cannot be read.
    """
    units: list[Unit] = []
    for path in _tables(place):
        for line, row in _rows(path):
            try:
                group, language, key = _named(row["edited_image"], row["instruction_language"])
            except ValueError as error:
                raise InputError(Problem(str(error), f"{path}:{line}")) from None
            if language not in languages:
                continue
            for question, column in MARK_COLUMNS.items():
                units.append(_unit(item_id(group, language, key), question, row[column]))
    return units


def _tables(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    found = sorted(place.glob("*_gpt_score.csv"))
    found = [path for path in found if any(path.name.endswith(f"_{group}_gpt_score.csv") for group in GROUPS)]
    if not found:
        raise InputError(f"{place} holds no tables of GEdit-Bench (*_GROUP_gpt_score.csv)")
    return found


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    needed = (*ITEM_COLUMNS, *MARK_COLUMNS.values())
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, restval="")
            if missing := [name for name in needed if name not in (reader.fieldnames or ())]:
                raise InputError(
                    Problem(f"the table has no column {' and no '.join(missing)}", str(path)),
                )
            for row in reader:
                yield reader.line_num, row
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(Problem(f"this is no CSV file: {error}", str(path))) from None


def _named(image: str, language: str) -> tuple[str, str, str]:
    """Group, language and key of an edited image, ``.../<group>/<language>/<key>.png``."""
    parts = PurePosixPath(image.replace("\\", "/")).parts
    if len(parts) < 3 or parts[-3] not in GROUPS:
        raise ValueError(f'"{image}" is not the path of an edited image, GROUP/LANGUAGE/KEY.png')
    return parts[-3], language, parts[-1].rpartition(".")[0] or parts[-1]


def _unit(item: str, question: str, text: str) -> Unit:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= TOP:
        return Unit(item=item, question=question, status=Status.UNPARSED, answer=text)
    return Unit(item=item, question=question, value=value)
