"""A table as it is read: what stands where, decided once. The formats only draw it; `parts` has the types."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from bench import jsons
from bench.records.estimates import Estimate
from bench.records.merging import in_brief
from bench.records.tables import Cell, Table
from bench.report import formatting, notes
from bench.report.parts import Grid, GridCell, GridRow, Group, Head, Line, Place
from bench.report.ranking import Rank, ranks
from bench.report.slots import Gap, Key, Number
from bench.statistics import columns
from bench.statistics.orderings import orderings_of, remarks
from bench.statistics.series import Series
from bench.suites.suite import Row

_Ranks = Mapping[Place, tuple[Rank, bool]]


def build_grid(table: Table, ties: frozenset[Place] | None = None, orderings: tuple[Series, ...] | None = None) -> Grid:
    """Decide what stands where.

    Args:
        table: cells with their verdicts.
        ties: places whose measured value is not significantly worse than the best one of their column; None: tested as
            `bench.statistics.columns` says, which a remark tells.
        orderings: whether the rows come in the published order; None: those of the table.
    """
    if orderings is None:
        orderings = orderings_of(table)
    if ties is not None:
        return _Builder(table, ties, orderings).grid()
    best = columns.best_of_columns(table)
    return _Builder(table, columns.ties_of(best), orderings, columns.remark(best)).grid()


@dataclass(frozen=True)
class _Builder:
    """A table on its way to a grid."""

    table: Table
    ties: frozenset[Place]
    orderings: tuple[Series, ...]
    tested: str = ""

    def grid(self) -> Grid:
        """The grid."""
        table, suite = self.table, self.table.suite
        return Grid(
            table,
            formatting.heading(suite),
            suite.title,
            formatting.source(suite),
            notes.summary(table),
            tuple(name.replace("_", " ").capitalize() for name in suite.describe),
            self._groups,
            tuple(self._row(row) for row in suite.rows),
            self._footnotes,
            self._reasons,
            (*notes.remarks(table), *([self.tested] if self.tested else []), *remarks(table)),
            tuple(tuple(notes.provenance(run)) for run in in_brief(table.runs)),
            self.ties,
            self.orderings,
        )

    @cached_property
    def _numbers(self) -> dict[Place, int]:
        return {_place(cell): index for index, cell in enumerate(one for one in self.table.cells if one.value)}

    @cached_property
    def _footnotes(self) -> tuple[notes.Footnote, ...]:
        return tuple(notes.footnotes(self.table))

    @cached_property
    def _reasons(self) -> tuple[notes.Reason, ...]:
        return tuple(notes.reasons(self.table))

    @cached_property
    def _groups(self) -> tuple[Group, ...]:
        suite = self.table.suite
        return tuple(
            Group(dataset, dataset in suite.datasets, tuple(self._head(dataset, column.id) for column in suite.columns))
            for dataset in self.table.datasets
        )

    def _head(self, dataset: str, column: str) -> Head:
        cell = self.table.cell(self.table.suite.rows[0].name, dataset, column)
        mark = notes.mark_of(self._footnotes, cell.protocol)
        arrow = formatting.ARROWS[cell.direction]
        measured = any(cell.value for cell in self.table.cells if cell.dataset == dataset)
        return Head(dataset, column, cell.title, cell.unit, cell.direction, arrow, mark, measured)

    def _row(self, row: Row) -> GridRow:
        suite = self.table.suite
        cells = tuple(
            self._cell(self.table.cell(row.name, head.dataset, head.column), head)
            for group in self._groups
            for head in group.heads
        )
        ours = bool(suite.source) and not (row.key or row.published)
        description = tuple(formatting.description(suite, row))
        return GridRow(row.name, description, ours, cells, tuple(self._lines(cells)))

    def _cell(self, cell: Cell, head: Head) -> GridCell:
        papers = formatting.has_papers_protocol(cell)
        published = None
        if cell.published:
            rank, tied = self._published_ranks.get(_place(cell), ("", False))
            published = Number(cell.published, cell.published, key=float(cell.published), rank=rank, tied=tied)
        return GridCell(
            source=cell,
            head=head,
            number=self._numbers.get(_place(cell)),
            measured=self._number(cell, cell.value, head.mark, ranked=True, compared=not papers),
            papers_protocol=self._number(cell, cell.value_as_published, self._papers_mark(cell), compared=True)
            if papers
            else None,
            paper=published,
            difference="" if cell.difference is None else formatting.signed(cell.difference, formatting.digits(cell)),
            images=formatting.images_of(cell),
            reason=None if cell.value else notes.reason_of(cell, self._reasons),
        )

    def _papers_mark(self, cell: Cell) -> str:
        return notes.mark_of(self._footnotes, cell.protocol_as_published, cell.row)

    def _number(
        self, cell: Cell, value: Estimate | None, mark: str, *, compared: bool, ranked: bool = False
    ) -> Number | None:
        if value is None:
            return None
        digits, place = formatting.digits(cell), _place(cell)
        rank, tied = self._measured_ranks.get(place, ("", False)) if ranked else ("", False)
        return Number(
            text=formatting.number(value.mean, cell.decimals),
            exact=formatting.number(value.mean, digits),
            error="" if value.stderr is None else formatting.number(value.stderr, cell.decimals),
            exact_error="" if value.stderr is None else formatting.number(value.stderr, digits),
            key=plain(value.mean),
            mark=mark,
            verdict=cell.verdict if compared else None,
            note=formatting.images_of(cell) if compared and cell.verdict == "partial" else "",
            opens=self._numbers[place],
            rank=rank,
            tied=tied,
            not_worse=ranked and place in self.ties,
        )

    @cached_property
    def _measured_ranks(self) -> _Ranks:
        """Ranks under the common protocol; a value of a part of the images is no candidate."""
        complete = [cell for cell in self.table.cells if cell.value and cell.verdict != "partial"]
        return self._ranks((cell, round(cell.value.mean, cell.decimals)) for cell in complete if cell.value)

    @cached_property
    def _published_ranks(self) -> _Ranks:
        return self._ranks((cell, float(cell.published)) for cell in self.table.cells if cell.published)

    def _ranks(self, printed: Iterable[tuple[Cell, float]]) -> _Ranks:
        columns: dict[tuple[str, str], dict[Place, float]] = {}
        directions = {}
        for cell, value in printed:
            columns.setdefault((cell.dataset, cell.column), {})[_place(cell)] = value
            directions[cell.dataset, cell.column] = cell.direction
        found: dict[Place, tuple[Rank, bool]] = {}
        for column, values in columns.items():
            found |= ranks(values, directions[column])
        return found

    def _lines(self, cells: Sequence[GridCell]) -> Iterable[Line]:
        yield Line("measured", (), tuple(_with_gaps(cells)))
        if any(cell.papers_protocol for cell in cells):
            marks = dict.fromkeys(
                self._papers_mark(c.source) for c in cells if formatting.has_papers_protocol(c.source)
            )
            yield Line("papers_protocol", tuple(marks), tuple(cell.papers_protocol for cell in cells))
        if any(cell.paper for cell in cells):
            yield Line("paper", (), tuple(cell.paper for cell in cells))


def plain(value: float) -> Key:
    """A number for JSON, which has no infinity; JavaScript's Number() reads the word."""
    if math.isnan(value):
        return None
    return str(jsons.number(value)).replace("inf", "Infinity") if math.isinf(value) else value


def _with_gaps(cells: Sequence[GridCell]) -> Iterable[Number | Gap | None]:
    """The measured values; a gap where neighbours of a data set, or the whole row, were not run for one reason."""
    first = cells[0].reason
    if first and all(cell.reason == first for cell in cells):
        texts = {cell.source.reason.removeprefix("not run yet: ") for cell in cells}
        yield Gap(first, len(cells), f"not run: {texts.pop()}" if len(texts) == 1 else "not run")
        return
    for _, group in groupby(cells, lambda cell: (cell.source.dataset, cell.reason.number if cell.reason else None)):
        members = list(group)
        reason = members[0].reason
        yield from [Gap(reason, len(members), "not run")] if reason else [cell.measured for cell in members]


def _place(cell: Cell) -> Place:
    return (cell.row, cell.dataset, cell.column)
