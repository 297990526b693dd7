"""``rubric build --method sparse``: weighted criteria, learned from scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from arrkit.canonical import digest
from arrkit.commands.judges import Bench
from arrkit.commands.made import Made
from arrkit.commands.options import BuildOptions
from arrkit.commands.seeds import Split
from arrkit.commands.sparse_page import sparse_page
from arrkit.concurrency import run_bounded
from arrkit.data.pairs import ImageUnreadable, PreferencePair, Task
from arrkit.judge.evaluate import Skipped
from arrkit.judge.learning import ExplainRequest
from arrkit.judge.paper import PaperSession, stand_ins
from arrkit.judge.protocol import ScoreRequest, StructureRequest, draft_dimensions
from arrkit.progress import Progress, Watch
from arrkit.rubric.build import propose_request
from arrkit.rubric.model import SHORT_DIGEST, DatasetRef, WeighedRates
from arrkit.rubric.sparse.learn import LearnedSparse, SparseRecipe, divide, learn_sparse
from arrkit.rubric.sparse.refiner import accuracy_rate, change_rate, uniform
from arrkit.rubric.sparse.scores import AT_ONCE, CRITERIA, ScoreStore, fill_scores
from arrkit.runs.folder import RunFolder

SEED_PAIRS = 256
"""How many pairs are taken where nothing is said: the paper's number."""
SCORES = "scores.sqlite"
"""The file of scores in a run's folder."""


def sparse_recipe(options: BuildOptions) -> SparseRecipe:
    """What the options say of learning."""
    return SparseRecipe(
        criteria=options.criteria,
        top=options.top,
        rounds=options.rounds,
        candidates=options.candidates,
        c=options.sparse_c,
        dimensions=options.dimensions,
        seed=options.seed,
    )


async def make_sparse(
    options: BuildOptions, bench: Bench, name: str, task: Task, split: Split, run: RunFolder, watch: Watch
) -> Made:
    """Learn weighted criteria from the pairs of ``split`` not held back; ``name`` is the dataset's."""
    recipe = sparse_recipe(options)
    with _scores(run) as store:
        learned = await learn_sparse(
            bench.session,
            split.build,
            task,
            recipe,
            store,
            window=bench.window,
            strict=options.strict,
            on_step=lambda stage, done, of: watch(Progress(stage, done, of)),
        )
    skipped = tuple(
        Skipped(each.pair.origin or each.pair.id, each.trouble) for each in learned.heard if each.unreadable
    )
    record = learned.learning
    return Made(
        learned.dimensions,
        f"Weights learned from {len(split.build)} preference pairs of {name}: {len(record.weights)} of "
        f"{record.candidates} candidates kept.",
        None,
        _digests(split.build),
        skipped,
        {
            "criteria": recipe.criteria,
            "top": recipe.top,
            "rounds": recipe.rounds,
            "candidates": recipe.candidates,
            "sparse_c": recipe.c,
            "dimensions": recipe.dimensions,
        },
        partial(sparse_page, learned),
        record,
        partial(_weigh, bench, learned, name, split.held_out, run, watch),
    )


async def _weigh(
    bench: Bench,
    learned: LearnedSparse,
    name: str,
    held_out: Sequence[PreferencePair],
    run: RunFolder,
    watch: Watch,
) -> WeighedRates | None:
    """The weighted score on the held-out pairs that people decided; None where none could be scored."""
    pairs = [pair for pair in held_out if pair.label.decided]
    with _scores(run) as store:
        matrix = await fill_scores(
            bench.session,
            store,
            pairs,
            learned.drafts,
            window=bench.window,
            on_image=lambda done, of: watch(Progress("scoring held-out pairs", done, of)),
        )
    known = matrix.known
    differences = matrix.differences[known]
    margins, even = differences @ learned.weights, differences @ uniform(learned.weights)
    rates = (accuracy_rate(margins), accuracy_rate(even), change_rate(margins, even))
    accuracy, plain, difference = rates
    if accuracy is None or plain is None or difference is None:
        return None
    judged = [pair for pair, seen in zip(pairs, known.tolist(), strict=True) if seen]
    reference = DatasetRef(
        f"{name} (held out)", f"sha256:{digest([pair.digest for pair in judged])}", len(judged)
    )
    for pair in judged:
        pair.release()
    return WeighedRates(reference, accuracy, plain, difference)


@contextmanager
def _scores(run: RunFolder) -> Iterator[ScoreStore]:
    store = ScoreStore(run.path / SCORES)
    try:
        yield store
    finally:
        store.close()


def _digests(pairs: Sequence[PreferencePair]) -> tuple[str, ...]:
    found = []
    for pair in pairs:
        try:
            found.append(pair.digest[:SHORT_DIGEST])
        except ImageUnreadable:
            continue
        finally:
            pair.release()
    return tuple(found)


async def ask_sparse(session: PaperSession, options: BuildOptions, task: Task, split: Split) -> None:
    """Ask on paper what one round of learning asks: statements, their folding, and all scores under as many
    candidates as there may be. A further round asks two questions for each hard pair, and for the scores of
    what they give.
    """
    recipe = sparse_recipe(options)
    train, validation = divide(split.build, recipe.validation, recipe.seed)
    said = recipe.criteria * len(train)
    candidates = stand_ins(min(recipe.candidates, said))
    kept = candidates[: recipe.top]

    async def explain(pair: PreferencePair) -> None:
        try:
            await session.explain(ExplainRequest(propose_request(pair, recipe.proposing)))
        except ImageUnreadable:
            pass  # the build itself will count it
        finally:
            pair.release()

    async def score(pair: PreferencePair, count: int) -> None:
        try:
            for image in (pair.a, pair.b):
                for start in range(0, count, AT_ONCE):
                    drafts = candidates[start : min(start + AT_ONCE, count)]
                    dimensions = draft_dimensions(CRITERIA, drafts)
                    await session.score(ScoreRequest(pair.task, pair.prompt, image, dimensions, pair.sources))
        except ImageUnreadable:
            pass
        finally:
            pair.release()

    await run_bounded((explain(pair) for pair in train), 16)
    await session.structure(StructureRequest(task, stand_ins(said), recipe.dimensions))
    await run_bounded((score(pair, len(candidates)) for pair in (*train, *validation)), 16)
    await session.structure(StructureRequest(task, kept, recipe.dimensions))
    held = [pair for pair in split.held_out if pair.label.decided]
    await run_bounded((score(pair, len(kept)) for pair in held), 16)
