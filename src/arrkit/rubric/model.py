"""The rubric: explicit criteria in named dimensions, with where they came from and how well they did.

The types here mirror ``schemas/rubric.v1.schema.json`` field by field. They are plain immutable values;
reading, checking and sealing files is :mod:`arrkit.rubric.files`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field

from arrkit.data.pairs import Task

SCHEMA_VERSION = 1

SHORT_DIGEST = 16
"""How many characters of a pair's digest ``Provenance.build_pairs`` keeps: enough to know a pair again."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One independently checkable statement about what is seen in an image.

    ``id`` is unique in its rubric and stable over rewording. ``weight`` (above 0) says how much the
    criterion counts against the others; only ratios matter. ``guidance`` tells a judge how to check the
    statement. ``source_pairs`` are the ids of the preference pairs that the criterion was learned from.
    """

    id: str
    statement: str
    weight: float = 1.0
    guidance: str = ""
    source_pairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dimension:
    """A named group of criteria, such as semantic fidelity or edit faithfulness."""

    id: str
    name: str
    criteria: tuple[Criterion, ...]
    description: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the pairs that a rubric was built from.

    ``seen`` build pairs: ``passed`` had criteria that recovered the human choice at once, ``refined`` did
    after revision, ``discarded`` never did, ``postponed`` could not be judged at all.
    """

    seen: int
    passed: int
    refined: int
    discarded: int
    postponed: int = 0


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """Which pairs a rubric was built from: the dataset's name, a digest over its pairs, how many."""

    name: str
    digest: str
    pairs: int


@dataclass(frozen=True, slots=True)
class ParentRef:
    """A rubric that this one was made from."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a rubric came to be.

    ``method`` is ``arr`` (generate, verify, refine, structure), ``sparse`` (weigh candidates), ``manual``,
    ``merge`` or ``import``; ``created_at`` is UTC in ISO 8601. ``build_pairs`` are the first 16
    hexadecimal characters of the digest of every pair that shaped the rubric, so that a later evaluation can
    tell whether its pairs are held out.
    """

    method: str
    arrkit_version: str
    created_at: str
    generator: str = ""
    verifier: str = ""
    dataset: DatasetRef | None = None
    counts: Counts | None = None
    options: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    parents: tuple[ParentRef, ...] = ()
    build_pairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rate:
    """A share in [0, 1] (or a difference of shares in [-1, 1]) with its n and 95 % interval."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """How a rubric did on held-out pairs, all measured with the same judge.

    ``accuracy`` is under the rubric, ``baseline`` without one, ``difference`` their paired difference,
    ``consistency`` the share of pairs judged alike in both orders under the rubric.
    """

    judge: str
    dataset: DatasetRef
    n: int
    accuracy: Rate
    baseline: Rate
    difference: Rate
    consistency: Rate


@dataclass(frozen=True, slots=True)
class PathStep:
    """One strength of the penalty: ``c`` is its inverse, ``kept`` how many criteria have a weight at it.

    ``accuracy`` and the mean logistic ``loss`` are those of validation pairs; ``weights`` are by criterion
    id, also of criteria that the rubric does not hold.
    """

    c: float
    kept: int
    accuracy: float
    loss: float
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One round of learning: ``round`` from 1, how many candidates were scored, and what came of it.

    ``train`` and ``validation`` are the shares of pairs ranked as people did, ``mined`` the hard pairs looked
    at afterwards by bucket, ``fresh`` the candidates that they gave for the next round.
    """

    round: int
    candidates: int
    kept: int
    c: float
    loss: float
    train: Rate | None = None
    validation: Rate | None = None
    mined: Mapping[str, int] = field(default_factory=dict)
    fresh: int = 0


@dataclass(frozen=True, slots=True)
class WeighedRates:
    """The weighted score on held-out pairs: the share of pairs whose preferred image has the higher one.

    ``uniform`` is the same with equal weights on the same criteria, ``difference`` their paired difference.
    """

    dataset: DatasetRef
    accuracy: Rate
    uniform: Rate
    difference: Rate


@dataclass(frozen=True, slots=True)
class Learning:
    """How the weights of a rubric were learned: by scores of ``judge``, at the penalty's inverse ``c``.

    ``weights`` by criterion id are those of the reward, whose scale matters to a logistic margin; a
    criterion's own ``weight`` is the same relative to the heaviest. ``candidates`` were scored in the round
    that won, ``path`` is that round's, ``rounds`` are all, in order.
    """

    judge: str
    c: float
    candidates: int
    weights: Mapping[str, float]
    path: tuple[PathStep, ...] = ()
    rounds: tuple[RoundRecord, ...] = ()
    held_out: WeighedRates | None = None


@dataclass(frozen=True, slots=True)
class Rubric:
    """The versioned artifact. ``version`` is a semantic version; the digest is derived, not stored."""

    name: str
    task: Task
    dimensions: tuple[Dimension, ...]
    provenance: Provenance
    version: str = "1.0.0"
    description: str = ""
    metrics: Metrics | None = None
    learning: Learning | None = None

    def criteria(self) -> Iterator[Criterion]:
        """All criteria, in order, whatever their dimension."""
        for dimension in self.dimensions:
            yield from dimension.criteria

    def __len__(self) -> int:
        return sum(len(dimension.criteria) for dimension in self.dimensions)


def slug(text: str, *, most: int = 48) -> str:
    """An id made of ``text``: lower case, words joined by hyphens, whole words up to ``most`` characters."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if len(words) > most:
        words = words[: most + 1].rpartition("-")[0] or words[:most]
    return words or "criterion"


def unique_slug(text: str, taken: Container[str]) -> str:
    """The :func:`slug` of ``text``, with the first number from 2 on that makes it differ from ``taken``."""
    wanted = candidate = slug(text)
    number = 1
    while candidate in taken:
        number += 1
        candidate = f"{wanted}-{number}"
    return candidate


def normalised(statement: str) -> str:
    """A statement without case, spacing and closing punctuation, for telling whether two are the same."""
    return " ".join(unicodedata.normalize("NFKC", statement).casefold().split()).rstrip(" .;!")
