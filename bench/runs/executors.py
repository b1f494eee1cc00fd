"""Handing the parts of a run to submitit's executors, and what such a job does."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from bench.downloads.locks import one_at_a_time
from bench.errors import BenchError
from bench.files import make_folder
from bench.records.journal import process_of
from bench.runs import submissions
from bench.runs.submissions import Attempt, Submission, logs_of
from hcflow.errors import HCFlowError
from hcflow.train import cluster
from hcflow.train.cluster import Options


class PartJob:
    """A job: the command lines of its parts, one after the other. submitit pickles it."""

    def __init__(self, out: Path, submission: str, parts: Sequence[int], program: str) -> None:
        self._out, self._submission, self._parts, self._program = out, submission, tuple(parts), program

    def __call__(self) -> int:
        """Run them all; raises RuntimeError where one failed, so that the scheduler sees it."""
        main = submissions.program_of(self._program)
        submission = submissions.load(self._out, self._submission)
        failed = []
        with _Preemption() as preemption:
            for part in self._parts:
                status = submissions.status_of(self._out, self._submission, part)
                if status is not None and status.state == "done":
                    continue  # before this job was requeued
                code = main(submission.argv(part))
                preemption.pass_on()
                failed += [part] if code else []
        if failed:
            raise RuntimeError(f"part {', '.join(map(str, failed))}: failed, see the error above")
        return 0

    def checkpoint(self) -> Any:  # noqa: ANN401 - submitit is not always installed
        """Called by submitit before the job's time is up: the same job again, which finds what is finished."""
        return cluster.submitit().helpers.DelayedSubmission(self)


class _Preemption:
    """Lets training save before the job is requeued: the scheduler's signal first asks it to stop, as SIGTERM does.

    Where nothing trains, the signal goes straight to submitit, which requeues the job: an image in flight is measured
    again, and nothing else is lost.
    """

    def __enter__(self) -> _Preemption:
        self._asked = False
        self._before = signal.getsignal(signal.SIGUSR2)
        self._idle = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGUSR2, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGUSR2, self._before)

    def _ask(self, number: int, frame: object) -> None:
        self._asked = True
        _preempted.set()
        training = signal.getsignal(signal.SIGTERM) is not self._idle  # hcflow.train.stopping listens to it
        if training:
            signal.raise_signal(signal.SIGTERM)
        else:
            self.pass_on()

    def pass_on(self) -> None:
        """Give submitit the signal that came meanwhile; that ends the process."""
        if self._asked and callable(self._before):
            self._asked = False
            self._before(signal.SIGUSR2, None)


_preempted = threading.Event()


def preempted() -> bool:
    """Whether the job that this process does is about to go back into the queue: stopping is then no failure."""
    return _preempted.is_set()


def submit(out: Path, submission: Submission, parts: Iterable[int], options: Options, program: str) -> Submission:
    """Hand parts to the scheduler as one job array (`slurm`), or as processes that outlive this one (`local`).

    What is asked for is written down before it is: jobs are found again by their name, whenever this process is killed.

    Args:
        out: results folder.
        submission: whose parts they are.
        parts: to do.
        options: for the scheduler.
        program: that runs the parts' command lines, see `submissions.program_of`.

    Returns:
        the submission with the new attempt.

    Raises:
        BenchError: submitit or Slurm is not there, or refuses.
    """
    kind: Literal["slurm", "local"] = "slurm" if submission.executor == "slurm" else "local"
    wanted = tuple(parts)
    jobs: tuple[tuple[int, ...], ...] = tuple((part,) for part in wanted)
    if kind == "local":  # submitit starts all of these at once
        jobs = tuple(wanted[start :: options.at_once] for start in range(min(options.at_once, len(wanted))))
    number = len(submission.attempts) + 1
    attempt = Attempt(f"bench-{submission.id}-{number}", jobs)
    logs = logs_of(out, submission.id)
    work = [PartJob(out.resolve(), submission.id, job, program) for job in jobs]
    try:
        made = cluster.executor(kind, logs.resolve(), attempt.name, options)
        submission = replace(submission, attempts=(*submission.attempts, attempt))
        submissions.save(out, submission)
        with cluster.unattended():
            handed = _local(made, work, options) if kind == "local" else _slurm(made, work)
    except HCFlowError as error:
        raise BenchError(str(error)) from None
    processes = tuple(process_of(int(job.job_id)) for job in handed) if kind == "local" else ()
    attempt = replace(attempt, ids=tuple(str(job.job_id) for job in handed), processes=processes)
    submission = replace(submission, attempts=(*submission.attempts[:-1], attempt))
    submissions.save(out, submission)
    return submission


def _slurm(executor: Any, work: Sequence[PartJob]) -> list[Any]:  # noqa: ANN401
    """One array; what sbatch says is one line."""
    try:
        with executor.batch():
            jobs = [executor.submit(one) for one in work]
    except (RuntimeError, OSError) as error:  # submitit's own errors are RuntimeErrors
        said = " ".join(str(error).split()) or type(error).__name__
        raise BenchError(f"expected Slurm to take the jobs, got: {said[:300]}") from None
    return jobs


def _local(executor: Any, work: Sequence[PartJob], options: Options) -> list[Any]:  # noqa: ANN401
    """One process each, with GPUs of its own where the machine has several."""
    import torch

    there = torch.cuda.device_count() if options.gpus else 0
    jobs = []
    for number, one in enumerate(work):
        if there:
            first = number * options.gpus
            mine = tuple(sorted({(first + i) % there for i in range(min(options.gpus, there))}))
            executor.update_parameters(gpus_per_node=len(mine), visible_gpus=mine)
        jobs.append(executor.submit(one))
    return jobs


def exclusively(out: Path) -> Any:  # noqa: ANN401 - a context manager
    """One submitter at a time per results folder."""
    make_folder(out / "jobs")
    return one_at_a_time(out / "jobs" / "submitting")


def job_of_this_process() -> tuple[str, str]:
    """(Id, log) of the job that this process is; empty where it is none."""
    folder = os.environ.get("SUBMITIT_FOLDER", "")
    if not folder or "submitit" not in sys.modules:
        return "", ""
    environment = cluster.submitit().JobEnvironment()
    return str(environment.job_id), str(environment.paths.stderr)
