"""Mirrors records into MLflow. The records are the truth: whatever happens to the server, no result is lost.

Experiment = table; parent run = one reproduction, with `HCFlow/Set5/psnr_y` and the like; nested run = one row on one
data set, with its parameters, its metrics, tags to group by and its per-image values. Mirroring twice changes nothing.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.datasets.manifest import load_manifest
from bench.errors import BenchError
from bench.records import store as records
from bench.records.journal import Entry, Journal, load_journals, still_runs, this_process
from bench.records.tables import Cell, cells_of, suite_with_runs
from bench.suites.suite import Suite, load_suite
from bench.tracking import cells as logged
from bench.tracking.store import MlflowStore, in_one_line, provenance_tags, without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_RUN, _KEY, _KIND, _WRITER = "bench.run", "bench.key", "bench.kind", "bench.writer"
_TABLE = "cells.json"


class Tracker:
    """Mirrors the journals of one results folder; after the first failure it stays quiet and says how to catch up.

    Attributes:
        out: results folder.
        uri: of MLflow.
        failure: what went wrong, or None.
        seconds: spent on it.
    """

    def __init__(self, out: Path, suite: Suite | None = None) -> None:
        self.out = out
        self._suite = suite
        self._store = MlflowStore(out)
        self.uri = self._store.uri
        self.failure: str | None = None
        self.seconds = 0.0
        self._experiment = ""
        self._settled = False

    def mirror(self, journal: Journal) -> None:
        """Bring MLflow up to date with a run; a server that is down costs one warning, never a result."""

        def bring() -> None:
            with self._store.alone():
                self._mirror(journal)
                if not self._settled:
                    self._settle(journal)
                    self._settled = True

        self._guard(bring)

    def attach(self, journal: Journal, files: Iterable[Path]) -> None:
        """Add the rendered tables to the run of a reproduction."""

        def add() -> None:
            with self._store.alone():
                parent = self._mirror(journal)
                for path in files:
                    self._store.client().log_artifact(parent, os.fspath(path), "tables")

        self._guard(add)

    def summary(self) -> str:
        """Where the runs are and how to look at them, or how to import them later."""
        catch_up = f"python -m bench track --out {self.out}"
        if self.failure:
            return f"MLflow: not mirrored ({self.failure}); the results are kept. To import them later: {catch_up}"
        uri = without_password(self.uri)
        served = "" if self.uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}  then  "
        link = self._store.link(self._experiment) if self._experiment else uri
        return f"MLflow ({self.seconds:.1f} s): {served}{link}"

    def _mirror(self, journal: Journal) -> str:
        self._experiment = self._store.experiment(journal.table)
        suite = self._suite if self._suite is not None and self._suite.name == journal.table else None
        return _Mirror(self._store.client(), self._experiment, self.out, journal, _suite(journal, suite)).bring()

    def _settle(self, current: Journal) -> None:
        """Finish what runs that were killed began, so that none of them stays RUNNING for ever."""
        found = _search(self._store.client(), self._experiment, f"tags.`{_KIND}` = 'reproduction'")
        running = {run.data.tags.get(_RUN) for run in found if run.info.status == "RUNNING"} - {current.run}
        if running:
            for journal in load_journals(self.out, current.table):
                if journal.run in running and not journal.alive:
                    self._mirror(journal)

    def _guard(self, action: Callable[[], None]) -> None:
        if self.failure:
            return
        started = time.monotonic()
        try:
            action()
        except Exception as error:  # MLflow raises requests', SQLAlchemy's, its own and OSError alike
            self.failure = in_one_line(error)
            server = without_password(self.uri)
            print(f"warning: no MLflow at {server} ({self.failure}); results are kept in {self.out}", file=sys.stderr)
        finally:
            self.seconds += time.monotonic() - started


class _Mirror:
    """One journal and its runs in MLflow; it keeps other writers out meanwhile (`MlflowStore.alone`)."""

    def __init__(self, client: MlflowClient, experiment: str, out: Path, journal: Journal, suite: Suite | None) -> None:
        self._client, self._experiment, self._out, self._journal = client, experiment, out, journal
        self._suite = suite

    def bring(self) -> str:
        """Create what is missing; returns the parent's id."""
        parent: str | None = None
        mirrored = set()
        for run in _search(self._client, self._experiment, f"tags.`{_RUN}` = '{self._journal.run}'"):
            if run.data.tags.get(_KIND) == "reproduction":
                parent = str(run.info.run_id)
            elif _KEY in run.data.tags:
                mirrored.add(run.data.tags[_KEY])
            elif _abandoned(run):
                self._client.delete_run(run.info.run_id)
        if parent is None:
            name = f"{self._journal.table} {self._journal.started}"
            parent = self._create(name, _milliseconds(self._journal.started), {_KIND: "reproduction"})
        rows = {row.name for row in self._suite.rows} if self._suite is not None else set()
        for entry in self._journal.entries:
            ended = entry.state in ("done", "failed") and entry.restored
            if ended and entry.row in rows and _key_of(entry) not in mirrored:  # a row that is gone cannot be named
                self._row(parent, entry)
        self._end(parent)
        return parent

    def _create(self, name: str, started: int, tags: dict[str, str]) -> str:
        common_tags = {
            _RUN: self._journal.run, _WRITER: json.dumps(this_process()), "table": self._journal.table,
            "reproduction": self._journal.run, **provenance_tags(self._journal.provenance),
        }  # fmt: skip
        run = self._client.create_run(self._experiment, start_time=started, tags={**common_tags, **tags}, run_name=name)
        return str(run.info.run_id)

    def _cells(self, entry: Entry) -> list[Cell]:
        """Those with a value; none for a row that the table does not have any more."""
        row = next((row for row in self._suite.rows if row.name == entry.row), None) if self._suite else None
        if self._suite is None or row is None:
            return []
        return [cell for cell in cells_of(self._suite, row, self._out, entry) if cell.value is not None]

    def _row(self, parent: str, entry: Entry) -> None:
        """The nested run of a row on a data set."""
        from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag

        cells = self._cells(entry)
        started, ended = (_milliseconds(text or self._journal.started) for text in (entry.started, entry.finished))
        data, digest = entry.dataset, _data_digest(entry)
        tags = {
            _KIND: "cell", "mlflow.parentRunId": parent, "state": entry.state, "row": entry.row, "dataset": data,
            "dataset.digest": digest,
        }  # fmt: skip
        run = self._create(f"{entry.row} on {data}", started, tags)
        facts = [one.facts for each in entry.restored for one in records.read(self._out, each.digest).values()]
        numbers = {name: value for cell in cells for name, value in logged.metrics(cell).items()}
        numbers |= logged.seconds_per_image(facts)
        self._client.log_inputs(run, [DatasetInput(Dataset(data, digest, "manifest", f"datasets/{data}.toml"))])
        self._client.log_batch(
            run,
            metrics=[Metric(n, v, ended, 0, dataset_name=data, dataset_digest=digest) for n, v in numbers.items()],
            params=[Param(name, str(value)) for name, value in self._parameters(entry, cells, digest).items()],
            tags=[RunTag(name, text) for name, text in logged.tags(cells).items()],
        )
        self._client.log_text(run, logged.per_image(cells), "per_image.csv")
        place = f"{logged.key(entry.row)}/{logged.key(data)}"
        mine = {
            f"{place}/{n}": v for cell in cells for n, v in logged.metrics(cell).items() if n == logged.key(cell.column)
        }
        self._client.log_batch(parent, metrics=[Metric(n, v, ended, 0) for n, v in mine.items()])
        self._client.set_terminated(run, "FINISHED" if entry.state == "done" else "FAILED", end_time=ended)
        self._client.set_tag(run, _KEY, _key_of(entry))  # last: what lacks it is not whole

    def _parameters(self, entry: Entry, cells: list[Cell], digest: str) -> dict[str, Any]:
        specifications = [records.specification_of(self._out, one.digest) or {} for one in entry.restored]
        first = specifications[0]
        weights = dict.fromkeys(text for one in specifications for text in one.get("weights", []))
        return {
            "row": entry.row, "dataset": entry.dataset, "table": self._journal.table,
            "method": first.get("method", "unknown"), "scale": first.get("scale", "unknown"),
            "temperature": ", ".join(dict.fromkeys(f"{one.temperature:g}" for one in entry.restored)),
            "draws": max(one.draws for one in entry.restored),
            "precision": first.get("precision", "unknown"),
            "weights_digest": ", ".join(weights) or "none", "data_digest": digest,
            **logged.protocols(cells),
            **{f"setting.{name}": value for name, value in first.get("settings", {}).items()},
        }  # fmt: skip

    def _end(self, parent: str) -> None:
        """Close the parent of a run that has ended, by itself or by a kill."""
        journal, client = self._journal, self._client
        if journal.finished is None and journal.alive:
            return
        cells = [cell for entry in journal.entries if entry.restored for cell in self._cells(entry)]
        table = logged.as_table(cells)
        if table and _TABLE not in {file.path for file in client.list_artifacts(parent)}:  # log_table would append
            client.log_table(parent, table, _TABLE)
        if self._suite is not None:
            client.set_tag(parent, "mlflow.note.content", logged.description(self._suite, cells))
        for state in ("done", "failed", "not run"):
            count = sum(one.state == state for one in journal.entries)
            client.set_tag(parent, f"rows.{state.replace(' ', '_')}", str(count))
        last = max([journal.started, *(entry.finished for entry in journal.entries)])
        failed = any(entry.state == "failed" for entry in journal.entries)
        status = "KILLED" if journal.finished is None else "FAILED" if failed else "FINISHED"
        client.set_terminated(parent, status, end_time=_milliseconds(journal.finished or last))


def _search(client: MlflowClient, experiment: str, query: str) -> list[Run]:
    """All runs that fit; MLflow gives them in pages."""
    found: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment], query, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _abandoned(run: Run) -> bool:
    """Whether the process that made half of a run is gone, or is this one, which then failed to finish it earlier."""
    try:
        writer = json.loads(run.data.tags.get(_WRITER, ""))
    except ValueError:
        return True
    return not isinstance(writer, dict) or writer == this_process() or not still_runs(writer)


def _key_of(entry: Entry) -> str:
    """What tells a mirrored row on a data set from others of its run, and from an earlier state of itself."""
    return f"{entry.row} on {entry.dataset}, {entry.finished}"[:250]


def _data_digest(entry: Entry) -> str:
    """Of the data set as its manifest has it; of the pixels that were seen, where the manifest is missing."""
    try:
        return load_manifest(entry.dataset).digest[:32]
    except BenchError:
        return records.digest_of(dict(entry.pixels))[:32]


def _suite(journal: Journal, suite: Suite | None) -> Suite | None:
    """The table of a run, with the rows and columns that it added; None for a user's table without its file."""
    try:
        return suite_with_runs(suite or load_suite(journal.table.removeprefix("table")), [journal])
    except BenchError:
        return None


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)
