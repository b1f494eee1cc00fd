"""A training run in MLflow: parameters, numbers by step, pictures, the best weights; one run, however often resumed."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bench.mlflow_server import MlflowServer
from bench.store import make_folder
from hcflow.images.io import Pixels
from hcflow.train.observers import Ending, RunInfo

if TYPE_CHECKING:
    from mlflow import MlflowClient

RESULTS = Path("results")
"""Where `nox -s ui` looks."""

_EXPERIMENT = "training"
_STATUS: dict[Ending, str] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class TrainingLog:
    """A `hcflow.train.observers.Log`. A server that is away costs one warning; the run's log.jsonl has it all."""

    def __init__(self, results: Path, folder: Path) -> None:
        if not os.environ.get("MLFLOW_TRACKING_URI"):
            make_folder(results)
        self._server = MlflowServer(results, f"the run's numbers are in {folder / 'log.jsonl'}")
        self._run: str | None = None

    def start(self, run: RunInfo) -> None:
        """Make a run, or go on with the one that the save names if this server has it."""

        def begin(client: MlflowClient) -> None:
            self._run = self._known(client, run.resumed)
            if self._run is not None:
                client.update_run(self._run, status="RUNNING")
                return
            from mlflow.entities import Param

            experiment = self._server.experiment(client, _EXPERIMENT)
            tags = {"bench.kind": "training", "folder": os.fspath(run.folder.resolve())}
            self._run = str(client.create_run(experiment, tags=tags, run_name=run.name).info.run_id)
            parameters = [Param(key, str(value)[:500]) for key, value in run.parameters.items()]
            client.log_batch(self._run, params=parameters)
            for name, text in run.files.items():
                client.log_text(self._run, text, name)

        self._server.attempt(begin)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Log the numbers that are finite: MLflow would store infinity as 1.8e308."""

        def send(client: MlflowClient, run: str) -> None:
            from mlflow.entities import Metric

            now = int(time.time() * 1000)
            finite = {name: value for name, value in values.items() if math.isfinite(value)}
            client.log_batch(run, metrics=[Metric(name, value, now, step) for name, value in finite.items()])

        self._attempt(send)

    def images(self, step: int, grids: Mapping[str, Pixels]) -> None:
        """Log pictures."""

        def send(client: MlflowClient, run: str) -> None:
            for name, grid in grids.items():
                client.log_image(run, grid, f"samples/{name}-{step:08d}.png")

        self._attempt(send)

    def best(self, step: int, path: Path) -> None:
        """Log the best weights, in place of the ones before."""

        def send(client: MlflowClient, run: str) -> None:
            client.log_artifact(run, os.fspath(path), "weights")
            client.set_tag(run, "best_step", str(step))

        self._attempt(send)

    def memory(self) -> Mapping[str, str]:
        """The run's id, for a resumed process."""
        return {} if self._run is None else {"mlflow_run_id": self._run, "mlflow_uri": self._server.uri}

    def end(self, ending: Ending) -> None:
        """Close the run."""
        self._attempt(lambda client, run: client.set_terminated(run, _STATUS[ending]))

    def _attempt(self, action: Callable[[MlflowClient, str], object]) -> None:
        run = self._run
        if run is not None:
            self._server.attempt(lambda client: action(client, run))

    def _known(self, client: MlflowClient, resumed: Mapping[str, str]) -> str | None:
        """The run to go on with, if it is in this store and not deleted."""
        from mlflow.exceptions import MlflowException

        run = resumed.get("mlflow_run_id")
        if run is None or resumed.get("mlflow_uri") != self._server.uri:
            return None
        try:
            found = client.get_run(run)
        except MlflowException:
            return None
        return run if found.info.lifecycle_stage == "active" else None
