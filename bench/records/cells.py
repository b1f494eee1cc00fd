"""What a table is made of: its cells, with their values per image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bench.records.estimates import Estimate, Tolerance, Verdict
from bench.records.journal import Journal
from bench.suites.suite import Suite


@dataclass(frozen=True)
class Image:
    """One image of a cell.

    Attributes:
        id: its name.
        common: values under the common measure, one per draw.
        as_published: values under the measure of the published number.
        pixels: SHA-256 of its HR pixels.
        seconds: that the method took for one draw, where that is known.
    """

    id: str
    common: tuple[float, ...]
    as_published: tuple[float, ...]
    pixels: str = ""
    seconds: float | None = None


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
        remarks: what a reader of this cell has to know: anomalies of the paper, how large images were cut, other code.
        total: images of the whole data set.
        key: digest of the restoration that the value was taken of; empty where there is none.
        images: values per image.
        runs: names of the runs that made them.
        tolerance: how far from the published value still matches; None where nothing is compared.
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
    remarks: tuple[str, ...]
    total: int
    key: str
    images: tuple[Image, ...]
    runs: frozenset[str]
    tolerance: Tolerance | None = None


@dataclass(frozen=True)
class Table:
    """All cells of a table, and the runs that they come from.

    Attributes:
        suite: what was asked.
        datasets: the suite's, then whatever else a run was asked for.
        cells: in the order row, data set, column.
        runs: journals of the runs that measured a value in it, one per process of a shared run.
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
