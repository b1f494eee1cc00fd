"""Which rows of a table are put in order: those of one series, on a data set and column, over the images they share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from bench.errors import BenchError
from bench.records.tables import Table
from bench.registry import unknown
from bench.statistics.agreement import FEWEST_SYSTEMS
from bench.statistics.places import Place
from bench.statistics.series import Series
from bench.suites.suite import Row

_OURS = re.compile(r"\(ours, (smoke|small|hour|paper), ")
_MANY = 6  # rows that an error names for one reason


def orderings_of(table: Table, seed: int = 0) -> tuple[Series, ...]:
    """The series of a table of which there is something to say: at least three rows measured somewhere.

    The published rows come first, then the rows that were trained here, series by series.

    Args:
        table: with its cells.
        seed: of the resampling.
    """
    found = []
    for name, places in _places(table).items():
        orderings = (place.ordering(seed) for place in places)
        found.append(Series(name, tuple(one for one in orderings if one is not None)))
    return tuple(sorted((one for one in found if one.orderings), key=lambda one: one.name != ""))


def _places(table: Table) -> Mapping[str, Sequence[Place]]:
    """Series -> each data set and column."""
    named: dict[str, list[tuple[Row, Row]]] = {}
    for row in table.suite.rows:
        published = published_row(table, row)
        if published is not None:
            named.setdefault(row.series if published is not row else "", []).append((row, published))
    suite = table.suite
    printed = {
        column.id: tuple(
            dataset
            for dataset in suite.datasets
            if any(suite.published_value(row, dataset, column) is not None for row in suite.rows)
        )
        for column in suite.columns
    }
    return {
        name: [
            Place(table, rows, dataset, column, printed[column.id])
            for dataset in table.datasets
            for column in suite.columns
        ]
        for name, rows in named.items()
    }


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
        reasons = "; ".join(_reasons(table, datasets, metrics))
        raise BenchError(
            f"{table.suite.name}: expected at least {FEWEST_SYSTEMS} rows with published values, measured on the same "
            f"images{named}, got fewer{f' ({reasons})' if reasons else ''}; measure more of its rows"
        )
    return left


def without_series(table: Table) -> Mapping[str, Sequence[str]]:
    """Rows trained here that a version without series measured: budget -> their names; they are in no order."""
    measured = {cell.row for cell in table.cells if cell.value is not None}
    found: dict[str, list[str]] = {}
    for row in table.suite.rows:
        ours = _OURS.search(row.name)
        if ours and row.beside and not (row.series or row.key or row.published) and row.name in measured:
            found.setdefault(ours[1], []).append(row.name)
    return found


def remarks(table: Table) -> list[str]:
    """What became of rows that a version without series measured, and what brings them back."""
    return [
        f"In no order: {_listed(rows)}; measured by a version without series: run "
        f"`python -m bench run --ablation all --budget {budget}` again."
        for budget, rows in without_series(table).items()
    ]


def _reasons(table: Table, datasets: Sequence[str], metrics: Sequence[str]) -> Iterable[str]:
    """Why rows that are measured there are not put in order: one text for each reason."""
    found: dict[str, dict[str, None]] = {}
    for place in (place for places in _places(table).values() for place in places):
        if (not datasets or place.dataset in datasets) and (not metrics or place.column.id in metrics):
            for row, why in place.left_out():
                found.setdefault(why, {})[row] = None
    yield from (f"{why}: {_listed(list(rows))}" for why, rows in found.items())
    for budget, rows in without_series(table).items():
        again = f"run `python -m bench run --ablation all --budget {budget}` again"
        yield f"measured by a version without series: {_listed(rows)}: {again}"


def _listed(rows: Sequence[str]) -> str:
    more = len(rows) - _MANY
    return ", ".join(rows[:_MANY]) + (f" and {more} more" if more > 0 else "")
