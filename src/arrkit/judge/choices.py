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


class JudgeProtocol(StrEnum):
    """How a judge comes to a choice between two images.

    ``pairwise`` shows both at once. ``weighted`` scores each by itself under a rubric: the weighted sums
    decide. ``checklist`` does so under items written for the prompt alone. ``plan-verify`` first asks where
    the two differ in ways that matter, then compares them on those points only.
    """

    PAIRWISE = "pairwise"
    WEIGHTED = "weighted"
    CHECKLIST = "checklist"
    PLAN_VERIFY = "plan-verify"

    @property
    def takes_rubrics(self) -> bool:
        """Whether criteria are given to it; the others find their own."""
        return self in (JudgeProtocol.PAIRWISE, JudgeProtocol.WEIGHTED)

    @property
    def pointwise(self) -> bool:
        """Whether each image is looked at by itself, so that no order can matter."""
        return self in (JudgeProtocol.WEIGHTED, JudgeProtocol.CHECKLIST)


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
