"""Choose some of the verified criteria: by what they achieve together, or by how much they differ.

Criteria are added one at a time, so what comes out is an order; a rubric of n criteria is its beginning.

- :func:`greedy_order` adds the criterion under which most pairs are judged right in both orders. No judge is
  asked for each subset: what it found of every criterion on every pair is combined by the criteria's weights.
  That is a forecast. A judge that is given the whole rubric weighs as it sees fit.
- :func:`coding_order` adds the statement that raises the coding rate of their embeddings most. It looks at
  words alone, never at a pair: it keeps a rubric varied, and does not know which criterion is right.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrkit.concurrency import run_bounded, together
from arrkit.data.diversity import embed_texts
from arrkit.data.pairs import ImageUnreadable, Label, PreferencePair
from arrkit.errors import InputError, RunError
from arrkit.judge.judged import finding_lead
from arrkit.judge.protocol import Draft, Order, Verdict, compare_request, draft_dimensions
from arrkit.judge.session import JudgeSession
from arrkit.judge.stats import EPSILON, wilson
from arrkit.rubric.model import Rate

Floats = NDArray[np.float64]

AT_ONCE = 20
"""Criteria that one request asks for; a longer list tires a judge and may not fit its answer."""

DISTORTION = 0.5
"""The squared distortion ε² of the coding rate, for vectors of unit length."""

CANDIDATES = "Candidate criteria"
"""The dimension that criteria stand in while they are asked for; the same words as in a build's requests."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """A verified criterion before it is in any rubric, and the ids of the pairs that it came from."""

    draft: Draft
    pairs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leads:
    """How far a judge saw the preferred image ahead by each criterion, on each pair in each order.

    ``values`` has shape (pairs, 2, criteria), in [-1, 1]: above 0 for the human choice, 0 where the judge
    saw no difference or could not tell. A pair without all its answers has no row; ``missing`` counts those.
    """

    values: Floats
    missing: int = 0


async def ask_leads(
    session: JudgeSession,
    pairs: Sequence[PreferencePair],
    drafts: Sequence[Draft],
    *,
    window: int = 16,
    strict: bool = False,
    on_pair: Callable[[int], None] = lambda _: None,
) -> Leads:
    """Ask a judge for all criteria on all pairs in both orders, :data:`AT_ONCE` criteria in a request.

    The answers go through the session's journal. ``pairs`` may hold no tie.

    Raises:
        InputError: with ``strict``, an unreadable image.
        RunError: not one pair got all its answers.
    """
    rows: dict[int, Floats] = {}
    done = 0
    trouble = ""

    async def ask(index: int) -> None:
        nonlocal done, trouble
        pair = pairs[index]
        try:
            rows[index] = np.stack([await in_order(pair, order) for order in Order])
        except ImageUnreadable as error:
            if strict:
                raise InputError(f"{pair.origin or pair.id}: {error}") from error
            trouble = trouble or str(error)
        except _Unanswered as error:
            trouble = trouble or str(error)
        finally:
            pair.release()
        done += 1
        on_pair(done)

    async def in_order(pair: PreferencePair, order: Order) -> Floats:
        towards = 1.0 if (order is Order.AB) == (pair.label is Label.A) else -1.0
        verdicts = await ask_batches(session, pair, order, drafts)
        leads = np.zeros(len(drafts))
        for start, verdict in zip(range(0, len(drafts), AT_ONCE), verdicts, strict=True):
            if not verdict.outcome.settled:
                raise _Unanswered(f"a comparison ended as {verdict.outcome}: {verdict.detail}")
            for finding in verdict.findings:
                lead = finding_lead(finding)
                if lead is not None:
                    leads[start + int(finding.criterion.removeprefix("c")) - 1] = towards * lead
        return leads

    await run_bounded((ask(index) for index in range(len(pairs))), window)
    if pairs and not rows:
        raise RunError(
            f"none of {len(pairs)} pairs got an answer for each criterion",
            hint=f"The first trouble: {trouble}",
            resumable=True,
        )
    values = np.stack([rows[index] for index in sorted(rows)]) if rows else np.zeros((0, 2, len(drafts)))
    return Leads(values, len(pairs) - len(rows))


async def ask_batches(
    session: JudgeSession, pair: PreferencePair, order: Order, drafts: Sequence[Draft]
) -> list[Verdict]:
    """Compare a pair under all ``drafts``, :data:`AT_ONCE` at once."""
    return await together(
        session.compare(
            compare_request(pair, order, draft_dimensions(CANDIDATES, drafts[start : start + AT_ONCE])),
            pair=pair.id,
            order=order,
        )
        for start in range(0, len(drafts), AT_ONCE)
    )


class _Unanswered(Exception):
    """A judge call ended without an answer, so the pair has no row."""


def support_weights(pool: Sequence[Pooled]) -> Floats:
    """The weight of each criterion: the pairs it came from, relative to the best supported, at least 0.05."""
    counts = np.array([len(each.pairs) for each in pool], dtype=np.float64)
    return np.maximum(0.05, counts / counts.max()) if counts.size else counts


def support_order(pool: Sequence[Pooled], seed: int) -> list[int]:
    """The criteria by the number of pairs they came from, the most first; equals as the seed draws them."""
    drawn = _drawn(len(pool), seed)
    return sorted(range(len(pool)), key=lambda index: (-len(pool[index].pairs), drawn[index]))


def greedy_order(leads: Floats, weights: Floats, count: int, *, seed: int) -> list[int]:
    """Forward selection: the first ``count`` criteria, each the best to add to those before it.

    The best is the one under which the weighted sum of leads is right in both orders on most pairs; among
    equals the one with the higher accuracy (a tie earns 1/2), then the higher mean margin, then as drawn.

    Args:
        leads: of :class:`Leads`, shape (pairs, 2, criteria).
        weights: shape (criteria,).
        count: how many to choose; all where there are no more.
        seed: draws among equals.
    """
    drawn = _drawn(leads.shape[2], seed)
    heavy = leads * weights
    left = list(range(leads.shape[2]))
    chosen: list[int] = []
    margins = np.zeros(leads.shape[:2])
    while left and len(chosen) < count:
        tried = margins[:, :, None] + heavy[:, :, left]  # (pairs, 2, left)
        twice, right = _right(tried)
        total = weights[chosen].sum() + weights[left]
        scores = zip(
            _rounded(twice.sum(axis=0)),
            _rounded(right.sum(axis=0)),
            _rounded(tried.sum(axis=(0, 1)) / total),
            [-drawn[index] for index in left],
            left,
            strict=True,
        )
        best = max(scores)[-1]
        margins = margins + heavy[:, :, best]
        left.remove(best)
        chosen.append(best)
    return chosen


def best_prefix(leads: Floats, weights: Floats, order: Sequence[int], most: int) -> int:
    """How many criteria of an order to keep, from 1 to ``most``: the fewest among the equally good."""
    found = []
    for size in range(1, min(most, len(order)) + 1):
        twice, right = _right((leads[:, :, order[:size]] * weights[list(order[:size])]).sum(axis=2))
        found.append((float(twice.sum()), round(float(right.sum()), 9)))
    return found.index(max(found)) + 1


def combined_rates(leads: Floats, weights: Floats, members: Sequence[int]) -> tuple[Rate, Rate] | None:
    """Accuracy under some criteria, and the share of pairs right in both orders; None without a pair.

    The side that the weighted sum of leads names is taken for the judge's choice, a sum of 0 for a tie.
    """
    twice, right = _right((leads[:, :, members] * weights[list(members)]).sum(axis=2))
    accuracy, both = wilson(float(right.sum()), len(right)), wilson(float(twice.sum()), len(twice))
    return None if accuracy is None or both is None else (accuracy, both)


def coding_rate(rows: Floats) -> float:
    """The bits, up to a factor, that vectors take when coded up to a distortion.

    R(Z) = 1/2 log det(I + d / (n ε²) Z Zᵀ) of "Learning Diverse and Discriminative Representations via the
    Principle of Maximal Coding Rate Reduction" (arXiv 2006.08558), ``rows`` of shape (n, d).
    """
    n, d = rows.shape
    if not n:
        return 0.0
    return 0.5 * float(np.linalg.slogdet(np.eye(n) + d / (n * DISTORTION) * (rows @ rows.T))[1])


def coding_order(rows: Floats, first: Sequence[int], count: int) -> list[int]:
    """The first ``count`` statements, each the one that raises :func:`coding_rate` most.

    The principle maximises R of all vectors less the mean R of each class. Verified criteria have no classes.
    With each statement as its own class the second term is the same for every choice of as many statements
    of unit length, so that maximal rate and maximal reduction are one.

    Args:
        rows: embeddings of unit length, shape (statements, d).
        first: all indices, those to be preferred among equals first.
        count: how many to choose; all where there are no more.
    """
    left, chosen = list(first), list[int]()
    while left and len(chosen) < count:
        rates = _rounded(np.array([coding_rate(rows[[*chosen, index]]) for index in left]))
        best = left[rates.index(max(rates))]
        left.remove(best)
        chosen.append(best)
    return chosen


def embed_statements(pool: Sequence[Pooled], seed: int) -> tuple[Floats, str]:
    """The embedding of each statement, and by what (:func:`~arrkit.data.diversity.embed_texts`)."""
    rows, space = embed_texts([each.draft.statement for each in pool], seed)
    return rows.astype(np.float64), space


def _right(margins: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Of margins (pairs, 2, ...): whether both orders are right, and the mean score of the two."""
    scores = np.where(margins > EPSILON, 1.0, np.where(margins < -EPSILON, 0.0, 0.5))
    twice: NDArray[np.bool_] = np.all(margins > EPSILON, axis=1)
    right: Floats = np.mean(scores, axis=1)
    return twice, right


def _rounded(values: Floats) -> list[float]:
    # What differs by rounding alone must not decide, since it may differ between machines.
    return [round(float(value), 9) for value in values]


def _drawn(count: int, seed: int) -> list[int]:
    places = list(range(count))
    random.Random(f"selection/{seed}").shuffle(places)  # noqa: S311  breaks ties, no secret
    return places
