"""A sheet to draw on: the palette, smooth shapes, and a small PNG at the end.

Everything is drawn larger than it will be and scaled down once, because Pillow's shapes have hard edges.
Coordinates and sizes are pixels of the finished picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageColor, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Point = tuple[float, float]

OVERSIZE = 3

NIGHT = "#16243d"
DEEP = "#1f4260"
SEA = "#2f7181"
TEAL = "#63a69b"
SAGE = "#aecaa6"
MIST = "#d3dfd8"
SAND = "#ead7ae"
PAPER = "#f2e9d8"
OCHRE = "#e5a63f"
CORAL = "#de6a4d"
PLUM = "#6d4769"


@dataclass(frozen=True)
class Canvas:
    """A picture in the making."""

    image: Image.Image
    pen: ImageDraw.ImageDraw

    @classmethod
    def blank(cls, colour: str, width: int = 1600, height: int = 900) -> Canvas:
        """Return an empty sheet of one colour."""
        image = Image.new("RGB", (width * OVERSIZE, height * OVERSIZE), colour)
        return cls(image, ImageDraw.Draw(image))

    @property
    def width(self) -> int:
        """Width of the finished picture in pixels."""
        return self.image.width // OVERSIZE

    @property
    def height(self) -> int:
        """Height of the finished picture in pixels."""
        return self.image.height // OVERSIZE

    def shape(self, points: Iterable[Point], colour: str) -> None:
        """Fill the area inside the points."""
        self.pen.polygon(enlarge(points), fill=colour)

    def glaze(self, points: Iterable[Point], colour: str, strength: float) -> None:
        """Lay a transparent colour over the area inside the points; strength 1 covers all."""
        outline = enlarge(points)
        left, top = (max(0, int(min(point[axis] for point in outline))) for axis in (0, 1))
        right, bottom = (int(max(point[axis] for point in outline)) + 1 for axis in (0, 1))
        mask = Image.new("L", (min(right, self.image.width) - left, min(bottom, self.image.height) - top))
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in outline], fill=round(255 * strength))
        self.image.paste(colour, (left, top, left + mask.width, top + mask.height), mask)

    def disc(self, centre: Point, radius: float, colour: str) -> None:
        """Fill a circle."""
        self.pen.circle(enlarge([centre])[0], radius * OVERSIZE, fill=colour)

    def ring(self, centre: Point, radius: float, colour: str, *, width: float = 3) -> None:
        """Draw a circle's line."""
        self.pen.circle(enlarge([centre])[0], radius * OVERSIZE, outline=colour, width=round(width * OVERSIZE))

    def line(self, points: Iterable[Point], colour: str, *, width: float = 3) -> None:
        """Draw a line with round joints and round ends."""
        large = enlarge(points)
        self.pen.line(large, fill=colour, width=round(width * OVERSIZE), joint="curve")
        for end in (large[0], large[-1]):
            self.pen.circle(end, width * OVERSIZE / 2, fill=colour)

    def box(self, corner: Point, size: Point, colour: str, *, rounding: float = 0) -> None:
        """Fill an upright rectangle, given by its upper left corner and its size."""
        (left, top), (wide, high) = enlarge([corner, size])
        edges = (left, top, left + wide - 1, top + high - 1)
        self.pen.rounded_rectangle(edges, rounding * OVERSIZE, fill=colour)

    def arc(self, centre: Point, radius: float, span: Point, colour: str, *, width: float) -> None:
        """Draw part of a ring between two angles in degrees, clockwise from three o'clock."""
        angles = [min(step, span[1]) for step in range(math.floor(span[0]), math.ceil(span[1]) + 1)]
        outer = [polar(centre, radius + width / 2, angle) for angle in angles]
        inner = [polar(centre, radius - width / 2, angle) for angle in reversed(angles)]
        self.shape(outer + inner, colour)
        for end in (angles[0], angles[-1]):
            self.disc(polar(centre, radius, end), width / 2, colour)

    def words(self, at: Point, text: str, colour: str, *, size: float, anchor: str = "lm") -> None:
        """Write with the font that Pillow carries in itself."""
        font = ImageFont.load_default(size=size * OVERSIZE)
        self.pen.text(enlarge([at])[0], text, fill=colour, font=font, anchor=anchor)

    def save(self, file: Path) -> None:
        """Scale down, choose 256 colours, and write a PNG."""
        small = self.image.reduce(OVERSIZE)
        # MAXCOVERAGE keeps small bright spots (a lit window), which MEDIANCUT gives away for one more blue;
        # one round of k-means then puts the large areas right: no channel is off by more than 8.
        few = small.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
        few.save(file, "PNG", optimize=True)


def enlarge(points: Iterable[Point]) -> list[Point]:
    """Turn finished pixels into the pixels of the large sheet."""
    return [(x * OVERSIZE, y * OVERSIZE) for x, y in points]


def polar(centre: Point, radius: float, degrees: float) -> Point:
    """Return the point at an angle and a distance from a centre."""
    angle = math.radians(degrees)
    return centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)


def turned(centre: Point, size: Point, degrees: float) -> list[Point]:
    """Return the corners of a rectangle that is turned about its centre."""
    reach = math.hypot(*size) / 2
    lean = math.degrees(math.atan2(size[1], size[0]))
    return [polar(centre, reach, degrees + corner) for corner in (lean, 180 - lean, 180 + lean, -lean)]


def blend(first: str, second: str, share: float) -> str:
    """Mix two colours; share 0 is the first, 1 the second."""
    pairs = zip(ImageColor.getrgb(first), ImageColor.getrgb(second), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def wave(level: float, swells: Sequence[tuple[float, float, float]], *, width: int = 1600) -> list[Point]:
    """Return a smooth line from edge to edge: each swell is (height, length, shift), all in pixels."""
    return [
        (x, level + sum(high * math.sin((x + shift) / long * math.tau) for high, long, shift in swells))
        for x in range(-8, width + 9, 4)
    ]


def down_from(line: Sequence[Point], bottom: float = 900) -> list[Point]:
    """Close a line into an area that reaches to the bottom."""
    return [*line, (line[-1][0], bottom), (line[0][0], bottom)]
