"""python -m bench report: write the tables as files, or as a site."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.cli.options import add_out, add_style, add_suite, add_table, add_trust, shown_suite
from hcflow.cli.entry import subparser

_EXAMPLES = """\
examples:
  python -m bench report --to site                        all tables and an index; open site/index.html
  python -m bench report --table 4 --to paper --style compact
  python -m bench report --to reports --pictures none     fit to be passed on, whatever the data sets' terms
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `report`."""
    parser = subparser(
        commands,
        "report",
        "write tables as HTML, markdown, LaTeX and JSON",
        _EXAMPLES,
        description="Write the tables that have records as HTML, markdown, LaTeX and JSON files, and, unless one table "
        "is asked for, an index.html over all tables and runs. The pages need no server and no network.",
    )
    what = parser.add_mutually_exclusive_group()
    add_table(what)
    add_suite(what)
    parser.add_argument("--to", type=Path, metavar="DIR", help="where the files go (default: the --out folder)")
    add_style(parser, "of the LaTeX files")
    parser.add_argument("--pictures", choices=["auto", "embed", "link", "none"], default="auto", help=_PICTURES)
    parser.add_argument(
        "--no-thumbnails", dest="pictures", action="store_const", const="none", help="the same as --pictures none"
    )
    add_out(parser)
    add_trust(parser)
    parser.set_defaults(run=_report)


_PICTURES = (
    "embed the pictures of data sets whose licence allows copies, and link the others where they are (auto); "
    "embed or link all; or none (default: auto)"
)


def _report(args: argparse.Namespace) -> int:
    from bench.records.journal import no_records, require_records
    from bench.records.merging import reproductions
    from bench.records.tables import build_table
    from bench.records.texts import tables_in
    from bench.report import write_reports
    from bench.report.grid import build_grid
    from bench.report.site import write_site
    from bench.suites.reading import suite_names

    require_records(args.out)
    target = args.to or args.out
    if args.table or args.suite:
        table = build_table(shown_suite(args.table, args.suite, args.out, args.trust), args.out)
        written = write_reports(build_grid(table), args.out, target, pictures=args.pictures, style=args.style)
    else:
        journals, measured = reproductions(args.out), tables_in(args.out)
        if not measured:
            raise no_records(args.out)
        names = [*_in_order(suite_names()), *(name for name in measured if name not in suite_names())]
        tables = [build_table(shown_suite(name, None, args.out, args.trust), args.out) for name in names]
        written = write_site(tables, journals, args.out, target, pictures=args.pictures, style=args.style)
    print("\n".join(str(path) for path in written))
    return 0


def _in_order(names: list[str]) -> list[str]:
    """The paper's tables first."""
    return sorted(names, key=lambda name: (not name.startswith("table"), name))
