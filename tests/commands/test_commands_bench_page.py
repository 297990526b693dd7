"""The page of a benchmark's run: what it says, what it shows, and that it stands up in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser, started
from PIL import Image

from arrkit.bench.cells import Difference
from arrkit.bench.model import Mode, Score
from arrkit.commands.bench_page import bench_page, verdict, write_page
from arrkit.commands.bench_report import BenchPage, BenchReport, Column, Shown
from arrkit.errors import Problem

HOSTILE = '</script><script>document.title="owned"</script><img src=x onerror=\'document.title="owned"\'>'


def score(name: str, value: float | None, mode: Mode = Mode.STRICT, **more) -> Score:
    given = {"expected": 40, "scored": 40, "missing": 0, "unparsed": 0, "headline": name == "m", **more}
    spread = 0.1 * given.get("top", 1)
    ends = (None, None) if value is None else (max(0.0, value - spread), value + spread)
    return Score(name=name, mode=mode, value=value, low=ends[0], high=ends[1], **given)


def difference(value: float, half: float, *, name: str = "m", mode: Mode = Mode.STRICT, **more) -> Difference:
    given = {"base": 0.5, "other": 0.5 + value, "items": 40, **more}
    return Difference(name=name, mode=mode, value=value, low=value - half, high=value + half, **given)


def both(name: str, value: float | None, **more) -> tuple[Score, Score]:
    return score(name, value, Mode.OFFICIAL, **more), score(name, value, **more)


def report(*columns: Column, **more) -> BenchReport:
    found = columns or (
        Column(name="base", scores=(*both("m", 0.5), *both("m/cats", 0.4), *both("m/dogs", 0.6))),
        Column(name="trained", scores=(*both("m", 0.7), *both("m/cats", 0.6), *both("m/dogs", 0.8))),
    )
    given = {"policy": "shapes", "lora": "runs/rpo/pytorch_lora_weights.safetensors", "of": 40, **more}
    return BenchReport(benchmark="m", spec="m", metric="m", prompts=40, columns=found, **given)


def page_of(content: BenchReport, *shown: Shown):
    return bench_page(
        BenchPage(report=content, command="bench run", started_at="2026-01-02T03:04:05Z", gallery=shown)
    )


@pytest.mark.parametrize(
    ("value", "half", "start"),
    [
        (0.2, 0.1, "Trained is better than base: m 50.0 % → 70.0 %, +20.0 points"),
        (-0.2, 0.1, "Trained is worse than base"),
        (0.2, 0.3, "Whether trained is better than base cannot be told"),
    ],
)
def test_the_verdict_goes_by_the_interval_of_the_strict_difference(value, half, start):
    differences = (difference(-value, 0.01, mode=Mode.OFFICIAL), difference(value, half))
    (said,) = verdict(report(differences=differences))
    assert said.startswith(start)
    assert "40 prompts" in said


@pytest.mark.parametrize(
    ("value", "start"),
    [
        (0.8, "The trained model beats its base"),
        (0.2, "The trained model is worse than its base"),
        (0.55, "Whether the trained model is better than its base cannot be told"),
        (None, "The judge has ruled on no pair"),
    ],
)
def test_a_win_rate_is_held_against_one_half(value, start):
    column = Column(name="", scores=both("prompts[r]/win-rate", value, headline=True))
    content = replace(report(column), metric="prompts[r]")
    assert verdict(content)[0].startswith(start)


def test_one_model_alone_has_its_number_and_what_is_lacking_is_said():
    scores = (score("m", 0.5, Mode.OFFICIAL, scored=30), score("m", 0.4, scored=30, missing=6, unparsed=4))
    said = verdict(report(Column(name="base", scores=scores), note="A quick look."))
    assert said[0] == "m of base is 40.0 % (95 % interval 30.0 % to 50.0 %)."
    assert "10 of 40 answers of base are lacking (6 without an image, 4 unreadable or failed)" in said[1]
    assert said[2] == "A quick look."


def test_two_rows_stand_only_where_the_rules_differ():
    scores = (
        *both("m", 0.5),
        score("m/cats", 0.5, Mode.OFFICIAL),
        score("m/cats", 0.4, scored=30, missing=10),
    )
    page = page_of(report(Column(name="base", scores=scores)))
    numbers, counts = page.tables
    assert [row[:2] for row in numbers.rows] == [("m", "both"), ("cats", "official"), ("cats", "strict")]
    assert [row[-1] for row in numbers.rows] == ["40 of 40", "40 of 40", "30 of 40"]
    assert counts.rows == (("Base", 40, 40, 0, 0),)


def test_marks_and_shares_stand_in_tables_of_their_own():
    scores = (*both("m", 7.5, top=10.0), *both("m/a", 7.0, top=10.0), *both("m/b", 8.0, top=10.0))
    page = page_of(report(Column(name="base", scores=(*scores, *both("m/rate", 0.5)))))
    assert [table.caption for table in page.tables[:2]] == ["Marks up to 10", "Shares"]
    (chart,) = page.charts
    assert [row.rate.value for row in chart.rows] == [0.7, 0.8]
    assert "greatest mark, 10" in chart.note


def test_bars_by_group_hold_base_and_trained_side_by_side():
    (chart,) = page_of(report(differences=(difference(0.2, 0.1),))).charts
    assert [row.label for row in chart.rows] == [
        "cats · base",
        "cats · trained",
        "dogs · base",
        "dogs · trained",
    ]
    assert [row.muted for row in chart.rows] == [True, False, True, False]


def images(folder: Path) -> Shown:
    for name, shade in (("base", 40), ("trained", 200)):
        Image.new("RGB", (96, 96), (shade, 90, 90)).save(folder / f"{name}.png")
    return Shown(
        item="p1",
        prompt=f"a red circle {HOSTILE}",
        group="colours",
        base=folder / "base.png",
        trained=folder / "trained.png",
        base_value=0.0,
        trained_value=1.0,
        base_verdict="1 blue circle",
        trained_verdict="1 red circle",
    )


def test_the_gallery_says_what_was_found_in_each_image(tmp_path):
    shown = images(tmp_path)
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"torn")
    (gallery,) = page_of(report(), shown, replace(shown, base=torn, trained=None)).galleries
    (row,) = gallery.rows  # of the other prompt no image can be shown
    assert [image.caption for image in row.images] == ["base: wrong", "trained: right"]
    assert row.note == "colours; base: 1 blue circle; trained: 1 red circle"
    assert "1 of 40 prompts" in gallery.note


def test_of_a_pair_the_gallery_says_who_is_better(tmp_path):
    column = Column(name="", scores=both("prompts[r]/win-rate", 0.8, headline=True))
    shown = replace(images(tmp_path), base_value=None, trained_value=0.5)
    (gallery,) = page_of(report(column), shown).galleries
    assert [image.caption for image in gallery.rows[0].images] == ["base", "trained: a tie"]


def test_what_could_not_be_painted_and_who_judged_is_noted():
    problems = tuple(Problem("the prompt is too long", f"p:{n}") for n in range(5))
    judged = {"judge": "openai:m", "snapshots": {"m-2026": 40}, "temperatures": [None, 0.0]}
    notes = page_of(report(problems=problems, judged_by=judged)).notes
    assert "p:0: the prompt is too long." in notes
    assert "2 more prompts could not be painted." in notes
    assert "Judged by openai:m, answers by m-2026 (40), temperature the endpoint's own, 0." in notes


def test_numbers_stand_before_the_images(tmp_path):
    out = tmp_path / "report.html"
    content = BenchPage(
        report=report(), command="bench run", started_at="2026-01-02T03:04:05Z", gallery=(images(tmp_path),)
    )
    write_page(out, content)
    text = out.read_text()
    assert text.index('id="results"') < text.index('id="pictures"')
    assert "<script>document.title" not in text


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("chromium")) as it:
        yield it


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER: report.html was not checked")
@pytest.mark.parametrize("width", [1200, 380])
def test_the_page_stands_in_a_browser_also_on_a_phone(browser, tmp_path, width):
    out = tmp_path / "report.html"
    differences = (difference(0.2, 0.1, mode=Mode.OFFICIAL), difference(0.2, 0.1))
    content = BenchPage(
        report=report(differences=differences, lora="runs/" + "unbroken" * 30),
        command="bench run",
        started_at="2026-01-02T03:04:05Z",
        gallery=(images(tmp_path),) * 5,
    )
    write_page(out, content)
    browser.open(out, width=width)
    assert browser.complaints() == []
    assert browser.js("document.title") != "owned"
    assert browser.js("document.documentElement.scrollWidth <= innerWidth") is True
    text = str(browser.js("document.body.innerText"))
    assert "Trained is better than base" in text
    assert "colours; base: 1 blue circle" in text
    assert browser.js("[...document.images].every((image) => image.naturalWidth > 0)") is True
    assert browser.js("document.querySelectorAll('#results table tbody tr').length") == 5
