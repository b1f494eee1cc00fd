"""The MLflow that runs are mirrored into: the server of MLFLOW_TRACKING_URI, else a database in the results folder."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_QUIET = {
    # MLflow retries for minutes by default; a benchmark must not wait for its log book
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # standard output belongs to whoever asked for JSON
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # nobody is told that MLflow is used unless the user says so
    "MLFLOW_DISABLE_TELEMETRY": "true",
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
                make_database(self._out / "mlflow.db")
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


def make_database(path: Path) -> None:
    """Make MLflow's database where there is none: under a temporary name, then renamed, so that it is whole or absent.

    A process that is killed while MLflow lays it out leaves nothing behind that a later one would stumble over, and of
    two that start at once one wins and the other uses what it made.

    Raises:
        BenchError: a database is there, but an earlier version of this program was killed while it was made.
    """
    if path.exists():
        _refuse_half_made(path)
        return
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".mlflow-") as folder:
        part = Path(folder) / path.name
        uri = f"sqlite:///{part}"
        MlflowClient(tracking_uri=uri, registry_uri=uri).search_experiments(max_results=1)
        with suppress(FileExistsError):  # another process was faster
            os.link(part, path)


def _refuse_half_made(path: Path) -> None:
    """MLflow notes the version of its tables last; without that note it would fail for ever."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        names = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
        whole = "alembic_version" in names and connection.execute("select count(*) from alembic_version").fetchone()[0]
    if not whole:
        raise BenchError(
            f"{path}: expected MLflow's database, got one whose making was interrupted; delete it and run "
            f"`python -m bench track --out {path.parent}`: the records have everything"
        )


def provenance_tags(about: Mapping[str, Any]) -> dict[str, str]:
    """What `bench.runs.provenance` knows, as tags of a run."""
    return {
        "mlflow.source.git.commit": str(about.get("commit", "unknown")),
        "git.dirty": str(about.get("dirty")).lower(),
        "device": str(about.get("device", "unknown")),
        "processor": str(about.get("processor", "unknown")),
        **{f"version.{package}": str(version) for package, version in about.get("versions", {}).items()},
    }


def in_one_line(error: Exception) -> str:
    """What went wrong, for a warning."""
    message = str(error).splitlines()[0][:200] if str(error) else "no message"
    return f"{type(error).__name__}: {without_password(message)}"


def without_password(text: str) -> str:
    """Addresses such as https://user:password@host without the first half."""
    return re.sub(r"//[^/@\s]*@", "//", text)
