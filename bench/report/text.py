"""A grid for the terminal: every measured cell on a line of its own, then what was not run and why."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from bench.report import orderings
from bench.report.notes import segments
from bench.report.parts import LABELS, Grid, GridCell, GridRow
from bench.report.text_table import table_lines

PIPED = 80  # columns where no terminal has a width


def render_text(grid: Grid, *, width: int = PIPED, color: bool = False) -> str:
    """The table as text.

    Args:
        grid: the table.
        width: columns that lines are fitted into; a table that needs more gets more, and commands are never broken.
        color: whether to write the control sequences of a terminal.
    """
    sheet = _Sheet(width, color)
    sheet.write(f": {grid.title}", lead=grid.table.suite.name, lead_style="bold")
    if grid.source:
        sheet.write(grid.source, "dim")
    if grid.measured:
        sheet.write("")
        for line in table_lines(grid, width):
            sheet.line(line)
        _write_protocols(sheet, grid)
        _write_orderings(sheet, grid)
    _write_missing(sheet, grid)
    _write_runs(sheet, grid)
    return sheet.text


class _Sheet:
    """What is written on: paragraphs of lines of at most `width` columns."""

    def __init__(self, width: int, color: bool) -> None:
        self._file = io.StringIO()
        self._width = width
        self._console = Console(file=self._file, force_terminal=color, no_color=not color, highlight=False, emoji=False)

    def line(self, content: str | Text, style: str = "") -> None:
        """A line, of markup or of text, as long as it is."""
        self._console.print(content, style=style, soft_wrap=True)

    def write(self, text: str, style: str = "", *, hang: str = "", lead: str = "", lead_style: str = "") -> None:
        """A paragraph: a lead in a style of its own, then the text; further lines begin with `hang`."""
        lines = textwrap.wrap(
            _joined(lead + text), self._width, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False
        )
        for number, line in enumerate(lines or [""]):
            content = Text(line.replace(_JOINT, " "))
            if number == 0:
                content.stylize(lead_style, 0, len(lead))
            self.line(content, style)

    @property
    def text(self) -> str:
        """All of it, without blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._file.getvalue().splitlines()) + "\n"


_JOINT = "\0"  # stands for a blank at which no line is broken


def _joined(text: str) -> str:
    """The text with its indentation and its commands kept whole."""
    start = len(text) - len(text.lstrip(" "))
    pieces = ((_JOINT.join(piece.split(" ")) if command else piece) for piece, command in segments(text[start:]))
    return _JOINT * start + "".join(pieces)


def _write_protocols(sheet: _Sheet, grid: Grid) -> None:
    for (row, reason), cells in _grouped(cell for cell in grid.measured if cell.source.reason):
        sheet.write(f" {_place(grid, row, cells)}: {reason}", hang="  ", lead="partial", lead_style="yellow")
    two = (
        "The paper's protocol is the one that the paper's value was made with; difference and verdict compare that. "
        if grid.any_papers_protocol
        else ""
    )
    sheet.write(f"Values are means ± standard error over images. {two}The protocols:", "dim")
    rows = {cell.source.row for cell in grid.measured}
    used = {cell.source.protocol for cell in grid.measured} | {
        cell.source.protocol_as_published for cell in grid.measured
    }
    for note in grid.footnotes:
        if (measures := [measure for measure in note.measures if measure in used]) and (
            not note.rows or rows & {*note.rows}
        ):
            who = f" ({LABELS['papers_protocol']} for {', '.join(note.rows)}: {note.why})" if note.rows else ""
            sheet.write(f"  {', '.join(measures)}{who}: {note.description}", "dim", hang="    ")
    for remark in dict.fromkeys(remark for cell in grid.measured for remark in cell.source.remarks):
        sheet.write(f"  note: {remark}", "dim", hang="    ")
    if infinite := sum(cell.source.value.infinite for cell in grid.measured if cell.source.value):
        values = "1 value is" if infinite == 1 else f"{infinite} values are"
        text = f"  {values} infinite (SR identical to HR); the mean over images is then infinite"
        sheet.write(text, "dim", hang="    ")
    for group in grid.groups:
        if not group.in_paper and any(cell.source.dataset == group.dataset for cell in grid.measured):
            sheet.write("")
            sheet.write(f"{group.dataset} is not one of the paper's data sets: published numbers do not apply to it.")


def _write_orderings(sheet: _Sheet, grid: Grid) -> None:
    """Whether the published orderings hold, in a few lines for each series."""
    if not grid.orderings:
        return
    suite = grid.table.suite
    sheet.write("")
    sheet.write(" (Kendall's tau-b, 95 % interval)", lead=orderings.heading(suite), lead_style="bold")
    for text in orderings.text_lines(grid):
        sheet.write(f"  {text}", hang="      ")
    sheet.write(f"  the pairs: {orderings.command(suite)}", "dim", hang="    ")


def _write_missing(sheet: _Sheet, grid: Grid) -> None:
    """What was not run and why, then what the paper prints there."""
    missing = [cell for cell in grid.cells if cell.number is None]
    if not missing:
        return
    sheet.write("")
    count = sum(cell.paper is not None for cell in missing)
    sheet.write(f" ({count} published numbers)", lead="not run", lead_style="bold")
    for reason in grid.reasons:
        sheet.write(f"  {reason.where}: {reason.text}", hang="    ")
    for row in grid.rows:
        if any(cell.number is None and cell.paper for cell in row.cells):
            sheet.write(f"  {row.name}, paper: {_published(row)}", "dim", hang="    ")


def _published(row: GridRow) -> str:
    """`Set5 PSNR (Y) 28.42, SSIM (Y) 0.8104; Set14 ...`, of what was not run."""
    by_dataset: dict[str, list[str]] = {}
    for cell in row.cells:
        if cell.number is None and cell.paper:
            by_dataset.setdefault(cell.source.dataset, []).append(f"{cell.head.title} {cell.paper.text}")
    return "; ".join(f"{dataset} {', '.join(values)}" for dataset, values in by_dataset.items())


def _grouped(cells: Iterable[GridCell]) -> Iterable[tuple[tuple[str, str], list[GridCell]]]:
    """Cells by row and reason, wherever they stand."""
    groups: dict[tuple[str, str], list[GridCell]] = {}
    for cell in cells:
        groups.setdefault((cell.source.row, cell.source.reason), []).append(cell)
    return groups.items()


def _place(grid: Grid, row: str, cells: Sequence[GridCell]) -> str:
    """`Bicubic on Set5, Set14`; with the measures where the row's other columns there are no part of it."""
    datasets = list(dict.fromkeys(cell.source.dataset for cell in cells))
    titles = list(dict.fromkeys(cell.head.title for cell in cells))
    which = "" if len(cells) == len(datasets) * len(grid.groups[0].heads) else f" ({', '.join(titles)})"
    return f"{row} on {', '.join(datasets)}{which}"


def _write_runs(sheet: _Sheet, grid: Grid) -> None:
    for run in grid.runs:
        facts = dict(run)
        commit, _, state = facts["Commit"].partition(",")
        text = (
            f"run {facts['Run']}: commit {commit[:12]}{state and ','}{state}; {facts['Device']}; {facts['Wall time']}"
        )
        sheet.write(text, "dim", hang="  ")
