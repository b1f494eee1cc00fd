"""IMDN (Hui et al., ACM MM 2019): blocks that distil a part of the features at each of their steps.

Reads IMDN_x4.pth (Zheng222/IMDN, folder checkpoints).
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
from bench.methods.networks.layers import ChannelAttention, conv
from bench.methods.networks.state import Shapes, filled, one_file, read_state, repeats, width_of

SLOPE = 0.05


class Distillation(nn.Module):
    """Four convolutions, a quarter of whose outputs is kept while the rest goes on; then contrast-aware attention."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.kept = features // 4
        rest = features - self.kept
        self.c1 = conv(features, features)
        self.c2 = conv(rest, features)
        self.c3 = conv(rest, features)
        self.c4 = conv(rest, self.kept)
        self.c5 = conv(features, features, 1)
        self.cca = ChannelAttention(features, features // 16, contrast=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        rest, kept = x, []
        for layer in (self.c1, self.c2, self.c3):
            some, rest = F.leaky_relu_(layer(rest), SLOPE).tensor_split([self.kept], 1)
            kept.append(some)
        return x + self.c5(self.cca(torch.cat((*kept, self.c4(rest)), 1)))


class IMDN(nn.Module):
    """A convolution, six blocks whose outputs are fused, one more convolution under a long skip, a pixel shuffle.

    Attributes:
        scale: HR size over LR size.
    """

    def __init__(self, features: int, blocks: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.blocks = tuple(f"IMDB{n}" for n in range(1, blocks + 1))
        self.fea_conv = conv(3, features)
        for name in self.blocks:
            self.add_module(name, Distillation(features))
        self.c = nn.Sequential(conv(blocks * features, features, 1), nn.LeakyReLU(SLOPE, inplace=True))
        self.LR_conv = conv(features, features)
        self.upsampler = nn.Sequential(conv(features, 3 * scale**2), nn.PixelShuffle(scale))

    @classmethod
    def of(cls, shapes: Shapes) -> IMDN:
        """The network of a state dict."""
        scale = round((width_of(shapes, "upsampler.0.weight", 48) / 3) ** 0.5)
        return cls(width_of(shapes, "fea_conv.weight", 64), repeats(shapes, r"IMDB(\d+)\."), scale)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, 1] to (N, 3, scale*h, scale*w)."""
        first = features = self.fea_conv(x)
        outputs = []
        for name in self.blocks:
            features = self.get_submodule(name)(features)
            outputs.append(features)
        return self.upsampler(self.LR_conv(self.c(torch.cat(outputs, 1))) + first)


def build(scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32") -> OnRGB:
    """The method.

    Raises:
        BenchError: not one file, not a file of this network, or of one for another scale.
    """
    file = one_file("imdn", weights)
    network = filled(IMDN.of, read_state(file), file)
    check_scale(file, scale, network.scale)
    return on_rgb(network, scale, device, precision)


METHOD = MethodEntry(
    name="imdn",
    title="IMDN",
    kind="SR",
    scales=(2, 3, 4),
    stochastic=False,
    paper="ACM MM 2019",
    build=build,
    module=__name__,
    tiling=TILING,
)
