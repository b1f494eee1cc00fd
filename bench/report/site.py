"""A folder that a browser opens without a server: an index over all tables and runs, and a page for each table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.files import write_atomically
from bench.records.estimates import Verdict
from bench.records.journal import Journal
from bench.records.tables import Table
from bench.report import Style, notes, write_reports
from bench.report.figures import charts
from bench.report.grid import build_grid
from bench.report.html import environment
from bench.report.parts import Grid
from bench.report.viewer import Pictures
from bench.suites.reading import option_of

INDEX = "index.html"
_COMPARED: tuple[Verdict, ...] = ("matches", "better", "differs", "partial")


@dataclass(frozen=True)
class Coverage:
    """How much of what the paper prints was measured.

    Attributes:
        printed: values that it prints.
        verdicts: how many of them match, are better, differ and are partial; what is not there was not run.
        beyond: measured values that it does not print.
    """

    printed: int
    verdicts: dict[Verdict, int]
    beyond: int

    @property
    def measured(self) -> int:
        """Printed values that were measured, at least on a part of the images."""
        return sum(self.verdicts.values())

    @property
    def holds(self) -> int:
        """Printed values that match or are better."""
        return self.verdicts.get("matches", 0) + self.verdicts.get("better", 0)

    def share(self, verdict: Verdict) -> float:
        """Percent of the printed values."""
        return 100 * self.verdicts.get(verdict, 0) / self.printed if self.printed else 0.0

    def __add__(self, other: Coverage) -> Coverage:
        verdicts = Counter(self.verdicts) + Counter(other.verdicts)
        return Coverage(self.printed + other.printed, dict(verdicts), self.beyond + other.beyond)


@dataclass(frozen=True)
class TableEntry:
    """A table in the index; `page` is the file with all of it, empty where nothing was run."""

    grid: Grid
    page: str
    coverage: Coverage
    runs: int


@dataclass(frozen=True)
class RunEntry:
    """A run in the index.

    Attributes:
        name: of the run.
        table: heading of its table.
        page: of the table; empty where it has none.
        facts: (label, text), see `notes.provenance`.
        outcomes: `12 done, 3 not run`, of rows and data sets.
    """

    name: str
    table: str
    page: str
    facts: dict[str, str]
    outcomes: str


def coverage_of(grid: Grid) -> Coverage:
    """How much of a table was measured."""
    printed = [cell for cell in grid.cells if cell.paper]
    verdicts = Counter(cell.source.verdict for cell in printed if cell.number is not None)
    return Coverage(len(printed), dict(verdicts), len(grid.measured) - sum(verdicts.values()))


def write_site(
    tables: Sequence[Table],
    journals: Sequence[Journal],
    out: Path,
    target: Path,
    *,
    pictures: Pictures = "auto",
    style: Style = "full",
) -> list[Path]:
    """Write the index, and every format of each table that has runs; returns the files.

    Args:
        tables: all that the index tells of.
        journals: of all runs in the results folder.
        out: results folder, where the pictures are.
        target: folder of the site; files of other names in it are left as they are.
        pictures: whether the pages embed pictures, link them or leave them out.
        style: of the LaTeX files.
    """
    entries = [_entry(table, journals) for table in tables]
    written = []
    for entry in entries:
        if entry.page:
            written += write_reports(entry.grid, out, target, pictures=pictures, in_site=True, style=style)
    index = target / INDEX
    write_atomically(index, _index(entries, journals).encode())
    return [index, *written]


def render_index(tables: Sequence[Table], journals: Sequence[Journal]) -> str:
    """The index as one page that needs no network; its links are relative."""
    return _index([_entry(table, journals) for table in tables], journals)


def _index(entries: Sequence[TableEntry], journals: Sequence[Journal]) -> str:
    pages = {entry.grid.table.suite.name: entry for entry in entries}
    total = sum((entry.coverage for entry in entries), Coverage(0, {}, 0))
    runs = [_run(journal, pages.get(journal.table)) for journal in reversed(journals)]
    template = environment().get_template("index.html")
    return template.render(
        entries=entries,
        total=total,
        runs=runs,
        verdicts=_COMPARED,
        command_for=command_for,
        charts=charts.overview([(entry.grid.heading, entry.grid.table) for entry in entries]),
    )


def _entry(table: Table, journals: Sequence[Journal]) -> TableEntry:
    grid, runs = build_grid(table), sum(journal.table == table.suite.name for journal in journals)
    return TableEntry(grid, f"{table.suite.name}.html" if runs else "", coverage_of(grid), runs)


def _run(journal: Journal, entry: TableEntry | None) -> RunEntry:
    stopped = "running" if journal.alive else "interrupted"
    states = Counter(stopped if one.state == "running" else one.state for one in journal.entries)
    outcomes = ", ".join(f"{count} {state}" for state, count in states.items()) or "nothing"
    name = entry.grid.heading if entry else journal.table
    return RunEntry(journal.run, name, entry.page if entry else "", dict(notes.provenance(journal)), outcomes)


def command_for(grid: Grid) -> str:
    """What measures everything of a table that can be measured here, and downloads what is missing first."""
    return f"python -m bench run {option_of(grid.table.suite)} --fetch"
