"""The checks that the shapes judge knows: each asks one thing of an image and is answered in [0, 1]."""

from __future__ import annotations

from enum import StrEnum


class Check(StrEnum):
    """One kind of question about an image of the shapes world.

    What "as asked" means comes from the prompt, or for an edit from the instruction applied to the source.
    The last four are general looks: they need no prompt and say little about which image is better.
    """

    FIDELITY = "fidelity"
    """All that was asked is there and nothing is wrong: the strict reading of prompt or instruction."""
    OBJECTS = "objects"
    """The kinds of objects asked for are present, whatever their colours."""
    COUNT = "count"
    """As many objects of each kind as asked."""
    COLOUR = "colour"
    """The colours asked for are there."""
    BINDING = "binding"
    """Each colour is on its own object."""
    RELATION = "relation"
    """The objects stand to each other as asked."""
    EXTRA = "extra"
    """No objects beyond those asked for."""
    BACKGROUND = "background"
    """The background is as asked."""
    WHOLE = "whole"
    """No object is cut off."""
    CLEAN = "clean"
    """No object is smeared."""
    EXECUTED = "executed"
    """The instruction was carried out."""
    PRESERVED = "preserved"
    """The objects that the instruction does not mention are as they were."""
    BACKGROUND_KEPT = "background_kept"
    """The background is as it was, unless the instruction asks for another."""
    CONTRAST = "contrast"
    """The objects stand out against the background."""
    COVERAGE = "coverage"
    """The objects fill the frame."""
    SMOOTHNESS = "smoothness"
    """Surfaces are smooth."""
    VIVIDNESS = "vividness"
    """Colours are vivid."""


LOOKS = (Check.CONTRAST, Check.COVERAGE, Check.SMOOTHNESS, Check.VIVIDNESS)
"""The checks that any image can be asked, without a prompt."""
