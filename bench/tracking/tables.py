"""Mirrors records into MLflow. The records are the truth: whatever happens to the server, no result is lost.

Experiment = table; parent run = one reproduction; nested run = one cell, with its parameters, its metrics (with data
set name and digest), its protocol ids as tags and its per-image values as an artifact. Mirroring twice changes nothing.
"""

from __future__ import annotations

import csv
import io
import math
import os
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.datasets.manifest import load_manifest
from bench.errors import BenchError
from bench.records.journal import Entry, Journal
from bench.records.tables import Cell, cells_of, suite_with_runs
from bench.suites.suite import Suite, load_suite
from bench.tracking.store import MlflowStore, in_one_line, provenance_tags, without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient

_BEGAN = int(time.time() * 1000)  # what is older and half made was made by a process that is gone
_RUN, _KEY, _KIND = "bench.run", "bench.key", "bench.kind"


class Tracker:
    """Mirrors the journals of one results folder; after the first failure it stays quiet and says how to catch up."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._store = MlflowStore(out)
        self.uri = self._store.uri
        self.failure: str | None = None

    def mirror(self, journal: Journal) -> None:
        """Bring MLflow up to date with a run; a server that is down costs one warning, never a result."""
        self._guard(lambda store: _mirror(store, self.out, journal))

    def attach(self, journal: Journal, files: Iterable[Path]) -> None:
        """Add the rendered tables to the run of a reproduction."""

        def add(store: MlflowStore) -> None:
            parent = _mirror(store, self.out, journal)
            for path in files:
                store.client().log_artifact(parent, os.fspath(path), "tables")

        self._guard(add)

    def summary(self) -> str:
        """One line: where the runs are, or how to import them later."""
        catch_up = f"python -m bench track --out {self.out}"
        if self.failure:
            return f"MLflow: nothing lost, but not mirrored ({self.failure}); when the server is back: {catch_up}"
        return f"MLflow: {self.uri} (browse: mlflow ui --backend-store-uri {self.uri})"

    def _guard(self, action: Callable[[MlflowStore], object]) -> None:
        if self.failure:
            return
        try:
            action(self._store)
        except BenchError:
            raise
        except Exception as error:  # MLflow raises requests', SQLAlchemy's, its own and OSError alike
            self.failure = in_one_line(error)
            server = without_password(self.uri)
            print(f"warning: MLflow at {server} does not answer; results are kept in {self.out}", file=sys.stderr)


def _mirror(store: MlflowStore, out: Path, journal: Journal) -> str:
    """Create what is missing of a run and its cells; returns the parent's id."""
    client, experiment = store.client(), store.experiment(journal.table)
    parent, mirrored = None, set()
    for run in client.search_runs([experiment], f"tags.`{_RUN}` = '{journal.run}'", max_results=5000):
        if run.data.tags.get(_KIND) == "reproduction":
            parent = str(run.info.run_id)
        elif _KEY in run.data.tags:
            mirrored.add(run.data.tags[_KEY])
        elif run.info.start_time < _BEGAN or not journal.alive:  # half of it: its writer was killed
            client.delete_run(run.info.run_id)
    if parent is None:
        parent = _create(client, experiment, journal, f"{journal.table} {journal.started}", {_KIND: "reproduction"})
    for entry in journal.entries:
        if entry.state in ("done", "failed") and entry.restored and _key_of(entry) not in mirrored:
            _mirror_cell(client, out, experiment, parent, journal, entry)
    if journal.finished:
        counts = {state: sum(one.state == state for one in journal.entries) for state in ("done", "failed", "not run")}
        for state, count in counts.items():
            client.set_tag(parent, f"cells.{state.replace(' ', '_')}", str(count))
        failed = counts["failed"] > 0
        client.set_terminated(parent, "FAILED" if failed else "FINISHED", end_time=_milliseconds(journal.finished))
    elif not journal.alive:
        client.set_terminated(parent, "KILLED")
    return parent


def _key_of(entry: Entry) -> str:
    """What tells a mirrored row on a data set from others of its run, and from an earlier state of itself."""
    return f"{entry.row} on {entry.dataset}, {entry.finished}"[:250]


def _create(client: MlflowClient, experiment: str, journal: Journal, name: str, tags: dict[str, str]) -> str:
    common = {"mlflow.runName": name, _RUN: journal.run, **provenance_tags(journal.provenance)}
    run = client.create_run(
        experiment, start_time=_milliseconds(journal.started), tags={**common, **tags}, run_name=name
    )
    return str(run.info.run_id)


def _mirror_cell(client: MlflowClient, out: Path, experiment: str, parent: str, journal: Journal, entry: Entry) -> None:
    from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag

    suite = _suite(journal)
    if suite is None or entry.row not in {row.name for row in suite.rows}:
        return  # a table of your own, or a row that is gone: its cells cannot be named
    row = next(row for row in suite.rows if row.name == entry.row)
    manifest = load_manifest(entry.dataset)
    cells = [cell for cell in cells_of(suite, row, out, entry) if cell.value is not None]
    name = f"{row.name} on {manifest.name}"
    digest = manifest.digest[:32]
    tags = {
        _KIND: "cell", "mlflow.parentRunId": parent, "state": entry.state,
        "dataset.name": manifest.name, "dataset.digest": digest,
    }  # fmt: skip
    run = _create(client, experiment, journal, name, tags)
    parameters = {
        "row": row.name, "method": row.method, "dataset": manifest.name, "scale": suite.scale,
        "temperature": row.temperature, "precision": row.precision,
        **{f"setting.{k}": v for k, v in row.settings.items()},
    }  # fmt: skip
    now = _milliseconds(journal.finished or journal.started)
    client.log_inputs(run, [DatasetInput(Dataset(manifest.name, digest, "manifest", f"datasets/{manifest.name}.toml"))])
    client.log_batch(
        run,
        metrics=[
            Metric(key, value, now, 0, dataset_name=manifest.name, dataset_digest=digest, run_id=run)
            for cell in cells
            for key, value in _metrics(cell).items()
        ],
        params=[Param(key, str(value)) for key, value in parameters.items()],
        tags=[RunTag(key, value) for cell in cells for key, value in _tags(cell).items()],
    )
    client.log_text(run, _per_image(cells), "per_image.csv")
    client.set_terminated(run, "FINISHED" if entry.state == "done" else "FAILED", end_time=now)
    client.set_tag(run, _KEY, _key_of(entry))  # last: what lacks it is not whole


def _suite(journal: Journal) -> Suite | None:
    """The table of a run, with the rows and columns that it added."""
    try:
        return suite_with_runs(load_suite(journal.table.removeprefix("table")), [journal])
    except BenchError:
        return None


def _metrics(cell: Cell) -> dict[str, float]:
    """Finite numbers only: MLflow would store infinity as 1.8e308."""
    assert cell.value is not None
    assert cell.value_as_published is not None
    numbers = {
        cell.column: cell.value.mean,
        f"{cell.column}.stderr": cell.value.stderr,
        f"{cell.column}.as_published": cell.value_as_published.mean,
        f"{cell.column}.difference": cell.difference,
        f"{cell.column}.images": float(cell.value.n),
    }
    return {key: value for key, value in numbers.items() if value is not None and math.isfinite(value)}


def _tags(cell: Cell) -> dict[str, str]:
    assert cell.value is not None
    tags = {
        f"{cell.column}.protocol": cell.protocol,
        f"{cell.column}.protocol_as_published": cell.protocol_as_published,
        f"{cell.column}.verdict": f"{cell.verdict}{': ' + cell.reason if cell.reason else ''}",
    }
    if cell.value.infinite:
        tags[f"{cell.column}.infinite"] = f"the mean is infinite: {cell.value.infinite} images have an infinite value"
    return tags


def _per_image(cells: list[Cell]) -> str:
    """image, measure, draw, value: one line per number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "measure", "temperature", "draw", "value"])
    for cell in cells:
        for image in cell.images:
            both = {cell.protocol: image.common, cell.protocol_as_published: image.as_published}
            for measure, draws in both.items():
                for draw, value in enumerate(draws):
                    writer.writerow([image.id, measure, cell.temperature, draw, repr(value)])
    return text.getvalue()


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)
