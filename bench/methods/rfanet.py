"""RFANet (Liu et al., CVPR 2020): residual feature aggregation with enhanced spatial attention.

Its authors published the attention block alone, and no weights, so the row stays "not run: never published". The
network is what the paper describes. What it leaves open (names, whether a mean is subtracted, a last fusion that would
bring the count from 11.1M to the 11.2M that is quoted) is not guessed at: values are in [0, 1], keys of this class.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.methods.method import MethodEntry
from bench.methods.networks.building import check_scale, on_rgb
from bench.methods.networks.feedforward import OnRGB
from bench.methods.networks.inference import TILING
from bench.methods.networks.layers import SpatialAttention, conv, residual_branch, upsampler
from bench.methods.networks.state import Shapes, filled, one_file, read_state, repeats, width_of


class ESA(SpatialAttention):
    """The attention as published: a quarter of the features, three convolutions on the pooled grid."""

    def __init__(self, features: int) -> None:
        super().__init__(features, features // 4, ("conv_max", "conv3", "conv3_"))


class Aggregation(nn.Module):
    """Four residual blocks with attention; their branches are fused by a 1x1 convolution and added to the input."""

    BLOCKS = 4

    def __init__(self, features: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(residual_branch(features), ESA(features)) for _ in range(self.BLOCKS)
        )
        self.fuse = conv(self.BLOCKS * features, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        y, branches = x, []
        for branch in self.branches:
            branches.append(branch(y))
            y = y + branches[-1]
        return x + self.fuse(torch.cat(branches, 1))


class RFANet(nn.Module):
    """A convolution, 30 aggregation modules and one more under a long skip, pixel shuffles.

    Attributes:
        scale: HR size over LR size.
    """

    def __init__(self, features: int = 64, modules: int = 30, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        self.head = conv(3, features)
        self.body = nn.Sequential(*(Aggregation(features) for _ in range(modules)), conv(features, features))
        self.tail = nn.Sequential(*upsampler(features, scale), conv(features, 3))

    @classmethod
    def of(cls, shapes: Shapes) -> RFANet:
        """The network of a state dict."""
        stages = repeats(shapes, r"tail\.(\d+)\.weight") - 1
        return cls(width_of(shapes, "head.weight", 64), repeats(shapes, r"body\.(\d+)\.fuse"), 2 ** max(1, stages))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) to (N, 3, scale*h, scale*w)."""
        x = self.head(x)
        return self.tail(self.body(x) + x)


def build(scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32") -> OnRGB:
    """The method, for weights that you trained.

    Raises:
        BenchError: not one file, not a file of this network, or of one for another scale.
    """
    file = one_file("rfanet", weights)
    network = filled(RFANet.of, read_state(file), file)
    check_scale(file, scale, network.scale)
    return on_rgb(network, scale, device, precision, least=ESA.LEAST)


METHOD = MethodEntry(
    name="rfanet",
    title="RFANet",
    kind="SR",
    scales=(2, 4),
    stochastic=False,
    paper="CVPR 2020",
    build=build,
    module=__name__,
    tiling=TILING,
    note="its authors published no weights",
)
