"""The one exception family of arrkit.

    ArrkitError            anything arrkit raises on purpose; carries problems and an exit code
    ├── InputError         what was given is wrong: options, files, data           (exit 2)
    └── RunError           the input was right, the run could not be finished      (exit 1)

Each problem says what is wrong, where, and what to do next. A command that finds several problems
reports them all at once. Ctrl-C is the interpreter's own ``KeyboardInterrupt`` (exit 130).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    ``where`` is ``file:line``, a field's path or empty; ``hint`` is what to do next, a full sentence or a
    command, or empty.
    """

    what: str
    where: str = ""
    hint: str = ""

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  {self.hint}" if self.hint else head


class ArrkitError(Exception):
    """Base of everything that arrkit raises on purpose.

    Args:
        problems: one sentence, one :class:`Problem`, or several problems.
        hint: what to do next, when ``problems`` is a sentence.
        closing: one sentence after several problems, such as "Nothing was sent to a judge."
    """

    exit_code = 1

    def __init__(
        self, problems: str | Problem | Sequence[Problem], *, hint: str = "", closing: str = ""
    ) -> None:
        if isinstance(problems, str):
            problems = Problem(problems, hint=hint)
        if isinstance(problems, Problem):
            problems = [problems]
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.closing = closing
        super().__init__(self.render())

    def render(self, most: int = 1000) -> str:
        """The text for a person: at most ``most`` problems, then how many there are, then the closing."""
        lines = [str(problem) for problem in self.problems[:most]]
        if len(self.problems) > most:
            lines.append(f"... and {len(self.problems) - most} more")
        count = f"{len(self.problems)} problems. " if len(self.problems) > 1 else ""
        if count or self.closing:
            lines.append(f"{count}{self.closing}".strip())
        return "\n".join(lines)


class InputError(ArrkitError):
    """What the user gave (an option, a file, a row) cannot be used."""

    exit_code = 2


class RunError(ArrkitError):
    """The input was right, but the run could not be finished.

    ``resumable`` says whether the same command may get further another time.
    """

    def __init__(
        self,
        problems: str | Problem | Sequence[Problem],
        *,
        hint: str = "",
        closing: str = "",
        resumable: bool = True,
    ) -> None:
        super().__init__(problems, hint=hint, closing=closing)
        self.resumable = resumable


def nearest(word: str, known: Iterable[str]) -> str:
    """``(did you mean "x"?)`` with a leading space for the closest known word, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f' (did you mean "{close[0]}"?)' if close else ""
