"""CAR & EDSR: content adaptive resampling (Sun and Chen, TIP 2020) and the EDSR that was trained with it.

Needs the authors' kgn.pth and usn.pth of one scale, in this order, from
https://mega.nz/#!XzIm3YhT!jbIOOOGBOiKtv3VAOD782Mz7nK1L_kma-BzR-RhboW4 .
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import BenchError
from bench.methods.method import MethodEntry
from bench.methods.networks.building import check_scale
from bench.methods.networks.car import KernelNetwork
from bench.methods.networks.drawing import WHOLE, check_rgb, eight_bits, in_tiles, on_device, precision_of
from bench.methods.networks.edsr import EDSR
from bench.methods.networks.state import count, filled, read_state
from hcflow.images.io import Pixels

HALO = 70
"""Margin of a tile in LR pixels: EDSR's 70 convolutions see 67, and three in finer pixels."""
_MULTIPLE = 8


class AdaptiveResampling:
    """Shrinks with a separate kernel for every LR pixel, to 8 bits, and enlarges with EDSR; nothing is drawn.

    Attributes:
        parameters: of both networks.
    """

    def __init__(self, kernels: KernelNetwork, upscaler: EDSR, device: torch.device, precision: str = "fp32") -> None:
        self._dtype = precision_of(precision)
        self._kernels = kernels.requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._upscaler = upscaler.requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device
        self.parameters = count(kernels) + count(upscaler)

    @torch.inference_mode()
    def restore(self, lr: Tensor, temperature: float, seeds: Sequence[int]) -> Tensor:
        """(3, h, w) in [0, 1] to (len(seeds), 3, scale*h, scale*w), the same for every seed and temperature."""
        batch = check_rgb(lr).to(self._device, memory_format=torch.channels_last)
        sr = in_tiles(self._run, batch, (), self._kernels.scale, HALO)
        return sr.expand(len(seeds), *sr.shape)

    @torch.inference_mode()
    def downscale(self, hr: Pixels) -> Tensor:
        """uint8 (H, W[, 3]), sides divisible by the scale, to (3, H/scale, W/scale) in [0, 1], 8 bits.

        Sides that 8 does not divide are padded by reflection (the authors cropped them), and the result is cropped.
        """
        x = on_device(hr, self._device)
        scale, (height, width) = self._kernels.scale, x.shape[-2:]
        x = F.pad(x, (0, -width % _MULTIPLE, 0, -height % _MULTIPLE), mode="reflect")
        return eight_bits(self._kernels.downscale(x)[..., : height // scale, : width // scale])

    def _run(self, lr: Tensor, latents: Sequence[Tensor]) -> Tensor:
        if self._dtype is None:
            return self._upscaler(lr)
        with torch.autocast(lr.device.type, self._dtype):
            return self._upscaler(lr).float()


def build(scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32") -> AdaptiveResampling:
    """The method; raises BenchError: not two files, or not those of CAR and EDSR at this scale."""
    if scale not in (2, 4):
        raise BenchError(f"car: expected a scale of 2 or 4, got {scale}")
    if len(weights) != 2:
        raise BenchError(f"car: expected two files of weights, kgn.pth and usn.pth, got {len(weights)}")
    kernels = filled(lambda shapes: KernelNetwork(scale), read_state(weights[0]), weights[0])
    upscaler = filled(EDSR.of, read_state(weights[1]), weights[1])
    check_scale(weights[1], scale, upscaler.scale)
    return AdaptiveResampling(kernels, upscaler, device, precision)


METHOD = MethodEntry(
    name="car",
    title="CAR & EDSR",
    kind="rescaling",
    scales=(2, 4),
    stochastic=False,
    paper="TIP 2020",
    build=build,
    module=__name__,
    tiling=f"{WHOLE} all that a pixel sees, {HALO} LR pixels",
)
