"""Progress of downloads: a bar on a terminal, lines elsewhere when a download has to wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hcflow.cli.entry import quiet, say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class DownloadBar:
    """One bar per file: bytes, speed, time left."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> DownloadBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def start(self, name: str, total: int | None, done: int) -> None:
        """A file starts, or resumes after `done` bytes."""
        progress = self._shown()
        if self._task is not None:
            progress.remove_task(self._task)
        self._task = progress.add_task(name, total=total, completed=done)

    def advance(self, n: int) -> None:
        """So many more bytes arrived."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, n)

    def wait(self, reason: str) -> None:
        """The download waits, for that reason."""
        say(reason)

    def _shown(self) -> Progress:
        """The bar, from the first byte on."""
        if self._progress is None:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )

            console = Console(stderr=True)
            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            off = quiet() or not console.is_terminal
            self._progress = Progress(*columns, TimeRemainingColumn(), console=console, disable=off)
            self._progress.start()
        return self._progress
