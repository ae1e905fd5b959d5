"""Covers that show things: drawers, a queue at a door, letters, cards, tiles."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING

from .canvas import (
    CORAL,
    DEEP,
    MIST,
    NIGHT,
    OCHRE,
    PAPER,
    PLUM,
    SAGE,
    SAND,
    SEA,
    TEAL,
    Canvas,
    blend,
    polar,
    turned,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from .canvas import Point

    Tile = Callable[[Canvas, Point, str], None]

TILE = 160


def draw_drawers() -> Canvas:
    """A wall of archive drawers; one stands open and glows."""
    canvas = Canvas.blank(NIGHT)
    chance = Random(17)
    for row in range(6):
        for column in range(9):
            corner = 34 + column * 172, 30 + row * 142
            wood = chance.choice((DEEP, SEA, DEEP, "#28586f", "#3d8087", "#1b3753"))
            draw_drawer(canvas, corner, blend(wood, NIGHT, 0.06 * abs(column - 5)), label=chance.uniform(24, 52))
    open_drawer(canvas, (34 + 5 * 172, 30 + 3 * 142))
    return canvas


def draw_drawer(canvas: Canvas, corner: Point, colour: str, *, label: float) -> None:
    """A closed drawer with a label and a pull."""
    x, y = corner
    canvas.box(corner, (156, 126), blend(colour, NIGHT, 0.45), rounding=9)
    canvas.box(corner, (156, 120), colour, rounding=9)
    canvas.box((x + 44, y + 26), (68, 34), blend(colour, PAPER, 0.5), rounding=4)
    canvas.line([(x + 53, y + 43), (x + 53 + label, y + 43)], blend(colour, NIGHT, 0.3), width=4)
    canvas.arc((x + 78, y + 84), 15, (0, 180), blend(colour, NIGHT, 0.5), width=6)


def open_drawer(canvas: Canvas, corner: Point) -> None:
    """Light, cards and the drawer's front, which has come towards us."""
    x, y = corner
    for widen, strength in ((300, 0.10), (190, 0.13), (90, 0.2)):
        canvas.glaze(
            [(x + 4, y + 66), (x + 152, y + 66), (x + 152 + widen, -10), (x + 4 - widen, -10)], "#f8dc92", strength
        )
    canvas.box((x - 2, y - 2), (160, 128), "#0f1a2e", rounding=9)
    for card in range(7):
        colour = (PAPER, SAND, "#f7e2a8")[card % 3]
        canvas.box(
            (x + 14 + card * 1.5, y - 30 + card * 15),
            (128 - card * 3, 90),
            blend(colour, OCHRE, 0.09 * card),
            rounding=5,
        )
        canvas.line([(x + 28, y - 16 + card * 15), (x + 66 + 9 * (card * 3 % 5), y - 16 + card * 15)], PLUM, width=3)
    front = x - 20, y + 78
    canvas.glaze([(x - 30, y + 200), (x + 190, y + 200), (x + 150, y + 300), (x - 10, y + 300)], "#0b1424", 0.5)
    canvas.box(front, (196, 150), blend(OCHRE, NIGHT, 0.4), rounding=11)
    canvas.box(front, (196, 143), OCHRE, rounding=11)
    canvas.box((x + 34, y + 108), (88, 42), PAPER, rounding=5)
    canvas.line([(x + 48, y + 129), (x + 104, y + 129)], PLUM, width=5)
    canvas.arc((x + 78, y + 178), 19, (0, 180), PLUM, width=8)


def draw_queue_at_the_door() -> Canvas:
    """Pillars in a row before a narrow lit doorway in a dark wall."""
    canvas = Canvas.blank(NIGHT)
    canvas.box((0, 640), (1600, 260), blend(NIGHT, DEEP, 0.55))
    draw_wall(canvas)
    canvas.glaze([(1330, 640), (1450, 640), (1130, 900), (610, 900)], "#f7d48a", 0.42)
    canvas.box((1318, 288), (144, 352), OCHRE, rounding=8)
    canvas.box((1330, 300), (120, 340), "#f9e3ac", rounding=4)
    colours = (CORAL, TEAL, SAND, SEA, PLUM, SAGE, OCHRE, MIST, CORAL, TEAL, SAND)
    chance = Random(8)
    for place, colour in enumerate(colours):
        x = 1232 - place * 112 + chance.uniform(-9, 9)
        draw_pillar(canvas, (x, 690 + 10 * (place % 2)), chance.uniform(175, 265), colour)
    draw_pillar(canvas, (1390, 654), 236, DEEP)
    return canvas


def draw_wall(canvas: Canvas) -> None:
    """Courses of stone, barely lighter than the night."""
    chance = Random(2)
    for course in range(8):
        x = -chance.uniform(0, 120)
        while x < canvas.width:
            stone = chance.uniform(110, 210)
            canvas.box((x, course * 80), (stone - 5, 75), blend(NIGHT, DEEP, chance.uniform(0.18, 0.5)), rounding=6)
            x += stone


def draw_pillar(canvas: Canvas, foot: Point, tall: float, colour: str) -> None:
    """Someone who waits: a body, a head, a shadow that falls away from the door."""
    x, y = foot
    canvas.glaze([(x - 30, y - 2), (x + 30, y - 2), (x - 74, y + 92), (x - 150, y + 92)], "#0b1424", 0.4)
    canvas.box((x - 35, y - tall), (70, tall), colour, rounding=35)
    canvas.box((x - 35, y - tall), (26, tall), blend(colour, NIGHT, 0.25), rounding=13)
    canvas.disc((x, y - tall - 34), 27, colour)


def draw_letters() -> Canvas:
    """Large letters on their baseline, with the lines that type is made by."""
    canvas = Canvas.blank(SAND)
    canvas.box((0, 0), (1600, 900), "#efdfbd")
    canvas.disc((1180, 420), 330, "#e8cd97")
    lines = ((225, "cap height"), (321, "x-height"), (640, "baseline"), (758, "descender"))
    canvas.box((0, 321), (1600, 319), blend("#efdfbd", TEAL, 0.28))
    canvas.words((800, 640), "Kept", NIGHT, size=600, anchor="ms")
    for y, name in lines:
        canvas.line([(60, y), (1540, y)], CORAL, width=3)
        canvas.disc((60, y), 8, CORAL)
        canvas.words((84, y - 20), name, PLUM, size=26)
    mark_measure(canvas, 1490, (321, 640))
    return canvas


def mark_measure(canvas: Canvas, x: float, span: Point) -> None:
    """A double arrow between two heights."""
    canvas.line([(x, span[0] + 8), (x, span[1] - 8)], PLUM, width=4)
    for end, way in ((span[0] + 4, 1), (span[1] - 4, -1)):
        canvas.shape([(x, end), (x - 11, end + way * 24), (x + 11, end + way * 24)], PLUM)


def draw_cards() -> Canvas:
    """Cards that lift off one grid and drift over to another."""
    canvas = Canvas.blank(DEEP)
    canvas.glaze([polar((800, 1500), 1130, angle) for angle in range(180, 361, 2)], NIGHT, 0.45)
    chance = Random(31)
    for row in range(6):
        for column in range(4):
            stays, arrived = chance.random() > 0.13 * column, chance.random() > 0.13 * (3 - column)
            colour = chance.choice((PAPER, PAPER, SAND, MIST, SAGE))
            place_card(canvas, (120 + column * 118, 110 + row * 136), colour if stays else "")
            place_card(canvas, (1126 + column * 118, 110 + row * 136), colour if arrived else "")
    for step in range(8):
        fly_card(canvas, step, chance)
    return canvas


def place_card(canvas: Canvas, centre: Point, colour: str) -> None:
    """A card in its place, or the empty place when there is no colour."""
    if colour:
        draw_card(canvas, centre, colour, degrees=0)
        return
    canvas.shape(turned(centre, (98, 114), 0), blend(DEEP, NIGHT, 0.85))


def draw_card(canvas: Canvas, centre: Point, colour: str, *, degrees: float, size: float = 1.0) -> None:
    """A card with a red head line and a few lines of writing."""
    canvas.shape(turned(centre, (98 * size, 114 * size), degrees), colour)
    for row, (length, ink) in enumerate(((66, CORAL), (74, SEA), (58, SEA), (70, SEA), (34, SEA))):
        start = polar(centre, (row - 2) * 19 * size, degrees + 90)
        left = polar(start, -36 * size, degrees)
        canvas.line(
            [left, polar(left, length * size, degrees)], ink if row else CORAL, width=(6 if row == 0 else 4) * size
        )


def fly_card(canvas: Canvas, step: int, chance: Random) -> None:
    """One of eight cards on their way, in two arcs."""
    share = (step // 2 + 0.5) / 4 + (step % 2) * 0.06
    lift = (250, 90)[step % 2]
    centre = 565 + 450 * share, (400, 640)[step % 2] - lift * math.sin(share * math.pi) + chance.uniform(-25, 25)
    degrees = chance.uniform(-32, 32)
    canvas.glaze(turned((centre[0] + 12, centre[1] + 20), (98, 114), degrees), "#0b1424", 0.4)
    draw_card(canvas, centre, chance.choice((PAPER, "#f6dca4", SAND, PAPER)), degrees=degrees)


def draw_mosaic() -> Canvas:
    """Tiles with simple shapes that recall punctuation, headings, lists."""
    canvas = Canvas.blank(NIGHT)
    chance = Random(23)
    pairs = (
        (DEEP, SAND),
        (SAND, CORAL),
        (CORAL, PAPER),
        (TEAL, NIGHT),
        (OCHRE, PLUM),
        (PAPER, SEA),
        (PLUM, OCHRE),
        (SAGE, DEEP),
        (SEA, PAPER),
        (MIST, CORAL),
    )
    order = [*TILES, *TILES, *TILES, *TILES][:45]
    chance.shuffle(order)
    previous = -1
    for place, tile in enumerate(order):
        pair = chance.choice([number for number in range(len(pairs)) if number != previous])
        previous = pair
        corner = 45 + place % 9 * 169, 34 + place // 9 * 168
        canvas.box(corner, (TILE, TILE), pairs[pair][0], rounding=14)
        tile(canvas, (corner[0] + TILE / 2, corner[1] + TILE / 2), pairs[pair][1])
    return canvas


def tile_hash(canvas: Canvas, centre: Point, colour: str) -> None:
    """The sign that begins a heading."""
    x, y = centre
    for shift in (-20, 20):
        canvas.line([(x - 44, y + shift), (x + 44, y + shift)], colour, width=11)
        canvas.line([(x + shift + 8, y - 46), (x + shift - 8, y + 46)], colour, width=11)


def tile_star(canvas: Canvas, centre: Point, colour: str) -> None:
    """The sign of emphasis."""
    for degrees in (30, 90, 150):
        canvas.line([polar(centre, 44, degrees), polar(centre, 44, degrees + 180)], colour, width=13)


def tile_quotation(canvas: Canvas, centre: Point, colour: str) -> None:
    """Two quotation marks."""
    for shift in (-27, 27):
        x, y = centre[0] + shift, centre[1] - 6
        canvas.disc((x, y + 14), 19, colour)
        canvas.shape(
            [(x - 19, y + 14), (x - 19, y - 4), (x + 8, y - 32), (x + 13, y - 24), (x - 2, y), (x + 10, y + 4)], colour
        )


def tile_list(canvas: Canvas, centre: Point, colour: str) -> None:
    """Three points, three lines."""
    x, y = centre
    for row in (-32, 0, 32):
        canvas.disc((x - 42, y + row), 9, colour)
        canvas.line([(x - 16, y + row), (x + (46 if row else 28), y + row)], colour, width=11)


def tile_code(canvas: Canvas, centre: Point, colour: str) -> None:
    """Two angle brackets."""
    x, y = centre
    for side in (-1, 1):
        canvas.line([(x + side * 20, y - 34), (x + side * 50, y), (x + side * 20, y + 34)], colour, width=12)


def tile_table(canvas: Canvas, centre: Point, colour: str) -> None:
    """Three by three cells."""
    for row in (-34, 0, 34):
        for column in (-34, 0, 34):
            canvas.box((centre[0] + column - 14, centre[1] + row - 14), (28, 28), colour, rounding=4)


def tile_task(canvas: Canvas, centre: Point, colour: str) -> None:
    """A box with a tick that outgrows it."""
    x, y = centre
    canvas.line(
        [(x + 8, y - 38), (x - 40, y - 38), (x - 40, y + 42), (x + 40, y + 42), (x + 40, y + 8)], colour, width=11
    )
    canvas.line([(x - 18, y - 4), (x + 2, y + 16), (x + 46, y - 40)], colour, width=12)


def tile_paragraph(canvas: Canvas, centre: Point, colour: str) -> None:
    """Five lines of text, the last one short."""
    for row in range(5):
        y = centre[1] - 40 + row * 20
        canvas.line([(centre[0] - 46, y), (centre[0] + (46 if row < 4 else -6), y)], colour, width=9)


def tile_moon(canvas: Canvas, centre: Point, colour: str) -> None:
    """A full stop, seen from close by."""
    canvas.disc(centre, 46, colour)


def tile_tilde(canvas: Canvas, centre: Point, colour: str) -> None:
    """Two swung dashes."""
    for shift in (-20, 20):
        curve = [(centre[0] + x, centre[1] + shift - 13 * math.sin(x / 46 * math.pi)) for x in range(-46, 47, 2)]
        canvas.line(curve, colour, width=11)


def tile_rings(canvas: Canvas, centre: Point, colour: str) -> None:
    """Three rings, for a link that goes on."""
    for radius in (14, 32, 50):
        canvas.ring(centre, radius, colour, width=8)


def tile_picture(canvas: Canvas, centre: Point, colour: str) -> None:
    """A mountain and a sun."""
    x, y = centre
    canvas.shape([(x - 54, y + 40), (x - 14, y - 22), (x + 10, y + 12), (x + 24, y - 4), (x + 54, y + 40)], colour)
    canvas.disc((x + 26, y - 34), 14, colour)


TILES: tuple[Tile, ...] = (
    tile_hash,
    tile_star,
    tile_quotation,
    tile_list,
    tile_code,
    tile_table,
    tile_task,
    tile_paragraph,
    tile_moon,
    tile_tilde,
    tile_rings,
    tile_picture,
)
