"""From token probabilities to the probability of a word."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

# Marks of a leading space in SentencePiece and byte-level tokenizers, and what a model may put before a word.
_AROUND = " \t\r\n▁Ġ\"'*`"


def spellings(label: str) -> tuple[str, ...]:
    """The ways to write ``label`` as the first word of an answer.

    With and without a space before it; words of several letters also in lower, upper and title case. A
    single letter stands as it is: "a" is an article and no short "A".
    """
    written = (label, label.lower(), label.upper(), label.capitalize()) if len(label) > 1 else (label,)
    return tuple(dict.fromkeys(f"{space}{word}" for word in written for space in ("", " ")))


def label_of(token: str, labels: Sequence[str]) -> str | None:
    """The label that ``token`` is a spelling of, or None."""
    word = token.strip(_AROUND)
    if word in labels:
        return word
    same = [label for label in labels if len(label) > 1 and label.casefold() == word.casefold()]
    return same[0] if len(same) == 1 else None


def label_probabilities(
    labels: Sequence[str],
    tokens: Iterable[tuple[str, float]],
    ids: Mapping[str, str] | None = None,
) -> tuple[dict[str, float], float]:
    """The probability of each label in [0, 1], summed over its spellings, and the mass of all labels.

    ``tokens`` are the alternatives for the first token with their natural log-probabilities; a token that
    is listed twice (as sampled and as alternative) counts once. ``ids`` maps names of tokens that carry no
    text, such as ``token_id:42``, to their label. -9999, by which OpenAI and vLLM say "unlikely", is zero.
    """
    sums = dict.fromkeys(labels, 0.0)
    seen: set[str] = set()
    for token, logprob in tokens:
        label = (ids or {}).get(token) or label_of(token, labels)
        if label is None or token in seen or math.isnan(logprob):
            continue
        seen.add(token)
        sums[label] += math.exp(min(0.0, logprob))
    mass = sum(sums.values())
    # Rounded log-probabilities may sum to a little over one.
    scale = 1.0 / mass if mass > 1.0 else 1.0
    return {label: share * scale for label, share in sums.items()}, min(1.0, mass)
