"""What a finished training run leaves for people: numbers, a page, a model card, pictures."""

from __future__ import annotations

from collections.abc import Sequence

from arrkit.backends.spec import Spec
from arrkit.canonical import pretty_json, write_atomic
from arrkit.commands.rpo_page import TrainingFacts, training_page
from arrkit.commands.rpo_train import Prepared, TrainReport
from arrkit.rpo.card import CardFacts, CardPicture, model_card
from arrkit.rpo.history import History
from arrkit.rpo.sheet import SheetRow, before_after, save_png
from arrkit.runs.page import write_page
from arrkit.serial import to_json

SHEET = "before-after.png"
WIDGETS = 4
SHEET_ROWS = 12
"""The sheet shows at most so many prompts, those that changed first."""


def write_results(
    prepared: Prepared,
    report: TrainReport,
    history: History,
    pictures: Sequence[SheetRow],
    *,
    started_at: str,
    processes: int,
) -> None:
    """Write ``report.json``, ``report.html``, ``README.md`` and the pictures into the run's folder.

    ``pictures`` are those of the last comparison.
    """
    folder = report.folder
    rows = telling(pictures)
    shown: list[CardPicture] = []
    if rows:
        title = f"{report.policy} before and after {report.updates} updates"
        save_png(before_after(rows, title=title, note=report.sentences[1], columns=2), folder / SHEET)
        for number, row in enumerate(rows[:WIDGETS], start=1):
            file = f"images/{number}.png"
            save_png(row.trained, folder / file)
            shown.append(CardPicture(row.prompt, file))
    write_atomic(folder / "README.md", model_card(_card(prepared, report, shown, bool(rows))))
    write_atomic(folder / "report.json", pretty_json(to_json(report, defaults=True)))
    facts = TrainingFacts(
        policy=report.policy,
        judge=report.judge,
        started_at=started_at,
        recipe=prepared.job.recipe,
        seed=prepared.job.options.seed,
        rubrics=[each for each in (prepared.rubric, prepared.watched) if each is not None],
        pictures=rows,
        processes=processes,
    )
    write_page(training_page(history, facts), folder / "report.html")


def telling(rows: Sequence[SheetRow]) -> list[SheetRow]:
    """A few rows, in proportion to how the judge saw all: won, tied and lost, each in their order."""
    if len(rows) <= SHEET_ROWS:
        return list(rows)
    step = len(rows) / SHEET_ROWS
    ranked = sorted(rows, key=lambda row: {True: 0, None: 1, False: 2}[row.won])
    return [ranked[int(index * step)] for index in range(SHEET_ROWS)]


def _card(prepared: Prepared, report: TrainReport, shown: list[CardPicture], sheet: bool) -> CardFacts:
    rubric = prepared.rubric
    job, policy = prepared.job, prepared.job.policy
    return CardFacts(
        policy=policy.name,
        task=policy.task,
        # Policies on a diffusers pipeline name its class; others have no pipeline to load an adapter into.
        base_model=Spec.parse(policy.name).model if hasattr(policy, "pipeline_class") else "",
        judge=report.judge,
        rubric=rubric.shown if rubric else "",
        digest=rubric.digest if rubric else "",
        criteria=_statements(prepared),
        recipe=job.recipe,
        updates=report.updates,
        seed=job.options.seed,
        evaluation=report.evaluation,
        alarms=report.alarms,
        sheet=SHEET if sheet else "",
        pictures=shown,
    )


def _statements(prepared: Prepared) -> dict[str, str]:
    if prepared.rubric is None:
        return {}
    return {
        criterion.id: criterion.statement
        for dimension in prepared.rubric.rubric.dimensions
        for criterion in dimension.criteria
    }
