"""``report.html``: one self-contained file that asks nothing of the network.

:func:`render_page` turns a :class:`~arrkit.runs.view.Page` into text, :func:`write_page` puts it into a file.
Facts, tables, plots and rubrics are plain HTML; the pairs travel as JSON, every image and every criterion's
text once, and the page's script draws those that the filters let through. Filters stand in the address:
``report.html#filter=wrong&rubric=none&category=position&state=refined&q=cube`` or ``#pair=ID``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import escape
from importlib import resources
from pathlib import Path

from arrkit.canonical import Json, write_atomic
from arrkit.runs import markup
from arrkit.runs.curves import curves, gallery
from arrkit.runs.pictures import file_facts
from arrkit.runs.view import (
    Cell,
    Chart,
    ChartRow,
    Column,
    ColumnKind,
    CriterionView,
    DimensionView,
    FindingView,
    Flag,
    Interval,
    Judgment,
    Page,
    PairCard,
    PairImage,
    RateLike,
    RubricView,
    Table,
    flags_of,
)

__all__ = [
    "Cell",
    "Chart",
    "ChartRow",
    "Column",
    "ColumnKind",
    "CriterionView",
    "DimensionView",
    "FindingView",
    "Flag",
    "Interval",
    "Judgment",
    "Page",
    "PairCard",
    "PairImage",
    "RateLike",
    "RubricView",
    "Table",
    "flags_of",
    "render_page",
    "write_page",
]

# Up to this size an image is a drawing whose pixels matter: it is enlarged without smoothing.
SMALL_EDGE = 128


def write_page(page: Page, path: Path) -> None:
    """Write the report to ``path``, whole or not at all; an existing report is replaced."""
    write_atomic(path, render_page(page))


def render_page(page: Page) -> str:
    """The report as HTML. ``ValueError`` where an image is not a WebP, PNG or JPEG file."""
    script = _asset("page.js")
    slots = {
        "title": escape(page.title),
        "policy": _policy(script),
        "style": _asset("page.css"),
        "script": script,
        "command": markup.text(page.command),
        "heading": markup.text(page.title),
        "summary": markup.text(page.summary),
        "facts": markup.facts(page.facts),
        "nav": _navigation(page),
        "pictures": "" if page.numbers_first else _pictures(page),
        "results": _results(page) + (_pictures(page) if page.numbers_first else ""),
        "notes": _notes(page),
        "rubrics": _rubrics(page),
        "pairs": _pairs(page),
        "data": embed(_data(page)),
        "version": markup.text(page.arrkit_version),
        "time": markup.text(page.generated_at),
    }
    # One pass over the skeleton: what is filled in is never looked at again, whatever braces it holds.
    html = re.sub(r"\{\{(\w+)\}\}", lambda found: slots[found[1]], _asset("page.html"))
    # Half of a surrogate pair can come out of a JSON file, but does not exist in UTF-8.
    return re.sub("[\ud800-\udfff]", "\ufffd", html)


def embed(value: Json) -> str:
    """JSON that can stand inside a ``<script>`` element: nothing in it can end that element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _asset(name: str) -> str:
    return resources.files("arrkit.runs").joinpath("template", name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """The content security policy: nothing from outside, and no script but the page's own, by its hash."""
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{own}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _navigation(page: Page) -> str:
    shown = [
        ("pictures", "Pictures", bool(page.galleries)),
        ("results", "Results", bool(page.tables or page.charts or page.curves)),
    ]
    entries = [
        *(reversed(shown) if page.numbers_first else shown),
        ("rubric", "Rubric" if len(page.rubrics) == 1 else "Rubrics", bool(page.rubrics)),
        ("pairs", f"Pairs <small>{len(page.pairs):,}</small>", bool(page.pairs)),
    ]
    links = [f'<a href="#{anchor}">{name}</a>' for anchor, name, shown in entries if shown]
    return f'<nav aria-label="Sections">{"".join(links)}</nav>' if len(links) > 1 else ""


def _results(page: Page) -> str:
    parts = [*map(markup.chart, page.charts), curves(page.curves), *map(markup.table, page.tables)]
    body = "".join(parts)
    return f'<section id="results" aria-label="Results"><h2>Results</h2>{body}</section>' if body else ""


def _notes(page: Page) -> str:
    items = "".join(f"<li>{markup.text(note)}</li>" for note in page.notes)
    return (
        f'<section class="notes" aria-label="Notes"><h2>Notes</h2><ul>{items}</ul></section>' if items else ""
    )


def _pictures(page: Page) -> str:
    body = "".join(gallery(each) for each in page.galleries)
    return f'<div id="pictures">{body}</div>' if body else ""


def _rubrics(page: Page) -> str:
    if not page.rubrics:
        return ""
    alone = len(page.rubrics) == 1
    body = "".join(markup.rubric(rubric, opened=alone) for rubric in page.rubrics)
    name = "Rubric" if alone else "Rubrics"
    return f'<section id="rubric" aria-label="{name}"><h2>{name}</h2>{body}</section>'


def _pairs(page: Page) -> str:
    if not page.pairs:
        return ""
    total = max(page.pairs_total, len(page.pairs))
    held = ""
    if total > len(page.pairs):
        held = f'<p class="note">This page holds {len(page.pairs):,} of the run\'s {total:,} pairs.</p>'
    return (
        f'<section id="pairs" aria-label="Pairs"><h2>Pairs</h2>{held}'
        f"<noscript><p>The {len(page.pairs):,} pairs are listed here where scripts may run. "
        'Everything above is complete without them.</p></noscript><div id="browser"></div></section>'
    )


def _data(page: Page) -> Json:
    """The pairs as JSON: images and repeated texts stand in lists of their own, and are named by index."""
    images = _Pool()
    texts = _Pool()
    rubrics = _Pool()
    orders = _Pool()
    pairs: list[Json] = [_pair(pair, images, texts, rubrics, orders) for pair in page.pairs]
    return {
        "small": SMALL_EDGE,
        "images": [_image(data) for data in images.values if isinstance(data, bytes)],
        "texts": [text for text in texts.values if isinstance(text, str)],
        "rubrics": [text for text in rubrics.values if isinstance(text, str)],
        "orders": [text for text in orders.values if isinstance(text, str)],
        "pairs": pairs,
    }


class _Pool:
    """Values in the order of their first use, each once."""

    def __init__(self) -> None:
        self.values: dict[str | bytes, int] = {}

    def index(self, value: str | bytes) -> int:
        return self.values.setdefault(value, len(self.values))


def _image(data: bytes) -> Json:
    kind, width, height = file_facts(data)
    return [f"data:{kind};base64,{base64.b64encode(data).decode()}", width, height]


def _pair(pair: PairCard, images: _Pool, texts: _Pool, rubrics: _Pool, orders: _Pool) -> Json:
    return {
        "id": pair.id,
        "prompt": pair.prompt,
        "label": pair.label,
        "category": pair.category,
        "state": pair.state,
        "metadata": [list(entry) for entry in pair.metadata],
        "notes": list(pair.notes),
        "images": [
            [image.role, images.index(image.data) if image.data else -1, image.alt] for image in pair.images
        ],
        "flags": {str(rubrics.index(name)): sorted(pair.flags(name)) for name in pair.rubrics()},
        "judgments": [
            {
                "rubric": rubrics.index(judgment.rubric),
                "order": orders.index(judgment.order),
                "outcome": judgment.outcome,
                "preferred": judgment.preferred,
                "right": judgment.right,
                "rationale": judgment.rationale,
                "detail": judgment.detail,
                "findings": [_finding(finding, texts) for finding in judgment.findings],
            }
            for judgment in pair.judgments
        ],
    }


def _finding(finding: FindingView, texts: _Pool) -> Json:
    head: list[Json] = [texts.index(finding.criterion), finding.answer, _score(finding.a), _score(finding.b)]
    return [*head, finding.note] if finding.note else head


def _score(value: float | None) -> float | None:
    return None if value is None or value != value else round(value, 3)
