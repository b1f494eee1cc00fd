"""How much memory a device has left."""

from __future__ import annotations

import os
from pathlib import Path

import torch

__all__ = ["UNKNOWN", "free_bytes"]

UNKNOWN = 4 * 2**30
"""What is assumed where the system does not say."""

_CGROUPS = (  # limit, use, and the counter of files that the system can drop
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)


def free_bytes(device: torch.device | str, root: Path = Path("/")) -> int:
    """Memory in bytes that a process can still take on a device.

    On a GPU that is what the driver reports plus what PyTorch keeps unused; on a CPU, what the kernel calls available
    (files in its cache count as free), less where a container allows less.

    Args:
        device: cpu, cuda[:n] or mps.
        root: of the file system; another one in tests.
    """
    device = torch.device(device)
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory()) - int(torch.mps.current_allocated_memory())
    return min([_available(root), *_container(root)])


def _available(root: Path) -> int:
    try:
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return UNKNOWN


def _container(root: Path) -> list[int]:
    """What the control group of this process still allows; nothing where there is none or no limit."""
    free = []
    for limit, used, cache in _CGROUPS:
        folder = root / "sys/fs/cgroup"
        try:
            most, now = (int((folder / name).read_text()) for name in (limit, used))
            stat = ((folder / used).parent / "memory.stat").read_text().split()
        except (OSError, ValueError):  # no such file, or "max"
            continue
        kept = int(stat[stat.index(cache) + 1]) if cache in stat else 0
        free.append(max(most - now + kept, 0))
    return free
