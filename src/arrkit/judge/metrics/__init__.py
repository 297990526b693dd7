"""Metrics by name: pure functions from saved judgments to a value with its interval and its counts.

"Accuracy" means a different thing in each paper: what a tie earns, what a failure costs, whether both orders
must be right, what is averaged. Each of these has a name here, and its docstring says the rule, the
denominator, the failures and the source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from arrkit.errors import InputError, nearest
from arrkit.judge.answered import Answered
from arrkit.judge.metrics.groups import group_all, per_prompt_inversion, rank_exact
from arrkit.judge.metrics.official import OFFICIAL, Rule
from arrkit.judge.metrics.pairs import both_orders, both_right, four_class, macro, strict_pair
from arrkit.judge.metrics.ties import tie_calibrated, tie_credit
from arrkit.judge.metrics.value import MetricValue, Unit

__all__ = ["METRICS", "OFFICIAL", "Metric", "MetricValue", "Rule", "Unit", "find_metric", "find_metrics"]

METRICS: Mapping[str, Callable[..., MetricValue]] = {
    "strict-pair": strict_pair,
    "both-orders": both_orders,
    "both-right": both_right,
    "group-all": group_all,
    "tie-credit": tie_credit,
    "tie-calibrated": tie_calibrated,
    "four-class": four_class,
    "per-prompt-inversion": per_prompt_inversion,
    "rank-exact": rank_exact,
}
"""The metrics that take no argument; ``macro:FIELD`` and ``official`` are the others."""

NAMES = (*METRICS, "macro:FIELD", "official")

Measure = Callable[[Iterable[Answered]], MetricValue]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as someone named it, and the metadata fields that it reads."""

    name: str
    measure: Measure
    fields: tuple[str, ...] = ()

    @property
    def asked(self) -> tuple[str, ...]:
        """The fields that whoever named the metric named with it: the one of ``macro:FIELD``."""
        return self.fields if self.name.startswith("macro:") else ()

    def __call__(self, answers: Iterable[Answered]) -> MetricValue:
        return replace(self.measure(answers), name=self.name)


def find_metric(name: str, *, official: str = "", seed: int = 0, threshold: float | None = None) -> Metric:
    """The metric called ``name``: one of :data:`NAMES`, or ``official:RULE`` for the rule of another set.

    ``official`` names the dataset's own rule, one of :data:`OFFICIAL` or any other metric; empty where it has
    none. ``threshold`` is for ``tie-credit``. Raises :class:`~arrkit.errors.InputError` for an unknown name.
    """
    kind, _, argument = name.partition(":")
    if kind == "official":
        return _official(argument or official, threshold=threshold, seed=seed)
    if kind == "macro" and argument:
        return Metric(name, partial(macro, field=argument, seed=seed), (argument,))
    metric = METRICS.get(name)
    if metric is None:
        hint = "Name a metadata field, such as macro:category." if kind == "macro" else ""
        raise InputError(
            f'unknown metric "{name}"{nearest(name, NAMES)}', hint=hint or f"There are {', '.join(NAMES)}."
        )
    return Metric(name, _with(metric, seed, threshold))


def find_metrics(
    names: Sequence[str], *, official: str = "", seed: int = 0, threshold: float | None = None
) -> tuple[Metric, ...]:
    """The metrics called ``names``, each once; without any the dataset's own beside ``strict-pair``."""
    wanted = dict.fromkeys(names or (*(("official",) if official else ()), "strict-pair"))
    return tuple(find_metric(name, official=official, seed=seed, threshold=threshold) for name in wanted)


def _official(rule: str, *, threshold: float | None, seed: int) -> Metric:
    if rule in OFFICIAL:
        found = OFFICIAL[rule]
        return Metric(f"official:{rule}", _with(found.metric, seed, threshold), found.fields)
    if not rule:
        raise InputError(
            "these pairs have no official metric",
            hint=f"Name another set's rule as official:NAME, of {', '.join(OFFICIAL)}.",
        )
    try:
        found_metric = find_metric(rule, seed=seed, threshold=threshold)
    except InputError:
        raise InputError(
            f'there is no official rule "{rule}"{nearest(rule, OFFICIAL)}',
            hint=f"There are {', '.join(OFFICIAL)}.",
        ) from None
    return Metric(f"official:{rule}", found_metric.measure, found_metric.fields)


def _with(metric: Callable[..., MetricValue], seed: int, threshold: float | None) -> Measure:
    if metric is tie_credit:
        return partial(tie_credit, seed=seed, threshold=threshold)
    return partial(metric, seed=seed)
