"""Layers that several networks share; all keep the size unless they say otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ChannelAttention", "SpatialAttention", "conv", "residual_branch", "upsampler"]


def conv(inputs: int, outputs: int, kernel: int = 3, bias: bool = True, groups: int = 1) -> nn.Conv2d:
    """A convolution with an odd kernel, zero-padded to keep the size."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias, groups=groups)


def residual_branch(features: int) -> nn.Sequential:
    """Convolution, ReLU, convolution: what EDSR, RCAN and similar networks add to a block's input."""
    return nn.Sequential(conv(features, features), nn.ReLU(inplace=True), conv(features, features))


def upsampler(features: int, scale: int) -> Iterator[nn.Module]:
    """Convolutions, each before a pixel shuffle: by 3 once, or by 2 as often as it takes."""
    factors = [3] if scale == 3 else [2] * (scale.bit_length() - 1)
    for factor in factors:
        yield conv(features, factor**2 * features)
        yield nn.PixelShuffle(factor)


class ChannelAttention(nn.Module):
    """Weigh each channel by what its statistics over the image say: RCAN's mean, or IMDN's mean plus deviation."""

    def __init__(self, features: int, reduced: int, contrast: bool = False) -> None:
        super().__init__()
        self.contrast = contrast
        self.conv_du = nn.Sequential(
            conv(features, reduced, 1), nn.ReLU(inplace=True), conv(reduced, features, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, H, W) to the same shape."""
        mean = x.mean((2, 3), keepdim=True)
        statistics = mean + x.std((2, 3), keepdim=True, unbiased=False) if self.contrast else mean
        return x * self.conv_du(statistics)


class SpatialAttention(nn.Module):
    """Enhanced spatial attention (RFANet, section 3.3): weigh each pixel by a strided view of its surroundings.

    Its strides lay a grid from the top left corner, so what it does to a part of an image is not what it does there
    to the whole.

    Attributes:
        LEAST: smallest side it can take.
    """

    LEAST = 15

    def __init__(self, features: int, reduced: int, convolutions: tuple[str, ...]) -> None:
        """`convolutions` names those on the pooled grid; all but the last have a ReLU."""
        super().__init__()
        self.conv1 = conv(features, reduced, 1)
        self.conv_f = conv(reduced, reduced, 1)
        self.conv2 = nn.Conv2d(reduced, reduced, 3, stride=2)
        self.pooled = convolutions
        for name in convolutions:
            self.add_module(name, conv(reduced, reduced))
        self.conv4 = conv(reduced, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, H, W), sides of at least LEAST, to the same shape."""
        small = self.conv1(x)
        coarse = F.max_pool2d(self.conv2(small), kernel_size=7, stride=3)
        for name in self.pooled:
            coarse = self.get_submodule(name)(coarse)
            if name != self.pooled[-1]:
                coarse = torch.relu_(coarse)
        coarse = F.interpolate(coarse, x.shape[-2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.conv4(coarse + self.conv_f(small)))
