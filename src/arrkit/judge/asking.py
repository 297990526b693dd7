"""One question to a model, followed through to a usable answer or a named failure.

What is done here and nowhere else: a cut answer is asked for once more with twice the room; an unusable one
again with what was wrong with it; refusals and errors become outcomes; only a good answer is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from arrkit.concurrency import together
from arrkit.judge.answers.extract import Unreadable
from arrkit.judge.answers.read import PARSER, readable
from arrkit.judge.calling import Called, Calls
from arrkit.judge.prompts.parts import Prompt, repair_request
from arrkit.judge.prompts.wording import Wording
from arrkit.judge.protocol import Basis, Outcome, Usage
from arrkit.judge.scoring import label_mass, shares
from arrkit.judge.transport import (
    DecideRequest,
    ErrorKind,
    Finish,
    ModelProfile,
    Question,
    Reply,
    Sampling,
    TransportError,
    TransportRequest,
)

T = TypeVar("T")

MOST_RAW = 20_000
"""How many characters of an unusable answer are kept, so that a runaway one does not fill the journal."""

_NOTHING = Usage(0, 0, 0, 0, 0.0)


class Ended(Exception):
    """A question has no answer: ``outcome`` says how it ended, ``detail`` why."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = readable(detail)


@dataclass(slots=True)
class Inquiry:
    """The requests behind one operation, and what they came to.

    ``parser`` names the version of what reads the answers; ``text`` is the last of them, as it was written.
    """

    calls: Calls
    profile: ModelProfile
    wording: Wording
    usages: list[Usage] = field(default_factory=list)
    wholes: list[Usage] = field(default_factory=list)
    costs: list[float | None] = field(default_factory=list)
    masses: list[float] = field(default_factory=list)
    model: str = ""
    requests: int = 0
    cached: int = 0
    repairs: int = 0
    parser: str = PARSER
    text: str = ""

    @property
    def usage(self) -> Usage:
        """The sums; one unknown part makes a sum unknown."""
        return total_usage(self.usages)

    def basis(self, scoring: str, chosen: Mapping[str, float] | None = None) -> Basis:
        """What the answer rests on; ``chosen`` are the shares of A, B and tie where there are any."""
        chosen = chosen or {}
        return Basis(
            str(scoring),
            first=chosen.get("A"),
            second=chosen.get("B"),
            tie=chosen.get("tie"),
            mass=min(self.masses) if self.masses else None,
            model=self.model,
            requests=self.requests,
            cached=self.cached,
            repairs=self.repairs,
            whole=total_usage(self.wholes),
            cost=None if not self.costs or None in self.costs else sum(each or 0.0 for each in self.costs),
        )

    async def read(
        self,
        prompt: Prompt,
        sampling: Sampling,
        reader: Callable[[str], T],
        *,
        attempts: int = 2,
        repair: bool = True,
    ) -> T:
        """Ask for an object and read it. Raises :class:`Ended`.

        An unusable answer is asked for again, ``attempts`` times in all: with what was wrong with it, or
        without ``repair`` in the same words. A good answer is kept under the question as first asked, also
        where it took several requests to get it: the same question will not be paid for again.
        """
        first = asked = prompt.request(sampling, structured=self.profile.structured)
        tried = 1
        while True:
            reply = await self._reply(asked)
            limit = asked.sampling.max_output_tokens
            if reply.finish is Finish.LENGTH:
                if limit > first.sampling.max_output_tokens:
                    raise Ended(Outcome.TRUNCATED, f"cut off after {limit} output tokens\n{_raw(reply)}")
                asked = replace(asked, sampling=replace(asked.sampling, max_output_tokens=2 * limit))
                continue
            try:
                value = reader(reply.text)
            except Unreadable as trouble:
                if tried >= attempts:
                    raise Ended(Outcome.UNPARSED, f"{trouble}\n{_raw(reply)}") from None
                tried += 1
                self.repairs += 1
                # An answer that needed more room needs it again; of earlier complaints it has no need.
                again = replace(first, sampling=asked.sampling)
                asked = repair_request(again, reply.text, str(trouble), self.wording) if repair else again
                continue
            await self.calls.keep(first, reply, parser=self.parser)
            return value

    async def word(self, prompt: Prompt, sampling: Sampling) -> dict[str, float]:
        """The shares of a prompt's labels in the first word of the answer. Raises :class:`Ended`.

        That the answer stops after one token is what was asked for, and no truncation.
        """
        request = prompt.request(sampling, structured=self.profile.structured)
        reply = await self._reply(request)
        found = shares(reply.labels, prompt.labels)
        if found is None:
            wanted = ", ".join(prompt.labels)
            raise Ended(Outcome.UNPARSED, f"none of {wanted} is among the likely words\n{_raw(reply)}")
        self.masses.append(min(1.0, label_mass(reply)))
        await self.calls.keep(request, replace(reply, finish=Finish.STOP), parser=self.parser)
        return found

    async def decide(self, prompt: Prompt, questions: Sequence[Question]) -> dict[str, dict[str, float]]:
        """The shares of every question's options by the question's id; refused questions are missing.

        Asks in as few requests as the endpoint takes, and keeps those answered in full. Raises
        :class:`Ended`, also where all questions were refused.
        """
        most = self.profile.questions
        chunks = [tuple(questions[start : start + most]) for start in range(0, len(questions), most)]
        answers: dict[str, dict[str, float]] = {}
        for part in await together(self._decide(prompt, chunk) for chunk in chunks):
            answers.update(part)
        if not answers:
            raise Ended(Outcome.REFUSED, "every question was refused")
        return answers

    async def _decide(self, prompt: Prompt, questions: tuple[Question, ...]) -> dict[str, dict[str, float]]:
        request = DecideRequest(prompt.system, prompt.parts, questions)
        reply = await self._reply(request)
        answers = {}
        for question in questions:
            options = question.options or ("yes", "no")
            found = shares(reply.answers.get(question.id, {}), options)
            if found is not None:
                answers[question.id] = found
        if reply.mass is not None:
            self.masses.append(reply.mass)
        if len(answers) == len(questions):
            await self.calls.keep(request, reply, parser=self.parser)
        return answers

    async def _reply(self, request: TransportRequest) -> Reply:
        called = await self.calls.call(request, parser=self.parser)
        self._count(called)
        if called.reply is None:
            error = called.error or TransportError(ErrorKind.TRANSIENT, "neither answer nor error came back")
            refused = error.kind is ErrorKind.REFUSED
            raise Ended(
                Outcome.REFUSED if refused else Outcome.FAILED,
                f"{error}\n{error.remedy}" if error.remedy else str(error),
            )
        if called.reply.finish in (Finish.REFUSAL, Finish.FILTER):
            said = called.reply.refusal or called.reply.text
            raise Ended(Outcome.REFUSED, said[:MOST_RAW] or f"ended as {called.reply.finish}")
        return called.reply

    def _count(self, called: Called) -> None:
        self.requests += called.attempts
        self.cached += called.cached
        if called.reply is not None:
            # An answer from the cache costs nothing, whatever it cost at the time.
            self.usages.append(_NOTHING if called.cached else called.reply.usage)
            self.wholes.append(called.reply.usage)
            self.costs.append(called.cost)
            self.model = called.reply.model or self.model
            self.text = called.reply.text
        elif called.error is not None:
            self.usages.append(called.error.usage)


def sampling_for(
    profile: ModelProfile, *, items: int, effort: str | None, seed: int | None, room: int | None
) -> Sampling:
    """How to draw an object with ``items`` entries: as repeatable as the model allows, with room for its
    reasoning; ``room`` sets the room (in tokens) instead.
    """
    written = min(2048 + 96 * items, 8192)
    return Sampling(
        temperature=0.0 if profile.temperature else None,
        seed=seed if profile.seed else None,
        max_output_tokens=room or written + (4096 if profile.effort else 0),
        effort=effort or ("low" if "low" in profile.effort else None),
    )


def word_sampling(profile: ModelProfile) -> Sampling:
    """How to draw one word: without reasoning, of which no endpoint gives probabilities."""
    return Sampling(
        temperature=0.0 if profile.temperature else None,
        max_output_tokens=16,
        effort="none" if "none" in profile.effort else None,
    )


def total_usage(usages: Sequence[Usage]) -> Usage:
    """The sum of ``usages``, field by field; None where one of them is unknown, or where there are none."""
    if not usages:
        return Usage()
    seconds = [usage.seconds for usage in usages]
    return Usage(
        _total([usage.input_tokens for usage in usages]),
        _total([usage.cached_tokens for usage in usages]),
        _total([usage.output_tokens for usage in usages]),
        _total([usage.reasoning_tokens for usage in usages]),
        None if None in seconds else sum(each or 0.0 for each in seconds),
    )


def _total(values: Sequence[int | None]) -> int | None:
    return None if None in values else sum(value or 0 for value in values)


def _raw(reply: Reply) -> str:
    return reply.text[:MOST_RAW]
