"""Typed reading of suites: the paper's tables as data (`suites/*.toml`), their published values from its CSV files."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.metrics.metric import METRICS, Measure
from bench.metrics.views import Protocol
from bench.typed import from_table, unknown

SUITES = Path(__file__).parent


@dataclass(frozen=True)
class Column:
    """One column of a table, repeated for every data set.

    Attributes:
        id: name of the column in the published CSV file and in `bench show`.
        measure: metric and common protocol, such as `psnr@y,crop4,u8`.
        temperature: where the column, not the row, sets it.
    """

    id: str
    measure: str
    temperature: float | None = None

    @property
    def metric(self) -> str:
        """The metric's name."""
        return self.measure.partition("@")[0]


@dataclass(frozen=True)
class AsPublished:
    """How the published value of a row was made, where that is not the table's common protocol.

    Attributes:
        protocol: replaces the columns' protocol.
        settings: of the method, in place of the row's.
        note: why, in one sentence.
    """

    protocol: str
    note: str
    settings: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        name: how `--method` and the tables call it.
        key: which line of the published CSV file it is; empty for a row that the paper does not have.
        method: key of METHODS.
        settings: what the method is built with.
        needs: weight entries, or files of weights, without which it cannot run.
        beside: the row that one of our own stands next to.
        describe: what the CSV file says of other rows, for a row that the paper does not have.
        temperature: of its draws.
        as_published: see there.
    """

    name: str
    method: str
    settings: Mapping[str, Any]
    key: Mapping[str, str] = field(default_factory=dict)
    describe: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    beside: str = ""
    temperature: float = 0.0
    as_published: AsPublished | None = None


@dataclass(frozen=True)
class Suite:
    """One table of the paper.

    Attributes:
        name: such as `table4`; seeds and MLflow's experiment use it.
        title: what the table shows.
        source: where it was published.
        scale: HR size over LR size.
        datasets: in the paper's order.
        fallback: the data set it runs on where none of the paper's is present.
        draws: per image, of stochastic rows.
        published: CSV file of published values.
        published_column: name of the CSV column of a data set and column.
        describe: CSV columns that describe a row.
        columns: see Column.
        rows: see Row.
    """

    name: str
    title: str
    source: str
    scale: int
    datasets: tuple[str, ...]
    fallback: str
    draws: int
    published: str
    published_column: str
    describe: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def published_value(self, row: Row, dataset: str, column: Column) -> str | None:
        """The paper's number as printed (its digits matter), or None where it prints none."""
        if dataset not in self.datasets or not row.key:
            return None
        name = self.published_column.format(dataset=dataset, column=column.id)
        text = self.csv_line(row).get(name, "").strip()
        return text if text not in ("", "-", "_") else None

    def csv_line(self, row: Row) -> Mapping[str, str]:
        """The line of the published CSV file that belongs to a row, or what the row says of itself."""
        if not row.key:
            return row.describe
        lines = [line for line in _csv(self.published) if all(line.get(k) == v for k, v in row.key.items())]
        if len(lines) != 1:
            raise BenchError(f"{self.name} row {row.name}: expected one line {dict(row.key)} in {self.published}")
        return lines[0]

    def select(self, names: Iterable[str]) -> tuple[Row, ...]:
        """The rows of the given names (of a row or of its method, in any case); all where none is given."""
        chosen: list[Row] = []
        wanted = list(names)
        for name in wanted:
            found = [r for r in self.rows if name.casefold() in (r.name.casefold(), r.method.casefold())]
            if not found:
                raise unknown("method", name, [row.name for row in self.rows], f" in {self.name}")
            chosen += [row for row in found if row not in chosen]
        return tuple(chosen) if wanted else self.rows


def value_name(measure: str, temperature: float) -> str:
    """Name of a value in a record: the measure's id and the temperature of the draws it was taken of."""
    return f"{measure} tau={temperature:g}"


def temperature_of(row: Row, column: Column) -> float:
    """The column's temperature where it sets one, else the row's."""
    return row.temperature if column.temperature is None else column.temperature


def measures_of(row: Row, column: Column) -> tuple[str, str]:
    """Ids of a cell's two measures: under the table's common protocol, and as published (often the same)."""
    if row.as_published is None:
        return column.measure, column.measure
    return column.measure, f"{column.metric}@{row.as_published.protocol}"


def suite_names() -> list[str]:
    """The tables there are."""
    return sorted(path.stem for path in SUITES.glob("*.toml"))


def load_suite(name: str) -> Suite:
    """Read `suites/NAME.toml`; every name in it is checked, and an unknown one is an error that lists the choices."""
    if name not in suite_names():
        raise unknown("table", name.removeprefix("table"), [n.removeprefix("table") for n in suite_names()])
    with (SUITES / f"{name}.toml").open("rb") as stream:
        raw = tomllib.load(stream)
    raw["columns"] = tuple(from_table(Column, column, f"{name} column") for column in raw["columns"])
    raw["rows"] = tuple(_row(row, f"{name} row") for row in raw["rows"])
    suite = from_table(Suite, {"name": name, **raw}, name)
    for column in suite.columns:
        if column.metric not in METRICS:
            raise unknown("metric", column.metric, list(METRICS), f" in {name}")
        if METRICS[column.metric].function is not None:
            Measure.parse(column.measure)
    return suite


def _row(raw: dict[str, Any], where: str) -> Row:
    published = raw.get("as_published")
    if published is not None:
        Protocol.parse(published["protocol"])
        raw["as_published"] = from_table(AsPublished, published, f"{where} as_published")
    return from_table(Row, {"settings": {}, **raw}, where)


def _csv(name: str) -> list[dict[str, str]]:
    with (SUITES / "published" / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
