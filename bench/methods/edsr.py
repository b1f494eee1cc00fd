"""EDSR and its baseline (Lim et al., CVPRW 2017): residual blocks without normalisation.

Reads the authors' PyTorch files (such as edsr_x4-4f62e9ef.pt, https://cv.snu.ac.kr/research/EDSR/models/); size,
scale and the range of values are inferred from the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from bench.methods.method import MethodEntry
from bench.methods.networks.building import check_scale, on_rgb
from bench.methods.networks.edsr import EDSR
from bench.methods.networks.feedforward import OnRGB
from bench.methods.networks.inference import TILING
from bench.methods.networks.state import filled, one_file, read_state


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
