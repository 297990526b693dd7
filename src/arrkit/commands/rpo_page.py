"""The page of ``rpo train``: whether the policy got better, how training went, and what it paints now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from arrkit import __version__
from arrkit.commands.inputs import NamedRubric
from arrkit.commands.pages import rubric_view
from arrkit.commands.rpo_rewards import falling, reward_plots, reward_tables
from arrkit.rpo.against import Evaluation
from arrkit.rpo.alarm import all_alarms, gap
from arrkit.rpo.history import History
from arrkit.rpo.recipe import Algorithm, Recipe
from arrkit.rpo.sheet import SheetRow
from arrkit.rubric.model import Rate
from arrkit.runs.pictures import thumbnail
from arrkit.runs.view import (
    Chart,
    ChartRow,
    Column,
    ColumnKind,
    Curve,
    CurvePlot,
    Gallery,
    GalleryImage,
    GalleryRow,
    Page,
    Table,
)

PHASES = ("rollout", "decode", "judge", "train")
"""What the time of an update is spent in; ``judge`` is the wait for rulings that nothing else filled."""

_UPDATES = "updates"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFacts:
    """What a page tells of a run beside its history.

    ``rubrics`` are the one that is trained on and, where there is one, the watched one, in this order.
    ``pictures`` are of held-out prompts, as the last comparison painted them.
    """

    policy: str
    judge: str
    started_at: str
    recipe: Recipe
    seed: int
    rubrics: Sequence[NamedRubric] = ()
    pictures: Sequence[SheetRow] = ()
    processes: int = 1
    notes: Sequence[str] = ()


def training_page(history: History, facts: TrainingFacts) -> Page:
    """The report of a training run, finished or not."""
    evaluations = history.evaluations
    return Page(
        title=f"{facts.policy} trained",
        command="rpo train",
        summary=verdict(history.updates, evaluations),
        generated_at=facts.started_at,
        arrkit_version=__version__,
        facts=(
            ("Policy", facts.policy),
            ("Judge", facts.judge),
            ("Rubric", facts.rubrics[0].rubric.name if facts.rubrics else "written for each prompt"),
            ("Updates", f"{history.updates} of {facts.recipe.max_steps}"),
            ("Algorithm", f"{facts.recipe.algorithm}, {facts.recipe.reward} reward"),
            ("Images judged", f"{_images(history):,.0f}"),
            ("Processes", str(facts.processes)),
            ("Seed", str(facts.seed)),
        ),
        charts=tuple(_criteria_chart(evaluations, facts.rubrics)),
        curves=tuple(_plots(history, _statements(facts.rubrics))),
        tables=(*_tables(history), *reward_tables(history, _statements(facts.rubrics))),
        galleries=tuple(_gallery(facts.pictures)),
        rubrics=tuple(rubric_view(each.rubric, each.digest) for each in facts.rubrics),
        notes=tuple(_notes(history, facts)),
    )


def verdict(updates: int, evaluations: Sequence[Evaluation]) -> str:
    """Whether the policy got better, in a sentence or two."""
    after = f"After {updates} update{'s' * (updates != 1)}"
    rate = evaluations[-1].training.win_rate if evaluations else None
    if rate is None:
        return f"{after} the policy has not been compared with its base model."
    told = (
        f"its win-rate on held-out prompts is {100 * rate.value:.1f} % "
        f"(95 % interval {100 * rate.low:.1f} to {100 * rate.high:.1f}, n {rate.n})"
    )
    if rate.low > 0.5:
        said = f"{after} the policy beats its base model: {told}."
    elif rate.high < 0.5:
        said = f"{after} the policy is worse than its base model: {told}."
    else:
        said = f"{after} it cannot be told whether the policy is better than its base model: {told}."
    sounding = {alarm.what for alarm in all_alarms(evaluations)}
    if sounding:
        said += (
            f" The alarm went off ({', '.join(sorted(sounding))}): see the notes, and look at the pictures."
        )
    return said


def _images(history: History) -> float:
    return history.total("reward/images") or history.total("images") or 2 * history.total("judge/pairs")


def _statements(rubrics: Sequence[NamedRubric]) -> dict[str, str]:
    """The statements of the trained rubric by their ids."""
    return {each.id: each.statement for named in rubrics[:1] for each in named.rubric.criteria()}


def _criteria_chart(evaluations: Sequence[Evaluation], rubrics: Sequence[NamedRubric]) -> Iterable[Chart]:
    if not evaluations:
        return
    found = evaluations[-1].training
    statements = _statements(rubrics)
    rows = [ChartRow("all criteria together", found.win_rate)] if found.win_rate is not None else []
    rows += [ChartRow(statements.get(name, name), rate, muted=True) for name, rate in found.criteria.items()]
    if rows:
        yield Chart(
            "Win-rate against the base model, at the end",
            tuple(rows),
            reference_label="no better",
            note="By each criterion alone, a pair that the judge found alike counts half.",
        )


def _plots(history: History, statements: Mapping[str, str]) -> Iterable[CurvePlot]:
    evaluations = history.evaluations
    rates = [
        _rates(
            name,
            (
                (each.update, comparison.win_rate)
                for each in evaluations
                if (comparison := getattr(each, room)) is not None
            ),
        )
        for room, name in (("training", "trained on"), ("watched", "watched"))
    ]
    yield CurvePlot(
        "Win-rate against the base model",
        tuple(rates),
        ColumnKind.RATE,
        _UPDATES,
        low=0.0,
        high=1.0,
        reference=0.5,
    )
    if history.keys("gap"):
        yield CurvePlot(
            "Gap between the two rubrics",
            (_rates("trained on, above watched", ((each.update, gap(each)) for each in evaluations)),),
            ColumnKind.DIFFERENCE,
            _UPDATES,
            reference=0.0,
            note="Of win-rates. One that widens is a policy that learns its rubric instead of its task.",
        )
    yield from reward_plots(history, statements, _UPDATES)
    names = dict.fromkeys(name for each in evaluations for name in each.drifts)
    yield CurvePlot(
        "Pictures against the base model's",
        tuple(
            Curve(
                name,
                tuple((each.update, each.drifts[name].change) for each in evaluations if name in each.drifts),
            )
            for name in names
        ),
        ColumnKind.DIFFERENCE,
        _UPDATES,
        reference=0.0,
        note="How the mean of each statistic changed, on the same prompts from the same noise.",
    )

    def plot(
        title: str,
        series: Sequence[tuple[str, str]],
        kind: ColumnKind = ColumnKind.NUMBER,
        **more: float | str,
    ) -> CurvePlot:
        drawn = tuple(Curve(name, tuple(history.series(key))) for key, name in series)
        return CurvePlot(title, drawn, kind, _UPDATES, **more)  # type: ignore[arg-type]

    yield plot(
        "What the judge says",
        [
            ("judge/tie_rate", "ties"),
            ("judge/consistency", "same in both orders"),
            ("judge/first_rate", "first image"),
        ],
        ColumnKind.RATE,
        low=0.0,
        high=1.0,
        note="Of training pairs. The image shown first should be named as often as the other.",
    )
    yield plot("Pairs without a ruling", [("judge/failures", "pairs")], low=0.0)
    yield plot("Seconds until a ruling", [("judge/latency", "mean of an update's pairs")], low=0.0)
    yield plot("Loss", [("loss", "loss")])
    yield plot("Divergence from the base model", [("divergence", "divergence")], low=0.0)
    yield plot("Norm of the gradient", [("grad_norm", "before clipping")], low=0.0)
    yield plot("Norm of the adapter", [("lora_norm", "norm")], low=0.0)
    yield plot("Log-ratio to the policy that sampled", _by_step(history, "log_ratio"), reference=0.0)
    if history.total("clip/low") or history.total("clip/high"):
        series = [("clip/low", "below"), ("clip/high", "above")]
        yield plot("Clipped transitions", series, ColumnKind.RATE, low=0.0)
    yield plot("Learning rate", [("rate", "rate")], low=0.0)
    yield plot("Seconds of an update", [(f"seconds/{phase}", phase) for phase in PHASES], low=0.0)
    yield plot("Images a second", [("images_per_second", "sampled, judged and trained on")], low=0.0)
    yield plot("Memory of the device", [("memory_gib", "GiB at most")], low=0.0)
    yield plot("Money spent on the judge", [("judge/dollars", "dollars")], low=0.0)


def _by_step(history: History, room: str) -> list[tuple[str, str]]:
    keys = sorted(history.keys(f"{room}/"), key=lambda key: (len(key), key))
    return [(key, f"step {key.rpartition('/')[2]}") for key in keys]


def _rates(name: str, found: Iterable[tuple[int, Rate | None]]) -> Curve:
    known = [(update, rate) for update, rate in found if rate is not None]
    return Curve(
        name,
        tuple((update, rate.value) for update, rate in known),
        tuple((rate.low, rate.high) for _, rate in known),
    )


def _tables(history: History) -> Iterable[Table]:
    evaluations = history.evaluations
    if evaluations:
        yield Table(
            "Comparisons with the base model",
            (
                Column("Updates", ColumnKind.NUMBER),
                Column("Win-rate", ColumnKind.RATE, "a tie counts half; 50 % is no better"),
                Column("Watched", ColumnKind.RATE, "the same under the rubric that is not trained on"),
                Column("Won · tied · lost"),
                Column("No ruling", ColumnKind.NUMBER),
                Column("Consistency", ColumnKind.RATE, "share of pairs judged alike in both orders"),
                Column("First rate", ColumnKind.RATE, "share of answers that name the image shown first"),
            ),
            tuple(
                (
                    each.update,
                    each.training.win_rate,
                    each.watched.win_rate if each.watched is not None else None,
                    f"{each.training.wins} · {each.training.ties} · {each.training.losses}",
                    each.training.failures,
                    each.training.consistency,
                    each.training.first_rate,
                )
                for each in evaluations
            ),
        )
    yield from _time(history)


def _time(history: History) -> Iterable[Table]:
    phases = [key.removeprefix("seconds/") for key in history.keys("seconds/")]
    whole = history.total("seconds")
    if not phases or whole <= 0:
        return
    ordered = [each for each in PHASES if each in phases] + [each for each in phases if each not in PHASES]
    spent = {phase: history.total(f"seconds/{phase}") for phase in ordered}
    yield Table(
        "Where the time went",
        (Column("Phase"), Column("Seconds", ColumnKind.NUMBER), Column("Share", ColumnKind.RATE)),
        tuple((phase, float(seconds), seconds / whole) for phase, seconds in spent.items()),
        note="Of the first process. The judge works beside it: its seconds are what nothing else filled.",
    )


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _gallery(rows: Sequence[SheetRow]) -> Iterable[Gallery]:
    if not rows:
        return
    words = {True: "trained is better", False: "base is better", None: "a tie"}
    yield Gallery(
        "Before and after",
        tuple(
            GalleryRow(
                row.prompt,
                tuple(
                    GalleryImage(caption, thumbnail(image))
                    for caption, image in (
                        ("source", row.source),
                        ("base", row.base),
                        ("trained", row.trained),
                    )
                    if image is not None
                ),
                words[row.won] if row.judged else "",
            )
            for row in rows
        ),
        note="Held-out prompts, painted by both models from the same noise.",
    )


def _notes(history: History, facts: TrainingFacts) -> Iterable[str]:
    for alarm in all_alarms(history.evaluations):
        yield f"Alarm after {alarm.update} updates: {alarm.message}"
    yield from falling(history, _statements(facts.rubrics))
    same = "Base and trained model paint the same held-out prompts from the same noise; the judge "
    if facts.recipe.reward.compares:
        yield (
            f"{same}compares each pair in both orders. Only where both name the same image is it preferred; "
            "otherwise it is a tie, which counts half."
        )
    else:
        yield (
            f"{same}scores each image by itself, and the higher weighted score is preferred; a tie counts "
            "half."
        )
    if facts.recipe.algorithm is Algorithm.FLOW_GRPO:
        yield (
            "In training, an image's advantage is its reward minus its group's mean, over their deviation. "
            "Images without an answer, and groups whose images are all alike, are left out; neither counts "
            "as a zero."
        )
    else:
        yield "In training, ties and pairs without a ruling are left out; neither counts as a zero."
    pairs, failures = history.total("judge/pairs"), history.total("judge/failures")
    if failures:
        yield f"{failures:,.0f} of {pairs:,.0f} training pairs got no ruling from the judge."
    skipped = history.total("skipped")
    if skipped:
        yield f"Updates skipped: {skipped:,.0f}. Nothing was decided in them, or numbers were not finite."
    yield from facts.notes
    recipe = (f"{name.replace('_', ' ')} {_plain(value)}" for name, value in asdict(facts.recipe).items())
    yield f"The recipe: {', '.join(recipe)}."
