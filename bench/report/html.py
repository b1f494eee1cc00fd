"""A grid as one self-contained HTML file; `templates` holds its parts, the style sheet and the script."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bench.report import formatting, notes, orderings
from bench.report.dialogs import dialog_data
from bench.report.figures import charts
from bench.report.grid import plain
from bench.report.parts import Grid, GridCell
from bench.report.viewer import Album, Pictures, viewer_data

_JSON = {"allow_nan": False, "separators": (",", ":")}
_NARROW = 3  # value columns that a phone shows without scrolling


def render_html(
    grid: Grid,
    out: Path,
    pictures: Pictures = "auto",
    files: tuple[str, ...] = (),
    target: Path | None = None,
) -> str:
    """The whole report of a table as one file that needs no network.

    Args:
        grid: what to show.
        out: the results folder, where the pictures are.
        pictures: whether they are embedded, linked or left out.
        files: names of the files beside it that it links to: other formats, and the index of a site.
        target: folder of the page, which links are relative to; the results folder where none is given.
    """
    place = target or out
    return (
        environment()
        .get_template("report.html")
        .render(
            grid=grid,
            details=[_detail(cell) for cell in grid.measured],
            files=files,
            rows_measured=sum(row.measured for row in grid.rows),
            wide=len(grid.heads) > _NARROW,
            data=dialog_data(grid, out, Album(pictures, place, grid.table.runs)),
            viewer=viewer_data(grid.table, out, place, pictures),
            charts=charts.section(grid.table),
        )
    )


@cache
def environment() -> Environment:
    """Where the templates are and how they are filled."""
    made = Environment(
        loader=PackageLoader("bench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["json.dumps_kwargs"] = _JSON
    made.globals.update(
        symbols=formatting.SYMBOLS, meanings=formatting.MEANINGS, segments=notes.segments, orderings=orderings
    )
    return made


def _detail(cell: GridCell) -> dict[str, Any]:
    """A measured cell in the list below the grid, and what the list is sorted by."""
    difference = cell.source.difference
    return {
        "cell": cell,
        "sort_keys": [
            formatting.name(cell.source),
            cell.paper.key if cell.paper else None,
            cell.measured.key if cell.measured else None,
            cell.compared.key if cell.compared else None,
            None if difference is None else plain(difference),
            cell.source.verdict,
            cell.source.value.n if cell.source.value else 0,
        ],
    }
