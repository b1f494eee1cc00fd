"""LapSRN (Lai et al., CVPR 2017): a Laplacian pyramid of residuals on the luma plane, doubling the size at each level.

Reads the authors' MatConvNet file (LapSRN_x4.mat of phoenix104104/LapSRN): a struct `net` with named `params`. Levels
count down there: the first to run is level2 of x4, the last level1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import BenchError
from bench.methods.method import MethodEntry
from bench.methods.networks.building import check_scale, on_luma
from bench.methods.networks.feedforward import OnLuma
from bench.methods.networks.inference import TILING
from bench.methods.networks.layers import conv
from bench.methods.networks.state import filled, one_file, read_matlab, repeats

DEPTH, WIDTH, SLOPE = 10, 64, 0.2


class Level(nn.Module):
    """Ten convolutions and a transposed one; its features are twice as large, and give the residual of the image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(width, width) for _ in range(DEPTH))
        self.upconv = nn.ConvTranspose2d(width, width, 3, stride=2)
        self.residual = conv(width, 1)
        self.img_up = nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False)

    def forward(self, features: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, width, h, w) and image (N, 1, h, w) to both at twice the size."""
        for layer in self.convs:
            features = F.leaky_relu_(layer(features), SLOPE)
        # MatConvNet crops one row and column, at the end only
        features = F.leaky_relu_(self.upconv(features)[:, :, :-1, :-1], SLOPE)
        return features, self.img_up(image) + self.residual(features)


class LapSRN(nn.Module):
    """One 3x3 convolution, then the levels."""

    def __init__(self, levels: int, width: int = WIDTH) -> None:
        super().__init__()
        self.input = conv(1, width)
        self.levels = nn.ModuleList(Level(width) for _ in range(levels))

    @property
    def reach(self) -> int:
        """LR pixels to each side: the input's, and per level 11 convolutions and the residual's, at its size."""
        return 2 + sum(-(-(DEPTH + 2) // 2**level) for level in range(len(self.levels)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, h, w) in [0, 1] to (N, 1, scale*h, scale*w)."""
        features = F.leaky_relu_(self.input(x), SLOPE)
        for level in self.levels:
            features, x = level(features, x)
        return x


def build(scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32") -> OnLuma:
    """The method.

    Raises:
        BenchError: not one file, not a file of this network, or of one for another scale.
    """
    file = one_file("lapsrn", weights)
    network = filled(lambda shapes: LapSRN(repeats(shapes, r"levels\.(\d+)")), from_matlab(file), file)
    check_scale(file, scale, 2 ** len(network.levels))
    return on_luma(network, scale, device, precision, reach=network.reach, enlarged=False)


def from_matlab(file: Path) -> dict[str, Tensor]:
    """The PyTorch state dict of the struct, whose filters are (row, column, input, output).

    Raises:
        BenchError: there is no such struct.
    """
    params = np.atleast_1d(getattr(read_matlab(file).get("net"), "params", ()))
    named = {str(param.name): np.asarray(param.value, dtype=np.float32) for param in params}
    levels = sum(name.endswith("_img_up_f") for name in named)
    if levels == 0:
        raise BenchError(f"{file}: expected a struct `net` with the parameters of LapSRN, got none")
    return {_torch_name(name, levels): _torch_value(name, value) for name, value in named.items()}


def _torch_name(name: str, levels: int) -> str:
    level, _, rest = name.rpartition("level")[2].partition("_")
    kind = {"f": "weight", "b": "bias"}[name[-1]]
    if name.startswith("input_conv"):
        return f"input.{kind}"
    part = rest[:-2].removesuffix("_conv")
    if part.startswith("conv"):
        part = f"convs.{int(part[4:]) - 1}"
    return f"levels.{levels - int(level)}.{part}.{kind}"


def _torch_value(name: str, value: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Tensor:
    if name.endswith("_b"):
        return torch.from_numpy(value.reshape(-1))
    inputs = 1 if name.startswith("input_conv") or "img_up" in name else WIDTH
    # MATLAB drops sides of 1 at the end; transposed filters are (row, column, output, input), and as in torch that
    # makes (input, output, row, column)
    window = value.reshape(*value.shape[:2], inputs, -1).transpose(3, 2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(window))


METHOD = MethodEntry(
    name="lapsrn",
    title="LapSRN",
    kind="SR",
    scales=(2, 4, 8),
    stochastic=False,
    paper="CVPR 2017",
    build=build,
    module=__name__,
    tiling=TILING,
)
