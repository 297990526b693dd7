"""What learning weighted criteria asks of a judge: to explain a preference in statements that can be used
again, to say what a rubric that failed on it is missing, and to put that into statements (sections 4.2.1 and
4.2.4 of arXiv 2605.17602).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol, runtime_checkable

from arrkit.canonical import Json
from arrkit.judge.protocol import Draft, Judge, Proposal, ProposeRequest


@dataclass(frozen=True, slots=True)
class ExplainRequest:
    """Inspect both images, explain the preference, extract statements that hold for any prompt."""

    proposed: ProposeRequest

    def content(self) -> dict[str, Json]:
        """All that the judge is told, images by their digests. Reads the images."""
        return {**self.proposed.content(), "op": "explain"}


@dataclass(frozen=True, slots=True)
class DiagnoseRequest:
    """This rubric ranks the pair the wrong way round: what does it miss? ``report`` says how it went."""

    proposed: ProposeRequest
    rubric: tuple[Draft, ...]
    report: str

    def content(self) -> dict[str, Json]:
        """All that the judge is told, images by their digests. Reads the images."""
        return {
            **self.proposed.content(),
            "op": "diagnose",
            "rubric": [asdict(draft) for draft in self.rubric],
            "report": self.report,
        }


@dataclass(frozen=True, slots=True)
class ExtractRequest:
    """This is what the rubric misses: give statements for it that the rubric does not hold yet.

    ``diagnosis`` is the answer to :class:`DiagnoseRequest`, its statement naming what is missing.
    """

    proposed: ProposeRequest
    rubric: tuple[Draft, ...]
    diagnosis: Draft

    def content(self) -> dict[str, Json]:
        """All that the judge is told, images by their digests. Reads the images."""
        return {
            **self.proposed.content(),
            "op": "extract",
            "rubric": [asdict(draft) for draft in self.rubric],
            "diagnosis": asdict(self.diagnosis),
        }


@runtime_checkable
class LearningJudge(Judge, Protocol):
    """A judge that can also word statements to be weighed on many pairs, and say what a rubric misses.

    All three answers are proposals: statements, but for ``diagnose``, whose one draft names what is missing.
    """

    async def explain(self, request: ExplainRequest) -> Proposal: ...

    async def diagnose(self, request: DiagnoseRequest) -> Proposal: ...

    async def extract(self, request: ExtractRequest) -> Proposal: ...
