"""The sentences of one language, as data. The builders put them together; no builder holds a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from arrkit.canonical import digest
from arrkit.data.pairs import Task

BUILD = 1
"""Raise it when a builder puts the same sentences together in another way."""

ByTask = Mapping[Task, str]


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
    seeing: str
    aims: ByTask
    unbiased: str
    unbiased_many: str
    ties: str
    text_is_evidence: str

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
    verdict_criteria_shape: str
    criteria_evidence_shape: str
    override_shape: str
    reasoning_shape: ByTask
    ranking_shape: str
    ranking_criteria_shape: str
    scores_shape: str
    proposal_shape: str
    structure_shape: str
    exactly_this: str
    word_answer: str
    short_answers: str

    # What a criterion is.
    criterion_rules: str
    criterion_aims: ByTask
    structure_rules: str

    # The item: prompt, images, closing instruction.
    prompt_block: ByTask
    source_image: str
    image: str
    judged_image: ByTask
    pool_line: str
    dimension_hint: str
    compare_closing: str
    choose_closing: str
    choose_criterion_closing: str
    choose_question: str
    criterion_question: str
    rank_closing: str
    score_closing: str
    yes_closing: ByTask
    yes_question: ByTask
    propose_closing: str
    refine_tried: str
    refine_report: str
    refine_closing: str
    zero_shot_closing: ByTask
    structure_closing: str
    further: str
    repair: str
    repair_answer: str

    @property
    def version(self) -> str:
        """Changes with any sentence, and with ``BUILD``: answers to other words are other answers."""
        return f"{BUILD}.{digest(asdict(self))[:8]}"
