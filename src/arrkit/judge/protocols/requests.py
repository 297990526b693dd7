"""What the protocols ask of a judge beyond comparing and scoring. Neither request can carry a label."""

from __future__ import annotations

from dataclasses import dataclass

from arrkit.canonical import Json
from arrkit.data.pairs import Candidate, Picture, Task


@dataclass(frozen=True, slots=True)
class ChecklistRequest:
    """What is to be ticked off on one image for this prompt? Give at most ``count`` items, unseen.

    As the dynamic checklists of RubricRL: made from the prompt, so that all its images share one.
    """

    task: Task
    prompt: str
    count: int

    def content(self) -> dict[str, Json]:
        """All that the judge is told."""
        return {"op": "checklist", "task": self.task, "prompt": self.prompt, "count": self.count}


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """Where do these two images differ in ways that matter? Give at most ``count`` points, judging none.

    The disagreement planner of DeltaRubric.
    """

    task: Task
    prompt: str
    first: Candidate
    second: Candidate
    count: int
    sources: tuple[Picture, ...] = ()

    def content(self) -> dict[str, Json]:
        """All that the judge is told, images by their digests. Reads the images."""
        return {
            "op": "plan",
            "task": self.task,
            "prompt": self.prompt,
            "images": [self.first.digest, self.second.digest],
            "sources": [source.digest for source in self.sources],
            "count": self.count,
        }
