"""Pictures inside the posts: each explains one thing, with few words."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

from PIL import ImageColor

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
    from collections.abc import Mapping, Sequence

    from .canvas import Point

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

DRAFTS: Mapping[str, Point] = (
    {name: (110 + 150 * place, 420) for place, name in enumerate("abcgh")}  # the text itself, from left …
    | {name: (1040 + 150 * place, 420) for place, name in enumerate("ijkl")}  # … to right
    | {"d": (560, 300), "e": (720, 260), "f": (880, 300)}  # a new beginning, taken over
    | {"m": (410, 560), "n": (560, 620), "o": (720, 640), "p": (880, 640), "q": (1040, 620)}  # the monks
    | {"r": (1190, 260), "s": (1340, 260)}  # a shorter end, taken over
    | {"t": (880, 160), "u": (1040, 140)}  # an idea
)
BRANCHES = (("cdefi", OCHRE), ("bmnopq", CORAL), ("irsl", TEAL), ("etu", SAGE), ("abcghijkl", PAPER))


def draw_year_wheel() -> Canvas:
    """Twelve months in a circle with arcs for sowing, growing, picking and rest."""
    canvas = Canvas.blank(PAPER)
    centre = (560, 450)
    for month, name in enumerate(MONTHS):
        angle = month * 30 - 90
        canvas.line([polar(centre, 150, angle), polar(centre, 372, angle)], blend(PAPER, SEA, 0.25), width=2)
        canvas.words(polar(centre, 404, angle + 15), name, DEEP, size=25, anchor="mm")
    seasons = (
        (345, 1.0, 4.2, SAGE, "sowing"),
        (295, 2.6, 7.6, TEAL, "growing"),
        (245, 4.9, 9.8, CORAL, "picking"),
        (195, 8.9, 10.9, OCHRE, "digging and lending ladders"),
        (195, 10.95, 13.0, DEEP, "frost, nothing"),
    )
    for number, (radius, first, last, colour, name) in enumerate(seasons):
        canvas.arc(centre, radius, (first * 30 - 86, last * 30 - 94), colour, width=34)
        canvas.disc((1085, 262 + number * 94), 19, colour)
        canvas.words((1126, 262 + number * 94), name, NIGHT, size=34)
    draw_flower(canvas, centre)
    return canvas


def draw_flower(canvas: Canvas, centre: Point) -> None:
    """A sunflower's head: seeds set by the golden angle."""
    for seed in range(190):
        place = polar(centre, 7.6 * math.sqrt(seed), seed * 137.508)
        canvas.disc(place, 2.6 + seed / 75, blend(PLUM, OCHRE, min(1, seed / 170)))


def draw_lock_queue() -> Canvas:
    """Who holds the table and who waits, over fourteen seconds."""
    canvas = Canvas.blank(NIGHT, height=760)
    for second in range(0, 15, 2):
        x = 300 + second * 86
        canvas.line([(x, 90), (x, 660)], blend(NIGHT, SEA, 0.45), width=1.5)
        canvas.words((x, 700), f"{second} s", TEAL, size=24, anchor="mm")
    canvas.line([(300 + 12 * 86, 90), (300 + 12 * 86, 660)], OCHRE, width=3)
    draw_lane(canvas, 130, "report", SAND, (0, 0, 12))
    draw_lane(canvas, 205, "the change", CORAL, (1, 12, 12.25))
    for page, start in enumerate((1.4, 2.5, 4.6, 7.2, 10.1)):
        draw_lane(canvas, 300 + page * 72, "a page", TEAL, (start, 12.25, 12.6))
    draw_key(canvas, ((SAND, 1.0, "holds the table"), (MIST, 0.3, "waits")))
    return canvas


def draw_lane(canvas: Canvas, y: float, name: str, colour: str, seconds: tuple[float, float, float]) -> None:
    """One session: pale from its arrival until it is let in, full until it ends."""
    arrival, entry, end = (300 + second * 86 for second in seconds)
    canvas.words((264, y), name, MIST, size=28, anchor="rm")
    canvas.box((arrival, y - 21), (end - arrival, 42), blend(NIGHT, colour, 0.38), rounding=9)
    canvas.box((entry, y - 21), (end - entry, 42), colour, rounding=9)


def draw_key(canvas: Canvas, entries: Sequence[tuple[str, float, str]]) -> None:
    """What full and pale bars mean, in the upper right corner."""
    x = 1010.0
    for colour, share, name in entries:
        canvas.box((x, 36), (44, 26), blend(NIGHT, colour, share), rounding=6)
        canvas.words((x + 58, 49), name, MIST, size=25)
        x += 300


def draw_measures() -> Canvas:
    """Three columns of grey bars: too wide, comfortable, too narrow."""
    canvas = Canvas.blank(PAPER, height=700)
    columns = ((70, 820, CORAL, 61), (980, 380, SEA, 62), (1450, 84, CORAL, 63))
    for left, wide, colour, seed in columns:
        set_paragraph(canvas, (left, 90), (wide, 500), step=38, seed=seed)
        draw_bracket(canvas, (left, 636), wide, colour)
    return canvas


def set_paragraph(canvas: Canvas, corner: Point, size: Point, *, step: float, seed: int, ink: str = "") -> None:
    """Fill a column with words that are only bars; the last line ends early."""
    chance = Random(seed)
    y = corner[1]
    while y <= corner[1] + size[1] - 16:
        last = y + step > corner[1] + size[1] - 16
        set_line(canvas, (corner[0], y), size[0] * (0.55 if last else 1), chance, ink or blend(NIGHT, PAPER, 0.42))
        y += step


def set_line(canvas: Canvas, start: Point, wide: float, chance: Random, ink: str) -> None:
    """One ragged line of bars, never wider than the column."""
    x, y = start
    while (room := start[0] + wide - x) > 24:
        word = min(chance.choice((28, 40, 52, 64, 84, 110)), room)
        canvas.box((x, y), (word, 16), ink, rounding=7)
        x += word + 13


def draw_bracket(canvas: Canvas, corner: Point, wide: float, colour: str) -> None:
    """A line with two feet that shows a width."""
    x, y = corner
    canvas.line([(x, y), (x + wide, y)], colour, width=5)
    for end in (x, x + wide):
        canvas.line([(end, y - 14), (end, y + 14)], colour, width=5)


def draw_leadings() -> Canvas:
    """The same paragraph with three line spacings."""
    canvas = Canvas.blank(PAPER, height=700)
    for column, (step, value, colour) in enumerate(((19, "1.0", CORAL), (31, "1.5", SEA), (52, "2.5", CORAL))):
        left = 90 + column * 500
        ink = blend(NIGHT, PAPER, 0.42)
        set_paragraph(canvas, (left, 80), (420, step * 9 + 17), step=step, seed=64, ink=ink)
        canvas.disc((left + 24, 626), 24, colour)
        canvas.words((left + 64, 626), value, NIGHT, size=38)
    return canvas


def draw_contrasts() -> Canvas:
    """Letters on five tiles from faint to strong, with their ratios."""
    canvas = Canvas.blank(PAPER, height=560)
    page = "#fbf7ee"
    for place, share in enumerate((0.78, 0.6, 0.42, 0.26, 0.0)):
        ink = blend(NIGHT, page, share)
        left = 60 + place * 300
        canvas.box((left, 60), (280, 330), page, rounding=18)
        canvas.words((left + 140, 290), "Aa", ink, size=150, anchor="ms")
        ratio = contrast(ink, page)
        canvas.disc((left + 58, 456), 15, SEA if ratio >= 4.5 else CORAL)
        canvas.words((left + 88, 456), f"{ratio:.1f} : 1", NIGHT, size=36)
    return canvas


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2, relative luminance)."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """Return how bright a colour is, 0 to 1 (WCAG 2)."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in ImageColor.getrgb(colour)[:3])
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def draw_log_replay() -> Canvas:
    """The database file, its log, and what a reader sees: newer pages win."""
    canvas = Canvas.blank(NIGHT, height=820)
    newer = {1: CORAL, 2: CORAL, 4: CORAL}
    columns = ((150, "site.db"), (630, "site.db-wal"), (1180, "what you read"))
    for left, name in columns:
        canvas.words((left + 135, 76), name, PAPER, size=34, anchor="mm")
    for page in range(6):
        y = 130 + page * 108
        draw_page(canvas, (150, y), SAND, f"page {page + 1}, restored")
        if page in newer:
            draw_page(canvas, (630, y), CORAL, f"page {page + 1}, old life")
        sight = (newer.get(page, SAND), "old life" if page in newer else "restored")
        draw_page(canvas, (1180, y), sight[0], f"page {page + 1}, {sight[1]}")
        draw_arrow(canvas, (936 if page in newer else 456, y + 43), 1150, sight[0])
    return canvas


def draw_page(canvas: Canvas, corner: Point, colour: str, name: str) -> None:
    """One page of a file, with its name."""
    canvas.box((corner[0] + 6, corner[1] + 8), (270, 86), "#0b1424", rounding=10)
    canvas.box(corner, (270, 86), colour, rounding=10)
    canvas.words((corner[0] + 135, corner[1] + 43), name, NIGHT, size=27, anchor="mm")


def draw_arrow(canvas: Canvas, start: Point, end_x: float, colour: str) -> None:
    """A level arrow to the right."""
    x, y = start
    canvas.line([(x, y), (end_x - 18, y)], blend(NIGHT, colour, 0.7), width=4)
    canvas.shape([(end_x, y), (end_x - 24, y - 12), (end_x - 24, y + 12)], blend(NIGHT, colour, 0.7))


def draw_weights() -> Canvas:
    """Bars for each part of a page, in spring and now, in KB."""
    canvas = Canvas.blank(PAPER, height=800)
    parts = (("text", 14, 9), ("style sheet", 61, 8), ("scripts", 148, 4), ("fonts", 212, 46), ("pictures", 385, 203))
    for row, (name, spring, now) in enumerate(parts):
        y = 60 + row * 140
        canvas.words((286, y + 52), name, NIGHT, size=34, anchor="rm")
        for shift, weight, colour in ((0, spring, blend(PAPER, OCHRE, 0.62)), (56, now, SEA)):
            length = weight * 2.9
            canvas.box((320, y + shift), (length, 48), colour, rounding=min(9, length / 2))
            canvas.words((334 + length, y + shift + 24), f"{weight}", DEEP, size=27)
    for y, colour, name in ((560, blend(PAPER, OCHRE, 0.62), "in spring"), (616, SEA, "now, in KB")):
        canvas.box((1290, y - 170), (48, 36), colour, rounding=9)
        canvas.words((1356, y - 152), name, NIGHT, size=30)
    return canvas


def draw_revision_tree() -> Canvas:
    """Drafts of one text that branch and join, from left to right."""
    canvas = Canvas.blank(DEEP, height=760)
    for names, colour in BRANCHES:
        for first, second in pairwise(names):
            canvas.line(bend(DRAFTS[first], DRAFTS[second]), blend(DEEP, colour, 0.75), width=7)
    for names, colour in BRANCHES:
        for name in names:
            canvas.disc(DRAFTS[name], 25, DEEP)
            canvas.disc(DRAFTS[name], 19, colour)
    canvas.ring(DRAFTS["l"], 38, PAPER, width=5)
    return canvas


def bend(start: Point, end: Point) -> list[Point]:
    """A soft curve that leaves and arrives on the level."""
    points = []
    for step in range(33):
        share = step / 32
        ease = share * share * (3 - 2 * share)
        points.append((start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * ease))
    return points


def draw_sample_tide() -> Canvas:
    """One curve that rises and falls four times above a darker sea."""
    canvas = Canvas.blank(PAPER, height=620)
    for row in range(5):
        canvas.line([(60, 90 + row * 100), (1540, 90 + row * 100)], blend(PAPER, SEA, 0.22), width=2)
    curve = wave(300, ((120, 400, 100), (38, 1600, 900)))
    for step, colour in enumerate((SAGE, TEAL, SEA, DEEP)):
        canvas.shape(down_from([(x, y + step * 66) for x, y in curve], 620), colour)
    canvas.line(curve, DEEP, width=8)
    return canvas
