"""The progress of a submitted run: one live table on a terminal, a line for every change elsewhere."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from bench.cli.terminal import grid
from bench.report.formatting import duration
from bench.runs.submissions import Submission
from bench.runs.watching import Part, Picture
from hcflow.cli.entry import quiet

_SHOWN = 12  # parts in the live table: running and failed ones first
_STYLES = {"running": "cyan", "done": "green", "failed": "red", "queued": "dim"}


class PictureView:
    """Shows pictures on stderr as they come; a part that fails is a line of its own."""

    def __init__(self, submission: Submission) -> None:
        self._console = Console(stderr=True)
        self._submission = submission
        self._live: Live | None = None
        self._told: set[int] = set()
        self._line = ""

    def __enter__(self) -> PictureView:
        if self._console.is_terminal and not quiet():
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        elif not quiet():
            self._say(f"{self._submission.id}: {len(self._submission.images)} parts, {self._submission.executor}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, picture: Picture) -> None:
        """Draw it, or say what changed."""
        for part in picture.failed:
            if part.number not in self._told:
                self._told.add(part.number)
                self._say(failure(part))
        if self._live is not None:
            self._live.update(_table(picture, self._submission), refresh=True)
        else:
            line = summary(picture, False)
            if line != self._line and not quiet():
                self._line = line
                self._say(summary(picture, True))

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def summary(picture: Picture, numbers: bool = True) -> str:
    """`2 queued, 1 running, 3 done, 0 failed; 12/20 images, 0.52 images/s, 14 s left`."""
    done, images = picture.images
    states = ", ".join(f"{picture.count(state)} {state}" for state in ("queued", "running", "done", "failed"))
    text = f"{states}; {done}/{images} images" if images else states
    if numbers and picture.rate is not None:
        text += f", {picture.rate:.2f} images/s"
    if numbers and picture.left is not None and not picture.finished:
        text += f", {duration(picture.left)} left"
    return text


def failure(part: Part) -> str:
    """A part that failed: why, and where its log is."""
    return f"error: part {part.number}: {part.error}" + (f"; log: {part.log}" if part.log else "")


@contextmanager
def how_to_go_on(submission: Submission, out: Path) -> Iterator[None]:
    """Ctrl-C stops watching, not the jobs; say so."""
    try:
        yield
    except KeyboardInterrupt:
        where = "" if out == Path("results") else f" --out {shlex.quote(str(out))}"
        words = [word for word in submission.command if word not in ("--attach", "--retry-failed")]
        print(
            f"the jobs keep running. To watch them again: python -m bench {shlex.join(words)} --attach\n"
            f"To see their state: python -m bench jobs{where}   To cancel: python -m bench jobs{where} --cancel",
            file=sys.stderr,
        )
        raise


def _table(picture: Picture, submission: Submission) -> Group:
    table = grid("part", "state", "images", "", title=f"{submission.id} ({submission.executor})")
    order = {"failed": 0, "running": 1, "queued": 2, "done": 3}
    parts = sorted(picture.parts, key=lambda part: (order[part.state], part.number))
    for part in parts[:_SHOWN]:
        note = part.error or part.waits
        table.add_row(str(part.number), f"[{_STYLES[part.state]}]{part.state}[/]", f"{part.done}/{part.images or '?'}",
                      Text(note[:100]))  # fmt: skip
    if len(parts) > _SHOWN:
        table.add_row("..", f"{len(parts) - _SHOWN} more", "", "")
    return Group(table, Text(summary(picture)))
