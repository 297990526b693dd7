"""Picture sheets: what a policy paints before and after training, for the same prompts and noise."""

from __future__ import annotations

import io
import os
import tempfile
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from arrkit.errors import InputError, RunError

PAPER = "#fbfaf7"
INK = "#1e2125"
SOFT = "#5d636b"
EDGE = "#e3e0d8"
GOOD = "#22733f"
BAD = "#b0342b"

CELL = 208
"""Side in pixels of the square that an image of a sheet is fitted into."""

MARGIN = 28
GAP = 16
TEXT_WIDTH = 220
MOST_LINES = 7

_VERDICTS = {True: ("trained is better", GOOD), False: ("base is better", BAD), None: ("a tie", SOFT)}


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One prompt of a sheet, with its images.

    Where there is a verdict (``judged``), ``won`` says whether the trained image was preferred; None is a
    tie.
    """

    prompt: str
    base: Image.Image
    trained: Image.Image
    source: Image.Image | None = None
    won: bool | None = None
    judged: bool = False


def before_after(
    rows: Sequence[SheetRow], *, title: str, note: str = "", columns: int = 1, cell: int = CELL
) -> Image.Image:
    """A sheet of prompt, source where there is one, base image and trained image.

    Args:
        rows: at least one.
        title: in large letters; ``note`` in small ones below it.
        columns: how many rows stand beside each other.
        cell: side of the square that each image is fitted into.
    """
    if not rows:
        raise ValueError("a sheet needs a row")
    heads = (["source"] if any(row.source is not None for row in rows) else []) + ["base", "trained"]
    block = TEXT_WIDTH + GAP + len(heads) * (cell + GAP)
    columns = max(1, min(columns, len(rows)))
    lines = -(-len(rows) // columns)
    width = 2 * MARGIN + columns * block + (columns - 1) * MARGIN - GAP
    sheet, draw, top = _headed(title, note, width, lambda start: start + 26 + lines * (cell + GAP) + MARGIN)
    for column in range(columns):
        for index, head in enumerate(heads):
            left = MARGIN + column * (block + MARGIN) + TEXT_WIDTH + GAP + index * (cell + GAP)
            draw.text((left, top), head, fill=SOFT, font=_font(15))
    for number, row in enumerate(rows):
        left = MARGIN + (number // lines) * (block + MARGIN)
        y = top + 26 + (number % lines) * (cell + GAP)
        _prompt(draw, row, number, left, y)
        images = ([row.source] if "source" in heads else []) + [row.base, row.trained]
        for index, image in enumerate(images):
            if image is not None:
                x = left + TEXT_WIDTH + GAP + index * (cell + GAP)
                _place(sheet, draw, image, x, y, cell)
    return sheet


def grid(
    images: Sequence[Image.Image],
    captions: Sequence[str],
    *,
    title: str,
    note: str = "",
    columns: int = 0,
    cell: int = CELL,
) -> Image.Image:
    """Images in rows, each with its caption below. ``columns`` of 0 makes it about square."""
    if not images:
        raise ValueError("a grid needs an image")
    columns = min(columns or max(1, round(len(images) ** 0.5 + 0.4)), len(images))
    lines = -(-len(images) // columns)
    caption = 44
    width = max(2 * MARGIN + columns * (cell + GAP) - GAP, 2 * MARGIN + 2 * cell)
    sheet, draw, top = _headed(title, note, width, lambda start: start + lines * (cell + caption + GAP) + 12)
    for number, (image, text) in enumerate(zip(images, captions, strict=True)):
        x = MARGIN + number % columns * (cell + GAP)
        y = top + number // columns * (cell + caption + GAP)
        _place(sheet, draw, image, x, y, cell)
        for line, part in enumerate(_wrapped(_shown(text, number), _font(14), cell, 2)):
            draw.text((x, y + cell + 5 + 18 * line), part, fill=SOFT, font=_font(14))
    return sheet


def save_png(image: Image.Image, path: Path) -> Path:
    """Write a PNG, whole or not at all; parent folders are made. Returns its path.

    Raises :class:`~arrkit.errors.InputError` where the folder cannot be written, ``RunError`` where the disk
    is full.
    """
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(buffer.getvalue())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _headed(
    title: str, note: str, width: int, height: Callable[[int], int]
) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    """A sheet with its head drawn, and the y at which its body begins; ``height`` is told that y."""
    room = width - 2 * MARGIN
    titles = _wrapped(_shown(title), _font(26), room, 2)
    notes = _wrapped(_shown(note), _font(16), room, 3) if note else []
    top = MARGIN + 34 * len(titles) + (22 * len(notes) + 6 if notes else 0) + GAP
    sheet = Image.new("RGB", (width, height(top)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, line in enumerate(titles):
        draw.text((MARGIN, MARGIN + 34 * index), line, fill=INK, font=_font(26))
    for index, line in enumerate(notes):
        y = MARGIN + 34 * len(titles) + 6 + 22 * index
        draw.text((MARGIN, y), line, fill=SOFT, font=_font(16))
    return sheet, draw, top


def _prompt(draw: ImageDraw.ImageDraw, row: SheetRow, number: int, left: int, top: int) -> None:
    lines = _wrapped(_shown(row.prompt, number), _font(17), TEXT_WIDTH, MOST_LINES)
    for index, line in enumerate(lines):
        draw.text((left, top + 23 * index), line, fill=INK, font=_font(17))
    if row.judged:
        words, colour = _VERDICTS[row.won]
        draw.text((left, top + 23 * len(lines) + 6), words, fill=colour, font=_font(15))


def _place(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, image: Image.Image, left: int, top: int, cell: int
) -> None:
    factor = cell / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    fitted = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    draw.rectangle((left - 1, top - 1, left + size[0], top + size[1]), outline=EDGE)
    sheet.paste(fitted, (left, top))


def _wrapped(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int, most: int
) -> list[str]:
    """``text`` in at most ``most`` lines that fit; what is cut off ends in an ellipsis."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        elif len(lines) <= most:
            lines.append(word)
    cut = len(lines) > most
    lines = lines[:most]
    if cut:
        lines[-1] += "…"
    return [_cut(line, font, width) for line in lines]


def _cut(line: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    if font.getlength(line) <= width:
        return line
    kept = bisect_right(range(len(line)), float(width), key=lambda n: float(font.getlength(line[:n] + "…")))
    return line[: max(1, kept - 1)] + "…"


def _shown(text: str, number: int | None = None) -> str:
    """``text`` as far as the font can draw it, accents left out; else, for row ``number``, its place."""
    plain = text if text.isascii() else unicodedata.normalize("NFKD", text)
    plain = "".join(each for each in plain if not unicodedata.combining(each))
    kept = "".join(each if _drawable(each) else " " for each in plain)
    if number is not None and 2 * len("".join(kept.split())) < len("".join(plain.split())):
        return f"prompt {number + 1}"
    return " ".join(kept.split())


@cache
def _drawable(character: str) -> bool:
    # A font draws the same box for every character that it lacks.
    if character.isspace():
        return True
    font = _font(20)
    missing, mask = (font.getmask(each) for each in ("\U000f0000", character))
    return mask.size != missing.size or bytes(mask) != bytes(missing)
