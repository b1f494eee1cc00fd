"""The conditioner phi_l: an RRDB network (ESRGAN, section 3.1) without upsampling."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcflow.config import ConditionerConfig
from hcflow.nets.subnets import DenseBlock, Subnet

__all__ = ["RRDB", "Conditioner"]


class RRDB(Subnet):
    """Three dense blocks x + 0.2 dense(x) in a row, and 0.2 of all that added to the input."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(DenseBlock(features, features, growth, zero=False) for _ in range(3))

    def compute(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Map (N, features, H, W) to the same shape; there is no context."""
        y = x
        for block in self.blocks:
            y = torch.add(y, block(y), alpha=0.2)
        return torch.add(x, y, alpha=0.2)


class Conditioner(Subnet):
    """phi_l of eq. 5: first = conv(input), u1 = trunk0(first), u2 = conv(trunk1(u1)) + first.

    c_l = [u1, u2], or u2 alone for rescaling.
    """

    by_parts = True

    def __init__(self, in_channels: int, config: ConditionerConfig) -> None:
        super().__init__()
        self.config = config
        features, (blocks0, blocks1) = config.features, config.blocks
        self.first = nn.Conv2d(in_channels, features, 3, padding=1)
        self.trunk0 = nn.Sequential(*(RRDB(features, config.growth) for _ in range(blocks0)))
        self.trunk1 = nn.Sequential(*(RRDB(features, config.growth) for _ in range(blocks1)))
        self.last = nn.Conv2d(features, features, 3, padding=1)

    def compute(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Map the input of level l (N, in, H, W) to c_l (N, config.channels, H, W); there is no context."""
        first = self.first(x)
        u1 = self.trunk0(first)
        u2 = self.last(self.trunk1(u1)) + first
        return torch.cat((u1, u2), 1) if self.config.output == "both" else u2
