"""Records to cells: estimate, published value, difference, verdict. Reads records, never models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from bench.metrics.metric import METRICS
from bench.records.store import Journal, Json, Record, load_journals, load_records
from bench.suites.suite import Column, Row, Suite, measures_of, temperature_of, value_name

Verdict = Literal["matches", "better", "differs", "partial", "no published value", "not run"]
VERDICTS: tuple[Verdict, ...] = ("matches", "better", "differs", "partial", "no published value", "not run")


@dataclass(frozen=True)
class Estimate:
    """Mean over images of the per-image mean over draws.

    Attributes:
        mean: infinite where any image's value is.
        stderr: standard error over images; None for one image or an infinite mean.
        n: images.
        draw_stderr: standard error of the mean that comes from the draws alone.
        infinite: images whose value is infinite (an SR image identical to its HR image).
    """

    mean: float
    stderr: float | None
    n: int
    draw_stderr: float
    infinite: int

    @classmethod
    def of(cls, values: Sequence[Sequence[float]]) -> Estimate:
        """From one list of draws per image."""
        means = np.array([np.mean(draws) for draws in values])
        infinite = int(np.isinf(means).sum())
        n = len(means)
        if infinite:
            return cls(math.inf, None, n, 0.0, infinite)
        variances = [float(np.var(draws, ddof=1)) / len(draws) if len(draws) > 1 else 0.0 for draws in values]
        stderr = float(np.std(means, ddof=1) / math.sqrt(n)) if n > 1 else None
        return cls(float(np.mean(means)), stderr, n, math.sqrt(sum(variances)) / n, infinite)


@dataclass(frozen=True)
class Image:
    """One image of a cell: its values under both measures, one per draw."""

    id: str
    common: tuple[float, ...]
    as_published: tuple[float, ...]


@dataclass(frozen=True)
class Cell:
    """One number of a table, and whether it holds.

    Attributes:
        table: suite name.
        row: row name.
        dataset: data set name.
        column: column id.
        title: of the column, such as `PSNR (Y)`.
        unit: of the value.
        direction: whether higher or lower is better.
        decimals: digits to print, those of the published value where there is one.
        protocol: id of the common measure.
        protocol_as_published: id of the measure that the verdict compares.
        temperature: of the draws.
        published: as printed, or None.
        value: under the common measure, or None.
        value_as_published: under the other one, or None.
        difference: value_as_published - published, or None.
        verdict: see VERDICTS.
        reason: why there is no value, or why it may not be compared; else empty.
        total: images of the whole data set.
        key: of the records; empty where there are none.
        images: values per image.
    """

    table: str
    row: str
    dataset: str
    column: str
    title: str
    unit: str
    direction: str
    decimals: int
    protocol: str
    protocol_as_published: str
    temperature: float
    published: str | None
    value: Estimate | None
    value_as_published: Estimate | None
    difference: float | None
    verdict: Verdict
    reason: str
    total: int
    key: str
    images: tuple[Image, ...]


@dataclass(frozen=True)
class Table:
    """All cells of a table, and the runs that they come from.

    Attributes:
        suite: what was asked.
        datasets: the paper's, then whatever else a run was asked for.
        cells: in the order row, data set, column.
        runs: journals of the runs that measured a value in it.
    """

    suite: Suite
    datasets: tuple[str, ...]
    cells: tuple[Cell, ...]
    runs: tuple[Journal, ...]

    def cell(self, row: str, dataset: str, column: str) -> Cell:
        """The cell at a place of the table."""
        return self._places[row, dataset, column]

    @cached_property
    def _places(self) -> dict[tuple[str, str, str], Cell]:
        return {(cell.row, cell.dataset, cell.column): cell for cell in self.cells}


def build_table(suite: Suite, out: Path) -> Table:
    """The table as the records in `out` have it; cells without records say why."""
    journals = load_journals(out, suite.name)
    latest = _latest(journals)
    asked = {dataset for _, dataset in latest}
    datasets = (*suite.datasets, *sorted(asked - set(suite.datasets)))
    cells: list[Cell] = []
    used: set[str] = set()
    for row in suite.rows:
        for dataset in datasets:
            entry = latest.get((row.name, dataset), {"reason": f"not run yet: {_command(suite, row)}"})
            records = load_records(out, entry["key"]) if "key" in entry else []
            used |= {record.run for record in records}
            cells += cells_of(suite, row, dataset, entry, records)
    return Table(suite, datasets, tuple(cells), tuple(journal for journal in journals if journal.run in used))


def cells_of(suite: Suite, row: Row, dataset: str, entry: Json, records: Sequence[Record]) -> list[Cell]:
    """The cells of a row and a data set, one per column, from the journal's entry and the records."""
    return [_cell(suite, row, dataset, column, entry, records) for column in suite.columns]


def verdict(value: Estimate, published: str, direction: str) -> Verdict:
    """Whether a measured value holds what the paper printed.

    It matches where rounding or truncating it to the printed digits gives the published value, or where it is off by
    no more than twice the standard error that the draws of a stochastic method leave.
    """
    if math.isinf(value.mean):
        return "better" if direction == "higher" else "differs"
    printed = Decimal(published)
    unit = Decimal(1).scaleb(int(printed.as_tuple().exponent))
    measured = Decimal(repr(value.mean))  # its shortest decimal: 28.415 is a tie, as it reads
    if printed in (measured.quantize(unit, ROUND_HALF_UP), measured.quantize(unit, ROUND_DOWN)):
        return "matches"
    difference = measured - printed
    if abs(difference) <= unit / 2 + Decimal(2 * value.draw_stderr):
        return "matches"
    return "better" if (difference > 0) == (direction == "higher") else "differs"


def decimals_of(published: str | None, default: int) -> int:
    """Digits after the point of a printed number."""
    return default if published is None else max(0, -int(Decimal(published).as_tuple().exponent))


def _latest(journals: Iterable[Journal]) -> dict[tuple[str, str], Json]:
    """The newest entry of each cell; one with records is not replaced by one without."""
    latest: dict[tuple[str, str], Json] = {}
    for journal in journals:
        for entry in journal.cells:
            place = (entry["row"], entry["dataset"])
            if "key" in entry or "key" not in latest.get(place, {}):
                latest[place] = entry
    return latest


def _cell(suite: Suite, row: Row, dataset: str, column: Column, entry: Json, records: Sequence[Record]) -> Cell:
    metric = METRICS[column.metric]
    common, as_published = measures_of(row, column)
    temperature = temperature_of(row, column)
    names = value_name(common, temperature), value_name(as_published, temperature)
    images = tuple(
        Image(record.image, tuple(record.values[names[0]]), tuple(record.values[names[1]]))
        for record in sorted(records, key=lambda record: record.image)
        if names[0] in record.values and names[1] in record.values
    )
    published = suite.published_value(row, dataset, column)
    value = Estimate.of([image.common for image in images]) if images else None
    value_as_published = Estimate.of([image.as_published for image in images]) if images else None
    total = int(entry.get("images", 0))
    verdict_, reason = _judge(value_as_published, published, metric.direction, total, entry)
    if metric.function is None and "key" in entry:
        reason = f"the metric {metric.title} is still to come"
    comparable = value_as_published is not None and published is not None and verdict_ != "partial"
    difference = value_as_published.mean - float(published) if comparable and value_as_published and published else None
    return Cell(
        suite.name, row.name, dataset, column.id, _title(column), metric.unit, metric.direction,
        decimals_of(published, metric.decimals), common, as_published, temperature, published, value,
        value_as_published, difference, verdict_, reason, total, str(entry.get("key", "")), images,
    )  # fmt: skip


def _judge(
    value: Estimate | None, published: str | None, direction: str, total: int, entry: Json
) -> tuple[Verdict, str]:
    problem = str(entry.get("reason") or "")
    if value is None:
        return "not run", problem or "no image finished yet: run it again to continue"
    if value.n < total:
        return "partial", problem or f"{value.n} of {total} images"
    if published is None:
        return "no published value", ""
    return verdict(value, published, direction), ""


def _title(column: Column) -> str:
    """`PSNR (Y)` for `psnr@y,crop4,u8`."""
    space = column.measure.partition("@")[2].split(",")[0]
    title = METRICS[column.metric].title
    return f"{title} ({space.upper()})" if column.metric in ("psnr", "ssim") else title


def _command(suite: Suite, row: Row) -> str:
    return f"python -m bench run --table {suite.name.removeprefix('table')} --method '{row.name}'"
