"""Curves that are held against a line: a reliability diagram."""

from __future__ import annotations

import re

from arrkit.runs.curves import curves
from arrkit.runs.view import ColumnKind, Curve, CurvePlot

OFF = Curve("none: expected error 12.0 %", ((55.0, 0.3), (90.0, 0.7)), ((0.1, 0.5), (0.6, 0.8)))
DIAGONAL = ((50.0, 0.5), (100.0, 1.0))


def test_the_line_spans_the_axes_and_curves_are_named_without_their_last_value():
    plot = CurvePlot("How sure", (OFF,), ColumnKind.RATE, low=0.0, high=1.0, line=DIAGONAL)
    drawn = curves([plot])
    ((x1, y1), (x2, y2)) = [
        tuple(map(float, place.split(",")))
        for place in re.search(r'class="ref"[^>]*points="([^"]*)"', drawn)[1].split()
    ]
    assert (x1, x2) == (46.0, 352.0), "from side to side"
    assert y2 == 8.0, "up to the top"
    assert y1 == (8 + 168) / 2, "from the middle"
    assert ">50<" in drawn
    assert ">100<" in drawn
    assert "none: expected error 12.0 %" in drawn
    assert "70.0" not in drawn


def test_without_a_line_nothing_is_drawn_through():
    drawn = curves([CurvePlot("Accuracy", (OFF,), ColumnKind.RATE, low=0.0, high=1.0)])
    assert 'class="ref"' not in drawn
    assert "70.0" in drawn
