"""Scoring images while others are painted: a thread with its own event loop, fed item by item."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from arrkit.bench.judged import news
from arrkit.bench.model import Item, PairedBenchmark, Unit
from arrkit.bench.units import Scored, UnitFile
from arrkit.canonical import Json
from arrkit.commands.bench_inputs import Chosen
from arrkit.commands.bench_options import AskerOptions
from arrkit.commands.bench_paint import image_files, sources_of
from arrkit.commands.judges import choose_judge
from arrkit.commands.options import JudgingOptions
from arrkit.concurrency import GRACE
from arrkit.data.images import picture_from_path
from arrkit.data.pairs import Picture
from arrkit.errors import InputError, RunError
from arrkit.judge.calls.totals import CallTotals
from arrkit.progress import Progress, Watch
from arrkit.runs.folder import RunFolder

Score = Callable[[Item, Sequence[Sequence[Picture | None]]], Awaitable[list[Unit]]]
"""From an item and its images, one sequence for each folder that is looked at together, to its units."""

WIDTH = 4
"""How many items are looked at at once where no judge is asked: one is opened while another is looked at."""

_POLL = 0.1


async def _nothing() -> None:
    return None


@dataclass(slots=True)
class AtWork:
    """What scores: how, how many items at once, and what a judge came to.

    ``record`` says which judge answered, once it has. ``close`` belongs into the loop that ``score`` ran in.
    """

    score: Score
    width: int = WIDTH
    totals: CallTotals | None = None
    record: Callable[[], Mapping[str, Json]] = dict
    close: Callable[[], Awaitable[None]] = _nothing
    remarks: Callable[[], tuple[str, ...]] = tuple


def judge_name(chosen: Chosen, options: AskerOptions) -> str:
    """The canonical name of the judge that is named, empty where none is.

    Raises :class:`InputError` for one that cannot be used, or that the benchmark has no use for.
    """
    if not options.judge:
        return choose_judge("", _judging(options)).name if _paired(chosen) else ""
    if not chosen.judged:
        raise InputError(f"{chosen.benchmark.name} asks no judge", hint="Leave out --judge.")
    return choose_judge(options.judge, _judging(options)).name


@contextmanager
def scoring(chosen: Chosen, options: AskerOptions, run: RunFolder) -> Iterator[AtWork]:
    """The benchmark's scorer with its judge, if one is named.

    Raises :class:`InputError` where one is needed, or cannot answer what is asked.
    """
    benchmark = chosen.benchmark
    with ExitStack() as stack:
        if isinstance(benchmark, PairedBenchmark):
            judge = choose_judge(options.judge, _judging(options), findings=True)
            bench = stack.enter_context(judge.at_work(run))
            pairs = benchmark.pair_scorer(bench.session)

            async def compare(item: Item, images: Sequence[Sequence[Picture | None]]) -> list[Unit]:
                return await pairs.score(item, images[1], images[0])

            yield AtWork(
                compare,
                bench.window,
                bench.totals,
                lambda: {"judge": judge.name},
                bench.session.judge.aclose,
                lambda: bench.remarks,
            )
            return
        if not options.judge:
            scorer = benchmark.scorer(None)
            yield AtWork(lambda item, images: scorer.score(item, images[0]))
            return
        asked = choose_judge(options.judge, _judging(options))
        answering = stack.enter_context(asked.answering(run))
        scorer = benchmark.scorer(answering.asker)
        cache = answering.cache
        yield AtWork(
            lambda item, images: scorer.score(item, images[0]),
            answering.window,
            answering.totals,
            lambda: answering.asker.record,
            answering.asker.aclose,
            lambda: () if cache is None else tuple(dict.fromkeys(cache.remarks)),
        )


def _paired(chosen: Chosen) -> bool:
    return isinstance(chosen.benchmark, PairedBenchmark)


def _judging(options: AskerOptions) -> JudgingOptions:
    return JudgingOptions(
        judge=options.judge,
        image_size=options.image_size,
        concurrency=options.concurrency,
        rpm=options.rpm,
        tpm=options.tpm,
        cache=options.cache,
        no_cache=options.no_cache,
        max_cost=options.max_cost,
    )


@dataclass(frozen=True, slots=True)
class Table:
    """What one table is made of: the folders whose images are looked at together, and where units go."""

    folders: tuple[Path, ...]
    units: UnitFile


Job = tuple[Table, Item]


class Background:
    """Scores items that it is given, in a thread of its own, until :meth:`finish`.

    What was scored in an earlier start, and still has the same images, is not scored again. Used as a
    context: left by an error, what is under way is given up.

    ``done`` and ``replayed`` count the items that are through, and those of them that were there already.
    """

    def __init__(self, work: AtWork, items: Sequence[Item]) -> None:
        self.done = 0
        self.replayed = 0
        self._work = work
        self._by_id = {item.id: item for item in items}
        self._given = 0
        self._queue: asyncio.Queue[Job | None] = asyncio.Queue()
        self._loop = asyncio.new_event_loop()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="arrkit-scoring")
        self._stopping = False
        self._main: asyncio.Task[None] | None = None
        self._told: Mapping[str, Json] = {}

    def put(self, table: Table, item: Item) -> None:
        """Have an item scored, whose images are there. Raises what stopped the scoring, if something did."""
        self._check()
        self._given += 1
        self._send((table, item))

    def finish(self, watch: Watch) -> None:
        """Wait until all that was given is scored. Raises what stopped the scoring."""
        self._send(None)
        while self._thread.is_alive():
            self._thread.join(_POLL)
            watch(Progress("score", self.done, self._given))
        self._check()

    def watched(self, watch: Watch) -> Watch:
        """A watcher of the painting that also tells how much is scored."""

        def told(progress: Progress) -> None:
            watch(replace(progress, counts={**progress.counts, "scored": self.done}))

        return told

    def __enter__(self) -> Background:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self._stopping = True
        if self._thread.is_alive() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join()

    def _cancel(self) -> None:
        if self._main is not None:
            self._main.cancel()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _send(self, job: Job | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._queue.put_nowait, job)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._all())
        except BaseException as error:
            self._failure = error

    async def _all(self) -> None:
        self._main = asyncio.current_task()
        running: set[asyncio.Task[None]] = set()
        try:
            while not self._stopping and (job := await self._next(running)) is not None:
                running.add(asyncio.create_task(self._one(*job)))
            while running:
                running = _harvest(await asyncio.wait(running, timeout=_POLL))
        except RunError:
            if running:  # what they wait for may be paid for
                await asyncio.wait(running, timeout=GRACE)
            raise
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await self._work.close()

    async def _next(self, running: set[asyncio.Task[None]]) -> Job | None:
        """The next job when there is room for it; failures of those under way are raised meanwhile."""
        getting = asyncio.create_task(self._queue.get())
        try:
            while True:
                full = len(running) >= self._work.width
                waited = running if full else {*running, getting}
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)  # one is through, if full
                done = {task for task in running if task.done()}
                running -= done
                _harvest((done, running))
                if getting.done():
                    return getting.result()
        finally:
            getting.cancel()

    async def _one(self, table: Table, item: Item) -> None:
        files = [image_files(folder, item) for folder in table.folders]
        marks = await asyncio.to_thread(lambda: [_mark(file) for each in files for file in each])
        if table.units.find(item.id, marks) is not None:
            self.replayed += 1
            self.done += 1
            return
        images = [[picture_from_path(file) if file.exists() else None for file in each] for each in files]
        seen = replace(item, sources=sources_of(table.folders[0], item, self._by_id))
        try:
            units = await self._work.score(seen, images)
        finally:
            for picture in (*seen.sources, *(picture for each in images for picture in each)):
                if picture is not None:
                    picture.release()
        now = self._work.record()
        table.units.add(Scored(item.id, tuple(marks), tuple(units)), news(self._told, now))
        self._told = now
        self.done += 1


def _harvest(
    state: tuple[set[asyncio.Task[None]], set[asyncio.Task[None]]],
) -> set[asyncio.Task[None]]:
    """Those that still run; raises what one of the others ended by."""
    done, running = state
    failures = [error for task in done if not task.cancelled() and (error := task.exception()) is not None]
    if failures:
        raise next((error for error in failures if isinstance(error, RunError)), failures[0])
    return running


def _mark(file: Path) -> str | None:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None
