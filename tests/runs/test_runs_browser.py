"""The report in a real browser: headless Chromium, spoken to over a pipe."""

from __future__ import annotations

import fcntl
import io
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
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

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="NO BROWSER: report.html was not checked; install Debian's package chromium to check it",
    ),
]
HOSTILE = '</script><script>document.title="owned"</script><img src=x onerror=\'document.title="owned"\'>'
LONG = "unbroken" * 60
WIDE = "https://example.org/" + "a" * 300


class Browser:
    """A Chromium with one tab, driven by the DevTools protocol over file descriptors 3 and 4."""

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM is not None
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        # 3 and 4 are set one after the other, so neither end may stand there beforehand.
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in (theirs_in, theirs_out)]
        quiet = os.open(os.devnull, os.O_RDWR)
        flags = (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
            "--hide-scrollbars --disable-background-networking --disable-component-update "
            f"--disable-dev-shm-usage --remote-debugging-pipe --user-data-dir={folder}/profile"
        ).split()
        self.pid = os.posix_spawn(
            CHROMIUM,
            [CHROMIUM, *flags],
            {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LANG": "C.UTF-8"},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, ends[0], 3),
                (os.POSIX_SPAWN_DUP2, ends[1], 4),
                *((os.POSIX_SPAWN_DUP2, quiet, fd) for fd in (0, 1, 2)),
            ],
        )
        for fd in (theirs_in, theirs_out, *ends, quiet):
            os.close(fd)
        self._in, self._out = ours_in, ours_out
        self._buffer = b""
        self._last = 0
        self._session: str | None = None
        self.events: list[dict] = []

    def attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict:
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _read(self) -> dict:
        deadline = time.monotonic() + 60
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "Chromium has not answered for a minute"
            got = os.read(self._in, 1 << 20)
            assert got, "Chromium ended"
            self._buffer += got
        head, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(head)

    def open(self, path: Path, fragment: str = "", *, width: int = 1200, height: int = 900) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        # A mere change of the fragment would not load the page anew.
        self._load("about:blank")
        self._load(path.as_uri() + fragment)

    def _load(self, url: str) -> None:
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def js(self, expression: str) -> object:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def shown(self) -> list[str]:
        """The ids of the cards in the list, once it is settled."""
        self.js("new Promise((done) => setTimeout(done, 250))")
        ids = self.js("[...document.querySelectorAll('.pair')].map((card) => card.dataset.id)")
        assert isinstance(ids, list)
        return ids

    def complaints(self) -> list[dict]:
        """Errors of scripts, refusals of the content policy, and requests beyond the page itself."""
        bad = ("Runtime.exceptionThrown", "Log.entryAdded", "Network.loadingFailed")
        return [
            event
            for event in self.events
            if event.get("method") in bad
            or (
                event.get("method") == "Network.requestWillBeSent"
                and not event["params"]["request"]["url"].startswith(("file:", "data:"))
            )
        ]

    def close(self) -> None:
        """End the browser; the pipe's end alone would do, the signal is for one that hangs."""
        os.close(self._out)
        os.close(self._in)
        deadline = time.monotonic() + 10
        while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return
            time.sleep(0.05)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    it = Browser(tmp_path_factory.mktemp("chromium"))
    try:
        it.attach()
        yield it
    finally:
        it.close()


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
