"""Suites from their files: those that come with the project, and your own; every name in them is checked."""

from __future__ import annotations

import math
import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PureWindowsPath

from bench.errors import BenchError, one_line
from bench.metrics.metric import Measure
from bench.registry import unknown
from bench.structured import build
from bench.suites.suite import Column, Note, Row, Suite

SUITES = Path(__file__).parent
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def suite_names() -> list[str]:
    """The suites that come with the project."""
    return sorted(path.stem for path in SUITES.glob("*.toml"))


def option_of(suite: Suite) -> str:
    """How a command names a suite: `--table 4`, or `--suite mine.toml`."""
    installed = suite.name in suite_names()
    return f"--table {suite.name.removeprefix('table')}" if installed else f"--suite {suite.name}.toml"


def load_suite(name: str) -> Suite:
    """The suite of `--table`: `4` and `table4` are the same.

    Raises:
        BenchError: there is none of that name; the message lists the choices.
    """
    full = f"table{name}" if name.isdigit() else name
    if full not in suite_names():
        raise unknown("table", name, [known.removeprefix("table") for known in suite_names()])
    return read_suite(SUITES / f"{full}.toml")


@lru_cache(maxsize=16)
def read_suite(path: Path) -> Suite:
    """Read a suite's file; every key, type and name in it is checked.

    Raises:
        BenchError: one line that names the place and what was expected.
    """
    try:
        return parse_suite(path.stem, path.read_text(encoding="utf-8"), path.parent)
    except OSError as error:
        raise BenchError(f"expected a suite's file (.toml), got {path} ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise BenchError(f"{path}: expected TOML in UTF-8, got other bytes") from None


def parse_suite(name: str, text: str, folder: Path, published: str | None = None) -> Suite:
    """A suite of the text of its file; `folder` is where its CSV file is looked for, unless its text is given."""
    try:
        raw = build(_SuiteFile, tomllib.loads(text), name)
        columns = tuple(Column(one.id, Measure.parse(one.measure), one.temperature) for one in raw.columns)
        suite = Suite(
            name, raw.title, raw.source, raw.scale, raw.datasets, columns, raw.rows, raw.fallback, raw.draws,
            raw.published, raw.published_column, raw.describe, raw.notes, folder, published,
        )  # fmt: skip
        _check(suite)
    except tomllib.TOMLDecodeError as error:
        raise BenchError(f"{name}: expected valid TOML, got an error: {error}") from None
    except RecursionError:
        raise BenchError(f"{name}: expected a suite, got TOML that is nested too deep") from None
    return suite


@dataclass(frozen=True)
class _ColumnFile:
    id: str
    measure: str
    temperature: float | None = None


@dataclass(frozen=True)
class _SuiteFile:
    title: str
    scale: int
    datasets: tuple[str, ...]
    columns: tuple[_ColumnFile, ...]
    rows: tuple[Row, ...]
    source: str = ""
    fallback: str = "Sample"
    draws: int = 5
    published: str = ""
    published_column: str = "{dataset}_{column}"
    describe: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def with_controls(row: Row) -> str:
    """What is wrong with a row whose names would move a terminal's cursor or break a line; empty for any other."""
    wrong = next((text for text in (row.name, row.beside, row.series) if _CONTROL.search(text)), "")
    return f"expected a name without control characters, got {one_line(wrong)}" if wrong else ""


def _check(suite: Suite) -> None:
    """Refuse what can be read but means nothing."""
    where = suite.name
    _refuse(not 1 <= suite.scale <= 16, f"{where}: expected a scale of 1 to 16, got {suite.scale}")
    _refuse(not 1 <= suite.draws <= 1000, f"{where}: expected 1 to 1000 draws, got {suite.draws}")
    for kind, names in (
        ("row", [row.name for row in suite.rows]),
        ("column", [column.id for column in suite.columns]),
        ("data set", list(suite.datasets)),
    ):
        _refuse(not names, f"{where}: expected at least one {kind}, got none")
        twice = [name for name, count in Counter(names).items() if count > 1]
        _refuse(bool(twice), f"{where}: expected every {kind} once, got {', '.join(twice)} twice")
    plain = PureWindowsPath(suite.published).name == suite.published and "\0" not in suite.published
    _refuse(not plain, f"{where}: expected published to be a plain file name, got {suite.published!r}")
    try:
        suite.published_column.format(dataset="", column="")
    except (KeyError, IndexError, ValueError):
        raise BenchError(f"{where}: expected {{dataset}} and {{column}} in published_column") from None
    for row in suite.rows:
        _check_row(suite, row)


def _check_row(suite: Suite, row: Row) -> None:
    _refuse(bool(wrong := with_controls(row)), f"{suite.name}: {wrong}")
    temperatures = [row.temperature, *(column.temperature or 0.0 for column in suite.columns)]
    right = all(math.isfinite(tau) and 0 <= tau <= 10 for tau in temperatures)
    _refuse(not right, f"{suite.name} row {row.name}: expected temperatures of 0 to 10, got {temperatures}")
    _refuse(row.seed < 0, f"{suite.name} row {row.name}: expected a seed from 0, got {row.seed}")
    _refuse(bool(row.key) and not suite.published, f"{suite.name} row {row.name}: a key needs `published`, a CSV file")
    metrics = {column.measure.metric for column in suite.columns}
    for one in row.as_published:
        for name in one.metrics:
            if name not in metrics:
                raise unknown("metric", name, sorted(metrics), f" in {suite.name} row {row.name} as_published")
            Measure.parse(f"{name}@{one.variant}")
    suite.csv_line(row)


def _refuse(wrong: bool, message: str) -> None:
    if wrong:
        raise BenchError(message)
