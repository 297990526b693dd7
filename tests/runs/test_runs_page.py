"""The report as a file: what stands in it, that it is safe, and how large it grows."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import random
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from arrkit.runs import markup
from arrkit.runs.page import (
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
    RubricView,
    Table,
    embed,
    flags_of,
    render_page,
    write_page,
)
from arrkit.runs.pictures import file_facts, thumbnail

HOSTILE = (
    "</script><script>alert(1)</script><!-- \" ' & <img src=x onerror=alert(1)> {{data}} \u202eabc\u2028"
)
PAGE = Page("Title", "judge eval", "It is right.", "2026-01-02T03:04:05Z", "0.1.0")
RATE = Interval(0.8333, 0.71, 0.92, 1240)


class Outline(HTMLParser):
    """The elements of a page with their attributes, and the text of its script elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words = ""
        self._inside = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag in ("script", "style")
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.words += data
        elif self.elements[-1][0] == "script":
            self.scripts[-1] += data

    def data(self) -> dict:
        return json.loads(self.scripts[0])


def drawing(seed: int, size: int = 96) -> Image.Image:
    """A flat drawing with smooth edges, different for each seed."""
    pick = random.Random(seed)
    large = Image.new("RGB", (size * 4, size * 4), tuple(pick.randrange(180, 256) for _ in range(3)))
    pen = ImageDraw.Draw(large)
    for _ in range(3):
        x, y, edge = pick.randrange(size * 3), pick.randrange(size * 3), pick.randrange(size // 2, size * 2)
        pen.ellipse((x, y, x + edge, y + edge), fill=tuple(pick.randrange(256) for _ in range(3)))
    return large.resize((size, size), Image.Resampling.LANCZOS)


def full_page(text: str) -> Page:
    """A page with ``text`` in every place that takes one."""
    criterion = CriterionView(text, text, 2.0, 3, ((text, text), (text, RATE)))
    rubric = RubricView(text, text, text, text, (DimensionView(text, (criterion,), text),), text)
    finding = FindingView(text, text, 0.1, math.nan, text)
    judgment = Judgment(text, text, text, text, None, text, text, (finding,))
    images = (PairImage("A", thumbnail(drawing(1)), text), PairImage("B", b"", text))
    card = PairCard(text, text, text, images, (judgment,), text, text, ((text, text),), (text,))
    return Page(
        text,
        text,
        text,
        text,
        text,
        facts=((text, text),),
        tables=(Table(text, (Column(text, help=text), Column(text)), ((text, text),), text),),
        charts=(Chart(text, (ChartRow(text, RATE),), reference_label=text, note=text),),
        rubrics=(rubric,),
        pairs=(card,),
        notes=(text,),
    )


def judged(*sides: str, label: str = "A") -> tuple[Judgment, ...]:
    return tuple(
        Judgment(
            "r",
            f"order {i}",
            "ok" if side in "AB" else side,
            side if side != "abstain" else "",
            side == label,
        )
        if side in ("A", "B", "tie")
        else Judgment("r", f"order {i}", side)
        for i, side in enumerate(sides)
    )


def test_hostile_text_adds_no_element_and_survives_whole() -> None:
    hostile, plain = Outline(render_page(full_page(HOSTILE))), Outline(render_page(full_page("harmless")))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    assert [sorted(attributes) for _, attributes in hostile.elements] == [
        sorted(attributes) for _, attributes in plain.elements
    ]
    pair = hostile.data()["pairs"][0]
    assert pair["prompt"] == pair["notes"][0] == pair["judgments"][0]["rationale"] == HOSTILE
    assert hostile.data()["texts"] == [HOSTILE]
    assert hostile.words.count(HOSTILE) == plain.words.count("harmless")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        max_leaves=8,
    )
)
def test_embedded_json_reads_back_and_cannot_end_its_element(value: object) -> None:
    text = embed(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_nothing_is_asked_of_the_network() -> None:
    html = render_page(full_page("plain"))
    assert "://" not in html
    assert "url(" not in html
    assert "@import" not in html
    for tag, attributes in Outline(html).elements:
        assert tag not in ("iframe", "object", "embed", "base", "form")
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)


def test_the_policy_lets_only_the_own_script_run() -> None:
    outline = Outline(render_page(PAGE))
    policies = [
        a["content"] for tag, a in outline.elements if a.get("http-equiv") == "Content-Security-Policy"
    ]
    own = base64.b64encode(hashlib.sha256(outline.scripts[1].encode()).digest()).decode()
    assert len(policies) == 1
    assert policies[0] is not None
    rules = policies[0].split("; ")
    assert rules[:3] == ["default-src 'none'", "img-src data:", "style-src 'unsafe-inline'"]
    assert f"script-src 'sha256-{own}'" in rules
    assert not any(name.startswith("on") for _, attributes in outline.elements for name in attributes)


def test_half_a_surrogate_pair_does_not_stop_the_report(tmp_path: Path) -> None:
    write_page(full_page("broken \ud83d prompt"), tmp_path / "report.html")
    assert "broken \ufffd prompt" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_everything_but_the_pairs_is_there_without_scripts() -> None:
    page = replace(
        full_page("unused"), title="Bias of a judge", summary="It leans left.", notes=("Two were lost.",)
    )
    words = Outline(render_page(page)).words
    for expected in ("Bias of a judge", "It leans left.", "Two were lost.", "83.3", "n\u202f1,240"):
        assert expected in words
    assert "pairs are listed here where scripts may run" in words


def test_weights_are_shown_where_they_differ() -> None:
    criteria = (CriterionView("one", weight=1.0), CriterionView("two", weight=4.0, sources=1))
    rubric = RubricView("r", "1.0.0", "ab", "t2i", (DimensionView("d", criteria),))
    html = render_page(replace(PAGE, rubrics=(rubric,)))
    assert "weight 1<" in html
    assert "weight 4<" in html
    assert "width:25%" in html
    assert "from 1 pair<" in html
    alone = replace(rubric, dimensions=(DimensionView("d", criteria[:1]),))
    assert "weight" not in Outline(render_page(replace(PAGE, rubrics=(alone,)))).words


def test_a_page_without_pairs_has_no_list() -> None:
    html = render_page(PAGE)
    assert 'id="browser"' not in html
    assert 'id="results"' not in html
    assert "{{" not in html


def test_it_says_when_it_holds_only_some_of_the_pairs() -> None:
    page = replace(full_page("x"), pairs_total=5000)
    assert "holds 1 of the run's 5,000 pairs" in render_page(page)
    assert "holds 1 of" not in render_page(replace(page, pairs_total=0))
    assert "holds 1 of" not in render_page(replace(page, pairs_total=1))


def test_the_same_page_is_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "report.html"
    write_page(full_page("x"), path)
    first = path.read_bytes()
    write_page(full_page("x"), path)
    assert path.read_bytes() == first
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (RATE, ColumnKind.RATE, "83.3 %71.0–92.0 · n 1,240"),
        (Interval(-0.05, -0.123, 0.02, 60), ColumnKind.DIFFERENCE, "−5.0 pts−12.3 to +2.0 · n 60"),
        (Interval(0.41, -0.1, 0.72, 12), ColumnKind.NUMBER, "0.41−0.10 to 0.72 · n 12"),
        (Interval(0.5, math.nan, math.nan, 1), ColumnKind.RATE, "50.0 %n 1"),
        (Interval(math.nan, 0.0, 1.0, 0), ColumnKind.RATE, "–"),
        (0.25, ColumnKind.RATE, "25.0 %"),
        (0.25, ColumnKind.DIFFERENCE, "+25.0 pts"),
        (-0.0001, ColumnKind.DIFFERENCE, "0.0 pts"),
        (12345, ColumnKind.NUMBER, "12,345"),
        (-1.5, ColumnKind.NUMBER, "−1.50"),
        (math.nan, ColumnKind.NUMBER, "–"),
        (None, ColumnKind.RATE, "–"),
        ("a <b>", ColumnKind.TEXT, "a <b>"),
    ],
)
def test_cells_read_as_people_write_numbers(value: object, kind: ColumnKind, expected: str) -> None:
    assert Outline(markup.cell(value, kind)).words.replace("\u202f", " ") == expected


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(-2, 2))
def test_an_interval_is_drawn_inside_its_strip(value: float, low: float, high: float) -> None:
    svg = markup.strip(Interval(value, low, high, 1), 0.25, 0.75, 0.5)
    places = [float(place) for place in re.findall(r'(?:c?x[12]?)="([\d.]+)%"', svg)]
    assert len(places) == 6
    assert all(0 <= place <= 100 for place in places)


def test_an_interval_stands_where_its_numbers_say() -> None:
    svg = markup.strip(Interval(0.75, 0.5, 0.9, 10), 0.0, 1.0, 0.5)
    assert 'class="ref" x1="50.00%"' in svg
    assert 'class="span" x1="50.00%" x2="90.00%"' in svg
    assert '<circle cx="75.00%"' in svg


def test_a_ragged_table_and_an_empty_axis_are_refused() -> None:
    with pytest.raises(ValueError, match="a row of 1 for 2 columns"):
        Table("t", (Column("a"), Column("b")), (("x",),))
    with pytest.raises(ValueError, match="axis"):
        Chart("c", (), low=1.0, high=1.0)


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        (("A", "A"), {Flag.RIGHT}),
        (("A", "B"), {Flag.WRONG, Flag.FLIPPED}),
        (("B", "B"), {Flag.WRONG}),
        (("A", "tie"), {Flag.WRONG, Flag.FLIPPED}),
        (("A", "failed"), {Flag.FAILED}),
        (("A", "refused"), {Flag.FAILED}),
        (("truncated", "unparsed"), {Flag.FAILED}),
        (("A", "abstain"), {Flag.ABSTAINED}),
        (("A",), {Flag.RIGHT}),
        ((), set()),
    ],
)
def test_flags_follow_from_the_judgments(sides: tuple[str, ...], expected: set[Flag]) -> None:
    assert flags_of(judged(*sides)) == expected


def test_where_people_saw_a_tie_nothing_is_right_or_wrong() -> None:
    two = tuple(Judgment("r", order, "ok", side, None) for order, side in (("1", "A"), ("2", "B")))
    assert flags_of(two) == {Flag.FLIPPED}


SIDES = st.lists(st.sampled_from(["A", "B", "tie", "abstain", "refused", "failed"]), max_size=4)


@given(SIDES, st.randoms())
def test_flags_do_not_depend_on_the_order_and_right_excludes_the_rest(
    sides: list[str], pick: random.Random
) -> None:
    judgments = list(judged(*sides))
    flags = flags_of(judgments)
    pick.shuffle(judgments)
    assert flags_of(judgments) == flags
    assert Flag.RIGHT not in flags or flags == {Flag.RIGHT}


def test_over_all_rubrics_any_fault_counts_but_right_means_all() -> None:
    right = tuple(replace(one, rubric="good") for one in judged("A", "A"))
    flipped = tuple(replace(one, rubric="bad") for one in judged("A", "B"))
    card = PairCard("id", "prompt", "A", (), right + flipped)
    assert card.rubrics() == ("good", "bad")
    assert card.flags("good") == {Flag.RIGHT}
    assert card.flags() == {Flag.WRONG, Flag.FLIPPED}
    assert replace(card, judgments=right).flags() == {Flag.RIGHT}
    assert Outline(render_page(replace(PAGE, pairs=(card,)))).data()["pairs"][0]["flags"] == {
        "0": ["right"],
        "1": ["flipped", "wrong"],
    }


def test_equal_images_are_stored_once() -> None:
    one, two = thumbnail(drawing(1)), thumbnail(drawing(2))
    images = (PairImage("A", one, "a"), PairImage("B", two, "b"), PairImage("source", one, "s"))
    pairs = tuple(PairCard(f"p{i}", "prompt", "A", images) for i in range(3))
    html = render_page(replace(PAGE, pairs=pairs))
    assert html.count("data:image/webp;base64,") == 2
    data = Outline(html).data()
    assert [image[1:] for image in data["images"]] == [[96, 96], [96, 96]]
    assert [entry[:2] for entry in data["pairs"][2]["images"]] == [["A", 0], ["B", 1], ["source", 0]]


def test_an_unreadable_image_is_no_image() -> None:
    card = PairCard("p", "prompt", "A", (PairImage("A", b"", "b.png: truncated"),))
    data = Outline(render_page(replace(PAGE, pairs=(card,)))).data()
    assert data["images"] == []
    assert data["pairs"][0]["images"] == [["A", -1, "b.png: truncated"]]


def test_a_file_of_another_kind_is_refused() -> None:
    svg = PairImage("A", b"<svg onload='alert(1)'/>", "x")
    with pytest.raises(ValueError, match="WebP, PNG or JPEG"):
        render_page(replace(PAGE, pairs=(PairCard("p", "prompt", "A", (svg,)),)))


@pytest.mark.parametrize("sides", [2, 3], ids=["t2i", "edit"])
def test_two_hundred_pairs_stay_under_three_megabytes(sides: int) -> None:
    criteria = [f"Criterion {k} says something checkable about what is seen in the image." for k in range(8)]
    pairs = []
    for i in range(200):
        images = tuple(
            PairImage(role, thumbnail(drawing(10 * i + k)), f"candidate {role}")
            for k, role in enumerate(("A", "B", "source")[:sides])
        )
        findings = tuple(FindingView(text, "A", 0.875, 0.125) for text in criteria)
        judgments = tuple(
            Judgment(
                rubric,
                order,
                "ok",
                "A",
                True,
                "A keeps the colours that the prompt names.",
                findings=findings,
            )
            for rubric in ("none", "learned")
            for order in ("A first", "B first")
        )
        pairs.append(
            PairCard(f"shapes-{i:04d}", "a red cube left of a ball", "A", images, judgments, "position")
        )
    assert len(render_page(replace(PAGE, pairs=tuple(pairs))).encode()) < 3_000_000


def decoded(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def test_a_small_drawing_keeps_every_pixel() -> None:
    image = drawing(3)
    assert decoded(thumbnail(image)).tobytes() == image.tobytes()


def test_a_noisy_small_image_is_not_resampled_but_packed_tighter() -> None:
    noise = Image.effect_noise((128, 96), 60).convert("RGB")
    data = thumbnail(noise)
    assert decoded(data).size == (128, 96)
    assert len(data) < len(noise.tobytes()) / 3


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1024, 512), (256, 128)), ((300, 3000), (26, 256)), ((5000, 4), (256, 1)), ((7, 9), (7, 9))],
)
def test_a_thumbnail_fits_keeps_its_shape_and_never_grows(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    kind, width, height = file_facts(thumbnail(Image.new("RGB", size, "red")))
    assert kind == ("image/webp" if (width, height) == size else "image/jpeg")
    assert (width, height) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_images_of_other_modes_are_converted(mode: str) -> None:
    source = Image.new(mode, (400, 300))
    assert file_facts(thumbnail(source, 64)) == ("image/jpeg", 64, 48)
    assert source.size == (400, 300)
