"""python -m bench show: print a table from the records of earlier runs."""

from __future__ import annotations

import argparse

from bench.cli.options import add_out, add_style, add_suite, add_table, add_trust, shown_suite
from hcflow.cli.entry import subparser

_EXAMPLES = """\
examples:
  python -m bench show --table 4
  python -m bench show --table 4 --format json | jq '.[] | select(.verdict == "differs")'
  python -m bench show --table 4 --format tex --style compact > table4.tex
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `show`."""
    parser = subparser(
        commands,
        "show",
        "print a table from its records",
        _EXAMPLES,
        description="Print a table from the records of earlier runs. Nothing is measured.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    add_table(what)
    add_suite(what)
    formats = ["text", "json", "md", "html", "tex"]
    parser.add_argument("--format", choices=formats, default="text", help="(default: text)")
    add_style(parser, "of --format tex")
    add_out(parser)
    add_trust(parser)
    parser.set_defaults(run=_show)


def _show(args: argparse.Namespace) -> int:
    from bench.cli.terminal import text_options
    from bench.records.journal import require_records
    from bench.records.tables import build_table
    from bench.report import FORMATS
    from bench.report.grid import build_grid
    from bench.report.lacking import as_of_now
    from bench.report.latex import render_latex
    from bench.report.text import render_text

    require_records(args.out)
    table = build_table(shown_suite(args.table, args.suite, args.out, args.trust), args.out)
    grid = build_grid(as_of_now(table))
    if args.format == "text":
        print(render_text(grid, **text_options()), end="")
    elif args.format == "tex":
        print(render_latex(grid, args.style), end="")
    else:
        print(FORMATS[args.format](grid, args.out), end="")
    return 0
