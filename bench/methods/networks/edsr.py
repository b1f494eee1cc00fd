"""EDSR (Lim et al., CVPRW 2017) as CAR's upscaler has it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["EDSR"]


class EDSR(nn.Module):
    """Minus the mean, a convolution, residual blocks under a long skip, pixel shuffles by 2, plus the mean.

    Names are those of the released files.
    """

    def __init__(
        self,
        scale: int,
        features: int = 256,
        blocks: int = 32,
        residual_scale: float = 0.1,
        rgb_range: float = 255,
    ) -> None:
        super().__init__()
        self.scale, self.rgb_range = scale, rgb_range
        self.sub_mean, self.add_mean = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.head = nn.Sequential(_conv(3, features))
        residual = (_Block(features, residual_scale) for _ in range(blocks))
        self.body = nn.Sequential(*residual, _conv(features, features))
        enlarging = [layer for _ in range(scale.bit_length() - 1) for layer in _enlarging(features)]
        self.tail = nn.Sequential(nn.Sequential(*enlarging), _conv(features, 3))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, rgb_range] to (N, 3, scale h, scale w)."""
        x = self.head(self.sub_mean(x))
        return self.add_mean(self.tail(self.body(x) + x))


class _Block(nn.Module):
    def __init__(self, features: int, residual_scale: float) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(features, features), nn.ReLU(), _conv(features, features))
        self.residual_scale = residual_scale

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.body(x), alpha=self.residual_scale)


def _enlarging(features: int) -> tuple[nn.Module, nn.Module]:
    return _conv(features, 4 * features), nn.PixelShuffle(2)


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)
