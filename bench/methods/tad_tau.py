"""TAD & TAU (Kim et al., ECCV 2018): neither code nor weights were ever published.

The network is an unofficial one, so no row of it is the paper's; it runs for whoever has trained weights of that
layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from bench.errors import BenchError
from bench.methods.networks.drawing import check_rgb, eight_bits, on_device, precision_of
from bench.methods.networks.filling import exactly, fill, read
from bench.methods.networks.tad_tau import TADTAU
from hcflow.images.io import Pixels

NOTE = "never published"


class TaskAwareDownscaling:
    """Shrinks images itself, to 8 bits, and restores them; nothing is drawn.

    Attributes:
        parameters: of the network, which every halving uses again.
    """

    def __init__(self, network: TADTAU, scale: int, device: torch.device, precision: str = "fp32") -> None:
        self._dtype = precision_of(precision)
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
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
    """The method; raises BenchError: a scale that is no power of two, or not one file of this layout."""
    if scale < 2 or scale & (scale - 1):
        raise BenchError(f"tad_tau: expected a scale of 2, 4, 8, .., got {scale}")
    (file,) = exactly("tad_tau", list(weights), ("a state dict of the unofficial network",))
    with torch.device("meta"):
        network = TADTAU()
    fill(network, read(file), str(file))
    return TaskAwareDownscaling(network, scale, device, precision)
