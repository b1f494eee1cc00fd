"""Which rows of a table are put in order: those of one series, on a data set and column, over the images they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bench.errors import BenchError
from bench.records.estimates import decimal
from bench.records.tables import Cell, Table
from bench.registry import unknown
from bench.statistics.agreement import FEWEST_SYSTEMS, agreement
from bench.statistics.paired import image_means
from bench.statistics.series import Member, Noise, Ordering, Series
from bench.suites.suite import Column, Row


def orderings_of(table: Table, seed: int = 0) -> tuple[Series, ...]:
    """The series of a table of which there is something to say: at least three rows measured somewhere.

    The published rows come first, then the rows that were trained here, series by series.

    Args:
        table: with its cells.
        seed: of the resampling.
    """
    named: dict[str, list[tuple[Row, Row]]] = {}
    for row in table.suite.rows:
        published = published_row(table, row)
        if published is not None:
            named.setdefault(row.series if published is not row else "", []).append((row, published))
    found = []
    for name, rows in named.items():
        places = [(dataset, column) for dataset in table.datasets for column in table.suite.columns]
        orderings = (_Place(table, name, rows, *place).ordering(seed) for place in places)
        found.append(Series(name, tuple(one for one in orderings if one is not None)))
    return tuple(sorted((one for one in found if one.orderings), key=lambda one: one.name != ""))


def published_row(table: Table, row: Row) -> Row | None:
    """The row itself where it is a published one, or that which a row of a series stands beside; None for others."""
    if row.key or row.published:
        return row
    if not row.series:
        return None
    rows = {one.name: one for one in table.suite.rows}
    seen: set[str] = set()
    while row.beside in rows and row.beside not in seen:
        seen.add(row.beside)
        row = rows[row.beside]
        if row.key or row.published:
            return row
    return None


def chosen(found: Sequence[Series], table: Table, datasets: Sequence[str], metrics: Sequence[str]) -> list[Series]:
    """The series on these data sets and columns alone; all where none is named.

    Raises:
        BenchError: a name is unknown, or nothing is left of what was named.
    """
    for kind, names, known in (
        ("data set", datasets, table.datasets),
        ("metric", metrics, [column.id for column in table.suite.columns]),
    ):
        for name in names:
            if name not in known:
                raise unknown(kind, name, known, f" in {table.suite.name}")
    left = []
    for series in found:
        orderings = tuple(
            one
            for one in series.orderings
            if (not datasets or one.cell.dataset in datasets) and (not metrics or one.cell.column in metrics)
        )
        left += [Series(series.name, orderings)] if orderings else []
    if not left:
        named = f" on {', '.join([*datasets, *metrics])}" if datasets or metrics else ""
        raise BenchError(
            f"{table.suite.name}: expected at least {FEWEST_SYSTEMS} rows with published values, measured on the same "
            f"images{named}, got fewer; measure more of its rows"
        )
    return left


_Run = tuple[Member, Cell]
_OTHER = "other images than the rest"


@dataclass(frozen=True)
class _Place:
    """The rows of a series on a data set and column, on their way to an ordering."""

    table: Table
    name: str
    rows: Sequence[tuple[Row, Row]]
    dataset: str
    column: Column

    def ordering(self, seed: int) -> Ordering | None:
        """Put them in order; None where fewer than three can be compared."""
        printed_on = self._printed_on()
        if printed_on is None or self.column.extra or self.column.measure.of.direction == "none":
            return None
        left_out: list[tuple[str, str]] = []
        runs: dict[str, list[_Run]] = {}
        for row, published in self.rows:
            cell = self.table.cell(row.name, self.dataset, self.column.id)
            if cell.value is None:
                continue
            value = self.table.suite.published_value(published, printed_on, self.column)
            if value is None or (why := _unfit(cell)):
                left_out.append((row.name, "no value is published" if value is None else why))
                continue
            runs.setdefault(published.name, []).append((Member(row.name, published.name, row.seed, value), cell))
        for several in runs.values():
            several.sort(key=lambda run: run[0].seed)
        first, images = _together([several[0] for several in runs.values()])
        if len(first) < FEWEST_SYSTEMS:
            return None
        names = {member.name for member, _ in first}
        left_out += [(several[0][0].row, _OTHER) for name, several in runs.items() if name not in names]
        others = [run for several in runs.values() for run in several[1:]]
        left_out += [(run.row, _OTHER) for run, cell in others if not _has(cell, images)]
        noise = tuple(_noise(list(runs.values()), images))
        largest = max((abs(one.difference) for one in noise), default=0.0)
        values = np.array([_values(cell, images) for _, cell in first])
        printed = [float(decimal(member.printed)) for member, _ in first]
        result = agreement(printed, values, self.column.measure.of.direction, largest, seed)
        members = tuple(member for member, _ in first)
        return Ordering(first[0][1], printed_on, members, result, noise, tuple(left_out))

    def _printed_on(self) -> str | None:
        """Where the published values are from: this data set, or the only one that the column is printed for."""
        suite = self.table.suite
        rows = {published.name: published for _, published in self.rows}.values()
        printed = [
            dataset
            for dataset in suite.datasets
            if any(suite.published_value(row, dataset, self.column) is not None for row in rows)
        ]
        if self.dataset in printed:
            return self.dataset
        return printed[0] if len(printed) == 1 else None


def _unfit(cell: Cell) -> str:
    """Why a measured cell is not put in order; empty where it is."""
    if len(cell.images) < cell.total:
        return f"{len(cell.images)} of {cell.total} images"
    values = image_means([image.common for image in cell.images])
    if np.isnan(values).any():
        return "not a number"
    return "infinite" if np.isinf(values).any() else ""


def _pixels(cell: Cell) -> dict[str, str]:
    return {image.id: image.pixels for image in cell.images}


def _shared(cells: Iterable[Cell]) -> tuple[tuple[str, str], ...]:
    """(id, pixels) of the images that all cells have, sorted: their order in a table changes nothing."""
    return tuple(sorted(set.intersection(*(set(_pixels(cell).items()) for cell in cells))))


def _together(runs: Sequence[_Run]) -> tuple[Sequence[_Run], tuple[tuple[str, str], ...]]:
    """The rows that share images, and these; where no image is in all rows, the most rows that have the same ones."""
    shared = _shared(cell for _, cell in runs) if runs else ()
    if shared or not runs:
        return runs, shared
    groups: dict[tuple[tuple[str, str], ...], list[_Run]] = {}
    for run in runs:
        groups.setdefault(_shared([run[1]]), []).append(run)
    images = max(groups, key=lambda key: len(groups[key]))
    return groups[images], images


def _has(cell: Cell, images: Sequence[tuple[str, str]]) -> bool:
    return set(images) <= set(_pixels(cell).items())


def _values(cell: Cell, images: Sequence[tuple[str, str]]) -> list[float]:
    """Each image's mean over its draws, under the table's common protocol."""
    draws = {image.id: image.common for image in cell.images}
    return [float(np.mean(draws[id_])) for id_, _ in images]


def _noise(runs: Sequence[Sequence[_Run]], images: Sequence[tuple[str, str]]) -> Iterable[Noise]:
    """What every two trainings of one row differ by."""
    for several in runs:
        whole = [(member, float(np.mean(_values(cell, images)))) for member, cell in several if _has(cell, images)]
        for (one, a), (other, b) in combinations(whole, 2):
            yield Noise(one.name, (one.seed, other.seed), b - a)
