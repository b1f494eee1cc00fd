"""A training run as its user sees it: a bar with speed, losses and time to go; lines where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

__all__ = ["LineWatcher", "terminal_watcher"]

_SHOWN = ("nll", "pixel_hr", "pixel_lr", "latent", "perceptual", "gan", "discriminator", "learning_rate")


def terminal_watcher(silent: bool = False) -> LineWatcher:
    """A bar on a terminal, if rich is there to draw it; else lines. `silent` for all processes but the first."""
    bar = sys.stderr.isatty() and not silent and find_spec("rich") is not None
    return _BarWatcher() if bar else LineWatcher(silent)


class LineWatcher:
    """Lines on stderr."""

    def __init__(self, silent: bool = False) -> None:
        self._silent = silent
        self._total = 0

    def __enter__(self) -> LineWatcher:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def decoding(self, done: int, total: int) -> None:
        """Images decoded into the cache."""

    def stage(self, name: str, done: int, total: int) -> None:
        """A stage begins or resumes."""
        self._total = total

    def step(self, iteration: int, values: Mapping[str, float]) -> None:
        """Iterations done; now and then new numbers."""
        if values:
            self.say(f"{iteration}/{self._total}  {_speed(values)}  {_numbers(values)}")

    def say(self, message: str) -> None:
        """One line."""
        if not self._silent:
            print(message, file=sys.stderr, flush=True)


class _BarWatcher(LineWatcher):
    """A bar on stderr, with the lines above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        super().__init__()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> _BarWatcher:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def decoding(self, done: int, total: int) -> None:
        """Images decoded into the cache."""
        if self._task is None:
            self._task = self._bar.add_task("decoding images", total=total, speed="", numbers="")
        self._bar.update(self._task, completed=done, visible=done < total)

    def stage(self, name: str, done: int, total: int) -> None:
        """A stage begins or resumes."""
        self._task = self._bar.add_task(f"stage {name}", total=total, completed=done, speed="", numbers="")

    def step(self, iteration: int, values: Mapping[str, float]) -> None:
        """Iterations done; now and then new numbers."""
        assert self._task is not None
        self._bar.update(self._task, completed=iteration)
        if values:
            self._bar.update(self._task, speed=_speed(values), numbers=_numbers(values))

    def say(self, message: str) -> None:
        """One line above the bar."""
        self._bar.console.print(message, markup=False, highlight=False, soft_wrap=True)


def _speed(values: Mapping[str, float]) -> str:
    return f"{values['steps_per_second']:.2f} it/s"


def _numbers(values: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {values[name]:.4g}" for name in _SHOWN if name in values)
