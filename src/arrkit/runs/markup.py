"""The still parts of a report page as HTML: facts, tables, interval plots, rubrics. They need no script."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

from arrkit.runs.view import (
    Cell,
    Chart,
    Column,
    ColumnKind,
    CriterionView,
    DimensionView,
    RateLike,
    RubricView,
    Table,
)

DASH = '<span class="none" title="not known">–</span>'
THIN = "\u202f"  # narrow no-break space, between a number and its unit


def text(value: str) -> str:
    """``value`` as running text: escaped, and isolated so that right-to-left text stays in its place."""
    return f"<bdi>{escape(value)}</bdi>"


def percent(value: float) -> str:
    """``83.3 %`` of 0.833."""
    return f"{100 * value:.1f}{THIN}%"


def points(value: float) -> str:
    """``+21.4`` of 0.214, with a true minus sign: percentage points."""
    rounded = round(100 * value, 1)
    return f"{'−' if rounded < 0 else '+' if rounded > 0 else ''}{abs(rounded):.1f}"


def number(value: float) -> str:
    """A count with thousands separators, or two decimals with a true minus sign."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".replace("-", "−")


def cell(value: Cell, kind: ColumnKind) -> str:
    """The content of a table cell."""
    if value is None:
        return DASH
    if isinstance(value, str):
        return text(value)
    if not isinstance(value, (int, float)):
        return _interval(value, kind)
    if not math.isfinite(value):
        return DASH
    if kind is ColumnKind.RATE:
        shown = percent(value)
    elif kind is ColumnKind.DIFFERENCE:
        shown = f"{points(value)} pts"
    else:
        shown = number(value)
    return f'<span class="num">{shown}</span>'


def _interval(rate: RateLike, kind: ColumnKind) -> str:
    if not math.isfinite(rate.value):
        return DASH
    if kind is ColumnKind.RATE:
        value, bar = percent(rate.value), strip(rate, 0.0, 1.0, 0.5)
    elif kind is ColumnKind.DIFFERENCE:
        value, bar = f"{points(rate.value)} pts", strip(rate, -1.0, 1.0, 0.0)
    else:
        value, bar = number(float(rate.value)), ""
    return f'<span class="interval"><span class="num">{value}</span>{bar}{_ends(rate, kind)}</span>'


def _ends(rate: RateLike, kind: ColumnKind) -> str:
    """The interval, where there is one, and the n."""
    spread = ""
    if math.isfinite(rate.low) and math.isfinite(rate.high):
        if kind is ColumnKind.RATE:
            spread = f"{100 * rate.low:.1f}–{100 * rate.high:.1f} · "
        elif kind is ColumnKind.DIFFERENCE:
            spread = f"{points(rate.low)} to {points(rate.high)} · "
        else:
            spread = f"{number(float(rate.low))} to {number(float(rate.high))} · "
    return f'<span class="ends">{spread}n{THIN}{rate.n:,}</span>'


def strip(rate: RateLike, low: float, high: float, reference: float | None, *, muted: bool = False) -> str:
    """An interval with its value as a small picture; positions are shares of the width, so it stretches."""

    def x(value: float) -> str:
        share = 100 * (value - low) / (high - low)
        return f"{min(100.0, max(0.0, share)):.2f}%"

    parts = [f'<svg class="strip{" muted" if muted else ""}" aria-hidden="true" focusable="false">']
    parts.append('<line class="track" x1="0" x2="100%" y1="50%" y2="50%"/>')
    if reference is not None:
        parts.append(f'<line class="ref" x1="{x(reference)}" x2="{x(reference)}" y1="0" y2="100%"/>')
    if math.isfinite(rate.low) and math.isfinite(rate.high):
        parts.append(f'<line class="span" x1="{x(rate.low)}" x2="{x(rate.high)}" y1="50%" y2="50%"/>')
    if math.isfinite(rate.value):
        parts.append(f'<circle cx="{x(rate.value)}" cy="50%" r="4"/>')
    parts.append("</svg>")
    return "".join(parts)


def facts(items: Iterable[tuple[str, str]]) -> str:
    """Short facts of the head, as a description list."""
    entries = "".join(f"<div><dt>{escape(k)}</dt><dd>{text(v)}</dd></div>" for k, v in items)
    return f'<dl class="facts">{entries}</dl>' if entries else ""


def table(content: Table) -> str:
    """A table that becomes a list of labelled values on a narrow screen (by the style sheet)."""
    head = "".join(_header(column) for column in content.columns)
    rows = "".join(
        '<tr role="row">'
        + "".join(
            _body_cell(value, column, first=index == 0)
            for index, (value, column) in enumerate(zip(row, content.columns, strict=True))
        )
        + "</tr>"
        for row in content.rows
    )
    note = f'<p class="note">{text(content.note)}</p>' if content.note else ""
    # Roles stand in the markup, since the narrow layout's display values would take a table's meaning away.
    return (
        f'<div class="tablebox"><table role="table" class="data"><caption>{text(content.caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{rows}</tbody></table>{note}</div>'
    )


def _header(column: Column) -> str:
    title = f' title="{escape(column.help)}"' if column.help else ""
    return f'<th scope="col" role="columnheader" class="{column.kind}"{title}>{text(column.header)}</th>'


def _body_cell(value: Cell, column: Column, *, first: bool) -> str:
    content = cell(value, column.kind)
    if first:
        return f'<th scope="row" role="rowheader" class="{column.kind}">{content}</th>'
    label = escape(column.header)
    return f'<td role="cell" class="{column.kind}" data-label="{label}"><span>{content}</span></td>'


def chart(content: Chart) -> str:
    """A forest plot: one strip a row over a common axis, numbers as text beside it."""
    low, high = content.low, content.high
    rows = "".join(
        f"<dt>{text(row.label)}</dt>"
        f"<dd>{strip(row.rate, low, high, content.reference, muted=row.muted)}{_reading(row.rate)}</dd>"
        for row in content.rows
    )
    ticks = "".join(
        f'<span style="left:{25 * step}%">{100 * (low + (high - low) * step / 4):.0f}{THIN}%</span>'
        for step in range(5)
    )
    reference = ""
    if content.reference is not None:
        words = f"{content.reference_label} ({100 * content.reference:g}{THIN}%)".strip()
        reference = f' <span class="refkey">{text(words)}</span>'
    note = f'<p class="note">{text(content.note)}</p>' if content.note else ""
    return (
        f'<figure class="forest"><figcaption>{text(content.title)}{reference}</figcaption>'
        f'<dl>{rows}</dl><div class="axis" aria-hidden="true"><div>{ticks}</div></div>{note}</figure>'
    )


def _reading(rate: RateLike) -> str:
    if not math.isfinite(rate.value):
        return f'<span class="reading">{DASH}</span>'
    value = f'<b class="num">{percent(rate.value)}</b>'
    return f'<span class="reading">{value} {_ends(rate, ColumnKind.RATE)}</span>'


def rubric(content: RubricView, *, opened: bool) -> str:
    """A rubric that folds: dimensions, and their criteria with weights, guidance and what was measured."""
    weights = {criterion.weight for dimension in content.dimensions for criterion in dimension.criteria}
    # Meters compare the criteria of one rubric, so the heaviest fills its own; equal weights say nothing.
    heaviest = max(weights) if len(weights) > 1 else None
    body = "".join(_dimension(dimension, heaviest) for dimension in content.dimensions)
    count = sum(len(dimension.criteria) for dimension in content.dimensions)
    about = f'<p class="about">{text(content.description)}</p>' if content.description else ""
    meta = f"v{content.version} · {content.task} · {count} {'criterion' if count == 1 else 'criteria'}"
    head = f'<span class="name">{text(content.name)}</span> <span class="meta">{text(meta)}</span>'
    return (
        f'<details class="rubric"{" open" if opened else ""}><summary>{head}</summary>{about}{body}'
        f'<p class="digest">SHA-256 <code>{escape(content.digest)}</code></p></details>'
    )


def _dimension(content: DimensionView, heaviest: float | None) -> str:
    about = f'<p class="about">{text(content.description)}</p>' if content.description else ""
    criteria = "".join(_criterion(criterion, heaviest) for criterion in content.criteria)
    return f'<section class="dimension"><h3>{text(content.name)}</h3>{about}<ul>{criteria}</ul></section>'


def _criterion(content: CriterionView, heaviest: float | None) -> str:
    guidance = f'<p class="guidance">{text(content.guidance)}</p>' if content.guidance else ""
    small = []
    if heaviest is not None:
        share = f'<i style="width:{100 * content.weight / heaviest:.0f}%"></i>'
        small.append(f'<span class="meter" aria-hidden="true">{share}</span>weight {content.weight:g}')
    if content.sources:
        small.append(f"from {content.sources:,} {'pair' if content.sources == 1 else 'pairs'}")
    small.extend(f"{text(name)} {_stat(value)}" for name, value in content.stats)
    items = "".join(f"<li>{item}</li>" for item in small)
    line = f'<ul class="small">{items}</ul>' if items else ""
    return f'<li><p class="statement">{text(content.statement)}</p>{guidance}{line}</li>'


def _stat(value: Cell) -> str:
    if value is None or isinstance(value, (str, int, float)):
        return cell(value, ColumnKind.NUMBER)
    return f'<span class="num">{percent(value.value)}</span> of {value.n:,}'
