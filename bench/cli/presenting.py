"""What `bench run` prints and writes when the measuring is done."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from hcflow.cli.entry import quiet

if TYPE_CHECKING:
    from bench.records.journal import Journal
    from bench.records.tables import Table
    from bench.report.parts import Grid
    from bench.runs.runner import Outcome, Request
    from bench.runs.watching import Picture
    from bench.tracking.tables import Tracker


def present(request: Request, outcome: Outcome, tracker: Tracker | None, only: bool) -> None:
    """The table on stdout, the reports on disk, and where to look."""
    from bench.cli.terminal import text_options
    from bench.records.tables import build_table
    from bench.report import write_reports
    from bench.report.grid import build_grid
    from bench.report.lacking import as_of_now
    from bench.report.text import render_text

    table = as_of_now(build_table(request.suite, request.out))
    grid = build_grid(table)
    written = write_reports(grid, request.out, request.out)
    if outcome.fallback:
        number = request.suite.name.removeprefix("table")
        print(
            f"None of the table's data sets is present, so this ran on {request.suite.fallback}, "
            "for which the paper has no values.\n"
            f"To download the paper's and run again: .venv/bin/nox -s reproduce_table{number} -- --fetch\n"
        )
    if not outcome.ran:
        print(f"Nothing could run. The first reason: {_first_need(outcome)}\n")
    shown = _shown(grid, request) if only else grid
    print(render_text(shown, **text_options()))
    if not quiet():
        print("written: " + ", ".join(str(path) for path in written), flush=True)
    if tracker is not None:
        if not quiet():
            print("copying to MLflow (Ctrl-C loses nothing: python -m bench track does it later) ..", file=sys.stderr)
        tracker.attach(outcome.journal, written, _figures(table, outcome.journal))  # the last: it may wait for MLflow
        if not quiet():
            print(tracker.summary())


def _figures(table: Table, journal: Journal) -> dict[str, bytes]:
    """The charts of the data sets that a run measured something of; one that cannot be drawn costs a warning."""
    from bench.report.figures.drawn import charts

    measured = {entry.dataset for entry in journal.entries if entry.computed}
    try:
        return charts(table, measured) if measured else {}
    except Exception as error:  # of matplotlib, which must not cost a run its end
        print(f"warning: the figures for MLflow cannot be drawn ({error})", file=sys.stderr)
        return {}


def _shown(grid: Grid, request: Request) -> Grid:
    """The rows that were asked for, and the orderings that any of them is in."""
    from bench.report.grid import build_grid

    names, table = {row.name for row in request.rows}, grid.table
    suite = replace(table.suite, rows=tuple(row for row in table.suite.rows if row.name in names))
    part = replace(table, suite=suite, cells=tuple(cell for cell in table.cells if cell.row in names))
    orderings = tuple(one for one in grid.orderings if names & {member.row for member in one.members})
    return build_grid(part, orderings=orderings)


def _first_need(outcome: Outcome) -> str:
    return next((entry.reason for entry in outcome.journal.entries if entry.reason), "no row was asked for")


def exit_code(outcome: Outcome, shared: bool = False) -> int:
    """0 where it ran without a problem; a part of a shared run may have nothing to do."""
    if outcome.problems:
        count = len(outcome.problems)
        what = "1 problem" if count == 1 else f"{count} problems"
        print(f"error: {what}, the first: {outcome.problems[0]}; finished measurements are kept", file=sys.stderr)
    return 2 if outcome.problems or not (outcome.ran or shared) else 0


def conclude(request: Request, picture: Picture, only: bool) -> int:
    """What a run that others did has come to: its table, MLflow, and what failed."""
    from bench.records.merging import reproductions, shared_run
    from bench.runs.planning import datasets_of
    from bench.runs.runner import Outcome
    from bench.tracking.tables import Tracker

    journals = [one for one in reproductions(request.out, request.suite.name) if shared_run(one) == picture.submission]
    failed = picture.failed
    problems = tuple(f"part {part.number}: {part.error}" for part in failed)
    if journals:
        journal = journals[-1]
        tracker = Tracker(request.out, request.suite)
        tracker.later(journal)
        ran = sum(bool(entry.restored) for entry in journal.entries)
        fallback = datasets_of(request.suite, request.datasets)[1]
        present(request, Outcome(journal, problems, ran, fallback), tracker, only)
    if failed:
        print(
            f"error: {len(failed)} of {len(picture.parts)} parts failed; the rest is measured. "
            "The same command with --retry-failed does them again",
            file=sys.stderr,
        )
    return 2 if failed else 0
