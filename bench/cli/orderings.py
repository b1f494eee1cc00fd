"""python -m bench orderings: whether the rows of a table come in the published order."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.cli.options import add_out, add_suite, add_table, add_trust, shown_suite, whole
from hcflow.cli.entry import subparser

if TYPE_CHECKING:
    from bench.records.tables import Table
    from bench.statistics.series import Series

_DESCRIPTION = """\
Tell whether the rows of a table come in the published order: Kendall's tau-b of each metric and data set with a 95 %
bootstrap interval over the images, and of every two rows whether their order holds (permutation test). Rows that were
trained here stand for the rows that they are beside. Nothing is measured; see docs/analysis.md.
"""
_EXAMPLES = """\
examples:
  python -m bench orderings --table 1
  python -m bench orderings --table 4 --dataset Set14 BSD100 --metric psnr_y
  python -m bench orderings --suite mine.toml --format json      every pair, with all digits
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `orderings`."""
    parser = subparser(commands, "orderings", "tell whether the published orderings hold", _EXAMPLES, _DESCRIPTION)
    what = parser.add_mutually_exclusive_group(required=True)
    add_table(what)
    add_suite(what)
    for name, of in (("--dataset", "data sets"), ("--metric", "columns, such as psnr_y")):
        many = {"nargs": "+", "action": "extend", "default": [], "metavar": "NAME"}
        parser.add_argument(name, **many, help=f"only these {of} (default: all)")  # type: ignore[arg-type]
    parser.add_argument("--seed", type=whole, default=0, help="of the resampling (default: 0)")
    parser.add_argument("--format", choices=["text", "json", "markdown"], default="text", help="(default: text)")
    add_out(parser)
    add_trust(parser)
    parser.set_defaults(run=_orderings)


def _orderings(args: argparse.Namespace) -> int:
    from bench.records.journal import require_records
    from bench.records.tables import build_table
    from bench.statistics.orderings import chosen, orderings_of, remarks

    require_records(args.out)
    table = build_table(shown_suite(args.table, args.suite, args.out, args.trust), args.out)
    found = chosen(orderings_of(table, args.seed), table, args.dataset, args.metric)
    for text in remarks(table):
        print(f"note: {text}", file=sys.stderr)
    if args.format == "json":
        from bench.report.machine import render_orderings

        print(render_orderings(table, found), end="")
    elif args.format == "markdown":
        from bench.report.markdown import render_series

        print(render_series(table.suite, found), end="")
    else:
        _print(table, found)
    return 0


def _print(table: Table, found: Sequence[Series]) -> None:
    """A table of each series, its pairs whose order does not hold, and what to know of them."""
    from rich.markup import escape

    from bench.cli.terminal import console, in_blocks
    from bench.report import orderings

    screen, suite = console(), table.suite
    for series in found:
        what = orderings.name(suite, series)
        screen.print(escape(f"{suite.name}, {what[0].lower()}{what[1:]}: {orderings.summary(series)}"))
        for block in in_blocks(orderings.heads(series), orderings.lines(series), screen.width, fixed=2):
            screen.print(block)
        if pairs := [pair.texts for pair in orderings.pair_lines(series, held=False)]:
            for block in in_blocks(
                orderings.PAIR_HEADS, pairs, screen.width, fixed=3, title="Pairs whose order does not hold"
            ):
                screen.print(block)
        for note in filter(None, [orderings.caveat(suite, series), *orderings.notes(suite, series)]):
            screen.print(escape(note), style="dim")
        screen.print()
    screen.print(escape(orderings.how_to_read()), style="dim")
