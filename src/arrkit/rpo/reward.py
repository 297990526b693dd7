"""The reward: pairs of images go to a judge while the next ones are sampled, and come back as rulings.

One event loop in one thread serves the whole run. Trainers hand in :class:`~arrkit.rpo.ruling.Candidates` and
get a future at once; nothing that a judge does (raise, hang, answer nonsense, go away) leaves them waiting
for ever.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import TypeVar

from PIL import Image, ImageDraw

from arrkit.concurrency import together
from arrkit.data.pairs import ImageUnreadable, Label, Picture, Task
from arrkit.data.prompts import Prompt
from arrkit.errors import ArrkitError, InputError, RunError
from arrkit.judge.calls.health import RESUME, Outage
from arrkit.judge.calls.totals import CallTotals
from arrkit.judge.protocol import (
    CompareRequest,
    Order,
    Outcome,
    ScoreRequest,
    Verdict,
    ZeroShotJudge,
    ZeroShotRequest,
    draft_dimensions,
)
from arrkit.judge.session import JudgeSession
from arrkit.rpo.background import Background
from arrkit.rpo.grading import Grade, Painted, rule_by_scores
from arrkit.rpo.ruling import (
    Candidates,
    FailureBudget,
    Ruling,
    advantages,
    judging_metrics,
    no_ruling,
    rule,
    spending_metrics,
)
from arrkit.rubric.model import Dimension

__all__ = [
    "Candidates",
    "FailureBudget",
    "Referee",
    "Ruling",
    "advantages",
    "judging_metrics",
    "shown_source",
    "spending_metrics",
]

A = TypeVar("A", Ruling, Grade)

TIMEOUT = 1200.0
"""Seconds after which a presentation counts as failed. A hosted judge keeps to shorter limits of its own, and
waits at most 15 minutes where its endpoint asks for it."""

ALIKE = 6
"""Pairs in a row whose requests failed before the judge counts as down. Fewer spoil only themselves."""

PATIENCE = 1800.0
"""Seconds that a run waits for a judge that went down before it ends."""

LONGEST_WAIT = 60.0
GAP = 8
"""Pixels between the sources of an edit that has several."""


class Referee:
    """A judge at work for a training run. Safe to be called from any thread.

    Args:
        session: asks the judge; used in the referee's loop alone, and its judge is closed there.
        dimensions: the rubric of all pairs.
        zero_shot: where above 0, the judge writes so many criteria for each prompt instead.
        window: how many pairs may be under way at once; the two orders of a pair always are together.
        totals: what the calls came to, if the judge is one that is paid for.
        revive: makes a judge that gave up after an outage ask again.
        timeout, patience: in seconds, see :data:`TIMEOUT` and :data:`PATIENCE`.
        first_wait: seconds before the first look whether a judge is back; doubles up to a minute.
        notice: is told, in the referee's thread, when the judge goes down and when it comes back.

    ``paused`` is the seconds that were spent waiting for a judge that was down. Use it as a context manager,
    or call :meth:`close`. Raises ``InputError`` for ``zero_shot`` with a judge that writes no criteria.
    """

    def __init__(
        self,
        session: JudgeSession,
        dimensions: tuple[Dimension, ...] = (),
        *,
        zero_shot: int = 0,
        window: int = 8,
        totals: CallTotals | None = None,
        revive: Callable[[], None] = lambda: None,
        timeout: float = TIMEOUT,
        patience: float = PATIENCE,
        first_wait: float = 1.0,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        if zero_shot and not isinstance(session.judge, ZeroShotJudge):
            raise InputError(
                f"{session.judge.name} writes no criteria from a prompt alone",
                hint="Use --rubric-mode static with a rubric, or choose another judge.",
            )
        self.totals = totals
        self.paused = 0.0
        self._session = session
        self._dimensions = dimensions
        self._zero_shot = zero_shot
        self._revive = revive
        self._timeout, self._patience, self._first_wait = timeout, patience, first_wait
        self._notice = notice
        self._slots = asyncio.Semaphore(window)
        self._background = Background("arrkit-referee", session.judge.aclose)
        self._task = Task.T2I
        self._criteria: dict[str, asyncio.Task[tuple[Dimension, ...] | Ruling]] = {}
        self._failed_in_a_row = 0
        self._outage: asyncio.Task[None] | None = None
        self._fatal: ArrkitError | None = None

    @property
    def judge(self) -> str:
        """The judge's canonical spec."""
        return self._session.judge.name

    def submit(
        self, candidates: Candidates, *, dimensions: tuple[Dimension, ...] | None = None
    ) -> Future[Ruling]:
        """Have a pair judged in both orders, under the run's rubric or under ``dimensions``. Returns at once.

        The future ends with a ruling, which may say that there is none. Where the run cannot go on (the judge
        stayed away too long, the money is spent) this one and all later ones end with an
        :class:`~arrkit.errors.ArrkitError` that says so.
        """
        return self._background.run(
            lambda: self._until_answered(
                lambda: self._rule(candidates, dimensions), no_ruling, candidates.prompt
            )
        )

    def grade(self, painted: Painted, *, dimensions: tuple[Dimension, ...] | None = None) -> Future[Grade]:
        """Have one image scored by each criterion of the run's rubric, or of ``dimensions``.

        The future ends as those of :meth:`submit` do, with a grade that may hold no score.
        """
        return self._background.run(lambda: self._graded(painted, dimensions))

    def weigh(
        self, candidates: Candidates, *, dimensions: tuple[Dimension, ...] | None = None
    ) -> Future[Ruling]:
        """A pair ruled by the weighted scores of its images, each of which is scored by itself."""

        async def weighed() -> Ruling:
            a, b = await together(
                [
                    self._graded(Painted(f"{candidates.id}/{name}", candidates.prompt, image), dimensions)
                    for name, image in (("a", candidates.a), ("b", candidates.b))
                ]
            )
            weights = self.weights if dimensions is None else weights_of(dimensions)
            return rule_by_scores(a, b, weights, findings=bool(weights))

        return self._background.run(weighed)

    @property
    def weights(self) -> Mapping[str, float]:
        """The weights of the run's criteria by their ids; empty where each prompt has criteria of its own."""
        return {} if self._zero_shot else weights_of(self._dimensions)

    def check(self, task: Task = Task.T2I) -> None:
        """Ask the judge about two drawings, to find out that it is down before anything is loaded.

        Raises :class:`~arrkit.errors.RunError` where it gives no verdict.
        """
        self._task = task
        try:
            verdict = self._background.run(self._canary).result()
        except RunError as error:
            down = error.problems[0]  # the judge says how to go on, and nothing has begun
            raise RunError(down.what, hint=f"{down.hint.removesuffix(RESUME)}Nothing was loaded.") from error
        if not verdict.outcome.settled:
            raise RunError(
                f"{self.judge} gives no verdict on two drawings: {_why(verdict)}",
                hint="See to it that it is up, or name another one with --judge. Nothing was loaded.",
            )

    def close(self) -> None:
        """End the thread; pairs that are under way end with an error. Can be called twice."""
        self._background.close()

    def __enter__(self) -> Referee:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What follows runs in the loop alone.

    async def _until_answered(
        self, ask: Callable[[], Awaitable[A]], none: Callable[[str], A], prompt: Prompt
    ) -> A:
        """The answer that ``ask`` gives, once the judge is up; ``none`` makes one that says there is none."""
        async with self._slots:
            while True:
                if self._outage is not None:
                    await asyncio.shield(self._outage)
                if self._fatal is not None:
                    raise self._fatal
                try:
                    answer, gave_up = await ask(), False
                except ImageUnreadable as error:
                    return none(str(error))
                except Outage as error:
                    answer, gave_up = none(error.problems[0].what), True
                except ArrkitError as error:
                    self._fatal = error
                    raise
                finally:
                    for each in prompt.sources:
                        each.release()
                if answer.outcome is not Outcome.FAILED:
                    self._failed_in_a_row = 0
                    return answer
                self._failed_in_a_row += 1
                if self._failed_in_a_row < ALIKE and not gave_up and self._outage is None:
                    return answer
                if self._outage is None:
                    self._outage = asyncio.create_task(self._wait_out(answer.detail))

    async def _graded(self, painted: Painted, dimensions: tuple[Dimension, ...] | None) -> Grade:
        return await self._until_answered(lambda: self._grade(painted, dimensions), _no_grade, painted.prompt)

    async def _grade(self, painted: Painted, dimensions: tuple[Dimension, ...] | None) -> Grade:
        prompt, shown = painted.prompt, _picture(painted.id, painted.image)
        await self._session.prepare([shown, *prompt.sources])
        under = await self._under(prompt, dimensions)
        if isinstance(under, Ruling):
            return Grade(outcome=under.outcome, detail=under.detail)
        began = time.monotonic()
        request = ScoreRequest(prompt.task, prompt.text, shown, under, prompt.sources)
        try:
            async with asyncio.timeout(self._timeout):
                found = await self._session.score(request, image=painted.id)
        except (ArrkitError, ImageUnreadable):
            raise
        except TimeoutError:
            return _no_grade(f"no answer in {self._timeout:g} s")
        except Exception as error:
            return _no_grade(f"{type(error).__name__}: {error}")
        scores = {each.criterion: each.score for each in found.scores if each.score is not None}
        return Grade(scores, found.outcome, found.detail, time.monotonic() - began)

    async def _under(
        self, prompt: Prompt, dimensions: tuple[Dimension, ...] | None
    ) -> tuple[Dimension, ...] | Ruling:
        """What a prompt's images are judged under; or why there is nothing."""
        if self._zero_shot and dimensions is None:
            return await self._written(prompt)
        return self._dimensions if dimensions is None else dimensions

    async def _rule(self, candidates: Candidates, dimensions: tuple[Dimension, ...] | None) -> Ruling:
        prompt = candidates.prompt
        a = _picture(f"{candidates.id}/a", candidates.a)
        b = _picture(f"{candidates.id}/b", candidates.b)
        await self._session.prepare([a, b, *prompt.sources])
        if a.digest == b.digest:
            # Nobody can prefer one of two images that are the same, so nobody is asked.
            return Ruling(Label.TIE, outcome=Outcome.TIE)
        under = await self._under(prompt, dimensions)
        if isinstance(under, Ruling):
            return under
        began = time.monotonic()
        straight = CompareRequest(prompt.task, prompt.text, a, b, prompt.sources, under)
        turned = replace(straight, first=b, second=a)
        ab, ba = await together(
            [
                self._present(straight, candidates.id, Order.AB),
                self._present(turned, candidates.id, Order.BA),
            ]
        )
        shared = not self._zero_shot or dimensions is not None
        return rule(ab, ba, findings=shared, seconds=time.monotonic() - began)

    async def _present(self, request: CompareRequest, pair: str, order: Order) -> Verdict:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._session.compare(request, pair=pair, order=order)
        except (ArrkitError, ImageUnreadable):
            raise
        except TimeoutError:
            return Verdict(Outcome.FAILED, detail=f"no answer in {self._timeout:g} s")
        except Exception as error:  # what came back is no verdict
            return Verdict(Outcome.FAILED, detail=f"{type(error).__name__}: {error}")

    async def _written(self, prompt: Prompt) -> tuple[Dimension, ...] | Ruling:
        """The criteria that the judge wrote for a prompt, asked for once; or why there are none."""
        key = f"{prompt.task} {prompt.text}"
        if key not in self._criteria:
            self._criteria[key] = asyncio.create_task(self._write(prompt))
        task = self._criteria[key]
        try:
            written = await asyncio.shield(task)
        except Exception:
            self._criteria.pop(key, None)
            raise
        if isinstance(written, Ruling):
            self._criteria.pop(key, None)
        return written

    async def _write(self, prompt: Prompt) -> tuple[Dimension, ...] | Ruling:
        request = ZeroShotRequest(prompt.task, prompt.text, self._zero_shot)
        try:
            async with asyncio.timeout(self._timeout):
                proposal = await self._session.zero_shot(request)
            if proposal.outcome is not Outcome.OK or not proposal.drafts:
                detail = proposal.detail or str(proposal.outcome)
                return no_ruling(f"no criteria for the prompt: {detail}", outcome=proposal.outcome)
            return draft_dimensions("zero-shot", proposal.drafts)
        except ArrkitError:
            raise
        except TimeoutError:
            return no_ruling(f"no criteria for the prompt in {self._timeout:g} s")
        except Exception as error:
            return no_ruling(f"no criteria for the prompt: {type(error).__name__}: {error}")

    async def _wait_out(self, detail: str) -> None:
        """Wait until the judge answers again. Where it does not, every pair ends with that error."""
        began, wait = time.monotonic(), self._first_wait
        reason = detail.partition("\n")[0] or "no reason was given"
        self._notice(f"{self.judge} is down ({reason}): waiting for it")
        try:
            while True:
                await asyncio.sleep(wait)
                self._revive()
                try:
                    verdict = await self._canary()
                except Outage as error:
                    reason = error.problems[0].what
                except ArrkitError as error:
                    self._fatal = error
                    return
                else:
                    if verdict.outcome is not Outcome.FAILED:
                        self._notice(f"{self.judge} is back")
                        return
                    reason = _why(verdict)
                left = self._patience - (time.monotonic() - began)
                if left <= 0:
                    self._fatal = RunError(
                        f"{self.judge} is down, and did not come back in {self._patience:g} s: {reason}",
                        hint="See to it that it is up, then run the same command with --resume.",
                    )
                    return
                wait = min(2 * wait, LONGEST_WAIT, left)
        finally:
            self.paused += time.monotonic() - began
            self._failed_in_a_row = 0
            self._outage = None

    async def _canary(self) -> Verdict:
        """A verdict on two drawings that were never shown before, so that no cache can give it."""
        session = JudgeSession(self._session.judge, concurrency=1, retries=2)
        blank, drawn = Image.new("RGB", (128, 128), "white"), Image.new("RGB", (128, 128), "white")
        shade = tuple(secrets.token_bytes(3))
        ImageDraw.Draw(drawn).ellipse((32, 32, 96, 96), fill=(220, *shade[:2]))
        blank.putpixel((0, 0), (255, 255, 128 + shade[2] // 2))
        sources = (_picture("canary/source", blank),) if self._task is Task.EDIT else ()
        text = "Draw a red circle on white." if self._task is Task.EDIT else "a red circle on white"
        pictures = _picture("canary/drawn", drawn), _picture("canary/blank", blank)
        request = CompareRequest(self._task, text, *pictures, sources, self._dimensions)
        try:
            async with asyncio.timeout(self._timeout):
                return await session.compare(request)
        except ArrkitError:
            raise
        except TimeoutError:
            return Verdict(Outcome.FAILED, detail=f"no answer in {self._timeout:g} s")
        except Exception as error:
            return Verdict(Outcome.FAILED, detail=f"{type(error).__name__}: {error}")


def shown_source(prompt: Prompt) -> Picture | None:
    """The source image that people are shown for a prompt: None, its one, or all of them in one row.

    In the row all have the height of the first. Reads the sources where there are several, and raises
    :class:`~arrkit.data.pairs.ImageUnreadable`.
    """
    if len(prompt.sources) < 2:
        return prompt.sources[0] if prompt.sources else None
    images = [source.load() for source in prompt.sources]
    height = images[0].height
    scaled = [image.resize((max(1, round(image.width * height / image.height)), height)) for image in images]
    row = Image.new("RGB", (sum(each.width for each in scaled) + GAP * (len(scaled) - 1), height), "white")
    left = 0
    for each in scaled:
        row.paste(each, (left, 0))
        left += each.width + GAP
    for source in prompt.sources:
        source.release()
    return _picture(" + ".join(source.name for source in prompt.sources), row)


def _picture(name: str, image: Image.Image) -> Picture:
    return Picture(name, lambda: image if image.mode == "RGB" else image.convert("RGB"))


def weights_of(dimensions: tuple[Dimension, ...]) -> dict[str, float]:
    """The weights of criteria by their ids."""
    return {each.id: each.weight for dimension in dimensions for each in dimension.criteria}


def _no_grade(detail: str) -> Grade:
    return Grade(outcome=Outcome.FAILED, detail=detail)


def _why(verdict: Verdict) -> str:
    return verdict.detail.partition("\n")[0] or str(verdict.outcome)
