"""A table for programs: one JSON object per cell."""

from __future__ import annotations

from bench import jsons
from bench.records.estimates import Estimate
from bench.report.parts import Grid, GridCell


def render_json(grid: Grid) -> str:
    """A JSON array with one object per cell.

    `value` is under the table's common protocol, `value_as_published` under the one that the published number was made
    with; difference and verdict use the latter. `rank` is `best` or `second` among the measured values of a column. An
    infinite number is the string "inf", since JSON has none.
    """
    return jsons.dumps([_cell(cell, row.ours) for row in grid.rows for cell in row.cells], indent=1) + "\n"


def _cell(drawn: GridCell, ours: bool) -> dict[str, object]:
    cell = drawn.source
    common, as_published = cell.value, cell.value_as_published
    return {
        "table": cell.table,
        "row": cell.row,
        "dataset": cell.dataset,
        "metric": cell.column,
        "value": _mean(common),
        "stderr": common.stderr if common else None,
        "n": common.n if common else 0,
        "published": float(cell.published) if cell.published else None,
        "published_text": cell.published,
        "value_as_published": _mean(as_published),
        "stderr_as_published": as_published.stderr if as_published else None,
        "difference": jsons.number_or_null(cell.difference),
        "verdict": cell.verdict,
        "tolerance": str(cell.tolerance) if cell.tolerance else "",
        "rank": drawn.measured.rank if drawn.measured else "",
        "not_worse": drawn.measured.not_worse if drawn.measured else False,
        "ours": ours,
        "reason": cell.reason,
        "protocol": cell.protocol,
        "protocol_as_published": cell.protocol_as_published,
        "temperature": cell.temperature,
        "unit": cell.unit,
        "direction": cell.direction,
        "images_total": cell.total,
        "images_infinite": common.infinite if common else 0,
        "remarks": list(cell.remarks),
        "key": cell.key,
        "runs": sorted(cell.runs),
    }


def _mean(estimate: Estimate | None) -> float | str | None:
    return jsons.number_or_null(estimate.mean) if estimate else None
