"""Mirrors records into MLflow. The records are the truth: whatever happens to the server, no result is lost.

Experiment = table, and in it three kinds of runs (tag `bench.kind`), side by side:

    reproduction   one per run of `bench run`: the rendered tables, their figures, and a table of its cells
    row            a row of it over its data sets: `Set5/psnr_y`, `Set14/psnr_y` and so on
    cell           a row on one data set: `psnr_y` and so on, parameters, tags, per-image values, samples

MLflow's list folds nested runs away and its charts leave them out, so that nothing could be compared; the tag
`reproduction` says which belong together. Mirroring twice changes nothing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from bench.records.journal import Journal
from bench.records.merging import reproductions
from bench.suites.suite import Suite
from bench.tracking.mirror import KIND, RUN, Mirror, search, suite_of
from bench.tracking.store import MlflowStore, in_one_line, without_password


class Tracker:
    """Mirrors the journals of one results folder; after the first failure it stays quiet and says how to catch up.

    Attributes:
        out: results folder.
        uri: of MLflow.
        failure: what went wrong, or None.
        seconds: spent on it, in all.
        waited: of them, the seconds that somebody waited for it.
    """

    def __init__(self, out: Path, suite: Suite | None = None, warn: bool = True, trust: bool = False) -> None:
        self.out = out
        self._trust = trust
        self._warn = warn
        self._suite = suite
        self._store = MlflowStore(out)
        self.uri = self._store.uri
        self.failure: str | None = None
        self.seconds = self.waited = 0.0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="mlflow")  # starts no thread before it has work
        self._next: Journal | None = None
        self._running: Future[None] | None = None
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

    def later(self, journal: Journal) -> None:
        """Do so in the background; what was asked for meanwhile is done at once, with the newest state."""
        self._next = copy(journal)  # its list of entries is replaced, never changed
        if self._running is None or self._running.done():
            self._running = self._pool.submit(self._catch_up)

    def _catch_up(self) -> None:
        while (journal := self._next) is not None:
            self._next = None
            self.mirror(journal)

    def attach(
        self, journal: Journal, files: Iterable[Path], figures: Mapping[str, bytes] = MappingProxyType({})
    ) -> None:
        """Add the rendered tables to the run of a reproduction, wait for all that is under way, and note the time.

        Args:
            journal: of the reproduction.
            files: of its tables.
            figures: of them, name -> content of the file.
        """
        started = time.monotonic()
        self._pool.submit(self._attach, journal, list(files), figures).result()
        self.waited += time.monotonic() - started
        if not self.failure:
            journal.mirrored = {"seconds": round(self.seconds, 3), "waited": round(self.waited, 3)}
            journal.save()

    def _attach(self, journal: Journal, files: Iterable[Path], figures: Mapping[str, bytes]) -> None:
        def add() -> None:
            with self._store.alone(), TemporaryDirectory() as folder:
                parent = self._mirror(journal)
                for path in files:
                    self._store.client().log_artifact(parent, os.fspath(path), "tables")
                for name, content in figures.items():
                    path = Path(folder, name)
                    path.write_bytes(content)
                    self._store.client().log_artifact(parent, os.fspath(path), "figures")

        self._guard(add)

    def summary(self) -> str:
        """Where the runs are and how to look at them, or how to import them later."""
        catch_up = f"python -m bench track --out {self.out}"
        if self.failure:
            return f"MLflow: not mirrored; the results are kept. To import them later: {catch_up}"
        uri = without_password(self.uri)
        link = self._store.link(self._experiment) if self._experiment else uri
        waited = f", {self.waited:.1f} s of them after the last image" if self.waited else ""
        took = f"(copied in {self.seconds:.1f} s{waited})"
        if self.uri.startswith("http"):
            return f"MLflow: {link} {took}"
        return f"MLflow: mlflow ui --backend-store-uri {uri}\n  then open {link} {took}"

    def _mirror(self, journal: Journal) -> str:
        self._experiment = self._store.experiment(journal.table)
        suite = self._suite if self._suite is not None and self._suite.name == journal.table else None
        suite = suite_of(journal, suite, self._trust)
        return Mirror(self._store.client(), self._experiment, self.out, journal, suite).bring()

    def _settle(self, current: Journal) -> None:
        """Finish what runs that were killed began, so that none of them stays RUNNING for ever."""
        found = search(self._store.client(), self._experiment, f"tags.`{KIND}` = 'reproduction'")
        running = {run.data.tags.get(RUN) for run in found if run.info.status == "RUNNING"} - {current.run}
        if running:
            for journal in reproductions(self.out, current.table):
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
            if self._warn:
                said = f"warning: no MLflow at {server} ({self.failure}); results are kept in {self.out}"
                print(said, file=sys.stderr)
        finally:
            self.seconds += time.monotonic() - started
