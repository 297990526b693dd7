"""What the keys of one row say: prompt, images, label, metadata, and all that is wrong with them."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from arrkit.data import keys
from arrkit.data.pairs import Label, Task
from arrkit.errors import Problem

Scalar = str | int | float | bool

Part = tuple[str, str]
"""A part of an answer: ``("text", the text)`` or ``("image", a path or URL)``."""

Named = str | tuple[Part, ...]
"""A candidate as a row names it: the path or URL of an image, or the parts of an answer in their order."""

_EDIT_HINT = 'Say "task": "edit" in the row, or pass --task edit.'
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class RowFields:
    """The keys of one row, read one meaning at a time.

    What is wrong is gathered in ``problems``, all of which are at ``where``; a method that meets a problem
    returns what it can. ``explained`` are keys whose absence a problem has already explained.
    """

    value: Mapping[object, object]
    where: str
    problems: list[Problem] = field(default_factory=list)
    explained: set[str] = field(default_factory=set)

    def problem(self, what: str, *, hint: str = "") -> None:
        self.problems.append(Problem(what, self.where, hint))

    def encodable(self) -> bool:
        """Whether all text can be written as UTF-8; a problem for each key where it cannot."""
        for key, value in self.value.items():
            if not _encodable(value) or not _encodable(key):
                self.problem(f"{_text(key, escape=True)} holds half a character (a lone surrogate)")
        return not self.problems

    def task(self, asked: Task | None) -> Task | None:
        """The row's own task, else the one asked for, else edit for a row with keys that only an edit has."""
        named = self.value.get("task")
        if named is not None:
            if not isinstance(named, str):
                self.problem(f"task is {kind_of(named)}, not text", hint=keys.TASK_HINT)
                return None
            task = keys.task_named(named)
            if task is None:
                self.problem(f'unknown task "{named}"{keys.task_hint(named)}', hint=keys.TASK_HINT)
            return task
        if asked is not None:
            return asked
        edit = any(self.value.get(key) for key in (*keys.SOURCE, keys.ALL_SOURCES, *keys.EDIT_IMAGES))
        return Task.EDIT if edit else Task.T2I

    def check_id(self) -> None:
        value = self.value.get("id")
        if value is None or type(value) is int:
            return
        if not isinstance(value, str):
            self.problem(f"id is {kind_of(value)}, not text or a whole number")
        elif not value.strip():
            self.problem("id is empty")

    def prompt(self) -> str:
        for key in keys.PROMPT:
            value = self.value.get(key)
            if value is None or value == "":
                continue
            if not isinstance(value, str):
                self.problem(f"{key} is {kind_of(value)}, not text", hint="Put it in quotes.")
                return ""
            if value.strip():
                return value
        self.absent("no prompt", keys.PROMPT, f"Give the instruction under {_either(keys.PROMPT)}.")
        return ""

    def images(self, task: Task) -> tuple[list[str], list[Named]]:
        """The source images and the candidates; problems where these are not two."""
        sources, candidates = self.named_images(task)
        if self.pointwise:
            return sources, candidates
        if len(candidates) == 1:
            self.problem("one candidate image, and a pair needs two")
        elif not candidates:
            usual = (
                ("image_paths", "response", "images") if task is Task.T2I else ("edited_images", "response")
            )
            names = keys.T2I_IMAGES if task is Task.T2I else (*keys.EDIT_IMAGES, *keys.EDIT_FALLBACK)
            self.absent("no candidate images", names, f"Give the two paths under {_either(usual)}.")
        return sources, candidates

    def named_images(self, task: Task) -> tuple[list[str], list[Named]]:
        if task is Task.T2I:
            self.refuse_sources()
        every = self.first_list((keys.ALL_SOURCES,))
        if self.value.get(keys.CANDIDATES):
            return every or self.first_list(keys.SOURCE)[:1], self.candidates()
        if task is Task.T2I:
            return [], [*self.t2i_images()]
        source, candidates = self.edit_images(sourced=bool(every))
        return every or ([source] if source is not None else []), [*candidates]

    def candidates(self) -> list[Named]:
        """What ``candidates`` names: images, and answers that are lists of texts and images."""
        value = self.value[keys.CANDIDATES]
        self.explained.update((*keys.T2I_IMAGES, *keys.EDIT_IMAGES))
        if not isinstance(value, (list, tuple)):
            self.problem(f"{keys.CANDIDATES} is {kind_of(value)}, not a list of two")
            return []
        found = [self.candidate(entry) for entry in value]
        return [entry for entry in found if entry is not None]

    def candidate(self, value: object) -> Named | None:
        if isinstance(value, str) and value.strip():
            return value
        if not isinstance(value, (list, tuple)) or not value:
            shown = "an empty path" if value == "" else kind_of(value) if value else "nothing"
            self.problem(f"{keys.CANDIDATES} holds {shown} where an image or a list of parts should be")
            return None
        parts = [part for part in map(_part, value) if part is not None]
        if len(parts) < len(value):
            self.problem(
                f"{keys.CANDIDATES} holds an answer with a part that is neither text nor image",
                hint='Give each part as {"text": "..."} or {"image": "a.png"}.',
            )
        return tuple(parts)

    def refuse_sources(self) -> None:
        general = (keys.ALL_SOURCES,) if not self.value.get(keys.CANDIDATES) else ()
        for key in (*keys.SOURCE, *general, *keys.EDIT_IMAGES):
            if self.value.get(key):
                self.explained.update(keys.T2I_IMAGES)
                self.problem(f"{key} belongs to an edit, and the task of the row is t2i", hint=_EDIT_HINT)

    def t2i_images(self) -> list[str]:
        candidates = self.first_list(keys.T2I_IMAGES)
        ranks = self.value.get("label_rank")
        if isinstance(ranks, (list, tuple)) and len(ranks) == 2 and len(candidates) == 3:
            self.problem(
                f"label_rank {_shown(ranks)} has 2 ranks for 3 images",
                hint=f"If the first image is the source of an edit: {_EDIT_HINT[0].lower()}{_EDIT_HINT[1:]}",
            )
        return candidates

    def edit_images(self, *, sourced: bool) -> tuple[str | None, list[str]]:
        """The source and the results; ``sourced`` where the sources stand under a key of their own."""
        sources = self.first_list(keys.SOURCE)
        explicit = self.first_list(keys.EDIT_IMAGES)
        if sources or explicit or sourced:
            return (sources[0] if sources else None), explicit or self.first_list(keys.EDIT_FALLBACK)
        ranks = self.value.get("label_rank")
        return split_source(
            self.first_list(keys.EDIT_FALLBACK),
            ranks=len(ranks) if isinstance(ranks, (list, tuple)) else None,
            labelled=self.value.get("label") is not None,
            scored=self.value.get("label_score") is not None,
            includes_base=bool(self.value.get("response_includes_base")),
        )

    def first_list(self, names: Sequence[str]) -> list[str]:
        """The images of the first key that gives any; text is a list of one, null entries are absent."""
        for key in names:
            value = self.value.get(key)
            if value is None or value == "":
                continue
            entries = list(value) if isinstance(value, (list, tuple)) else [value]
            entries = [entry for entry in entries if entry is not None]
            wrong = next((entry for entry in entries if not isinstance(entry, str)), None)
            if wrong is not None:
                self.explained.add(key)
                self.problem(f"{key} holds {kind_of(wrong)} where the path or URL of an image should be")
                return []
            if any(not entry.strip() for entry in entries if isinstance(entry, str)):
                self.explained.add(key)
                self.problem(f"{key} holds an empty path")
                return []
            if entries:
                return [entry for entry in entries if isinstance(entry, str)]
        return []

    def absent(self, what: str, names: Sequence[str], hint: str) -> None:
        """A problem for a row with none of the keys ``names``; it points to a key that resembles one."""
        if not self.explained.isdisjoint(names):
            return
        for key in self.value:
            if isinstance(key, str) and key not in keys.KNOWN:
                meant = keys.resembles(key, names)
                if meant is not None:
                    what = f'{what}, but a key "{key}" (did you mean "{meant}"?)'
                    break
        self.problem(what, hint=hint)

    @property
    def pointwise(self) -> bool:
        """Whether the row rates one image: it has a score and no label."""
        value = self.value
        labelled = value.get("label_rank") is not None or value.get("label") is not None
        return not labelled and value.get("label_score") is not None

    def label(self, candidates: int) -> Label | None:
        """The label from ``label_rank`` and ``label``; a problem where they clash or there is neither."""
        named, ranks = self.value.get("label"), self.value.get("label_rank")
        if named is None and ranks is None:
            hint = 'Give "label_rank": [1, 2] (1 is the better one), or "label": "A", "B" or "tie".'
            self.absent("no label", ("label_rank", "label"), hint)
            return None
        by_name = None if named is None else self.named_label(named)
        if ranks is None:
            return by_name
        tie = by_name if by_name is not None and not by_name.decided else None
        by_rank = self.ranked_label(ranks, candidates, tie)
        if by_name is not None and by_rank is not None and by_name is not by_rank:
            self.problem(f'label "{named}" and label_rank {_shown(ranks)} contradict each other')
        return by_rank if named is None else by_name

    def named_label(self, named: object) -> Label | None:
        if isinstance(named, str):
            for label in Label:
                if named.strip().lower() == label.lower():
                    return label
        shown = f'"{named}"' if isinstance(named, str) else _shown(named)
        self.problem(f"unknown label {shown}", hint='The labels are "A", "B", "tie" and "both_bad".')
        return None

    def ranked_label(self, ranks: object, candidates: int, tie: Label | None) -> Label | None:
        """The label of a list of ranks; ``tie`` is what the row calls two equal ones, where it does."""
        whole = isinstance(ranks, (list, tuple)) and all(type(rank) is int for rank in ranks)
        if not whole or not isinstance(ranks, (list, tuple)):
            self.problem(f"label_rank {_shown(ranks)} is not a list of whole numbers")
            return None
        if candidates == 2 and len(ranks) != 2:
            self.problem(f"label_rank {_shown(ranks)} has {len(ranks)} ranks for 2 candidates")
            return None
        if len(ranks) != 2:
            return None  # the number of candidates is the problem, and is said
        if ranks[0] == ranks[1]:
            if tie is not None:
                return tie
            self.problem(
                f"label_rank {_shown(ranks)} does not order the two images",
                hint='Give ranks 1 and 2, or mark the pair as a tie with "label": "tie".',
            )
            return None
        if sorted(ranks) != [1, 2]:
            self.problem(
                f"label_rank {_shown(ranks)} is not made of the ranks 1 and 2",
                hint="Give 1 to the better image and 2 to the other.",
            )
            return None
        return Label.A if ranks[0] == 1 else Label.B

    def group(self) -> str:
        value = self.value.get("group")
        if value is None:
            return ""
        if isinstance(value, str) or type(value) is int:
            return str(value)
        self.problem(f"group is {kind_of(value)}, not text or a whole number", hint=_keep_hint("group"))
        return ""

    def votes(self) -> tuple[int, int] | None:
        value = self.value.get("votes")
        if value is None:
            return None
        if isinstance(value, (list, tuple)) and len(value) == 2:
            a, b = value
            if type(a) is int and type(b) is int and a >= 0 and b >= 0:
                return a, b
        self.problem(f"votes {_shown(value)} are not two counts, for A and for B", hint=_keep_hint("votes"))
        return None

    def confidence(self) -> float | None:
        value = self.value.get("confidence")
        if value is None:
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
            return float(value)
        what = f"confidence {_shown(value)} is not a number from 0 to 1"
        self.problem(what, hint=_keep_hint("confidence"))
        return None

    def metadata(self) -> dict[str, Scalar]:
        """The ``metadata`` object and all keys of the user's own; problems for likely slips of the pen."""
        found: dict[str, Scalar] = {}
        given = self.value.get("metadata")
        if given is not None and not isinstance(given, Mapping):
            self.problem(f"metadata is {kind_of(given)}, not an object")
            given = None
        own = [(key, value) for key, value in self.value.items() if key not in keys.KNOWN]
        for key, _ in own:
            slip = keys.slip_of(key) if isinstance(key, str) else None
            if slip is not None:
                self.explained.add(slip)
                self.problem(f'unknown key "{key}" (did you mean "{slip}"?)', hint=_keep_hint(str(key)))
        for key, value in (*own, *(given or {}).items()):
            if not isinstance(key, str):
                self.problem(f"key {_shown(key)} is {kind_of(key)}, not text", hint="Put it in quotes.")
            elif value is None:
                continue
            elif key in found:
                self.problem(f'"{key}" stands both in the row and in its metadata', hint="Keep one of them.")
            elif isinstance(value, float) and not math.isfinite(value):
                self.problem(f"{key} is not a finite number")
            else:
                found[key] = value if isinstance(value, (str, int, float, bool)) else _text(value)
        return found


def split_source(
    images: Sequence[str], *, ranks: int | None, labelled: bool, scored: bool, includes_base: bool
) -> tuple[str | None, list[str]]:
    """Which image of an unmarked list is the source of an edit, and which are its results.

    Args:
        images: the list, in order.
        ranks: how many ranks ``label_rank`` has, or None where it is not a list.
        labelled: whether ``label`` names the better one, in which case ``label_score`` says nothing.
        scored: whether there is a ``label_score``.
        includes_base: whether ``response_includes_base`` is true.

    The rules, in order: (a) with ranks, the first image is the source exactly if there is one image more than
    ranks; (b) with a score and two images, the first is; (c) with ``response_includes_base`` and at least two
    images, the first is; (d) of three or more images the first is; (e) else there is no source.
    """
    if ranks is not None:
        first = len(images) == ranks + 1
    elif scored and not labelled and len(images) == 2:
        first = True
    else:
        first = (includes_base and len(images) >= 2) or len(images) >= 3
    return (images[0], list(images[1:])) if first else (None, list(images))


def kind_of(value: object) -> str:
    """A value's type in words of the file formats."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"a {type(value).__name__}"


def _part(value: object) -> Part | None:
    """A part of an answer, or None where it is none. An empty text is one; an empty path is not."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return None
    ((kind, content),) = value.items()
    sound = isinstance(content, str) and (kind == "text" or (kind == "image" and content.strip() != ""))
    return (str(kind), str(content)) if sound else None


def _keep_hint(key: str) -> str:
    return f'If you mean your own "{key}", put it under "metadata".'


def _either(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]])


def _shown(value: object) -> str:
    text = _text(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _text(value: object, *, escape: bool = False) -> str:
    """A value as JSON text, dates in ISO 8601."""
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    try:
        return json.dumps(value, ensure_ascii=escape, default=str)
    except TypeError:  # YAML allows keys that JSON does not
        return str(value)


def _encodable(value: object) -> bool:
    """Whether all text in a value can be written as UTF-8, which a lone surrogate cannot."""
    if isinstance(value, str):
        return value.isascii() or not _SURROGATE.search(value)
    if isinstance(value, Mapping):
        return all(_encodable(key) and _encodable(entry) for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_encodable, value))
    return True
