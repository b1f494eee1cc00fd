"""Values image by image, for charts: two rows against each other, and each row from its worst image to its best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from bench.errors import BenchError
from bench.records.tables import Cell, Table
from bench.registry import unknown
from bench.report.figures.series import Axis


@dataclass(frozen=True)
class Pair:
    """The values of two rows on the images that both have, with the same HR pixels.

    Attributes:
        dataset: name.
        axis: of both.
        rows: their names.
        images: (image, value of the first, value of the second), means over draws, finite.
        left_out: images with an infinite value.
        other: images of one name whose HR pixels are not the same: they are no pair.
    """

    dataset: str
    axis: Axis
    rows: tuple[str, str]
    images: tuple[tuple[str, float, float], ...]
    left_out: int
    other: int = 0

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
        mean: of its finite values; infinite ones (`left_out`) are not in it.
        partial: whether images of the data set are missing.
    """

    row: str
    axis: Axis
    images: tuple[tuple[str, float], ...]
    left_out: int
    mean: float
    partial: bool

    @property
    def ends(self) -> tuple[str, str, str]:
        """`butterfly (22.10 dB)`, the worst; the best; and the mean."""
        (worst, low), (best, high) = self.images[0], self.images[-1]
        return f"{worst} ({self.axis.text(low)})", f"{best} ({self.axis.text(high)})", self.axis.text(self.mean)


def pair(table: Table, dataset: str, column: str, rows: tuple[str, str]) -> Pair:
    """Two rows, image by image.

    Raises:
        BenchError: one of them has no values, or they share no image.
    """
    cells = [_measured(table, row, dataset, column) for row in rows]
    values = [_means(cell) for cell in cells]
    both = [image for image in values[0] if image in values[1]]
    pixels = [_pixels(cell) for cell in cells]
    shared = [image for image in both if pixels[0][image] == pixels[1][image]]
    if not shared:
        got = f"{len(both)} with other HR pixels" if both else "none"
        raise BenchError(f"expected images that {rows[0]} and {rows[1]} both have on {dataset}, got {got}; run them")
    found = [(image, values[0][image], values[1][image]) for image in shared]
    finite = tuple(one for one in found if math.isfinite(one[1]) and math.isfinite(one[2]))
    if not finite:
        raise BenchError(f"expected finite values of {rows[0]} and {rows[1]} on {dataset}, got none; choose others")
    return Pair(dataset, Axis.of(cells[0]), rows, finite, len(found) - len(finite), len(both) - len(shared))


def best_pair(table: Table, dataset: str, column: str, least: int = 3) -> Pair | None:
    """The best row against the second best, of those that share `least` images or more; None where there are none.

    Rows of the whole data set come before those of a part, whose mean is that of other images.
    """
    for first, second in combinations(sorted(ranked(table, dataset, column), key=quality, reverse=True), 2):
        pixels = [_pixels(table.cell(one.row, dataset, column)) for one in (first, second)]
        finite = dict(first.images).keys() & dict(second.images).keys()
        if sum(pixels[0][image] == pixels[1][image] for image in finite) >= least:
            return pair(table, dataset, column, (first.row, second.row))
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


def quality(one: Ranked) -> tuple[bool, float]:
    """What sorts rows by how good they are: those of the whole data set are above others."""
    return not one.partial, -one.mean if one.axis.direction == "lower" else one.mean


def _measured(table: Table, row: str, dataset: str, column: str) -> Cell:
    if row not in {known.name for known in table.suite.rows}:
        raise unknown("row", row, [known.name for known in table.suite.rows], f" in {table.suite.name}")
    if dataset not in table.datasets:
        raise unknown("data set", dataset, table.datasets, f" in {table.suite.name}")
    cell = table.cell(row, dataset, column)
    if cell.value is None:
        raise BenchError(f"expected results of {row} on {dataset}, got none ({cell.reason})")
    return cell


def _pixels(cell: Cell) -> dict[str, str]:
    return {image.id: image.pixels for image in cell.images}


def _means(cell: Cell) -> dict[str, float]:
    return {image.id: sum(image.common) / len(image.common) for image in cell.images}
