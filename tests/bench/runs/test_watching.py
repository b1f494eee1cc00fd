"""What is said of a part, from what it wrote itself and from what the scheduler says of its job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli.watching import PictureView, failure, summary
from bench.records.journal import this_process
from bench.runs import asking, submissions, watching
from bench.runs.asking import JobState
from bench.runs.submissions import Attempt, Status, Submission
from bench.runs.watching import Watch

GONE = {"host": this_process()["host"], "boot": "another", "pid": 1, "since": "0"}
HERE = {key: value for key, value in this_process().items() if isinstance(value, str | int)}


def submission(executor: str = "slurm", parts: int = 1) -> Submission:
    numbers = tuple((n,) for n in range(1, parts + 1))
    return Submission(
        "s", "table4", "key", executor, ("run", "--table", "4"), (4,) * parts, (8.0,) * parts, True,  # type: ignore[arg-type]
        attempts=(Attempt("bench-s-1", numbers, tuple(f"7_{n}" for n in range(parts))),),
    )  # fmt: skip


def write(out: Path, part: int, status: Status) -> None:
    submissions.write_status(out, "s", part, status)


@pytest.mark.parametrize(
    ("job", "status", "expected"),
    [
        (JobState("queued", "PENDING", "Resources"), None, "queued"),
        (JobState("running", "RUNNING"), None, "running"),
        (JobState("running", "RUNNING"), Status("running", 4, 1), "running"),
        (JobState("gone", "COMPLETED"), Status("done", 4, 4), "done"),
        (JobState("running", "COMPLETING"), Status("done", 4, 4), "done"),
        (JobState("gone", "FAILED"), Status("failed", 4, 1, 0, 1, "it broke"), "failed"),
        (JobState("queued", "PENDING", "BeginTime"), Status("running", 4, 1), "queued"),  # requeued
        (JobState("queued", "PENDING"), Status("failed", 4, 1, 0, 1, "it broke"), "queued"),  # requeued after a failure
        (JobState("gone", "CANCELLED"), Status("running", 4, 1), "failed"),
        (JobState("gone"), None, "failed"),
    ],
)
def test_states_on_slurm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: JobState, status: Status | None, expected: str
) -> None:
    submissions.create(tmp_path, submission(), None)
    if status is not None:
        write(tmp_path, 1, status)
    monkeypatch.setattr(watching, "GRACE", 0.0)
    monkeypatch.setattr(asking, "job_states", lambda _: {1: job})
    (part,) = Watch(tmp_path, submission()).look().parts
    assert part.state == expected
    if expected == "failed":
        told = {"FAILED": "it broke", "CANCELLED": "the scheduler says: cancelled", "": "it never started"}
        assert told[job.word] in part.error


def test_a_job_that_is_gone_may_still_have_words_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submissions.create(tmp_path, submission(), None)
    write(tmp_path, 1, Status("running", 4, 3))
    monkeypatch.setattr(asking, "job_states", lambda _: {1: JobState("gone")})
    watch = Watch(tmp_path, submission())
    assert watch.look().count("running") == 1
    write(tmp_path, 1, Status("done", 4, 4))
    assert watch.look().finished


def test_a_scheduler_that_does_not_answer_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submissions.create(tmp_path, submission(), None)
    answers = iter([{1: JobState("running", "RUNNING")}, None, None])
    monkeypatch.setattr(asking, "job_states", lambda _: next(answers))
    watch = Watch(tmp_path, submission())
    assert [watch.look().parts[0].state for _ in range(3)] == ["running"] * 3


@pytest.mark.parametrize(
    ("executor", "process", "status", "expected"),
    [
        ("workers", HERE, None, "queued"),
        ("workers", GONE, None, "failed"),  # whoever would have begun it is gone
        ("workers", HERE, Status("running", 4, 1, process=HERE), "running"),
        ("workers", HERE, Status("running", 4, 1, process=GONE), "failed"),
        ("other", {}, None, "queued"),  # somebody else's scheduler may bring it yet
        ("other", {}, Status("running", 4, 1, process=GONE), "failed"),
    ],
)
def test_states_without_a_scheduler(
    tmp_path: Path, executor: str, process: dict[str, str | int], status: Status | None, expected: str
) -> None:
    one = replace(submission(executor), attempts=(), process=process)
    submissions.create(tmp_path, one, None)
    if status is not None:
        write(tmp_path, 1, status)
    assert Watch(tmp_path, one).look().parts[0].state == expected


def test_what_squeue_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def said(command: list[str]) -> str:
        asked.append(command)
        return "7_0|bench-s-1|RUNNING|None\n7_1|bench-s-1|PENDING|Resources\n7_2|bench-s-1|TIMEOUT|None\n"

    monkeypatch.setattr(asking, "ask", said)
    states = asking.job_states(submission(parts=4))
    assert states == {
        1: JobState("running", "RUNNING", "", "7_0"),
        2: JobState("queued", "PENDING", "Resources", "7_1"),
        3: JobState("gone", "TIMEOUT", "", "7_2"),
        4: JobState("gone", "", "", "7_3"),  # Slurm does not know it any more
    }
    assert "--name=bench-s-1" in asked[0]


def test_a_retry_is_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    one = submission(parts=2)
    one = replace(one, attempts=(*one.attempts, Attempt("bench-s-2", ((2,),), ("9",))))
    monkeypatch.setattr(asking, "ask", lambda _: "7_1|bench-s-1|FAILED|None\n9|bench-s-2|RUNNING|None\n")
    states = asking.job_states(one)
    assert states is not None
    assert states[2] == JobState("running", "RUNNING", "", "9")


def test_speed_and_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = submission(parts=2)
    submissions.create(tmp_path, one, None)
    running = {n: JobState("running", "RUNNING") for n in (1, 2)}
    monkeypatch.setattr(asking, "job_states", lambda _: running)
    clock = iter([0.0, 0.0, 10.0])
    monkeypatch.setattr(watching.time, "monotonic", lambda: next(clock))
    watch = Watch(tmp_path, one)
    assert watch.look().rate is None
    write(tmp_path, 1, Status("running", 4, 2))
    picture = watch.look()
    assert picture.rate == pytest.approx(0.2)
    assert picture.left == pytest.approx(30.0)  # a quarter took 10 s
    assert summary(picture) == "0 queued, 2 running, 0 done, 0 failed; 2/8 images, 0.20 images/s, 30 s left"


def test_lines_where_there_is_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = watching.Part(2, "failed", 4, 1, 1, "it broke", "logs/7_1_0_log.err")
    picture = watching.Picture("s", (watching.Part(1, "done", 4, 4, 4), part), None, None, 3.0)
    with PictureView(submission(parts=2)) as view:
        view.show(picture)
        view.show(picture)
    assert capsys.readouterr().err.splitlines() == [
        "s: 2 parts, slurm",
        "error: part 2: it broke; log: logs/7_1_0_log.err",
        "0 queued, 0 running, 1 done, 1 failed; 5/8 images",
    ]
    assert failure(part) == "error: part 2: it broke; log: logs/7_1_0_log.err"


def test_the_line_of_a_log_that_tells(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("Slow on Tiny\nerror: first\nerror: Tiny/a: no\nTraceback\n  File x\nRuntimeError: part 2\n")
    assert asking.said_in(log) == "Tiny/a: no"
    log.write_text("Traceback\nKilled\n\n")
    assert asking.said_in(log) == "Killed"
    assert asking.said_in(tmp_path / "none") == ""
