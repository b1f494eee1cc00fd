"""Runs on a real Slurm of one node: the same numbers, and nothing lost or measured twice whatever goes wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from lab import IMAGES, Lab, until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

SUBMIT = ("--executor", "slurm", "--partition", "test", "--time", "0:10:00")


def squeue(*columns: str) -> list[list[str]]:
    """The jobs that are not finished: the columns of each."""
    text = subprocess.run(
        ["squeue", "--noheader", "--array", "--format=" + "|".join(columns)], capture_output=True, text=True, check=True
    ).stdout
    return [line.strip().split("|") for line in text.splitlines()]


def begun(lab: Lab, images: int = 1) -> int | None:
    """A part that is under way, with some of its images done and others not."""
    for number in lab.submission().parts if list(lab.out.glob("jobs/*/submission.json")) else ():
        status = lab.status(number)
        if status and status.state == "running" and images <= status.computed < status.images - 1 and status.job:
            return number
    return None


def job_of(lab: Lab, part: int) -> str:
    status = lab.status(part)
    assert status is not None
    return status.job


def values(lab: Lab) -> dict[tuple[object, ...], object]:
    return {(cell["row"], cell["metric"]): (cell["value"], cell["stderr"]) for cell in lab.cells() if cell["value"]}


def test_an_array_gives_the_table_of_one_process(lab: Lab) -> None:
    lab.environment["SLOWLY"] = "0.05"
    done = lab.run(*SUBMIT, "--shards", "3", "--max-jobs", "2")
    assert done.returncode == 0, done.stderr
    assert "3 done, 0 failed; 24/24 images" in done.stderr
    assert "Slow" in done.stdout
    lab.assert_whole()
    assert not squeue("%i")
    assert len(lab.submission().attempts) == 1
    assert {one.partition("_")[0] for one in lab.submission().attempts[0].ids} == {
        lab.submission().attempts[0].ids[0].partition("_")[0]
    }  # one array
    together = values(lab)
    (lab.folder / "results").rename(lab.folder / "shared")
    assert lab.run().returncode == 0
    assert values(lab) == together
    again = lab.bench("jobs", "--out", "shared")
    assert again.returncode == 0
    assert re.search(r"slurm +0 +0 +3 +0 +24/24", again.stdout)


def test_scancel_of_a_running_shard(lab: Lab) -> None:
    lab.environment["SLOWLY"] = "1.5"
    with lab.running(*SUBMIT, "--shards", "2", "--method", "Slow") as process:
        part = int(str(until(lambda: begun(lab))))
        subprocess.run(["scancel", job_of(lab, part)], check=True)
        output, errors = process.communicate(timeout=200)
    assert process.returncode == 2
    log = lab.out / "jobs" / lab.submission().id / "logs" / f"{job_of(lab, part)}_0_log.err"
    assert re.search(rf"error: part {part}: .*; log: {re.escape(str(log))}", errors), errors
    assert log.is_file()
    assert "error: 1 of 2 parts failed; the rest is measured" in errors
    assert f"{IMAGES}/{IMAGES}" not in output
    before = lab.restored()
    done = lab.run(*SUBMIT, "--retry-failed", "--method", "Slow")
    assert done.returncode == 0, done.stderr
    lab.assert_whole(["Slow"])
    assert lab.restored() <= IMAGES + 2  # the image in flight, and one that waited to be scored
    assert lab.restored() > before
    assert [len(attempt.jobs) for attempt in lab.submission().attempts] == [2, 1]


def test_kill_9_of_the_step(lab: Lab) -> None:
    """The node's own daemon for the job dies, and whatever Slurm makes of it."""
    lab.environment["SLOWLY"] = "1.5"
    with lab.running(*SUBMIT, "--shards", "2", "--method", "Slow") as process:
        part = int(str(until(lambda: begun(lab))))
        ids = dict(squeue("%F_%K", "%A"))
        step = f"slurmstepd: [{ids[job_of(lab, part)]}"
        pids = [
            int(path.name)
            for path in Path("/proc").iterdir()
            if path.name.isdigit() and (path / "cmdline").read_bytes().decode(errors="replace").startswith(step)
        ]
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=250)
    if process.returncode != 0:
        done = lab.run(*SUBMIT, "--retry-failed", "--method", "Slow")
        assert done.returncode == 0, done.stderr
    lab.assert_whole(["Slow"])


def test_a_full_disk_in_one_job(lab: Lab) -> None:
    (lab.folder / "slowly.py").write_text(
        (lab.folder / "slowly.py").read_text()
        + "\n\nimport resource\n"
        + 'if os.environ.get("SLURM_ARRAY_TASK_ID", "") == os.environ.get("FULL_DISK"):\n'
        + "    resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))\n"
    )
    lab.environment |= {"SLOWLY": "0.05", "FULL_DISK": "1"}
    done = lab.run(*SUBMIT, "--shards", "3", "--method", "Slow")
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: part 2")][:1]
    assert re.search(r"expected (a place to write to|to write \d+ bytes)", line), line
    assert "_1_0_log.err" in line
    del lab.environment["FULL_DISK"]
    again = lab.run(*SUBMIT, "--retry-failed", "--method", "Slow")
    assert again.returncode == 0, again.stderr
    lab.assert_whole(["Slow"])


@pytest.mark.parametrize("how", ["preempted", "requeued"])
def test_a_job_that_goes_back_into_the_queue(lab: Lab, how: str) -> None:
    """By submitit's signal before the time is up, and by the administrator's command."""
    lab.environment["SLOWLY"] = "5"
    with lab.running(*SUBMIT, "--shards", "2", "--method", "Slow") as process:
        part = int(str(until(lambda: begun(lab, 2))))
        job = job_of(lab, part)
        command = ["scancel", "--signal=USR2", job] if how == "preempted" else ["scontrol", "requeue", job]
        subprocess.run(command, check=True)
        _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    lab.assert_whole(["Slow"])
    status = lab.status(part)
    assert status is not None
    assert status.job == job
    assert status.cached >= 2  # finished images were not computed again
    assert lab.restored() <= IMAGES + 2
    if how == "preempted":
        assert f"Requeued job {job}" in Path(status.log).with_suffix(".out").read_text()


def test_two_submitters_of_one_thing(lab: Lab) -> None:
    with lab.running(*SUBMIT, "--shards", "2", "--method", "Slow") as first:
        until(lambda: list(lab.out.glob("jobs/*/submission.json")))
        second = lab.run(*SUBMIT, "--shards", "3", "--method", "Slow")
        assert second.returncode == 2
        same = r"error: expected no unfinished run with the same arguments in results, got \S+ \(\d of 2 parts done\)"
        assert re.search(f"{same}; watch", second.stderr), second.stderr
        first.communicate(timeout=200)
    assert first.returncode == 0
    lab.assert_whole(["Slow"])
    assert lab.restored() == IMAGES


def test_two_submitters_of_overlapping_things(lab: Lab) -> None:
    """Both run; an image that one of them is working on is found recorded by the other."""
    with (
        lab.running(*SUBMIT, "--shards", "1", "--method", "Slow") as first,
        lab.running(*SUBMIT, "--shards", "1") as second,
    ):
        errors = [one.communicate(timeout=280)[1] for one in (first, second)]
        assert [first.returncode, second.returncode] == [0, 0], errors
    lab.assert_whole()
    assert lab.restored() == IMAGES


def test_the_submitting_process_is_killed(lab: Lab) -> None:
    with lab.running(*SUBMIT, "--shards", "2", "--method", "Slow") as process:
        until(lambda: begun(lab))
        process.kill()
        process.wait()
    done = lab.run(*SUBMIT, "--attach", "--method", "Slow")
    assert done.returncode == 0, done.stderr
    assert f"{IMAGES}/{IMAGES}" in done.stdout
    lab.assert_whole(["Slow"])
    assert lab.restored() == IMAGES


def test_ctrl_c_leaves_the_jobs_and_cancel_ends_them(lab: Lab) -> None:
    lab.environment["SLOWLY"] = "30"
    with lab.running(*SUBMIT, "--shards", "3", "--method", "Slow") as process:
        until(lambda: begun(lab))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the jobs keep running. To watch them again: python -m bench run --suite mine.toml" in errors
    assert "--method Slow --attach" in errors
    assert squeue("%i")
    jobs = lab.bench("jobs")
    assert re.search(r"slurm +\d +[12] +\d +0", jobs.stdout), jobs.stdout
    cancelled = lab.bench("jobs", "--cancel")
    assert "cancelled; what was measured is kept" in cancelled.stdout
    until(lambda: not squeue("%i"), timeout=60)
    looked = lab.bench("jobs")
    assert looked.returncode == 2
    assert "the scheduler says: cancelled" in looked.stdout
    lab.environment["SLOWLY"] = "0"
    done = lab.run("--method", "Slow")  # the same command, in this process
    assert done.returncode == 0
    lab.assert_whole(["Slow"])


def test_what_slurm_refuses_is_one_line(lab: Lab) -> None:
    done = lab.run("--executor", "slurm", "--partition", "nowhere")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: expected Slurm to take the jobs, got:")
    assert "nvalid partition" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
