"""How a policy in training does against the model that it began as, on prompts that it is not trained on.

Both paint the same prompts from the same noise, the base model once and for all. A judge compares each pair
of images in both orders, under the rubric that is trained on and, where there is one, under another that is
only watched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from arrkit.data.pairs import Label
from arrkit.data.prompts import Prompt
from arrkit.judge.stats import wilson
from arrkit.rpo.looks import Drift, Looks, drifts, look
from arrkit.rpo.ruling import Candidates, Ruling
from arrkit.rubric.model import Rate

if TYPE_CHECKING:
    from PIL.Image import Image

Ask = Callable[[Candidates], Future[Ruling]]
"""Has a pair judged; :meth:`arrkit.rpo.reward.Referee.submit` is one."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the trained policy did against its base under one rubric. A rate without a base is None.

    Args:
        wins, ties, losses: of the trained policy, in pairs; ``failures`` got no ruling and enter no rate.
        win_rate: (wins + ties / 2) / n, 0.5 for a policy that is no better. Wilson.
        consistency: the share of ruled pairs in which both orders said the same. Wilson.
        first_rate: of the answers that name an image, the share that name the one shown first; 0.5 for a
            judge without a preference for a place. Wilson at the number of pairs.
        criteria: the same as ``win_rate`` for each criterion of the rubric alone.
    """

    wins: int
    ties: int
    losses: int
    failures: int
    win_rate: Rate | None = None
    consistency: Rate | None = None
    first_rate: Rate | None = None
    criteria: Mapping[str, Rate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sitting:
    """What was found out about some prompts, one entry for each in every part (``watched`` may be empty).

    In rulings A is the trained policy's image and B the base model's. JSON can hold it, so that processes may
    share the prompts and put their parts together: ``Sitting.joined``.
    """

    training: tuple[Ruling, ...]
    watched: tuple[Ruling, ...] = ()
    base: tuple[Looks, ...] = ()
    trained: tuple[Looks, ...] = ()

    @staticmethod
    def joined(parts: Iterable[Sitting]) -> Sitting:
        """All parts as one."""
        parts = list(parts)
        return Sitting(
            tuple(ruling for part in parts for ruling in part.training),
            tuple(ruling for part in parts for ruling in part.watched),
            tuple(looks for part in parts for looks in part.base),
            tuple(looks for part in parts for looks in part.trained),
        )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Where a policy stood after ``update`` updates. ``watched`` is None without a watched rubric."""

    update: int
    training: Comparison
    watched: Comparison | None = None
    drifts: Mapping[str, Drift] = field(default_factory=dict)


def compare(rulings: Sequence[Ruling]) -> Comparison:
    """The counts and rates of rulings in which A is the trained policy's image."""
    ruled = [each for each in rulings if each.preferred is not None]
    wins = sum(each.preferred is Label.A for each in ruled)
    ties = sum(each.preferred is Label.TIE for each in ruled)
    both = [each.consistent for each in ruled if each.consistent is not None]
    named = [each for each in rulings if each.presentations]
    first = sum(each.first_slot for each in named) / max(1, sum(each.presentations for each in named))
    found: dict[str, list[float]] = {}
    for each in ruled:
        for criterion, lead in each.findings.items():
            found.setdefault(criterion, []).append((1 + lead) / 2)
    rates = {criterion: wilson(sum(won), len(won)) for criterion, won in sorted(found.items())}
    return Comparison(
        wins=wins,
        ties=ties,
        losses=len(ruled) - wins - ties,
        failures=len(rulings) - len(ruled),
        win_rate=wilson(wins + ties / 2, len(ruled)),
        consistency=wilson(sum(both), len(both)),
        first_rate=wilson(first * len(named), len(named)),
        criteria={criterion: rate for criterion, rate in rates.items() if rate is not None},
    )


def sit(
    prompts: Sequence[Prompt],
    base: Sequence[Image],
    trained: Sequence[Image],
    ask: Ask,
    *,
    update: int,
    watch: Ask | None = None,
) -> Sitting:
    """Have images of the same prompts and noise compared. Waits for all rulings.

    Raises ``ValueError`` where the sequences are not of one length, and what ended the judge where the run
    cannot go on.
    """
    pairs = [
        Candidates(f"evaluation/{update}/{prompt.id}", prompt, new, old)
        for prompt, old, new in zip(prompts, base, trained, strict=True)
    ]
    training = [ask(pair) for pair in pairs]
    watched = [watch(pair) for pair in pairs] if watch is not None else []
    # The judge is at work while the pictures are measured.
    looks = tuple(look(image) for image in base), tuple(look(image) for image in trained)
    return Sitting(
        tuple(future.result() for future in training), tuple(future.result() for future in watched), *looks
    )


def evaluation(update: int, sitting: Sitting) -> Evaluation:
    """The numbers of a sitting."""
    return Evaluation(
        update,
        compare(sitting.training),
        compare(sitting.watched) if sitting.watched else None,
        drifts(sitting.base, sitting.trained),
    )


def compare_with_base(
    prompts: Sequence[Prompt],
    base: Sequence[Image],
    trained: Sequence[Image],
    ask: Ask,
    *,
    update: int,
    watch: Ask | None = None,
) -> Evaluation:
    """:func:`sit` and :func:`evaluation` in one, for a run of one process."""
    return evaluation(update, sit(prompts, base, trained, ask, update=update, watch=watch))


def evaluation_metrics(found: Evaluation) -> dict[str, float]:
    """An evaluation as flat numbers for the log, from which :func:`evaluation_of` reads it again.

    ``eval/win_rate`` comes with ``eval/win_rate/low``, ``/high`` and ``/n``, like every rate; what is watched
    stands under ``watch/``, pictures under ``drift/``.
    """
    metrics = _flat("eval", found.training)
    if found.watched is not None:
        metrics |= _flat("watch", found.watched)
    for name, drift in found.drifts.items():
        metrics[f"drift/{name}"] = drift.change
        for part in ("base", "trained", "low", "high", "n"):
            metrics[f"drift/{name}/{part}"] = getattr(drift, part)
    return metrics


def evaluation_of(update: int, metrics: Mapping[str, float]) -> Evaluation | None:
    """The evaluation that a row of the log holds, or None where it holds none."""
    training = _read("eval", metrics)
    if training is None:
        return None
    found = {}
    for key, change in metrics.items():
        room, _, name = key.partition("/")
        if room == "drift" and "/" not in name:
            base, trained, low, high, n = (
                metrics[f"{key}/{part}"] for part in ("base", "trained", "low", "high", "n")
            )
            found[name] = Drift(base, trained, change, low, high, int(n))
    return Evaluation(update, training, _read("watch", metrics), found)


_COUNTS = ("wins", "ties", "losses", "failures")
_RATES = ("win_rate", "consistency", "first_rate")
_CRITERION = "criterion/"


def _flat(room: str, comparison: Comparison) -> dict[str, float]:
    metrics: dict[str, float] = {f"{room}/{name}": getattr(comparison, name) for name in _COUNTS}
    rates = {name: getattr(comparison, name) for name in _RATES}
    rates |= {f"{_CRITERION}{name}": rate for name, rate in comparison.criteria.items()}
    for name, rate in rates.items():
        if rate is not None:
            metrics[f"{room}/{name}"] = rate.value
            metrics |= {f"{room}/{name}/{part}": getattr(rate, part) for part in ("low", "high", "n")}
    return metrics


def _read(room: str, metrics: Mapping[str, float]) -> Comparison | None:
    if f"{room}/wins" not in metrics:
        return None

    def rate(name: str) -> Rate | None:
        key = f"{room}/{name}"
        if key not in metrics:
            return None
        return Rate(metrics[key], metrics[f"{key}/low"], metrics[f"{key}/high"], int(metrics[f"{key}/n"]))

    start = f"{room}/{_CRITERION}"
    named = [key.removeprefix(start).removesuffix("/n") for key in metrics if key.startswith(start)]
    found = {name: rate(f"{_CRITERION}{name}") for name in named if f"{start}{name}/n" in metrics}
    wins, ties, losses, failures = (int(metrics[f"{room}/{name}"]) for name in _COUNTS)
    win_rate, consistency, first_rate = (rate(name) for name in _RATES)
    criteria = {name: each for name, each in found.items() if each is not None}
    return Comparison(wins, ties, losses, failures, win_rate, consistency, first_rate, criteria)
