"""Answers of a file put to the pairs of a dataset: what fits, what lacks, what is left over."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

from arrkit.data.pairs import PreferencePair
from arrkit.errors import InputError
from arrkit.judge.answered import Answered, Choice, answered
from arrkit.judge.replies import Replies, Reply, scored

_NUMBERS = re.compile(r"-([1-9]\d*)-([1-9]\d*)")
_LETTERS = re.compile(r":([A-Z])vs([A-Z])")


@dataclass(frozen=True, slots=True)
class Matched:
    """The judgments of one rubric on all pairs of a dataset, in its order.

    ``missing`` are the ids of pairs without an answer, ``unknown`` the keys of answers without a pair, and
    ``relabelled`` the ids of pairs that people judged differently according to the file; the dataset's label
    counts.
    """

    rubric: str
    answers: tuple[Answered, ...]
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    relabelled: tuple[str, ...] = ()


def match_replies(
    pairs: Iterable[PreferencePair], replies: Replies, *, fields: Collection[str] = (), thinned: bool = False
) -> list[Matched]:
    """The judgments of each rubric of ``replies`` on ``pairs``. No image is opened.

    A pair is found by its id, else by its group where the answer holds scores of all its candidates, or by
    its place where the file has places. Which two candidates of its group a pair shows is told by its id
    where that is a public set's; else a group's pairs are taken to come as (0, 1), (0, 2) ... (1, 2) ...,
    which cannot be where the dataset is ``thinned``: where pairs of a group may be left out. Of the metadata
    only ``fields`` are kept.

    Raises :class:`~arrkit.errors.InputError` where nothing fits, where a group has more pairs than its scores
    make, or where nothing tells which of them a pair's are.
    """
    matchers = [_Matcher(rubric, held, thinned) for rubric, held in replies.by_rubric.items()]
    some_ids: list[str] = []
    total = 0
    for place, pair in enumerate(pairs):
        total += 1
        if len(some_ids) < 3:
            some_ids.append(pair.id)
        kept = replace(pair, metadata={name: pair.metadata[name] for name in fields if name in pair.metadata})
        for matcher in matchers:
            matcher.add(kept, place if replies.placed else pair.id)
    found = [matcher.matched() for matcher in matchers]
    if total and all(len(each.missing) == total for each in found):
        keys = [str(key) for held in replies.by_rubric.values() for key in held][:3]
        raise InputError(
            f"no answer of {replies.name} is for one of the {total} pairs",
            hint=f"It answers for {', '.join(keys)}; the pairs are {', '.join(some_ids)}.",
        )
    return found


class _Matcher:
    def __init__(self, rubric: str, held: Mapping[str | int, Reply], thinned: bool) -> None:
        self.rubric = rubric
        self.held = held
        self.thinned = thinned
        self.answers: list[Answered] = []
        self.missing: list[str] = []
        self.relabelled: list[str] = []
        self.used: set[str | int] = set()
        self.placed: dict[str, int] = {}
        # A pair without an answer lacks what the others have: one order, or both.
        self.both = any(Choice.NOT_ASKED not in (reply.ab, reply.ba) for reply in held.values())

    def add(self, pair: PreferencePair, key: str | int) -> None:
        found = self.held.get(key)
        if found is None and pair.group:
            key = pair.group
            found = self.held.get(key)
            if found is not None and not found.scores:
                found = None
        if found is None:
            self.missing.append(pair.id)
            other = Choice.MISSING if self.both else Choice.NOT_ASKED
            self.answers.append(answered(pair, Choice.MISSING, other, rubric=self.rubric))
            return
        self.used.add(key)
        if found.label is not None and found.label is not pair.label:
            self.relabelled.append(pair.id)
        ab, margin = found.ab, found.margin
        if found.scores:
            ab, margin = scored(self._two(found, pair, key))
        elif ab is Choice.NOT_ASKED and found.ba is Choice.NOT_ASKED:
            ab = Choice.MISSING
        self.answers.append(answered(pair, ab, found.ba, rubric=self.rubric, margin=margin))

    def _two(self, reply: Reply, pair: PreferencePair, key: str | int) -> tuple[float | None, float | None]:
        """The scores of the pair's two candidates, of all those of the group where ``key`` names that."""
        scores, of_group = reply.scores, bool(pair.group) and key == pair.group
        made = list(combinations(range(len(scores)), 2))
        if not of_group and len(made) == 1:
            return scores[0], scores[1]
        if of_group:
            shown = shown_of_group(pair)
            if shown is None and self.thinned:
                raise InputError(
                    f"{reply.where}: the scores are of the whole group {pair.group}, and nothing tells which "
                    f'two of them are those of the pair "{pair.id}"',
                    hint="Leave out --where and --min-confidence, which thin out groups, or give scores "
                    "for each pair.",
                )
            if shown is None:
                place = self.placed.get(pair.group, 0)
                self.placed[pair.group] = place + 1
                shown = made[place] if place < len(made) else None
            if shown is not None and max(shown) < len(scores):
                return scores[shown[0]], scores[shown[1]]
        raise InputError(
            f"{reply.where}: {len(scores)} scores make {len(made)} pair{'s' * (len(made) > 1)}, and "
            f"{f'the group {pair.group} has more' if of_group else f'the pair {pair.id} has two candidates'}",
            hint="Give one score for each candidate of the prompt, in the dataset's order.",
        )

    def matched(self) -> Matched:
        unknown = tuple(str(key) for key in self.held if key not in self.used)
        return Matched(self.rubric, tuple(self.answers), tuple(self.missing), unknown, tuple(self.relabelled))


def shown_of_group(pair: PreferencePair) -> tuple[int, int] | None:
    """Which candidates of its group, from 0, a pair of a public set shows; None where its id does not say.

    The ids of the sets end with them: ``GROUP-1-3``, or ``...:AvsC``.
    """
    if numbers := _NUMBERS.fullmatch(pair.id.removeprefix(pair.group)):
        return int(numbers[1]) - 1, int(numbers[2]) - 1
    if letters := _LETTERS.fullmatch(pair.id[-len(":AvsB") :]):
        return ord(letters[1]) - ord("A"), ord(letters[2]) - ord("A")
    return None
