"""Observers of a run: logs, scores and data sets that other packages bring, found through entry points."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, Protocol

from hcflow.errors import HCFlowError
from hcflow.images.io import ImageError, Pixels

__all__ = ["GROUP", "JsonLog", "Log", "Logs", "Plugin", "RunInfo", "RunStatus", "Watcher", "load_plugin"]

GROUP = "hcflow.training"
"""Entry point group: each entry is a module or object that is a `Plugin`."""

RunStatus = Literal["finished", "stopped", "failed"]


@dataclass(frozen=True)
class RunInfo:
    """What a log gets at the start.

    Attributes:
        name: of the run, such as rescale_x4-smoke.
        folder: of its files.
        parameters: settings worth comparing runs by, flat.
        files: texts to keep with the run, by name (the recipe, the data sets' digests).
        resumed: what the logs stored in the save that the run resumes from (`Log.memory`); empty for a new run.
    """

    name: str
    folder: Path
    parameters: Mapping[str, str | int | float]
    files: Mapping[str, str]
    resumed: Mapping[str, str]


class Log(Protocol):
    """One place that a run is written to. It must not raise: a log that is away costs a warning, not a run."""

    def start(self, run: RunInfo) -> None:
        """The run begins or resumes."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers after `step` steps."""

    def images(self, step: int, grids: Mapping[str, Pixels]) -> None:
        """Pictures after `step` steps, uint8 (H, W, 3), by file name."""

    def best(self, step: int, path: Path) -> None:
        """The best weights so far, in a file that hcflow.load reads."""

    def memory(self) -> Mapping[str, str]:
        """What to pass back in `RunInfo.resumed`."""
        return {}

    def end(self, status: RunStatus) -> None:
        """The process leaves the run."""


class Watcher(Protocol):
    """The user's view of a run."""

    def stage(self, name: str, done: int, total: int) -> None:
        """A stage begins or resumes."""

    def step(self, iteration: int, values: Mapping[str, float]) -> None:
        """Iterations done in this stage; the latest numbers (now and then new ones)."""

    def say(self, message: str) -> None:
        """Show a message."""


class Plugin(Protocol):
    """What another package adds to training."""

    def images(self, name: str) -> list[Path] | None:
        """The files of a data set that it knows by name, or None; raises ValueError where they are missing."""
        ...

    def score(self, sr: Pixels, hr: Pixels, scale: int) -> dict[str, float]:
        """Scores of an 8-bit restored image, uint8 (H, W, 3); `psnr_y` among them chooses the best weights."""
        ...

    def lr_psnr(self, lr: Pixels, expected: Pixels) -> float:
        """PSNR of an 8-bit LR image, in dB."""
        ...

    def open_log(self, folder: Path) -> Log:
        """A log for the run in a folder."""
        ...


def load_plugin() -> Plugin | None:
    """The plug-in that is installed, or None; of several, the first by name."""
    found = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    if not found:
        return None
    try:
        plugin: Plugin = found[0].load()
    except ImportError as error:
        raise HCFlowError(
            f"expected the training plug-in {found[0].name} ({found[0].value}) to be complete, got: {error}; "
            "install what is missing, or uninstall the package that brings the plug-in"
        ) from None
    return plugin


class JsonLog:
    """log.jsonl in the run's folder: one JSON object per entry, appended."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "log.jsonl"
        self._folder = folder

    def start(self, run: RunInfo) -> None:
        """Note the start."""
        self._append({"event": "start", "run": run.name, "parameters": dict(run.parameters)})

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Note numbers."""
        self._append({"step": step, **{name: _json_number(value) for name, value in values.items()}})

    def images(self, step: int, grids: Mapping[str, Pixels]) -> None:
        """Write the pictures into the folder `samples`."""
        from hcflow.images.io import write_png

        (self._folder / "samples").mkdir(exist_ok=True)
        for name, grid in grids.items():
            write_png(self._folder / "samples" / f"{Path(name).stem}-{step:08d}.png", grid)

    def best(self, step: int, path: Path) -> None:
        """Note it."""
        self._append({"step": step, "event": "best", "weights": path.name})

    def memory(self) -> Mapping[str, str]:
        """Nothing."""
        return {}

    def end(self, status: RunStatus) -> None:
        """Note the end."""
        self._append({"event": status})

    def _append(self, entry: Mapping[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")


class Logs:
    """Several logs as one; one that cannot write costs a line, not the run."""

    def __init__(self, logs: Sequence[Log], say: Callable[[str], None]) -> None:
        self._logs, self._say = logs, say

    def start(self, run: RunInfo) -> None:
        """Call it on all logs."""
        self._call(lambda log: log.start(run))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Call it on all logs."""
        self._call(lambda log: log.metrics(step, values))

    def images(self, step: int, grids: Mapping[str, Pixels]) -> None:
        """Call it on all logs."""
        self._call(lambda log: log.images(step, grids))

    def best(self, step: int, path: Path) -> None:
        """Call it on all logs."""
        self._call(lambda log: log.best(step, path))

    def memory(self) -> dict[str, str]:
        """Ask all logs."""
        return {key: value for log in self._logs for key, value in log.memory().items()}

    def end(self, status: RunStatus) -> None:
        """Call it on all logs."""
        self._call(lambda log: log.end(status))

    def _call(self, call: Callable[[Log], None]) -> None:
        for log in self._logs:
            try:
                call(log)
            except (OSError, ImageError) as error:
                self._say(f"the log lacks an entry: {error}")


def _json_number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
