"""RDN (Zhang et al., CVPR 2018): residual dense blocks whose outputs are all fused (configuration B).

The authors published Lua Torch files (RDN_BIX4.t7), which nothing reads safely today. This method reads the PyTorch
layout of the EDSR authors' repository (SFENet1, RDBs, GFF, UPNet), to which such a file has to be converted first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.errors import BenchError
from bench.methods.method import MethodEntry
from bench.methods.networks.building import check_scale, on_rgb
from bench.methods.networks.feedforward import OnRGB
from bench.methods.networks.inference import TILING
from bench.methods.networks.layers import conv
from bench.methods.networks.state import Shapes, filled, one_file, read_state, repeats, width_of


class Dense(nn.Module):
    """x and relu(conv(x)), one behind the other."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(conv(inputs, growth), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, inputs + growth, h, w)."""
        return torch.cat((x, self.conv(x)), 1)


class Block(nn.Module):
    """Dense layers, fused by a 1x1 convolution and added to the input."""

    def __init__(self, features: int, growth: int, layers: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(*(Dense(features + i * growth, growth) for i in range(layers)))
        self.LFF = conv(features + layers * growth, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        return self.LFF(self.convs(x)) + x


class RDN(nn.Module):
    """Two shallow convolutions, dense blocks, global fusion, pixel shuffles; values in 0..255, no mean is subtracted.

    Attributes:
        scale: HR size over LR size.
        reach: LR pixels to each side that a pixel sees.
    """

    def __init__(self, features: int, blocks: int, layers: int, growth: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.reach = 2 + blocks * layers + 1 + 3
        self.SFENet1 = conv(3, features)
        self.SFENet2 = conv(features, features)
        self.RDBs = nn.ModuleList(Block(features, growth, layers) for _ in range(blocks))
        self.GFF = nn.Sequential(conv(blocks * features, features, 1), conv(features, features))
        stages: list[nn.Module] = []
        inputs = features
        for factor in [3] if scale == 3 else [2] * (scale.bit_length() - 1):
            stages += [conv(inputs, growth * factor**2), nn.PixelShuffle(factor)]
            inputs = growth
        self.UPNet = nn.Sequential(*stages, conv(growth, 3))

    @classmethod
    def of(cls, shapes: Shapes) -> RDN:
        """The network of a state dict."""
        growth = width_of(shapes, "RDBs.0.convs.0.conv.0.weight", 64)
        stages = repeats(shapes, r"UPNet\.(\d+)\.weight") - 1
        thrice = width_of(shapes, "UPNet.0.weight", 4 * growth) == 9 * growth
        return cls(
            features=width_of(shapes, "SFENet1.weight", 64),
            blocks=repeats(shapes, r"RDBs\.(\d+)\."),
            layers=repeats(shapes, r"RDBs\.0\.convs\.(\d+)\."),
            growth=growth,
            scale=3 if thrice else 2 ** max(1, stages),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) in 0..255 to (N, 3, scale*h, scale*w)."""
        first = self.SFENet1(x)
        x = self.SFENet2(first)
        outputs = []
        for block in self.RDBs:
            x = block(x)
            outputs.append(x)
        return self.UPNet(self.GFF(torch.cat(outputs, 1)) + first)


def build(scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32") -> OnRGB:
    """The method.

    Raises:
        BenchError: not one file, a Lua Torch file, not a file of this network, or of one for another scale.
    """
    file = one_file("rdn", weights)
    if file.suffix == ".t7":
        raise BenchError(
            f"{file}: expected a PyTorch state dict (SFENet1, RDBs, GFF, UPNet), got a Lua Torch file, which nothing "
            "reads safely; convert it on a machine with Torch 7"
        )
    network = filled(RDN.of, read_state(file), file)
    check_scale(file, scale, network.scale)
    return on_rgb(network, scale, device, precision, reach=network.reach, unit=255.0)


METHOD = MethodEntry(
    name="rdn",
    title="RDN",
    kind="SR",
    scales=(2, 3, 4),
    stochastic=False,
    paper="CVPR 2018",
    build=build,
    module=__name__,
    tiling=TILING,
)
