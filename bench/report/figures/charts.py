"""Charts of a table as inline SVG for its HTML report; each with its values as a table, for whoever prefers that."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from bench.records.tables import Table
from bench.report import words
from bench.report.figures import svg
from bench.report.figures.series import (
    CURVES,
    Axis,
    Pair,
    Plot,
    Point,
    Ranked,
    Series,
    best_pair,
    column_of,
    measured_datasets,
    pair,
    ranked,
    temperature_curve,
)
from bench.report.figures.series import perception_distortion as _perception_distortion
from bench.report.figures.svg import Box, Frame, Scale

_TOP, _BOTTOM, _RIGHT = 48, 34, 6
_STRIP = 42  # height of a row in a chart of the images' values
_TABLED = 200  # images whose values stand in the table under a chart


def section(table: Table) -> Markup:
    """All charts of a table for its report; nothing where there is nothing to draw."""
    column = column_of(table).id
    parts = []
    for dataset in measured_datasets(table):
        charts = [perception_distortion(table, dataset), temperature(table, dataset)]
        charts += [scatter(table, dataset, column), spread(table, dataset, column)]
        if drawn := Markup("").join(charts):
            parts.append(Markup('<h3>{}</h3><div class="charts">{}</div>').format(dataset, drawn))
    if not parts:
        return Markup("")
    return Markup('<section class="figures"><h2>Charts</h2>{}</section>').format(Markup("").join(parts))


def perception_distortion(table: Table, dataset: str) -> Markup:
    """PSNR against LPIPS, one point per method and temperature; nothing where no row has both."""
    plot = _perception_distortion(table, dataset)
    if plot is None or sum(len(one.points) for one in plot.series) < 2:
        return Markup("")
    title = f"Perception and distortion, {dataset}"
    return _figure(_name(table, "pd", dataset), title, plot)


def temperature(table: Table, dataset: str) -> Markup:
    """Curves of PSNR, LPIPS, diversity and consistency, for networks with three temperatures or more: a chart each."""
    found = [temperature_curve(table, dataset, metric) for metric in CURVES]
    plots = [plot for plot in found if plot and max(len(one.points) for one in plot.series) > 2]
    return Markup("").join(
        _figure(_name(table, "tau", dataset, plot.y.title), f"{plot.y.title} against temperature, {dataset}", plot)
        for plot in plots
    )


def scatter(table: Table, dataset: str, column: str, rows: tuple[str, str] | None = None) -> Markup:
    """Two rows image by image; of the best two where none are given, and nothing where there are none."""
    found = pair(table, dataset, column, rows) if rows else best_pair(table, dataset, column)
    return Markup("") if found is None else _scatter(_name(table, "pair", dataset, column, *found.rows), found)


def spread(table: Table, dataset: str, column: str) -> Markup:
    """Each row's values, a mark per image, with its worst and best image named; for three images or more."""
    rows = [one for one in ranked(table, dataset, column) if len(one.images) >= 3]
    return _spread(_name(table, "spread", dataset, column), dataset, rows) if rows else Markup("")


def _figure(name: str, title: str, plot: Plot) -> Markup:
    points = [point for one in plot.series for point in one.points]
    ys = Scale.over([point.y for point in points], svg.HEIGHT - _BOTTOM, _TOP)
    left = svg.left_of(ys.ticks())
    frame = Frame(Scale.over([point.x for point in points], left, svg.WIDTH - _RIGHT), ys)
    across = "temperature τ" if plot.x is None else plot.x.label
    taus = () if plot.x else sorted({point.x for point in points})
    drawn = [frame.axes(across, plot.y.label, taus)]
    for number, one in enumerate(plot.series):
        if len(one.points) > 1:
            drawn.append(svg.path([(frame.x(p.x), frame.y(p.y)) for p in one.points], f"s{number % svg.COLOURS}"))
    stops = len(points) <= svg.FOCUSABLE
    for number, one in enumerate(plot.series):
        drawn += [
            svg.mark(frame.x(p.x), frame.y(p.y), _said(one, p, plot), number, p.partial, stops) for p in one.points
        ]
    labels, legend = _labels(plot, frame)
    about = f"{plot.y.label}, over {across}. " + " ".join(
        f"{_said(one, p, plot)}." for one in plot.series for p in one.points[:8]
    )
    rows = [(one.name, f"{p.temperature:g}", *_values(p, plot), p.images) for one in plot.series for p in one.points]
    heads = ("Method", "τ", *(axis.title for axis in (plot.x, plot.y) if axis), "Images")
    notes = _notes(plot.left_out, any(p.partial for p in points), [a for a in (plot.x, plot.y) if a])
    return _wrap(name, title, svg.chart(name, title, about, [*drawn, *labels]), legend, notes, heads, rows)


def _said(one: Series, point: Point, plot: Plot) -> str:
    tau = f", τ={point.temperature:g}" if one.draws else ""
    axes = [(plot.x, point.x), (plot.y, point.y)]
    values = ", ".join(f"{axis.title} {axis.text(value)}" for axis, value in axes if axis)
    return f"{one.name}{tau}: {values} ({point.images})"


def _values(point: Point, plot: Plot) -> list[str]:
    return [axis.text(value) for axis, value in ((plot.x, point.x), (plot.y, point.y)) if axis]


def _labels(plot: Plot, frame: Frame) -> tuple[list[Markup], Markup]:
    """Names beside the points where all of them have room, else a legend; temperatures where they have room."""
    places = [[(frame.x(p.x), frame.y(p.y)) for p in one.points] for one in plot.series]
    marks = [svg.around(x, y) for points in places for x, y in points]
    marks += [box for points in places for box in svg.along(points)]
    taken: list[Box] = list(marks)
    drawn: list[Markup] = []
    for one in plot.series:
        if (found := _name_of(one, frame, taken)) is None:
            taken, drawn = list(marks), []
            break
        drawn.append(found[0])
        taken.append(found[1])
    legend = Markup("") if drawn else _legend([one.name for one in plot.series])
    for one in plot.series if plot.x else ():
        for point in one.points if one.draws else ():
            label = svg.place(f"τ={point.temperature:g}", frame.x(point.x), frame.y(point.y), taken, frame.box)
            if label is not None:
                drawn.append(label[0])
                taken.append(label[1])
    return drawn, legend


def _name_of(one: Series, frame: Frame, taken: Sequence[Box]) -> tuple[Markup, Box] | None:
    """The name of a series beside one of its points, the last first."""
    for point in reversed(one.points):
        found = svg.place(one.name, frame.x(point.x), frame.y(point.y), taken, frame.box)
        if found is not None:
            return found
    return None


def _legend(names: Iterable[str]) -> Markup:
    keys = (Markup("<li>{} {}</li>").format(svg.sample(number), name) for number, name in enumerate(names))
    return Markup('<ul class="keys">{}</ul>').format(Markup("").join(keys))


def _scatter(name: str, found: Pair) -> Markup:
    values = [value for _, a, b in found.images for value in (a, b)]
    ys = Scale.over(values, svg.HEIGHT - _BOTTOM, _TOP)
    frame = Frame(Scale.over(values, svg.left_of(ys.ticks()), svg.WIDTH - _RIGHT), ys)
    low, high = frame.x.low, frame.x.high
    first, second = found.rows
    title = f"{found.axis.title} image by image, {found.dataset}"
    drawn = [
        frame.axes(_short(first), _short(second)),
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
    count = f"{first} is better on {wins[0]}, {second} on {wins[1]} of {_images(len(found.images))}"
    about = f"{found.axis.label}: {first} across, {second} up. {count}."
    rows = [
        (image, found.axis.text(a), found.axis.text(b), _difference(a, b, found.axis))
        for image, a, b in found.images[:_TABLED]
    ]
    notes = [f"{count}. On the dashed line both are equal.", *_infinite(found.left_out), *_protocols([found.axis])]
    heads = ("Image", first, second, "Second − first")
    return _wrap(name, title, svg.chart(name, title, about, drawn), Markup(""), notes, heads, rows)


def _farthest(found: Pair, frame: Frame) -> list[Markup]:
    """The names of the images where the two differ most, as far as they have room."""
    taken = [svg.around(frame.x(a), frame.y(b)) for _, a, b in found.images]
    drawn = []
    for image, a, b in sorted(found.images, key=lambda one: -abs(one[1] - one[2]))[:3]:
        label = svg.place(_short(image, 16), frame.x(a), frame.y(b), taken, frame.box)
        if label is not None:
            drawn.append(label[0])
            taken.append(label[1])
    return drawn


def _spread(name: str, dataset: str, rows: Sequence[Ranked]) -> Markup:
    axis = rows[0].axis
    x = Scale.over([value for one in rows for _, value in one.images], 6, svg.WIDTH - _RIGHT, room=0.04)
    top = _TOP - 14
    bottom = top + _STRIP * len(rows)
    title = f"{axis.title} of each image, {dataset}"
    drawn = [_ruler(x, top, bottom, axis)]
    stops = sum(len(one.images) for one in rows) <= svg.FOCUSABLE
    for number, one in enumerate(rows):
        base = top + _STRIP * number + 26
        drawn.append(svg.text(0, base - 13, f"{_short(one.row)}, mean {axis.text(one.mean)}"))
        drawn.append(svg.line(x.start, base, x.end, base))
        drawn.append(svg.line(x(one.mean), base - 10, x(one.mean), base + 10, "mean"))
        for image, value in one.images:
            said = f"{one.row}, {image}: {axis.text(value)}"
            drawn.append(svg.mark(x(value), base, said, number, one.partial, stops, bar=True))
    ends = [(one.row, *_ends(one)) for one in rows]
    about = " ".join(f"{row}: worst {worst}, best {best}." for row, worst, best, _ in ends)
    notes = ["A bar is an image, the long line their mean.", *_protocols([axis])]
    notes += [note for one in rows for note in _infinite(one.left_out, one.row)]
    heads = ("Method", "Worst image", "Best image", "Mean")
    return _wrap(name, title, svg.chart(name, title, about, drawn, bottom + 32), Markup(""), notes, heads, ends)


def _ends(one: Ranked) -> tuple[str, str, str]:
    (worst, low), (best, high) = one.images[0], one.images[-1]
    text = one.axis.text
    return f"{worst} ({text(low)})", f"{best} ({text(high)})", text(one.mean)


def _ruler(x: Scale, top: float, bottom: float, axis: Axis) -> Markup:
    parts = [Markup('<g aria-hidden="true">')]
    ticks = x.ticks(6)
    for tick, label in zip(ticks, svg.tick_texts(ticks), strict=True):
        parts.append(svg.line(x(tick), top, x(tick), bottom))
        parts.append(svg.text(x(tick), bottom + 13, label, "middle", "quiet"))
    parts.append(svg.text(x.end, bottom + 28, axis.label, "end"))
    return Markup("").join([*parts, Markup("</g>")])


def _wrap(
    name: str,
    title: str,
    drawing: Markup,
    legend: Markup,
    notes: Iterable[str],
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
) -> Markup:
    """Title, drawing, legend, notes, and the values as a table that opens."""
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(text) for text in heads)
    body = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            first, Markup("").join(Markup("<td>{}</td>").format(text) for text in rest)
        )
        for first, *rest in rows
    )
    return Markup(
        '<figure class="chart" id="{}"><figcaption>{}</figcaption>{}{}<p class="quiet">{}</p><details><summary>Values'
        '<span class="hidden"> of {}</span></summary><div class="scroll" role="region" tabindex="0" '
        'aria-label="Values of {}"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div></details></figure>'
    ).format(name, title, drawing, legend, " ".join(notes), title, title, head, body)


def _notes(left_out: Sequence[str], partial: bool, axes: Sequence[Axis]) -> list[str]:
    notes = _protocols(axes)
    if partial:
        notes.append("Hollow: not all images are measured, so the value cannot be compared with the others.")
    if left_out:
        notes.append(f"Not drawn: {'; '.join(left_out)}.")
    return notes


def _protocols(axes: Sequence[Axis]) -> list[str]:
    return [f"Measured as {' and '.join(axis.protocol for axis in axes)}."]


def _infinite(count: int, row: str = "") -> list[str]:
    what = f" of {row}" if row else ""
    return [f"Not drawn: {_images(count)}{what} with an infinite value."] if count else []


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def _difference(a: float, b: float, axis: Axis) -> str:
    return f"{words.signed(b - a, axis.digits)} {axis.unit}".rstrip()


def _short(name: str, most: int = 40) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _name(table: Table, *parts: str) -> str:
    """A name that is unique on a page of all tables, and fit for an id."""
    text = " ".join((table.suite.name, *parts))
    readable = re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-")
    return f"chart-{readable}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
