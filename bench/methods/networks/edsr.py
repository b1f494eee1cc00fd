"""EDSR (Lim et al., CVPRW 2017): a method itself, and CAR's upscaler."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.methods.networks.layers import conv, residual_branch, upsampler
from bench.methods.networks.state import Shapes, repeats, width_of

__all__ = ["EDSR"]


class Block(nn.Module):
    """x + res_scale * branch(x)."""

    def __init__(self, features: int, res_scale: float) -> None:
        super().__init__()
        self.body = residual_branch(features)
        self.res_scale = res_scale

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        return torch.add(x, self.body(x), alpha=self.res_scale)


class EDSR(nn.Module):
    """Minus the mean, a convolution, residual blocks under a long skip, pixel shuffles, plus the mean.

    Attributes:
        scale: HR size over LR size.
        reach: LR pixels to each side that a pixel sees.
    """

    def __init__(self, scale: int, features: int = 256, blocks: int = 32, res_scale: float = 0.1) -> None:
        super().__init__()
        self.scale = scale
        self.reach = 2 * blocks + 2 + 3
        self.sub_mean = conv(3, 3, 1)
        self.add_mean = conv(3, 3, 1)
        self.head = nn.Sequential(conv(3, features))
        self.body = nn.Sequential(*(Block(features, res_scale) for _ in range(blocks)), conv(features, features))
        self.tail = nn.Sequential(nn.Sequential(*upsampler(features, scale)), conv(features, 3))

    @classmethod
    def of(cls, shapes: Shapes) -> EDSR:
        """The network of a state dict; only the wide one scales its branches, by 0.1, which the weights do not show."""
        features = width_of(shapes, "head.0.weight", 64)
        blocks = repeats(shapes, r"body\.(\d+)\.body\.0\.weight")
        stages = repeats(shapes, r"tail\.0\.(\d+)\.weight")
        thrice = width_of(shapes, "tail.0.0.weight", 4 * features) == 9 * features
        return cls(3 if thrice else 2**stages, features, blocks, 0.1 if features == 256 else 1.0)

    @property
    def unit(self) -> float:
        """What the network calls white: 255, or 1 where the mean that it subtracts is below 1."""
        return 255.0 if float(self.add_mean.bias.detach().abs().max()) > 1 else 1.0  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, unit] to (N, 3, scale*h, scale*w)."""
        x = self.head(self.sub_mean(x))
        return self.add_mean(self.tail(self.body(x) + x))
