"""Choosing the pairs to learn from: clear ones, and of many kinds.

AutoRubric-T2I (arXiv 2605.17602, section 4.2.1) picks its seed pairs by "a composite score favoring both
high-margin preference signals and prompt-level diversity": the margin comes from a proxy reward model, the
diversity from clusters of the prompts. What is published says no more, so the formula is ours:

    score = margin / 2 + 1 / (2 (1 + place))

``margin`` is in [0, 1] and comes from what the dataset says, the first of: the votes,
``|a - b| / (a + b + 1)`` (1 : 0 says less than 9 : 0); the confidence; two scores, ratings or ranks in the
metadata, whose difference is divided by the largest one. A pair that says nothing has the median of the
others. ``place`` counts the pairs of the same cluster that come before it: a second pair of a prompt comes
after all other prompts, and otherwise the clearer pair comes first. The pairs with the highest scores are
chosen. So the first pair of each cluster has half a point for that alone, the second a quarter, and an
unclear pair of a new kind may give way to a clear one of a known kind.

Prompts are clustered over the TF-IDF of their words (reduced to 64 dimensions by SVD), or over sentence
embeddings where ``sentence-transformers`` is installed and :data:`EMBEDDER` is on this machine; nothing is
fetched. The same pairs and seed give the same choice.
"""

from __future__ import annotations

import importlib
import statistics
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from arrkit.data.pairs import PreferencePair

if TYPE_CHECKING:
    from numpy.typing import NDArray

EMBEDDER = "sentence-transformers/all-MiniLM-L6-v2"
"""The model of sentence embeddings that is used where it is installed and cached."""

MOST_CLUSTERS = 512
"""More clusters cost time and hardly tell more kinds apart."""

_RATINGS = ("score", "overall_score", "overall", "rating", "overall_rating", "rank")
_DIMENSIONS = 64
_EXACT = 4096  # prompts up to which all are looked at in each step: seconds; batches miss small clusters
_WORDS = r"[぀-ヿ㐀-鿿가-힯]|[^\W぀-ヿ㐀-鿿가-힯]+"  # a word, or one sign of a script without spaces
_VOTES, _CONFIDENCE, _NOTHING = "votes", "confidence", "nothing"


@dataclass(frozen=True, slots=True)
class Trait:
    """What choosing needs to know of a pair: a name for it, its prompt, and how clear its label is.

    ``mark`` breaks ties (:func:`~arrkit.data.sampling.pair_mark`). ``source`` is where the margin was found;
    a difference of ratings is not yet in [0, 1].
    """

    mark: int
    prompt: str
    source: str = _NOTHING
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class Choice:
    """Which pairs were chosen, as indices in ascending order, and by what.

    ``clusters`` is how many kinds of prompts the pairs are of; ``space`` where these were found;
    ``margins`` counts the chosen pairs by what their margin was taken from.
    """

    indices: tuple[int, ...]
    clusters: int
    space: str
    margins: Mapping[str, int] = field(default_factory=dict)


def trait_of(pair: PreferencePair, mark: int) -> Trait:
    """The trait of a pair; opens no image."""
    source, margin = margin_of(pair)
    return Trait(mark, pair.prompt, source, margin)


def margin_of(pair: PreferencePair) -> tuple[str, float]:
    """Where the pair says how clear its label is, and how clear; ``("nothing", 0.0)`` where it does not."""
    if pair.votes is not None:
        a, b = pair.votes
        return _VOTES, abs(a - b) / (a + b + 1)
    if pair.confidence is not None:
        return _CONFIDENCE, pair.confidence
    for name in _RATINGS:
        first, second = (_number(pair.metadata.get(f"{name}_{side}")) for side in "ab")
        if first is not None and second is not None:
            return f"{name}_a and {name}_b", abs(first - second)
    return _NOTHING, 0.0


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def choose_diverse(traits: Sequence[Trait], count: int, *, seed: int) -> Choice:
    """The ``count`` pairs with the highest scores; all of them where there are no more."""
    if not traits:
        return Choice((), 0, "nothing")
    kinds, space = _cluster([trait.prompt for trait in traits], count, seed)
    margins = _margins(traits)
    scores = [0.0] * len(traits)
    for members in _grouped(kinds).values():
        for place, index in enumerate(_in_turn(members, traits, margins)):
            scores[index] = margins[index] / 2 + 1 / (2 * (1 + place))
    best = sorted(range(len(traits)), key=lambda i: (-scores[i], traits[i].mark))[:count]
    said = Counter(traits[index].source for index in best)
    return Choice(tuple(sorted(best)), len(set(kinds)), space, dict(said.most_common()))


def _margins(traits: Sequence[Trait]) -> list[float]:
    """Each margin in [0, 1]: differences of ratings by the largest, unknown ones as the median."""
    largest: dict[str, float] = defaultdict(float)
    for trait in traits:
        largest[trait.source] = max(largest[trait.source], trait.margin)
    for source in (_VOTES, _CONFIDENCE):
        largest[source] = 1.0
    known = {
        index: trait.margin / (largest[trait.source] or 1.0)
        for index, trait in enumerate(traits)
        if trait.source != _NOTHING
    }
    middle = statistics.median(known.values()) if known else 0.0
    return [known.get(index, middle) for index in range(len(traits))]


def _in_turn(members: Iterable[int], traits: Sequence[Trait], margins: Sequence[float]) -> list[int]:
    """The pairs of one cluster, clearest first, but no prompt twice before each had its turn."""
    turns: Counter[str] = Counter()
    ranked = []
    for index in sorted(members, key=lambda i: (-margins[i], traits[i].mark)):
        prompt = traits[index].prompt
        ranked.append((turns[prompt], index))
        turns[prompt] += 1
    return [index for _, index in sorted(ranked, key=lambda entry: entry[0])]


def _grouped(kinds: Sequence[int]) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = defaultdict(list)
    for index, kind in enumerate(kinds):
        groups[kind].append(index)
    return groups


def _cluster(prompts: Sequence[str], count: int, seed: int) -> tuple[list[int], str]:
    """The kind of each prompt, and the space in which kinds were found."""
    different = sorted(set(prompts))
    wanted = min(count, MOST_CLUSTERS)
    if len(different) <= wanted:
        kinds, space = list(range(len(different))), "the prompts themselves"
    else:
        vectors, space = embed_texts(different, seed)
        kinds = _nearest_centres(vectors, wanted, seed)
    by_prompt = dict(zip(different, kinds, strict=True))
    return [by_prompt[prompt] for prompt in prompts], space


def _nearest_centres(vectors: NDArray[Any], count: int, seed: int) -> list[int]:
    from sklearn.cluster import KMeans, MiniBatchKMeans  # type: ignore[import-untyped]
    from sklearn.exceptions import ConvergenceWarning  # type: ignore[import-untyped]

    start = seed % 2**32
    means = (
        KMeans(count, random_state=start, n_init=10)
        if len(vectors) <= _EXACT
        else MiniBatchKMeans(count, random_state=start, n_init=1, batch_size=1024)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer kinds than clusters: no harm is done
        kinds: list[int] = means.fit_predict(vectors).tolist()
    return kinds


def embed_texts(prompts: Sequence[str], seed: int) -> tuple[NDArray[Any], str]:
    """One row of unit length for each text (zero for one without a word), and what the rows are."""
    embedded = _embeddings(prompts)
    if embedded is not None:
        return embedded, f"sentence embeddings ({EMBEDDER})"
    return _tfidf(prompts, seed), "TF-IDF of their words"


def _tfidf(prompts: Sequence[str], seed: int) -> NDArray[Any]:
    """One row of unit length for each prompt; zero for a prompt without a word."""
    import numpy as np
    from sklearn.decomposition import TruncatedSVD  # type: ignore[import-untyped]
    from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]
    from sklearn.preprocessing import normalize  # type: ignore[import-untyped]

    counted = TfidfVectorizer(token_pattern=_WORDS, sublinear_tf=True, max_features=50_000, dtype=np.float32)
    try:
        words = counted.fit_transform(prompts)
    except ValueError:  # not one word in all prompts
        return np.zeros((len(prompts), 1), np.float32)
    if min(words.shape) > _DIMENSIONS:
        reduced = TruncatedSVD(_DIMENSIONS, random_state=seed % 2**32).fit_transform(words)
    else:
        reduced = words.toarray()
    rows: NDArray[Any] = normalize(reduced)
    return rows


def _embeddings(prompts: Sequence[str]) -> NDArray[Any] | None:
    """Sentence embeddings, or None where the library or its model is not on this machine."""
    try:
        library = importlib.import_module("sentence_transformers")
    except ImportError:
        return None
    try:
        model = library.SentenceTransformer(EMBEDDER, device="cpu", local_files_only=True)
    except Exception:  # the library says in many ways that the model is not there
        return None
    rows: NDArray[Any] = model.encode(list(prompts), normalize_embeddings=True, show_progress_bar=False)
    return rows
