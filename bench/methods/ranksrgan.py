"""SRResNet as RankSRGAN uses it (Zhang et al., ICCV 2019), and MSRResNet, the SRResNet of the same repository.

Reads mmsr_RankSRGAN_NIQE.pth and mmsr_SRResNet_pretrain.pth (XPixelGroup/RankSRGAN), distinguished by their keys. Older
files of the same authors number their layers (model.N), a layout that is not described anywhere.
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

SCALE = 4


class Block(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = conv(features, features)
        self.conv2 = conv(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        return x + self.conv2(self.conv1(x).relu_())


class SRResNet(nn.Module):
    """A convolution, residual blocks, two pixel shuffles, two convolutions.

    With a long skip (RankSRGAN): features of the first convolution are added after the blocks, and all activations are
    ReLU. Without (MSRResNet): the bilinearly enlarged input is added at the end, and activations outside the blocks are
    LeakyReLU 0.1, one of them after the first convolution.

    Attributes:
        reach: LR pixels to each side that a pixel sees.
    """

    def __init__(self, features: int, blocks: int, long_skip: bool) -> None:
        super().__init__()
        self.reach = 1 + 2 * blocks + long_skip + 3
        self.slope = 0.0 if long_skip else 0.1
        self.conv_first = conv(3, features)
        self.recon_trunk = nn.Sequential(*(Block(features) for _ in range(blocks)))
        self.LRconv = conv(features, features) if long_skip else None
        self.upconv1 = conv(features, 4 * features)
        self.upconv2 = conv(features, 4 * features)
        self.HRconv = conv(features, features)
        self.conv_last = conv(features, 3)

    @classmethod
    def of(cls, shapes: Shapes) -> SRResNet:
        """The network of a state dict."""
        features = width_of(shapes, "conv_first.weight", 64)
        return cls(features, repeats(shapes, r"recon_trunk\.(\d+)\."), "LRconv.weight" in shapes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, 1] to (N, 3, 4h, 4w)."""
        first = self.conv_first(x)
        if self.LRconv is None:
            features = self.recon_trunk(F.leaky_relu_(first, self.slope))
        else:
            features = self.LRconv(self.recon_trunk(first)) + first
        for layer in (self.upconv1, self.upconv2):
            features = F.leaky_relu_(F.pixel_shuffle(layer(features), 2), self.slope)
        result = self.conv_last(F.leaky_relu_(self.HRconv(features), self.slope))
        if self.LRconv is None:
            result = result + F.interpolate(x, scale_factor=SCALE, mode="bilinear", align_corners=False)
        return result


def build(scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32") -> OnRGB:
    """The method.

    Raises:
        BenchError: not one file, not a file of these networks, or asked for another scale than 4.
    """
    file = one_file("ranksrgan", weights)
    network = filled(SRResNet.of, read_state(file), file)
    check_scale(file, scale, SCALE)
    return on_rgb(network, scale, device, precision, reach=network.reach)


METHOD = MethodEntry(
    name="ranksrgan",
    title="RankSRGAN",
    kind="SR",
    scales=(4,),
    stochastic=False,
    paper="ICCV 2019",
    build=build,
    module=__name__,
    tiling=TILING,
)
