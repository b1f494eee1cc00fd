"""The best row of a column, and the rows that are not significantly worse: what a table sets in bold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.records.tables import Cell, Table
from bench.statistics.paired import EXACT, RESAMPLES, holm, image_means, smallest_p

LEVEL = 0.05
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
        left_out: rows that were not compared: part of the data set only, or infinite values.
    """

    row: str
    not_worse: tuple[str, ...]
    p: Mapping[str, float]
    n: int
    decidable: bool
    left_out: tuple[str, ...]

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
    return text + (f" Too few images for any difference to be significant: {', '.join(few)}." if few else "")


def best_of(cells: Sequence[Cell]) -> Best | None:
    """The best of the cells of one data set and column.

    Cells of the whole data set are compared, over the same images with the same pixels. None where fewer than two are,
    where neither higher nor lower is better, or where a mean is infinite on the better side.
    """
    measured = [cell for cell in cells if cell.value is not None and cell.direction != "none"]
    whole = [cell for cell in measured if cell.images and len(cell.images) >= cell.total]
    groups: dict[tuple[tuple[str, str], ...], list[Cell]] = {}
    for cell in whole:
        groups.setdefault(tuple((image.id, image.pixels) for image in cell.images), []).append(cell)
    alike = max(groups.values(), key=len, default=[])
    values = {cell.row: image_means([image.common for image in cell.images]) for cell in alike}
    finite = {row: one for row, one in values.items() if np.isfinite(one).all()}
    sign = 1 if measured and measured[0].direction == "higher" else -1
    infinite = [float(np.max(sign * one)) for row, one in values.items() if row not in finite]
    if len(finite) < 2 or np.inf in infinite:
        return None
    row = max(finite, key=lambda name: sign * float(np.mean(finite[name])))  # of equal ones the first
    others = [name for name in finite if name != row]
    n = len(finite[row])
    p = dict(zip(others, holm(sign_flips(np.stack([finite[o] - finite[row] for o in others]))), strict=True))
    not_worse = tuple(name for name in finite if name == row or p[name] > LEVEL)
    left_out = tuple(cell.row for cell in measured if cell.row not in finite)
    return Best(row, not_worse, p, n, smallest_p(n) * len(others) <= LEVEL, left_out)


def sign_flips(differences: NDArray[np.floating[Any]]) -> list[float]:
    """The p values of `paired.permutation_p`, of many rows at once, for the time that scipy takes for one.

    Args:
        differences: (rows, images).
    """
    n = differences.shape[1]
    signs = _signs(n)
    with np.errstate(all="ignore"):
        flipped = np.abs(signs @ differences.T) / n  # (patterns, rows)
    observed = np.abs(differences.mean(axis=1))
    at_least = np.sum(flipped >= observed * (1 - 1e-12), axis=0)
    if n <= EXACT:
        return [float(count) / len(signs) for count in at_least]
    return [float(count + 1) / (len(signs) + 1) for count in at_least]


@lru_cache(maxsize=8)
def _signs(n: int) -> NDArray[np.float64]:
    """All patterns of n signs, or RESAMPLES random ones, always the same; (patterns, n)."""
    if n <= EXACT:
        bits = np.arange(2**n)[:, None] >> np.arange(n) & 1
    else:
        bits = np.random.default_rng(0).integers(0, 2, size=(RESAMPLES, n))
    return np.asarray(1.0 - 2.0 * bits)
