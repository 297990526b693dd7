"""Curves and galleries of a report page."""

from __future__ import annotations

import io
import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from arrkit.runs.curves import MOST_POINTS, WIDTH, curves, gallery, ticks
from arrkit.runs.page import Page, render_page
from arrkit.runs.view import ColumnKind, Curve, CurvePlot, Gallery, GalleryImage, GalleryRow

HOSTILE = "</script><b>&\"'"


def plot(*points: tuple[float, float], **more) -> CurvePlot:
    band = more.pop("band", ())
    return CurvePlot("Loss", (Curve("loss", tuple(points), band),), **more)


def lines(html: str) -> list[list[tuple[float, float]]]:
    """The drawn points of every curve."""
    return [
        [tuple(map(float, place.split(","))) for place in found.split()]  # type: ignore[misc]
        for found in re.findall(r'class="line" points="([^"]*)"', html)
    ]


def test_it_rises_where_values_rise_and_fills_the_width():
    (drawn,) = lines(curves([plot((1, 0.5), (2, 0.75), (3, 1.0))]))
    xs, ys = zip(*drawn, strict=True)
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys, reverse=True)
    assert xs[-1] - xs[0] > 0.8 * WIDTH


def test_a_band_lies_around_its_curve():
    html = curves([plot((1, 0.5), (2, 0.6), band=((0.4, 0.7), (0.5, 0.8)))])
    (outline,) = re.findall(r'class="band" points="([^"]*)"', html)
    ys = [float(place.split(",")[1]) for place in outline.split()]
    middle = [y for _, y in lines(html)[0]]
    assert min(ys) < min(middle) < max(middle) < max(ys)
    with pytest.raises(ValueError, match="1 intervals for 2 points"):
        Curve("x", ((1, 1), (2, 2)), ((0, 1),))


def test_long_curves_are_thinned_to_their_means():
    (drawn,) = lines(curves([plot(*((n, float(n % 2)) for n in range(10_000)))]))
    assert len(drawn) <= MOST_POINTS
    assert len({y for _, y in drawn}) == 1


def test_nothing_to_draw_is_nothing():
    assert curves([]) == curves([plot()]) == curves([plot((1, math.nan))]) == ""


@pytest.mark.parametrize("kind", [ColumnKind.NUMBER, ColumnKind.RATE, ColumnKind.DIFFERENCE])
@given(
    points=st.lists(
        st.tuples(st.integers(0, 10**6), st.floats(-1e12, 1e12) | st.floats(-1e-9, 1e-9)),
        min_size=1,
        max_size=9,
    ),
    low=st.none() | st.just(0.0),
)
def test_any_numbers_make_a_drawing_inside_its_frame(points, low, kind):
    html = curves([plot(*sorted(points), low=low, kind=kind, reference=0.5, across="updates")])
    ElementTree.fromstring(html)
    for drawn in lines(html):
        assert all(0 <= x <= WIDTH and -1 <= y <= 191 for x, y in drawn)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_and_inside(low, span):
    found = ticks(low, low + span)
    assert 1 <= len(found) <= 5
    assert all(low - 1e-6 * span <= tick <= low + span + 1e-6 * span for tick in found)


def test_ticks_are_round():
    assert ticks(0, 1) == [0, 0.25, 0.5, 0.75, 1.0]
    assert ticks(0, 300) == [0, 100, 200, 300]


def test_shares_are_written_as_such_and_the_legend_says_the_last():
    two = CurvePlot(
        "Rates",
        (Curve("trained on", ((0, 0.5), (25, 0.84))), Curve("watched", ((0, 0.5), (25, 0.31)))),
        ColumnKind.RATE,
        low=0.0,
        high=1.0,
    )
    html = curves([two])
    assert "84.0\u202f%" in html
    assert ">25\u202f%<" in html
    assert html.count("<li class") == 2


def test_a_gallery_holds_its_images_and_no_markup_of_others():
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), (9, 9, 9)).save(buffer, "PNG")
    row = GalleryRow(HOSTILE, (GalleryImage(HOSTILE, buffer.getvalue()),) * 2, HOSTILE)
    html = gallery(Gallery(HOSTILE, (row,), HOSTILE))
    assert html.count('width="20" height="10"') == 2
    assert "<b>" not in html
    assert "</script>" not in html


def test_a_page_shows_both_and_its_navigation_leads_there():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    row = GalleryRow("p", (GalleryImage("base", buffer.getvalue()),))
    page = Page(
        "T",
        "rpo train",
        "S.",
        "2026-01-02T03:04:05Z",
        "0.1.0",
        curves=(plot((1, 2.0), (2, 3.0), note=HOSTILE),),
        galleries=(Gallery("Before and after", (row,)),),
    )
    html = render_page(page)
    assert '<a href="#pictures">Pictures</a><a href="#results">Results</a>' in html
    assert html.count('id="pictures"') == 1
    assert "<b>&" not in html
