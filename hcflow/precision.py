"""IEEE float32: TF32, which cuDNN uses by default on Ampere and newer, switched off in one place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["strict"]


@contextmanager
def strict() -> Iterator[None]:
    """Compute float32 convolutions and matrix products in IEEE float32; what was set before returns afterwards."""
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    convolutions.allow_tf32 = products.allow_tf32 = False
    try:
        yield
    finally:
        convolutions.allow_tf32, products.allow_tf32 = before
