"""Where a number comes from: commit, versions, machine."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from bench.errors import BenchError
from hcflow import devices
from hcflow.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "scikit-image",
    "opencv-python-headless",
    "pillow",
    "lpips",
    "pyiqa",
    "spandrel",
    "mlflow",
)


def provenance(device: torch.device) -> dict[str, Any]:
    """What a reader needs to run the same thing again: commit, dirty flag, versions, device, processor."""
    commit = _git("rev-parse", "HEAD")
    return {
        "commit": commit or "unknown (not a git checkout)",
        "dirty": _changed() if commit else None,
        "python": platform.python_version(),
        "versions": versions(_PACKAGES),
        "platform": platform.platform(),
        "device": device.type,
        "processor": processor(device),
        "threads": torch.get_num_threads(),
    }


def _changed() -> bool:
    """Whether a tracked file differs from the commit, or the packages have a file that it does not know."""
    tracked = _git("status", "--porcelain", "--untracked-files=no")
    return bool(tracked or _git("status", "--porcelain", "--untracked-files=all", "--", "bench", "hcflow"))


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Installed releases of packages; those that are not installed are left out."""
    found = {}
    for name in dict.fromkeys(packages):
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def processor(device: torch.device) -> str:
    """Name of the GPU, or of the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def device_kind(device: torch.device) -> str:
    """What identifies a device in a digest: cpu, mps, or cuda with the name of the GPU; never its number."""
    return f"cuda {processor(device)}" if device.type == "cuda" else device.type


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` is the GPU where there is one."""
    try:
        return devices.choose_device(name)
    except InputError as error:
        raise BenchError(f"device: {error}") from None


def _git(*arguments: str) -> str:
    """What git says of this project's checkout; nothing for an installed copy, even inside another repository."""
    if not ((ROOT / ".git").exists() and (ROOT / "pyproject.toml").is_file()):
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", os.fspath(ROOT), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
