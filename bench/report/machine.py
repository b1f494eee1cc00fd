"""A table for programs: one JSON object per cell; and the order of its rows."""

from __future__ import annotations

from collections.abc import Sequence

from bench import jsons
from bench.records.estimates import Estimate
from bench.records.tables import Table
from bench.report import orderings
from bench.report.parts import Grid, GridCell
from bench.statistics.agreement import ANSWERS
from bench.statistics.series import Ordering, Series, difference


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


def render_orderings(table: Table, series: Sequence[Series]) -> str:
    """Whether the published orderings hold: one JSON object, with every pair and all digits."""
    found = [
        {"series": one.name, "rows": [member.row for member in one.members], "summary": orderings.summary(one),
         "caveat": orderings.caveat(table.suite, one), "notes": orderings.notes(table.suite, one),
         "orderings": [_ordering(ordering) for ordering in one.orderings]}
        for one in series
    ]  # fmt: skip
    return jsons.dumps({"table": table.suite.name, "series": found}, indent=1) + "\n"


def _ordering(one: Ordering) -> dict[str, object]:
    result = one.result
    return {
        "dataset": one.cell.dataset, "metric": one.cell.column, "direction": one.cell.direction,
        "unit": one.cell.unit, "protocol": one.cell.protocol, "printed_on": one.printed_on,
        "rows": [{"row": m.row, "beside": m.name, "seed": m.seed, "published": float(m.printed)} for m in one.members],
        "tau_b": result.tau, "interval": None if result.low is None else [result.low, result.high],
        "images": result.n, "images_total": one.cell.total, "tied": result.tied, "why": result.why,
        **{answer.replace(" ", "_"): result.count(answer) for answer in ANSWERS},
        "pairs": [
            {"better": one.members[pair.better].row, "worse": one.members[pair.worse].row,
             "published": float(difference(one.members, pair.better, pair.worse)), "measured": pair.measured,
             "p": pair.p, "share": pair.share, "order": pair.answer}
            for pair in result.pairs
        ],
        "noise": [{"beside": n.name, "seeds": list(n.seeds), "difference": n.difference} for n in one.noise],
        "noise_mean": one.mean_noise if one.noise else None,
        "noise_largest": one.largest_noise if one.noise else None,
        "left_out": [{"row": row, "why": why} for row, why in one.left_out],
    }  # fmt: skip
