"""From a judge's spec to a judge that can be asked; a hosted one with cache, limits and budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from arrkit.backends.listing import Group, Status, list_plugins
from arrkit.backends.registry import make_judge
from arrkit.bench.asking import JudgeAsker, refuse_wordless
from arrkit.commands.options import AskingOptions
from arrkit.errors import InputError
from arrkit.judge.calling import Calls
from arrkit.judge.calls.batcher import Batcher
from arrkit.judge.calls.cache import AnswerCache, opened_cache
from arrkit.judge.calls.caller import Caller
from arrkit.judge.calls.dry import DryCaller, Forecast
from arrkit.judge.calls.money import Budget
from arrkit.judge.calls.totals import CallTotals
from arrkit.judge.ensemble import Panel
from arrkit.judge.paper import PaperSession
from arrkit.judge.protocol import Judge
from arrkit.judge.session import JudgeSession
from arrkit.judge.transport import Transport
from arrkit.judge.vlm import VLMJudge
from arrkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

BATCH_WIDTH = 2000
"""How many requests wait for their batch at once: with fewer, a batch would hold only as many."""


@dataclass(slots=True)
class Bench:
    """A judge at work: the session to ask it through, and what its calls came to.

    ``totals`` is None for a judge that sends nothing. ``revive`` makes one that gave up after an outage ask
    again.
    """

    session: JudgeSession
    window: int
    totals: CallTotals | None
    cache: AnswerCache | None = None
    revive: Callable[[], None] = lambda: None

    @property
    def panel(self) -> Panel:
        """The judge as one that decides alone."""
        return Panel((self.session,))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should hear of the cache."""
        return () if self.cache is None else tuple(dict.fromkeys(self.cache.remarks))


@dataclass(slots=True)
class AskerBench:
    """A hosted judge at work that answers questions in words; beside that as :class:`Bench`."""

    asker: JudgeAsker
    window: int
    totals: CallTotals
    cache: AnswerCache | None = None
    revive: Callable[[], None] = lambda: None


class ChosenJudge:
    """A judge that was named, not yet asked. ``name`` decides which run its answers belong to.

    With ``findings`` a hosted judge is asked in a way that says something of each criterion, also where the
    probability of one word would be cheaper.
    """

    def __init__(self, made: Judge | Transport, options: AskingOptions, *, findings: bool = False) -> None:
        self._options = options
        self._findings = findings
        self._judge: Judge | None = None
        self._transport: Transport | None = None
        if hasattr(made, "compare"):
            self._judge = cast(Judge, made)
            self.name = made.name
        else:
            self._transport = made
            self.name = self._on(DryCaller(made)).name

    @contextmanager
    def at_work(
        self, run: RunFolder | None = None, *, budget: Budget | None = None, batches: str = "batches.jsonl"
    ) -> Iterator[Bench]:
        """The judge, asked through the journal of ``run``. Whoever gets the session closes its judge.

        ``budget`` is one shared with other judges; ``batches`` is the file in the run's folder that remembers
        what was handed in.
        """
        options, made = self._options, self._transport
        journal = None if run is None else run.journal
        if self._judge is not None:
            session = JudgeSession(self._judge, journal, concurrency=options.concurrency)
            yield Bench(session, max(2, options.concurrency), None)
            return
        assert made is not None
        width = self._width
        with _cache(options) as cache:
            caller = self._caller(made, cache, run, budget, batches)
            # The caller has the one retry loop: a second one on top would multiply the attempts. It bounds
            # the requests too; twice as many are let in, so that images are ready when one may be sent.
            session = JudgeSession(self._on(caller), journal, concurrency=2 * width, retries=0)
            yield Bench(session, max(2, width), caller.totals, cache, caller.revive)

    @contextmanager
    def answering(
        self, run: RunFolder | None = None, met: Callable[[str], None] = lambda _: None
    ) -> Iterator[AskerBench]:
        """The judge, asked in words; ``met`` as for :class:`~arrkit.bench.asking.JudgeAsker`.

        Whoever gets the asker closes it. Raises :class:`InputError` for a judge without words.
        """
        if self._transport is None:
            raise refuse_wordless(self.name)
        with _cache(self._options) as cache:
            caller = self._caller(self._transport, cache, run)
            width = self._width
            asker = JudgeAsker(caller, image_size=self._options.image_size, concurrency=2 * width, met=met)
            yield AskerBench(asker, max(2, width), caller.totals, cache, caller.revive)

    @contextmanager
    def on_paper(self, forecast: Forecast | None = None) -> Iterator[tuple[PaperSession, Forecast]]:
        """The judge with nothing sent: every call is counted, and fails unless the cache has its answer.

        ``forecast`` is one to count in.
        """
        if self._transport is None:
            raise InputError(
                f"{self.name} sends nothing, so there is nothing to foresee", hint="Leave out --dry-run."
            )
        with _cache(self._options) as cache:
            caller = DryCaller(self._transport, cache=cache, forecast=forecast)
            yield PaperSession(self._on(caller), concurrency=64, retries=0), caller.forecast

    @property
    def sends(self) -> bool:
        """Whether asking it sends requests to a model."""
        return self._transport is not None

    @property
    def _width(self) -> int:
        return BATCH_WIDTH if self._options.batch else self._options.concurrency

    def _caller(
        self,
        made: Transport,
        cache: AnswerCache | None,
        run: RunFolder | None,
        budget: Budget | None = None,
        batches: str = "batches.jsonl",
    ) -> Caller:
        options = self._options
        return Caller(
            Batcher(made, run.path / batches) if options.batch and run is not None else made,
            cache=cache,
            concurrency=self._width,
            rpm=options.rpm,
            tpm=options.tpm,
            max_cost=options.max_cost,
            budget=budget,
            wide=options.batch,
            seed=options.seed,
        )

    def _on(self, calls: Calls) -> VLMJudge:
        return VLMJudge(
            calls,
            scoring=self._options.scoring,
            language=self._options.language,
            image_size=self._options.image_size,
            findings=self._findings,
        )


def choose_judge(spec: str, options: AskingOptions, *, findings: bool = False) -> ChosenJudge:
    """The judge of a spec; ``findings`` as for :class:`ChosenJudge`.

    Raises:
        InputError: the spec cannot be used; for an empty one the message names the judges that are ready.
    """
    if spec:
        return ChosenJudge(make_judge(spec), options, findings=findings)
    ready = [
        each.name for each in list_plugins() if each.group is Group.JUDGES and each.status is Status.READY
    ]
    raise InputError(
        "no judge is named",
        hint=f"Pass --judge, or set ARRKIT_JUDGE or judge in arrkit.toml. Ready here: {', '.join(ready)}.",
    )


def _cache(options: AskingOptions) -> AbstractContextManager[AnswerCache | None]:
    return _nothing() if options.no_cache else opened_cache(options.cache)


@contextmanager
def _nothing() -> Iterator[None]:
    yield None
