"""Curves and pictures of a report page, as HTML and SVG that need no script."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from html import escape

from arrkit.runs.markup import number, percent, points, text
from arrkit.runs.pictures import file_facts
from arrkit.runs.view import ColumnKind, Curve, CurvePlot, Gallery, GalleryImage

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 22
"""The drawing in its own units; one is about a pixel where three plots stand beside each other."""

MOST_POINTS = 240
"""More would be closer than a pixel: a longer curve is drawn through the means of equal stretches."""

COLOURS = 5


def curves(plots: Sequence[CurvePlot]) -> str:
    """Plots side by side; those without a point are left out."""
    drawn = "".join(map(_plot, plots))
    return f'<div class="curves">{drawn}</div>' if drawn else ""


def gallery(content: Gallery) -> str:
    """Rows of images, each with its title."""
    rows = "".join(
        f"<li><h3>{text(row.title)}</h3>"
        + (f'<p class="note">{text(row.note)}</p>' if row.note else "")
        + f'<div class="row">{"".join(map(_image, row.images))}</div></li>'
        for row in content.rows
    )
    note = f'<p class="note">{text(content.note)}</p>' if content.note else ""
    return (
        f'<section class="gallery" aria-label="{escape(content.title)}">'
        f"<h2>{text(content.title)}</h2>{note}<ul>{rows}</ul></section>"
    )


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most ``most`` round values that span [``low``, ``high``] and lie in it."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    step = 10.0 ** math.floor(math.log10(span))
    for factor in (0.1, 0.2, 0.25, 0.5, 1, 2, 2.5, 5):
        first = math.ceil(low / (step * factor) - 1e-9)
        last = math.floor(high / (step * factor) + 1e-9)
        if last - first + 1 <= most:
            return [index * step * factor for index in range(first, last + 1)]
    return [low, high]


def _plot(plot: CurvePlot) -> str:
    shown = [curve for curve in map(_thinned, plot.curves) if curve.points]
    if not shown:
        return ""
    xs = [x for curve in plot.curves for x, y in curve.points if math.isfinite(x) and math.isfinite(y)]
    xs += [x for x, _ in plot.line]
    low, high = _bounds(plot, shown)
    start, end = min(xs), max(xs)

    def place_x(x: float) -> float:
        share = (x - start) / (end - start) if end > start else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def place_y(y: float) -> float:
        return HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = []
    for value in ticks(low, high):
        y = place_y(value)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        label = _axis(value, high - low, plot.kind)
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>')
    for value in dict.fromkeys((start, end)):
        anchor = "end" if value == end and end > start else "start" if end > start else "middle"
        parts.append(
            f'<text x="{place_x(value):.1f}" y="{HEIGHT - 5}" text-anchor="{anchor}">{value:,.0f}</text>'
        )
    if plot.across:
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(
            f'<text x="{middle:.1f}" y="{HEIGHT - 5}" text-anchor="middle">{escape(plot.across)}</text>'
        )
    if plot.reference is not None and low <= plot.reference <= high:
        y = place_y(plot.reference)
        parts.append(f'<line class="ref" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    if plot.line:
        through = _path([(place_x(x), place_y(y)) for x, y in plot.line])
        parts.append(f'<polyline class="ref" fill="none" points="{through}"/>')
    for index, curve in enumerate(shown):
        parts.append(f'<g class="c{index % COLOURS}">')
        if curve.band:
            upper = [(x, ends[1]) for (x, _), ends in zip(curve.points, curve.band, strict=True)]
            lower = [(x, ends[0]) for (x, _), ends in zip(curve.points, curve.band, strict=True)]
            outline = _path([(place_x(x), place_y(y)) for x, y in [*upper, *reversed(lower)]])
            parts.append(f'<polygon class="band" points="{outline}"/>')
        placed = [(place_x(x), place_y(y)) for x, y in curve.points]
        parts.append(f'<polyline class="line" points="{_path(placed)}"/>')
        # A curve of few points is a row of measurements, which should be seen as such.
        if len(placed) <= 30:
            parts += [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in placed]
        parts.append("</g>")
    # Where curves are held against a line, how they end says nothing of them.
    ends = ["" if plot.line else _value(_last(curve), plot.kind) for curve in shown]
    legend = ""
    if len(shown) > 1 or plot.line:
        entries = "".join(
            f'<li class="c{index % COLOURS}">{text(curve.label)} {escape(end)}</li>'
            for index, (curve, end) in enumerate(zip(shown, ends, strict=True))
        )
        legend = f'<ul class="legend">{entries}</ul>'
    last = "" if legend else f'<span class="last">{escape(ends[0])}</span>'
    note = f'<p class="note">{text(plot.note)}</p>' if plot.note else ""
    said = "; ".join(
        f"{curve.label}: {end} at the end" if end else curve.label
        for curve, end in zip(shown, ends, strict=True)
    )
    return (
        f"<figure><figcaption>{text(plot.title)}{last}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{plot.title}. {said}")}">'
        f"{''.join(parts)}</svg>{legend}{note}</figure>"
    )


def _last(curve: Curve) -> float:
    return curve.points[-1][1]


def _thinned(curve: Curve) -> Curve:
    """The curve without what is not finite, and with at most :data:`MOST_POINTS`."""
    bands: Sequence[tuple[float, float] | None] = curve.band or [None] * len(curve.points)
    kept = [
        (point, band)
        for point, band in zip(curve.points, bands, strict=True)
        if all(map(math.isfinite, (*point, *(band or ()))))
    ]
    stretch = -(-len(kept) // MOST_POINTS)
    if stretch > 1:
        kept = [_mean(kept[start : start + stretch]) for start in range(0, len(kept), stretch)]
    return Curve(
        curve.label, tuple(point for point, _ in kept), tuple(band for _, band in kept if band is not None)
    )


_Entry = tuple[tuple[float, float], tuple[float, float] | None]


def _mean(entries: Sequence[_Entry]) -> _Entry:
    n = len(entries)
    x, y = (sum(point[axis] for point, _ in entries) / n for axis in (0, 1))
    bands = [band for _, band in entries if band is not None]
    if not bands:
        return (x, y), None
    return (x, y), (sum(low for low, _ in bands) / n, sum(high for _, high in bands) / n)


def _bounds(plot: CurvePlot, shown: Iterable[Curve]) -> tuple[float, float]:
    values = [y for curve in shown for _, y in curve.points]
    values += [end for curve in shown for ends in curve.band for end in ends]
    values += [y for _, y in plot.line]
    values += [each for each in (plot.low, plot.high, plot.reference) if each is not None]
    low, high = min(values), max(values)
    if high <= low:
        spread = abs(low) * 0.1 or 1.0
        return low if low == plot.low else low - spread, high + spread
    room = 0.04 * (high - low)
    return (
        low if low == plot.low else low - room,
        high if high == plot.high else high + room,
    )


def _path(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _axis(value: float, span: float, kind: ColumnKind) -> str:
    if kind in (ColumnKind.RATE, ColumnKind.DIFFERENCE):
        sign = "+" if kind is ColumnKind.DIFFERENCE and value > 0 else ""
        digits = 0 if span > 0.04 else 1
        return f"{sign}{100 * value + 0.0:.{digits}f}\u202f%".replace("-", "−")
    if value and (abs(value) >= 100_000 or span < 1e-3):
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e").replace("-", "−")
    digits = max(0, min(4, math.ceil(1 - math.log10(span)))) if span < 10 else 0
    return f"{value + 0.0:,.{digits}f}".replace("-", "−")


def _value(value: float, kind: ColumnKind) -> str:
    if kind is ColumnKind.RATE:
        return percent(value)
    if kind is ColumnKind.DIFFERENCE:
        return f"{points(value)}\u202f%"
    if value and (abs(value) < 0.01 or abs(value) >= 1e6):
        return f"{value:.2g}".replace("-", "−")
    return number(value)


def _image(image: GalleryImage) -> str:
    kind, width, height = file_facts(image.data)
    data = base64.b64encode(image.data).decode()
    return (
        f'<figure><img src="data:{kind};base64,{data}" width="{width}" height="{height}" '
        f'alt="{escape(image.caption)}"><figcaption>{text(image.caption)}</figcaption></figure>'
    )
