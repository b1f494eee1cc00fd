"""A training run as its user sees it: a bar with speed, losses and time to go; lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

__all__ = ["TerminalWatcher"]

_SHOWN = ("nll", "pixel_hr", "pixel_lr", "latent", "perceptual", "gan", "discriminator", "learning_rate")


class TerminalWatcher:
    """Writes to stderr; `silent` for all processes but the first."""

    def __init__(self, silent: bool = False) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True, quiet=silent)
        self._silent = silent
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=silent or not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._total = 0

    def __enter__(self) -> TerminalWatcher:
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
        """A stage begins or goes on."""
        self._total = total
        self._task = self._bar.add_task(f"stage {name}", total=total, completed=done, speed="", numbers="")

    def step(self, iteration: int, values: Mapping[str, float]) -> None:
        """Iterations done; now and then new numbers."""
        assert self._task is not None
        self._bar.update(self._task, completed=iteration)
        if not values:
            return
        numbers = "  ".join(f"{name} {values[name]:.4g}" for name in _SHOWN if name in values)
        speed = f"{values['steps_per_second']:.2f} it/s"
        self._bar.update(self._task, speed=speed, numbers=numbers)
        if self._bar.disable and not self._silent:
            self._print(f"{iteration}/{self._total}  {speed}  {numbers}")

    def say(self, message: str) -> None:
        """One line."""
        if not self._silent:
            self._print(message)

    def _print(self, line: str) -> None:
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
