"""VapSR and VapSR-S (Zhou et al., ECCVW 2022): vast-receptive-field attention from large, depth-wise kernels.

Reads VapSR_X4.pth and VapSR-S.pth (zhoumumu/VapSR, the averaged weights params_ema); the sizes show which it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.method import MethodEntry
from bench.methods.networks.building import check_scale, on_rgb
from bench.methods.networks.feedforward import OnRGB
from bench.methods.networks.inference import TILING
from bench.methods.networks.layers import conv
from bench.methods.networks.state import Shapes, filled, one_file, read_state, repeats, width_of

SCALE, SLOPE, DILATION = 4, 0.1, 3


class LargeKernelAttention(nn.Module):
    """x times a 1x1, a depth-wise 5x5 and a depth-wise dilated 5x5 convolution of x."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.pointwise = conv(features, features, 1)
        self.depthwise = conv(features, features, 5, groups=features)
        self.depthwise_dilated = nn.Conv2d(
            features, features, 5, padding=2 * DILATION, dilation=DILATION, groups=features
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        return x * self.depthwise_dilated(self.depthwise(self.pointwise(x)))


class Block(nn.Module):
    """A 1x1 to more features, GELU, attention, a 1x1 back, plus the input; each pixel normalised over channels."""

    def __init__(self, features: int, inner: int) -> None:
        super().__init__()
        self.proj_1 = conv(features, inner, 1)
        self.atten_branch = LargeKernelAttention(inner)
        self.proj_2 = conv(inner, features, 1)
        self.pixel_norm = nn.LayerNorm(features)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        y = x + self.proj_2(self.atten_branch(F.gelu(self.proj_1(x))))
        return self.pixel_norm(y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class VapSR(nn.Module):
    """A convolution, attention blocks and one more convolution under a long skip, two pixel shuffles.

    Attributes:
        reach: LR pixels to each side that a pixel sees.
    """

    def __init__(self, features: int, inner: int, blocks: int, groups: int) -> None:
        super().__init__()
        self.reach = 1 + blocks * (2 + 2 * DILATION) + 1 + 2
        self.conv_first = conv(3, features)
        self.body = nn.Sequential(*(Block(features, inner) for _ in range(blocks)))
        self.conv_body = conv(features, features, groups=groups)
        self.upsampler = nn.Sequential(
            conv(features, 64), nn.PixelShuffle(2), nn.LeakyReLU(SLOPE, inplace=True), conv(16, 12), nn.PixelShuffle(2)
        )

    @classmethod
    def of(cls, shapes: Shapes) -> VapSR:
        """The network of a state dict."""
        features = width_of(shapes, "conv_first.weight", 48)
        return cls(
            features,
            inner=width_of(shapes, "body.0.proj_1.weight", 64),
            blocks=repeats(shapes, r"body\.(\d+)\."),
            groups=features // width_of(shapes, "conv_body.weight", features, axis=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, 1] to (N, 3, 4h, 4w)."""
        first = self.conv_first(x)
        return self.upsampler(self.conv_body(self.body(first)) + first)


def build(scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32") -> OnRGB:
    """The method.

    Raises:
        BenchError: not one file, not a file of this network, or asked for another scale than 4.
    """
    file = one_file("vapsr", weights)
    network = filled(VapSR.of, read_state(file), file)
    check_scale(file, scale, SCALE)
    return on_rgb(network, scale, device, precision, reach=network.reach)


METHOD = MethodEntry(
    name="vapsr",
    title="VapSR",
    kind="SR",
    scales=(4,),
    stochastic=False,
    paper="ECCVW 2022",
    build=build,
    module=__name__,
    tiling=TILING,
)
