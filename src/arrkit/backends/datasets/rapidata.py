"""Rapidata's image sets: votes of many people on two images of a prompt.

UNVERIFIED: no file of these sets was at hand. The columns are those that code of others reads, and a set with
any other is refused with its columns:

- ``prompt``, ``image1``, ``image2``, ``model1``, ``model2``;
- ``votes_image1`` and ``votes_image2``, numbers of people (the set of 700,000 votes and its sisters); or
- ``weighted_results_image1_preference`` and the same of image 2, shares of the votes weighted by how far each
  voter is trusted, in newer sets beside the same for ``coherence`` and ``alignment``, which are kept as
  metadata.

The image with more votes, or the larger share, is preferred, and equal ones are a tie, as
opendilab/LightRFT (``lightrft/datasets/rapidata.py``) counts the video sets. The confidence is the difference
as a share of the sum. In the set of 700,000 votes people are said to have seen the images without the prompt
(arXiv:2409.11904), so a judge who looks for faithfulness to the prompt answers another question.

The video sets (``file_name1`` or ``video1``) are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from arrkit.backends.datasets import plugins
from arrkit.backends.datasets.common import (
    Metadata,
    RowUnusable,
    SetPairs,
    Skips,
    by_rank,
    number_of,
    text_of,
)
from arrkit.backends.datasets.source import find_files
from arrkit.backends.spec import Spec
from arrkit.data.files import matching
from arrkit.data.pairs import Picture, PreferencePair, Task
from arrkit.data.tables import Table
from arrkit.errors import InputError, Problem

NEEDED = ("prompt", "image1", "image2")
SCORES = (
    ("weighted_results_image1_preference", "weighted_results_image2_preference"),
    ("votes_image1", "votes_image2"),
)
BESIDE = ("coherence", "alignment")
VIDEO = ("video1", "video2", "file_name1", "file_name2")


def make(spec: Spec, *, data: str, revision: str, stream: bool, repo: str) -> SetPairs:
    """The set that ``repo`` names, or the files in ``data``. Raises ``InputError`` for columns unheard of."""
    pattern = f"*{spec.model}*.parquet"
    files = find_files(
        plugins.rapidata, spec, [pattern], data=data, revision=revision, stream=stream, hub=repo
    )
    table = Table(files, matching(files, pattern))
    columns = table.columns
    where = f"dataset {spec.name}"
    if any(name in columns for name in VIDEO):
        raise InputError(
            Problem(f"{files.name} holds videos, which arrkit does not judge", where, "Name a set of images.")
        )
    scores = next((pair for pair in SCORES if set(pair) <= set(columns)), None)
    missing = [name for name in NEEDED if name not in columns]
    if scores is None or missing:
        lacks = ", ".join(missing) or "votes on image1 and image2"
        raise InputError(
            Problem(
                f"{files.name} has no {lacks}: this is not a set of Rapidata's as arrkit knows them",
                where,
                f"Its columns: {', '.join(columns)}.",
            )
        )
    beside = [
        name
        for aspect in BESIDE
        for side in (1, 2)
        if (name := f"weighted_results_image{side}_{aspect}") in columns
    ]
    models = [name for name in ("model1", "model2") if name in columns]
    names = (*NEEDED, *scores, *models, *beside)
    stem = f"{spec.name}-{spec.model}"
    return SetPairs(spec, Task.T2I, files, partial(_read, table, names, scores, stem), table.size)


def _read(
    table: Table, names: tuple[str, ...], scores: tuple[str, str], stem: str, skips: Skips
) -> Iterator[PreferencePair]:
    for number, values in enumerate(table.rows(*names), start=1):
        row = dict(zip(names, values, strict=True))
        origin = table.where(number)
        try:
            yield _pair(row, scores, f"{stem}-{number}", origin)
        except RowUnusable as error:
            skips.add(origin, str(error))


def _pair(row: dict[str, object], scores: tuple[str, str], name: str, origin: str) -> PreferencePair:
    first, second = (number_of(row[column]) for column in scores)
    if first is None or second is None or min(first, second) < 0:
        raise RowUnusable(f"{scores[0]} and {scores[1]} are not two numbers from 0 on")
    a, b = row["image1"], row["image2"]
    if not isinstance(a, Picture) or not isinstance(b, Picture):
        raise RowUnusable("image1 and image2 are not two images")
    counted = scores[0].startswith("votes")
    total = first + second
    metadata: Metadata = {}
    for key, value in row.items():
        if key in ("model1", "model2") and isinstance(value, str):
            metadata["model_a" if key == "model1" else "model_b"] = value
        elif (share := number_of(value)) is not None and key not in scores:
            aspect = key.rpartition("_")[2]
            metadata[f"{aspect}_{'a' if 'image1' in key else 'b'}"] = share
    return PreferencePair(
        id=name,
        task=Task.T2I,
        prompt=text_of(row, "prompt"),
        a=a,
        b=b,
        label=by_rank(-first, -second),
        metadata=metadata,
        origin=origin,
        votes=(int(first), int(second)) if counted else None,
        confidence=abs(first - second) / total if total else 0.0,
    )
