"""How images lie in memory: channel by channel, or pixel by pixel (channels_last), which convolutions prefer."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["in_order_of"]


def in_order_of(example: Tensor, x: Tensor) -> Tensor:
    """Return x (N, C, H, W) in one piece of memory and in the order of `example`, or of what that is cut from.

    It is x itself where it lies so, otherwise a copy.
    """
    order = torch.channels_last if example.stride(1) == 1 else torch.contiguous_format
    return x.contiguous(memory_format=order)
