"""The report in a real browser: headless Chromium, spoken to over a pipe."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from browser import MARKS, Browser, started
from PIL import Image

from arrkit.runs.page import (
    Chart,
    ChartRow,
    Column,
    ColumnKind,
    CriterionView,
    DimensionView,
    FindingView,
    Interval,
    Judgment,
    Page,
    PairCard,
    PairImage,
    RubricView,
    Table,
    write_page,
)
from arrkit.runs.pictures import thumbnail

pytestmark = MARKS
HOSTILE = '</script><script>document.title="owned"</script><img src=x onerror=\'document.title="owned"\'>'
LONG = "unbroken" * 60
WIDE = "https://example.org/" + "a" * 300


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("chromium")) as it:
        yield it


def picture(shade: int) -> bytes:
    image = Image.new("RGB", (96, 96), (shade % 256, 255 - shade % 256, 120))
    image.paste((250, 250, 250), (20, 20, 60, 70))
    return thumbnail(image)


def both(rubric: str, first: str, second: str, label: str) -> tuple[Judgment, ...]:
    """The judgments in both orders; a word longer than a candidate's name is an outcome without an answer."""
    made = []
    for order, said in (("A first", first), ("B first", second)):
        if len(said) == 1:
            findings = (FindingView("Every object is whole.", said, 0.9, 0.25),)
            made.append(Judgment(rubric, order, "ok", said, said == label, "It is whole.", findings=findings))
        else:
            made.append(Judgment(rubric, order, said, detail=f"{said} by the server"))
    return tuple(made)


# The id says what becomes of a pair under ("none", "learned").
STORIES = {
    "right-right": ("AA", "AA"),
    "flipped-right": ("AB", "AA"),
    "wrong-right": ("BB", "AA"),
    "right-failed": ("AA", ("A", "refused")),
    "wrong-wrong": ("BB", "BB"),
    "abstained-right": (("abstain", "abstain"), "AA"),
}


def cards(*, edit: bool = False) -> tuple[PairCard, ...]:
    made = []
    for index, (name, (none, learned)) in enumerate(STORIES.items()):
        images = [
            PairImage("A", picture(index), "candidate A"),
            PairImage("B", picture(index + 99), "candidate B"),
        ]
        if edit:
            images.append(PairImage("source", picture(200), "source"))
        judgments = both("none", *none, "A") + both("learned", *learned, "A")
        made.append(
            PairCard(
                name,
                f"a red cube, number {index}",
                "A",
                tuple(images),
                judgments,
                category="counting" if index % 2 else "position",
                state="refined" if index == 1 else "passed",
            )
        )
    return tuple(made)


def page(pairs: tuple[PairCard, ...], *, name: str = "learned") -> Page:
    rate = Interval(0.75, 0.6, 0.85, 40)
    dimension = DimensionView(
        "Fidelity", (CriterionView("Every object is whole.", "Look at the edges.", 2.0, 3),)
    )
    columns = (Column("Rubric"), *(Column(f"Column {i}", ColumnKind.RATE) for i in range(5)))
    return Page(
        "Position bias",
        "judge bias",
        "The judge is right more often under the rubric.",
        "2026-01-02T03:04:05Z",
        "0.1.0",
        facts=(("Judge", "shapes?noise=0.3"), ("Dataset", LONG)),
        charts=(Chart("Accuracy", (ChartRow(name, rate), ChartRow("none", rate, muted=True))),),
        tables=(Table("Bias", columns, ((name, rate, rate, rate, rate, None),)),),
        rubrics=(RubricView(name, "1.0.0", "ab" * 32, "t2i", (dimension,)),),
        pairs=pairs,
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_page(page(cards()), path)
    return path


def test_it_opens_without_a_complaint_or_a_request(browser: Browser, report: Path) -> None:
    browser.open(report)
    assert browser.shown() == list(STORIES)
    assert browser.complaints() == []
    flags = browser.js("[...document.querySelectorAll('.pair')].map((card) => card.dataset.flags.split(' '))")
    assert [set(filter(None, some)) for some in flags] == [set(card.flags()) for card in cards()]
    assert browser.js("[...document.images].every((image) => image.complete && image.naturalWidth === 96)")


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("#filter=wrong", {"flipped-right", "wrong-right", "wrong-wrong"}),
        ("#filter=flipped", {"flipped-right"}),
        ("#filter=failed", {"right-failed"}),
        ("#filter=abstained", {"abstained-right"}),
        ("#filter=right", {"right-right"}),
        ("#filter=wrong&rubric=learned", {"wrong-wrong"}),
        ("#filter=right&rubric=none", {"right-right", "right-failed"}),
        ("#category=counting", {"flipped-right", "right-failed", "abstained-right"}),
        ("#category=counting&filter=wrong", {"flipped-right"}),
        ("#state=refined", {"flipped-right"}),
        ("#q=number+3", {"right-failed"}),
        ("#pair=wrong-wrong", {"wrong-wrong"}),
        ("#filter=no-such-filter", set(STORIES)),
        ("#pairs", set(STORIES)),
    ],
)
def test_a_link_shows_what_it_says(browser: Browser, report: Path, fragment: str, expected: set[str]) -> None:
    browser.open(report, fragment)
    assert set(browser.shown()) == expected


def test_buttons_carry_counts_and_the_address_follows(browser: Browser, report: Path) -> None:
    browser.open(report, "#rubric=learned")
    counts = browser.js(
        "Object.fromEntries([...document.querySelectorAll('[data-filter]')]"
        ".map((button) => [button.dataset.filter, button.querySelector('.count').textContent]))"
    )
    assert counts == {"all": "6", "wrong": "1", "flipped": "0", "failed": "1", "abstained": "0", "right": "4"}
    browser.js("document.querySelector('[data-filter=failed]').click()")
    assert browser.shown() == ["right-failed"]
    assert browser.js("location.hash") == "#filter=failed&rubric=learned"
    assert browser.js("document.querySelector('[data-filter=failed]').getAttribute('aria-pressed')") == "true"
    browser.js("location.hash = '#filter=flipped'")
    assert browser.shown() == ["flipped-right"]


def test_search_and_selects_narrow_the_list(browser: Browser, report: Path) -> None:
    browser.open(report)
    browser.js(
        "{ const box = document.querySelector('input[type=search]'); box.value = 'CUBE refused';"
        " box.dispatchEvent(new Event('input')); }"
    )
    assert browser.shown() == ["right-failed"]
    browser.js("document.querySelector('.shown button').click()")
    assert browser.shown() == list(STORIES)
    browser.js(
        "{ const box = document.querySelector('select[aria-label=Category]'); box.value = 'position';"
        " box.dispatchEvent(new Event('change')); }"
    )
    assert browser.shown() == ["right-right", "wrong-right", "wrong-wrong"]


def test_a_card_tells_label_verdicts_and_findings(browser: Browser, report: Path) -> None:
    browser.open(report, "#pair=right-failed")
    text = str(browser.js("document.querySelector('.pair').textContent"))
    assert "Apeople’s choice" in text
    assert "! refused" in text
    assert "refused by the server" in text
    assert "Every object is whole." in text
    assert "A 0.90 B 0.25" in " ".join(text.split())
    rows = browser.js(
        "[...document.querySelectorAll('.matrix tbody tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    assert rows == [["none", "✓ A", "✓ A"], ["learned", "✓ A", "! refused"]]


def test_one_rubric_hides_what_belongs_to_others(browser: Browser, tmp_path: Path) -> None:
    two = cards()[0]
    one = replace(two, id="none-only", judgments=two.judgments[:2])
    write_page(page((two, one)), tmp_path / "report.html")
    browser.open(tmp_path / "report.html", "#rubric=learned")
    assert browser.shown() == [two.id]
    assert browser.js("[...document.querySelectorAll('.matrix tbody th')].map((x) => x.textContent)") == [
        "learned"
    ]
    assert browser.js("document.querySelectorAll('.findings').length") == 1


def test_keys_move_open_and_search(browser: Browser, report: Path) -> None:
    browser.open(report)
    browser.press("j")
    browser.press("j")
    assert browser.js("document.activeElement.dataset.id") == "flipped-right"
    browser.press("k")
    assert browser.js("document.activeElement.dataset.id") == "right-right"
    for _ in range(2):  # past the card's own link, to the first fold
        browser.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", windowsVirtualKeyCode=9)
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", text="\r", windowsVirtualKeyCode=13)
    assert browser.js("document.querySelector('.pair details').open") is True
    browser.press("/")
    browser.press("j")
    assert browser.js("document.activeElement.type") == "search"
    assert browser.js("document.activeElement.value") == "j"


@pytest.mark.parametrize("edit", [False, True], ids=["t2i", "edit"])
@pytest.mark.parametrize("width", [360, 768, 1200])
def test_nothing_sticks_out_at_any_width(browser: Browser, tmp_path: Path, width: int, edit: bool) -> None:
    wide = PairCard(
        LONG,
        f"{WIDE} {HOSTILE}",
        "A",
        (
            PairImage("A", thumbnail(Image.new("RGB", (900, 100))), "wide"),
            PairImage("B", b"", f"{LONG} unreadable"),
        ),
        (
            Judgment(LONG, "A first", "failed", detail=WIDE),
            Judgment(
                LONG, "B first", "ok", "A", True, WIDE, findings=(FindingView(WIDE, "A", 0.1, 0.2, LONG),)
            ),
        ),
        category=LONG,
        metadata=((LONG, WIDE),),
        notes=(WIDE,),
    )
    write_page(page((*cards(edit=edit), wide), name=LONG), tmp_path / "report.html")
    browser.open(tmp_path / "report.html", width=width)
    browser.js("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    clipped = browser.js(
        "[...document.querySelectorAll('body *:not(.chip bdi)')]"
        ".filter((node) => node.getBoundingClientRect().right > innerWidth)"
        ".map((node) => node.outerHTML.slice(0, 80))"
    )
    assert clipped == []
    assert browser.js("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize(("width", "expected"), [(1200, 192), (360, 144)])
def test_small_images_grow_by_half_multiples_and_unsmoothed(
    browser: Browser, report: Path, width: int, expected: int
) -> None:
    browser.open(report, width=width)
    assert browser.js("document.images[0].getBoundingClientRect().width") == expected
    assert browser.js("getComputedStyle(document.images[0]).imageRendering") == "pixelated"


def test_hostile_text_stays_text(browser: Browser, tmp_path: Path) -> None:
    card = PairCard(
        HOSTILE,
        HOSTILE,
        "B",
        (PairImage("A", picture(1), HOSTILE), PairImage("B", b"", HOSTILE)),
        (
            Judgment(HOSTILE, HOSTILE, "failed", detail=HOSTILE),
            Judgment(
                "x",
                HOSTILE,
                "ok",
                "A",
                False,
                HOSTILE,
                findings=(FindingView(HOSTILE, HOSTILE, note=HOSTILE),),
            ),
        ),
        category=HOSTILE,
        state=HOSTILE,
        metadata=((HOSTILE, HOSTILE),),
        notes=(HOSTILE, "\u202eright to left\u2028next", "<!-- <script>"),
    )
    write_page(page((card,), name=HOSTILE), tmp_path / "report.html")
    browser.open(tmp_path / "report.html")
    assert browser.shown() == [HOSTILE]
    assert browser.js("document.title") == "Position bias"
    assert browser.js("document.querySelector('.prompt').textContent") == HOSTILE
    assert browser.complaints() == []
    browser.open(tmp_path / "report.html", "#q=" + quote(HOSTILE.split()[0]))
    assert browser.shown() == [HOSTILE]


def test_injected_scripts_are_refused(browser: Browser, report: Path, tmp_path: Path) -> None:
    text = report.read_text(encoding="utf-8").replace(
        "</main>", '</main><script>document.title = "owned"</script>'
    )
    (tmp_path / "report.html").write_text(text, encoding="utf-8")
    browser.open(tmp_path / "report.html")
    assert browser.js("document.title") == "Position bias"
    assert browser.complaints()


def test_many_pairs_come_in_batches_and_all_of_them_in_print(browser: Browser, tmp_path: Path) -> None:
    judged = both("none", "A", "B", "A")
    images = (PairImage("A", picture(1), "A"), PairImage("B", picture(2), "B"))
    many = tuple(PairCard(f"pair-{i}", "a cube", "A", images, judged) for i in range(300))
    write_page(page(many), tmp_path / "report.html")
    browser.open(tmp_path / "report.html")
    assert 20 <= len(browser.shown()) < 300
    browser.js("dispatchEvent(new Event('beforeprint'))")
    assert len(browser.shown()) == 300


def test_without_scripts_the_rest_is_there(browser: Browser, report: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(report)
        text = str(browser.js("document.body.innerText"))
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    for expected in (
        "The judge is right more often",
        "75.0",
        "Every object is whole.",
        "where scripts may run",
    ):
        assert expected in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(browser: Browser, report: Path, scheme: str) -> None:
    """Contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3) for each colour that text takes."""
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.open(report)
    ratios = browser.js(
        """(() => {
          const paint = document.createElement("canvas").getContext("2d");
          const light = (colour) => {
            paint.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(colour).trim();
            paint.fillRect(0, 0, 1, 1);
            const [r, g, b] = [...paint.getImageData(0, 0, 1, 1).data].map((byte) => {
              const share = byte / 255;
              return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const contrast = (...two) => {
            const [low, high] = two.map(light).sort((x, y) => x - y);
            return (high + 0.05) / (low + 0.05);
          };
          const inks = ["--ink", "--soft", "--accent", "--good", "--bad", "--warn", "--dim"];
          const pairs = inks.flatMap((ink) => [[ink, "--paper"], [ink, "--card"]]);
          for (const word of ["good", "bad", "warn", "dim"]) pairs.push([`--${word}`, `--${word}wash`]);
          pairs.push(["--soft", "--tint"]);
          return pairs.map(([ink, ground]) => [ink, ground, contrast(ink, ground)]);
        })()"""
    )
    browser.call("Emulation.setEmulatedMedia", features=[])
    assert isinstance(ratios, list)
    assert [entry for entry in ratios if entry[2] < 4.5] == []


def test_the_page_looks_like_something(browser: Browser, report: Path) -> None:
    import base64

    browser.open(report, "#filter=wrong")
    browser.shown()
    shot = browser.call("Page.captureScreenshot", format="png")["data"]
    with Image.open(io.BytesIO(base64.b64decode(shot))) as image:
        assert len(image.convert("RGB").getcolors(1 << 24) or ()) > 50
