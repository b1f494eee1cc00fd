"""python -m bench report: write the tables as files."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.cli.options import add_out, add_suite, add_table, suite_of
from bench.errors import BenchError
from hcflow.cli.entry import subparser


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `report`."""
    parser = subparser(
        commands,
        "report",
        "write tables as HTML, markdown, LaTeX and JSON",
        "example:\n  python -m bench report --to reports --no-thumbnails",
        description="Write the tables that have records as HTML, markdown, LaTeX and JSON files.",
    )
    what = parser.add_mutually_exclusive_group()
    add_table(what)
    add_suite(what)
    parser.add_argument("--to", type=Path, metavar="DIR", help="where the files go (default: the --out folder)")
    parser.add_argument(
        "--no-thumbnails",
        action="store_true",
        help="leave the pictures out of the HTML: the terms of most data sets forbid redistribution",
    )
    add_out(parser)
    parser.set_defaults(run=_report)


def _report(args: argparse.Namespace) -> int:
    from bench.records.journal import load_journals
    from bench.records.tables import build_table
    from bench.report import write_reports
    from bench.suites.suite import suite_names

    if not args.out.is_dir():
        raise BenchError(f"{args.out}: expected a folder of records, got none; first: python -m bench run --table 4")
    names = [args.table] if args.table or args.suite else suite_names()
    written: list[Path] = []
    for name in names:
        suite = suite_of(name, args.suite, args.out)
        if args.table or args.suite or load_journals(args.out, suite.name):
            target = args.to or args.out
            written += write_reports(build_table(suite, args.out), args.out, target, thumbnails=not args.no_thumbnails)
    if not written:
        raise BenchError(f"{args.out}: expected records of a run, got none; first: python -m bench run --table 4")
    print("\n".join(str(path) for path in written))
    return 0
