"""Small charts as inline SVG: scales, axes, and marks to be read by eye, hover, keyboard and screen reader.

Colours are classes (`s0` .. `s7`, `ink`, `quiet`, `hair`), which charts.css sets for light, dark and print. Text goes
through markupsafe, so that no name can become markup.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

WIDTH, HEIGHT = 360, 250
TOP, BOTTOM, RIGHT = 48, 34, 6  # room around the plot area
LETTER = 5.6  # the width of an average letter at the charts' font size of 11
LINE = 13
SHAPES = 6
COLOURS = 8
FOCUSABLE = 24  # marks of a chart that a keyboard stops at; of more, the table under the chart is the way


@dataclass(frozen=True)
class Scale:
    """Values to pixels, linearly."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float, room: float = 0.08) -> Scale:
        """A scale with room around the values; around a single value there is some, too."""
        low, high = min(values), max(values)
        margin = (high - low) * room or max(abs(high) * 0.01, 1e-3)
        return cls(low - margin, high + margin, start, end)

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values in its range: steps of 1, 2 or 5 times a power of ten, `most` of them or fewer."""
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / most))
        step = next(step * factor for factor in (1, 2, 5, 10, 20) if (self.high - self.low) / (step * factor) <= most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(number * step, 12) for number in range(first, last + 1)]


@dataclass(frozen=True)
class Box:
    """A rectangle that a label or a mark takes."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two overlap."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def within(self, other: Box) -> bool:
        """Whether it lies in the other."""
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.top <= self.top
            and self.bottom <= other.bottom
        )


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """The ticks with as many digits as tell them apart, and a true minus sign."""
    digits = next(d for d in range(13) if all(abs(round(tick, d) - tick) < 1e-9 for tick in ticks))
    return [f"{tick:.{digits}f}".replace("-", "−") for tick in ticks]


def text(x: float, y: float, what: str, anchor: str = "start", kind: str = "ink") -> Markup:
    """A line of text; `anchor` is start, middle or end."""
    return Markup('<text x="{}" y="{}" text-anchor="{}" class="{}">{}</text>').format(px(x), px(y), anchor, kind, what)


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "hair") -> Markup:
    """A straight line."""
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(*map(px, (x1, y1, x2, y2)), kind)


def path(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    """A line through points."""
    steps = "L".join(f"{px(x)} {px(y)}" for x, y in points)
    return Markup('<path d="M{}" class="path {}"/>').format(steps, kind)


def mark(
    x: float, y: float, said: str, series: int, hollow: bool = False, stop: bool = True, bar: bool = False
) -> Markup:
    """A point with what is said of it: as its title, and on the chart's first line while it is hovered or focused.

    Args:
        x: pixels.
        y: pixels.
        said: what is read of it.
        series: decides its colour and shape.
        hollow: whether its value is partial.
        stop: whether the keyboard stops at it; of a mark where it does not, the title alone says what it is.
        bar: whether it is an upright bar, of which many fit beside each other.
    """
    focus = Markup(' tabindex="0" role="img" aria-label="{}"').format(said) if stop else ""
    return Markup(
        '<g class="mark s{} {}"{}><title>{}</title><path class="reach" d="{}"/><path class="shape" d="{}"/>{}</g>'
    ).format(
        series % COLOURS, "hollow" if hollow else "full", focus, said,
        _shape(6 if bar else 0, x, y, 9), _shape(6 if bar else series % SHAPES, x, y, 4),
        _readout(said) if stop else "",
    )  # fmt: skip


def sample(series: int) -> Markup:
    """The mark of a series, for a legend."""
    return Markup(
        '<svg class="key s{}" viewBox="0 0 12 12" aria-hidden="true"><path class="shape" d="{}"/></svg>'
    ).format(series % COLOURS, _shape(series % SHAPES, 6, 6, 4))


def px(value: float) -> str:
    """A coordinate, short."""
    return f"{value:.1f}".removesuffix(".0")


@dataclass(frozen=True)
class Frame:
    """The plot area of a chart, with its axes.

    Attributes:
        x: across.
        y: up (its start is the lower pixel).
    """

    x: Scale
    y: Scale

    @property
    def box(self) -> Box:
        """Where labels may stand: its rectangle, and what is free above and beside it."""
        return Box(self.x.start, self.y.end - 6, WIDTH, self.y.start)

    def axes(self, below: str, beside: str, across: Sequence[float] = ()) -> Markup:
        """Grid lines, tick labels and what the axes are, below the plot and above it; `across`: ticks of its own."""
        parts = [Markup('<g aria-hidden="true">')]
        across, up = across or self.x.ticks(), self.y.ticks()
        for tick, label in zip(up, tick_texts(up), strict=True):
            parts.append(line(self.x.start, self.y(tick), self.x.end, self.y(tick)))
            parts.append(text(self.x.start - 5, self.y(tick) + 4, label, "end", "quiet"))
        for tick, label in zip(across, tick_texts(across), strict=True):
            parts.append(line(self.x(tick), self.y.start, self.x(tick), self.y.start + 4))
            parts.append(text(self.x(tick), self.y.start + 15, label, "middle", "quiet"))
        parts.append(line(self.x.start, self.y.start, self.x.end, self.y.start, "rule"))
        parts.append(text(self.x.end, self.y.start + 29, below, "end"))
        parts.append(text(0, self.y.end - 9, beside))
        return Markup("").join([*parts, Markup("</g>")])


def left_of(ticks: Sequence[float]) -> float:
    """The room that labels of ticks take at the left of a plot."""
    return 9 + LETTER * max(map(len, tick_texts(ticks)))


def along(points: Sequence[tuple[float, float]]) -> list[Box]:
    """What the line through points takes, in small pieces, so that a label can lie beside it."""
    boxes = []
    for (x1, y1), (x2, y2) in pairwise(points):
        steps = max(1, round(math.hypot(x2 - x1, y2 - y1) / 4))
        boxes += [around(x1 + (x2 - x1) * i / steps, y1 + (y2 - y1) * i / steps, 2) for i in range(1, steps)]
    return boxes


def place(what: str, x: float, y: float, taken: Sequence[Box], inside: Box) -> tuple[Markup, Box] | None:
    """A label beside a point where it meets nothing; None where there is no room."""
    width = LETTER * len(what) + 2
    for anchor, left, base in (
        ("start", x + 7, y + 4), ("end", x - 7 - width, y + 4), ("middle", x - width / 2, y - 8),
        ("middle", x - width / 2, y + 16), ("start", x + 6, y - 6), ("start", x + 6, y + 14),
        ("end", x - 6 - width, y - 6), ("end", x - 6 - width, y + 14),
    ):  # fmt: skip
        box = Box(left, base - 10, left + width, base + 3)
        if box.within(inside) and not any(box.meets(other) for other in taken):
            at = {"start": left, "end": left + width, "middle": left + width / 2}[anchor]
            return Markup('<g aria-hidden="true">{}</g>').format(text(at, base, what, anchor)), box
    return None


def around(x: float, y: float, size: float = 5) -> Box:
    """What a mark takes."""
    return Box(x - size, y - size, x + size, y + size)


def chart(name: str, title: str, about: str, content: Sequence[Markup], height: float = HEIGHT) -> Markup:
    """The whole drawing; `name` is unique on the page, `about` says in words what is seen."""
    hint = _HINT if any('tabindex="0"' in part for part in content) else _HOVER
    return Markup(
        '<svg viewBox="0 0 {} {}" role="group" aria-labelledby="{}-t {}-d"><title id="{}-t">{}</title>'
        '<desc id="{}-d">{}</desc><text x="0" y="10" class="hint quiet" aria-hidden="true">{}</text>{}</svg>'
    ).format(WIDTH, px(height), name, name, name, title, name, about, hint, Markup("").join(content))


_HINT = "Point at a mark, or tab to it, to read its values."
_HOVER = "Point at a mark to read its values."


def _readout(said: str) -> Markup:
    """What is said of a mark, in up to two lines at the top of the chart."""
    most = int(WIDTH / LETTER)
    first, rest = said, ""
    if len(said) > most:
        cut = max(said.rfind(" ", 0, most), said.rfind(",", 0, most) + 1)
        cut = cut if cut > 0 else most
        first, rest = said[:cut], said[cut:].strip()
        rest = rest if len(rest) <= most else rest[: most - 1] + "…"
    second = Markup('<tspan x="0" dy="{}">{}</tspan>').format(LINE, rest) if rest else ""
    return Markup('<text x="0" y="10" class="readout" aria-hidden="true">{}{}</text>').format(escape(first), second)


def _shape(number: int, x: float, y: float, r: float) -> str:
    """The outline of a mark: circle, square, diamond, triangles, cross, bar."""
    if number == 0:
        return f"M{px(x - r)} {px(y)}a{px(r)} {px(r)} 0 1 0 {px(2 * r)} 0a{px(r)} {px(r)} 0 1 0 {px(-2 * r)} 0Z"
    a = r / 3
    corners = {
        1: [(-r, -r), (r, -r), (r, r), (-r, r)],
        2: [(0, -1.3 * r), (1.3 * r, 0), (0, 1.3 * r), (-1.3 * r, 0)],
        3: [(0, -1.2 * r), (1.2 * r, r), (-1.2 * r, r)],
        4: [(0, 1.2 * r), (1.2 * r, -r), (-1.2 * r, -r)],
        6: [(-r / 3, -1.6 * r), (r / 3, -1.6 * r), (r / 3, 1.6 * r), (-r / 3, 1.6 * r)],
        5: [(-a, -r), (a, -r), (a, -a), (r, -a), (r, a), (a, a), (a, r), (-a, r), (-a, a), (-r, a), (-r, -a), (-a, -a)],
    }[number]
    return "M" + "L".join(f"{px(x + dx)} {px(y + dy)}" for dx, dy in corners) + "Z"
