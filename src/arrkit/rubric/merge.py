"""Several rubrics of one task become one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from arrkit import __version__
from arrkit.canonical import utc_now
from arrkit.errors import InputError, Problem
from arrkit.rubric.codec import rubric_digest
from arrkit.rubric.model import Criterion, Dimension, ParentRef, Provenance, Rubric, normalised


@dataclass(frozen=True, slots=True)
class Fold:
    """Criteria that say the same: the ids of at least two, and the statement and guidance for all of them."""

    ids: tuple[str, ...]
    statement: str
    guidance: str = ""


def merge_rubrics(
    rubrics: Sequence[Rubric], name: str, *, sources: Sequence[str] = (), created_at: str = ""
) -> Rubric:
    """One rubric with the criteria of all, in the order given; not verified, so without metrics.

    Criteria with the same statement (case, spacing and closing punctuation aside) fold into the first of
    them: its id stays, the pairs they came from are joined, and the weight is the largest; not the sum, so
    that merging a rubric with itself changes nothing. Dimensions of one id or one name are joined.

    Args:
        sources: the file of each rubric, for messages; their names serve otherwise.
        created_at: UTC in ISO 8601; now by default.

    Raises :class:`InputError` for fewer than two rubrics, for different tasks, and for an id that has another
    statement in another rubric, naming both files: all clashes at once.
    """
    files = list(sources) or [rubric.name for rubric in rubrics]
    if len(rubrics) < 2:
        raise InputError("a merge needs at least two rubrics")
    _refuse_clashes(rubrics, files)
    dimensions: dict[str, Dimension] = {}
    holders: dict[str, tuple[str, int]] = {}  # a statement's dimension and place
    for rubric in rubrics:
        for dimension in rubric.dimensions:
            target = _target(dimensions, dimension)
            for criterion in dimension.criteria:
                said = normalised(criterion.statement)
                if said not in holders:
                    holders[said] = target, len(dimensions[target].criteria)
                    kept = (*dimensions[target].criteria, criterion)
                    dimensions[target] = replace(dimensions[target], criteria=kept)
                    continue
                home, place = holders[said]
                criteria = list(dimensions[home].criteria)
                criteria[place] = _joined([criteria[place], criterion])
                dimensions[home] = replace(dimensions[home], criteria=tuple(criteria))
    return Rubric(
        name=name,
        task=rubrics[0].task,
        description="Merged from " + ", ".join(f"{rubric.name} {rubric.version}" for rubric in rubrics) + ".",
        dimensions=tuple(dimension for dimension in dimensions.values() if dimension.criteria),
        provenance=Provenance(
            method="merge",
            arrkit_version=__version__,
            created_at=created_at or utc_now(),
            parents=tuple(
                dict.fromkeys(
                    ParentRef(rubric.name, rubric.version, rubric_digest(rubric)) for rubric in rubrics
                )
            ),
            build_pairs=_union(rubric.provenance.build_pairs for rubric in rubrics),
        ),
    )


def fold_criteria(rubric: Rubric, folds: Sequence[Fold]) -> Rubric:
    """Each fold's criteria become one, in the place and with the id of the first that the rubric holds.

    Weight and source pairs are joined as in :func:`merge_rubrics`; a fold without guidance keeps that of its
    criteria. Dimensions that are left empty go. Metrics are dropped. Raises ``ValueError`` for an id that is
    unknown or stands in two folds.
    """
    by_id = {criterion.id: criterion for criterion in rubric.criteria()}
    fold_of: dict[str, Fold] = {}
    for fold in folds:
        for key in fold.ids:
            if key not in by_id or key in fold_of:
                raise ValueError(f'criterion "{key}" is unknown or folded twice')
            fold_of[key] = fold
    done: list[Fold] = []
    dimensions = []
    for dimension in rubric.dimensions:
        kept: list[Criterion] = []
        for criterion in dimension.criteria:
            found = fold_of.get(criterion.id)
            if found is None:
                kept.append(criterion)
            elif found not in done:
                done.append(found)
                others = [by_id[key] for key in found.ids if key != criterion.id]
                joined = _joined([criterion, *others])
                guidance = found.guidance or joined.guidance
                kept.append(replace(joined, statement=found.statement, guidance=guidance))
        if kept:
            dimensions.append(replace(dimension, criteria=tuple(kept)))
    return replace(rubric, dimensions=tuple(dimensions), metrics=None)


def _refuse_clashes(rubrics: Sequence[Rubric], files: Sequence[str]) -> None:
    problems = []
    for rubric, file in zip(rubrics, files, strict=True):
        if rubric.task is not rubrics[0].task:
            what = f"the task is {rubric.task}, but that of {files[0]} is {rubrics[0].task}"
            problems.append(Problem(what, file, "Merge rubrics of one task."))
    first: dict[str, tuple[str, str]] = {}
    for rubric, file in zip(rubrics, files, strict=True):
        for criterion in rubric.criteria():
            statement, origin = first.setdefault(criterion.id, (criterion.statement, file))
            if normalised(statement) != normalised(criterion.statement):
                what = f'id "{criterion.id}" stands for another statement in {origin}'
                hint = f'"{criterion.statement}" is not "{statement}". Give one of the two another id.'
                problems.append(Problem(what, file, hint))
    if problems:
        raise InputError(problems, closing="Nothing was merged.")


def _target(dimensions: dict[str, Dimension], dimension: Dimension) -> str:
    # The key of the dimension that takes these criteria: one of the same id or name, else a new one.
    for key, existing in dimensions.items():
        if key == dimension.id or normalised(existing.name) == normalised(dimension.name):
            if not existing.description:
                dimensions[key] = replace(existing, description=dimension.description)
            return key
    dimensions[dimension.id] = replace(dimension, criteria=())
    return dimension.id


def _joined(criteria: Sequence[Criterion]) -> Criterion:
    return replace(
        criteria[0],
        weight=max(criterion.weight for criterion in criteria),
        guidance=next((criterion.guidance for criterion in criteria if criterion.guidance), ""),
        source_pairs=_union(criterion.source_pairs for criterion in criteria),
    )


def _union(groups: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry for group in groups for entry in group))
