"""Processes that the command line starts itself: one line for one mistake, and one exit code."""

import os
import subprocess
import sys
import time
from functools import partial

import pytest

from hcflow.train.launch import launch


def rank():
    return int(os.environ["RANK"])


def fine(folder):
    (folder / os.environ["RANK"]).write_text(f"{os.environ['WORLD_SIZE']} {os.environ['LOCAL_RANK']}")
    return 0


def second_fails():
    if rank() == 1:
        return 7
    time.sleep(60)
    return 0


def test_processes_know_one_another(tmp_path):
    assert launch(partial(fine, tmp_path), 2) == 0
    assert [(tmp_path / name).read_text() for name in "01"] == ["2 0", "2 1"]


def test_one_failure_ends_all():
    started = time.monotonic()
    assert launch(second_fails, 2) == 7
    assert time.monotonic() - started < 50


@pytest.mark.slow
@pytest.mark.parametrize("torchrun", [False, True])
def test_a_mistake_is_told_once(tmp_path, torchrun):
    train = ["hcflow", "train", "--recipe", "sr_x4", "--budget", "smoke", "--data", str(tmp_path / "nowhere")]
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"] if torchrun else []
    command = [sys.executable, *start, "-m", *train, *([] if torchrun else ["--processes", "2"])]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "expected a folder of images, got" in errors[0]
    if not torchrun:  # torchrun adds a report of its own
        assert done.stderr.splitlines() == errors
        assert done.returncode == 2
