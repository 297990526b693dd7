"""What the page of ``rpo train`` shows of scalar rewards: curves, and which criteria rose and which fell."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from arrkit.judge.stats import Z95
from arrkit.rpo.history import History
from arrkit.rubric.model import Rate
from arrkit.runs.view import Column, ColumnKind, Curve, CurvePlot, Table

CRITERION = "reward/criterion/"
PART = 0.25
"""The share of the updates at each end of a run that a criterion's change is measured between."""


def reward_plots(history: History, statements: Mapping[str, str], axis: str) -> Iterable[CurvePlot]:
    """Curves of the reward, as a whole and by criterion; none for a run without scores."""

    def plot(title: str, series: Sequence[tuple[str, str]], note: str = "", most: float = 1.0) -> CurvePlot:
        drawn = tuple(Curve(name, tuple(history.series(key))) for key, name in series)
        return CurvePlot(title, drawn, ColumnKind.NUMBER, axis, low=0.0, high=most, note=note)

    if history.keys("reward/mean"):
        yield plot(
            "Reward",
            [("reward/mean", "mean of an update's images"), ("reward/spread", "deviation within a group")],
            "The weighted score of an image, of 1.",
        )
    names = history.keys(CRITERION)
    if names:
        yield plot(
            "Score by criterion",
            [
                (key, statements.get(key.removeprefix(CRITERION), key.removeprefix(CRITERION)))
                for key in names
            ],
            "Mean of an update's images. One that rises while others fall is where a reward is hacked.",
        )
    if history.keys("reward/flat"):
        yield plot("Groups that teach nothing", [("reward/flat", "share of an update's groups")])
    if history.total("reward/failures"):
        most = max(value for _, value in history.series("reward/failures"))
        yield plot("Images without a score", [("reward/failures", "images")], most=most)


def criterion_changes(history: History) -> dict[str, tuple[float, float, Rate]]:
    """By criterion its mean score in the first and in the last quarter of the updates, and the change.

    The change comes with a 95 % interval from how much the means of updates vary (Welch), and their number
    as its n. A run of fewer than eight updates has none.
    """
    found = {}
    for key in history.keys(CRITERION):
        values = [value for _, value in history.series(key)]
        count = int(len(values) * PART)
        if count < 2:
            continue
        first, last = values[:count], values[-count:]
        change = statistics.fmean(last) - statistics.fmean(first)
        half = Z95 * math.sqrt((statistics.variance(first) + statistics.variance(last)) / count)
        rate = Rate(change, change - half, change + half, 2 * count)
        found[key.removeprefix(CRITERION)] = statistics.fmean(first), statistics.fmean(last), rate
    return found


def reward_tables(history: History, statements: Mapping[str, str]) -> Iterable[Table]:
    """How each criterion's score changed in training, those that fell first."""
    changes = criterion_changes(history)
    if not changes:
        return
    ordered = sorted(changes.items(), key=lambda entry: entry[1][2].value)
    yield Table(
        "Score by criterion, at first and at the end",
        (
            Column("Criterion"),
            Column("First quarter", ColumnKind.NUMBER, "mean score of the images of the first updates"),
            Column("Last quarter", ColumnKind.NUMBER, "of the last ones"),
            Column("Change", ColumnKind.DIFFERENCE, "n counts updates"),
        ),
        tuple(
            (statements.get(name, name), round(first, 3), round(last, 3), change)
            for name, (first, last, change) in ordered
        ),
        note="Of training prompts. While the reward rises, a criterion that surely falls pays for it.",
    )


def falling(history: History, statements: Mapping[str, str]) -> Iterable[str]:
    """A sentence where the reward rose and criteria surely fell, as in a hack."""
    rewards = [value for _, value in history.series("reward/mean")]
    count = int(len(rewards) * PART)
    if count < 2 or statistics.fmean(rewards[-count:]) <= statistics.fmean(rewards[:count]):
        return
    fell = [
        f"{statements.get(name, name)} ({first:.2f} to {last:.2f})"
        for name, (first, last, change) in criterion_changes(history).items()
        if change.high < 0
    ]
    if fell:
        yield f"The reward rose while the scores of {len(fell)} criteria fell: {'; '.join(fell)}."
