"""What charts show, out of a table's cells: points, curves and values per image. No drawing happens here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bench.records.estimates import Estimate
from bench.records.tables import Cell, Table
from bench.registry import unknown
from bench.report import formatting
from bench.suites.suite import Column, Row

CURVES = ("psnr", "lpips", "diversity", "consistency")
"""The metrics of a temperature curve."""
_TAU = re.compile(r"[\s,]*(?:tau|τ)\s*=\s*[\d.]+$")


@dataclass(frozen=True)
class Axis:
    """What a value on an axis is.

    Attributes:
        title: such as `PSNR (RGB)`.
        unit: such as `dB`, or nothing.
        direction: whether higher or lower is better, or none.
        digits: to print.
        protocol: id of the measure.
    """

    title: str
    unit: str
    direction: str
    digits: int
    protocol: str

    @classmethod
    def of(cls, cell: Cell) -> Axis:
        """That of a cell's values under the table's common protocol."""
        return cls(re.sub(", τ=.*", "", cell.title), cell.unit, cell.direction, cell.decimals, cell.protocol)

    @property
    def label(self) -> str:
        """`PSNR (RGB), dB, higher is better`."""
        better = f"{self.direction} is better" if self.direction != "none" else ""
        return ", ".join(part for part in (self.title, self.unit, better) if part)

    def text(self, value: float) -> str:
        """A value with its unit."""
        return f"{formatting.number(value, self.digits)} {self.unit}".rstrip()


@dataclass(frozen=True)
class Point:
    """A method at a temperature.

    Attributes:
        row: its row in the table.
        temperature: of the draws.
        x: position; a temperature where the chart is a curve.
        y: height.
        images: in words, such as `5 images` or `3 of 5 images`.
        partial: whether images of the data set are missing, so that it cannot be compared with the others.
    """

    row: str
    temperature: float
    x: float
    y: float
    images: str
    partial: bool


@dataclass(frozen=True)
class Series:
    """One network with everything that was measured of it, by temperature."""

    name: str
    points: tuple[Point, ...]

    @property
    def draws(self) -> bool:
        """Whether its temperature is worth saying."""
        return len(self.points) > 1 or any(point.temperature > 0 for point in self.points)


@dataclass(frozen=True)
class Plot:
    """Series over two axes.

    Attributes:
        dataset: name.
        x: None for a temperature.
        y: see Axis.
        series: at least one.
        left_out: what could not be drawn, in words.
    """

    dataset: str
    x: Axis | None
    y: Axis
    series: tuple[Series, ...]
    left_out: tuple[str, ...] = ()


def measured_datasets(table: Table) -> list[str]:
    """The data sets with a value, in the table's order."""
    return [name for name in table.datasets if any(c.value for c in table.cells if c.dataset == name)]


def perception_distortion(table: Table, dataset: str) -> Plot | None:
    """PSNR against LPIPS, one point per method and temperature; None where no row has both at one temperature."""
    return _plot(table, dataset, "psnr", "lpips")


def temperature_curves(table: Table, dataset: str) -> list[Plot]:
    """The curves of CURVES that there are."""
    found = (temperature_curve(table, dataset, metric) for metric in CURVES)
    return [plot for plot in found if plot is not None]


def temperature_curve(table: Table, dataset: str, metric: str) -> Plot | None:
    """A metric against temperature, for the networks that were measured at two temperatures or more."""
    plots = []
    for name, rows in _networks(table):
        cells = sorted(_cells(table, dataset, rows, metric), key=lambda cell: cell.temperature)
        if len({cell.temperature for cell in cells}) > 1:
            plots.append((name, cells))
    if not plots:
        return None
    finite = [(name, [cell for cell in cells if _finite(cell)]) for name, cells in plots]
    series = [Series(name, tuple(_point(cell, cell.temperature, cell) for cell in cells)) for name, cells in finite]
    kept = tuple(one for one in series if len(one.points) > 1)
    gone = [formatting.name(cell) for _, cells in plots for cell in cells if not _finite(cell)]
    return Plot(dataset, None, Axis.of(plots[0][1][0]), kept, tuple(gone)) if kept else None


def column_of(table: Table, name: str | None = None) -> Column:
    """The column of an id or a metric's name; the first that has a direction where none is given.

    Raises:
        BenchError: there is none.
    """
    columns = table.suite.columns
    if name is None:
        return next((column for column in columns if column.measure.of.direction != "none"), columns[0])
    for known in ([c for c in columns if c.id == name], [c for c in columns if c.measure.metric == name]):
        if known:
            return known[0]
    raise unknown("metric", name, [column.id for column in columns], f" in {table.suite.name}")


def _plot(table: Table, dataset: str, x: str, y: str) -> Plot | None:
    series, gone, axes = [], [], None
    for name, rows in _networks(table):
        points = []
        for across, up in _pairs(_cells(table, dataset, rows, x), _cells(table, dataset, rows, y)):
            axes = axes or (Axis.of(across), Axis.of(up))
            if _finite(across) and _finite(up):
                points.append(_point(across, _mean(across), up))
            else:
                gone.append(f"{up.row}: infinite")
        if points:
            series.append(Series(name, tuple(sorted(points, key=lambda point: point.temperature))))
    return Plot(dataset, *axes, tuple(series), tuple(gone)) if axes and series else None


def _pairs(across: Iterable[Cell], up: Iterable[Cell]) -> Iterator[tuple[Cell, Cell]]:
    """The cells of one row at one temperature."""
    above = {(cell.row, cell.temperature): cell for cell in up}
    return ((cell, above[key]) for cell in across if (key := (cell.row, cell.temperature)) in above)


def _networks(table: Table) -> list[tuple[str, list[Row]]]:
    """The rows that are one network at several temperatures, together, and what to call it."""
    groups: dict[object, list[Row]] = {}
    for row in table.suite.rows:
        key = (row.method, tuple(sorted(row.settings.items())), row.needs, row.files, row.precision)
        groups.setdefault(key if row.needs or row.files else row.name, []).append(row)
    return [(_TAU.sub("", rows[0].name) if len(rows) > 1 else rows[0].name, rows) for rows in groups.values()]


def _cells(table: Table, dataset: str, rows: Iterable[Row], metric: str) -> list[Cell]:
    """The measured cells of a metric, one for each row and temperature: those of the suite's first such column."""
    found: dict[tuple[str, float], Cell] = {}
    for row in rows:
        for column in table.suite.columns:
            cell = table.cell(row.name, dataset, column.id)
            if column.measure.metric == metric and cell.value is not None:
                found.setdefault((row.name, cell.temperature), cell)
    return list(found.values())


def _point(cell: Cell, x: float, up: Cell) -> Point:
    partial = "partial" in (cell.verdict, up.verdict)
    return Point(up.row, up.temperature, x, _mean(up), formatting.images_of(up), partial)


def _finite(cell: Cell) -> bool:
    return math.isfinite(_mean(cell))


def _mean(cell: Cell) -> float:
    value: Estimate | None = cell.value
    return math.nan if value is None else value.mean
