"""Parts of a run in several processes of this machine: threads divided, one GPU each where there are several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

import torch

from bench.errors import BenchError
from bench.files import make_folder
from bench.runs import submissions
from bench.runs.progress import PartProgress
from bench.runs.submissions import Submission, logs_of

_LOOK_EVERY = 1.0  # seconds between two looks while nothing else happens


@dataclass
class _Worker:
    """A process, and the part that it does now."""

    process: SpawnProcess
    pipe: Connection
    log: Path
    part: int = 0


def environments(count: int, device: str) -> list[dict[str, str]]:
    """What each of so many processes is told of threads and GPUs.

    Args:
        count: of processes.
        device: as `--device` has it; one that names a GPU by its number is left as it is.
    """
    threads = {"OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // count))}
    gpus: list[str] = []
    if device in ("auto", "cuda") and torch.cuda.is_available():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        gpus = visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]
    return [threads | ({"CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]} if gpus else {}) for i in range(count)]


def run_parts(
    out: Path,
    submission: Submission,
    parts: Iterable[int],
    count: int,
    device: str,
    look: Callable[[], object],
    program: str,
) -> None:
    """Run parts in so many processes, each taking the next when it has finished one; ends when all are done.

    A process that dies costs the part that it was doing: that part has failed, and another process takes over.

    Args:
        out: results folder.
        submission: of the parts.
        parts: to run, those that take longest first.
        count: of processes.
        device: as `--device` has it.
        look: called every second, to show how far it is.
        program: that runs the parts' command lines, see `submissions.program_of`.

    Raises:
        BenchError: a process cannot even start.
    """
    waiting = list(parts)
    count = min(count, len(waiting))
    make_folder(logs_of(out, submission.id))
    told = environments(count, device) if count else []
    workers = [_start(out, submission, i, told[i], program) for i in range(count)]
    try:
        for worker in workers:
            _give(worker, waiting)
        while any(worker.part for worker in workers):
            ready = wait([one for w in workers if w.part for one in (w.pipe, w.process.sentinel)], _LOOK_EVERY)
            for number, worker in enumerate(workers):
                if worker.part and (worker.pipe in ready or worker.process.sentinel in ready):
                    if _finished(worker):
                        _give(worker, waiting)
                    else:
                        _bury(out, submission, worker)
                        if waiting:
                            workers[number] = _start(out, submission, number, told[number], program)
                            _give(workers[number], waiting)
            look()
    finally:
        for worker in workers:
            worker.pipe.close()  # a process without work ends by itself
            if worker.part:
                worker.process.terminate()
        for worker in workers:
            worker.process.join()


def _give(worker: _Worker, waiting: list[int]) -> None:
    worker.part = waiting.pop(0) if waiting else 0
    if worker.part:
        with suppress(OSError):  # it has died: its sentinel tells
            worker.pipe.send(worker.part)


def _finished(worker: _Worker) -> bool:
    """Whether it has answered, rather than died."""
    try:
        return worker.pipe.poll() and worker.pipe.recv() is not None
    except (EOFError, OSError):
        return False


def _bury(out: Path, submission: Submission, worker: _Worker) -> None:
    """Note that the part of a process that died has failed."""
    worker.process.join()
    code = worker.process.exitcode or 0
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    share = submissions.share_of(out, submission.id, worker.part, len(submission.parts))
    before = submissions.status_of(out, submission.id, worker.part)
    if before is None and code >= 0:
        raise BenchError(f"a worker ended with {how} before it began; its log: {worker.log}")
    progress = PartProgress(out, share, log=str(worker.log), before=before)
    progress.fail(f"its process ended with {how}; out of memory?" if code == -signal.SIGKILL else f"ended with {how}")
    worker.part = 0


def _start(out: Path, submission: Submission, number: int, told: dict[str, str], program: str) -> _Worker:
    log = logs_of(out, submission.id) / f"worker-{number + 1}.log"
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    arguments = (theirs, str(out), submission.id, str(log), program)
    process = multiprocessing.get_context("spawn").Process(target=_work, args=arguments, daemon=True)
    with _environment(told):
        process.start()
    theirs.close()
    return _Worker(process, ours, log)


@contextmanager
def _environment(told: dict[str, str]) -> Iterator[None]:
    """A new process inherits it; some of it counts only before PyTorch is loaded."""
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(pipe: Connection, out: str, submission_id: str, log: str, program: str) -> None:
    """A worker's whole life: it takes parts until the other side closes the pipe, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(handle, sys.stdout.fileno())
    os.dup2(handle, sys.stderr.fileno())
    main = submissions.program_of(program)
    os.environ[submissions.LOG] = log
    submission = submissions.load(Path(out), submission_id)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    while True:
        try:
            part = pipe.recv()
        except (EOFError, OSError):
            return
        code = main(submission.argv(part))
        sys.stdout.flush()
        try:
            pipe.send(code)
        except OSError:
            return
