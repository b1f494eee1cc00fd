"""The best row of a column, and the rows that are not significantly worse: what a table sets in bold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.records.tables import Cell, Table
from bench.statistics.paired import EXACT, LEVEL, RESAMPLES, holm, image_means, sign_flips, smallest_p

TEST = (
    "two-sided paired permutation test of the mean difference over the images "
    f"(exact up to {EXACT} images, else {RESAMPLES:,} random patterns of signs), Holm's correction over the column, "
    f"level {LEVEL:g}"
)
"""How `Best.not_worse` is decided, for a footnote."""


@dataclass(frozen=True)
class Best:
    """The best of one data set and column.

    Attributes:
        row: with the best mean under the table's common protocol; of equal ones the first.
        not_worse: the rows that are not significantly worse than it, itself among them: as in `TEST`.
        p: the other rows' p values against the best one, Holm-corrected.
        n: images.
        decidable: whether so few images could show any difference. The least p that n images give is 2 / 2**n, and
            Holm multiplies it by the number of rows compared: with 5 images no row is ever significantly worse, and
            `not_worse` has them all. A report then sets `row` in bold alone, and says so.
        left_out: rows that were not compared: part of the data set only, infinite values, or other images than the
            best row's.
        other_images: those of them that have the whole data set, but not the same images with the same HR pixels.
    """

    row: str
    not_worse: tuple[str, ...]
    p: Mapping[str, float]
    n: int
    decidable: bool
    left_out: tuple[str, ...]
    other_images: tuple[str, ...] = ()

    @property
    def bold(self) -> tuple[str, ...]:
        """The rows to set in bold."""
        return self.not_worse if self.decidable else (self.row,)


def best_of_columns(table: Table) -> dict[tuple[str, str], Best]:
    """(data set, column id) -> its best row, where at least two rows can be compared."""
    found = {}
    for dataset in table.datasets:
        for column in table.suite.columns:
            cells = [table.cell(row.name, dataset, column.id) for row in table.suite.rows]
            best = best_of(cells)
            if best is not None:
                found[dataset, column.id] = best
    return found


def ties_of(best: Mapping[tuple[str, str], Best]) -> frozenset[tuple[str, str, str]]:
    """(row, data set, column) of all rows to set in bold, of the columns where differences can be significant."""
    return frozenset((row, *column) for column, found in best.items() if found.decidable for row in found.not_worse)


def remark(best: Mapping[tuple[str, str], Best]) -> str:
    """For a reader of the table: how bold values were tested, and where they could not be; empty without columns."""
    if not best:
        return ""
    text = f"Not significantly worse than the best of a column: {TEST}."
    few = dict.fromkeys(f"{data} ({found.n} images)" for (data, _), found in best.items() if not found.decidable)
    text += f" Too few images for any difference to be significant: {', '.join(few)}." if few else ""
    other = dict.fromkeys(f"{row} on {data}" for (data, _), found in best.items() for row in found.other_images)
    return text + (f" Not compared, for their HR pixels are not the best row's: {', '.join(other)}." if other else "")


def best_of(cells: Sequence[Cell]) -> Best | None:
    """The best of the cells of one data set and column.

    The best is that of all cells of the whole data set; those with the same images and HR pixels as it are compared
    with it. None where fewer than two cells are whole and finite, where neither higher nor lower is better, or where a
    mean is infinite on the better side.
    """
    measured = [cell for cell in cells if cell.value is not None and cell.direction != "none"]
    whole = {cell.row: cell for cell in measured if cell.images and len(cell.images) >= cell.total}
    values = {row: image_means([image.common for image in cell.images]) for row, cell in whole.items()}
    finite = {row: one for row, one in values.items() if np.isfinite(one).all()}
    sign = 1 if measured and measured[0].direction == "higher" else -1
    infinite = [float(np.max(sign * one)) for row, one in values.items() if row not in finite]
    if len(finite) < 2 or np.inf in infinite:
        return None
    row = max(finite, key=lambda name: sign * float(np.mean(finite[name])))  # of equal ones the first
    alike = [name for name in finite if _pixels(whole[name]) == _pixels(whole[row])]
    others = [name for name in alike if name != row]
    n = len(finite[row])
    differences = np.array([finite[other] - finite[row] for other in others]).reshape(len(others), n)
    p = dict(zip(others, holm(sign_flips(differences)), strict=True))
    not_worse = tuple(name for name in alike if name == row or p[name] > LEVEL)
    left_out = tuple(cell.row for cell in measured if cell.row not in alike)
    other_images = tuple(name for name in finite if name not in alike)
    return Best(row, not_worse, p, n, smallest_p(n) * len(others) <= LEVEL, left_out, other_images)


def _pixels(cell: Cell) -> dict[str, str]:
    return {image.id: image.pixels for image in cell.images}
