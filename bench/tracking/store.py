"""The MLflow that runs are mirrored into: the server of MLFLOW_TRACKING_URI, else a database in the results folder."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sqlite3
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.downloads.locks import one_at_a_time
from bench.errors import BenchError
from bench.records.journal import still_runs, this_process

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
_COMPARISON = "runs?workflowType=machine_learning"  # the list of runs; without it a view for chat programs opens


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
        """Id of an experiment, which is created where there is none; of two that create it at once one wins."""
        from mlflow.exceptions import MlflowException

        client = self.client()
        found = client.get_experiment_by_name(name)
        if found is None:
            location = None if self._served else (self._out / "mlartifacts" / name).as_uri()
            try:
                return str(client.create_experiment(name, artifact_location=location))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)

    def link(self, experiment: str) -> str:
        """Where the runs of an experiment can be compared; for a database, once `mlflow ui` shows it."""
        server = without_password(self.uri).rstrip("/") if self.uri.startswith("http") else "http://127.0.0.1:5000"
        return f"{server}/#/experiments/{experiment}/{_COMPARISON}"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other writers of the same results folder out; one of another machine only where its locks are seen."""
        self._out.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(self._out / "mlflow.mirror"):
            yield


def make_database(path: Path) -> None:
    """Make MLflow's database where there is none: in a folder beside it, then moved, so that it is whole or absent.

    A process that is killed while MLflow lays it out leaves nothing behind that a later one would stumble over, and of
    two that start at once one makes it and the other waits for it.

    Raises:
        BenchError: a database is there, but an earlier version of this program was killed while it was made.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(path):
            if not path.exists():
                _make(path)
                return
    _refuse_half_made(path)


def _make(path: Path) -> None:
    """Lay it out in a folder of this process, and give it its name once it is whole, without any journal."""
    from mlflow import MlflowClient

    here = this_process()
    prefix = f".mlflow-making-{here['host']}-"
    for left in path.parent.glob(f"{prefix}*"):
        pid = left.name.removeprefix(prefix)
        if pid.isdigit() and (int(pid) == here["pid"] or not still_runs({**here, "pid": int(pid), "since": ""})):
            shutil.rmtree(left, ignore_errors=True)  # of a process that was killed
    folder = path.parent / f"{prefix}{here['pid']}"
    folder.mkdir()
    try:
        part = folder / path.name
        uri = f"sqlite:///{part}"
        MlflowClient(tracking_uri=uri, registry_uri=uri).search_experiments(max_results=1)
        _settle(part)
        move_where_there_is_none(part, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _settle(path: Path) -> None:
    """Write everything that SQLite keeps beside a database (-wal, -journal) into it, and sync it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()
        connection.execute("pragma journal_mode = delete").fetchall()
    if left := [other.name for other in path.parent.iterdir() if other.name != path.name and other.stat().st_size]:
        raise OSError(f"{path}: expected a database alone in its folder, got {', '.join(left)} beside it")
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def move_where_there_is_none(source: Path, target: Path) -> None:
    """Give a file another name unless something has it already; then that stays, and so does the source."""
    with suppress(FileExistsError):
        try:
            os.link(source, target)  # atomic, and never over another file
        except FileExistsError:
            raise
        except (OSError, AttributeError, NotImplementedError):  # a file system without links
            if not target.exists():
                source.rename(target)


def _refuse_half_made(path: Path) -> None:
    """MLflow notes the version of its tables as it goes; one without, or with tables under way, is not whole."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
            names = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
            whole = (
                "alembic_version" in names
                and connection.execute("select count(*) from alembic_version").fetchone()[0] > 0
                and not any(name.startswith("_alembic_tmp") for name in names)
            )
    except sqlite3.OperationalError:
        return  # locked or unreadable now: MLflow will say so
    except sqlite3.DatabaseError:
        whole = False
    if not whole:
        raise BenchError(
            f"{path}: expected MLflow's database, got one whose making was interrupted; delete it and run "
            f"`python -m bench track --out {path.parent}`: the records have everything"
        )


def provenance_tags(provenance: Mapping[str, Any]) -> dict[str, str]:
    """What `bench.runs.provenance` knows, as tags of a run."""
    return {
        "mlflow.source.git.commit": str(provenance.get("commit", "unknown")),
        "git.dirty": str(provenance.get("dirty")).lower(),
        "device": str(provenance.get("device", "unknown")),
        "processor": str(provenance.get("processor", "unknown")),
        **{f"version.{package}": str(version) for package, version in provenance.get("versions", {}).items()},
    }


def in_one_line(error: Exception) -> str:
    """What went wrong, for a warning: of a connection that failed, what the system said of it."""
    message = str(error).splitlines()[0] if str(error) else "no message"
    if said := re.search(r"\[Errno -?\d+\] ([^\[\]()'\"<>]+)", message):
        return said[1].strip()
    kind = "" if isinstance(error, BenchError) else f"{type(error).__name__}: "
    return textwrap.shorten(f"{kind}{without_password(message)}", 300)


def without_password(text: str) -> str:
    """Addresses such as https://user:password@host without the first half."""
    return re.sub(r"//[^/@\s]*@", "//", text)
