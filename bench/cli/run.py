"""python -m bench run: measure a table's cells."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from bench.cli.options import add_out, add_table, positive, suite_of
from bench.cli.progress import DownloadBar
from bench.datasets.acquire import fetch
from bench.datasets.local import presence
from bench.datasets.manifest import load_manifest
from bench.errors import BenchError
from bench.records.own_rows import own_row, with_rows
from bench.records.tables import build_table
from bench.report import write_reports
from bench.report.text import render_text
from bench.runs.provenance import choose_device
from bench.runs.runner import Outcome, Request, run
from bench.suites.suite import Row, Suite
from bench.tracking.tables import Tracker
from bench.training.ablation import trained_weights
from hcflow.cli.entry import subparser
from hcflow.cli.watching import terminal_watcher
from hcflow.train.recipe import BUDGETS

_DESCRIPTION = """\
Measure the cells (row x data set) of one of the paper's tables, print what the paper published, what was measured and
whether it holds, and write the table as HTML, markdown, LaTeX and JSON. What an earlier run finished is not computed
again; Ctrl-C or kill -9 loses at most the image in flight, and the same command goes on from there.

Nothing is downloaded unless --fetch is given. Where none of the paper's data sets is at hand, the table runs on Sample,
three photographs that come with scikit-image, to which published numbers do not apply.
"""
_EXAMPLES = """\
examples:
  python -m bench run --table 4                           every row and data set that is at hand
  python -m bench run --table 4 --fetch                   download the missing data sets first
  python -m bench run --table 4 --method bicubic --dataset Set5 Set14
  python -m bench run --table 4 --dataset Sample --limit 1
  python -m bench run --ablation case5                    the row of table 1
  python -m bench run --ablation case5 --budget smoke     the same with weights trained now, for seconds
  python -m bench run --table 4 --weights runs/rescale_x4-hour/weights/best.safetensors
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `run`."""
    parser = subparser(commands, "run", "measure a table", _EXAMPLES, _DESCRIPTION)
    what = parser.add_mutually_exclusive_group(required=True)
    add_table(what)
    what.add_argument("--ablation", metavar="CASE", help="a row of table 1: case1 .. case5")
    parser.add_argument("--method", nargs="+", default=[], metavar="NAME", help="only these rows (default: all)")
    parser.add_argument("--dataset", nargs="+", default=[], metavar="NAME", help="only these data sets")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N images of each data set")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda[:N] (default: auto)")
    own = parser.add_argument_group("weights of your own, as a row beside the paper's")
    own.add_argument(
        "--weights", type=Path, metavar="FILE", help="an HCFlow checkpoint, official or of python -m hcflow"
    )
    own.add_argument("--budget", choices=BUDGETS, help="with --ablation: train the case, unless that was done before")
    own.add_argument("--train-data", nargs="+", default=[], metavar="DIR", help="for --budget (smoke: Sample)")
    parser.add_argument("--fetch", action="store_true", help="first download the table's data sets that are missing")
    add_out(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    suite = suite_of("1" if args.ablation else args.table, args.out)
    rows = suite.select([args.ablation, *args.method] if args.ablation else args.method)
    if args.fetch:
        _fetch_missing(suite, args.dataset)
    device = choose_device(args.device)
    own = _own_rows(args, suite, rows)
    if own:
        suite, rows = with_rows(suite, own), own
    request = Request(suite, rows, args.dataset, args.limit, device, args.out)
    tracker = Tracker(args.out)
    with _Bar() as bar:
        outcome = run(request, bar, tracker.mirror)
    _present(request, outcome, tracker)
    return 2 if outcome.problems else 0


def _own_rows(args: argparse.Namespace, suite: Suite, rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows of --weights or --budget, which take the place of what was selected."""
    if args.budget is None and args.weights is None:
        return ()
    if args.budget is not None and not args.ablation:
        raise BenchError("expected --ablation CASE with --budget, got --table; train with python -m hcflow train")
    if args.budget is None:
        beside = next((row for row in rows if row.method == "hcflow"), rows[0])
        return (own_row(suite, beside, args.weights, str(args.weights)),)
    with terminal_watcher() as watcher:
        file, steps = trained_weights(rows[0].name, args.budget, args.train_data, args.device, watcher)
    return (own_row(suite, rows[0], file, f"ours, {args.budget}, {steps:,} steps"),)


def _fetch_missing(suite: Suite, names: list[str]) -> None:
    """Download what is not there; a set that cannot be had is a line, not the end."""
    for manifest in [load_manifest(name) for name in names or suite.datasets]:
        if not presence(manifest).missing:
            continue
        print(f"{manifest.name}: {manifest.title}\n  licence: {manifest.licence}; terms: {manifest.terms}")
        try:
            with DownloadBar() as bar:
                fetch(manifest, bar)
        except BenchError as error:
            print(f"error: {error}", file=sys.stderr)


def _present(request: Request, outcome: Outcome, tracker: Tracker) -> None:
    """The table on stdout, the reports on disk, and where to look."""
    table = build_table(request.suite, request.out)
    console = Console()
    written = write_reports(table, request.out, request.out)
    tracker.attach(outcome.journal, written)
    print(render_text(table, color=console.is_terminal))
    number = request.suite.name.removeprefix("table")
    if outcome.fallback:
        print(
            f"None of the paper's data sets is at hand, so this ran on {request.suite.fallback}.\n"
            f"To get them and run on them: nox -s reproduce_table{number} -- --fetch"
        )
    print("written: " + ", ".join(str(path) for path in written))
    print(tracker.summary())


class _Bar:
    """One progress bar over the images of each cell; plain lines where stderr is no terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[image]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._line, self._images, self._cached = "", 0, 0

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self._report()
        self._progress.stop()

    def cell(self, row: str, dataset: str, images: int, number: int, cells: int) -> None:
        """A cell starts."""
        self._report()
        self._line, self._images, self._cached = f"cell {number}/{cells}: {row} on {dataset}", 0, 0
        self._task = self._progress.add_task(self._line, total=images, image="")

    def image(self, image: str, cached: bool) -> None:
        """An image is done."""
        self._images += 1
        self._cached += cached
        if self._task is not None:
            self._progress.update(self._task, advance=1, image=f"{image}{' (cached)' if cached else ''}")

    def problem(self, message: str) -> None:
        """One line on stderr."""
        self._progress.console.print(f"error: {message}", markup=False, highlight=False, soft_wrap=True)

    def _report(self) -> None:
        if self._line and self._progress.disable:
            print(f"{self._line}: {self._images} images, {self._cached} of them cached", file=sys.stderr)
        self._line = ""
