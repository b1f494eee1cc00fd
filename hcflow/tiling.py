"""Large images in bounded memory: decoding by tiles of the LR image, downscaling by tiles of the HR image.

Downscaling by tiles is exact: each tile carries as much surrounding as its pixels can see. Decoding is not: a
conditioner of 14 blocks sees 212 pixels far, so a tile carries a margin of HALO pixels and the seam that is left is
measured (tests/hcflow/test_tiling.py). Both see the zero padding of the convolutions only where the image ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hcflow.model import Decoder, HCFlow
from hcflow.sampling import Draws

__all__ = ["HALO", "MAX_PIXELS", "Tile", "decode_in_tiles", "downscale_in_tiles", "tiles"]

HALO = 32
"""Margin of a decoding tile, in LR pixels."""
MAX_PIXELS = 2**21
"""HR pixels times draws that are decoded at once: about 2 GiB (measured: 1 KiB a pixel at x4 and at x8)."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Tile:
    """A core, and the larger region that is computed for it, clipped to the image: (top, bottom, left, right)."""

    core: tuple[int, int, int, int]
    region: tuple[int, int, int, int]

    def of(self, x: Tensor, factor: int = 1) -> Tensor:
        """The region of an image (.., H, W) that is `factor` times finer than the plan."""
        top, bottom, left, right = (factor * at for at in self.region)
        return x[..., top:bottom, left:right]

    def paste(self, target: Tensor, part: Tensor, factor: int = 1) -> None:
        """Write the core of `part`, which was computed for the region, into the whole image."""
        top, bottom, left, right = (factor * at for at in self.core)
        y, x = factor * self.region[0], factor * self.region[2]
        target[..., top:bottom, left:right] = part[..., top - y : bottom - y, left - x : right - x]


def tiles(height: int, width: int, side: int, halo: int) -> Iterator[Tile]:
    """Cut an image into cores of at most `side` pixels, row by row."""
    for top in range(0, height, side):
        for left in range(0, width, side):
            bottom, right = min(top + side, height), min(left + side, width)
            region = (max(top - halo, 0), min(bottom + halo, height), max(left - halo, 0), min(right + halo, width))
            yield Tile((top, bottom, left, right), region)


def decode_in_tiles(
    decoder: Decoder,
    lr: Tensor,
    temperature: float,
    generator: torch.Generator | None = None,
    samples: int = 1,
    max_pixels: int = MAX_PIXELS,
    progress: Progress = lambda done, of: None,
) -> Tensor:
    """Decode one image of any size; where it fits at once, exactly `decoder.decode` (same latents).

    Args:
        lr: (1, 3, h, w) in [0, 1].
        max_pixels: HR pixels times draws to decode at once.
        progress: called after each tile with the tiles done and their number.

    Returns:
        (samples, 3, h 2^L, w 2^L) float32 on CPU, not clamped.
    """
    h, w = lr.shape[-2:]
    shapes = decoder.latent_shapes(h, w)
    latents = Draws(shapes, lr, 1.0, None, generator, samples).latents
    scale = decoder.config.scale
    pixels = max_pixels // (scale**2 * samples)  # of the LR image
    side = max(h, w) if h * w <= pixels else max(HALO, math.isqrt(pixels) - 2 * HALO)
    plan = list(tiles(h, w, side, HALO))
    hr = torch.empty(samples, 3, h * scale, w * scale)
    for done, tile in enumerate(plan, 1):
        parts = [tile.of(z, scale >> level)[None] for level, z in enumerate(latents, 1)]
        part = decoder.decode(tile.of(lr), temperature, latents=parts, samples=samples)[0]
        tile.paste(hr, part.cpu(), scale)
        progress(done, len(plan))
    return hr


def downscale_in_tiles(
    model: HCFlow, hr: Tensor, side: int = 1024, progress: Progress = lambda done, of: None
) -> Tensor:
    """`model.downscale` of one image (1, 3, H, W), by tiles of `side` HR pixels and all they can see: exact."""
    config = model.config
    convolutions = 5 if config.coupling == "alternating" else 2  # 3x3, per step
    sees = sum(config.K * convolutions * 2**level for level in range(1, config.L + 1))
    scale = config.scale
    height, width = hr.shape[-2] // scale, hr.shape[-1] // scale
    plan = list(tiles(height, width, side // scale, -(-sees // scale)))
    lr = torch.empty(1, 3, height, width)
    for done, tile in enumerate(plan, 1):
        tile.paste(lr, model.downscale(tile.of(hr, scale)).cpu())
        progress(done, len(plan))
    return lr
