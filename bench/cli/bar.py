"""How a run is shown: one bar over all its images on a terminal, a line per row elsewhere."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as TimeLeft
from rich.text import Text


class _Speed(ProgressColumn):
    """Images per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.2f} images/s" if speed < 100 else f"{speed:.0f} images/s")


class RunBar:
    """A `bench.runs.runner.Progress`: the whole run in one bar with speed and time left; lines in a file."""

    def __init__(self, quiet: bool = False) -> None:
        console = Console(stderr=True)
        self._lines = not console.is_terminal and not quiet
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            _Speed(),
            TimeLeft(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._rows = self._row = 0
        self._cached = self._images = 0

    def __enter__(self) -> RunBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._say_cached()
        self._progress.stop()

    def plan(self, rows: int, images: int) -> None:
        """How much there is to do."""
        self._rows = rows
        self._task = self._progress.add_task("starting", total=images)

    def row(self, row: str, dataset: str, images: int) -> None:
        """A row on a data set starts."""
        self._say_cached()
        self._row += 1
        self._images = images
        if self._lines:
            print(f"{self._row}/{self._rows} {row} on {dataset}: {images} images", file=sys.stderr, flush=True)
        if self._task is not None:
            self._progress.update(self._task, description=f"{self._row}/{self._rows} {row} on {dataset}"[:44])

    def image(self, image: str, cached: bool) -> None:
        """An image is done."""
        self._cached += cached
        if self._task is not None:
            self._progress.advance(self._task)

    def _say_cached(self) -> None:
        """How many images of the row before were measured by an earlier run."""
        if self._lines and self._cached:
            which = "all" if self._cached >= self._images else str(self._cached)
            print(f"  {which} of them measured before", file=sys.stderr, flush=True)
        self._cached = 0

    def problem(self, message: str) -> None:
        """One line on stderr."""
        self._progress.console.print(f"error: {message}", markup=False, highlight=False, soft_wrap=True)
