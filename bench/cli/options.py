"""Options that several sub-commands share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.suites.suite import Suite


_DIGITS = 18  # of a number: it fits into 64 bits


def add_table(parser: argparse._ActionsContainer, required: bool = False) -> None:
    """--table N and --suite FILE."""
    parser.add_argument(
        "--table", required=required, metavar="N", help="a table of the paper (1 to 4), or `beyond`: later systems"
    )


def add_suite(parser: argparse._ActionsContainer) -> None:
    """--suite FILE."""
    parser.add_argument("--suite", type=Path, metavar="FILE", help="your own table (.toml), see docs/suites.md")


def add_out(parser: argparse.ArgumentParser) -> None:
    """--out DIR."""
    parser.add_argument(
        "--out", type=Path, default=Path("results"), metavar="DIR", help="folder of the records (default: results)"
    )


def add_style(parser: argparse.ArgumentParser, what: str) -> None:
    """--style full|compact."""
    parser.add_argument(
        "--style",
        choices=["full", "compact"],
        default="full",
        help=f"{what}: full is two columns wide and has everything, compact is one column wide and has what was "
        "measured (default: full)",
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """--trust."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="also look up rows and columns of earlier runs in the folder that name a Python module (MODULE:OBJECT), "
        "which runs its code; without, they are left out (docs/results.md)",
    )


def named_suite(table: str | None, file: Path | None) -> Suite:
    """The suite of `--table` or `--suite` as its file has it; data sets beside that file can be named from then on."""
    from bench.datasets.manifest import search_also
    from bench.suites.reading import load_suite, read_suite

    if file is None:
        return load_suite((table or "").removeprefix("table"))
    search_also(file.resolve().parent)
    return read_suite(file.resolve())


def suite_of(table: str | None, file: Path | None, out: Path, trust: bool = False) -> Suite:
    """The suite of `--table` or `--suite`, with the rows and columns that earlier runs in the folder added."""
    from bench.records.journal import load_journals
    from bench.records.tables import suite_with_runs

    suite = named_suite(table, file)
    return suite_with_runs(suite, load_journals(out, suite.name), trust)


def shown_suite(table: str | None, file: Path | None, out: Path, trust: bool = False) -> Suite:
    """The suite to show of a folder: that of `--suite` where the file is there, else the installed or recorded one.

    What a reader should know of it is printed on stderr.
    """
    from bench.records.texts import suite_in

    if file is not None and (file.is_file() or not _recorded(file.stem, out)):
        return suite_of(None, file, out, trust)
    known = suite_in(out, (file.stem if file is not None else table) or "", trust)
    if known.note:
        print(f"note: {known.note}", file=sys.stderr)
    return known.suite


def _recorded(name: str, out: Path) -> bool:
    from bench.records.journal import load_journals

    return any("suite" in journal.texts for journal in load_journals(out, name)[-1:])


def positive(text: str) -> int:
    """A whole number from 1."""
    return _whole(text, 1)


def whole(text: str) -> int:
    """A whole number from 0."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > _DIGITS or int(text) < least:
        raise argparse.ArgumentTypeError(
            f"expected a whole number from {least}, of at most {_DIGITS} digits, got {text[:40]!r}"
        )
    return int(text)


def one_of(*choices: str) -> Callable[[str], str]:
    """One of several words; the error lists them."""

    def check(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"expected one of {', '.join(choices)}, got {text!r}")
        return text

    return check
