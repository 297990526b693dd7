"""In which presentations pairs are shown: a word that options need, apart so that ``--help`` stays fast."""

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
