"""What flows share as methods: noise, precision, and tiles for images that do not fit into memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bench.errors import BenchError
from hcflow.images.io import Pixels
from hcflow.images.tensors import to_pixels, to_tensor
from hcflow.tiling import tiles

__all__ = ["MAX_PIXELS", "WHOLE", "check_rgb", "eight_bits", "in_tiles", "noise", "on_device", "precision_of"]

MAX_PIXELS = 2**22
"""HR pixels that are computed at once (2048x2048, so 2040x1356 is whole)."""
WHOLE = f"whole up to {MAX_PIXELS} output pixels, else tiles with a margin of"
"""How the description of a tiling policy starts."""


def precision_of(name: str) -> torch.dtype | None:
    """Of the networks inside the flow: None is float32, which a device may compute in TF32; raises BenchError."""
    if name not in ("fp32", "tf32", "bf16"):
        raise BenchError(f"precision: expected fp32, tf32 or bf16, got {name!r}")
    return torch.bfloat16 if name == "bf16" else None


def check_rgb(lr: Tensor) -> Tensor:
    """The image as a batch (1, 3, h, w) in float32; raises BenchError where it is not (3, h, w)."""
    if lr.ndim != 3 or lr.shape[0] != 3:
        raise BenchError(f"expected an RGB image (3, h, w), got {tuple(lr.shape)}: this network has no luma protocol")
    return lr[None].float()


def noise(shapes: Sequence[Sequence[int]], temperature: float, seed: int) -> list[Tensor]:
    """Latents z_1 .. z_L (1, ..) of one draw, from the CPU's generator, the last first."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [temperature * torch.randn((1, *shape), generator=generator) for shape in reversed(shapes)]
    return drawn[::-1]


def on_device(hr: Pixels, device: torch.device) -> Tensor:
    """uint8 (H, W[, 3]) to (1, 3, H, W) in [0, 1]."""
    return to_tensor(hr).to(device, memory_format=torch.channels_last)


def eight_bits(lr: Tensor) -> Tensor:
    """(1, 3, h, w) to (3, h, w), clamped and rounded to 8 bits."""
    return to_tensor(to_pixels(lr[0]))[0]


def in_tiles(
    run: Callable[[Tensor, Sequence[Tensor]], Tensor],
    lr: Tensor,
    latents: Sequence[Tensor],
    scale: int,
    halo: int,
    max_pixels: int = MAX_PIXELS,
) -> Tensor:
    """One image by `run(lr, latents)`, whole where `max_pixels` allows, else by tiles.

    Args:
        run: (1, 3, h, w) and latents to (1, 3, scale h, scale w).
        lr: (1, 3, h, w), with even sides where a latent is smaller than it.
        latents: (1, C, ..), whose sides are those of the LR image times a power of two, 1/2 at the least.
        scale: HR side over LR side.
        halo: LR pixels around a core, an even number.
        max_pixels: of the HR image that is computed at once.

    Returns:
        (3, scale h, scale w), on the CPU where it took tiles.
    """
    height, width = lr.shape[-2:]
    if height * width * scale**2 <= max_pixels:
        return run(lr, latents)[0]
    core = max(32, math.isqrt(max_pixels) // scale - 2 * halo) // 2 * 2
    result = torch.empty(3, height * scale, width * scale, dtype=lr.dtype)
    for tile in tiles(height, width, core, halo):
        parts = [_cut(z, tile.region, height) for z in latents]
        tile.paste(result, run(tile.of(lr), parts)[0].cpu(), scale)
    return result


def _cut(z: Tensor, region: tuple[int, int, int, int], height: int) -> Tensor:
    """The region (top, bottom, left, right), in LR pixels, of a latent of another size."""
    top, bottom, left, right = (at * z.shape[-2] // height for at in region)
    return z[..., top:bottom, left:right]
