"""How far each image meets each criterion, by one judge: asked once, kept in columns, filled where it lacks.

The store is one SQLite file. A row is keyed by criterion before image, so that a criterion's column lies in
one piece: a candidate that is scored by thousands of images is read in one stretch, one that is new is
appended. A criterion is what the judge is told of it (statement and guidance); an image stands for all that
it is shown with (task, prompt, sources). So neither a rubric's order nor its other criteria matter, and what
was asked in one round is not asked in the next.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arrkit.canonical import digest
from arrkit.concurrency import run_bounded
from arrkit.data.pairs import Candidate, ImageUnreadable, Picture, PreferencePair
from arrkit.errors import InputError
from arrkit.judge.protocol import Draft, Outcome, ScoreRequest, draft_dimensions
from arrkit.judge.session import JudgeSession
from arrkit.rubric.sparse.refiner import Floats

AT_ONCE = 16
"""Criteria in one request at the most: a generated answer says some words of each."""

_TABLE = """
CREATE TABLE IF NOT EXISTS scores (
    judge TEXT NOT NULL, criterion BLOB NOT NULL, image BLOB NOT NULL, score REAL,
    PRIMARY KEY (judge, criterion, image)
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """One image with all that a judge sees beside it; ``pair`` is where it comes from."""

    pair: PreferencePair
    image: Candidate

    @property
    def key(self) -> bytes:
        """What a score is kept under. Reads the images."""
        return bytes.fromhex(
            digest(
                {
                    "task": self.pair.task,
                    "prompt": self.pair.prompt,
                    "image": self.image.digest,
                    "sources": [source.digest for source in self.pair.sources],
                }
            )
        )


def criterion_key(draft: Draft) -> bytes:
    """What a criterion's column is kept under."""
    return bytes.fromhex(digest({"statement": draft.statement, "guidance": draft.guidance}))


class ScoreStore:
    """Scores by judge, criterion and image, in a file or (``None``) in memory.

    Each answer is one transaction: a killed process loses what was under way and nothing else.

    Raises :class:`InputError` for a file that is no store.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = sqlite3.connect(path or ":memory:", isolation_level=None)
        try:
            # A power cut may cost the last answers, which the run's journal has.
            self._file.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {_TABLE}")
        except sqlite3.DatabaseError as error:
            self._file.close()
            raise InputError(f"{path} is not a file of scores: {error}", hint="Remove it.") from error

    def column(self, judge: str, criterion: bytes) -> dict[bytes, float | None]:
        """All scores of one criterion by image; None where the judge could not tell."""
        rows = self._file.execute(
            "SELECT image, score FROM scores WHERE judge = ? AND criterion = ?", (judge, criterion)
        )
        return dict(rows.fetchall())

    def put(self, judge: str, image: bytes, scores: Mapping[bytes, float | None]) -> None:
        """Keep an image's scores by criterion."""
        with self._file:
            self._file.execute("BEGIN")
            self._file.executemany(
                "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?)",
                [(judge, criterion, image, score) for criterion, score in scores.items()],
            )

    def close(self) -> None:
        """Let the file go."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class Matrix:
    """The scores of pairs under criteria: both arrays of shape (pairs, criteria), NaN for what is not known.

    ``preferred`` are the images that people preferred, ``other`` the others, in the order of the pairs.
    """

    preferred: Floats
    other: Floats

    @property
    def known(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which pairs have a score of both images under any criterion, shape (pairs,)."""
        both = np.isfinite(self.preferred) & np.isfinite(self.other)
        return np.asarray(both.any(axis=1))

    @property
    def differences(self) -> Floats:
        """Preferred less other; 0 where one of the two is not known, which then says nothing."""
        return np.nan_to_num(self.preferred - self.other, nan=0.0)

    def rewards(self, weights: Floats) -> tuple[Floats, Floats]:
        """The weighted sums of both images. A criterion with one unknown score counts for neither."""
        lacking = ~(np.isfinite(self.preferred) & np.isfinite(self.other))
        one, two = (np.where(lacking, 0.0, each) @ weights for each in (self.preferred, self.other))
        return one, two


async def fill_scores(
    session: JudgeSession,
    store: ScoreStore,
    pairs: Sequence[PreferencePair],
    drafts: Sequence[Draft],
    *,
    window: int = 16,
    on_image: Callable[[int, int], None] = lambda *_: None,
) -> Matrix:
    """Ask for every score that the store lacks, and give all of them.

    Criteria that an image lacks are asked for together, :data:`AT_ONCE` in a request. An image that cannot be
    read or was not judged has no score (NaN) and is asked for again next time.

    Args:
        session: who is asked.
        store: where scores are found and kept, under the judge's name.
        pairs: pairs that people decided.
        drafts: the criteria.
        window: images under way at once.
        on_image: is told how many images are done, and of how many.
    """
    judge = session.judge.name
    keys = [criterion_key(draft) for draft in drafts]
    columns = {key: store.column(judge, key) for key in keys}
    shown = [Shown(pair, image) for pair in pairs for image in _ordered(pair)]
    marks: list[bytes | None] = [None] * len(shown)
    done = 0

    async def fill(index: int) -> None:
        nonlocal done
        each = shown[index]
        try:
            await session.prepare(
                [part for part in (each.image, *each.pair.sources) if isinstance(part, Picture)]
            )
            key = each.key
            marks[index] = key
            lacking = [place for place, name in enumerate(keys) if key not in columns[name]]
            for start in range(0, len(lacking), AT_ONCE):
                places = lacking[start : start + AT_ONCE]
                scores = await _ask(session, each, [drafts[place] for place in places])
                if scores is not None:
                    found = {keys[place]: score for place, score in zip(places, scores, strict=True)}
                    store.put(judge, key, found)
                    for name, score in found.items():
                        columns[name][key] = score
        except ImageUnreadable:
            pass
        finally:
            each.pair.release()
            done += 1
            on_image(done, len(shown))

    await run_bounded((fill(index) for index in range(len(shown))), window)
    values = np.full((len(shown), len(keys)), np.nan)
    for row, mark in enumerate(marks):
        if mark is not None:
            values[row] = [_number(columns[name].get(mark)) for name in keys]
    return Matrix(values[0::2], values[1::2])


async def _ask(
    session: JudgeSession, shown: Shown, drafts: Sequence[Draft]
) -> tuple[float | None, ...] | None:
    """One image's scores in the order of ``drafts``; None where the judge gave no answer."""
    pair = shown.pair
    request = ScoreRequest(
        pair.task, pair.prompt, shown.image, draft_dimensions(CRITERIA, drafts), pair.sources
    )
    answer = await session.score(request, pair=pair.id)
    if answer.outcome is Outcome.ABSTAIN:
        return (None,) * len(drafts)
    if answer.outcome is not Outcome.OK:
        return None
    found = {each.criterion: each.score for each in answer.scores}
    return tuple(found.get(f"c{number}") for number in range(1, len(drafts) + 1))


CRITERIA = "Criteria"
"""The dimension that candidates stand in while they are scored."""


def _ordered(pair: PreferencePair) -> tuple[Candidate, Candidate]:
    """The preferred candidate, then the other."""
    from arrkit.data.pairs import Label

    return (pair.a, pair.b) if pair.label is Label.A else (pair.b, pair.a)


def _number(score: float | None) -> float:
    return np.nan if score is None else score
