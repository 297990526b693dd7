"""How the shapes judge explains a known preference: what differs, worded as criteria.

Like a person, it is fallible in a known way: in a fixed share of the pairs it first says what strikes the eye
(general looks), without asking whether that speaks for the preferred image; only after a critique does it
compare in earnest. In earnest it never leaves out the request itself: where the preferred image follows
prompt or instruction less well than the rejected one, no honest criterion explains the choice, and what it
proposes fails.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from arrkit.data.pairs import Task
from arrkit.judge.protocol import Draft
from arrkit.shapes.assess import Assessment, read_instruction, read_prompt
from arrkit.shapes.checks import LOOKS, Check
from arrkit.shapes.criteria import read_statement
from arrkit.shapes.wording import about, general, variants

EYE_FIRST = 0.45
"""The share of pairs in which the first proposal is about general looks alone."""

_CLEAR = 0.05
"""A check tells two images apart where its scores differ by at least this much."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """The preferred image and the other one. ``chance`` varies the wording; it depends on the pair alone.

    With ``general`` nothing is worded about the objects of one prompt.
    """

    task: Task
    better: Assessment
    worse: Assessment
    chance: int
    general: bool = False

    def lead(self, check: Check) -> float:
        """By how much the preferred image meets ``check`` better; 0 where the check has no meaning."""
        return self.better.scores.get(check, 0.0) - self.worse.scores.get(check, 0.0)

    def wording(self, check: Check) -> str | None:
        """``check`` in the words of this prompt, where there are any."""
        return None if self.general else about(check, self.better)

    @property
    def core(self) -> Check:
        """What the request itself asks."""
        return Check.FIDELITY if self.task is Task.T2I else Check.EXECUTED

    def explaining(self) -> list[Check]:
        """Checks of substance that favour the preferred image, clearest first; the summary last."""
        checks = [
            check
            for check in Check
            if check not in LOOKS and check is not Check.FIDELITY and self.lead(check) >= _CLEAR
        ]
        return sorted(checks, key=self.lead, reverse=True)

    def opposed(self) -> bool:
        """Whether the preferred image follows the request less well."""
        return self.lead(self.core) <= -_CLEAR


def first_drafts(contrast: Contrast, count: int) -> tuple[Draft, ...]:
    """At most ``count`` criteria for a pair not seen before."""
    if contrast.chance % 1000 < EYE_FIRST * 1000:
        striking = sorted(LOOKS, key=lambda check: -abs(contrast.lead(check)))
        return _worded(contrast, striking[: min(3, count)], 0)
    return _earnest(contrast, count, 0, frozenset())


def revised_drafts(
    contrast: Contrast, count: int, drafts: Sequence[Draft], critique: str
) -> tuple[Draft, ...]:
    """At most ``count`` criteria after ``drafts`` failed.

    Keeps the drafts that the critique does not blame and that do speak for the preferred image; adds checks
    not yet used.
    """
    blamed = _blamed(critique)
    kept = []
    for draft in drafts:
        checks = [reading.check for reading in read_statement(draft.statement, contrast.task)]
        supports = bool(checks) and all(contrast.lead(check) > 0 for check in checks)
        if supports and draft.statement not in blamed:
            kept.append((draft, checks[0]))
    substance = [draft for draft, check in kept if check not in LOOKS][:count]
    used = frozenset(check for _, check in kept)
    tries = 1 + len(blamed)
    fresh = _earnest(contrast, max(count - len(substance), 0), tries, used)
    return (*substance, *fresh)[:count]


def further_drafts(contrast: Contrast, count: int, known: Sequence[Draft]) -> tuple[Draft, ...]:
    """At most ``count`` criteria beyond those a rubric holds; what was asked for where there are none."""
    used = {reading.check for draft in known for reading in read_statement(draft.statement, contrast.task)}
    return _earnest(contrast, count, 1, frozenset(used))


def _earnest(contrast: Contrast, count: int, tries: int, used: frozenset[Check]) -> tuple[Draft, ...]:
    """What tells the images apart, then one of the looks that agrees with it."""
    checks = [check for check in contrast.explaining() if check not in used]
    looks = sorted((check for check in LOOKS if contrast.lead(check) > 0), key=contrast.lead, reverse=True)
    looks = [check for check in looks if check not in used]
    if contrast.opposed():
        checks = [contrast.core, *checks]
    substantial = bool(checks) or bool(used - set(LOOKS))
    chosen = [*checks[: max(count - 1, 1)], *looks[:1]] if substantial else looks
    return _worded(contrast, chosen[:count] or [contrast.core], tries)


def _worded(contrast: Contrast, checks: Sequence[Check], tries: int) -> tuple[Draft, ...]:
    return tuple(_draft(contrast, check, tries + place) for place, check in enumerate(checks))


def _draft(contrast: Contrast, check: Check, turn: int) -> Draft:
    """One criterion; every other one names the objects of this prompt where there are words for it."""
    dice = contrast.chance // 1000 + 7 * turn
    named = contrast.wording(check) if dice % 5 < 3 else None
    if named is not None and _keeps_lead(contrast, named):
        return Draft(f"{named}.")
    said = variants(check, contrast.task)
    return Draft(f"{said[dice // 5 % len(said)]}.")


def _keeps_lead(contrast: Contrast, statement: str) -> bool:
    """Whether a literal statement speaks for the same image as its check does."""
    readings = read_statement(statement, contrast.task)
    leads = [
        (contrast.better.answer(reading.check, reading.subject) or 0.0)
        - (contrast.worse.answer(reading.check, reading.subject) or 0.0)
        for reading in readings
    ]
    return bool(leads) and leads[0] * contrast.lead(readings[0].check) > 0


def _blamed(critique: str) -> frozenset[str]:
    """Statements that a critique quotes on a line that does not say they support the choice."""
    blamed = set()
    for line in critique.splitlines():
        if not re.match(r"\s*supports\b", line):
            blamed.update(re.findall(r'"([^"]+)"', line))
    return frozenset(blamed)


def unseen_drafts(task: Task, prompt: str, count: int) -> tuple[Draft, ...]:
    """What images for a prompt should be judged by, unseen; nothing where it is not understood."""
    if task is Task.EDIT:
        edit = read_instruction(prompt)
        checks = (Check.EXECUTED, Check.PRESERVED, Check.BACKGROUND_KEPT, Check.CLEAN, Check.WHOLE)
        return () if edit is None else tuple(Draft(f"{general(check, task)}.") for check in checks[:count])
    asked = read_prompt(prompt)
    if asked is None:
        return ()
    wanted = {
        Check.COUNT: True,
        Check.BINDING: any(phrase.colour for phrase in asked.subject.phrases),
        Check.RELATION: asked.subject.side is not None,
        Check.BACKGROUND: asked.background is not None,
        Check.EXTRA: True,
        Check.CLEAN: True,
        Check.WHOLE: True,
    }
    return tuple(Draft(f"{general(check, task)}.") for check, needed in wanted.items() if needed)[:count]
