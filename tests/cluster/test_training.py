"""Training as a job: one torchrun, requeued from its last checkpoint; the cases of table 1 side by side."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lab import ROOT, Lab, until

from bench.records.journal import process_of
from bench.runs.cancelling import alive
from hcflow.errors import InputError
from hcflow.train import cluster
from hcflow.train.cluster import Options, minutes

_RECIPE = """
name = "tiny"

[network]
L = 2
K = 1
P = 1
width = 4
conditional_width = 4
conditioner = { features = 4, growth = 4, blocks = [1, 1] }

[[stages]]
name = "nll"
losses = { nll = 1.0 }
iterations = 60
learning_rate = 1e-4
halve_at = []
batch = 1
patch = 32
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("90:30", 91), ("2:00:00", 120), ("0:10:00", 10), ("1-12", 36 * 60), ("1-12:30", 36 * 60 + 30),
     ("1-00:00:01", 1441)],
)  # fmt: skip
def test_times_are_slurms(text: str, expected: int) -> None:
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "0", "0:00:00", "-5", "1:2:3:4", "2h"])
def test_no_other_times(text: str) -> None:
    with pytest.raises(InputError, match="expected a time"):
        minutes(text)


def test_what_sbatch_is_told() -> None:
    told = Options("gpu", 8, 2, 16, 60, 4, {"account": "us"}).slurm("name")
    assert told["nodes"] == 2
    assert told["ntasks_per_node"] == 1  # one torchrun on each node
    assert (told["gpus_per_node"], told["cpus_per_task"], told["partition"]) == (8, 16, "gpu")
    assert told["additional_parameters"] == {"requeue": True, "account": "us"}
    assert told["array_parallelism"] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--restart"], "expected a run that can be requeued with --executor, got --restart"),
        (["--processes", "2"], "expected a run that can be requeued with --executor, got --processes"),
        (["--nodes", "0"], "expected --nodes >= 1"),
        (["--slurm", "account"], "expected --slurm KEY=VALUE"),
        (["--time", "soon"], "expected a time such as 2:00:00"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from hcflow.__main__ import main

    command = ["train", "--recipe", "rescale_x4", "--budget", "smoke", "--data", str(tmp_path), "--executor", "local"]
    assert main([*command, "--out", str(tmp_path / "run"), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


def trained(folder: Path) -> list[dict[str, object]]:
    log = folder / "runs/tiny/log.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []


def submit(lab: Lab, *more: str) -> subprocess.CompletedProcess[str]:
    (lab.folder / "tiny.toml").write_text(_RECIPE)
    command = [sys.executable, "-m", "hcflow", "train", "--recipe", "tiny.toml", "--data", "data/Tiny/HR", "--out"]
    command += ["runs/tiny", "--save-every", "5", "--log-every", "5", "--cache", "cache", "--device", "cpu", *more]
    environment = lab.environment | {"XDG_CACHE_HOME": str(lab.folder / "cache")}
    return subprocess.run(command, cwd=lab.folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.slurm
def test_training_is_requeued_from_its_last_checkpoint(lab: Lab) -> None:
    done = submit(lab, "--executor", "slurm", "--nodes", "1", "--partition", "test", "--time", "0:30:00")
    assert done.returncode == 0, done.stderr
    job = done.stdout.strip()
    assert f"squeue -j {job}; to stop it: scancel {job}" in done.stderr
    log = Path(str(re.search(r"its log: (\S+)", done.stderr)[1]))  # type: ignore[index]
    until(lambda: any("step" in line for line in trained(lab.folder)), timeout=200)
    subprocess.run(["scancel", "--signal=USR2", job], check=True)
    until(lambda: [line for line in trained(lab.folder) if line.get("event") == "finished"], timeout=280)
    events = [str(line["event"]) for line in trained(lab.folder) if "event" in line]
    assert events == ["start", "stopped", "start", "finished"]
    assert "resuming from" in log.read_text()
    steps = [int(str(line["step"])) for line in trained(lab.folder) if "step" in line and "event" not in line]
    assert steps == sorted(set(steps))  # none is done twice: it saved when it was asked to stop
    assert (lab.folder / "runs/tiny/weights/last.safetensors").is_file()


@pytest.mark.slow
def test_training_on_this_machine_outlives_the_command_that_submits_it(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    lab = Lab.in_(tmp_path)
    done = submit(lab, "--executor", "local", "--time", "0:30:00")
    assert done.returncode == 0, done.stderr
    job = int(done.stdout)
    until(lambda: any("step" in line for line in trained(tmp_path)), timeout=200)
    os.kill(job, signal.SIGTERM)
    until(lambda: [line for line in trained(tmp_path) if line.get("event") == "stopped"], timeout=60)
    until(lambda: not Path(f"/proc/{job}").exists() or "Z" in Path(f"/proc/{job}/stat").read_text(), timeout=60)


_AGENT = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if sys.argv[2:]:
    worker = subprocess.Popen([sys.executable, __file__, sys.argv[1]], start_new_session=True)  # as torchrun does
    pathlib.Path(sys.argv[1]).write_text(str(worker.pid))
time.sleep(60)
"""


def test_no_process_of_a_training_outlives_its_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not heed SIGTERM would keep its GPU, and train beside the requeued job."""
    pytest.importorskip("submitit")
    (tmp_path / "agent.py").write_text(_AGENT)
    noted = tmp_path / "pid"
    monkeypatch.setattr(cluster, "_PATIENCE", 0.1)
    job = cluster.Torchrun([], Options())
    job._process = subprocess.Popen([sys.executable, str(tmp_path / "agent.py"), str(noted), "agent"])
    worker = process_of(int(str(until(lambda: noted.is_file() and noted.read_text()))))
    agent = job._process
    job.checkpoint()
    assert agent.returncode == -signal.SIGKILL
    until(lambda: not alive(worker), timeout=5)


def test_torchrun_waits_as_long_as_the_job_does(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.distributed.launcher.api import LaunchConfig

    if not hasattr(LaunchConfig, "shutdown_timeout"):
        pytest.skip("needs a torchrun that can be told")
    for name, value in cluster.Torchrun._environment().items():
        monkeypatch.setenv(name, value)
    assert LaunchConfig(1, 1, 1).shutdown_timeout == cluster._PATIENCE - cluster._REST > 30


def test_hcflow_knows_nothing_of_bench() -> None:
    text = (ROOT / "hcflow/train/cluster.py").read_text()
    assert not re.search(r"^\s*(from|import) bench", text, re.M)
