"""Multimodal RewardBench 2 (MMRB2): 1,000 pairs for each of four tasks.

Sources: facebookresearch/MMRB2, ``benchmark/README.md``, ``benchmark/build_from_hf.py`` and
``evaluate/compute_scores/compute_accuracy.py``. A part is kept in one of three forms:

- ready, as on the hub: parquet under ``{part}/``, whose texts have ``<image_N>`` where an image belongs. The
  images are taken in the order of these marks, whatever their numbers; all follow a text without any.
- local: ``{part}.json``, an object with ``pairs``, whose contents are lists of ``["text", TEXT]`` and
  ``["image", PATH]``, with files in ``input_images/`` and ``images/``. The files say ``id`` and
  ``model_name``, where the README has ``pair_id`` and ``model``.
- ``{part}_response_only.json``, as in the repository: without prompts, and so refused.

``chosen`` is A or B. An answer of the parts ``t2i`` and ``edit`` is an image, a passage where it holds
anything else (one edit is three images); all answers of ``interleaved`` and ``reasoning`` are passages, about
half of the latter of text alone.

Three people rated each pair of the first three parts from 6 (A is much better) to 1 (B is): from 4 on they
are votes for A, and the confidence is the distance of their mean from 3.5 as a share of 2.5. For reasoning
there are grades of each answer, often none; they are metadata.

The licence, CC BY-NC 4.0, allows benchmarking only and no training.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from arrkit.backends.datasets import plugins
from arrkit.backends.datasets.common import (
    Metadata,
    RowUnusable,
    SetPairs,
    Skips,
    number_of,
    sound,
    unknown_size,
)
from arrkit.backends.datasets.source import find_files
from arrkit.backends.spec import Spec
from arrkit.data.files import Files, matching, picture_in
from arrkit.data.pairs import Candidate, Label, Passage, Picture, PreferencePair, Task
from arrkit.data.readers import rows_in
from arrkit.data.rows import Row, place_of
from arrkit.data.tables import Table
from arrkit.errors import InputError, Problem

TASKS = {
    "t2i": Task.T2I,
    "edit": Task.EDIT,
    "interleaved": Task.INTERLEAVED,
    "reasoning": Task.INTERLEAVED,
}

Content = Sequence[str | Picture]

_COLUMNS = (
    *("pair_id", "prompt_text", "prompt_images", "prompt_source", "prompt_metadata"),
    *("response_a_text", "response_a_images", "response_a_model"),
    *("response_b_text", "response_b_images", "response_b_model"),
    *("chosen", "human_annotations"),
)
_MARK = re.compile(r"<image_\d+>")
_MIDDLE, _REACH = 3.5, 2.5  # of ratings from 1 to 6


def make(spec: Spec, *, data: str, revision: str, stream: bool) -> SetPairs:
    """The part that ``spec`` names. Raises ``InputError`` where it is not to be had, or lacks its prompts."""
    part = spec.model
    ready, local, bare = f"*{part}*.parquet", f"{part}.json", f"*{part}_response_only.json"
    files = find_files(
        plugins.mmrb2, spec, [(ready, local, bare)], data=data, revision=revision, stream=stream
    )
    if paths := matching(files, ready):
        table = Table(files, paths)
        return SetPairs(spec, TASKS[part], files, partial(_read_ready, table, part), table.size)
    if not files.has(local):
        raise _without_prompts(spec, f"{files.name}/{matching(files, bare)[0]}")
    first = next(rows_in(files, local, key="pairs"), None)
    keys = first.value if isinstance(first, Row) and isinstance(first.value, dict) else {}
    if "response_a" in keys and "prompt_content" not in keys:
        raise _without_prompts(spec, f"{files.name}/{local}")
    return SetPairs(spec, TASKS[part], files, partial(_read_local, files, local, part), unknown_size)


def _without_prompts(spec: Spec, path: str) -> InputError:
    return InputError(
        Problem(
            f"{path} holds the answers of MMRB2 without their prompts",
            f"dataset {spec.name}",
            f"Fetch the form that has both: arrkit data pull {spec.name}:{spec.model}",
        )
    )


def _read_ready(table: Table, part: str, skips: Skips) -> Iterator[PreferencePair]:
    for number, values in enumerate(table.rows(*_COLUMNS), start=1):
        row = dict(zip(_COLUMNS, values, strict=True))
        origin = table.where(number)
        try:
            contents = [
                marked_content(_text(row[f"{of}_text"]), _pictures(row[f"{of}_images"]))
                for of in ("prompt", "response_a", "response_b")
            ]
            about = row | {key: _unpacked(row[key]) for key in ("prompt_metadata", "human_annotations")}
            yield _pair(part, about, contents, "pair_id", origin)
        except RowUnusable as error:
            skips.add(origin, str(error))


def _read_local(files: Files, path: str, part: str, skips: Skips) -> Iterator[PreferencePair]:
    for read in rows_in(files, path, key="pairs"):
        origin = f"{path}:{place_of(read)}"
        try:
            row = sound(read, files, path)
            answers = [_object(row, f"response_{side}") for side in "ab"]
            models = {
                f"response_{side}_model": answer.get("model_name", answer.get("model"))
                for side, answer in zip("ab", answers, strict=True)
            }
            contents = [
                _listed_content(row.get("prompt_content"), "prompt_content", files),
                *(
                    _listed_content(each.get("response_content"), "response_content", files)
                    for each in answers
                ),
            ]
            yield _pair(part, row | models, contents, "id" if "id" in row else "pair_id", origin)
        except RowUnusable as error:
            skips.add(origin, str(error))


def marked_content(text: str, pictures: Sequence[Picture]) -> list[str | Picture]:
    """Text and images in order: the next image for each mark, all behind a text without marks.

    As ``build_from_hf.py`` does it, marks beyond the images are left out, and so are images beyond the marks.
    """
    said = _MARK.split(text)
    if len(said) == 1:
        return [*_spoken(text), *pictures]
    found: list[str | Picture] = _spoken(said[0])
    for index, words in enumerate(said[1:]):
        found += [*pictures[index : index + 1], *_spoken(words)]
    return found


def _spoken(text: str) -> list[str | Picture]:
    return [text.strip()] if text.strip() else []


def _listed_content(value: object, key: str, files: Files) -> list[str | Picture]:
    found: list[str | Picture] = []
    for part in value if isinstance(value, list) else [None]:
        match part:
            case ["text", str(text)]:
                found += _spoken(text)
            case ["image", str(path)] if path:
                found.append(picture_in(files, path))
            case _:
                raise RowUnusable(f"its {key} is not a list of texts and images")
    return found


def _pair(
    part: str, row: Mapping[str, object], contents: Sequence[Content], id_key: str, origin: str
) -> PreferencePair:
    name = row.get(id_key)
    if not isinstance(name, str) or not name:
        raise RowUnusable(f"it has no {id_key}")
    chosen = row.get("chosen")
    if not isinstance(chosen, str) or chosen.upper() not in ("A", "B"):
        raise RowUnusable("chosen is neither A nor B")
    asked, first, second = contents
    prompt, sources = _prompt(asked)
    if not prompt:
        raise RowUnusable("its prompt has no text")
    votes, confidence, rated = _ratings(row.get("human_annotations"))
    return PreferencePair(
        id=name,
        task=TASKS[part],
        prompt=prompt,
        a=_answer(part, first),
        b=_answer(part, second),
        label=Label(chosen.upper()),
        sources=sources,
        metadata={**_about(row), **rated, "config": part},
        origin=origin,
        votes=votes,
        confidence=confidence,
    )


def _prompt(content: Content) -> tuple[str, tuple[Picture, ...]]:
    """The text, with ``<image 1>`` where an image stood, and the images.

    An only image in front of the text or behind it needs no mark: there is nothing to tell it from.
    """
    pictures = tuple(part for part in content if isinstance(part, Picture))
    ends = [isinstance(part, Picture) for part in (*content[:1], *content[-1:])]
    if len(pictures) == 1 and any(ends):
        return " ".join(part for part in content if isinstance(part, str)), pictures
    number, said = 0, []
    for part in content:
        if isinstance(part, str):
            said.append(part)
        else:
            number += 1
            said.append(f"<image {number}>")
    return (" ".join(said) if number < len(content) else ""), pictures


def _answer(part: str, content: Content) -> Candidate:
    if TASKS[part] is not Task.INTERLEAVED:
        if not any(isinstance(each, Picture) for each in content):
            raise RowUnusable("an answer holds no image")
        if len(content) == 1 and isinstance(content[0], Picture):
            return content[0]
    return Passage(tuple(content))


def _ratings(value: object) -> tuple[tuple[int, int] | None, float | None, Metadata]:
    """Votes, confidence and metadata of what people said."""
    if isinstance(value, Mapping):
        grades = {
            f"grades_{side}": " ".join(str(grade) for grade in found)
            for side in "ab"
            if isinstance(found := value.get(f"response_{side}_ratings"), list)
        }
        return None, None, dict(grades)
    if not isinstance(value, list) or not value:
        return None, None, {}
    ratings = [rating for each in value if (rating := number_of(each)) is not None and 1 <= rating <= 6]
    if len(ratings) < len(value):
        return None, None, {}
    mean = sum(ratings) / len(ratings)
    above = sum(rating > _MIDDLE for rating in ratings)
    said: Metadata = {"ratings": " ".join(f"{rating:g}" for rating in ratings), "mean_rating": round(mean, 4)}
    return (above, len(ratings) - above), abs(mean - _MIDDLE) / _REACH, said


def _about(row: Mapping[str, object]) -> Metadata:
    """Where the prompt is from and whose answers these are; the prompt's own metadata under its own names."""
    more = row.get("prompt_metadata")
    found = (
        {("prompt_id" if key == "id" else key): value for key, value in more.items()}
        if isinstance(more, Mapping)
        else {}
    )
    found |= {
        "source": row.get("prompt_source"),
        "model_a": row.get("response_a_model"),
        "model_b": row.get("response_b_model"),
    }
    return {
        key: value
        for key, value in found.items()
        if isinstance(value, str | int | float | bool) and value != ""
    }


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    raise RowUnusable("a text is none")


def _pictures(value: object) -> tuple[Picture, ...]:
    if value is None:
        return ()
    if isinstance(value, tuple | list) and all(isinstance(each, Picture) for each in value):
        return tuple(value)
    raise RowUnusable("a list of images holds something else")


def _object(row: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = row.get(key)
    if not isinstance(value, Mapping):
        raise RowUnusable(f"it has no object {key}")
    return value


def _unpacked(value: object) -> object:
    """What the JSON text in a column says; as in ``build_from_hf.py``, a damaged one says nothing."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None
