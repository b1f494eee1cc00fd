"""The measured cells as lines of text, in as many columns as fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.cells import cell_len
from rich.markup import escape

from bench.report.parts import LABELS, Grid, GridCell

_STYLE = {"matches": "green", "better": "cyan", "differs": "red", "partial": "yellow", "no published value": "dim"}
_GAP = "  "


@dataclass(frozen=True)
class _Column:
    """A column: its head, what it says of a cell, and how both are set."""

    head: str
    text: Callable[[GridCell], str]
    right: bool = False


_ROW = _Column("row", lambda cell: cell.source.row)
_DATASET = _Column("data", lambda cell: cell.source.dataset)
_METRIC = _Column("metric", lambda cell: f"{cell.head.title} {cell.head.arrow}".rstrip())
_PAPER = _Column(LABELS["paper"], lambda cell: cell.paper.text if cell.paper else "-", right=True)
_COMPARED = _Column(LABELS["papers_protocol"], lambda cell: cell.compared.short if cell.compared else "", right=True)
_DIFFERENCE = _Column("difference", lambda cell: cell.difference, right=True)
_VERDICT = _Column("verdict", lambda cell: cell.source.verdict)
_SHORT_VERDICT = _Column("verdict", lambda cell: cell.source.verdict.replace("no published value", "-"))
_COMMON = _Column("common protocol", lambda cell: cell.measured.with_error if cell.measured else "", right=True)
_MEAN = _Column("common", lambda cell: cell.measured.exact if cell.measured else "", right=True)
_IMAGES = _Column("images", lambda cell: f"{cell.source.value.n if cell.source.value else 0}/{cell.source.total}", True)

_ONLY = _Column(LABELS["measured"], _COMPARED.text, right=True)

_PLACE = (_DATASET, _METRIC, _PAPER, _COMPARED, _DIFFERENCE)
_LAYOUTS: tuple[tuple[_Column, ...], ...] = (
    (_ROW, *_PLACE, _VERDICT, _COMMON, _IMAGES),
    (*_PLACE, _VERDICT, _COMMON, _IMAGES),
    (*_PLACE, _SHORT_VERDICT, _COMMON, _IMAGES),
    (*_PLACE, _SHORT_VERDICT, _MEAN, _IMAGES),
    (*_PLACE, _SHORT_VERDICT, _MEAN),
    (*_PLACE, _SHORT_VERDICT),
)
_SIMPLE = (_DATASET, _METRIC, _PAPER, _ONLY, _DIFFERENCE)  # where there is one protocol, there is one measured value
_SIMPLE_LAYOUTS: tuple[tuple[_Column, ...], ...] = (
    (_ROW, *_SIMPLE, _VERDICT, _IMAGES),
    (*_SIMPLE, _VERDICT, _IMAGES),
    (*_SIMPLE, _SHORT_VERDICT, _IMAGES),
    (*_SIMPLE, _SHORT_VERDICT),
)


def table_lines(grid: Grid, width: int) -> list[str]:
    """The measured cells as lines of rich's markup, in the first layout that fits into `width` columns.

    Where a column for the row's name does not fit, the name stands on a line of its own above its cells.
    """
    for columns in _LAYOUTS if grid.any_papers_protocol else _SIMPLE_LAYOUTS:
        table = _Table(columns, grid.measured)
        if table.width <= width:
            break
    return list(table.lines())


class _Table:
    """Cells in columns."""

    def __init__(self, columns: Sequence[_Column], cells: Sequence[GridCell]) -> None:
        self._columns = columns
        self._cells = cells
        self._named = columns[0] is _ROW
        self._indent = "" if self._named else _GAP
        self._widths = [max(cell_len(text) for text in (one.head, *map(one.text, cells))) for one in columns]
        self.width = len(self._indent) + sum(self._widths) + len(_GAP) * (len(columns) - 1)

    def lines(self) -> Iterable[str]:
        """Head, rule, and the cells by row and data set."""
        yield f"[bold]{self._line([column.head for column in self._columns])}[/]"
        yield "─" * self.width
        for index, (row, members) in enumerate(groupby(self._cells, lambda cell: cell.source.row)):
            if not self._named:
                yield from ([""] if index else [])
                yield f"[bold]{escape(row)}[/]"
            for number, (_, cells) in enumerate(groupby(members, lambda cell: cell.source.dataset)):
                yield from ([""] if number or (self._named and index) else [])
                yield from (self._line([one.text(cell) for one in self._columns], cell) for cell in cells)
        yield ""

    def _line(self, texts: Sequence[str], cell: GridCell | None = None) -> str:
        pieces = []
        for text, width, column in zip(texts, self._widths, self._columns, strict=True):
            blanks = " " * (width - cell_len(text))
            piece = f"{blanks}{escape(text)}" if column.right else f"{escape(text)}{blanks}"
            colored = cell and column.head == _VERDICT.head and text != "-"
            pieces.append(f"[{_STYLE[cell.source.verdict]}]{piece}[/]" if colored and cell else piece)
        return self._indent + _GAP.join(pieces)
