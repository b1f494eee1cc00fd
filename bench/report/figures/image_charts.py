"""Charts of values image by image, as SVG: two rows against each other, and each row's images on a line."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from bench.report import formatting
from bench.report.figures import page, svg
from bench.report.figures.per_image import Pair, Ranked
from bench.report.figures.series import Axis
from bench.report.figures.svg import Frame, Scale

_STRIP = 42  # height of a row in a chart of the images' values
_TABLED = 200  # images whose values stand in the table under a chart


def scatter(name: str, found: Pair) -> Markup:
    """Two rows, a point per image, and the line on which both are equal."""
    values = [value for _, a, b in found.images for value in (a, b)]
    ys = Scale.over(values, svg.HEIGHT - svg.BOTTOM, svg.TOP)
    frame = Frame(Scale.over(values, svg.left_of(ys.ticks()), svg.WIDTH - svg.RIGHT), ys)
    low, high = frame.x.low, frame.x.high
    first, second = found.rows
    title = f"{found.axis.title} image by image, {found.dataset}"
    drawn = [
        frame.axes(page.short(first), page.short(second)),
        svg.path([(frame.x(low), frame.y(low)), (frame.x(high), frame.y(high))], "equal"),
    ]
    stops = len(found.images) <= svg.FOCUSABLE
    said = [
        f"{image}: {found.axis.text(a)} / {found.axis.text(b)}, {_difference(a, b, found.axis)}"
        for image, a, b in found.images
    ]
    drawn += [
        svg.mark(frame.x(a), frame.y(b), text, 0, stop=stops)
        for (_, a, b), text in zip(found.images, said, strict=True)
    ]
    drawn += _farthest(found, frame)
    wins = found.wins
    count = f"{first} is better on {wins[0]}, {second} on {wins[1]} of {page.images(len(found.images))}"
    about = f"{found.axis.label}: {first} across, {second} up. {count}."
    rows = [
        (image, found.axis.text(a), found.axis.text(b), _difference(a, b, found.axis))
        for image, a, b in found.images[:_TABLED]
    ]
    notes = [
        f"{count}. On the dashed line both are equal.",
        *page.infinite(found.left_out),
        *page.protocols([found.axis]),
    ]
    heads = ("Image", first, second, "Second − first")
    return page.wrap(name, title, svg.chart(name, title, about, drawn), Markup(""), notes, heads, rows)


def _farthest(found: Pair, frame: Frame) -> list[Markup]:
    """The names of the images where the two differ most, as far as they have room."""
    taken = [svg.around(frame.x(a), frame.y(b)) for _, a, b in found.images]
    drawn = []
    for image, a, b in sorted(found.images, key=lambda one: -abs(one[1] - one[2]))[:3]:
        label = svg.place(page.short(image, 16), frame.x(a), frame.y(b), taken, frame.box)
        if label is not None:
            drawn.append(label[0])
            taken.append(label[1])
    return drawn


def spread(name: str, dataset: str, rows: Sequence[Ranked]) -> Markup:
    """A line per row with a bar per image, and its mean."""
    axis = rows[0].axis
    x = Scale.over([value for one in rows for _, value in one.images], 6, svg.WIDTH - svg.RIGHT, room=0.04)
    top = svg.TOP - 14
    bottom = top + _STRIP * len(rows)
    title = f"{axis.title} of each image, {dataset}"
    drawn = [_ruler(x, top, bottom, axis)]
    stops = sum(len(one.images) for one in rows) <= svg.FOCUSABLE
    for number, one in enumerate(rows):
        base = top + _STRIP * number + 26
        drawn.append(svg.text(0, base - 13, f"{page.short(one.row)}, mean {axis.text(one.mean)}"))
        drawn.append(svg.line(x.start, base, x.end, base))
        for image, value in one.images:
            said = f"{one.row}, {image}: {axis.text(value)}"
            drawn.append(svg.mark(x(value), base, said, number, one.partial, stops, bar=True))
        drawn.append(svg.line(x(one.mean), base - 11, x(one.mean), base + 11, "mean"))
    ends = [(one.row, *one.ends) for one in rows]
    about = " ".join(f"{row}: worst {worst}, best {best}." for row, worst, best, _ in ends)
    notes = ["A bar is an image, the long line their mean.", *page.protocols([axis])]
    notes += [note for one in rows for note in page.infinite(one.left_out, one.row)]
    heads = ("Method", "Worst image", "Best image", "Mean")
    return page.wrap(name, title, svg.chart(name, title, about, drawn, bottom + 32), Markup(""), notes, heads, ends)


def _ruler(x: Scale, top: float, bottom: float, axis: Axis) -> Markup:
    parts = [Markup('<g aria-hidden="true">')]
    ticks = x.ticks(6)
    for tick, label in zip(ticks, svg.tick_texts(ticks), strict=True):
        parts.append(svg.line(x(tick), top, x(tick), bottom))
        parts.append(svg.text(x(tick), bottom + 13, label, "middle", "quiet"))
    parts.append(svg.text(x.end, bottom + 28, axis.label, "end"))
    return Markup("").join([*parts, Markup("</g>")])


def _difference(a: float, b: float, axis: Axis) -> str:
    return f"{formatting.signed(b - a, axis.digits)} {axis.unit}".rstrip()
