"""The processes that share a run: one, or those that torchrun started."""

from __future__ import annotations

import ctypes
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from hcflow.devices import choose_device

__all__ = ["Processes", "joined"]


@dataclass(frozen=True)
class Processes:
    """This process among all.

    Attributes:
        rank: its number; 0 writes files and talks.
        world: how many there are.
        device: that it computes on.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until all are here."""
        if self.world > 1:
            dist.barrier()

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any of them; all must ask."""
        if self.world == 1:
            return flag
        votes = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(votes)
        return bool(votes)

    def agree(self, number: int) -> bool:
        """Whether all have the same number; all must ask."""
        if self.world == 1:
            return True
        bounds = torch.tensor([number, -number], device=self.device)
        dist.all_reduce(bounds, dist.ReduceOp.MAX)
        return bool(bounds[0] == -bounds[1])


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the other processes, as torchrun's environment variables say, and leave them at the end.

    Args:
        device: "auto", "cpu", "cuda" (each process takes the GPU of its local rank), "cuda:N".

    Raises:
        InputError: the device is not there.
    """
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if device in ("auto", "cuda") and world > 1 and torch.cuda.is_available():
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    place = choose_device(device)
    if place.type == "cpu":
        _keep_freed_memory()
    if world == 1:
        yield Processes(0, 1, place)
        return
    if place.type == "cuda":
        torch.cuda.set_device(place)
    patience = timedelta(days=1)  # for the first process while it decodes or validates; torchrun sees who dies
    warnings.filterwarnings("ignore", message="Grad strides do not match")  # buckets are copies anyway
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo", timeout=patience)
    try:
        yield Processes(rank, world, place)
    finally:
        dist.destroy_process_group()


def _keep_freed_memory() -> None:
    """Let the C library keep memory for the next step instead of handing it back, to be cleared page by page."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # malloc.h
    mallopt(mmap_threshold, 32 << 20)  # the most it allows
    mallopt(trim_threshold, 1 << 30)
    mallopt(top_pad, 64 << 20)
