"""Seal an edited rubric file: a new digest, a new version, and no claim that the edit made untrue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from arrkit import __version__
from arrkit.canonical import Json, pretty_json, utc_now, write_atomic
from arrkit.errors import InputError
from arrkit.rubric.checking import check_document
from arrkit.rubric.codec import criteria_digest, rubric_digest, rubric_to_json
from arrkit.rubric.library import read_text
from arrkit.rubric.model import SCHEMA_VERSION, ParentRef, Provenance, Rubric
from arrkit.rubric.positions import parse_json

Bump = Literal["major", "minor", "patch"]


@dataclass(frozen=True, slots=True)
class Sealed:
    """What sealing did. ``messages`` are sentences for people; without a change nothing was written."""

    rubric: Rubric
    changed: bool
    metrics_dropped: bool
    messages: tuple[str, ...]


def seal_rubric(path: str | Path, bump: Bump = "patch") -> Sealed:
    """Write the digest that fits the edited content of the file, and raise its version by ``bump``.

    The digest that stood there becomes a parent. Metrics stay where all that a judge is told is as it was
    measured, and are dropped otherwise. A file that was never sealed (no digest) keeps its version, and may
    lack its provenance, which then says ``manual`` and now. Raises :class:`InputError` with every other
    problem of the file; it is then left alone.
    """
    path = Path(path)
    text = read_text(path)
    document, positions, problems = parse_json(text, str(path))
    if problems or not isinstance(document, Mapping):
        problems = problems or check_document(document, str(path), positions)[1]
        raise InputError(problems, closing="Nothing was sealed.")
    document = _with_provenance(document)
    rubric, problems = check_document(document, str(path), positions, sealed=False)
    if rubric is None:
        raise InputError(problems, closing="Nothing was sealed.")
    if not check_document(document, str(path), positions)[1] and _is_newest(document):
        return Sealed(rubric, False, False, ("The content is unchanged: its digest fits already.",))

    messages = []
    earlier = document.get("digest")
    if isinstance(earlier, str) and re.fullmatch(r"sha256:[0-9a-f]{64}", earlier):
        rubric = _next_version(rubric, bump, earlier)
        messages.append(f"Version {document['version']} became {rubric.version}.")
    metrics = document.get("metrics")
    dropped = isinstance(metrics, Mapping) and metrics.get("criteria_digest") != criteria_digest(
        rubric.dimensions
    )
    if dropped:
        rubric = replace(rubric, metrics=None)
        messages.append(
            "The metrics were dropped: they were measured under other criteria. "
            f"Measure again: arrkit rubric verify {path} --pairs FILE"
        )
    write_atomic(path, pretty_json(rubric_to_json(rubric)))
    messages.append(f"Sealed with {rubric_digest(rubric)}.")
    return Sealed(rubric, True, dropped, tuple(messages))


def _is_newest(document: Mapping[str, Json]) -> bool:
    return document.get("schema_version") == SCHEMA_VERSION


def _next_version(rubric: Rubric, bump: Bump, earlier: str) -> Rubric:
    major, minor, patch = (int(part) for part in rubric.version.split("."))
    after = {
        "major": f"{major + 1}.0.0",
        "minor": f"{major}.{minor + 1}.0",
        "patch": f"{major}.{minor}.{patch + 1}",
    }
    parent = ParentRef(rubric.name, rubric.version, earlier)
    provenance = replace(rubric.provenance, parents=(*rubric.provenance.parents, parent))
    return replace(rubric, version=after[bump], provenance=provenance)


def _with_provenance(document: Mapping[str, Json]) -> Mapping[str, Json]:
    if "provenance" in document or "digest" in document:
        return document
    provenance = manual_provenance()
    return {
        **document,
        "provenance": {
            "method": provenance.method,
            "arrkit_version": provenance.arrkit_version,
            "created_at": provenance.created_at,
        },
    }


def manual_provenance() -> Provenance:
    """The provenance of a rubric that a person writes now."""
    return Provenance("manual", __version__, utc_now())
