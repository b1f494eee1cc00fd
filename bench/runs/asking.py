"""What became of the jobs of a run: what their scheduler says, and what they printed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.records.journal import still_runs
from bench.runs.submissions import Submission, logs_of

_QUEUED = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
_RUNNING = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
_PATIENCE = 60.0  # seconds for squeue to answer


@dataclass(frozen=True)
class JobState:
    """What a scheduler says of a job.

    Attributes:
        state: `gone` where it has ended, however it ended.
        word: the scheduler's own, such as PENDING or CANCELLED; empty where it does not know the job any more.
        reason: why it waits; empty where nothing was said.
        id: of the job.
    """

    state: Literal["queued", "running", "gone"]
    word: str = ""
    reason: str = ""
    id: str = ""


def job_states(submission: Submission) -> Mapping[int, JobState] | None:
    """Part -> what its newest job is doing; parts that were never handed out are not in it.

    None where the scheduler does not answer now, or there is none (`workers`, `--shard`).
    """
    if submission.executor == "slurm":
        return _slurm_states(submission)
    if submission.executor == "local":
        return _local_states(submission)
    return None


def _local_states(submission: Submission) -> Mapping[int, JobState]:
    found: dict[int, JobState] = {}
    for attempt in submission.attempts:
        for index, parts in enumerate(attempt.jobs):
            known = index < len(attempt.processes)
            alive = known and still_runs(attempt.processes[index])
            state: Literal["queued", "gone"] = "queued" if alive else "gone"  # its status says when a part runs
            found |= dict.fromkeys(parts, JobState(state, "", "", attempt.ids[index] if known else ""))
    return found


def _slurm_states(submission: Submission) -> Mapping[int, JobState] | None:
    names = ",".join(attempt.name for attempt in submission.attempts)
    command = ["squeue", "--noheader", "--array", "--states=all", f"--name={names}", "--format=%i|%j|%T|%r"]
    said = ask(command) if names else ""
    if said is None:
        return None
    listed: dict[tuple[str, int], JobState] = {}
    for line in said.splitlines():
        id_, name, word, reason = (*line.strip().split("|"), "", "", "")[:4]
        index = int(id_.partition("_")[2]) if re.fullmatch(r"\d+_\d+", id_) else 0
        state: Literal["queued", "running", "gone"] = (
            "queued" if word in _QUEUED else "running" if word in _RUNNING else "gone"
        )
        listed[name, index] = JobState(state, word, "" if reason == "None" else reason, id_)
    found: dict[int, JobState] = {}
    for attempt in submission.attempts:
        for index, parts in enumerate(attempt.jobs):
            gone = JobState("gone", id=attempt.ids[index] if index < len(attempt.ids) else "")
            found |= dict.fromkeys(parts, listed.get((attempt.name, index), gone))
    return found


def ask(command: Sequence[str]) -> str | None:
    """What a command of Slurm prints; None where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def log_of(out: Path, submission: Submission, job: str) -> Path | None:
    """The file with what a job said on stderr; None where there is none."""
    path = logs_of(out, submission.id) / f"{job}_0_log.err"
    return path if job and path.is_file() else None


def said_in(log: Path) -> str:
    """The line of a log that tells what went wrong: the last that begins with `error:`, else the last."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 65536))
            lines = [line.strip() for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        return ""
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or [""])[-1][:300]
