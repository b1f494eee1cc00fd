"""PAN (Zhao et al., ECCVW 2020): pixel attention, in blocks and while enlarging.

Reads PANx4_DF2K.pth (zhaohengyuan1/PAN, folder experiments/pretrained_models).
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

SCALE, SLOPE = 4, 0.2


class PixelAttention(nn.Module):
    """x * sigmoid(conv1x1(x))."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv = conv(features, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        return x * torch.sigmoid(self.conv(x))


class AttendedConvolution(nn.Module):
    """conv(conv(x) * sigmoid(conv1x1(x)))."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.k2 = conv(features, features, 1)
        self.k3 = conv(features, features, bias=False)
        self.k4 = conv(features, features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        return self.k4(self.k3(x) * torch.sigmoid(self.k2(x)))


class SCPA(nn.Module):
    """Self-calibrated block: half the features through a convolution, half through an attended one, plus the input."""

    def __init__(self, features: int) -> None:
        super().__init__()
        half = features // 2
        self.conv1_a = conv(features, half, 1, bias=False)
        self.conv1_b = conv(features, half, 1, bias=False)
        self.k1 = nn.Sequential(conv(half, half, bias=False))
        self.PAConv = AttendedConvolution(half)
        self.conv3 = conv(features, features, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        a = F.leaky_relu_(self.k1(F.leaky_relu_(self.conv1_a(x), SLOPE)), SLOPE)
        b = F.leaky_relu_(self.PAConv(F.leaky_relu_(self.conv1_b(x), SLOPE)), SLOPE)
        return x + self.conv3(torch.cat((a, b), 1))


class PAN(nn.Module):
    """A convolution, SCPA blocks under a long skip, two enlargements with attention, plus the bilinear enlargement.

    Attributes:
        reach: LR pixels to each side that a pixel sees.
    """

    def __init__(self, features: int, upper: int, blocks: int) -> None:
        super().__init__()
        self.reach = 1 + 2 * blocks + 1 + 4
        self.conv_first = conv(3, features)
        self.SCPA_trunk = nn.Sequential(*(SCPA(features) for _ in range(blocks)))
        self.trunk_conv = conv(features, features)
        self.upconv1, self.att1, self.HRconv1 = conv(features, upper), PixelAttention(upper), conv(upper, upper)
        self.upconv2, self.att2, self.HRconv2 = conv(upper, upper), PixelAttention(upper), conv(upper, upper)
        self.conv_last = conv(upper, 3)

    @classmethod
    def of(cls, shapes: Shapes) -> PAN:
        """The network of a state dict."""
        features, upper = width_of(shapes, "conv_first.weight", 40), width_of(shapes, "upconv1.weight", 24)
        return cls(features, upper, repeats(shapes, r"SCPA_trunk\.(\d+)\."))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, 1] to (N, 3, 4h, 4w)."""
        first = self.conv_first(x)
        y = first + self.trunk_conv(self.SCPA_trunk(first))
        stages = ((self.upconv1, self.att1, self.HRconv1), (self.upconv2, self.att2, self.HRconv2))
        for enlarge, attend, refine in stages:
            y = enlarge(F.interpolate(y, scale_factor=2.0, mode="nearest"))
            y = F.leaky_relu_(refine(F.leaky_relu_(attend(y), SLOPE)), SLOPE)
        return self.conv_last(y) + F.interpolate(x, scale_factor=float(SCALE), mode="bilinear", align_corners=False)


def build(scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32") -> OnRGB:
    """The method.

    Raises:
        BenchError: not one file, not a file of this network, or asked for another scale than 4.
    """
    file = one_file("pan", weights)
    network = filled(PAN.of, read_state(file), file)
    check_scale(file, scale, SCALE)
    return on_rgb(network, scale, device, precision, reach=network.reach)


METHOD = MethodEntry(
    name="pan",
    title="PAN",
    kind="SR",
    scales=(4,),
    stochastic=False,
    paper="ECCVW 2020",
    build=build,
    module=__name__,
    tiling=TILING,
)
