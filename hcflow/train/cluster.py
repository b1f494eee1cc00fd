"""Jobs for Slurm, or processes that outlive this one, through submitit, which is imported only where it is asked for.

A training job is one torchrun on each node. Before its time is up, or when it is preempted, Slurm signals it;
torchrun's processes then save, and the job goes back into the queue and resumes from there.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, Literal

from hcflow.errors import InputError

__all__ = ["Options", "Torchrun", "executor", "minutes", "submit_training", "submitit", "unattended"]

_REQUEUES = 1000  # times that a job may run out of time: each time it gets further
_PATIENCE = 60  # seconds for torchrun's processes to save when they are asked to stop
_REST = 5  # seconds of these for torchrun itself, after it has killed those that did not
_EVERY = 0.2  # seconds between two looks at torchrun


@dataclass(frozen=True)
class Options:
    """What a scheduler is asked for, for each job.

    Attributes:
        partition: of Slurm; empty for its default.
        gpus: per node.
        nodes: per job.
        cpus: per job and node; 0 for the scheduler's default.
        minutes: before the scheduler ends the job (and it is requeued).
        at_once: how many jobs run at the same time.
        more: further options of sbatch, such as account or qos.
    """

    partition: str = ""
    gpus: int = 0
    nodes: int = 1
    cpus: int = 0
    minutes: int = 120
    at_once: int = 20
    more: Mapping[str, str] = field(default_factory=dict)

    def slurm(self, name: str) -> dict[str, Any]:
        """As submitit's Slurm executor takes them."""
        found: dict[str, Any] = {
            "job_name": name, "time": self.minutes, "nodes": self.nodes, "ntasks_per_node": 1,
            "array_parallelism": self.at_once, "additional_parameters": {"requeue": True, **self.more},
            "signal_delay_s": min(90, 20 * self.minutes),
        }  # fmt: skip
        if self.partition:
            found["partition"] = self.partition
        if self.gpus:
            found["gpus_per_node"] = self.gpus
        if self.cpus:
            found |= {"cpus_per_task": self.cpus, "srun_args": [f"--cpus-per-task={self.cpus}"]}
            found["setup"] = [f"export OMP_NUM_THREADS={self.cpus}"]
        return found


def minutes(text: str) -> int:
    """Slurm's way of writing a time: `90`, `90:00`, `1:30:00`, `2-12`, `2-12:30`, `2-12:30:00`; rounded up.

    Raises:
        InputError: it is no such time, or none at all.
    """
    match = re.fullmatch(r"(?:(\d{1,4})-)?(\d{1,6})(?::(\d{1,2}))?(?::(\d{1,2}))?", text)
    if match is None:
        raise InputError(f"expected a time such as 2:00:00 (hours) or 90 (minutes), got {text!r}")
    days, first, second, third = (None if part is None else int(part) for part in match.groups())
    if days is not None:
        seconds = 86400 * days + 3600 * (first or 0) + 60 * (second or 0) + (third or 0)
    elif third is not None:
        seconds = 3600 * (first or 0) + 60 * (second or 0) + third
    else:
        seconds = 60 * (first or 0) + (second or 0)
    if seconds == 0:
        raise InputError(f"expected a time of more than nothing, got {text!r}")
    return -(-seconds // 60)


def submitit() -> ModuleType:
    """The package, imported now.

    Raises:
        InputError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import submitit as package
    except ImportError:
        raise InputError(
            "expected the package submitit for --executor, got none; pip install submitit "
            "(or this project with its extra: pip install -e '.[cluster]')"
        ) from None
    return package


def executor(kind: Literal["slurm", "local"], folder: Path, name: str, options: Options) -> Any:  # noqa: ANN401
    """submitit's executor of that kind.

    Args:
        kind: `local` starts processes on this machine, which go on when this one ends.
        folder: for submitit's own files and the jobs' logs; all nodes must see it.
        name: of the jobs.
        options: see there.

    Raises:
        InputError: submitit or Slurm is not there, or refuses an option.
    """
    package = submitit()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if kind == "local":
            made = package.LocalExecutor(folder, max_num_timeout=_REQUEUES)
            visible = tuple(range(options.gpus))
            made.update_parameters(
                timeout_min=options.minutes, gpus_per_node=options.gpus, visible_gpus=visible, nodes=options.nodes
            )
        else:
            made = package.SlurmExecutor(folder, max_num_timeout=_REQUEUES)
            made.update_parameters(**options.slurm(name))
    except (RuntimeError, ValueError) as error:  # no srun on this machine, or several nodes for the local executor
        raise InputError(f"--executor {kind}: {str(error).splitlines()[0]}") from None
    return made


@contextmanager
def unattended() -> Iterator[None]:
    """What is started inside is not ended by Ctrl-C in this terminal, nor when the terminal is closed.

    Nor does it keep this process's output open, which whoever reads it through a pipe would wait for.
    """
    numbers = [signal.SIGINT] + ([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    sys.stdout.flush()
    sys.stderr.flush()
    streams = {number: os.dup(number) for number in (0, 1, 2)}
    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        for number in streams:
            os.dup2(nowhere, number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, kept in streams.items():
            os.dup2(kept, number)
            os.close(kept)
        os.close(nowhere)
        for handled, handler in before.items():
            signal.signal(handled, handler)


def submit_training(
    kind: Literal["slurm", "local"], arguments: Sequence[str], folder: Path, options: Options
) -> tuple[str, Path]:
    """Submit `python -m hcflow` with these arguments as one job.

    Args:
        kind: of the scheduler.
        arguments: of the command that asks for the job; the job itself trains in its own processes.
        folder: of the run; the job's files go into `jobs` in it.
        options: see there.

    Returns:
        the job's id, and the log of the first node.

    Raises:
        InputError: submitit or Slurm is not there, or refuses.
    """
    made = executor(kind, (folder / "jobs").resolve(), f"train-{folder.name}", options)
    try:
        with unattended():
            job = made.submit(Torchrun([*arguments, "--executor", "process"], options))
    except (RuntimeError, OSError) as error:  # submitit's own errors are RuntimeErrors
        said = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"expected {kind} to take the job, got: {said[:300]}") from None
    return str(job.job_id), Path(job.paths.stderr)


class Torchrun:
    """A job: this node's torchrun of `python -m hcflow train`; submitit pickles it and calls it on every node."""

    def __init__(self, arguments: Sequence[str], options: Options) -> None:
        self._arguments, self._options = list(arguments), options
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Train; raises RuntimeError where that fails, so that the scheduler sees it."""
        before = signal.signal(
            signal.SIGUSR2, signal.SIG_IGN
        )  # the children inherit that: it is for this process alone
        try:
            self._process = subprocess.Popen(self._command(), env=self._environment())
        finally:
            signal.signal(signal.SIGUSR2, before)
        if os.environ.get("SUBMITIT_EXECUTOR") == "local":  # Slurm signals every process itself
            signal.signal(signal.SIGTERM, self._pass_on)
        while (code := self._process.poll()) is None:  # no wait(): the signal's handler could not wait, too
            time.sleep(_EVERY)
        self._process = None
        if code:
            raise RuntimeError(f"training ended with exit code {code}; its errors are above")
        return code

    def checkpoint(self) -> Any:  # noqa: ANN401 - submitit is not always installed
        """Called by submitit before the job's time is up: let the processes save, and ask for the same job again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                _kill_all(self._process)
        return submitit().helpers.DelayedSubmission(Torchrun(self._arguments, self._options))

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    @staticmethod
    def _environment() -> dict[str, str]:
        """torchrun kills its processes after 30 s unless it is told otherwise; the oldest ones cannot be told."""
        return {**os.environ, "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(_PATIENCE - _REST)}

    def _command(self) -> list[str]:
        gpus = max(1, self._options.gpus)
        together = ["--standalone"]
        if self._options.nodes > 1:
            first = self._nodes()[0]
            port = 20000 + int(os.environ.get("SLURM_JOB_ID", "0")) % 20000
            together = [
                "--nnodes", str(self._options.nodes), "--node-rank", os.environ.get("SLURM_NODEID", "0"),
                "--master-addr", first, "--master-port", str(port),
            ]  # fmt: skip
        return [
            sys.executable, "-m", "torch.distributed.run", *together, "--nproc-per-node", str(gpus), "--max-restarts",
            "0", "-m", "hcflow", *self._arguments,
        ]  # fmt: skip

    @staticmethod
    def _nodes() -> list[str]:
        nodes: list[str] = submitit().JobEnvironment().hostnames
        return nodes


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it has started: torchrun puts each of its processes into a session of its own."""
    started = _descendants(process.pid)
    process.kill()
    for pid in started:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _descendants(pid: int) -> list[int]:
    """Children, their children, and so on; empty where there is no /proc."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):  # it may have ended meanwhile
            parent = int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found, waiting = [], [pid]
    while waiting:
        mine = children.get(waiting.pop(), [])
        found += mine
        waiting += mine
    return found
