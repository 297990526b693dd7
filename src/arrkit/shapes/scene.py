"""What the embedded world is made of: things on a background, as plain values.

Lengths and positions are fractions of the image's side; x grows to the right, y downwards. A scene says
everything that its picture shows, so that a picture is a pure function of its scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

MAX_THINGS = 6
"""The most things a scene holds."""

Rgb = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""


class Shape(StrEnum):
    """The four shapes. Each is drawn upright: triangles and stars point up."""

    CIRCLE = "circle"
    SQUARE = "square"
    TRIANGLE = "triangle"
    STAR = "star"


class Colour(StrEnum):
    """The six colours of things."""

    RED = "red"
    GREEN = "green"
    BLUE = "blue"
    YELLOW = "yellow"
    PURPLE = "purple"
    ORANGE = "orange"


COLOUR_RGB: dict[Colour, Rgb] = {
    Colour.RED: (222, 48, 64),
    Colour.GREEN: (46, 160, 88),
    Colour.BLUE: (48, 112, 220),
    Colour.YELLOW: (250, 214, 40),
    Colour.PURPLE: (146, 72, 196),
    Colour.ORANGE: (246, 128, 28),
}
"""The body colour of a thing before shading.

Hues are at least 20 degrees apart and the saturation, ``1 - min / max`` of the channels, is above 0.6.
"""


class Background(StrEnum):
    """What things lie on: six plain pastels and two soft gradients from top to bottom."""

    MINT = "mint"
    SAND = "sand"
    SKY = "sky"
    LILAC = "lilac"
    ROSE = "rose"
    PEARL = "pearl"
    DAWN = "dawn"
    MEADOW = "meadow"


BACKGROUND_RGB: dict[Background, tuple[Rgb, Rgb]] = {
    Background.MINT: ((205, 240, 222), (205, 240, 222)),
    Background.SAND: ((244, 232, 204), (244, 232, 204)),
    Background.SKY: ((206, 230, 250), (206, 230, 250)),
    Background.LILAC: ((226, 214, 246), (226, 214, 246)),
    Background.ROSE: ((252, 218, 224), (252, 218, 224)),
    Background.PEARL: ((237, 237, 240), (237, 237, 240)),
    Background.DAWN: ((255, 222, 196), (222, 214, 248)),
    Background.MEADOW: ((208, 230, 252), (218, 244, 204)),
}
"""The colour at the top and at the bottom edge, linear in between.

No channel is below 190 and the saturation stays below 0.25, so that every thing stands out on each.
"""


@dataclass(frozen=True, slots=True)
class Thing:
    """One object.

    ``x`` and ``y`` are the centre of its bounding box, ``size`` its diameter: exact for the circle, and for
    the other shapes such that all four look equally large (extents are in :data:`EXTENT`).
    """

    shape: Shape
    colour: Colour
    x: float
    y: float
    size: float


EXTENT: dict[Shape, tuple[float, float]] = {
    Shape.CIRCLE: (1.0, 1.0),
    Shape.SQUARE: (0.88, 0.88),
    Shape.TRIANGLE: (1.06, 0.93),
    Shape.STAR: (1.14, 1.09),
}
"""Width and height of each shape's bounding box as a multiple of ``Thing.size``, within 2 %."""

RADIUS: dict[Shape, float] = {
    Shape.CIRCLE: 0.5,
    Shape.SQUARE: 0.594,
    Shape.TRIANGLE: 0.685,
    Shape.STAR: 0.642,
}
"""Radius of the smallest circle about (x, y) that holds all of a thing, as a multiple of its size."""

TextureKind = Literal["stripes", "blotches"]


@dataclass(frozen=True, slots=True)
class Smear:
    """Motion blur: what is near (x, y) is dragged along ``angle`` by ``length``.

    Near is within ``size / 2`` of the segment of ``length`` along ``angle`` (radians) centred on (x, y).
    """

    x: float
    y: float
    size: float
    angle: float
    length: float


@dataclass(frozen=True, slots=True)
class Slice:
    """A straight cut through each thing whose centre lies within ``size / 2`` of (x, y).

    What lies further than ``offset`` from (x, y) towards ``angle`` (radians, 0 is right, a quarter turn is
    down) is gone together with its shadow; a negative offset cuts beyond (x, y).
    """

    x: float
    y: float
    size: float
    angle: float
    offset: float


@dataclass(frozen=True, slots=True)
class Texture:
    """A pattern on the background.

    Where it is deepest the background is darker by ``strength``, a share in [0, 1]. ``seed`` draws its
    direction and phase. Raises :class:`ValueError` for an unknown ``kind``.
    """

    kind: TextureKind
    strength: float
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(TextureKind):
            raise ValueError(f"a texture is one of {', '.join(get_args(TextureKind))}, not {self.kind}")


Damage = Smear | Slice | Texture


@dataclass(frozen=True, slots=True)
class Scene:
    """Things on a background, later things in front, and the damage that the picture shows.

    Damage belongs to the picture and not to what is in it: cuts and smears leave ``things`` as they are.

    Raises :class:`ValueError` for more than :data:`MAX_THINGS` things.
    """

    things: tuple[Thing, ...]
    background: Background
    damage: tuple[Damage, ...] = ()

    def __post_init__(self) -> None:
        if len(self.things) > MAX_THINGS:
            raise ValueError(f"a scene holds at most {MAX_THINGS} things, not {len(self.things)}")


class Side(StrEnum):
    """Where one thing lies as seen from another."""

    LEFT = "left"
    RIGHT = "right"
    ABOVE = "above"
    BELOW = "below"

    @property
    def opposite(self) -> Side:
        """Left for right, above for below, and back."""
        return _OPPOSITE[self]

    @property
    def step(self) -> tuple[int, int]:
        """The unit vector that points to this side: (x, y), y downwards."""
        return _STEP[self]


_OPPOSITE = {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT, Side.ABOVE: Side.BELOW, Side.BELOW: Side.ABOVE}
_STEP = {Side.LEFT: (-1, 0), Side.RIGHT: (1, 0), Side.ABOVE: (0, -1), Side.BELOW: (0, 1)}


def lies(a: tuple[float, float], side: Side, b: tuple[float, float]) -> bool:
    """Whether the point ``a`` lies to that side of ``b``: that way, and further that way than across.

    Of two points, one side holds, or none where they are as far apart one way as the other.
    """
    dx, dy = a[0] - b[0], a[1] - b[1]
    sx, sy = side.step
    along, across = (dx * sx, dy) if sx else (dy * sy, dx)
    return along > abs(across)
