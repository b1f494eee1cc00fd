"""Charts of a table as inline SVG for its HTML report; each with its values as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from bench.records.tables import Table
from bench.report.figures import image_charts, page, svg
from bench.report.figures.per_image import best_pair, pair, ranked
from bench.report.figures.series import (
    Axis,
    Plot,
    Point,
    Series,
    column_of,
    measured_datasets,
    temperature_curves,
)
from bench.report.figures.series import perception_distortion as _perception_distortion
from bench.report.figures.svg import Box, Frame, Scale


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


def overview(tables: Iterable[tuple[str, Table]]) -> Markup:
    """For an index: perception against distortion of each table, on the first data set that has both.

    Args:
        tables: (heading, table).
    """
    drawn = []
    for heading, table in tables:
        found = (perception_distortion(table, dataset, f"{heading}: ") for dataset in measured_datasets(table))
        drawn.append(next((one for one in found if one), Markup("")))
    if not any(drawn):
        return Markup("")
    head = Markup('<section class="figures"><h2>Perception and distortion</h2><div class="charts">{}</div></section>')
    return head.format(Markup("").join(drawn))


def perception_distortion(table: Table, dataset: str, before: str = "") -> Markup:
    """PSNR against LPIPS, one point per method and temperature; nothing where no row has both.

    Args:
        table: with the values.
        dataset: name.
        before: the chart's title begins with it.
    """
    plot = _perception_distortion(table, dataset)
    if plot is None or sum(len(one.points) for one in plot.series) < 2:
        return Markup("")
    title = f"{before}Perception and distortion, {dataset}"
    return _figure(page.name(table, "pd", dataset), title, plot)


def temperature(table: Table, dataset: str) -> Markup:
    """Curves of PSNR, LPIPS, diversity and consistency, for networks with three temperatures or more: a chart each."""
    plots = [plot for plot in temperature_curves(table, dataset) if max(len(one.points) for one in plot.series) > 2]
    return Markup("").join(
        _figure(page.name(table, "tau", dataset, plot.y.title), f"{plot.y.title} against temperature, {dataset}", plot)
        for plot in plots
    )


def scatter(table: Table, dataset: str, column: str, rows: tuple[str, str] | None = None) -> Markup:
    """Two rows image by image; of the best two where none are given, and nothing where there are none."""
    found = pair(table, dataset, column, rows) if rows else best_pair(table, dataset, column)
    return (
        Markup("")
        if found is None
        else image_charts.scatter(page.name(table, "pair", dataset, column, *found.rows), found)
    )


def spread(table: Table, dataset: str, column: str) -> Markup:
    """Each row's values, a mark per image, with its worst and best image named; for three images or more."""
    rows = [one for one in ranked(table, dataset, column) if len(one.images) >= 3]
    return image_charts.spread(page.name(table, "spread", dataset, column), dataset, rows) if rows else Markup("")


def _figure(name: str, title: str, plot: Plot) -> Markup:
    points = [point for one in plot.series for point in one.points]
    ys = Scale.over([point.y for point in points], svg.HEIGHT - svg.BOTTOM, svg.TOP)
    left = svg.left_of(ys.ticks())
    frame = Frame(Scale.over([point.x for point in points], left, svg.WIDTH - svg.RIGHT), ys)
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
    rows = [
        (one.name, f"{p.temperature:g}" if one.draws else "–", *_values(p, plot), p.images)
        for one in plot.series
        for p in one.points
    ]
    heads = ("Method", "τ", *(axis.title for axis in (plot.x, plot.y) if axis), "Images")
    notes = _notes(plot.left_out, any(p.partial for p in points), [a for a in (plot.x, plot.y) if a])
    return page.wrap(name, title, svg.chart(name, title, about, [*drawn, *labels]), legend, notes, heads, rows)


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


def _notes(left_out: Sequence[str], partial: bool, axes: Sequence[Axis]) -> list[str]:
    notes = page.protocols(axes)
    if partial:
        notes.append("Hollow: not all images are measured, so the value cannot be compared with the others.")
    if left_out:
        notes.append(f"Not drawn: {'; '.join(left_out)}.")
    return notes
