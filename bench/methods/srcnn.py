"""SRCNN 9-5-5 (Dong et al., TPAMI 2016): three convolutions on the bicubically enlarged luma plane.

Reads the authors' MATLAB file (x2.mat, x3.mat, x4.mat of SRCNN_v1), whose code repeats the edge around an image, or the
PyTorch layout of yjn870/SRCNN-pytorch (conv1, conv2, conv3), whose code puts zeros there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import BenchError
from bench.methods.method import MethodEntry
from bench.methods.networks.building import on_luma
from bench.methods.networks.feedforward import OnLuma
from bench.methods.networks.inference import TILING
from bench.methods.networks.state import filled, one_file, read_matlab, read_state

_NAMES = tuple(f"{kind}_conv{n}" for n in (1, 2, 3) for kind in ("weights", "biases"))


class SRCNN(nn.Module):
    """Y of the enlarged image -> 9x9 x64 -> ReLU -> 5x5 x32 -> ReLU -> 5x5 x1."""

    reach = 4 + 2 + 2

    def __init__(self, padding: Literal["replicate", "zeros"]) -> None:
        """`padding` is what lies around an image."""
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 9, padding=4, padding_mode=padding)
        self.conv2 = nn.Conv2d(64, 32, 5, padding=2, padding_mode=padding)
        self.conv3 = nn.Conv2d(32, 1, 5, padding=2, padding_mode=padding)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) in [0, 1] to the same shape."""
        return self.conv3(self.conv2(self.conv1(x).relu_()).relu_())


def build(scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32") -> OnLuma:
    """The method; the file does not say its scale, so the scale is not checked.

    Raises:
        BenchError: not one file, or not a file of this network.
    """
    file = one_file("srcnn", weights)
    matlab = file.suffix == ".mat"
    state = from_matlab(file) if matlab else read_state(file)
    network = filled(lambda _: SRCNN("replicate" if matlab else "zeros"), state, file)
    return on_luma(network, scale, device, precision, reach=SRCNN.reach, enlarged=True)


def from_matlab(file: Path) -> dict[str, Tensor]:
    """The PyTorch state dict of a MATLAB file, whose filters are columns of a window read down first.

    Raises:
        BenchError: the variables or their sizes are others.
    """
    variables = read_matlab(file)
    for name in _NAMES:
        if not isinstance(variables.get(name), np.ndarray | float):
            raise BenchError(f"{file}: expected the variable {name} of SRCNN's MATLAB code, got none")
    first, second, third = (np.asarray(variables[f"weights_conv{n}"], dtype=np.float32) for n in (1, 2, 3))
    if (first.shape, second.shape, third.shape) != ((81, 64), (64, 25, 32), (32, 25)):
        got = f"{first.shape}, {second.shape} and {third.shape}"
        raise BenchError(f"{file}: expected filters of sizes (81, 64), (64, 25, 32) and (32, 25), got {got}")
    filters = (
        first.T.reshape(64, 1, 9, 9),  # (outputs, window)
        second.transpose(2, 0, 1).reshape(32, 64, 5, 5),  # (inputs, window, outputs)
        third[None].reshape(1, 32, 5, 5),  # (inputs, window)
    )
    state = {}
    for n, window in enumerate(filters, 1):
        rows_first = np.ascontiguousarray(window.swapaxes(2, 3))
        state[f"conv{n}.weight"] = torch.from_numpy(rows_first)
        bias = np.asarray(variables[f"biases_conv{n}"], dtype=np.float32)
        state[f"conv{n}.bias"] = torch.from_numpy(bias.reshape(-1))
    return state


METHOD = MethodEntry(
    name="srcnn",
    title="SRCNN",
    kind="SR",
    scales=(2, 3, 4),
    stochastic=False,
    paper="TPAMI 2016",
    build=build,
    module=__name__,
    tiling=TILING,
)
