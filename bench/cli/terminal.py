"""The console that tables are printed on."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TypedDict, TypeVar

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from hcflow.cli.entry import quiet

T = TypeVar("T")

_NARROWEST = 80  # columns that a table is fitted into where no terminal has a width
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
    real = Console(highlight=False)
    return real if real.is_terminal else _Piped(highlight=False, width=_ENDLESS)


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


def one_line_each(table: Table) -> Table:
    """Cut the last column at the edge of the terminal, so that every row is one line; all rows were added."""
    for column in table.columns[:-1]:
        column.no_wrap = True
        column.min_width = max((cell_len(Text.from_markup(str(cell)).plain) for cell in column.cells), default=0)
    table.columns[-1].no_wrap, table.columns[-1].overflow = True, "ellipsis"
    return table
