"""Answers of a file put to the pairs of a dataset: what fits, what lacks, what is left over."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

from arrkit.data.pairs import PreferencePair
from arrkit.errors import InputError
from arrkit.judge.answered import Answered, Choice, answered
from arrkit.judge.replies import Replies, Reply, scored


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
    pairs: Iterable[PreferencePair], replies: Replies, *, fields: Collection[str] = ()
) -> list[Matched]:
    """The judgments of each rubric of ``replies`` on ``pairs``. No image is opened.

    A pair is found by its id, else by its group where the answer holds scores of all its candidates, or by
    its place where the file has places. Of the metadata only ``fields`` are kept.

    Raises :class:`~arrkit.errors.InputError` where nothing fits, or where a group has more pairs than its
    scores make.
    """
    matchers = [_Matcher(rubric, held) for rubric, held in replies.by_rubric.items()]
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
    def __init__(self, rubric: str, held: Mapping[str | int, Reply]) -> None:
        self.rubric = rubric
        self.held = held
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
            ab, margin = scored(self._two(found, pair))
        elif ab is Choice.NOT_ASKED and found.ba is Choice.NOT_ASKED:
            ab = Choice.MISSING
        self.answers.append(answered(pair, ab, found.ba, rubric=self.rubric, margin=margin))

    def _two(self, reply: Reply, pair: PreferencePair) -> tuple[float | None, float | None]:
        """The scores of the pair's two candidates: a group's pairs come as (0, 1), (0, 2) ... (1, 2) ..."""
        pairs = list(combinations(reply.scores, 2))
        if len(pairs) == 1:
            return pairs[0]
        place = self.placed.get(pair.group, 0)
        self.placed[pair.group] = place + 1
        if not pair.group or place >= len(pairs):
            whole = f"the group {pair.group}" if pair.group else f"the pair {pair.id}"
            raise InputError(
                f"{reply.where}: {len(reply.scores)} scores make {len(pairs)} pairs, and {whole} has "
                f"{'more' if pair.group else 'two candidates'}",
                hint="Give one score for each candidate of the prompt, in the dataset's order.",
            )
        return pairs[place]

    def matched(self) -> Matched:
        unknown = tuple(str(key) for key in self.held if key not in self.used)
        return Matched(self.rubric, tuple(self.answers), tuple(self.missing), unknown, tuple(self.relabelled))
