"""Running a network on an image of any size in bounded memory: whole where it fits, else by overlapping tiles."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import BenchError
from hcflow.tiling import tiles

PRECISIONS = ("fp32", "tf32", "bf16")
MAX_PIXELS = 2**22
"""Output pixels that are computed at once: 2048x2048, so 2040x1356 is whole (docs/methods.md: the memory it takes)."""
OVERLAP = 64
"""Input pixels beyond a tile's core on every side, where a network sees further than a tile could hold."""

TILING = (
    f"whole up to {MAX_PIXELS} output pixels, else tiles with a margin of all that a pixel sees, where that is at most "
    f"3/8 of a tile, and of {OVERLAP} input pixels otherwise"
)
"""What every method does that runs its network through a `Runner`."""


@dataclass(frozen=True)
class Runner:
    """Maps an image (C, h, w) to (C, scale*h, scale*w).

    Attributes:
        network: takes and gives (1, C, .., ..) float32 on `device`.
        scale: of the network.
        device: where it runs.
        precision: "fp32" or "tf32", which the caller sets; or "bf16": convolutions and products in bfloat16 (autocast).
        reach: input pixels to each side that an output pixel depends on; None where that is the whole image or a grid
            laid over it (global statistics, strides, windows), or not known.
        least: smallest side the network takes.
        multiple: what sides must divide by.
        tile: side of the square input that the network takes at most, where it has such a limit.
        max_pixels: output pixels to compute at once, where it has none.
    """

    network: Callable[[Tensor], Tensor]
    scale: int
    device: torch.device
    precision: str = "fp32"
    reach: int | None = None
    least: int = 1
    multiple: int = 1
    tile: int | None = None
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        """Refuse a precision that does not exist."""
        if self.precision not in PRECISIONS:
            raise BenchError(f"precision: expected {', '.join(PRECISIONS)}, got {self.precision!r}")

    @property
    def side(self) -> int:
        """Side of the largest square input that is computed at once."""
        return self.tile or max(8, math.isqrt(self.max_pixels) // self.scale)

    @property
    def halo(self) -> int:
        """Input pixels beyond a tile's core: all that its pixels can see where that leaves a core, else OVERLAP."""
        if self.reach is not None and self.reach <= 3 * self.side // 8:
            return self.reach
        return min(OVERLAP, self.side // 4)

    @property
    def exact(self) -> bool:
        """Whether tiles give what the whole image would, up to rounding."""
        return self.halo == self.reach

    @property
    def policy(self) -> str:
        """The seam policy in words; it is part of what a number depends on."""
        whole = f"{self.tile}x{self.tile} input pixels" if self.tile else f"{self.max_pixels} output pixels"
        seams = "exact up to rounding" if self.exact else "approximate: the network sees further"
        return f"whole up to {whole}, else tiles with a margin of {self.halo} input pixels ({seams})"

    def __call__(self, x: Tensor) -> Tensor:
        """Run it.

        Args:
            x: (C, h, w).

        Returns:
            (C, scale*h, scale*w) float32 on the device where the network runs, or on the CPU where it took tiles.
        """
        height, width = x.shape[-2:]
        fits = max(height, width) <= self.tile if self.tile else height * width * self.scale**2 <= self.max_pixels
        if fits:
            return self._whole(x)
        result = torch.empty(x.shape[0], height * self.scale, width * self.scale)
        for tile in tiles(height, width, self.side - 2 * self.halo, self.halo):
            tile.paste(result, self._whole(tile.of(x)).cpu(), self.scale)
        return result

    @torch.inference_mode()
    def _whole(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        batch = padded(x[None], self.least, self.multiple)
        # a copy, because some networks change their input
        batch = batch.to(self.device, torch.float32, copy=True, memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            result = self.network(batch)
        return result[0, :, : self.scale * height, : self.scale * width].float()


def padded(x: Tensor, least: int, multiple: int) -> Tensor:
    """Reflect images (N, C, h, w) at the bottom and right until sides are long enough and divide by `multiple`."""
    sides = (max(least, side) for side in x.shape[-2:])
    height, width = (side + -side % multiple for side in sides)
    return reflected(x, height, width)


def reflected(x: Tensor, height: int, width: int) -> Tensor:
    """Reflect images (N, C, h, w) at the bottom and right to (N, C, height, width), if need be repeatedly."""
    for axis, wanted in ((-1, width), (-2, height)):
        while (missing := wanted - x.shape[axis]) > 0:
            step = min(missing, x.shape[axis] - 1)  # a reflection is shorter than its image
            mode = "reflect" if step else "replicate"  # and of one pixel there is none
            amount = step or missing
            x = F.pad(x, (0, amount, 0, 0) if axis == -1 else (0, 0, 0, amount), mode)
    return x
