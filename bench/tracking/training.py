"""Mirrors training runs into MLflow, one MLflow run for each, however often it is stopped and resumed.

The log.jsonl in the run's folder is the truth: whatever happens to the server costs one warning and no training. After
a failure MLflow is left alone for a while; then it gets the numbers that it missed.
"""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bench.runs.provenance import provenance
from bench.tracking.store import MlflowStore, in_one_line, provenance_tags, without_password
from hcflow.images.io import Pixels
from hcflow.train.observers import RunInfo, RunStatus

if TYPE_CHECKING:
    from mlflow import MlflowClient

_EXPERIMENT = "training"
_PAUSE = 300.0  # seconds without MLflow after a failure: one time-out in five minutes does not hold up training
_STATUS: dict[RunStatus, str] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
_REFUSED = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")  # it would be refused again

_Entry = Callable[["MlflowClient", str], object]


class MlflowLog:
    """A `hcflow.train.observers.Log`: parameters, files, numbers, pictures and the best weights of one run."""

    def __init__(self, folder: Path, out: Path) -> None:
        self._folder = folder
        self._store = MlflowStore(out)
        self._about = RunInfo(folder.name, folder, {}, {}, {})
        self._id: str | None = None
        self._waiting: deque[_Entry] = deque()
        self._earlier: set[tuple[str, int, float]] = set()
        self._best: int | None = None
        self._again = -math.inf
        self._warned = False

    def start(self, run: RunInfo) -> None:
        """Make the run, or take up the one that `run.resumed` names."""
        self._about = run
        self._send(self._describe)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Add the finite numbers; MLflow would store infinity as 1.8e308."""
        now = int(time.time() * 1000)
        finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        self._send(lambda client, run: self._log_numbers(client, run, step, finite, now))

    def images(self, step: int, grids: Mapping[str, Pixels]) -> None:
        """Add pictures; while MLflow is away they are not kept for it."""
        if time.monotonic() < self._again:
            return
        pictures = {f"samples/{Path(name).stem}-{step:08d}.png": grid.copy() for name, grid in grids.items()}

        def add(client: MlflowClient, run: str) -> None:
            for name, picture in pictures.items():
                client.log_image(run, picture, name)

        self._send(add)

    def best(self, step: int, path: Path) -> None:
        """Replace the best weights; of several that MLflow missed it gets the last."""
        self._best = step

        def replace(client: MlflowClient, run: str) -> None:
            if step == self._best and path.is_file():
                client.log_artifact(run, str(path), "weights")
                client.set_tag(run, "best.step", str(step))

        self._send(replace)

    def memory(self) -> dict[str, str]:
        """The run to take up again; while MLflow is away, the one that was to be taken up."""
        if self._id is None:
            return {name: value for name, value in self._about.resumed.items() if name.startswith("mlflow_")}
        return {"mlflow_run_id": self._id, "mlflow_uri": without_password(self._store.uri)}

    def end(self, status: RunStatus) -> None:
        """Close the run, after whatever is still to be told."""
        self._again = -math.inf
        self._send(lambda client, run: client.set_terminated(run, _STATUS[status]))

    def _send(self, entry: _Entry) -> None:
        """Tell MLflow this and what waits before it, unless it is being left alone."""
        self._waiting.append(entry)
        if time.monotonic() < self._again:
            return
        try:
            client = self._store.client()
            if self._id is None:
                self._id = self._open(client)
            while self._waiting:
                self._try(self._waiting[0], client, self._id)
                self._waiting.popleft()
        except Exception as error:  # MLflow raises requests', SQLAlchemy's, its own and OSError alike
            self._again = time.monotonic() + _PAUSE
            self._warn(error)

    def _try(self, entry: _Entry, client: MlflowClient, run: str) -> None:
        """Raises what may pass; what would be refused again must not keep the rest waiting."""
        from mlflow.exceptions import MlflowException

        try:
            entry(client, run)
        except MlflowException as error:
            if error.error_code not in _REFUSED:
                raise
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            server, truth = without_password(self._store.uri), self._folder / "log.jsonl"
            reason = in_one_line(error)
            print(f"warning: MLflow at {server} may miss some of the run; {truth} has it ({reason})", file=sys.stderr)

    def _open(self, client: MlflowClient) -> str:
        """Id of the run that is taken up, or of a new one."""
        experiment = self._store.experiment(_EXPERIMENT)
        resumed = self._about.resumed.get("mlflow_run_id")
        if resumed and self._take_up(client, resumed):
            return resumed
        tags = {"bench.kind": "training", "folder": str(self._about.folder.resolve())}
        return str(client.create_run(experiment, tags=tags, run_name=self._about.name).info.run_id)

    def _take_up(self, client: MlflowClient, run: str) -> bool:
        """Whether the server still has the run; notes what was logged, for a run repeats the steps since its save."""
        from mlflow.exceptions import MlflowException

        try:
            found = client.get_run(run)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        if found.info.lifecycle_stage != "active":
            return False
        for name in found.data.metrics:
            history = client.get_metric_history(run, name)
            self._earlier |= {(name, metric.step, metric.value) for metric in history}
        client.update_run(run, status="RUNNING")
        return True

    def _describe(self, client: MlflowClient, run: str) -> None:
        """Parameters, files, commit; MLflow keeps the first value of a parameter, so a later one becomes a tag."""
        from mlflow.entities import Param, RunTag

        known = client.get_run(run).data.params
        values = {name: str(value) for name, value in self._about.parameters.items()}
        tags = provenance_tags(provenance(torch.device(values.get("device", "cpu"))))
        tags |= {f"resumed.{name}": value for name, value in values.items() if known.get(name, value) != value}
        client.log_batch(
            run,
            params=[Param(name, value) for name, value in values.items() if name not in known],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        for name, text in self._about.files.items():
            client.log_text(run, text, name)

    def _log_numbers(self, client: MlflowClient, run: str, step: int, values: Mapping[str, float], when: int) -> None:
        """Repeating a step adds nothing where the numbers are the same, else a second, later point."""
        from mlflow.entities import Metric

        new = {name: value for name, value in values.items() if (name, step, value) not in self._earlier}
        if new:
            client.log_batch(run, metrics=[Metric(name, value, when, step) for name, value in new.items()])
