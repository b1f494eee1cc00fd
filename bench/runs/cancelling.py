"""Ending the jobs of a run."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from bench.errors import BenchError
from bench.records.journal import still_runs, this_process
from bench.runs import submissions
from bench.runs.asking import ask
from bench.runs.submissions import Submission

_PATIENCE = 5.0  # seconds for a process to end when it is asked to
_PATIENCE_TRAINING = 60.0  # the same where it trains: it saves after the step in flight
_LOOK_EVERY = 0.1  # seconds

Process = Mapping[str, str | int]


def cancel(out: Path, submission: Submission) -> None:
    """End all jobs of a submission; what they have recorded stays.

    Raises:
        BenchError: the scheduler refuses, it is not ours to ask, or there are processes on another machine, or of
            another user.
    """
    if submission.executor == "other":
        raise BenchError(f"{submission.id}: expected jobs of bench's, got another scheduler's; cancel them there")
    if submission.executor == "slurm":
        for attempt in submission.attempts:
            if shutil.which("scancel") is None or ask(["scancel", f"--name={attempt.name}"]) is None:
                raise BenchError(f"expected scancel to end the jobs {attempt.name}, got an error; is Slurm up?")
        return
    processes = _processes(out, submission)
    here = this_process()["host"]
    trains = not submissions.has_plan(out, submission.id)
    _end([one for one in processes if one["host"] == here], _PATIENCE_TRAINING if trains else _PATIENCE)
    if hosts := sorted({str(one["host"]) for one in processes} - {str(here)}):
        raise BenchError(
            f"{submission.id}: expected processes of this machine ({here}), got some on {', '.join(hosts)}; "
            "run the same command there"
        )


def _processes(out: Path, submission: Submission) -> list[Process]:
    """What may still work on parts that are not finished: who submitted or was started for them, and who does them."""
    found: list[Process] = []
    for part in submission.parts:
        status = submissions.status_of(out, submission.id, part)
        if status is None or status.state == "running":
            started = _started(submission, part)
            found += [one for one in (started, status.process if status else None) if one and one.get("host")]
    unique = {tuple(sorted(one.items())): one for one in found}
    return [one for one in unique.values() if still_runs(dict(one))]


def _started(submission: Submission, part: int) -> Process | None:
    """The process that was started last to do a part."""
    if submission.executor == "workers":
        return submission.process
    newest = None
    for attempt in submission.attempts:
        for parts, process in zip(attempt.jobs, attempt.processes, strict=False):  # none where submitting was cut short
            newest = process if part in parts else newest
    return newest


def _end(processes: Iterable[Process], patience: float) -> None:
    """Ask processes of this machine to end, and kill those that did not in so many seconds."""
    left = list(processes)
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, _PATIENCE)):
        left = [one for one in left if alive(one)]
        for process in left:
            _signal(int(process["pid"]), number)
        deadline = time.monotonic() + seconds
        while (left := [one for one in left if alive(one)]) and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)
    if left:
        raise BenchError(f"expected process {left[0]['pid']} to end, got one that still runs after SIGKILL")


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise BenchError(f"expected to be allowed to end process {pid}, got another user's; ask them") from None


def alive(process: Process) -> bool:
    """Whether a process of this machine is the same still, and not one that waits for its parent to notice its end."""
    if not still_runs(dict(process)):
        return False
    with suppress(OSError, IndexError):
        return Path(f"/proc/{process['pid']}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    return still_runs(dict(process))
