"""Tables as files: HTML, markdown, LaTeX, JSON, and text for the terminal, all from the same cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.files import write_atomically
from bench.records.tables import Table


def _json(table: Table, out: Path) -> str:
    from bench.report.machine import render_json

    return render_json(table)


def _markdown(table: Table, out: Path) -> str:
    from bench.report.markdown import render_markdown

    return render_markdown(table)


def _html(table: Table, out: Path) -> str:
    from bench.report.html import render_html

    return render_html(table, out)


def _latex(table: Table, out: Path) -> str:
    from bench.report.latex import render_latex

    return render_latex(table)


FORMATS: dict[str, Callable[[Table, Path], str]] = {"json": _json, "md": _markdown, "html": _html, "tex": _latex}


def write_reports(table: Table, out: Path, target: Path, *, thumbnails: bool = True) -> list[Path]:
    """Write a table in every format; returns the files.

    Args:
        table: what to write.
        out: results folder, where the thumbnails are.
        target: folder of the files, `table4.html` and so on.
        thumbnails: whether the HTML shows pictures.
    """
    from bench.report.html import render_html

    written = []
    for suffix, render in FORMATS.items():
        text = render_html(table, out, thumbnails) if suffix == "html" else render(table, out)
        path = target / f"{table.suite.name}.{suffix}"
        write_atomically(path, text.encode())
        written.append(path)
    return written
