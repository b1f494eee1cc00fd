"""What charts show, out of a table's cells: points, curves and values per image. No drawing happens here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from bench.errors import BenchError
from bench.records.estimates import Estimate
from bench.records.tables import Cell, Table
from bench.registry import unknown
from bench.report import words
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
        return f"{words.number(value, self.digits)} {self.unit}".rstrip()


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


@dataclass(frozen=True)
class Pair:
    """The values of two rows on the images that both have.

    Attributes:
        dataset: name.
        axis: of both.
        rows: their names.
        images: (image, value of the first, value of the second), means over draws, finite.
        left_out: images with an infinite value.
    """

    dataset: str
    axis: Axis
    rows: tuple[str, str]
    images: tuple[tuple[str, float, float], ...]
    left_out: int

    @property
    def wins(self) -> tuple[int, int]:
        """On how many images the first and the second are better."""
        sign = -1 if self.axis.direction == "lower" else 1
        return (
            sum(sign * (a - b) > 0 for _, a, b in self.images),
            sum(sign * (b - a) > 0 for _, a, b in self.images),
        )


@dataclass(frozen=True)
class Ranked:
    """The images of a cell, worst first.

    Attributes:
        row: name.
        axis: of the values.
        images: (image, mean over its draws), finite.
        left_out: images with an infinite value.
        mean: over all images of it.
        partial: whether images of the data set are missing.
    """

    row: str
    axis: Axis
    images: tuple[tuple[str, float], ...]
    left_out: int
    mean: float
    partial: bool


def measured_datasets(table: Table) -> list[str]:
    """The data sets with a value, in the table's order."""
    return [name for name in table.datasets if any(c.value for c in table.cells if c.dataset == name)]


def perception_distortion(table: Table, dataset: str) -> Plot | None:
    """PSNR against LPIPS, one point per method and temperature; None where no row has both at one temperature."""
    return _plot(table, dataset, "psnr", "lpips")


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
    gone = [words.name(cell) for _, cells in plots for cell in cells if not _finite(cell)]
    return Plot(dataset, None, Axis.of(plots[0][1][0]), kept, tuple(gone)) if kept else None


def pair(table: Table, dataset: str, column: str, rows: tuple[str, str]) -> Pair:
    """Two rows, image by image.

    Raises:
        BenchError: one of them has no values, or they share no image.
    """
    cells = [_measured(table, row, dataset, column) for row in rows]
    values = [_means(cell) for cell in cells]
    shared = [image for image in values[0] if image in values[1]]
    if not shared:
        raise BenchError(f"expected images that {rows[0]} and {rows[1]} both have on {dataset}, got none; run them")
    found = [(image, values[0][image], values[1][image]) for image in shared]
    finite = tuple(one for one in found if math.isfinite(one[1]) and math.isfinite(one[2]))
    if not finite:
        raise BenchError(f"expected finite values of {rows[0]} and {rows[1]} on {dataset}, got none; choose others")
    return Pair(dataset, Axis.of(cells[0]), rows, finite, len(found) - len(finite))


def best_pair(table: Table, dataset: str, column: str, least: int = 3) -> Pair | None:
    """The best row against the second best, of those that share `least` images or more; None where there are none."""
    rows = [one.row for one in sorted(ranked(table, dataset, column), key=_quality, reverse=True)]
    for first, second in combinations(rows, 2):
        found = pair(table, dataset, column, (first, second))
        if len(found.images) >= least:
            return found
    return None


def ranked(table: Table, dataset: str, column: str, rows: Sequence[str] = ()) -> list[Ranked]:
    """The images of each measured row, worst first, in the table's order of rows."""
    found = []
    for row in table.suite.rows:
        cell = table.cell(row.name, dataset, column)
        if cell.value is None or (rows and row.name not in rows):
            continue
        axis, values = Axis.of(cell), _means(cell)
        finite = [(image, value) for image, value in values.items() if math.isfinite(value)]
        if finite:
            finite.sort(key=lambda one: (one[1] if axis.direction == "higher" else -one[1], one[0]))
            mean = sum(value for _, value in finite) / len(finite)
            left_out = len(values) - len(finite)
            found.append(Ranked(row.name, axis, tuple(finite), left_out, mean, cell.verdict == "partial"))
    return found


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


def metric_of(cell: Cell) -> str:
    """The metric of a cell."""
    return cell.protocol.partition("@")[0]


def _quality(one: Ranked) -> float:
    return -one.mean if one.axis.direction == "lower" else one.mean


def _measured(table: Table, row: str, dataset: str, column: str) -> Cell:
    if row not in {known.name for known in table.suite.rows}:
        raise unknown("row", row, [known.name for known in table.suite.rows], f" in {table.suite.name}")
    if dataset not in table.datasets:
        raise unknown("data set", dataset, table.datasets, f" in {table.suite.name}")
    cell = table.cell(row, dataset, column)
    if cell.value is None:
        raise BenchError(f"expected results of {row} on {dataset}, got none ({cell.reason})")
    return cell


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
    return Point(up.row, up.temperature, x, _mean(up), words.images_of(up), partial)


def _finite(cell: Cell) -> bool:
    return math.isfinite(_mean(cell))


def _mean(cell: Cell) -> float:
    value: Estimate | None = cell.value
    return math.nan if value is None else value.mean


def _means(cell: Cell) -> dict[str, float]:
    return {image.id: sum(image.common) / len(image.common) for image in cell.images}
