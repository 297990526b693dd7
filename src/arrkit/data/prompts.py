"""Prompt sets: what a policy is asked to paint or to edit.

A set is a text file with one prompt a line, or a JSONL file with ``prompt`` (or ``instruction``) and, for
edits, ``source``, a path from the file's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from arrkit.canonical import digest
from arrkit.data.pairs import Picture, Task


class PromptUnusable(Exception):
    """A prompt cannot be encoded; the message says why, in one line, without the prompt's place.

    Like :class:`~arrkit.data.pairs.ImageUnreadable` it spoils its row and not the command.
    """


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request to a policy: a prompt, or an instruction with the images to be edited.

    ``id`` is unique in its set; ``origin`` is where it was read, such as ``prompts.txt:14``.
    """

    id: str
    task: Task
    text: str
    sources: tuple[Picture, ...] = ()
    metadata: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    origin: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 over task, text and the digests of the sources: equal requests, equal digest."""
        sources = [picture.digest for picture in self.sources]
        return digest({"task": self.task, "text": self.text, "sources": sources})
