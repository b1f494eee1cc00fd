"""Watching a submitted run: which parts are queued, running, done or failed, how fast it is, and the time left.

The jobs write their progress to files, and the scheduler says which of them it still has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.records.journal import still_runs
from bench.runs import asking, submissions
from bench.runs.asking import JobState
from bench.runs.submissions import Status, Submission

PartState = Literal["queued", "running", "done", "failed"]
GRACE = 5.0
"""Seconds after which a job that the scheduler has no more, and that said nothing, has failed: files come late."""


@dataclass(frozen=True)
class Part:
    """One part, as it is now.

    Attributes:
        number: from 1.
        state: see there.
        images: that it has; 0 where that is not known.
        done: of them, measured or found.
        computed: of them, measured by the process that does it now.
        error: why it failed, in a line.
        log: file with what it said.
        waits: why it is queued, in the scheduler's words.
    """

    number: int
    state: PartState
    images: int
    done: int = 0
    computed: int = 0
    error: str = ""
    log: str = ""
    waits: str = ""


@dataclass(frozen=True)
class Picture:
    """All parts, as they are now.

    Attributes:
        submission: its id.
        parts: see there.
        rate: images that are measured per second, since somebody looks; None where none was.
        left: seconds until all is done at this rate; None where that cannot be told.
        seconds: since somebody looks.
    """

    submission: str
    parts: tuple[Part, ...]
    rate: float | None
    left: float | None
    seconds: float

    def count(self, state: PartState) -> int:
        """Parts in a state."""
        return sum(part.state == state for part in self.parts)

    @property
    def failed(self) -> list[Part]:
        """Parts that failed."""
        return [part for part in self.parts if part.state == "failed"]

    @property
    def finished(self) -> bool:
        """Whether nothing is queued or running."""
        return all(part.state in ("done", "failed") for part in self.parts)

    @property
    def images(self) -> tuple[int, int]:
        """Images that are done, and all."""
        return sum(part.done for part in self.parts), sum(max(part.images, part.done) for part in self.parts)


class Watch:
    """Looks at a submission again and again."""

    def __init__(self, out: Path, submission: Submission) -> None:
        self.out, self.submission = out, submission
        self._started = time.monotonic()
        self._gone: dict[int, float] = {}
        self._jobs: Mapping[int, JobState] | None = None
        self._first: tuple[int, float] | None = None

    def look(self) -> Picture:
        """How it is now."""
        jobs = asking.job_states(self.submission)
        self._jobs = self._jobs if jobs is None else jobs  # a scheduler that is away for a moment
        parts = tuple(self._part(number) for number in self.submission.parts)
        seconds = time.monotonic() - self._started
        computed = sum(part.computed for part in parts)
        left = self._work_left(parts)
        if self._first is None:
            self._first = computed, left
            seconds = 0.0
        new, less = computed - self._first[0], self._first[1] - left
        rate = new / seconds if seconds > 0 and new > 0 else None
        return Picture(
            self.submission.id, parts, rate, left * seconds / less if seconds > 0 and less > 0 else None, seconds
        )

    def follow(self, show: Callable[[Picture], None], every: float = 2.0) -> Picture:
        """Look until nothing is queued or running."""
        while True:
            picture = self.look()
            show(picture)
            if picture.finished:
                return picture
            time.sleep(every)

    def settled(self) -> Picture:
        """How it is, once nothing is in doubt: the last words of a job that is gone may be on the way."""
        picture = self.look()
        if self._gone and not picture.finished and self.submission.executor in ("slurm", "local"):
            time.sleep(GRACE)
            picture = self.look()
        return picture

    def _work_left(self, parts: tuple[Part, ...]) -> float:
        """In the seconds of the plan."""
        shares = [0.0 if p.state in ("done", "failed") else 1 - p.done / p.images if p.images else 1.0 for p in parts]
        return sum(share * seconds for share, seconds in zip(shares, self.submission.seconds, strict=True))

    def _part(self, number: int) -> Part:
        status = submissions.status_of(self.out, self.submission.id, number)
        images = self.submission.images[number - 1]
        job = (self._jobs or {}).get(number)
        state, error = self._state(number, status, job)
        log = (status.log if status else "") or str(asking.log_of(self.out, self.submission, _id(job)) or "")
        if state == "failed" and not error:
            error = self._last_words(status, job, log)
        done = status.computed + status.cached if status else 0
        waits = job.reason if job and state == "queued" else ""
        return Part(number, state, images or (status.images if status else 0), done, status.computed if status else 0,
                    error, log, waits)  # fmt: skip

    def _state(self, number: int, status: Status | None, job: JobState | None) -> tuple[PartState, str]:
        if status is not None and status.state == "done":
            return "done", ""
        if status is not None and status.state == "failed" and (job is None or job.state != "queued"):
            return "failed", status.error
        alive = self._alive(status, job)
        if alive == "gone":
            since = self._gone.setdefault(number, time.monotonic())
            patience = GRACE if self.submission.executor in ("slurm", "local") else 0.0
            if time.monotonic() - since >= patience:
                return "failed", ""
            return ("running" if status else "queued"), ""
        self._gone.pop(number, None)
        return alive, ""

    def _alive(self, status: Status | None, job: JobState | None) -> Literal["queued", "running", "gone"]:
        if self.submission.executor == "slurm":
            return job.state if job is not None else ("running" if status else "queued")
        running = status is not None and status.state == "running" and still_runs(status.process)
        if running:
            return "running"
        if self.submission.executor == "local":
            return job.state if job is not None else "gone"
        if self.submission.executor == "workers":
            return "queued" if still_runs(self.submission.process) and status is None else "gone"
        return "queued" if status is None else "gone"  # somebody else's scheduler may bring it yet

    def _last_words(self, status: Status | None, job: JobState | None, log: str) -> str:
        """Why a part failed that could not say so itself."""
        word = job.word.lower() if job and job.word not in ("", "COMPLETED", "FAILED") else ""
        if word:
            return f"the scheduler says: {word}"
        said = asking.said_in(Path(log)) if log else ""
        if status is None:
            return said or "it never started, or was cancelled"
        return said or "it was killed, or its machine failed"


def _id(job: JobState | None) -> str:
    return job.id if job is not None else ""
