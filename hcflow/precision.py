"""Numeric modes, stated in one place: what float32 means while images are made or measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import Any

import torch

__all__ = ["float32_convolutions", "strict"]

_NEW = hasattr(torch.backends.cudnn, "conv")  # PyTorch 2.9: one flag per kind of operation


@dataclass(frozen=True)
class _Settings:
    tf32: bool
    matmul: str
    flags: tuple[str, ...]


@dataclass(eq=False)
class _Block:
    """A use of `strict` that has not ended, and what it is to restore."""

    before: _Settings


_blocks: list[_Block] = []  # in the order in which they began
_lock = RLock()  # a garbage collection may end an abandoned block while another one begins


@contextmanager
def strict() -> Iterator[None]:
    """Compute float32 convolutions and matrix products as IEEE float32, on every device.

    NVIDIA GPUs since Ampere round the operands of float32 convolutions to TF32's 10 bits by default, and oneDNN may be
    allowed to do so on a CPU; results then differ from machine to machine in the third digit. The previous settings are
    restored when the last of several overlapping blocks ends, in whatever order they end: a generator that was
    abandoned inside a block may end it late. The settings belong to the process: threads share them. bfloat16 is not
    affected.

    Use it as a context manager or as a decorator.
    """
    with _lock:
        block = _Block(_current())
        _blocks.append(block)
        _set(_Settings(False, "highest", ("ieee",) * len(block.before.flags)))
    try:
        yield
    finally:
        with _lock:
            at = _blocks.index(block)
            if at + 1 < len(_blocks):  # a later block has not ended: it restores what this one found
                _blocks[at + 1].before = block.before
            else:
                _set(block.before)
            del _blocks[at]


def float32_convolutions() -> str:
    """How cuDNN computes float32 convolutions now: "ieee" or "tf32"."""
    if _NEW:
        return "tf32" if _owners()[0].fp32_precision == "tf32" else "ieee"
    return "tf32" if torch.backends.cudnn.allow_tf32 else "ieee"


def _owners() -> list[Any]:
    """What has a flag `fp32_precision`."""
    backends: Any = torch.backends
    if not _NEW:
        return []
    cudnn, onednn = backends.cudnn, backends.mkldnn
    return [cudnn.conv, cudnn.rnn, backends.cuda.matmul, onednn.conv, onednn.matmul]


def _current() -> _Settings:
    flags = tuple(owner.fp32_precision for owner in _owners())
    return _Settings(float32_convolutions() == "tf32", torch.get_float32_matmul_precision(), flags)


def _set(settings: _Settings) -> None:
    # the older flags too, because PyTorch refuses to read them where they contradict the newer ones
    torch.backends.cudnn.allow_tf32 = settings.tf32
    torch.set_float32_matmul_precision(settings.matmul)
    for owner, value in zip(_owners(), settings.flags, strict=True):
        owner.fp32_precision = value
