"""Covers that show a place: hills, rock, snow, tides, stones, a lighthouse."""

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
    down_from,
    polar,
    wave,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .canvas import Point


def draw_garden() -> Canvas:
    """Hills in layers under a low sun, with rows of plants in front."""
    canvas = Canvas.blank(SAND)
    paint_sky(canvas, "#f3d9a4", PAPER, bottom=470)
    for radius, share in ((190, 0.25), (150, 0.5), (112, 1.0)):
        canvas.disc((1130, 330), radius, blend("#f3dcae", CORAL, share))
    hills = ((360, SAGE), (430, "#8dbb9f"), (505, TEAL), (590, SEA), (690, DEEP))
    for number, (level, colour) in enumerate(hills):
        line = hill_line(level, number)
        canvas.shape(down_from(line), colour)
        plant_trees(canvas, line, blend(colour, NIGHT, 0.28), number=number)
    plant_rows(canvas)
    return canvas


def paint_sky(canvas: Canvas, top: str, low: str, *, bottom: float, bands: int = 14) -> None:
    """Fill the upper part with even bands from one colour to another."""
    for band in range(bands):
        upper = bottom * band / bands
        canvas.box((0, upper), (canvas.width, bottom / bands + 1), blend(top, low, band / (bands - 1)))


def hill_line(level: float, number: int) -> list[Point]:
    """One ridge; each number has its own rhythm."""
    shift = 370 * number
    return wave(level, ((52 - 4 * number, 1180 - 60 * number, shift), (16, 430, shift * 2), (5, 170, shift)))


def plant_trees(canvas: Canvas, line: Sequence[Point], colour: str, *, number: int) -> None:
    """A few round trees along a ridge, smaller in the distance."""
    chance = Random(40 + number)
    for x, y in chance.sample(list(line), 5 + number):
        size = (4 + 4 * number) * chance.uniform(0.8, 1.5)
        canvas.line([(x, y + 2), (x, y - size * 1.6)], colour, width=1.5 + number * 0.5)
        canvas.disc((x, y - size * 2), size, colour)


def plant_rows(canvas: Canvas) -> None:
    """Beds in the foreground, running towards one point on the horizon."""
    canvas.shape(down_from(wave(775, ((26, 1500, 250),))), NIGHT)
    chance = Random(7)
    for row in range(7):
        y = 806 + row * row * 3.2
        for step in range(44 - row * 4):
            x = (step + 0.5 + chance.uniform(-0.12, 0.12)) * 1600 / (44 - row * 4)
            leaf = (4 + row * 1.9) * chance.uniform(0.75, 1.15)
            rise = 14 * math.sin((x + 250) / 1500 * math.tau)
            colour = chance.choice((TEAL, SAGE, TEAL, OCHRE if row % 3 == 1 else SEA))
            sprout(canvas, (x, y + rise), leaf, colour)


def sprout(canvas: Canvas, foot: Point, size: float, colour: str) -> None:
    """Two leaves on a short stem."""
    x, y = foot
    canvas.line([(x, y), (x, y - size)], colour, width=max(1.5, size / 5))
    for side in (-1, 1):
        canvas.shape(
            [(x, y - size * 0.8), (x + side * size * 0.9, y - size * 1.9), (x + side * size * 0.15, y - size * 1.7)],
            colour,
        )


def draw_strata() -> Canvas:
    """Layers of rock with lines of writing in them, and a shell."""
    canvas = Canvas.blank(PAPER)
    paint_sky(canvas, MIST, PAPER, bottom=210)
    layers = (SAND, OCHRE, CORAL, PLUM, SEA, DEEP, NIGHT)
    for number, colour in enumerate(layers):
        line = stratum_line(number)
        canvas.shape(down_from(line), blend(colour, NIGHT, 0.22))
        canvas.shape(down_from([(x, y + 5) for x, y in line]), colour)
        write_in_rock(canvas, number, blend(colour, NIGHT if number < 3 else PAPER, 0.38))
    draw_shell(canvas, (1215, 640), 62, blend(SEA, PAPER, 0.62))
    return canvas


def stratum_line(number: int) -> list[Point]:
    """The upper edge of a layer; the deeper, the calmer."""
    fold = 44 - 4.5 * number
    return wave(150 + 108 * number, ((fold, 1700, 300 + 90 * number), (12, 640, 210 * number), (3, 120, 50 * number)))


def write_in_rock(canvas: Canvas, number: int, colour: str) -> None:
    """Strokes of different length, like words, that follow the layer."""
    chance = Random(100 + number)
    line = stratum_line(number)
    for row in range(3):
        at = chance.randrange(6, 40)
        while at < len(line) - 40:
            word = chance.randrange(5, 19)
            if chance.random() < 0.87 - 0.1 * row:
                stroke = [(x, y + 32 + 26 * row) for x, y in line[at : at + word]]
                canvas.line(stroke, colour, width=6)
            at += word + 5


def draw_shell(canvas: Canvas, centre: Point, size: float, colour: str) -> None:
    """A spiral with ribs."""
    turns = [polar(centre, size * (0.05 + 0.95 * (angle / 1080) ** 1.4), angle - 60) for angle in range(0, 1081, 6)]
    canvas.disc(centre, size * 1.12, SEA)
    canvas.line(turns, colour, width=6)
    for angle in range(726, 1081, 22):
        outer = size * (0.05 + 0.95 * (angle / 1080) ** 1.4)
        inner = size * (0.05 + 0.95 * ((angle - 360) / 1080) ** 1.4)
        canvas.line([polar(centre, inner + 5, angle - 66), polar(centre, outer, angle - 60)], colour, width=2.5)


def draw_winter() -> Canvas:
    """A valley in snow at night with a few windows lit."""
    canvas = Canvas.blank(NIGHT)
    paint_sky(canvas, NIGHT, SEA, bottom=560, bands=18)
    scatter_stars(canvas, Random(3), 130)
    for radius, share in ((132, 0.16), (108, 0.34), (84, 1.0)):
        canvas.disc((1180, 210), radius, blend("#234a64", PAPER, share))
    slopes = ((430, "#5d8a9b"), (520, "#86aab3"), (615, "#b3cbcd"), (730, "#e4ebe4"))
    for number, (level, colour) in enumerate(slopes):
        line = hill_line(level, number + 2)
        canvas.shape(down_from(line), colour)
        plant_firs(canvas, line, blend(colour, DEEP, 0.72), number=number)
    for x, y, size in ((420, 640, 62), (520, 655, 50), (1010, 665, 70)):
        draw_house(canvas, (x, y + 36), size)
    leave_footprints(canvas)
    let_it_snow(canvas)
    return canvas


def scatter_stars(canvas: Canvas, chance: Random, count: int) -> None:
    """Small lights in the upper half."""
    for _ in range(count):
        place = chance.uniform(0, 1600), chance.uniform(0, 400) * chance.random()
        canvas.disc(place, chance.choice((1.2, 1.6, 2.4)), MIST)


def plant_firs(canvas: Canvas, line: Sequence[Point], colour: str, *, number: int) -> None:
    """Firs in loose groups on a slope."""
    chance = Random(60 + number)
    for _ in range(7 + number):
        start = chance.randrange(len(line) - 12)
        for x, y in line[start : start + 12 : 4]:
            high = (16 + 15 * number) * chance.uniform(0.7, 1.3)
            for level in range(3):
                foot, half = y + 4 - level * high * 0.28, high * (0.34 - 0.08 * level)
                canvas.shape([(x - half, foot), (x + half, foot), (x, foot - high * 0.5)], colour)


def draw_house(canvas: Canvas, foot: Point, size: float) -> None:
    """A house with a snowed-in roof and one or two lit windows."""
    x, y = foot
    canvas.box((x - size * 0.6, y - size * 0.7), (size * 1.2, size * 0.7), PLUM)
    canvas.shape([(x - size * 0.78, y - size * 0.66), (x + size * 0.78, y - size * 0.66), (x, y - size * 1.32)], PAPER)
    canvas.box((x + size * 0.3, y - size * 1.35), (size * 0.16, size * 0.42), PLUM)
    for side in (-0.36, 0.1):
        canvas.box((x + size * side, y - size * 0.5), (size * 0.26, size * 0.28), OCHRE)


def leave_footprints(canvas: Canvas) -> None:
    """Somebody has walked home, from the lower edge to the house on the right."""
    for step in range(26):
        share = step / 25
        x = 700 + 300 * share**1.4 + (-1) ** step * (11 - 8 * share)
        canvas.disc((x, 890 - 176 * share**0.8), 5.5 - 3.6 * share, "#a9bfc4")


def let_it_snow(canvas: Canvas) -> None:
    """Flakes of three sizes, denser towards the bottom."""
    chance = Random(11)
    for _ in range(260):
        place = chance.uniform(0, 1600), 900 * chance.random() ** 0.8
        canvas.disc(place, chance.choice((1.5, 2.2, 3.2, 4.4)), "#eef2ec")


def draw_tide() -> Canvas:
    """Two tide curves over a dark sea: yesterday's and today's."""
    canvas = Canvas.blank(NIGHT)
    rule_chart(canvas, blend(NIGHT, SEA, 0.5))
    late = wave(455, ((175, 780, 395), (34, 1560, 0)))
    early = wave(440, ((135, 780, 190), (22, 1560, 500)))
    canvas.glaze(down_from(early), SEA, 0.55)
    for step in range(6):
        canvas.glaze(down_from([(x, y + 26 + step * 58) for x, y in late]), TEAL, 0.10)
    canvas.line(early, MIST, width=7)
    canvas.line(late, CORAL, width=9)
    for curve, colour in ((early, MIST), (late, CORAL)):
        mark_turns(canvas, curve, colour)
    return canvas


def rule_chart(canvas: Canvas, colour: str) -> None:
    """Fine upright lines with longer ticks for every sixth hour."""
    for hour in range(1, 40):
        x = hour * 40
        canvas.line([(x, 90), (x, 810)], colour, width=2.4 if hour % 6 == 0 else 1)
        canvas.line([(x, 840), (x, 868 if hour % 6 == 0 else 852)], TEAL, width=3)


def mark_turns(canvas: Canvas, curve: Sequence[Point], colour: str) -> None:
    """A dot wherever the water turns."""
    for before, here, after in zip(curve, curve[1:], curve[2:], strict=False):
        if (here[1] - before[1]) * (after[1] - here[1]) <= 0:
            canvas.disc(here, 17, NIGHT)
            canvas.ring(here, 17, colour, width=6)


def draw_stones() -> Canvas:
    """Stones in balance before a calm sea."""
    canvas = Canvas.blank(MIST)
    paint_sky(canvas, "#c5dad6", PAPER, bottom=560)
    canvas.disc((1190, 250), 78, "#f4d79a")
    for step in range(9):
        canvas.box((0, 540 + step * 24), (1600, 26), blend(TEAL, DEEP, step / 8))
    glitter(canvas)
    canvas.shape(down_from(wave(742, ((20, 1900, 600), (5, 300, 0)))), SAND)
    pebbles(canvas)
    stones = (
        (700, 158, 62, DEEP),
        (596, 122, 50, CORAL),
        (506, 136, 44, PLUM),
        (430, 84, 36, SEA),
        (372, 96, 26, OCHRE),
        (324, 50, 25, NIGHT),
        (284, 26, 18, CORAL),
    )
    for number, (y, half, high, colour) in enumerate(stones):
        draw_stone(canvas, (560 + (-1) ** number * 9, y), (half, high), colour)
    return canvas


def glitter(canvas: Canvas) -> None:
    """Short bright strokes on the water below the sun."""
    chance = Random(21)
    for _ in range(90):
        y = chance.uniform(548, 728)
        x = 1190 + chance.gauss(0, 34 + (y - 540) * 0.9)
        half = chance.uniform(6, 34)
        canvas.line([(x - half, y), (x + half, y)], blend(TEAL, PAPER, chance.choice((0.35, 0.6, 0.8))), width=3)


def pebbles(canvas: Canvas) -> None:
    """A shore of small stones."""
    chance = Random(5)
    for _ in range(150):
        x, y = chance.uniform(0, 1600), 770 + 125 * chance.random()
        half = chance.uniform(5, 17) * (0.6 + (y - 770) / 140)
        draw_stone(canvas, (x, y), (half, half * 0.55), chance.choice((OCHRE, SAGE, TEAL, PLUM, "#d9c090", "#c9ab84")))


def draw_stone(canvas: Canvas, centre: Point, half: Point, colour: str) -> None:
    """A smooth stone, a little flat, with light from the upper right."""
    for inset, shift, share in ((1.0, 0.0, 0.0), (0.88, 0.07, 0.07), (0.64, 0.2, 0.13)):
        middle = centre[0] + half[0] * shift, centre[1] - half[1] * shift * 1.3
        canvas.shape(oval(middle, (half[0] * inset, half[1] * inset)), blend(colour, PAPER, share))


def oval(centre: Point, half: Point) -> list[Point]:
    """A rounded form between an ellipse and a rectangle."""
    points = []
    for degrees in range(0, 360, 4):
        x, y = polar((0, 0), 1, degrees)
        points.append(
            (
                centre[0] + half[0] * math.copysign(abs(x) ** 0.8, x),
                centre[1] + half[1] * math.copysign(abs(y) ** 0.8, y),
            )
        )
    return points


def draw_lighthouse() -> Canvas:
    """A lighthouse at dusk with two beams over layered water."""
    canvas = Canvas.blank(NIGHT)
    paint_sky(canvas, NIGHT, "#7a5a72", bottom=400, bands=16)
    paint_glow(canvas)
    scatter_stars(canvas, Random(9), 110)
    lamp = (1130, 252)
    for end in (((-40, 20), (-40, 330)), ((1640, 150), (1640, 420))):
        for strength, narrow in ((0.16, 0), (0.2, 50)):
            (x, upper), (_, lower) = end
            canvas.glaze([lamp, (x, upper + narrow), (x, lower - narrow)], "#f6dc9c", strength)
    paint_water(canvas)
    canvas.shape(
        [
            (880, 900),
            (905, 800),
            (960, 735),
            (1015, 705),
            (1060, 668),
            (1200, 662),
            (1270, 700),
            (1370, 722),
            (1460, 790),
            (1600, 830),
            (1600, 900),
        ],
        "#0f1a2e",
    )
    draw_tower(canvas, lamp)
    return canvas


def paint_glow(canvas: Canvas) -> None:
    """The last light along the horizon."""
    for step in range(8):
        canvas.box((0, 400 + 22 * step), (1600, 23), blend("#7a5a72", "#e9a06c", step / 7))


def paint_water(canvas: Canvas) -> None:
    """Waves in layers, darker towards the shore, with glints of the lamp."""
    chance = Random(14)
    for step in range(9):
        line = wave(572 + step * 38, ((3 + step * 1.5, 240 + 40 * step, 130 * step), (2, 90, 47 * step)))
        canvas.shape(down_from(line), blend(SEA, NIGHT, step / 9))
        for x, y in chance.sample(line, 12):
            half = chance.uniform(10, 40)
            canvas.line([(x - half, y + 12), (x + half, y + 12)], blend(SEA, SAND, 0.55 - step * 0.05), width=2.5)


def draw_tower(canvas: Canvas, lamp: Point) -> None:
    """The tower with its bands, gallery, lamp room and roof."""
    x, y = lamp
    for band in range(5):
        upper, lower = band / 5, (band + 1) / 5
        half = [33 + 27 * part for part in (upper, lower)]
        top, foot = y + 44 + 380 * upper, y + 44 + 380 * lower
        colour = PAPER if band % 2 == 0 else CORAL
        canvas.shape([(x - half[0], top), (x + half[0], top), (x + half[1], foot), (x - half[1], foot)], colour)
        canvas.shape(
            [(x + half[0] * 0.25, top), (x + half[0], top), (x + half[1], foot), (x + half[1] * 0.25, foot)],
            blend(colour, NIGHT, 0.22),
        )
    canvas.box((x - 52, y + 32), (104, 14), "#0f1a2e", rounding=3)
    canvas.box((x - 27, y - 32), (54, 66), "#f9e6b4")
    for bar in (-27, -9, 9, 27):
        canvas.line([(x + bar, y - 32), (x + bar, y + 34)], "#0f1a2e", width=3)
    canvas.shape([(x - 38, y - 30), (x + 38, y - 30), (x + 6, y - 78), (x - 6, y - 78)], CORAL)
    canvas.disc((x, y - 84), 8, CORAL)
    for floor, lit in ((150, OCHRE), (300, DEEP)):
        canvas.box((x - 8, y + floor), (16, 30), lit, rounding=8)
