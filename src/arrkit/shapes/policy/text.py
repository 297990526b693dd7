"""The words of the embedded policy: requests as a few numbers, by a fixed list of words.

What does not change a request in this world ("a", "a photo of", "please") is left out, as are different
words for the same: "take away" is "remove". A request with any other word is refused, since the model has
never seen one.
"""

from __future__ import annotations

import re

from arrkit.shapes.scene import Background, Colour, Shape

LENGTH = 8
"""Tokens of a request; shorter ones are filled up, as T5 does for FLUX."""

_FILL = ""
_NUMBERS = ("two", "three", "four")
_VERBS = ("recolour", "remove", "add", "replace", "move", "background")
_WORDS = (
    _FILL,
    *Shape,
    *Colour,
    *Background,
    *_NUMBERS,
    "left",
    "right",
    "above",
    "below",
    "and",
    *_VERBS,
)
_INDEX = {str(word): index for index, word in enumerate(_WORDS)}
VOCABULARY = len(_WORDS)

_SAME = {f"{shape}s": str(shape) for shape in Shape} | {
    "delete": "remove",
    "take": "remove",
    "put": "add",
    "draw": "add",
    "turn": "replace",
    "swap": "replace",
    "shift": "move",
    "bring": "move",
    "make": "recolour",
    "change": "recolour",
    "recolor": "recolour",
}
_ARTICLES = ("a", "an", "the", "one", "it", "everything")
_LINKS = ("of", "to", "on", "in", "into", "with", "for", "away", "so", "that", "is")
_FRAMES = ("photo", "picture", "image", "drawing", "illustration", "please", "colour", "color")
_SILENT = frozenset((*_ARTICLES, *_LINKS, *_FRAMES))


class UnknownWords(ValueError):
    """A request cannot be told to the model; the message says why."""


def tokens_of(text: str) -> list[int]:
    """``LENGTH`` token numbers for a request.

    Raises :class:`UnknownWords` for words that are not in the list, and for a request that is too long.
    """
    words = [_SAME.get(word, word) for word in re.findall(r"[^\s,.!]+", text.lower())]
    spoken = [word for word in words if word not in _SILENT]
    unknown = sorted({word for word in spoken if word not in _INDEX})
    if unknown:
        raise UnknownWords(f"the embedded policy does not know {', '.join(map(repr, unknown))}")
    if not spoken:
        raise UnknownWords("the prompt says nothing that the embedded policy knows")
    if len(spoken) > LENGTH:
        raise UnknownWords(
            f"the prompt has {len(spoken)} words that count, the embedded policy reads {LENGTH}"
        )
    return [_INDEX[word] for word in spoken] + [_INDEX[_FILL]] * (LENGTH - len(spoken))
