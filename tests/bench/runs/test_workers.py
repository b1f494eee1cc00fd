"""Several processes on one machine: threads and GPUs divided, the same numbers, and what a dead process costs."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "cluster"))

from lab import IMAGES, Lab, until

from bench.runs import workers

OURS = '{ name = "Ours", method = "hcflow", settings = { task = "rescaling" }, temperature = 1.0,'
OURS += ' needs = ["HCFlow_rescaling_x4_ours"] }'


def test_threads_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert workers.environments(3, "auto") == [{"OMP_NUM_THREADS": "2"}] * 3
    assert workers.environments(20, "cpu") == [{"OMP_NUM_THREADS": "1"}] * 20


@pytest.mark.parametrize(
    ("visible", "device", "expected"),
    [("", "auto", ["0", "1", "0"]), ("5,7", "cuda", ["5", "7", "5"]), ("", "cuda:1", None), ("", "cpu", None)],
)
def test_each_process_has_a_gpu_of_its_own(
    monkeypatch: pytest.MonkeyPatch, visible: str, device: str, expected: list[str] | None
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    told = [one.get("CUDA_VISIBLE_DEVICES") for one in workers.environments(3, device)]
    assert told == (expected or [None] * 3)


def everything(out: Path) -> dict[tuple[str, str], object]:
    """(Restoration, image) -> its values, every digit."""
    return {
        (path.parent.name, line["image"]): (line["pixels"], line["values"])
        for path in out.glob("records/*/*.jsonl")
        for line in map(json.loads, path.read_text().splitlines()[1:])
    }


@pytest.mark.slow
def test_two_workers_give_the_numbers_of_one_process_to_the_last_bit(tmp_path: Path) -> None:
    lab = Lab.in_(tmp_path, 0.0)
    text = (tmp_path / "mine.toml").read_text().replace("rows = [", f"rows = [ {OURS}, ")
    (tmp_path / "mine.toml").write_text(text)
    shared = lab.run("--workers", "2", "--shards", "5")
    assert shared.returncode == 0, shared.stderr
    assert "5 done, 0 failed; 36/36 images" in shared.stderr
    alone = lab.run("--out", "alone")
    assert alone.returncode == 0, alone.stderr
    assert everything(lab.out) == everything(tmp_path / "alone")
    assert len(everything(lab.out)) == 3 * IMAGES
    lab.assert_whole(["Ours", "Slow", "Bicubic"])


@pytest.mark.slow
def test_the_parts_of_any_other_scheduler(tmp_path: Path) -> None:
    lab = Lab.in_(tmp_path, 0.0)
    for number in (2, 3, 1, 4):
        done = lab.run("--shard", f"{number}/4", "--no-report")
        assert done.returncode == 0, done.stderr
        assert not list(lab.out.glob("mine.*"))
    lab.assert_whole()
    assert not (lab.out / "mlflow.db").exists()
    jobs = lab.bench("jobs")
    assert "24/24" in jobs.stdout
    none = lab.run("--shard", "90/99", "--no-report")  # there are not so many images
    assert none.returncode == 0, none.stderr
    assert "nothing to do: the plan has fewer parts" in none.stdout


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_its_part(tmp_path: Path) -> None:
    lab = Lab.in_(tmp_path, 0.3)
    with lab.running("--workers", "2", "--shards", "4", "--method", "Slow") as process:
        status = until(lambda: next((s for s in map(lab.status, (1, 2)) if s and s.computed), None)
                       if list(lab.out.glob("jobs/*/submission.json")) else None)  # fmt: skip
        os.kill(int(status.process["pid"]), signal.SIGKILL)  # type: ignore[attr-defined]
        _, errors = process.communicate(timeout=200)
    assert process.returncode == 2
    assert "its process ended with SIGKILL; out of memory?" in errors
    assert "error: 1 of 4 parts failed; the rest is measured" in errors
    again = lab.run("--workers", "2", "--retry-failed", "--method", "Slow")
    assert again.returncode == 0, again.stderr
    lab.assert_whole(["Slow"])


@pytest.mark.slow
def test_ctrl_c_ends_the_workers(tmp_path: Path) -> None:
    lab = Lab.in_(tmp_path, 0.3)
    with lab.running("--workers", "2", "--method", "Slow") as process:
        until(lambda: lab.restored() >= 2)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == "interrupted; every finished image is kept; run the same command to resume"
    assert lab.run("--workers", "2", "--method", "Slow").returncode == 0
    lab.assert_whole(["Slow"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "2", "--executor", "slurm"], "expected one of --workers, --executor and --shard, got several"),
        (["--partition", "p"], "expected --executor with --partition, got none"),
        (["--shards", "4"], "expected --workers or --executor with --shards, got neither"),
        (["--executor", "slurm", "--time", "soon"], "--time: expected a time such as 2:00:00 (hours) or 90 (minutes)"),
        (["--executor", "slurm", "--slurm", "account"], "expected --slurm KEY=VALUE, such as --slurm account=NAME"),
        (["--attach"], "expected submitted jobs of table4, got none"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench.__main__ import main

    assert main(["run", "--table", "4", "--out", str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


def test_without_submitit_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.__main__ import main

    monkeypatch.setitem(sys.modules, "submitit", None)
    command = ["run", "--table", "4", "--dataset", "Sample", "--method", "Bicubic", "--executor", "local"]
    assert main([*command, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: expected the package submitit for --executor, got none; pip install submitit")
    assert error.count("\n") == 1


def test_bench_does_not_load_submitit_unasked(tmp_path: Path) -> None:
    from bench.runs.code import closure

    assert "hcflow.train.cluster" not in closure(["bench.runs.restoration", "bench.methods.hcflow"])
