"""Numeric modes, stated in one place: what float32 means while images are made or measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["float32_convolutions", "strict"]

_NEW = hasattr(torch.backends.cudnn, "conv")  # PyTorch 2.9: one flag per kind of operation


@contextmanager
def strict() -> Iterator[None]:
    """Compute float32 convolutions and matrix products as IEEE float32, on every device.

    NVIDIA GPUs since Ampere round the operands of float32 convolutions to TF32's 10 bits unless told otherwise, and
    oneDNN may be allowed the like on a CPU; results then differ from machine to machine in the third digit. The
    settings before are restored at the end. They belong to the process: threads share them. bfloat16 is not touched.

    Use it as a context manager or as a decorator.
    """
    tf32, matmul = float32_convolutions() == "tf32", torch.get_float32_matmul_precision()
    before = [owner.fp32_precision for owner in _owners()]
    try:
        # the older flags too, because PyTorch refuses to read them where they contradict the newer ones
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        for owner in _owners():
            owner.fp32_precision = "ieee"
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = tf32
        torch.set_float32_matmul_precision(matmul)
        for owner, value in zip(_owners(), before, strict=True):
            owner.fp32_precision = value


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
