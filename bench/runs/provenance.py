"""Where a number comes from: commit, versions, machine. And the digest of the code that computes it."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from bench.errors import BenchError
from hcflow import devices
from hcflow.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "pillow", "pandas", "lpips", "pyiqa", "mlflow")
_COMPUTING = ("torch", "numpy", "scipy", "scikit-image")  # the ones whose release can change a value
_SHARED_CODE = ("bench/metrics", "bench/runs/inputs.py")


def provenance(device: torch.device) -> dict[str, Any]:
    """What a reader needs to run the same thing again: commit, dirty flag, versions, device, processor."""
    commit = _git("rev-parse", "HEAD")
    return {
        "commit": commit or "unknown (not a git checkout)",
        "dirty": bool(_git("status", "--porcelain")) if commit else None,
        "python": platform.python_version(),
        "versions": versions(_PACKAGES),
        "platform": platform.platform(),
        "device": device.type,
        "processor": processor(device),
        "threads": torch.get_num_threads(),
    }


def versions(packages: Iterable[str] = _COMPUTING) -> dict[str, str]:
    """Installed releases of packages."""
    return {name: metadata.version(name) for name in packages}


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


@lru_cache(maxsize=64)
def code_digest(code: tuple[str, ...]) -> str:
    """SHA-256 over the text of the code that can change a value: shared by all, and a method's own."""
    digest = hashlib.sha256()
    for relative in sorted({*_SHARED_CODE, *code}):
        path = ROOT / relative
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{file.relative_to(ROOT).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` is the GPU where there is one."""
    try:
        return devices.choose_device(name)
    except InputError as error:
        raise BenchError(f"device: {error}") from None


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", os.fspath(ROOT), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
