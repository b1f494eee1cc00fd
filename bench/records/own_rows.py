"""Rows that a user added to a table, kept in the journals of the runs that added them: showing them needs no model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.errors import BenchError
from bench.jsons import Json
from bench.records.journal import Journal, warn_once
from bench.records.trust import left_out, unsafe_row
from bench.structured import build
from bench.suites.reading import with_controls
from bench.suites.suite import Row, Suite


def as_json(suite: Suite, rows: Iterable[Row]) -> list[Json]:
    """Those of the rows that are beside the suite's own, for a journal."""
    known = {row.name for row in suite.rows}
    return [dataclasses.asdict(row) for row in rows if row.name not in known]


def added_rows(journal: Journal) -> list[Json]:
    """The rows that a run added, as its journal has them; none where it holds something else."""
    added = journal.command.get("own_rows")
    return [raw for raw in added if isinstance(raw, dict)] if isinstance(added, list) else []


def with_own_rows(suite: Suite, journals: Iterable[Journal], trust: bool = False) -> Suite:
    """The suite with the rows that runs added to it, each behind the row it stands beside; `trust`: see `trust.HOW`."""
    found: dict[str, Row] = {}
    for journal in journals:
        for raw in added_rows(journal):
            try:
                row = build(Row, raw, "row")
            except BenchError:
                continue  # of another version; its values cannot be placed
            if wrong := with_controls(row):
                warn_once(f"a row of an earlier run is left out: {wrong}")
                continue
            if not trust and (name := unsafe_row(row)):
                warn_once(left_out("row", row.name, name))
                continue
            found[row.name] = row
    return with_rows(suite, [row for row in found.values() if row.name not in {known.name for known in suite.rows}])


def with_rows(suite: Suite, rows: Sequence[Row]) -> Suite:
    """The suite with more rows, or newer ones of the same name."""
    names = {row.name for row in rows}
    kept = [row for row in suite.rows if row.name not in names]
    for row in rows:
        places = [i for i, other in enumerate(kept) if row.beside and row.beside in (other.name, other.beside)]
        kept.insert(places[-1] + 1 if places else len(kept), row)
    return replace(suite, rows=tuple(kept))
