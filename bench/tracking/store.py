"""The MLflow that runs are mirrored into: the server of MLFLOW_TRACKING_URI, else a database in the results folder."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

_QUIET = {
    # MLflow retries for minutes by default; a benchmark must not wait for its log book
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # standard output belongs to whoever asked for JSON
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class MlflowStore:
    """Connection to MLflow; nothing is imported or opened before it is needed."""

    def __init__(self, out: Path) -> None:
        self._out = out.resolve()
        self._served = os.environ.get("MLFLOW_TRACKING_URI")
        self.uri = self._served or f"sqlite:///{self._out / 'mlflow.db'}"
        self._client: MlflowClient | None = None

    def client(self) -> MlflowClient:
        """The client; whatever it raises later, MLflow's, requests', SQLAlchemy's errors and OSError alike."""
        if self._client is None:
            for name, value in _QUIET.items():
                os.environ.setdefault(name, value)
            logging.getLogger("alembic").setLevel(logging.WARNING)
            logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it prints what it raises anyway
            from mlflow import MlflowClient

            if not self._served:
                self._out.mkdir(parents=True, exist_ok=True)
            self._client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        return self._client

    def experiment(self, name: str) -> str:
        """Id of an experiment, which is created where there is none."""
        client = self.client()
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = None if self._served else (self._out / "mlartifacts" / name).as_uri()
        return str(client.create_experiment(name, artifact_location=location))


def provenance_tags(about: Mapping[str, Any]) -> dict[str, str]:
    """What `bench.runs.provenance` knows, as tags of a run."""
    return {
        "mlflow.source.git.commit": about["commit"],
        "git.dirty": str(about["dirty"]).lower(),
        "device": about["device"],
        "processor": about["processor"],
        **{f"version.{package}": version for package, version in about["versions"].items()},
    }


def in_one_line(error: Exception) -> str:
    """What went wrong, for a warning."""
    message = str(error).splitlines()[0][:200] if str(error) else "no message"
    return f"{type(error).__name__}: {without_password(message)}"


def without_password(text: str) -> str:
    """Addresses such as https://user:password@host without the first half."""
    return re.sub(r"//[^/@\s]*@", "//", text)
