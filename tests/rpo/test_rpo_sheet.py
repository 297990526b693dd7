"""Picture sheets: what stands where, whatever the images and the words."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from arrkit.errors import InputError
from arrkit.rpo.sheet import CELL, GAP, MARGIN, SheetRow, before_after, grid, save_png

RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)


def plain(colour: tuple[int, int, int], width: int = 32, height: int = 32) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def places(sheet: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """The box that a colour fills."""
    ys, xs = np.nonzero((np.asarray(sheet) == colour).all(axis=2))
    return int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())


def row(prompt: str = "a red circle", **more) -> SheetRow:
    return SheetRow(prompt, plain(RED), plain(GREEN), **more)


class TestBeforeAfter:
    def test_base_stands_left_of_trained_and_both_fill_their_cells(self):
        sheet = before_after([row()], title="Title")
        base, trained = places(sheet, RED), places(sheet, GREEN)
        assert base[2] < trained[0]
        assert base[1] == trained[1]
        assert base[3] - base[1] + 1 == CELL

    def test_the_source_of_an_edit_comes_first(self):
        sheet = before_after([row(source=plain(BLUE)), row()], title="Title")
        assert places(sheet, BLUE)[2] < places(sheet, RED)[0]
        assert sheet.width > before_after([row()], title="Title").width

    def test_rows_go_down_and_then_into_the_next_column(self):
        one, two = (before_after([row()] * 5, title="Title", columns=n) for n in (1, 2))
        assert two.width > 1.8 * one.width
        assert two.height == one.height - 2 * (CELL + GAP)

    def test_an_image_keeps_its_shape(self):
        wide = SheetRow("x", plain(RED, 40, 10), plain(GREEN, 10, 40))
        left, top, right, bottom = places(before_after([wide], title="Title"), RED)
        assert (right - left + 1) / (bottom - top + 1) == pytest.approx(4, rel=0.05)

    @pytest.mark.parametrize(("won", "differs"), [(True, 1), (False, 0)])
    def test_the_verdict_is_written_in_its_colour(self, won, differs):
        bare, told = (before_after([row(won=won, judged=judged)], title="T") for judged in (False, True))
        one, other = np.asarray(told), np.asarray(bare)
        ink = one[(one != other).any(axis=2)]
        assert len(ink)
        assert int(ink.sum(axis=0).argmax()) == differs

    @pytest.mark.parametrize(
        "prompt",
        ["", "一个红色的圆", "Ein schöner roter Kreis", "x" * 5000, "word " * 900, "\u202e\n\t🙂", "\x00"],
    )
    def test_any_prompt_can_be_shown(self, prompt):
        sheet = before_after([row(prompt)], title=prompt, note=prompt)
        assert sheet.height < 900
        assert places(sheet, RED)[0] > MARGIN

    def test_an_accent_is_left_out_and_words_that_cannot_be_drawn_become_a_number(self):
        def drawn(prompt: str) -> bytes:
            return before_after([row(prompt)], title="T").tobytes()

        assert drawn("schön") == drawn("schon")
        assert drawn("一个红色的圆") == drawn("prompt 1")

    def test_nothing_to_show_is_refused(self):
        with pytest.raises(ValueError, match="needs a row"):
            before_after([], title="T")


class TestGrid:
    def test_images_stand_in_rows(self):
        sheet = grid([plain(RED), plain(GREEN), plain(BLUE)], ["a", "b", "c"], title="Update 50", columns=2)
        red, green, blue = (places(sheet, colour) for colour in (RED, GREEN, BLUE))
        assert red[2] < green[0]
        assert red[1] == green[1]
        assert red[3] < blue[1]
        assert red[0] == blue[0]

    def test_it_is_about_square_by_itself(self):
        sheet = grid([plain(RED)] * 9, ["x"] * 9, title="T")
        assert 0.5 < sheet.width / sheet.height < 1.5


def test_a_sheet_is_written_whole(tmp_path):
    path = tmp_path / "sheets" / "update-000025.png"
    save_png(before_after([row()], title="T"), path)
    save_png(before_after([row(), row()], title="T"), path)
    with Image.open(path) as image:
        assert image.format == "PNG"
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    with pytest.raises(InputError, match="cannot write"):
        save_png(plain(RED), path / "below-a-file.png")
