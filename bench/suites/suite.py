"""Suites: tables as data (`*.toml`), the paper's and your own, with their published values; every name is checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from bench.errors import BenchError
from bench.metrics.metric import Measure
from bench.registry import unknown
from bench.suites.published import csv_lines, csv_of, csv_path

Settings = Mapping[str, str | int | float | bool]


@dataclass(frozen=True)
class Column:
    """One column of a table, repeated for every data set.

    Attributes:
        id: name of the column in the published CSV file and in `bench show`.
        measure: metric and common protocol.
        temperature: where the column, not the row, sets it.
        extra: whether a user asked for it beside the table's own (`--also`).
    """

    id: str
    measure: Measure
    temperature: float | None = None
    extra: bool = False

    @property
    def title(self) -> str:
        """The header of its column: `PSNR (Y)`, or `LPIPS, τ=0.9` where the column sets the temperature."""
        return self.measure.title if self.temperature is None else f"{self.measure.title}, τ={self.temperature:g}"


@dataclass(frozen=True)
class AsPublished:
    """How published values of a row were made, where that is not the table's common protocol.

    Attributes:
        metrics: which of the row's columns it is about.
        variant: of these metrics, in place of the columns'.
        note: why, in one sentence.
        settings: of the method, in place of the row's.
    """

    metrics: tuple[str, ...]
    variant: str
    note: str
    settings: dict[str, str | int | float | bool] | None = None


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        name: how `--method` and the tables call it.
        method: name of the method, see bench.methods.
        settings: what the method is built with.
        key: which line of the published CSV file it is; empty for a row that it does not have.
        published: values where they stand in the suite itself: column of the CSV file -> as printed.
        describe: what the CSV file says of other rows, for a row that it does not have.
        needs: weight entries without which it cannot run.
        files: your own files of weights, without which it cannot run.
        beside: the row that one of yours is placed after.
        temperature: of its draws.
        precision: of the arithmetic: fp32 (IEEE), tf32 or bf16.
        as_published: see there.
        series: of a row beside a published one: what it has in common with the rows that were trained as it was,
            such as "small, 3,000 steps"; their order is compared with the published one. Empty for all others.
        seed: of its training.
    """

    name: str
    method: str
    settings: dict[str, str | int | float | bool] = field(default_factory=dict)
    key: dict[str, str] = field(default_factory=dict)
    published: dict[str, str] = field(default_factory=dict)
    describe: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    beside: str = ""
    temperature: float = 0.0
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    as_published: tuple[AsPublished, ...] = ()
    series: str = ""
    seed: int = 0


@dataclass(frozen=True)
class Note:
    """What a reader has to know of published values: an anomaly of the paper, at the cells that it is about.

    Attributes:
        text: in a sentence or two.
        rows: names; empty for all.
        columns: ids; empty for all.
        datasets: names; empty for all.
    """

    text: str
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()

    def is_about(self, row: str, dataset: str, column: str) -> bool:
        """Whether it belongs to a cell."""
        places = ((self.rows, row), (self.columns, column), (self.datasets, dataset))
        return all(not names or name in names for names, name in places)


@dataclass(frozen=True)
class Suite:
    """One table.

    Attributes:
        name: such as `table4`; seeds and MLflow's experiment use it.
        title: what the table shows.
        source: where it was published; empty for your own suite.
        scale: HR size over LR size.
        datasets: in the paper's order.
        columns: see Column.
        rows: see Row.
        fallback: the data set it runs on where none of its own is present.
        draws: per image, of stochastic rows.
        published: CSV file of published values; empty where there is none.
        published_column: name of the CSV column of a data set and column.
        describe: CSV columns that describe a row.
        notes: see Note.
        folder: where its file is.
        csv: text of the CSV file, where the suite was not read from a folder but from a run's journal.
    """

    name: str
    title: str
    source: str
    scale: int
    datasets: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    fallback: str
    draws: int
    published: str
    published_column: str
    describe: tuple[str, ...]
    notes: tuple[Note, ...]
    folder: Path
    csv: str | None = None

    def published_value(self, row: Row, dataset: str, column: Column) -> str | None:
        """The published number as printed (its digits matter), or None where there is none."""
        if dataset not in self.datasets or column.extra:
            return None
        name = self.published_column.format(dataset=dataset, column=column.id)
        text = row.published.get(name, self.csv_line(row).get(name, "") if row.key else "").strip()
        return text if text not in ("", "-", "_") else None

    def csv_line(self, row: Row) -> Mapping[str, str]:
        """The line of the published CSV file that belongs to a row, or what the row says of itself."""
        if not row.key:
            return row.describe
        known = csv_of(self.folder, self.published) if self.csv is None else csv_lines(self.csv, self.published)
        lines = [line for line in known if all(line.get(k) == v for k, v in row.key.items())]
        if len(lines) != 1:
            raise BenchError(f"{self.name} row {row.name}: expected one line {row.key} in {self.published}")
        return lines[0]

    def select(self, names: Iterable[str]) -> tuple[Row, ...]:
        """The rows of the given names; all where none is given.

        A name is that of a row (`HCFlow`), or else of a method (`hcflow`: all its rows), or either in another case.
        """
        chosen: list[Row] = []
        wanted = list(names)
        for name in wanted:
            chosen += [row for row in self._named(name) if row not in chosen]
        return tuple(chosen) if wanted else self.rows

    def _named(self, name: str) -> list[Row]:
        folded = name.casefold()
        for found in (
            [row for row in self.rows if row.name == name],
            [row for row in self.rows if row.method == name],
            [row for row in self.rows if row.name.casefold() == folded],
            [row for row in self.rows if row.method.casefold() == folded],
        ):
            if found:
                return found
        raise unknown("method", name, [row.name for row in self.rows], f" in {self.name}")

    def with_columns(self, measures: Iterable[str]) -> Suite:
        """The suite with more columns, for measures that it does not have."""
        known = {column.measure for column in self.columns if column.temperature is None}
        new = dict.fromkeys(Measure.parse(text) for text in measures)
        extra = tuple(Column(measure.id, measure, extra=True) for measure in new if measure not in known)
        return replace(self, columns=(*self.columns, *extra))


def temperature_of(row: Row, column: Column) -> float:
    """The column's temperature where it sets one, else the row's."""
    return row.temperature if column.temperature is None else column.temperature


def as_published_of(row: Row, column: Column) -> AsPublished | None:
    """How the published value of a cell was made, where that is not the table's common protocol."""
    return next((one for one in row.as_published if column.measure.metric in one.metrics and not column.extra), None)


def measures_of(row: Row, column: Column) -> tuple[Measure, Measure]:
    """A cell's two measures: under the table's common protocol, and as published (often the same)."""
    other = as_published_of(row, column)
    if other is None:
        return column.measure, column.measure
    return column.measure, Measure.parse(f"{column.measure.metric}@{other.variant}")


def text_of_csv(suite: Suite) -> str:
    """The text of a suite's published values; empty for a suite that has no CSV file."""
    if suite.csv is not None or not suite.published:
        return suite.csv or ""
    path = csv_path(suite.folder, suite.published)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BenchError(f"{path}: expected CSV in UTF-8, got other bytes") from None
