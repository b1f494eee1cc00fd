"""docs/cluster.md: the scripts for other schedulers run as they stand there, but for the table's size."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lab import IMAGES, ROOT, Lab


def block(mark: str) -> str:
    text = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    found = re.search(rf"^```sh {mark}\n(.*?)^```", text, re.S | re.M)
    assert found
    return found[1]


@pytest.fixture
def small(tmp_path: Path) -> Lab:
    lab = Lab.in_(tmp_path, 0.0)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python").write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n'
    )  # a link would leave its venv
    (programs / "python").chmod(0o755)
    lab.environment["PATH"] = f"{programs}:{lab.environment['PATH']}"
    return lab


def in_small(text: str) -> str:
    return text.replace("--table 4", "--suite mine.toml --method Slow").replace("8 ", "2 ").replace("/8", "/2")


def shell(lab: Lab, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-c", script], cwd=lab.folder, env=lab.environment | environment, capture_output=True, text=True,
        timeout=280, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_pbs_script(small: Lab) -> None:
    script = block("pbs")
    assert len(script.splitlines()) <= 10
    assert "#PBS -J 1-8" in script
    for number in (1, 2):
        done = shell(small, in_small(script), PBS_ARRAY_INDEX=str(number), PBS_O_WORKDIR=str(small.folder))
        assert done.returncode == 0, done.stderr
    small.assert_whole(["Slow"])
    assert small.restored() == IMAGES


@pytest.mark.slow
def test_gnu_parallel(small: Lab) -> None:
    script = in_small(block("parallel"))
    if shutil.which("parallel") is None:  # xargs understands as much of it
        script = script.replace("parallel -j 2 ", "xargs -P 2 -I{} ")
    done = shell(small, script)
    assert done.returncode == 0, done.stderr
    assert f"{IMAGES}/{IMAGES}" in done.stdout
    small.assert_whole(["Slow"])
    assert small.restored() == IMAGES
