"""A Slurm of one node for the tests of this folder; it is started once, and stopped whatever happens."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the helper module there: lab

from lab import Lab

_NEEDED = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel", "scontrol")


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables that let Slurm's programs find it."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    if missing := [name for name in _NEEDED if shutil.which(name, path=path) is None]:
        pytest.skip(f"needs a Slurm of its own: apt-get install slurm-wlm munge (missing: {', '.join(missing)})")
    if os.geteuid() != 0:
        pytest.skip("needs root: slurmd starts jobs as other users")
    pytest.importorskip("submitit", reason="needs submitit: pip install -e '.[cluster]'")
    folder = tmp_path_factory.mktemp("slurm")
    script = str(Path(__file__).with_name("one_node.sh"))
    try:
        subprocess.run(["bash", script, "start", str(folder), str(os.getpid())], check=True, timeout=120)
        yield {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
    finally:
        subprocess.run(["bash", script, "stop", str(folder)], check=False, timeout=120)


@pytest.fixture
def lab(tmp_path: Path, slurm: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A folder in which runs are tried; its jobs are gone afterwards."""
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    yield Lab.in_(tmp_path, **slurm)
    subprocess.run(["scancel", "--user=root"], check=False, timeout=60)
