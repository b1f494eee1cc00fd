"""submitit's local executor: the same code path as on Slurm, without one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lab import IMAGES, Lab, heed_signals, until

from bench.records.journal import still_runs

pytestmark = pytest.mark.slow
pytest.importorskip("submitit", reason="needs submitit: pip install -e '.[cluster]'")

SUBMIT = ("--executor", "local", "--time", "0:30:00", "--max-jobs", "2")


def test_jobs_outlive_the_terminal_and_are_attached_to(tmp_path: Path) -> None:
    """Ctrl-C in a terminal reaches the whole process group, and closing it sends SIGHUP: the jobs heed neither."""
    lab = Lab.in_(tmp_path, 0.5)
    command = [sys.executable, "-m", "bench", "run", "--suite", "mine.toml", *SUBMIT, "--shards", "4"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "preexec_fn": heed_signals}
    with subprocess.Popen(command, cwd=tmp_path, env=lab.environment, start_new_session=True, **pipes) as process:  # type: ignore[call-overload]
        until(lambda: lab.restored() >= 2)
        for number in (signal.SIGINT, signal.SIGHUP):
            os.killpg(process.pid, number)
        _, errors = process.communicate(timeout=60)
    assert "the jobs keep running" in errors or process.returncode == -signal.SIGHUP
    assert [len(parts) for parts in lab.submission().attempts[0].jobs] == [2, 2]
    done = lab.run(*SUBMIT, "--attach")
    assert done.returncode == 0, done.stderr
    assert "4 done, 0 failed; 24/24 images" in done.stderr
    lab.assert_whole()
    assert lab.restored() == IMAGES


def test_cancel_ends_them(tmp_path: Path) -> None:
    lab = Lab.in_(tmp_path, 60.0)
    with lab.running(*SUBMIT, "--shards", "2", "--method", "Slow") as process:
        until(lambda: list(lab.out.glob("jobs/*/part-*.json")))
        process.kill()
    jobs = lab.submission().attempts[0].processes
    assert all(still_runs(job) for job in jobs)
    done = lab.bench("jobs", "--cancel")
    assert "cancelled; what was measured is kept" in done.stdout, done.stderr
    until(lambda: not any(still_runs(job) for job in jobs), timeout=30)
    looked = lab.bench("jobs")
    assert looked.returncode == 2, looked.stdout
    assert re.search(r"local +0 +0 +0 +2", looked.stdout), looked.stdout
    lab.environment["SLOWLY"] = "0"
    again = lab.run(*SUBMIT, "--retry-failed", "--method", "Slow")
    assert again.returncode == 0, again.stderr
    lab.assert_whole(["Slow"])
