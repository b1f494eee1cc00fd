"""Tables as files: HTML, markdown, LaTeX, JSON, and text for the terminal, all from the same grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.files import write_atomically
from bench.report.parts import Grid

if TYPE_CHECKING:
    from bench.report.viewer import Pictures


def _json(grid: Grid, out: Path) -> str:
    from bench.report.machine import render_json

    return render_json(grid)


def _markdown(grid: Grid, out: Path) -> str:
    from bench.report.markdown import render_markdown

    return render_markdown(grid)


def _html(grid: Grid, out: Path) -> str:
    from bench.report.html import render_html

    return render_html(grid, out, target=Path.cwd())


def _latex(grid: Grid, out: Path) -> str:
    from bench.report.latex import render_latex

    return render_latex(grid)


Style = Literal["full", "compact"]
FORMATS: dict[str, Callable[[Grid, Path], str]] = {"json": _json, "md": _markdown, "html": _html, "tex": _latex}


def write_reports(
    grid: Grid,
    out: Path,
    target: Path,
    *,
    pictures: Pictures = "auto",
    in_site: bool = False,
    style: Style = "full",
) -> list[Path]:
    """Write a table in every format, and whether the published orderings hold where that is known; returns the files.

    Args:
        grid: the table to write.
        out: results folder, where the pictures are.
        target: folder of the files, `table4.html` and so on.
        pictures: whether the HTML embeds pictures, links them or leaves them out.
        in_site: whether the HTML links to the `index.html` beside it.
        style: of the LaTeX file.
    """
    from bench.report.html import render_html
    from bench.report.latex import render_latex
    from bench.report.machine import render_orderings

    name = grid.table.suite.name
    others = tuple(f"{name}.{suffix}" for suffix in FORMATS if suffix != "html")
    written = []
    if grid.orderings or (target / f"{name}.orderings.json").exists():  # those of an earlier report would be wrong now
        written.append(target / f"{name}.orderings.json")
        write_atomically(written[0], render_orderings(grid.table, grid.orderings).encode())
        others += (written[0].name,) if grid.orderings else ()
    links = ("index.html", *others) if in_site else others
    for suffix, render in FORMATS.items():
        if suffix == "html":
            text = render_html(grid, out, pictures, links, target)
        else:
            text = render_latex(grid, style) if suffix == "tex" else render(grid, out)
        path = target / f"{name}.{suffix}"
        write_atomically(path, text.encode())
        written.append(path)
    return written
