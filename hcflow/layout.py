"""How images lie in memory: channel by channel, or pixel by pixel (channels_last), which convolutions prefer."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["in_order_of", "order_of"]


def order_of(x: Tensor) -> torch.memory_format:
    """The order of the values of x (N, C, H, W), or of what x is cut from."""
    return torch.channels_last if x.stride(1) == 1 else torch.contiguous_format


def in_order_of(example: Tensor, x: Tensor) -> Tensor:
    """Return x in one piece of memory and in the order of `example`: itself where it is, otherwise a copy."""
    return x.contiguous(memory_format=order_of(example))
