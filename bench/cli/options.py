"""Options that several sub-commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.records.own_rows import with_own_rows
from bench.records.store import load_journals
from bench.suites.suite import Suite, load_suite, suite_names


def add_table(parser: argparse._ActionsContainer, required: bool = False) -> None:
    """--table N."""
    numbers = ", ".join(name.removeprefix("table") for name in suite_names())
    parser.add_argument("--table", required=required, metavar="N", help=f"a table of the paper: {numbers}")


def add_out(parser: argparse.ArgumentParser) -> None:
    """--out DIR."""
    parser.add_argument(
        "--out", type=Path, default=Path("results"), metavar="DIR", help="folder of the records (default: results)"
    )


def suite_of(number: str, out: Path) -> Suite:
    """The suite of `--table N` (`4` and `table4` are the same), with the rows that earlier runs added."""
    suite = load_suite(f"table{number.removeprefix('table')}")
    return with_own_rows(suite, load_journals(out, suite.name))


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return int(text)
