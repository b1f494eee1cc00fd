"""One MLflow store: where it is, and calls that never cost a result. After the first failure it is left alone."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError

if TYPE_CHECKING:
    from mlflow import MlflowClient


class MlflowServer:
    """$MLFLOW_TRACKING_URI, else an SQLite file in a results folder.

    Attributes:
        uri: of the tracking store.
        failure: why it is not written to any more, or None.
    """

    def __init__(self, folder: Path, kept: str) -> None:
        self.uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(folder / 'mlflow.db').resolve()}"
        self.failure: str | None = None
        self._folder, self._kept = folder, kept
        self._client: MlflowClient | None = None

    def attempt(self, action: Callable[[MlflowClient], object]) -> None:
        """Do something there; the first failure is a warning on stderr that says where results are kept."""
        if self.failure:
            return
        try:
            action(self._connect())
        except BenchError:
            raise
        except Exception as error:  # MLflow raises requests', SQLAlchemy's, its own and OSError alike
            self.failure = f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else 'no message'}"
            print(f"warning: MLflow at {self.uri} does not answer; {self._kept}", file=sys.stderr)

    def experiment(self, client: MlflowClient, name: str) -> str:
        """The id of an experiment, which is made if it does not exist."""
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        served = os.environ.get("MLFLOW_TRACKING_URI")
        location = None if served else (self._folder / "mlartifacts" / name).resolve().as_uri()
        return str(client.create_experiment(name, artifact_location=location))

    def _connect(self) -> MlflowClient:
        if self._client is None:
            # MLflow retries for minutes by default; nothing here may wait for its log book
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
            for name in ("alembic", "mlflow.store.db.utils"):
                logging.getLogger(name).setLevel(logging.WARNING)
            from mlflow import MlflowClient

            self._client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        return self._client
