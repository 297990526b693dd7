"""Near-duplicates of a rubric, folded by a judge."""

from __future__ import annotations

from dataclasses import replace

from arrkit.errors import RunError
from arrkit.judge.protocol import Draft, Outcome, Structure, StructureRequest
from arrkit.judge.session import JudgeSession
from arrkit.rubric.merge import Fold, fold_criteria
from arrkit.rubric.model import Rubric


async def fold_with_judge(rubric: Rubric, session: JudgeSession) -> Rubric:
    """Ask the session's judge which criteria say the same, and fold those. Provenance names the judge.

    What the judge groups alone, rewords or leaves out stays as it was, and so do the dimensions: a merge
    loses nothing but repetition. Raises :class:`RunError` where the judge gives no answer or none that fits.
    """
    criteria = tuple(rubric.criteria())
    homes = {entry.id: dimension.name for dimension in rubric.dimensions for entry in dimension.criteria}
    pool = tuple(Draft(entry.statement, entry.guidance, homes[entry.id]) for entry in criteria)
    judge = session.judge
    structure = await session.structure(StructureRequest(rubric.task, pool, len(rubric.dimensions)))
    folded = fold_by_structure(rubric, structure, judge.name)
    return replace(folded, provenance=replace(folded.provenance, generator=judge.name))


def fold_by_structure(rubric: Rubric, structure: Structure, judge: str = "the judge") -> Rubric:
    """As :func:`fold_with_judge`, with a structure over the rubric's criteria, in their order, at hand."""
    ids = [criterion.id for criterion in rubric.criteria()]
    if structure.outcome is not Outcome.OK:
        raise RunError(
            f"{judge} could not say which criteria are alike: {structure.detail or structure.outcome}",
            hint="Run the command again, or merge without a judge, which folds exact duplicates alone.",
        )
    try:
        folds = [
            Fold(tuple(_at(ids, member) for member in group.members), group.statement, group.guidance)
            for dimension in structure.dimensions
            for group in dimension.criteria
            if len(group.members) > 1
        ]
        return fold_criteria(rubric, folds)
    except (IndexError, ValueError) as error:
        raise RunError(f"{judge} grouped the criteria in a way that does not fit them: {error}") from None


def _at(ids: list[str], index: int) -> str:
    if index < 0:
        raise IndexError(f"there is no criterion {index}")
    return ids[index]
