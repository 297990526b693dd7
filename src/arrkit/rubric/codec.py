"""Between a rubric and its JSON document, and the digests of both.

The document's key order is that of the file. ``digest`` and ``metrics.criteria_digest`` are derived when a
document is made; neither is a field of :class:`~arrkit.rubric.model.Rubric`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import cast

from arrkit.canonical import Json, digest
from arrkit.data.pairs import Task
from arrkit.rubric.model import (
    SCHEMA_VERSION,
    Counts,
    Criterion,
    DatasetRef,
    Dimension,
    Learning,
    Metrics,
    ParentRef,
    Provenance,
    Rate,
    Rubric,
)
from arrkit.serial import from_json

Document = Mapping[str, Json]


def rubric_to_json(rubric: Rubric) -> dict[str, Json]:
    """The document of a rubric: every field, in file order, ``digest`` last.

    Whole numbers are written without a fraction (``1``, not ``1.0``), so that a tool that rewrites the file
    with another idea of numbers does not change the digest.
    """
    document: dict[str, Json] = {
        "schema_version": SCHEMA_VERSION,
        "name": rubric.name,
        "version": rubric.version,
        "task": str(rubric.task),
        "description": rubric.description,
        "dimensions": [_dimension_to_json(dimension) for dimension in rubric.dimensions],
        "provenance": _plain(asdict(rubric.provenance)),
        "metrics": None,
    }
    if rubric.metrics is not None:
        metrics = cast(dict[str, Json], _plain(asdict(rubric.metrics)))
        document["metrics"] = {**metrics, "criteria_digest": criteria_digest(rubric.dimensions)}
    if rubric.learning is not None:  # no default: files of before, which say nothing of it, stay as sealed
        document["learning"] = _plain(asdict(rubric.learning))
    document["digest"] = f"sha256:{digest(document)}"
    return document


def rubric_digest(rubric: Rubric) -> str:
    """``sha256:`` and the hexadecimal SHA-256 of the canonical JSON of the document without its digest."""
    return cast(str, rubric_to_json(rubric)["digest"])


def criteria_digest(dimensions: Sequence[Dimension]) -> str:
    """The digest of what a judge is told of a rubric: names, descriptions, statements, guidance, weights.

    Equal digests mean that metrics measured under one hold for the other.
    """
    told: Json = [
        {
            "name": dimension.name,
            "description": dimension.description,
            "criteria": [
                {
                    "id": criterion.id,
                    "statement": criterion.statement,
                    "weight": _plain(criterion.weight),
                    "guidance": criterion.guidance,
                }
                for criterion in dimension.criteria
            ],
        }
        for dimension in dimensions
    ]
    return f"sha256:{digest(told)}"


def rubric_from_document(document: Document) -> Rubric:
    """The rubric of a document that has been found valid (:func:`arrkit.rubric.checking.check_document`)."""
    metrics, learning = document.get("metrics"), document.get("learning")
    return Rubric(
        name=_text(document, "name"),
        version=_text(document, "version"),
        task=Task(_text(document, "task")),
        description=_text(document, "description"),
        dimensions=tuple(_dimension(entry) for entry in _list(document, "dimensions")),
        provenance=_provenance(cast(Document, document["provenance"])),
        metrics=None if metrics is None else _metrics(cast(Document, metrics)),
        learning=None if learning is None else from_json(Learning, learning),
    )


def _dimension_to_json(dimension: Dimension) -> dict[str, Json]:
    return {
        "id": dimension.id,
        "name": dimension.name,
        "description": dimension.description,
        "criteria": [_plain(asdict(criterion)) for criterion in dimension.criteria],
    }


def _plain(value: object) -> Json:
    # Tuples become lists and whole floats integers; above 2**53 a float's integer would have made-up digits.
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return cast(Json, value)


def _dimension(entry: Document) -> Dimension:
    return Dimension(
        id=_text(entry, "id"),
        name=_text(entry, "name"),
        description=_text(entry, "description"),
        criteria=tuple(
            Criterion(
                id=_text(criterion, "id"),
                statement=_text(criterion, "statement"),
                weight=float(cast(float, criterion.get("weight", 1.0))),
                guidance=_text(criterion, "guidance"),
                source_pairs=_texts(criterion, "source_pairs"),
            )
            for criterion in _list(entry, "criteria")
        ),
    )


def _provenance(entry: Document) -> Provenance:
    dataset, counts = entry.get("dataset"), entry.get("counts")
    return Provenance(
        method=_text(entry, "method"),
        arrkit_version=_text(entry, "arrkit_version"),
        created_at=_text(entry, "created_at"),
        generator=_text(entry, "generator"),
        verifier=_text(entry, "verifier"),
        dataset=None if dataset is None else _dataset(cast(Document, dataset)),
        counts=None if counts is None else Counts(**cast(Mapping[str, int], counts)),
        options=dict(cast(Mapping[str, str | int | float | bool | None], entry.get("options", {}))),
        parents=tuple(
            ParentRef(_text(parent, "name"), _text(parent, "version"), _text(parent, "digest"))
            for parent in _list(entry, "parents")
        ),
        build_pairs=_texts(entry, "build_pairs"),
    )


def _metrics(entry: Document) -> Metrics:
    return Metrics(
        judge=_text(entry, "judge"),
        dataset=_dataset(cast(Document, entry["dataset"])),
        n=int(cast(int, entry["n"])),
        accuracy=_rate(entry, "accuracy"),
        baseline=_rate(entry, "baseline"),
        difference=_rate(entry, "difference"),
        consistency=_rate(entry, "consistency"),
    )


def _dataset(entry: Document) -> DatasetRef:
    return DatasetRef(_text(entry, "name"), _text(entry, "digest"), int(cast(int, entry["pairs"])))


def _rate(metrics: Document, key: str) -> Rate:
    entry = cast(Mapping[str, float], metrics[key])
    return Rate(float(entry["value"]), float(entry["low"]), float(entry["high"]), int(entry["n"]))


def _text(entry: Document, key: str) -> str:
    return cast(str, entry.get(key, ""))


def _texts(entry: Document, key: str) -> tuple[str, ...]:
    return tuple(cast(Sequence[str], entry.get(key, ())))


def _list(entry: Document, key: str) -> Sequence[Document]:
    return cast(Sequence[Document], entry.get(key, ()))
