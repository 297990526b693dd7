"""How a judge is asked the questions of TIIF-Bench: in our own words, or in those of a copy of its script."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from arrkit.bench.sources import Home, constants, official_file, parsed
from arrkit.canonical import digest
from arrkit.errors import InputError

PLACE = "##YNQuestions##"
"""Where the questions go in a template."""

SCRIPT = "eval/eval_with_vlm.py"
TEMPLATES = ("raw_prompt", "raw_prompt_1", "raw_prompt_2")

SYSTEM = "You examine images and answer questions about what they show."

TEMPLATE = f"""\
Look at the whole image first. Then answer the questions below from what can be seen in it; what is hidden, \
left open or too small to make out does not count as shown.

Questions, one a line:
{PLACE}

Give one line for each question, in the order of the questions and without numbers. Begin it with the word \
yes or the word no, and say why in a few words after it. Write no other lines."""

_ANSWER = re.compile(r"(?:yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The instructions to the judge, and how it is asked.

    ``templates`` hold :data:`PLACE`. ``temperature`` and ``attempts`` as for
    :meth:`arrkit.bench.model.Asker.ask`.
    """

    system: str
    templates: tuple[str, ...]
    official: bool
    temperature: float
    attempts: int

    @property
    def digest(self) -> str:
        """SHA-256 over all that the judge is told beside the questions."""
        return digest([self.system, *self.templates])

    def draw(self, seed: int, item: str) -> int:
        """The number of the template for an item: the same whatever is asked before it."""
        drawn = int.from_bytes(sha256(f"{seed} {item}".encode()).digest()[:8], "big")
        return drawn % len(self.templates)

    def fill(self, template: int, questions: Sequence[str]) -> str:
        """The text of a request."""
        return self.templates[template].replace(PLACE, "\n".join(questions))

    def read(self, answer: str, count: int) -> list[str]:
        """The lines that begin with yes or no, which must be ``count``. Raises ``ValueError``."""
        lines = [line.strip() for line in answer.splitlines()]
        found = [line for line in lines if _ANSWER.match(line)]
        if len(found) != count:
            raise ValueError(f"{count} lines must begin with yes or no, and {len(found)} do")
        return found


def own_words() -> Words:
    """Our own wording, at temperature 0."""
    return Words(system=SYSTEM, templates=(TEMPLATE,), official=False, temperature=0.0, attempts=3)


def official_words(folder: str, home: Home) -> Words:
    """The system text and the three templates of ``eval/eval_with_vlm.py`` in a copy of the repository.

    The script asks at temperature 1 and repeats without end; here 11 attempts are made. Raises
    :class:`~arrkit.errors.InputError` where the texts are not found.
    """
    path = official_file(folder, [SCRIPT], home)
    known = constants(path)
    templates = [known.get(name) for name in TEMPLATES]
    found = [each for each in templates if isinstance(each, str) and PLACE in each]
    system = _system(path)
    if len(found) != len(TEMPLATES) or not system:
        raise InputError(
            f"{path} does not assign {', '.join(TEMPLATES)} with {PLACE} in them, and a system text",
            hint=f"Take it from {home.url}, or leave out --prompt-dir to ask in arrkit's own words.",
        )
    return Words(system=system, templates=tuple(found), official=True, temperature=1.0, attempts=11)


def _system(path: Path) -> str:
    """The content of the script's system message."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Dict):
            pairs = {
                key.value: value.value
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
            }
            said = pairs.get("content")
            if pairs.get("role") == "system" and isinstance(said, str):
                return said
    return ""
