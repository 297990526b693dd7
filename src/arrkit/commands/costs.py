"""What a pair takes in each row of a report, for its page."""

from __future__ import annotations

from arrkit.judge.report import JudgeReport
from arrkit.runs.view import Cell, Column, ColumnKind, Table

COST_RULE = (
    "A mean over the pairs judged, as if no answer had been there before; an answer that serves several "
    "pairs is shared out among them."
)
"""How what a pair takes is counted, for a caption."""


def cost_table(report: JudgeReport) -> Table:
    """Calls, requests, tokens and dollars of a pair, so that a gain can be held against them."""
    rows: list[tuple[Cell, ...]] = []
    for row in report.rows:
        cost = row.cost
        if cost is None:
            rows.append((row.rubric, str(row.protocol), None, None, None, None, None))
            continue
        inputs, outputs = (
            None if each is None else round(each) for each in (cost.input_tokens, cost.output_tokens)
        )
        # Two decimals, as numbers are drawn, would make most prices 0.
        dollars = None if cost.dollars is None else f"${cost.dollars:.5f}"
        rows.append((row.rubric, str(row.protocol), cost.calls, cost.requests, inputs, outputs, dollars))
    return Table(
        "What a pair takes",
        (
            Column("Rubric"),
            Column("Protocol"),
            Column("Calls", ColumnKind.NUMBER, "questions to the judge"),
            Column(
                "Requests", ColumnKind.NUMBER, "what a hosted judge made of them; 0 where nothing is sent"
            ),
            Column("Input tokens", ColumnKind.NUMBER),
            Column("Output tokens", ColumnKind.NUMBER),
            Column("Dollars", ColumnKind.TEXT, "by the price lists; a dash where no price is known"),
        ),
        tuple(rows),
        COST_RULE,
    )
