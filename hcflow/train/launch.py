"""Several training processes on one machine, started here: torchrun's job for one machine, with one line per error."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType

import torch

__all__ = ["launch"]

_PATIENCE = 10.0  # seconds for the others to end once one has failed


def launch(work: Callable[[], int], count: int) -> int:
    """Run `work` in `count` processes that find one another as under torchrun, and wait for them.

    Ctrl-C reaches all of them through the terminal; SIGTERM is passed on. Once one fails, the others are ended.

    Args:
        work: what each process runs; returns its exit code. It must be picklable.
        count: of processes.

    Returns:
        the exit code: 0, or that of the process that failed first.
    """
    context = multiprocessing.get_context("spawn")
    port = _free_port()
    processes = [context.Process(target=_run, args=(work, rank, count, port)) for rank in range(count)]
    for process in processes:
        process.start()

    def pass_on(number: int, frame: FrameType | None) -> None:
        for process in processes:
            process.terminate()

    before = signal.signal(signal.SIGINT, signal.SIG_IGN), signal.signal(signal.SIGTERM, pass_on)
    try:
        return _first_failure(processes)
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def _first_failure(processes: list[SpawnProcess]) -> int:
    """Wait for all; the first exit code that is not 0 ends the rest."""
    waiting = {process.sentinel: process for process in processes}
    while waiting:
        for sentinel in wait(list(waiting)):
            process = waiting.pop(sentinel)  # type: ignore[arg-type]  # the sentinels are what was given
            process.join()
            if process.exitcode:
                for other in waiting.values():
                    other.terminate()
                for other in waiting.values():
                    other.join(_PATIENCE)
                    if other.is_alive():  # inside a call that waits for the process that failed
                        other.kill()
                return process.exitcode if process.exitcode > 0 else 128 - process.exitcode
    return 0


def _run(work: Callable[[], int], rank: int, count: int, port: int) -> None:
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    torch.set_num_threads(max(1, torch.get_num_threads() // count))
    sys.exit(work())


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
