"""What is known of a run that several processes share: who does what, and how far each has come.

OUT/jobs/<id>/submission.json    what was asked, and the jobs that do it; written by the submitting side
OUT/jobs/<id>/plan.json          the images of each part (bench.runs.shards); never changed
OUT/jobs/<id>/part-<n>.json      how far a part has come; written by the process that does it
OUT/jobs/<id>/logs/              what the jobs printed
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Literal, TypeVar
from uuid import uuid4

from bench import jsons
from bench.errors import BenchError, StorageError
from bench.files import make_folder, unwritable, write_atomically
from bench.records.journal import now, this_process
from bench.runs.runner import Request, Share
from bench.runs.shards import Plan
from bench.structured import build
from bench.suites.suite import Row

T = TypeVar("T")
Executor = Literal["workers", "local", "slurm", "other"]
LOG = "HCFLOW_BENCH_LOG"
"""The variable that tells a worker where it prints to."""


@dataclass(frozen=True)
class Attempt:
    """Jobs that were handed to a scheduler in one go.

    Attributes:
        name: of the jobs, for the scheduler.
        jobs: the parts that each of them does, counted from 1.
        ids: of the jobs, where the scheduler has told them; a process submits first and notes them then.
        processes: that do the jobs, where they are processes of this machine.
    """

    name: str
    jobs: tuple[tuple[int, ...], ...]
    ids: tuple[str, ...] = ()
    processes: tuple[dict[str, str | int], ...] = ()


@dataclass(frozen=True)
class Submission:
    """A run that several processes share.

    Attributes:
        id: its name, which sorts by time where it was submitted.
        table: name of the suite.
        key: what was asked, so that nobody asks for the same thing twice.
        executor: who runs the parts: processes of this machine, submitit's executors, or somebody else (`--shard`).
        command: arguments of the command that asked for it.
        commands: arguments for each part, where they are not the same for all.
        images: how many each part has; 0 where that is not known before.
        seconds: that each part was expected to take.
        measured: whether these seconds come from earlier records.
        options: for the scheduler.
        attempts: the jobs of the first submission, then those of each retry.
        created: ISO 8601, UTC.
        process: that submitted it.
    """

    id: str
    table: str
    key: str
    executor: Executor
    command: tuple[str, ...]
    images: tuple[int, ...]
    seconds: tuple[float, ...]
    measured: bool
    commands: tuple[tuple[str, ...], ...] = ()
    options: dict[str, str | int] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    created: str = field(default_factory=now)
    process: dict[str, str | int] = field(default_factory=this_process)

    @property
    def parts(self) -> range:
        """Their numbers, from 1."""
        return range(1, len(self.images) + 1)

    def argv(self, part: int) -> list[str]:
        """The command line of a part."""
        own = self.commands[part - 1] if self.commands else ()
        return [*self.command, *own, "--part", f"{self.id}:{part}", "--no-report"]


@dataclass(frozen=True)
class Status:
    """How far a part has come.

    Attributes:
        state: see there.
        images: that it has.
        computed: measured by this process.
        cached: found in the records.
        problems: how many.
        error: the first of them.
        process: that does it.
        job: its id for the scheduler.
        log: file with what it printed.
        started: seconds since 1970.
        updated: seconds since 1970.
        first: seconds from the start to the first image that is recorded; 0 where there was none.
    """

    state: Literal["running", "done", "failed"]
    images: int = 0
    computed: int = 0
    cached: int = 0
    problems: int = 0
    error: str = ""
    process: dict[str, str | int] = field(default_factory=this_process)
    job: str = ""
    log: str = ""
    started: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    first: float = 0.0


def program_of(name: str) -> Callable[[list[str]], int]:
    """What runs a command line and returns its exit code: `module:function`, as a job or a worker is told."""
    module, _, function = name.partition(":")
    program: Callable[[list[str]], int] = getattr(import_module(module), function)
    return program


def new_id() -> str:
    """Of a submission that starts now."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex[:6]}"


def folder_of(out: Path, submission: str) -> Path:
    """Of a submission's files."""
    return out / "jobs" / submission


def logs_of(out: Path, submission: str) -> Path:
    """Of what its jobs print."""
    return folder_of(out, submission) / "logs"


def create(out: Path, submission: Submission, plan: Plan | None) -> None:
    """Write a new submission; the plan first, so that whoever sees the one sees the other."""
    if plan is not None:
        write_atomically(folder_of(out, submission.id) / "plan.json", _bytes(plan))
    save(out, submission)


def save(out: Path, submission: Submission) -> None:
    """Write what is known of a submission now."""
    write_atomically(folder_of(out, submission.id) / "submission.json", _bytes(submission))


def agreed(out: Path, wanted: Submission, make: Callable[[], Plan]) -> Submission:
    """The submission that all processes with the same `--shard .../N` share; whoever comes first makes its plan.

    The estimates behind a plan change while parts are measured, so the plan is made once and never again.
    """
    folder = folder_of(out, wanted.id)
    if not (folder / "plan.json").is_file():
        plan = make()
        _write_once(folder / "plan.json", _bytes(plan))
    plan = load_plan(out, wanted.id)
    full = replace(
        wanted, images=tuple(plan.counts()), seconds=tuple(plan.seconds()), measured=plan.measured, process={}
    )
    _write_once(folder / "submission.json", _bytes(full))
    return load(out, wanted.id)


def load(out: Path, submission: str) -> Submission:
    """One submission.

    Raises:
        BenchError: there is none of that id, or its file is damaged.
    """
    return _read(folder_of(out, submission) / "submission.json", Submission, "submission")


def load_all(out: Path) -> list[Submission]:
    """Every submission of a results folder, oldest first; one that is damaged is set aside with a warning."""
    found = []
    for path in sorted((out / "jobs").glob("*/submission.json")):
        try:
            found.append(_read(path, Submission, "submission"))
        except BenchError as error:
            if path not in _warned:
                _warned.add(path)
                print(f"warning: {error}; the submission is set aside", file=sys.stderr)
    return sorted(found, key=lambda one: one.created)


_warned: set[Path] = set()


def load_plan(out: Path, submission: str) -> Plan:
    """The plan of a submission.

    Raises:
        BenchError: there is none, or its file is damaged.
    """
    return _read(folder_of(out, submission) / "plan.json", Plan, "plan")


def has_plan(out: Path, submission: str) -> bool:
    """Whether its parts are parts of images; else each part is a command of its own."""
    return (folder_of(out, submission) / "plan.json").is_file()


def share_of(out: Path, submission: str, part: int, count: int) -> Share:
    """What a part has to do."""
    if not has_plan(out, submission):
        return Share(submission, part, count, None)
    plan = load_plan(out, submission)
    if not 1 <= part <= len(plan.parts):
        raise BenchError(f"expected a part from 1 to {len(plan.parts)}, got {part}")
    images: dict[tuple[str, str], tuple[str, ...]] = {}
    for shard in plan.parts[part - 1]:
        place = (shard.row, shard.dataset)
        images[place] = (*images.get(place, ()), *plan.ids(shard))
    return Share(submission, part, count, images)


def status_of(out: Path, submission: str, part: int) -> Status | None:
    """How far a part has come; None where nobody has begun it."""
    path = _status(out, submission, part)
    try:
        return _read(path, Status, "status")
    except BenchError:
        return None


def forget(out: Path, submission: str, parts: Iterable[int]) -> None:
    """Remove what is known of parts that are about to be done again."""
    for part in parts:
        _status(out, submission, part).unlink(missing_ok=True)


def write_status(out: Path, submission: str, part: int, status: Status) -> None:
    """Note how far a part is.

    Raises:
        StorageError: it cannot be written.
    """
    write_atomically(_status(out, submission, part), _bytes(status))


def key_of(request: Request, images: Mapping[str, Sequence[str]]) -> str:
    """What was asked, in a few letters."""
    from bench.records.store import digest_of

    asked = {
        "suite": request.suite.name,
        "columns": [column.measure.id for column in request.suite.columns],
        "rows": [_what_runs(row) for row in request.rows],
        "images": images,
    }
    return digest_of(jsons.loads(jsons.dumps(asked)))[:16]


def _what_runs(row: Row) -> dict[str, object]:
    """A row without what the report alone asks for."""
    return {key: value for key, value in dataclasses.asdict(row).items() if key not in ("series", "seed")}


def _status(out: Path, submission: str, part: int) -> Path:
    return folder_of(out, submission) / f"part-{part}.json"


def _bytes(content: object) -> bytes:
    return jsons.dumps(dataclasses.asdict(content), indent=1).encode()  # type: ignore[call-overload]


def _read(path: Path, kind: type[T], what: str) -> T:
    try:
        return build(kind, jsons.loads(path.read_bytes()), what)
    except FileNotFoundError:
        raise BenchError(f"{path}: expected a {what}, got no such file") from None
    except (OSError, ValueError) as error:
        raise BenchError(f"{path}: expected a {what}, got {error}") from None


def _write_once(path: Path, data: bytes) -> None:
    """Write a file unless it is there, also where another process does the same: one of them wins, whole."""
    make_folder(path.parent)
    mine = path.with_name(f".{path.name}-{uuid4().hex}")
    write_atomically(mine, data)
    try:
        os.link(mine, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        try:
            with path.open("xb") as stream:
                stream.write(data)
        except FileExistsError:
            pass
        except OSError as error:
            raise StorageError(unwritable(path, error)) from None
    finally:
        mine.unlink(missing_ok=True)
