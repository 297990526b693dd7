"""GenAI-Bench of TIGER-Lab: votes of an arena on generated and edited images.

Sources: TIGER-AI-Lab/GenAI-Bench, ``README.md`` and ``inference.py``. Parquet for each configuration and
edition, with images in columns; ``test_v1`` is the official edition, ``test`` the later one. UNVERIFIED: that
the files are called as the hub calls them by default, ``image_edition/test_v1-00000-of-00001.parquet``; any
name in the configuration's folder that begins with the edition and a dash, or is the edition alone, is taken.

``vote_type`` has four classes: ``leftvote`` (A), ``rightvote`` (B), ``tievote`` and ``bothbad_vote``, the
last for 392 of the 919 edits. ``idx`` in the metadata counts the rows from 0, as the authors' results do.

The configuration ``video_generation`` holds videos and is refused. So is BaiqiL/GenAI-Bench, another dataset
of that name, with ratings from 1 to 5 in a column ``HumanRatings`` (opendilab/LightRFT,
``lightrft/datasets/genai_bench.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from arrkit.backends.datasets import plugins
from arrkit.backends.datasets.common import Metadata, RowUnusable, SetPairs, Skips, text_of
from arrkit.backends.datasets.source import find_files
from arrkit.backends.spec import Spec
from arrkit.data.files import Files, LocalFiles, matching
from arrkit.data.pairs import Label, Picture, PreferencePair, Task
from arrkit.data.tables import Table
from arrkit.errors import InputError, Problem

GENERATION = {"prompt": "prompt", "a": "left_image", "b": "right_image"}
EDITION = {
    "prompt": "instruct_prompt",
    "a": "left_output_image",
    "b": "right_output_image",
    "source": "source_image",
}
LABELS = {
    "leftvote": Label.A,
    "rightvote": Label.B,
    "tievote": Label.TIE,
    "bothbad_vote": Label.BOTH_BAD,
}


def make(spec: Spec, *, data: str, revision: str, stream: bool, edition: str) -> SetPairs:
    """The configuration that ``spec`` names. Raises ``InputError`` where its files are not to be had, and for
    another dataset of the same name.
    """
    patterns = (f"*{spec.model}/{edition}-*.parquet", f"*{spec.model}/{edition}.parquet")
    try:
        files = find_files(plugins.genai_bench, spec, [patterns], data=data, revision=revision, stream=stream)
    except InputError:
        if data:
            _refuse_namesake(spec, LocalFiles(data), matching(LocalFiles(data), "*.parquet"))
        raise
    paths = [path for pattern in patterns for path in matching(files, pattern)]
    _refuse_namesake(spec, files, paths)
    table = Table(files, paths)
    columns = EDITION if spec.model == "image_edition" else GENERATION
    return SetPairs(
        spec,
        Task.EDIT if columns is EDITION else Task.T2I,
        files,
        partial(_read, table, columns, f"{spec.name}-{spec.model}-{edition}"),
        table.size,
    )


def _refuse_namesake(spec: Spec, files: Files, paths: list[str]) -> None:
    if paths and "HumanRatings" in Table(files, paths[:1]).columns:
        raise InputError(
            Problem(
                f"{files.name} holds BaiqiL/GenAI-Bench (ratings of images one by one), which is another "
                "dataset of the same name",
                f"dataset {spec.name}",
                "Fetch that of TIGER-Lab, which has votes on pairs: arrkit data pull genai-bench",
            )
        )


def _read(table: Table, columns: dict[str, str], stem: str, skips: Skips) -> Iterator[PreferencePair]:
    names = (*columns.values(), "left_model", "right_model", "vote_type")
    for number, values in enumerate(table.rows(*names), start=1):
        row = dict(zip(names, values, strict=True))
        origin = table.where(number)
        try:
            vote = text_of(row, "vote_type")
            if vote not in LABELS:
                raise RowUnusable(f"vote_type is none of {', '.join(LABELS)}")
            pictures = {key: _picture(row, column) for key, column in columns.items() if key != "prompt"}
            metadata: Metadata = {
                "idx": number - 1,
                "vote_type": vote,
                "model_a": str(row["left_model"]),
                "model_b": str(row["right_model"]),
            }
            yield PreferencePair(
                id=f"{stem}-{number}",
                task=Task.EDIT if "source" in pictures else Task.T2I,
                prompt=text_of(row, columns["prompt"]),
                a=pictures["a"],
                b=pictures["b"],
                label=LABELS[vote],
                sources=(pictures["source"],) if "source" in pictures else (),
                metadata=metadata,
                origin=origin,
            )
        except RowUnusable as error:
            skips.add(origin, str(error))


def _picture(row: dict[str, object], column: str) -> Picture:
    value = row[column]
    if not isinstance(value, Picture):
        raise RowUnusable(f"it has no {column}")
    return value
