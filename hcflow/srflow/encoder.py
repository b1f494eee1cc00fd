"""The LR encoder of SRFlow: ESRGAN's generator, of which features are taken at several sizes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hcflow.nets.rrdb import RRDB
from hcflow.srflow.config import SRFlowConfig

__all__ = ["Encoder", "maps_of"]


class Encoder(nn.Module):
    """LR image -> one map per level, finest first (SRFlow, section 3.4).

    The map of level l has the size HR/2^l: 64 features of that size, then the outputs of four RRDBs, resized. The
    deepest map is half as large as the LR image. `restore` is the ESRGAN generator that the encoder comes from.
    """

    def __init__(self, config: SRFlowConfig) -> None:
        super().__init__()
        features = config.features
        self.config = config
        self.first = nn.Conv2d(3, features, 3, padding=1)
        self.trunk = nn.ModuleList(RRDB(features, config.growth) for _ in range(config.blocks))
        self.last = nn.Conv2d(features, features, 3, padding=1)
        self.up = nn.ModuleList(nn.Conv2d(features, features, 3, padding=1) for _ in range(config.L - 1))
        self.hr = nn.Conv2d(features, features, 3, padding=1)
        self.image = nn.Conv2d(features, 3, 3, padding=1)

    def forward(self, lr: Tensor) -> list[Tensor]:
        """Map (N, 3, h, w), h and w even, to (N, 5 features, HR/2^l) for l = 1 .. L."""
        features, stacked = self._features(lr)
        return maps_of(features, stacked, [*self.up][:-1])

    def restore(self, lr: Tensor) -> Tensor:
        """The image that the generator makes of (N, 3, h, w): (N, 3, scale h, scale w), not clamped."""
        features, _ = self._features(lr)
        for conv in self.up:
            features = _enlarge(features, conv)
        return self.image(F.leaky_relu(self.hr(features), 0.2))

    def _features(self, lr: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What the trunk makes, and the outputs of the stacked blocks.

        The long skip starts behind the trunk, not before it as in ESRGAN: the released weights were trained so.
        """
        x = self.first(lr)
        stacked = []
        for i, block in enumerate(self.trunk):
            x = block(x)
            if i in self.config.stacked:
                stacked.append(x)
        return self.last(x) + x, stacked


def maps_of(features: Tensor, stacked: Sequence[Tensor], up: Sequence[nn.Module]) -> list[Tensor]:
    """The maps of all levels, finest first: `features` halved, as they are, and enlarged once by each of `up`."""
    sizes = [F.avg_pool2d(features, 2), features]
    for conv in up:
        sizes.append(_enlarge(sizes[-1], conv))
    blocks = torch.cat(tuple(stacked), 1)
    return [torch.cat((x, F.interpolate(blocks, x.shape[-2:], mode="nearest")), 1) for x in reversed(sizes)]


def _enlarge(x: Tensor, conv: nn.Module) -> Tensor:
    return F.leaky_relu(conv(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
