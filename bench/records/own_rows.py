"""Rows of one's own: weights that somebody trained, measured beside the paper's row, and kept in the runs' journals."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from bench.errors import BenchError
from bench.methods.hcflow import network
from bench.records.store import Journal, Json
from bench.suites.suite import Row, Suite, load_suite
from bench.typed import from_table


def own_row(suite: Suite, beside: Row, file: Path, label: str) -> Row:
    """A row for weights in a file, described as the row it stands beside; it is never compared with the paper.

    Raises:
        BenchError: the file does not exist, the row's method takes no weights, or the network is of another kind.
    """
    if not file.is_file():
        raise BenchError(f"expected a file of weights, got {file}; check the path")
    if beside.method != "hcflow":
        raise BenchError(f"expected a row of HCFlow to put weights of your own beside, got {beside.name}")
    task = beside.settings.get("task", "super-resolution")
    model = network(suite.scale, file, torch.device("cpu"), task)
    line = suite.csv_line(beside)
    describe = {name: line.get(name, "") for name in suite.describe}
    if "params" in describe:  # in millions, as tables print them
        describe["params"] = f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.2f}M"
    name = f"{beside.name} ({label})"
    return replace(
        beside,
        name=name,
        key={},
        describe=describe,
        needs=(str(file.resolve()),),
        beside=beside.name,
        as_published=None,
    )


def as_json(suite: Suite, rows: Iterable[Row]) -> list[Json]:
    """Those of the rows that are not in the suite's file, for a journal."""
    known = {row.name for row in load_suite(suite.name).rows}
    return [
        {name: value for name, value in dataclasses.asdict(row).items() if value is not None}
        for row in rows
        if row.name not in known
    ]


def with_own_rows(suite: Suite, journals: Iterable[Journal]) -> Suite:
    """The suite with the rows that runs added to it, each behind the row it stands beside."""
    found: dict[str, Row] = {}
    for journal in journals:
        for row in journal.command.get("own_rows", []):
            found[row["name"]] = from_table(Row, row, f"{journal.path} row")
    return with_rows(suite, list(found.values()))


def with_rows(suite: Suite, rows: Sequence[Row]) -> Suite:
    """The suite with more rows, or newer ones of the same name."""
    names = {row.name for row in rows}
    kept = [row for row in suite.rows if row.name not in names]
    for row in rows:
        places = [i for i, other in enumerate(kept) if row.beside in (other.name, other.beside)]
        kept.insert(places[-1] + 1 if places else len(kept), row)
    return replace(suite, rows=tuple(kept))
