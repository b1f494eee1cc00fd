"""The parts of a grid: what the formats draw of a table. `bench.report.grid` decides what they hold.

A row of the grid has up to three lines: what was measured under the table's common protocol, what was measured under
the paper's protocol where that is another, and what the paper prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from bench.records.tables import Cell, Table
from bench.report.notes import Footnote, Reason
from bench.report.slots import Gap, Key, Number
from bench.statistics.series import Series

Place = tuple[str, str, str]  # row, data set, column
LineKind = Literal["measured", "papers_protocol", "paper"]
LABELS: dict[LineKind, str] = {"measured": "measured", "papers_protocol": "paper's protocol", "paper": "paper"}


@dataclass(frozen=True)
class Head:
    """The head of a value column.

    Attributes:
        dataset: that it belongs to.
        column: its id.
        title: such as `PSNR (Y)`.
        unit: such as `dB`; often empty.
        direction: higher, lower or none is better.
        arrow: the direction as a sign: ↑, ↓ or nothing.
        mark: letter of the footnote with its protocol.
        measured: whether anything was measured on its data set.
    """

    dataset: str
    column: str
    title: str
    unit: str
    direction: str
    arrow: str
    mark: str
    measured: bool

    @property
    def scale(self) -> str:
        """Unit and direction, such as `dB ↑`; a fact such as a count has no direction."""
        return f"{self.unit} {self.arrow}".strip()

    @property
    def best_first(self) -> Literal["ascending", "descending"]:
        """The order in which the best value comes first."""
        return "ascending" if self.direction == "lower" else "descending"


@dataclass(frozen=True)
class Group:
    """The columns of a data set; `in_paper` says whether published values apply to it."""

    dataset: str
    in_paper: bool
    heads: tuple[Head, ...]

    @property
    def measured(self) -> bool:
        """Whether anything was measured on it."""
        return any(head.measured for head in self.heads)


@dataclass(frozen=True)
class Line:
    """One line of a row; `marks` are the footnotes of its protocol where the heads do not have it."""

    kind: LineKind
    marks: tuple[str, ...]
    slots: tuple[Number | Gap | None, ...]

    @property
    def label(self) -> str:
        """What the line is called."""
        return LABELS[self.kind]

    @property
    def places(self) -> list[Number | Gap | None]:
        """One for each column: a gap stands in all of its places."""
        return [slot for slot in self.slots for _ in range(slot.span if isinstance(slot, Gap) else 1)]

    def in_measured(self, heads: Sequence[Head]) -> bool:
        """Whether it has something in the columns of a data set that was measured."""
        return any(slot is not None and head.measured for slot, head in zip(self.places, heads, strict=True))


@dataclass(frozen=True)
class GridCell:
    """A cell with what is printed of it.

    Attributes:
        source: the cell.
        head: of its column.
        number: its place in `Grid.measured`; None where nothing was measured.
        measured: under the table's common protocol.
        papers_protocol: under the paper's protocol, where that is another.
        paper: what the paper prints.
        difference: between the compared value and the paper's, signed; empty where nothing is compared.
        images: `5 images`, or `3 of 5 images`.
        reason: why nothing was measured.
    """

    source: Cell
    head: Head
    number: int | None
    measured: Number | None
    papers_protocol: Number | None
    paper: Number | None
    difference: str
    images: str
    reason: Reason | None

    @property
    def compared(self) -> Number | None:
        """The measured number that the verdict is about."""
        return self.papers_protocol or self.measured


@dataclass(frozen=True)
class GridRow:
    """A row: its name, what describes it, its cells, and the same as lines.

    Attributes:
        name: of the row.
        description: one text for each of `Grid.describe`.
        ours: whether it is a row of your own (or of this project) beside the paper's.
        cells: one per head.
        lines: those that have something in them.
    """

    name: str
    description: tuple[str, ...]
    ours: bool
    cells: tuple[GridCell, ...]
    lines: tuple[Line, ...]

    @property
    def measured(self) -> bool:
        """Whether any of its values was measured."""
        return any(cell.number is not None for cell in self.cells)

    def keys(self, kind: Literal["measured", "paper"]) -> tuple[Key, ...]:
        """What it is sorted by: its name, then one key per column."""
        numbers = [cell.measured if kind == "measured" else cell.paper for cell in self.cells]
        return (self.name, *(number.key if number else None for number in numbers))


@dataclass(frozen=True)
class Grid:
    """A whole table.

    Attributes:
        table: what it was made of.
        heading: `Table 4`.
        title: what the table shows.
        source: where it was published, as a sentence; empty for a table of your own.
        summary: how much of it holds, in a few sentences.
        describe: heads of what describes a row.
        groups: the value columns.
        rows: in the paper's order.
        footnotes: the protocols.
        reasons: why cells were not run.
        remarks: what a reader must know before comparing.
        runs: provenance of each run, as (label, text).
        ties: places whose measured value is not significantly worse than the best of their column.
        orderings: whether the rows come in the published order; empty where too few were measured.
    """

    table: Table
    heading: str
    title: str
    source: str
    summary: str
    describe: tuple[str, ...]
    groups: tuple[Group, ...]
    rows: tuple[GridRow, ...]
    footnotes: tuple[Footnote, ...]
    reasons: tuple[Reason, ...]
    remarks: tuple[str, ...]
    runs: tuple[tuple[tuple[str, str], ...], ...]
    ties: frozenset[Place]
    orderings: tuple[Series, ...] = ()

    @property
    def heads(self) -> tuple[Head, ...]:
        """All value columns, left to right."""
        return tuple(head for group in self.groups for head in group.heads)

    @property
    def cells(self) -> tuple[GridCell, ...]:
        """All cells, in the order row, data set, column."""
        return tuple(cell for row in self.rows for cell in row.cells)

    @cached_property
    def measured(self) -> tuple[GridCell, ...]:
        """The cells that have a value, in the order of their numbers."""
        return tuple(cell for cell in self.cells if cell.number is not None)

    @property
    def any_papers_protocol(self) -> bool:
        """Whether any value was measured under a protocol of the paper's that is not the table's."""
        return any(cell.papers_protocol for cell in self.measured)
