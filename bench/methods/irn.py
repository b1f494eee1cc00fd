"""IRN: rescaling by an invertible network (Xiao et al., ECCV 2020).

Needs the authors' IRN_x4.pth or IRN_x2.pth (IRN+_x4.pth is the same network), from
https://drive.google.com/drive/folders/1ym6DvYNQegDrOy_4z733HxrULa1XIN92 .
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from bench.errors import BenchError
from bench.methods.method import MethodEntry
from bench.methods.networks.drawing import WHOLE, check_rgb, eight_bits, in_tiles, noise, on_device, precision_of
from bench.methods.networks.irn import IRN, count, of_state
from bench.methods.networks.state import one_file, read_state
from hcflow.images.io import Pixels
from hcflow.nets.subnets import set_subnet_precision


class InvertibleRescaling:
    """Shrinks images itself, to 8 bits, and restores them with drawn detail.

    Attributes:
        parameters: of the network, the fixed Haar kernels included.
    """

    def __init__(self, network: IRN, device: torch.device, precision: str = "fp32") -> None:
        set_subnet_precision(network, precision_of(precision))
        self._network = network.requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device
        self.parameters = count(network)
        # per step two dense blocks of five convolutions one after the other, at every stage
        reach = sum(2 * 5 * steps * 2**-k for k, steps in enumerate(reversed(network.couplings)))
        self._halo = 2 * (int(reach) // 2 + 1)

    @torch.inference_mode()
    def restore(self, lr: Tensor, temperature: float, seeds: Sequence[int]) -> Tensor:
        """(3, h, w) in [0, 1] to (len(seeds), 3, scale*h, scale*w), each draw as if it were the only one."""
        batch = check_rgb(lr).to(self._device, memory_format=torch.channels_last)
        shapes = [(self._network.latent_channels, *lr.shape[-2:])]
        draws = []
        for seed in seeds:
            latents = [z.to(self._device) for z in noise(shapes, temperature, seed)]
            draws.append(in_tiles(self._run, batch, latents, self._network.scale, self._halo))
        return torch.stack(draws)

    @torch.inference_mode()
    def downscale(self, hr: Pixels) -> Tensor:
        """uint8 (H, W[, 3]), sides divisible by the scale, to (3, H/scale, W/scale) in [0, 1], 8 bits."""
        return eight_bits(self._network.downscale(on_device(hr, self._device)))

    @torch.inference_mode()
    def encode_lr(self, hr: Pixels, seed: int) -> Tensor:
        """The LR image before it is clamped and rounded; nothing is drawn, so the seed changes nothing."""
        return self._network.downscale(on_device(hr, self._device))[0]

    def _run(self, lr: Tensor, latents: Sequence[Tensor]) -> Tensor:
        return self._network.upscale(lr, latents[0])


def build(scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32") -> InvertibleRescaling:
    """The method; raises BenchError: not one file, not one of IRN, or one for another scale."""
    file = one_file("irn", weights)
    network = of_state(read_state(file), str(file))
    if network.scale != scale:
        raise BenchError(f"{file}: expected a network for x{scale}, got one for x{network.scale}")
    return InvertibleRescaling(network, device, precision)


METHOD = MethodEntry(
    name="irn",
    title="IRN",
    kind="rescaling",
    scales=(2, 4),
    stochastic=True,
    paper="ECCV 2020",
    build=build,
    module=__name__,
    tiling=f"{WHOLE} all that a pixel sees, 122 LR pixels at x4 and 82 at x2",
)
