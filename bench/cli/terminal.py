"""The console that tables are printed on."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


def console() -> Console:
    """As wide as the terminal; wide enough for every table where stdout is a file or a pipe."""
    real = Console(highlight=False)
    return real if real.is_terminal else Console(highlight=False, width=240)


def grid(*columns: str, title: str | None = None) -> Table:
    """A table with these heads, set like the results."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
