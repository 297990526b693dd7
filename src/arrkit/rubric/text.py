"""Rubrics as plain text: the Theme/Tip form of the Auto-Rubric-as-Reward tool, both ways.

That tool (github.com/OpenEnvision/AutoRubric-as-Reward) prints a learned rubric as blocks ::

    Rubric 1:
    Theme: the dimension
    - Tip1: a criterion
    - Tip2: another

or, without its categoriser, as a numbered list of criteria, and hands such a text to its judge as it stands.
Here a theme is a dimension and a tip a criterion; guidance travels on an indented ``Check:`` line below its
tip. Ids, weights, source pairs, provenance and metrics have no place in the form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from arrkit import __version__
from arrkit.canonical import utc_now
from arrkit.data.pairs import Task
from arrkit.errors import InputError
from arrkit.rubric.model import Criterion, Dimension, Provenance, Rubric, unique_slug

GENERAL = "General"
"""The dimension of criteria that stand under no theme."""

# Bullets, list numbers and heading signs before the words of a line.
_MARKS = re.compile(r"\s*(?P<marks>(?:(?:[-*+•·–—]|\d+[.)]|#+|>)\s+)*)(?P<words>.*)", re.DOTALL)
_LABEL = re.compile(
    r"(?P<open>\*\*|__)?(?P<label>theme|tips?|rubrics?)\s*(?P<number>#?\d+)?(?P<close>\*\*|__)?"
    r"(?:\s*[:：]|(?<=\d)\s*[.)–—-](?=\s))(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_BARE_RUBRIC = re.compile(r"(?:\*\*|__)?rubrics?\s*#?\d*(?:\*\*|__)?", re.IGNORECASE)
_CHECK = re.compile(r"(?:check|how to check)\s*[:：](?P<rest>.*)", re.IGNORECASE | re.DOTALL)


def export_text(rubric: Rubric) -> str:
    """The rubric in Theme/Tip form. White space within a name, statement or guidance becomes one space."""
    blocks = []
    for number, dimension in enumerate(rubric.dimensions, start=1):
        lines = [f"Rubric {number}:", f"Theme: {_line(dimension.name)}"]
        for place, criterion in enumerate(dimension.criteria, start=1):
            lines.append(f"- Tip{place}: {_line(criterion.statement)}")
            if criterion.guidance.strip():
                lines.append(f"  Check: {_line(criterion.guidance)}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def import_text(text: str, *, name: str, task: Task, source: str = "", created_at: str = "") -> Rubric:
    """The rubric of a Theme/Tip text: weights 1, ids made of the words, provenance ``import``.

    Numbers, bullets, bold and headings around the labels are optional, as are the labels of tips; lines
    without a mark continue the one above. A theme without tips is itself a criterion.

    Args:
        source: the file, for messages and the description.
        created_at: UTC in ISO 8601; now by default.

    Raises :class:`InputError` for a text in which no theme and no list entry is found.
    """
    themes = _themes(text)
    if not themes:
        raise InputError(
            f"{source or 'the text'} holds no theme and no tip",
            hint='Write blocks of "Theme: ..." with lines "- Tip1: ..." below.',
        )
    dimension_ids: set[str] = set()
    criterion_ids: set[str] = set()
    dimensions = []
    for theme in themes:
        criteria = []
        for tip in theme.tips or [_Tip([theme.name])]:
            identity = _claim(tip.statement, criterion_ids)
            criteria.append(Criterion(identity, tip.statement, guidance=tip.guidance))
        dimensions.append(Dimension(_claim(theme.name, dimension_ids), theme.name, tuple(criteria)))
    return Rubric(
        name=name,
        task=task,
        dimensions=tuple(dimensions),
        provenance=Provenance("import", __version__, created_at or utc_now()),
        description=f"Imported from {source}." if source else "",
    )


@dataclass(slots=True)
class _Tip:
    words: list[str]
    check: list[str] = field(default_factory=list)

    @property
    def statement(self) -> str:
        return _line(*self.words)

    @property
    def guidance(self) -> str:
        return _line(*self.check)


@dataclass(slots=True)
class _Theme:
    words: list[str]
    tips: list[_Tip] = field(default_factory=list)
    # The title of a "Rubric 1: title" line: no theme of its own if a "Theme:" line follows.
    from_title: bool = False

    @property
    def name(self) -> str:
        return _line(*self.words)


def _themes(text: str) -> list[_Theme]:
    """The themes of a text, in order, none of them empty."""
    themes: list[_Theme] = []
    current: list[str] | None = None  # what a line without a mark continues
    for line in text.lstrip("\ufeff").splitlines():
        match = _MARKS.match(line)
        assert match is not None  # both of its groups may be empty
        marks, words = match["marks"], match["words"].strip()
        if not words:
            current = current if current == [] else None
            continue
        label, rest = _labelled(words)
        if label == "theme" or (label == "rubric" and rest):
            if themes and themes[-1].from_title and not themes[-1].tips:
                themes.pop()
            themes.append(_Theme([rest] if rest else [], from_title=label == "rubric"))
            current = themes[-1].words
        elif label == "rubric" or (label == "tip" and not rest and not re.search(r"\d", words)):
            current = None  # the header of a block, or of its tips
        elif label == "" and "#" in marks:
            themes.append(_Theme([words]))
            current = themes[-1].words
        elif label == "tip" or marks.strip():
            current = _add_tip(themes, rest if label else words)
        elif themes and themes[-1].tips and (check := _CHECK.match(words)):
            current = themes[-1].tips[-1].check
            current.append(check["rest"])
        elif current is not None:
            current.append(words)
        elif themes and (themes[-1].words or themes[-1].tips):
            current = _add_tip(themes, words)
    for theme in themes:
        theme.tips = [tip for tip in theme.tips if tip.statement]
    return [
        theme if theme.name else _Theme([GENERAL], theme.tips) for theme in themes if theme.name or theme.tips
    ]


def _add_tip(themes: list[_Theme], words: str) -> list[str]:
    if not themes:
        themes.append(_Theme([]))
    themes[-1].tips.append(_Tip([words] if words else []))
    return themes[-1].tips[-1].words


def _labelled(words: str) -> tuple[str, str]:
    """A line's label ("theme", "tip", "rubric" or none) and what follows it, bold taken off the label."""
    if _BARE_RUBRIC.fullmatch(words):
        return "rubric", ""
    match = _LABEL.fullmatch(words)
    if match is None:
        return "", words
    rest, bold = match["rest"].strip(), match["open"]
    if bold and not match["close"]:
        # "**Theme:** words" or "**Theme: words**"
        rest = rest.removeprefix(bold) if rest.startswith(bold) else rest.removesuffix(bold)
    return match["label"].lower().removesuffix("s"), rest.strip()


def _claim(words: str, taken: set[str]) -> str:
    identity = unique_slug(words, taken)
    taken.add(identity)
    return identity


def _line(*parts: str) -> str:
    return " ".join(" ".join(parts).split())
