"""The sentences of one language, as data. The builders put them together; no builder holds a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from arrkit.canonical import digest
from arrkit.data.pairs import Task
from arrkit.judge.prompts.learning_words import LearningWording
from arrkit.judge.prompts.planning_words import PlanningWording

BUILD = 1
"""Raise it when a builder puts the same sentences together in another way."""

ByTask = Mapping[Task, str]


def by_kind(image: str, response: str) -> ByTask:
    """One sentence on candidates that are images, and one on those that are answers of text and images."""
    return {Task.T2I: image, Task.EDIT: image, Task.INTERLEAVED: response}


@dataclass(frozen=True, slots=True)
class Wording:
    """All that arrkit says to a judge in one language.

    Words in braces are filled in by the builders. ``A``, ``B``, ``tie``, ``equal``, ``Yes``, ``No`` and the
    keys of an answer are the same in every language.
    """

    language: str

    # Who the judge is and what it is shown.
    compare_role: ByTask
    score_role: ByTask
    rank_role: ByTask
    author_role: ByTask
    author_blind_role: ByTask
    editor_role: ByTask

    # How to judge.
    judging: str
    seeing: ByTask
    aims: ByTask
    unbiased: ByTask
    unbiased_many: ByTask
    ties: ByTask
    text_is_evidence: ByTask

    # The rubric.
    rubric_title: str
    weights: str
    criterion_line: str
    weighted_line: str
    check_line: str
    under_rubric: str
    under_rubric_score: str

    # What the answer looks like.
    answer_title: str
    verdict_shape: str
    verdict_criteria_shape: ByTask
    criteria_evidence_shape: ByTask
    override_shape: ByTask
    reasoning_shape: ByTask
    ranking_shape: ByTask
    ranking_criteria_shape: ByTask
    scores_shape: ByTask
    proposal_shape: ByTask
    structure_shape: str
    exactly_this: str
    word_answer: str
    short_answers: str

    # What a criterion is.
    criterion_rules: ByTask
    criterion_aims: ByTask
    structure_rules: ByTask

    # The item: prompt, images, closing instruction.
    prompt_block: ByTask
    source_image: str
    source_image_numbered: str
    source_mark: str
    source_mark_numbered: str
    image: ByTask
    judged_image: ByTask
    made_of_parts: str
    pool_line: str
    dimension_hint: str
    compare_closing: ByTask
    choose_closing: ByTask
    choose_criterion_closing: ByTask
    choose_question: ByTask
    criterion_question: ByTask
    rank_closing: ByTask
    score_closing: ByTask
    yes_closing: ByTask
    yes_question: ByTask
    propose_closing: ByTask
    refine_tried: str
    refine_report: ByTask
    refine_closing: ByTask
    zero_shot_closing: ByTask
    structure_closing: str
    further: str
    repair: str
    repair_answer: str

    # What the protocols ask for beside all this.
    planning: PlanningWording

    # What learning weighted criteria asks for.
    learning: LearningWording

    @property
    def version(self) -> str:
        """Changes with any sentence, and with ``BUILD``: answers to other words are other answers."""
        return f"{BUILD}.{digest(asdict(self))[:8]}"
