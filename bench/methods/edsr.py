"""EDSR and its baseline (Lim et al., CVPRW 2017): residual blocks without normalisation.

Reads the authors' PyTorch files (edsr_x4-4f62e9ef.pt and its kin, https://cv.snu.ac.kr/research/EDSR/models/); size,
scale and the range of values are told from the weights.
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
from bench.methods.networks.layers import conv, residual_branch, upsampler
from bench.methods.networks.state import Shapes, filled, one_file, read_state, repeats, width_of


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

    def __init__(self, features: int, blocks: int, scale: int, res_scale: float) -> None:
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
        """The network of a state dict; only the wide one scales its branches, by 0.1, which no weight tells."""
        features = width_of(shapes, "head.0.weight", 64)
        blocks = repeats(shapes, r"body\.(\d+)\.body\.0\.weight")
        stages = repeats(shapes, r"tail\.0\.(\d+)\.weight")
        thrice = width_of(shapes, "tail.0.0.weight", 4 * features) == 9 * features
        return cls(features, blocks, 3 if thrice else 2**stages, 0.1 if features == 256 else 1.0)

    @property
    def unit(self) -> float:
        """What the network calls white: 255, or 1 where the mean that it subtracts is below 1."""
        return 255.0 if float(self.add_mean.bias.detach().abs().max()) > 1 else 1.0  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, unit] to (N, 3, scale*h, scale*w)."""
        x = self.head(self.sub_mean(x))
        return self.add_mean(self.tail(self.body(x) + x))


def build(scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32") -> OnRGB:
    """The method.

    Raises:
        BenchError: not one file, not a file of this network, or of one for another scale.
    """
    file = one_file("edsr", weights)
    network = filled(EDSR.of, read_state(file), file)
    check_scale(file, scale, network.scale)
    return on_rgb(network, scale, device, precision, reach=network.reach, unit=network.unit)


METHOD = MethodEntry(
    name="edsr",
    title="EDSR",
    kind="SR",
    scales=(2, 3, 4),
    stochastic=False,
    paper="CVPRW 2017",
    build=build,
    module=__name__,
    tiling=TILING,
)
