"""The cases of table 1 as parts: each is trained and measured by a command of its own; and the plan on paper."""

from __future__ import annotations

import json
import shutil
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main
from bench.cli import sharing
from bench.records.merging import merged, reproductions
from bench.runs import asking, executors, submissions
from bench.runs.runner import Request
from bench.runs.submissions import Attempt, Status, Submission
from bench.suites.reading import load_suite
from bench.training import ablation
from bench.training.ablation import Trained

ROOT = Path(__file__).parents[3]
WEIGHTS = ROOT / "hcflow/trained/HCFlow_rescaling_x4_ours.safetensors"


@pytest.mark.slow
def test_cases_are_trained_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The jobs of an array, here done one after the other by this process; training is but a file."""
    trained = []

    def train_rows(
        rows: list[str], budget: str, _: object, __: str, ___: object, seeds: list[int]
    ) -> Iterator[Trained]:
        for row in rows:
            (seed,) = seeds
            trained.append((row, budget, seed))
            file = shutil.copy(WEIGHTS, tmp_path / f"{row}.safetensors")
            yield Trained(row, Path(file), 12, "smoke, 12 steps", seed)

    def submit(out: Path, submission: Submission, *_: object) -> Submission:
        submissions.save(out, submission)
        for part in submission.parts:
            assert main(submission.argv(part)) == 0
        return submission

    monkeypatch.setattr(ablation, "train_rows", train_rows)
    monkeypatch.setattr(ablation, "ROWS", ("case1", "case2"))
    monkeypatch.setattr(executors, "submit", submit)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    command = ["run", "--ablation", "all", "--budget", "smoke", "--dataset", "Sample", "--limit", "1"]
    out = tmp_path / "results"
    seeds = ["--seed", "0", "1"]
    assert main([*command, *seeds, "--executor", "slurm", "--out", str(out)]) == 0
    assert trained == [("case1", "smoke", 0), ("case2", "smoke", 0), ("case1", "smoke", 1), ("case2", "smoke", 1)]
    (submission,) = submissions.load_all(out)
    assert not submissions.has_plan(out, submission.id)
    (journal,) = reproductions(out)
    assert journal.run == submission.id
    assert journal.finished
    rows = {entry.row for entry in journal.entries if entry.state == "done"}
    assert {row.partition(" ")[0] for row in rows} == {"case1", "case2"}
    printed = capsys.readouterr().out
    assert "case2 (ours, smoke, 12 steps)" in printed
    assert "case2 (ours, smoke, 12 steps, seed 1)" in printed
    assert main([*command, *seeds, "--executor", "slurm", "--attach", "--out", str(out)]) == 0
    assert main([*command, "--seed", "2", "--executor", "slurm", "--attach", "--out", str(out)]) == 2
    assert "expected jobs that were submitted with the same arguments" in capsys.readouterr().err


def test_the_order_of_seeds_is_no_other_request() -> None:
    suite = load_suite("1")

    def key(*seeds: list[int]) -> str:
        asked = Namespace(ablation="case1", budget="smoke", train_data=[], part=None, seed=list(seeds))
        return sharing.key_of_cases(asked, suite)

    assert key([0, 1]) == key([1, 0]) == key([1], [0]) != key([0, 2])
    assert key() == key([0]) != key([0, 1])


def test_a_plan_on_paper(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.tracking.tables.Tracker._guard", lambda *_: None)
    out = ["--out", str(tmp_path)]
    command = ["run", "--table", "4", "--dataset", "Sample", "--method", "bicubic", *out]
    assert main([*command, "--limit", "1"]) == 0
    capsys.readouterr()
    assert main([*command, "--dry-run", "--executor", "slurm", "--max-jobs", "64"]) == 0
    printed = capsys.readouterr().out
    assert "3 parts" in printed
    assert "Bicubic on Sample 1-1" in printed
    assert [line.split()[0] for line in printed.splitlines() if "%" in line] == ["1", "8", "64"]
    assert not (tmp_path / "jobs").exists()


def test_journals_of_parts_are_one_reproduction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.tracking.tables.Tracker._guard", lambda *_: None)
    command = ["run", "--table", "4", "--dataset", "Sample", "--method", "bicubic", "--out", str(tmp_path)]
    for number in (1, 2, 1):  # the first part twice, as after a preemption
        assert main([*command, "--shard", f"{number}/2", "--no-report"]) == 0
    (journal,) = reproductions(tmp_path)
    (entry,) = journal.entries
    assert entry.state == "done"
    assert len(entry.pixels) == 3
    assert entry.computed + entry.cached == 3
    assert journal.finished
    assert journal.run.startswith("shards-2-")
    assert submissions.load(tmp_path, journal.run).command == (*command, "--no-report")
    main(["show", "--table", "4", "--out", str(tmp_path)])
    assert ", 2 parts: commit" in capsys.readouterr().out
    parts = [one for one in _parts(tmp_path) if one.command["part"]["number"] == 1]
    unfinished = merged("x", parts)
    assert unfinished.finished is None
    assert unfinished.entries[0].state == "running"


def _parts(out: Path) -> list[object]:
    from bench.records.journal import load_journals

    return list(load_journals(out))


def test_jobs_are_written_down_before_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever submits may be killed at any moment: the jobs are found again by their name."""
    pytest.importorskip("submitit")
    seen: list[Attempt] = []

    def handed(executor: object, work: list[executors.PartJob]) -> list[object]:
        seen.extend(submissions.load(tmp_path, "s").attempts)
        raise KeyboardInterrupt

    monkeypatch.setattr(executors, "_slurm", handed)
    monkeypatch.setattr("hcflow.train.cluster.executor", lambda *_: None)
    one = Submission("s", "table4", "k", "slurm", ("run",), (1, 1), (1.0, 1.0), True)
    submissions.create(tmp_path, one, None)
    with pytest.raises(KeyboardInterrupt):
        executors.submit(tmp_path, one, one.parts, executors.Options(), "bench.__main__:main")
    assert [(attempt.name, attempt.jobs) for attempt in seen] == [("bench-s-1", ((1,), (2,)))]


def test_local_jobs_share_the_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """submitit's local executor starts all jobs at once, so there are as many as may run."""
    monkeypatch.setattr("hcflow.train.cluster.executor", lambda *_: None)
    monkeypatch.setattr(executors, "_local", lambda *_: [])
    one = Submission("s", "table4", "k", "local", ("run",), (1,) * 5, (1.0,) * 5, True)
    submissions.create(tmp_path, one, None)
    given = executors.submit(tmp_path, one, one.parts, executors.Options(at_once=2), "bench.__main__:main")
    assert given.attempts[0].jobs == ((1, 3, 5), (2, 4))


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[int]]]:
    """Keeps (submission, parts) of every submitting; all parts fail."""
    submitted = []

    def submit(out: Path, submission: Submission, parts: Iterable[int], *_: object) -> Submission:
        numbers = list(parts)
        submitted.append((submission.id, numbers))
        submissions.save(out, submission)
        for part in numbers:
            submissions.write_status(out, submission.id, part, Status("failed", 1, error="it broke"))
        return submission

    monkeypatch.setattr("bench.tracking.tables.Tracker._guard", lambda *_: None)
    monkeypatch.setattr(executors, "submit", submit)
    monkeypatch.setattr(asking, "job_states", lambda _: {})
    return submitted


def bicubic(out: Path, *more: str) -> list[str]:
    return ["run", "--table", "4", "--dataset", "Sample", "--method", "bicubic", "--out", str(out), *more]


SLURM = ("--executor", "slurm", "--shards", "2")


def test_what_failed_of_the_same_is_submitted_again(
    tmp_path: Path, scheduler: list[tuple[str, list[int]]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Not what happens to be the newest."""
    for limit in ("3", "2"):
        assert main(bicubic(tmp_path, "--limit", limit, *SLURM)) == 2
    (three, _), (two, _) = scheduler
    assert three != two
    for limit, same in (("3", three), ("2", two)):
        assert main(bicubic(tmp_path, "--limit", limit, *SLURM, "--retry-failed")) == 2
        assert scheduler[-1] == (same, [1, 2])
        capsys.readouterr()
        main(bicubic(tmp_path, "--limit", limit, *SLURM, "--attach"))
        assert f"{same}: 2 parts" in capsys.readouterr().err
    assert main(bicubic(tmp_path, "--limit", "1", *SLURM, "--retry-failed")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: expected jobs that were submitted with the same arguments, got others: ")
    assert f"{two}: run --table 4" in line
    assert len(scheduler) == 4


@pytest.mark.parametrize(
    ("first", "then", "message"),
    [
        (SLURM, ("--workers", "2"), "expected --executor slurm, with which {id} was submitted, got workers"),
        (SLURM, ("--executor", "local"), "expected --executor slurm, with which {id} was submitted, got local"),
        (SLURM, (), "expected --workers or --executor with --retry-failed, as it was submitted, got neither"),
        (("--workers", "1"), SLURM, "expected --workers N, with which {id} was submitted, got slurm"),
        (SLURM, ("--shard", "1/2"), "expected --attach and --retry-failed without --shard"),
    ],
)
def test_parts_are_not_done_by_whom_nobody_asked(
    first: tuple[str, ...], then: tuple[str, ...], message: str, tmp_path: Path,
    scheduler: list[tuple[str, list[int]]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Least of all in one process of the machine that submits."""
    monkeypatch.setattr("bench.runs.workers.run_parts", lambda *_: None)
    main(bicubic(tmp_path, *first))
    (one,) = submissions.load_all(tmp_path)
    capsys.readouterr()
    assert main(bicubic(tmp_path, *then, "--retry-failed")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: " + message.format(id=one.id))


def test_two_retries_at_once_submit_once(
    tmp_path: Path, scheduler: list[tuple[str, list[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second waits for the first, and then sees that nothing is left to be submitted."""
    main(bicubic(tmp_path, *SLURM))

    @contextmanager
    def after_another(out: Path) -> Iterator[None]:
        (one,) = submissions.load_all(out)
        for part in one.parts:
            submissions.write_status(out, one.id, part, Status("done", 1, 1))
        yield

    monkeypatch.setattr(executors, "exclusively", after_another)
    assert main(bicubic(tmp_path, *SLURM, "--retry-failed")) == 0
    assert len(scheduler) == 1


def test_a_retry_finds_what_others_measured(
    tmp_path: Path, scheduler: list[tuple[str, list[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard does an image, a job the next before another fails, and the retry only what is left."""
    assert main(bicubic(tmp_path, "--shard", "1/3", "--no-report")) == 0
    main(bicubic(tmp_path, "--executor", "slurm", "--shards", "3"))
    ((of, parts),) = scheduler
    assert len(recorded(tmp_path)) == 2  # under the common protocol, and as published

    def submit(out: Path, submission: Submission, failed: Iterable[int], *_: object) -> Submission:
        for part in failed:
            assert main(submission.argv(part)) == 0
        return submission

    monkeypatch.setattr(executors, "submit", submit)
    assert main(bicubic(tmp_path, "--executor", "slurm", "--retry-failed")) == 0
    statuses = [submissions.status_of(tmp_path, of, part) for part in parts]
    assert sum(one.computed for one in statuses if one) == 2
    assert sum(one.cached for one in statuses if one) == 1
    assert len(recorded(tmp_path)) == len(set(recorded(tmp_path))) == 6


def recorded(out: Path) -> list[tuple[str, str]]:
    """(Restoration, image) of every line of the records."""
    return [
        (path.parent.name, json.loads(line)["image"])
        for path in out.glob("records/*/*.jsonl")
        for line in path.read_text().splitlines()[1:]
    ]


@pytest.mark.parametrize("own", [["--shard", "3/8"], ["--shard=3/8"]])
def test_shards_note_the_command_that_they_share(own: list[str]) -> None:
    before, after = ["run", "--table", "4"], ["--no-report"]
    for arguments in ([*before, *own, *after], [*before, *after, *own], [*own, *before, *after]):
        assert sharing._without_shard(arguments) == (*before, *after)


def test_what_was_asked_is_the_same_whatever_the_report_calls_a_row(tmp_path: Path) -> None:
    """Submissions of a version whose rows knew no series are found again."""
    suite = load_suite("4")
    rows = {name: replace(suite.rows[0], **changes) for name, changes in ROWS.items()}
    keys = {
        name: submissions.key_of(Request(suite, (row,), (), None, None, tmp_path), {}) for name, row in rows.items()
    }
    assert keys["as it is"] == keys["of a series"] != keys["colder"]


ROWS: dict[str, dict[str, Any]] = {
    "as it is": {}, "of a series": {"series": "small, 3,000 steps", "seed": 1}, "colder": {"temperature": 0.5},
}  # fmt: skip
