"""Ending the processes of a run: those of this machine, after the time that they need, and no others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.records.journal import process_of
from bench.runs import cancelling, submissions
from bench.runs.submissions import Attempt, Status, Submission

_SAVES = """
import signal, sys, time
def save(*_):
    time.sleep(1.5)
    open(sys.argv[1], "w").close()
    sys.exit()
signal.signal(signal.SIGTERM, save if sys.argv[1:] else signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that a test starts."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def start(started: list[subprocess.Popen[str]], *arguments: str) -> subprocess.Popen[str]:
    """One that saves for 1.5 s when it is asked to end; without a file to save into, one that does not heed."""
    process = subprocess.Popen([sys.executable, "-c", _SAVES, *arguments], stdout=subprocess.PIPE, text=True)
    started.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def submitted(out: Path, process: dict[str, str | int]) -> Submission:
    """A job of this machine, without a plan: it trains."""
    attempt = Attempt("bench-s-1", ((1,),), ("1",), (process,))
    one = Submission("s", "table1", "k", "local", ("run",), (0,), (1.0,), False, attempts=(attempt,))
    submissions.create(out, one, None)
    return one


def test_a_training_has_time_to_save(tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    process = start(started, str(tmp_path / "saved"))
    cancelling.cancel(tmp_path, submitted(tmp_path, process_of(process.pid)))
    assert (tmp_path / "saved").exists()
    assert process.wait(5) == 0


def test_what_does_not_end_is_killed(
    tmp_path: Path, started: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start(started)
    monkeypatch.setattr(cancelling, "_PATIENCE_TRAINING", 0.3)
    cancelling.cancel(tmp_path, submitted(tmp_path, process_of(process.pid)))
    assert process.wait(5) == -signal.SIGKILL


def test_a_number_that_is_another_process_by_now_is_not_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends when it is asked to, and its number is given away."""
    sent: list[int] = []
    running = iter([True, True, False])  # when it is looked for, before SIGTERM, and ever after
    monkeypatch.setattr(cancelling, "still_runs", lambda _: next(running, False))
    monkeypatch.setattr(os, "kill", lambda _, number: sent.append(number))
    cancelling.cancel(tmp_path, submitted(tmp_path, process_of(os.getpid())))
    assert sent == [signal.SIGTERM]


@pytest.mark.parametrize("executor", ["local", "workers"])
def test_processes_of_another_machine_are_named(tmp_path: Path, executor: str) -> None:
    elsewhere = process_of(os.getpid()) | {"host": "node7"}
    one = replace(submitted(tmp_path, elsewhere), executor=executor, process=elsewhere)  # type: ignore[arg-type]
    with pytest.raises(BenchError, match=r"expected processes of this machine .*, got some on node7; run the same"):
        cancelling.cancel(tmp_path, one)
    submissions.write_status(tmp_path, "s", 1, Status("done"))
    cancelling.cancel(tmp_path, one)  # nothing is left to end there
