"""TAD & TAU (Kim et al., ECCV 2018): neither code nor weights were ever published.

The network is an unofficial one, so no row of it is the paper's; it runs on weights of that layout that you
trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from bench.errors import BenchError
from bench.methods.method import MethodEntry
from bench.methods.networks.drawing import check_rgb, eight_bits, on_device, precision_of
from bench.methods.networks.state import filled, one_file, read_state
from bench.methods.networks.tad_tau import TADTAU
from hcflow.images.io import Pixels


class TaskAwareDownscaling:
    """Shrinks images itself, to 8 bits, and restores them; nothing is drawn.

    Attributes:
        parameters: of the network, which every halving uses again.
    """

    def __init__(self, network: TADTAU, scale: int, device: torch.device, precision: str = "fp32") -> None:
        self._dtype = precision_of(precision)
        self._network = network.requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._times = scale.bit_length() - 1
        self._device = device
        self.parameters = sum(parameter.numel() for parameter in network.parameters())

    @torch.inference_mode()
    def restore(self, lr: Tensor, temperature: float, seeds: Sequence[int]) -> Tensor:
        """(3, h, w) in [0, 1] to (len(seeds), 3, scale*h, scale*w), the same for every seed and temperature."""
        batch = check_rgb(lr).to(self._device, memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._dtype is not None):
            sr = self._network.upscale(batch, self._times).float()
        return sr.expand(len(seeds), *sr.shape[1:])

    @torch.inference_mode()
    def downscale(self, hr: Pixels) -> Tensor:
        """uint8 (H, W[, 3]), sides divisible by the scale, to (3, H/scale, W/scale) in [0, 1], 8 bits."""
        return eight_bits(self._network.downscale(on_device(hr, self._device), self._times))


def build(scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32") -> TaskAwareDownscaling:
    """The method; raises BenchError: a scale that is not a power of two, or not one file of this layout."""
    if scale < 2 or scale & (scale - 1):
        raise BenchError(f"tad_tau: expected a scale of 2, 4, 8, .., got {scale}")
    file = one_file("tad_tau", weights)
    network = filled(lambda shapes: TADTAU(), read_state(file), file)
    return TaskAwareDownscaling(network, scale, device, precision)


METHOD = MethodEntry(
    name="tad_tau",
    title="TAD & TAU",
    kind="rescaling",
    scales=(2, 4),
    stochastic=False,
    paper="ECCV 2018",
    build=build,
    module=__name__,
    note="never published",
)
