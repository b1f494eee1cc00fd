"""A table for the terminal: every measured cell on a line of its own, then what was not run and why."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from bench.metrics.metric import Measure
from bench.records.estimates import Estimate
from bench.records.tables import Cell, Table
from bench.report import words

_WIDTH = 1000
_STYLE = {"matches": "green", "better": "cyan", "differs": "red", "partial": "yellow", "no published value": "dim"}


def render_text(table: Table, *, color: bool = False) -> str:
    """The table as text; long lines are left whole, since a terminal wraps them and a file should not."""
    console = Console(file=io.StringIO(), width=_WIDTH, force_terminal=color, no_color=not color, highlight=False)
    console.soft_wrap = True
    console.print(f"[bold]{escape(table.suite.name)}[/]: {escape(table.suite.title)}")
    console.print(escape(words.source(table.suite)) + "\n", style="dim")
    measured = [cell for cell in table.cells if cell.value is not None]
    if measured:
        console.print(_measured(measured))
        _print_protocols(console, table, measured)
    _print_missing(console, table)
    _print_provenance(console, table)
    file = console.file
    assert isinstance(file, io.StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def format_estimate(estimate: Estimate | None, decimals: int) -> str:
    """`28.42 ± 0.31`; one digit more than printed for the error."""
    if estimate is None:
        return ""
    error = "" if estimate.stderr is None else f" ± {estimate.stderr:.{decimals}f}"
    return f"{estimate.mean:.{decimals}f}{error}"


def _measured(cells: list[Cell]) -> RichTable:
    grid = RichTable(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for name in (
        "row",
        "data",
        "metric",
        "published",
        "paper's protocol",
        "difference",
        "verdict",
        "common protocol",
        "images",
    ):
        right = name in ("published", "paper's protocol", "difference", "common protocol", "images")
        grid.add_column(name, justify="right" if right else "left", no_wrap=True)
    previous = None
    for cell in cells:
        if previous is not None and previous != (cell.row, cell.dataset):
            grid.add_row()
        previous = (cell.row, cell.dataset)
        assert cell.value is not None
        grid.add_row(
            escape(cell.row),
            escape(cell.dataset),
            f"{escape(cell.title)} {words.ARROWS[cell.direction]}".rstrip(),
            cell.published or "-",
            format_estimate(cell.value_as_published, cell.decimals),
            "" if cell.difference is None else words.signed(cell.difference, cell.decimals + 1),
            f"[{_STYLE[cell.verdict]}]{cell.verdict}[/]",
            format_estimate(cell.value, cell.decimals + 1),
            f"{cell.value.n}/{cell.total}",
        )
    return grid


def _print_protocols(console: Console, table: Table, cells: list[Cell]) -> None:
    for (row, reason), group in _grouped(cell for cell in cells if cell.reason):
        console.print(f"[yellow]partial[/] {escape(_place(table, row, group))}: {escape(reason)}")
    console.print(
        "Values are means ± standard error over images. The paper's protocol is the one that the published number was\n"
        "made with; difference and verdict compare that. The protocols:",
        style="dim",
    )
    measures = [m for cell in cells for m in (cell.protocol_as_published, cell.protocol)]
    for text in dict.fromkeys(measures):
        console.print(escape(f"  {text}: {Measure.parse(text).variant.describe()}"), style="dim")
    shown = {cell.row for cell in cells}
    for known in table.suite.rows:
        for one in known.as_published if known.name in shown else ():
            console.print(escape(f"  {known.name}, paper's protocol: {one.note}"), style="dim")
    for remark in dict.fromkeys(remark for cell in cells for remark in cell.remarks):
        console.print(escape(f"  note: {remark}"), style="dim")
    if infinite := sum(cell.value.infinite for cell in cells if cell.value):
        console.print(
            f"  {infinite} values are infinite (SR identical to HR); the mean over images is then infinite", style="dim"
        )
    for name in dict.fromkeys(cell.dataset for cell in cells):
        if name not in table.suite.datasets:
            console.print(
                f"\n{escape(name)} is not one of the paper's data sets: published numbers do not apply to it."
            )


def _print_missing(console: Console, table: Table) -> None:
    missing = [cell for cell in table.cells if cell.value is None]
    if not missing:
        return
    printed = sum(cell.published is not None for cell in missing)
    console.print(f"\n[bold]not run[/] ({printed} published numbers)")
    for (row, reason), cells in _grouped(missing):
        console.print(escape(f"  {_place(table, row, cells)}: {reason}"))
        for dataset in dict.fromkeys(cell.dataset for cell in cells):
            values = [f"{c.title} {c.published}" for c in cells if c.dataset == dataset and c.published is not None]
            if values:
                console.print(escape(f"      published on {dataset}: {', '.join(values)}"), style="dim")


def _grouped(cells: Iterable[Cell]) -> Iterable[tuple[tuple[str, str], list[Cell]]]:
    """Cells by row and reason, wherever they stand."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.row, cell.reason), []).append(cell)
    return groups.items()


def _place(table: Table, row: str, cells: Sequence[Cell]) -> str:
    """`Bicubic on Set5, Set14`; with the measures where the row's other columns there are no part of it."""
    datasets = list(dict.fromkeys(cell.dataset for cell in cells))
    titles = list(dict.fromkeys(cell.title for cell in cells))
    which = "" if len(cells) == len(datasets) * len(table.suite.columns) else f" ({', '.join(titles)})"
    return f"{row} on {', '.join(datasets)}{which}"


def _print_provenance(console: Console, table: Table) -> None:
    for journal in table.runs:
        about = journal.provenance
        dirty = ", with uncommitted changes" if about.get("dirty") else ""
        took = "" if journal.seconds is None else f", {journal.seconds:.1f} s"
        known = about.get("versions", {})
        versions = ", ".join(f"{name} {known[name]}" for name in ("torch", "numpy", "scikit-image") if name in known)
        console.print(
            escape(
                f"run {journal.run}: commit {str(about.get('commit', 'unknown'))[:12]}{dirty}; {about.get('device')}, "
                f"{about.get('processor')}; {versions}{took}"
            ),
            style="dim",
        )
