"""RLFN (Kong et al., CVPRW 2022): short residual blocks with spatial attention, made for speed.

Reads rlfn_x4.pth (bytedance/RLFN, folder model_zoo). Values are in 0..255.
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
from bench.methods.networks.layers import SpatialAttention, conv
from bench.methods.networks.state import Shapes, filled, one_file, read_state, repeats, width_of

SLOPE = 0.05


class Block(nn.Module):
    """Three activated convolutions and a skip, a 1x1 convolution, spatial attention with one pooled convolution."""

    def __init__(self, features: int, reduced: int) -> None:
        super().__init__()
        self.c1_r = conv(features, features)
        self.c2_r = conv(features, features)
        self.c3_r = conv(features, features)
        self.c5 = conv(features, features, 1)
        self.esa = SpatialAttention(features, reduced, ("conv3",))

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        y = x
        for layer in (self.c1_r, self.c2_r, self.c3_r):
            y = F.leaky_relu_(layer(y), SLOPE)
        return self.esa(self.c5(x + y))


class RLFN(nn.Module):
    """A convolution, six blocks and one more convolution under a long skip, a pixel shuffle.

    Attributes:
        scale: HR size over LR size.
    """

    def __init__(self, features: int, reduced: int, blocks: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.blocks = tuple(f"block_{n}" for n in range(1, blocks + 1))
        self.conv_1 = conv(3, features)
        for name in self.blocks:
            self.add_module(name, Block(features, reduced))
        self.conv_2 = conv(features, features)
        self.upsampler = nn.Sequential(conv(features, 3 * scale**2), nn.PixelShuffle(scale))

    @classmethod
    def of(cls, shapes: Shapes) -> RLFN:
        """The network of a state dict."""
        return cls(
            features=width_of(shapes, "conv_1.weight", 52),
            reduced=width_of(shapes, "block_1.esa.conv1.weight", 16),
            blocks=repeats(shapes, r"block_(\d+)\."),
            scale=round((width_of(shapes, "upsampler.0.weight", 48) / 3) ** 0.5),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) in 0..255 to (N, 3, scale*h, scale*w)."""
        first = features = self.conv_1(x)
        for name in self.blocks:
            features = self.get_submodule(name)(features)
        return self.upsampler(self.conv_2(features) + first)


def build(scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32") -> OnRGB:
    """The method.

    Raises:
        BenchError: not one file, not a file of this network, or of one for another scale.
    """
    file = one_file("rlfn", weights)
    network = filled(RLFN.of, read_state(file), file)
    check_scale(file, scale, network.scale)
    return on_rgb(network, scale, device, precision, least=SpatialAttention.LEAST, unit=255.0)


METHOD = MethodEntry(
    name="rlfn",
    title="RLFN",
    kind="SR",
    scales=(2, 4),
    stochastic=False,
    paper="CVPRW 2022",
    build=build,
    module=__name__,
    tiling=TILING,
)
