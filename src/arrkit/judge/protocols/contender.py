"""What a judge is tried under."""

from __future__ import annotations

from dataclasses import dataclass

from arrkit.judge.choices import JudgeProtocol
from arrkit.rubric.model import Dimension


@dataclass(frozen=True, slots=True)
class Contender:
    """What a judge is tried under: a rubric's dimensions, or none at all (an empty digest).

    With ``zero_shot`` the judge writes so many criteria for each prompt itself, before it sees an image.
    ``protocol`` says how it comes to its choice; ``items`` is how many a checklist or a plan may have.
    """

    name: str
    dimensions: tuple[Dimension, ...] = ()
    digest: str = ""
    zero_shot: int = 0
    protocol: JudgeProtocol = JudgeProtocol.PAIRWISE
    items: int = 0
