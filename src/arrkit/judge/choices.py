"""What a user may choose about judging. Options name these, so the module stays light for ``--help``."""

from __future__ import annotations

from enum import StrEnum


class Orders(StrEnum):
    """In which presentations each pair is shown.

    ``forward`` puts the image that people preferred first, ``reverse`` second, ``both`` shows each pair
    twice, ``random`` draws one presentation from the seed. Ties count as if A were preferred.
    """

    FORWARD = "forward"
    REVERSE = "reverse"
    BOTH = "both"
    RANDOM = "random"


class Scoring(StrEnum):
    """How a judgment is asked for; ``auto`` takes the first of the three that the model can do."""

    AUTO = "auto"
    DECISION = "decision"
    LOGPROB = "logprob"
    GENERATE = "generate"


class Ensemble(StrEnum):
    """How several judges decide as one.

    ``majority`` takes the choice that most of them made, ``mean`` the side that is ahead on average.
    ``cascade`` asks one after the other, and the next only where this one is not sure: its orders disagree,
    it decides nothing, or its margin is small.
    """

    MAJORITY = "majority"
    MEAN = "mean"
    CASCADE = "cascade"
