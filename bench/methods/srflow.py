"""SRFlow (Lugmayr et al., ECCV 2020): draws HR images of an LR image.

Needs the authors' SRFlow_DF2K_4X.pth (x4) or SRFlow_CelebA_8X.pth (x8), from
http://data.vision.ee.ethz.ch/alugmayr/SRFlow/pretrained_models.zip .
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from bench.errors import BenchError
from bench.methods.method import MethodEntry
from bench.methods.networks.drawing import MAX_PIXELS, WHOLE, check_rgb, in_tiles, noise, on_device, precision_of
from bench.methods.networks.state import one_file, read_state
from hcflow.errors import CheckpointError
from hcflow.flow.invconv import solve_together
from hcflow.images.io import Pixels
from hcflow.model import bits_per_pixel
from hcflow.nets.subnets import set_subnet_precision
from hcflow.srflow.model import SRFlow, pad_to_even
from hcflow.srflow.official import from_official

HALO = 64
"""Margin of a tile in LR pixels; the encoder, 23 blocks of 15 convolutions, sees further."""


class SuperResolutionFlow:
    """Draws HR images; what the LR image says is computed once for all draws.

    Attributes:
        parameters: of the network, the one unused convolution of the released files included.
    """

    def __init__(self, model: SRFlow, device: torch.device, precision: str = "fp32") -> None:
        set_subnet_precision(model, precision_of(precision))
        self._model = model.requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device
        self.parameters = sum(parameter.numel() for parameter in model.parameters())

    @torch.inference_mode()
    def restore(self, lr: Tensor, temperature: float, seeds: Sequence[int]) -> Tensor:
        """(3, h, w) in [0, 1] to (len(seeds), 3, scale*h, scale*w), each draw as if it were the only one.

        Odd sides are padded by reflection, and the result is cropped.
        """
        model, scale = self._model, self._model.config.scale
        batch = pad_to_even(check_rgb(lr)).to(self._device, memory_format=torch.channels_last)
        height, width = batch.shape[-2:]
        whole = height * width * scale**2 <= MAX_PIXELS
        maps = model.maps(batch) if whole else []

        def run(part: Tensor, latents: Sequence[Tensor]) -> Tensor:
            return model.generate(latents, maps if whole else model.maps(part))

        draws = []
        with solve_together(model):
            for seed in seeds:
                latents = noise(model.latent_shapes(height, width), temperature, seed)
                draw = in_tiles(run, batch, [z.to(self._device) for z in latents], scale, HALO)
                draws.append(draw[:, : lr.shape[-2] * scale, : lr.shape[-1] * scale])
        return torch.stack(draws)

    @torch.inference_mode()
    def bits_per_pixel(self, hr: Pixels, lr: Tensor, seed: int) -> float:
        """Bits per pixel, dequantised with `seed`, of the largest part, from the top left, that needs no padding."""
        model = self._model
        image = on_device(hr, torch.device("cpu"))
        height, width = (side // model.config.multiple * model.config.multiple for side in image.shape[-2:])
        if not height or not width:
            raise BenchError(f"expected an image of {model.config.multiple} pixels or more a side, got {hr.shape[:2]}")
        scale = model.config.scale
        small = check_rgb(lr)[..., : height // scale, : width // scale].to(self._device)
        generator = torch.Generator().manual_seed(seed)
        x = model.dequantise(image[..., :height, :width], generator=generator).to(self._device)
        return float(bits_per_pixel(model.log_prob(model.encode(x, small)), height * width))


def build(scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32") -> SuperResolutionFlow:
    """The method; raises BenchError: not one file, not one of SRFlow, or one for another scale."""
    file = one_file("srflow", weights)
    try:
        model = from_official(read_state(file), str(file)).eval()
    except CheckpointError as error:
        raise BenchError(str(error)) from None
    if model.config.scale != scale:
        raise BenchError(f"{file}: expected a network for x{scale}, got one for x{model.config.scale}")
    return SuperResolutionFlow(model, device, precision)


METHOD = MethodEntry(
    name="srflow",
    title="SRFlow",
    kind="SR",
    scales=(4, 8),
    stochastic=True,
    paper="ECCV 2020",
    build=build,
    module=__name__,
    tiling=f"{WHOLE} {HALO} LR pixels (the network sees further)",
)
