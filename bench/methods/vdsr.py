"""VDSR (Kim et al., CVPR 2016): twenty convolutions correct the bicubically enlarged luma plane, at any scale.

Reads the authors' model, a MATLAB struct `model` of `weight` and `bias` (VDSR_Official.mat, huangzehao/caffe-vdsr).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import BenchError
from bench.methods.method import MethodEntry
from bench.methods.networks.building import on_luma
from bench.methods.networks.feedforward import OnLuma
from bench.methods.networks.inference import TILING
from bench.methods.networks.layers import conv
from bench.methods.networks.state import filled, one_file, read_matlab

DEPTH, WIDTH = 20, 64


class VDSR(nn.Module):
    """Y of the enlarged image plus what 20 3x3 convolutions of 64 channels, with ReLU between, make of it."""

    reach = DEPTH

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        widths = [1, *[width] * (DEPTH - 1), 1]
        self.layers = nn.ModuleList(conv(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) in [0, 1] to the same shape."""
        y = x
        for layer in self.layers[:-1]:
            y = layer(y).relu_()
        return x + self.layers[-1](y)


def build(scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32") -> OnLuma:
    """The method; one file serves x2, x3 and x4.

    Raises:
        BenchError: not one file, or not a file of this network.
    """
    file = one_file("vdsr", weights)
    network = filled(lambda _: VDSR(), from_matlab(file), file)
    return on_luma(network, scale, device, precision, reach=VDSR.reach, enlarged=True)


def from_matlab(file: Path) -> dict[str, Tensor]:
    """The PyTorch state dict of the struct, whose filters are (row, column, input, output).

    Raises:
        BenchError: there is no such struct.
    """
    model = read_matlab(file).get("model")
    filters, biases = getattr(model, "weight", ()), getattr(model, "bias", ())
    if len(filters) != DEPTH or len(biases) != DEPTH:
        raise BenchError(f"{file}: expected a struct `model` with {DEPTH} filters and biases, got {len(filters)}")
    state = {}
    widths = [1, *[WIDTH] * (DEPTH - 1), 1]
    for n, (window, bias) in enumerate(zip(filters, biases, strict=True)):
        inputs, outputs = widths[n], widths[n + 1]
        shaped = np.asarray(window, dtype=np.float32).reshape(3, 3, inputs, -1)  # MATLAB drops sides of 1
        state[f"layers.{n}.weight"] = torch.from_numpy(np.ascontiguousarray(shaped.transpose(3, 2, 0, 1)))
        state[f"layers.{n}.bias"] = torch.from_numpy(np.asarray(bias, dtype=np.float32).reshape(outputs))
    return state


METHOD = MethodEntry(
    name="vdsr",
    title="VDSR",
    kind="SR",
    scales=(2, 3, 4),
    stochastic=False,
    paper="CVPR 2016",
    build=build,
    module=__name__,
    tiling=TILING,
)
