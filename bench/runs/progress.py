"""How far the part that this process does is, noted for whoever watches."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bench.errors import StorageError
from bench.runs.runner import Share
from bench.runs.submissions import Status, write_status

_STATUS_EVERY = 1.0  # seconds between two notes


class PartProgress:
    """A `bench.runs.runner.Progress` that writes a part's status, at most every second."""

    def __init__(self, out: Path, share: Share, job: str = "", log: str = "", before: Status | None = None) -> None:
        self._out, self._share = out, share
        self.status = before or Status("running", job=job, log=log)
        self._written = 0.0
        self._note()

    def plan(self, rows: int, images: int) -> None:
        """So many images."""
        self._note(images=images)

    def row(self, row: str, dataset: str, images: int) -> None:
        """A row starts."""
        print(f"{row} on {dataset}: {images} images", file=sys.stderr, flush=True)

    def image(self, image: str, cached: bool) -> None:
        """An image is done."""
        one = self.status
        if cached:
            self.status = replace(one, cached=one.cached + 1)
        else:
            self.status = replace(one, computed=one.computed + 1, first=one.first or time.time() - one.started)
        if time.monotonic() - self._written > _STATUS_EVERY:
            self._note()

    def problem(self, message: str) -> None:
        """Something is wrong."""
        print(f"error: {message}", file=sys.stderr, flush=True)
        self._note(problems=self.status.problems + 1, error=self.status.error or message)

    def end(self) -> None:
        """All images are done, or were tried."""
        self._note(state="failed" if self.status.problems else "done")

    def fail(self, message: str) -> None:
        """The part ends here; a disk that is full keeps this from being noted, and the log says it."""
        with suppress(StorageError):
            self._note(state="failed", error=self.status.error or message)

    def _note(self, **changes: object) -> None:
        self.status = replace(self.status, **changes, updated=time.time())  # type: ignore[arg-type]
        write_status(self._out, self._share.of, self._share.number, self.status)
        self._written = time.monotonic()
