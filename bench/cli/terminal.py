"""The console that tables are printed on."""

from __future__ import annotations

import sys
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

_ENDLESS = 100_000  # columns: nothing is wrapped or cut where no terminal shows it


class _Piped(Console):
    """Lines as long as they need be, without the blanks that pad a table."""

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401 - as the base class
        with self.capture() as capture:
            super().print(*objects, **options)
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))


def console() -> Console:
    """As wide as the terminal; where stdout is a file or a pipe, each row of a table is one line."""
    real = Console(highlight=False)
    return real if real.is_terminal else _Piped(highlight=False, width=_ENDLESS)


def grid(*columns: str, title: str | None = None, one_line: bool = False) -> Table:
    """A table with these heads, set like the results.

    Args:
        columns: heads.
        title: above it.
        one_line: cut the last column at the edge of the terminal, instead of wrapping all.
    """
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for column in columns:
        cut = one_line and column == columns[-1]
        table.add_column(column, overflow="ellipsis" if cut else "fold", no_wrap=one_line, ratio=1 if cut else None)
    return table
