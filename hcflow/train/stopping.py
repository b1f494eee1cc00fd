"""Ctrl-C and SIGTERM as a request to stop after the step in flight."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

__all__ = ["StopRequest"]


class StopRequest:
    """Inside `with`, SIGINT and SIGTERM set `asked`; a second SIGINT does not wait and raises KeyboardInterrupt."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.asked = False
        self._say = say
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True
        self._say("stopping after this step; the run can be resumed")
