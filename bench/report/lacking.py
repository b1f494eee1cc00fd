"""What rows without results lack here and now, whatever a run was told when it looked."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from bench.datasets.manifest import load_manifest
from bench.errors import BenchError
from bench.records.tables import Cell, Table, command_of
from bench.runs.planning import why_not

_LACKED = ("needs data ", "needs weights ")
_UNASKED = "not run yet: "


def as_of_now(table: Table) -> Table:
    """The table, where rows that never ran on a data set say what this machine lacks for it, or how to run them."""
    rows = {row.name: row for row in table.suite.rows}
    ran = {(cell.row, cell.dataset) for cell in table.cells if cell.value is not None or cell.key}

    @cache
    def lacking(row: str, dataset: str) -> str | None:
        try:
            return why_not(rows[row], load_manifest(dataset))
        except BenchError:  # nobody knows the data set any more
            return None

    def told(cell: Cell) -> Cell:
        if (cell.row, cell.dataset) in ran or not cell.reason.startswith((*_LACKED, _UNASKED)):
            return cell
        now = lacking(cell.row, cell.dataset)
        if now == "" and cell.reason.startswith(_LACKED):
            now = f"not run since its files are here: {command_of(table.suite, rows[cell.row])}"
        return replace(cell, reason=now or cell.reason)

    return replace(table, cells=tuple(told(cell) for cell in table.cells))
