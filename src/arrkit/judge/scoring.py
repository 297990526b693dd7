"""The three ways to get a judgment out of an endpoint, and how probabilities become answers.

========== ===================================== ============================ ==========================
mode       asks                                  gives                        costs
========== ===================================== ============================ ==========================
decision   typed questions, one request          probabilities, all findings  one request, no output
logprob    one word, whose probability is read   probabilities, no findings   one request a question
generate   a verdict in JSON, reasoning first    findings, reasons            one request, some output
========== ===================================== ============================ ==========================
"""

from __future__ import annotations

from collections.abc import Mapping

from arrkit.errors import InputError
from arrkit.judge.choices import Scoring
from arrkit.judge.transport import ModelProfile, Reply


def resolve(scoring: Scoring, profile: ModelProfile, name: str, *, findings: bool = False) -> Scoring:
    """The mode to use with a model; with ``findings`` wanted, ``auto`` takes one that gives them.

    Raises :class:`InputError` where the model cannot do the one wanted.
    """
    able = {
        Scoring.DECISION: profile.questions > 0,
        Scoring.LOGPROB: profile.logprobs > 0,
        Scoring.GENERATE: True,
    }
    if scoring is Scoring.AUTO:
        return next(mode for mode, can in able.items() if can and not (findings and mode is Scoring.LOGPROB))
    if not able[scoring]:
        others = ", ".join(mode for mode, can in able.items() if can)
        missing = (
            "has no decision endpoint" if scoring is Scoring.DECISION else "gives no token probabilities"
        )
        raise InputError(f"{name} {missing}", hint=f"Use --scoring auto, or one of: {others}.")
    return scoring


def shares(probabilities: Mapping[str, float], wanted: tuple[str, ...]) -> dict[str, float] | None:
    """The probabilities of the ``wanted`` words, made to sum to 1; None where all of them are 0.

    A word that is not listed counts as 0: endpoints list the most probable words only.
    """
    found = {word: max(0.0, probabilities.get(word, 0.0)) for word in wanted}
    total = sum(found.values())
    return {word: value / total for word, value in found.items()} if total > 0 else None


def label_mass(reply: Reply) -> float:
    """The total probability of the labels asked for, in [0, 1]."""
    return sum(reply.labels.values()) if reply.mass is None else reply.mass


def likeliest(shares: Mapping[str, float], undecided: str) -> str:
    """The word with the largest share; ``undecided`` (tie, equal) where several have it."""
    top = max(shares.values())
    leaders = [word for word, share in shares.items() if share == top]
    return leaders[0] if len(leaders) == 1 else undecided
