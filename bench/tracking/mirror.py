"""One journal and its runs in MLflow."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError
from bench.records import store as records
from bench.records.journal import Entry, Journal, still_runs, this_process
from bench.records.tables import Cell, cells_of, suite_with_runs
from bench.records.texts import recorded
from bench.records.trust import unsafe_suite
from bench.runs.recording import manifest_in
from bench.suites.reading import load_suite
from bench.suites.suite import Suite
from bench.tracking import cells as logged
from bench.tracking.samples import samples
from bench.tracking.store import provenance_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

RUN, KIND = "bench.run", "bench.kind"
_KEY, _WRITER = "bench.key", "bench.writer"
_PARENT = "mlflow.parentRunId"
_TABLE = "cells.json"
_SAMPLES = 3  # images of a row on a data set whose LR, SR and HR are shown


class Mirror:
    """One journal and its runs in MLflow; it keeps other writers out meanwhile (`MlflowStore.alone`)."""

    def __init__(self, client: MlflowClient, experiment: str, out: Path, journal: Journal, suite: Suite | None) -> None:
        self._client, self._experiment, self._out, self._journal = client, experiment, out, journal
        self._suite = suite
        self._known: dict[tuple[str, str], list[Cell]] = {}  # of a row on a data set, for the time of one `bring`

    def bring(self) -> str:
        """Create what is missing; returns the parent's id."""
        parent: str | None = None
        mirrored: dict[str, dict[str, str]] = {}  # row and data set -> key of its state -> run id
        self._rows: dict[str, str] = {}
        self._changed = False
        for run in search(self._client, self._experiment, f"tags.`{RUN}` = '{self._journal.run}'"):
            if run.data.tags.get(KIND) == "reproduction":
                parent = str(run.info.run_id)
                self._changed = run.info.status == "RUNNING"  # whoever mirrored it may not have come to its end
            elif run.data.tags.get(KIND) == "row":
                self._rows[run.data.tags["row"]] = str(run.info.run_id)
            elif _KEY in run.data.tags:
                key = run.data.tags[_KEY]
                mirrored.setdefault(key.rpartition(", ")[0], {})[key] = str(run.info.run_id)
                self._free(run)
            elif _abandoned(run):
                self._client.delete_run(run.info.run_id)
        if parent is None:
            name = f"{self._journal.table} {self._journal.started}"
            parent = self._create(name, _milliseconds(self._journal.started), {KIND: "reproduction"})
        self._rank_first()
        rows = {row.name for row in self._suite.rows} if self._suite is not None else set()
        known = set(self._rows)
        for entry in self._journal.entries:
            ended = entry.state in ("done", "failed") and entry.restored
            if not ended or entry.row not in rows:  # a row that is gone cannot be named
                continue
            states = mirrored.get(_place_of(entry), {})
            if _key_of(entry) not in states:
                self._cell(parent, entry)
                self._changed = True
            elif entry.row not in known:  # an earlier version mirrored its cells alone
                self._row(parent, entry, self._cells(entry))
            for key in states.keys() - {_key_of(entry)}:  # tried again, or another part came: the new state counts
                self._client.delete_run(states[key])
                self._changed = True
        self._end(parent)
        return parent

    def _free(self, run: Run) -> None:
        """Let a cell that an earlier version nested stand beside the others."""
        if _PARENT in run.data.tags:
            self._client.delete_tag(run.info.run_id, _PARENT)
            self._client.set_tag(run.info.run_id, "kind", "cell")

    def _create(self, name: str, started: int, tags: dict[str, str]) -> str:
        common_tags = {
            RUN: self._journal.run, _WRITER: json.dumps(this_process()), "table": self._journal.table,
            "reproduction": self._journal.run, **provenance_tags(self._journal.provenance),
        }  # fmt: skip
        common_tags |= {**tags, "kind": tags[KIND]}  # the name with a dot needs quotes in MLflow's search
        run = self._client.create_run(self._experiment, start_time=started, tags=common_tags, run_name=name)
        return str(run.info.run_id)

    def _cells(self, entry: Entry) -> list[Cell]:
        """Those with a value; none for a row that the table does not have any more."""
        place = (entry.row, entry.dataset)
        if place not in self._known:
            row = next((row for row in self._suite.rows if row.name == entry.row), None) if self._suite else None
            found = [] if self._suite is None or row is None else cells_of(self._suite, row, self._out, entry)
            self._known[place] = [cell for cell in found if cell.value is not None]
        return self._known[place]

    def _rank_first(self) -> None:
        """Tell MLflow which metric its charts start with."""
        if self._suite is not None:
            first = logged.key(self._suite.columns[0].id)
            self._client.set_experiment_tag(self._experiment, "mlflow.experiment.primaryMetric.name", first)

    def _row(self, parent: str, entry: Entry, cells: list[Cell]) -> None:
        """The run of a row over its data sets: `Set5/psnr_y` and so on; times are those of all its data sets."""
        from mlflow.entities import Metric

        mine = [one for one in self._journal.entries if one.row == entry.row and one.restored]
        started = min(_milliseconds(one.started or self._journal.started) for one in mine)
        ended = max(_milliseconds(one.finished or self._journal.started) for one in mine)
        if entry.row not in self._rows:
            tags = {KIND: "row", "reproduction.run": parent, "row": entry.row}
            self._rows[entry.row] = self._create(entry.row, started, tags)
            self._client.log_param(self._rows[entry.row], "row", entry.row)
        run, at = self._rows[entry.row], _milliseconds(entry.finished or self._journal.started)
        data = logged.key(entry.dataset)
        numbers = {
            f"{data}/{n}": v for cell in cells for n, v in logged.metrics(cell).items() if n == logged.key(cell.column)
        }
        self._client.log_batch(run, metrics=[Metric(name, value, at, 0) for name, value in numbers.items()])
        if self._suite is not None:
            whole = [cell for one in mine for cell in self._cells(one)]
            about = logged.description(self._suite, whole, self._report(parent))
            self._client.set_tag(run, "mlflow.note.content", about)
        failed = any(one.state == "failed" for one in mine)
        self._client.set_terminated(run, "FAILED" if failed else "FINISHED", end_time=ended)

    def _cell(self, parent: str, entry: Entry) -> None:
        """The run of a row on a data set."""
        from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag

        cells = self._cells(entry)
        started, ended = (_milliseconds(text or self._journal.started) for text in (entry.started, entry.finished))
        data, digest = entry.dataset, _data_digest(self._journal, entry)
        tags = {
            KIND: "cell", "reproduction.run": parent, "state": entry.state, "row": entry.row, "dataset": data,
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
        for name, picture in samples(self._out, cells, _SAMPLES).items():
            self._client.log_image(run, picture, f"samples/{name}.png")
        if self._suite is not None:
            about = logged.description(self._suite, cells, self._report(parent))
            self._client.set_tag(run, "mlflow.note.content", about)
        self._row(parent, entry, cells)
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

    def _report(self, parent: str) -> str:
        """Where the rendered table is, inside MLflow."""
        return f"#/experiments/{self._experiment}/runs/{parent}/artifacts/tables/{self._journal.table}.html"

    def _end(self, parent: str) -> None:
        """Close the parent of a run that has ended, by itself or by a kill."""
        journal, client = self._journal, self._client
        if journal.finished is None and journal.alive:
            return
        cells = [cell for entry in journal.entries if entry.restored for cell in self._cells(entry)]
        table = logged.as_table(cells)
        if table and _TABLE not in {file.path for file in client.list_artifacts(parent)}:
            client.log_table(parent, table, _TABLE)
        elif table and self._changed:  # log_table would append; this is the form that it writes
            lines = [list(line) for line in zip(*table.values(), strict=True)]
            client.log_dict(parent, {"columns": list(table), "data": lines}, _TABLE)
        if self._suite is not None:
            client.set_tag(parent, "mlflow.note.content", logged.description(self._suite, cells, self._report(parent)))
        for state in ("done", "failed", "not run"):
            count = sum(one.state == state for one in journal.entries)
            client.set_tag(parent, f"rows.{state.replace(' ', '_')}", str(count))
        last = max([journal.started, *(entry.finished for entry in journal.entries)])
        failed = any(entry.state == "failed" for entry in journal.entries)
        status = "KILLED" if journal.finished is None else "FAILED" if failed else "FINISHED"
        client.set_terminated(parent, status, end_time=_milliseconds(journal.finished or last))


def search(client: MlflowClient, experiment: str, query: str) -> list[Run]:
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
    return f"{_place_of(entry)}, {entry.finished}"


def _place_of(entry: Entry) -> str:
    return f"{entry.row} on {entry.dataset}"[:200]


def _data_digest(journal: Journal, entry: Entry) -> str:
    """Of the data set as the run's manifest has it; of the pixels that were seen, where there is none."""
    try:
        return manifest_in(journal, entry.dataset).digest[:32]
    except BenchError:
        return records.digest_of(dict(entry.pixels))[:32]


def suite_of(journal: Journal, suite: Suite | None, trust: bool = False) -> Suite | None:
    """The table of a run as it was then, with the rows and columns that it added; None where nobody knows it.

    Args:
        journal: of the run.
        suite: the table of that name that this process has; of it where the journal's names modules.
        trust: also look up names of modules in the journal, which runs their code.
    """
    try:
        if "suite" in journal.texts and not (suite is not None and unsafe_suite(journal.texts["suite"])):
            return suite_with_runs(recorded(journal.table, journal.texts, trust), [journal], trust)
        return suite_with_runs(suite or load_suite(journal.table.removeprefix("table")), [journal], trust)
    except BenchError:
        return None


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)
