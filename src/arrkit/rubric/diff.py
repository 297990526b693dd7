"""What changed between two rubrics, criterion by criterion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from arrkit.canonical import Json
from arrkit.rubric.codec import rubric_to_json
from arrkit.rubric.model import Criterion, Rubric, normalised


@dataclass(frozen=True, slots=True)
class Change:
    """``subject`` (an id or a field's name) was ``old`` and is ``new``; None stands for "not there"."""

    subject: str
    old: Json
    new: Json

    def to_json(self) -> dict[str, Json]:
        """The change as plain data."""
        return {"subject": self.subject, "old": self.old, "new": self.new}


@dataclass(frozen=True, slots=True)
class RubricDiff:
    """The changes from one rubric to another; criteria are the same when their ids are.

    A criterion whose id alone changed is ``renamed`` (the subject is the old id), and neither added nor
    removed. ``moved`` names dimension ids, ``dimensions`` those added, removed, renamed or described anew,
    ``metadata`` every other field but the digest and the metrics' numbers. ``reordered`` says that what both
    share stands in another order.
    """

    old: str
    new: str
    added: tuple[Criterion, ...] = ()
    removed: tuple[Criterion, ...] = ()
    renamed: tuple[Change, ...] = ()
    reworded: tuple[Change, ...] = ()
    reweighted: tuple[Change, ...] = ()
    moved: tuple[Change, ...] = ()
    guidance: tuple[Change, ...] = ()
    sources: tuple[Change, ...] = ()
    dimensions: tuple[Change, ...] = ()
    metadata: tuple[Change, ...] = ()
    reordered: bool = False

    @property
    def empty(self) -> bool:
        """Whether the two are alike."""
        return not any(getattr(self, field.name) for field in fields(self)[2:])

    def to_json(self) -> dict[str, Json]:
        """The diff as plain data: one list for each kind of change."""
        document: dict[str, Json] = {"old": self.old, "new": self.new, "empty": self.empty}
        for kind in ("added", "removed"):
            entries: tuple[Criterion, ...] = getattr(self, kind)
            document[kind] = [
                {"id": entry.id, "statement": entry.statement, "weight": entry.weight} for entry in entries
            ]
        for field in fields(self)[4:-1]:
            changes: tuple[Change, ...] = getattr(self, field.name)
            document[field.name] = [change.to_json() for change in changes]
        document["reordered"] = self.reordered
        return document


def diff_rubrics(old: Rubric, new: Rubric) -> RubricDiff:
    """What has to be changed in ``old`` to get ``new``."""
    before, after = _by_id(old), _by_id(new)
    gone = {key: entry for key, entry in before.items() if key not in after}
    come = {key: entry for key, entry in after.items() if key not in before}
    said = {normalised(entry.statement): key for key, (entry, _) in reversed(gone.items())}
    renames = {}
    for key, (entry, _) in come.items():
        earlier = said.pop(normalised(entry.statement), None)
        if earlier is not None:
            renames[earlier] = key
    pairs = [
        (key, before[key], after[renames.get(key, key)]) for key in before if key in after or key in renames
    ]
    shared_old = [renames.get(key, key) for key, _, _ in pairs]
    shared_new = [key for key in after if key in shared_old]
    return RubricDiff(
        old=f"{old.name} {old.version}",
        new=f"{new.name} {new.version}",
        added=tuple(entry for key, (entry, _) in come.items() if key not in renames.values()),
        removed=tuple(entry for key, (entry, _) in gone.items() if key not in renames),
        renamed=tuple(Change(earlier, earlier, key) for earlier, key in renames.items()),
        reworded=tuple(
            Change(key, a.statement, b.statement)
            for key, (a, _), (b, _) in pairs
            if a.statement != b.statement
        ),
        reweighted=tuple(
            Change(key, a.weight, b.weight) for key, (a, _), (b, _) in pairs if a.weight != b.weight
        ),
        moved=tuple(Change(key, here, there) for key, (_, here), (_, there) in pairs if here != there),
        guidance=tuple(
            Change(key, a.guidance, b.guidance) for key, (a, _), (b, _) in pairs if a.guidance != b.guidance
        ),
        sources=tuple(
            Change(key, a.source_pairs, b.source_pairs)
            for key, (a, _), (b, _) in pairs
            if a.source_pairs != b.source_pairs
        ),
        dimensions=tuple(_dimension_changes(old, new)),
        metadata=tuple(_metadata_changes(old, new)),
        reordered=shared_old != shared_new or _shared_dimensions(old, new) != _shared_dimensions(new, old),
    )


def _by_id(rubric: Rubric) -> dict[str, tuple[Criterion, str]]:
    return {
        criterion.id: (criterion, dimension.id)
        for dimension in rubric.dimensions
        for criterion in dimension.criteria
    }


def _shared_dimensions(one: Rubric, other: Rubric) -> list[str]:
    known = {dimension.id for dimension in other.dimensions}
    return [dimension.id for dimension in one.dimensions if dimension.id in known]


def _dimension_changes(old: Rubric, new: Rubric) -> Iterator[Change]:
    before = {dimension.id: dimension for dimension in old.dimensions}
    after = {dimension.id: dimension for dimension in new.dimensions}
    for key in dict.fromkeys((*before, *after)):
        one, two = before.get(key), after.get(key)
        if one is None or two is None:
            yield Change(key, one.name if one else None, two.name if two else None)
            continue
        if one.name != two.name:
            yield Change(key, one.name, two.name)
        if one.description != two.description:
            yield Change(f"{key}.description", one.description, two.description)


def _metadata_changes(old: Rubric, new: Rubric) -> Iterator[Change]:
    before, after = rubric_to_json(old), rubric_to_json(new)
    for key in ("name", "version", "task", "description"):
        if before[key] != after[key]:
            yield Change(key, before[key], after[key])
    one, two = before["provenance"], after["provenance"]
    assert isinstance(one, dict)
    assert isinstance(two, dict)
    for key in one:
        if one[key] != two[key]:
            yield Change(f"provenance.{key}", one[key], two[key])
    if before["metrics"] != after["metrics"]:
        yield Change("metrics", before["metrics"], after["metrics"])
