"""The console that tables are printed on."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict, TypeVar

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table
from rich.text import Text

from hcflow.cli.entry import quiet

T = TypeVar("T")

_NARROWEST = 80  # columns that a table is fitted into where no terminal has a width
_GAP = 3  # columns between two of a table's
_ENDLESS = 100_000  # columns: nothing is wrapped or cut where no terminal shows it


class _Piped(Console):
    """Lines as long as they need be, without the blanks that pad a table."""

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401 - as the base class
        with self.capture() as capture:
            super().print(*objects, **options)
        sys.stdout.write("".join(f"{_shortened(line.rstrip())}\n" for line in capture.get().splitlines()))


def _shortened(line: str) -> str:
    """A rule no longer than a terminal; a line of text as it is."""
    return line[:_NARROWEST] if set(line) <= {" ", "─"} else line


def console() -> Console:
    """As wide as the terminal; where stdout is a file or a pipe, each row of a table is one line."""
    real = Console(highlight=False, emoji=False)
    return real if real.is_terminal else _Piped(highlight=False, emoji=False, width=_ENDLESS)


class TextOptions(TypedDict):
    """How a table is written as text."""

    width: int
    color: bool


def text_options() -> TextOptions:
    """The width and colours of stdout: a terminal's own, or 80 plain columns for a file or a pipe."""
    real = Console()
    return {"width": real.width if real.is_terminal else _NARROWEST, "color": real.is_terminal}


def grid(*columns: str, title: str | None = None) -> Table:
    """A table with these heads, set like the results."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def in_blocks(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    fixed: int = 1,
    title: str | None = None,
    last: Sequence[str] = (),
) -> list[Table]:
    """A table, or several below each other where one is wider than the terminal; each has the first columns.

    Args:
        heads: of the columns, as plain text.
        rows: plain text of the cells.
        width: columns of the terminal.
        fixed: how many of the first columns are in every table.
        title: over the first one.
        last: one more row, below a rule.
    """
    lines = [heads, *rows, *([last] if last else [])]
    wide = [max(cell_len(line[at]) for line in lines) + _GAP for at in range(len(heads))]
    blocks: list[list[int]] = [[]]
    for at in range(fixed, len(heads)):
        together = sum(wide[one] for one in (*range(fixed), *blocks[-1], at)) - 1  # one blank after the last
        if blocks[-1] and together > width:
            blocks.append([])
        blocks[-1].append(at)
    tables = []
    for number, block in enumerate(blocks):
        chosen = [*range(fixed), *block]
        table = grid(*(escape(heads[at]) for at in chosen), title=None if number else title)
        for row in rows:
            table.add_row(*(escape(row[at]) for at in chosen))
        if last:
            table.add_section()
            table.add_row(*(escape(last[at]) for at in chosen))
        tables.append(table)
    return tables


def tracked(items: Iterable[T], description: str, total: int | None = None) -> Iterable[T]:
    """The items, with a bar and the time left where stderr is a terminal, but not with --quiet.

    Args:
        items: to go through.
        description: before the bar.
        total: number of items, where they have no length.
    """
    bar = Console(stderr=True)
    off = quiet() or not bar.is_terminal
    return track(items, description[:40], total=total, console=bar, disable=off, transient=True)


def one_line_each(table: Table, width: int | None = None) -> Table:
    """Cut the last column at the edge of the terminal, with an ellipsis, so that every row is one line.

    Args:
        table: with all its rows.
        width: columns of the terminal; None for stdout's.
    """
    taken = 0
    for column in table.columns[:-1]:
        cells = [column.header, *column.cells]
        column.no_wrap = True
        column.min_width = max(cell_len(Text.from_markup(str(cell), emoji=False).plain) for cell in cells)
        taken += column.min_width + _GAP
    last = table.columns[-1]
    last.no_wrap, last.overflow = True, "ellipsis"
    last.max_width = max(_GAP, (console().width if width is None else width) - taken - 1)
    return table
