"""How to decode an image in the memory there is: as a whole, draw by draw, and only then by tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hcflow.config import Config
from hcflow.errors import InputError

__all__ = ["Plan", "plan_decode", "receptive_fields"]

BYTES_PER_PIXEL = 1024
"""Peak of decoding per HR pixel and draw at the published sizes (measured at x4 and x8)."""
KEPT_BYTES_PER_PIXEL = 48
"""Latents, levels and result of one draw, which tiles do not make smaller."""
SHARE = 0.75
"""Of the free memory that is used."""
SMALLEST_CORE = 32
"""Side of the smallest tile, without its halo."""


@dataclass(frozen=True)
class LevelPlan:
    """How level l is decoded; sizes are pixels of y_l, of which an LR pixel has 2^(L-l) in each direction."""

    level: int
    height: int
    width: int
    side: int
    """Of a tile's core; at least the image's sides where the level is decoded as a whole."""
    halo: int
    """What a tile carries around its core: at least what a pixel of its result depends on."""

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return math.ceil(self.height / self.side) * math.ceil(self.width / self.side)


@dataclass(frozen=True)
class Plan:
    """How one image is decoded."""

    samples: int
    draws: int
    """Decoded in one call."""
    levels: tuple[LevelPlan, ...]
    """From level L to level 1."""

    @property
    def whole(self) -> bool:
        """Whether no level is cut into tiles."""
        return all(level.tiles == 1 for level in self.levels)

    @property
    def calls(self) -> int:
        """Number of calls that the draws are split over, which does not change a bit of them."""
        return math.ceil(self.samples / self.draws)

    @property
    def steps(self) -> int:
        """Pieces of work, as progress is counted."""
        return self.calls if self.whole else self.samples * sum(level.tiles for level in self.levels)

    def describe(self) -> str:
        """What was done to the image, for a footnote: "whole image", or how many tiles with what halo.

        Splitting draws changes nothing, so it is not mentioned.
        """
        if self.whole:
            return "whole image"
        deepest = len(self.levels)
        cut = [
            f"level {each.level} in {each.tiles} tiles, halo {each.halo // 2 ** (deepest - each.level)} LR pixels"
            for each in self.levels
            if each.tiles > 1
        ]
        return "; ".join(cut)


def receptive_fields(config: Config) -> tuple[int, ...]:
    """How far, in pixels of y_l, the result of decoding level l = 1 .. L depends on y_l, z_l and c_(l+1).

    A conditioner convolves 2 times and 15 times per RRDB, its output once for the Gaussian; every conditional step and
    every main step adds its subnet's 3x3 convolutions: 2 of an FCN, 5 of a dense block.
    """
    main = 5 if config.coupling == "alternating" else 2
    field = config.P * 2 + config.K * main
    if config.deepest_condition != "nothing":
        field += 2 + 15 * sum(config.conditioner.blocks) + 1
    return (field,) * config.L


def plan_decode(config: Config, height: int, width: int, samples: int, free_bytes: int) -> Plan:
    """Choose how to decode: everything at once where it fits, else fewer draws at once, else tiles.

    Args:
        config: of the network.
        height: of the LR image.
        width: of the LR image.
        samples: draws.
        free_bytes: memory of the device; three quarters of it are used.

    Raises:
        InputError: not even the smallest tiles fit.
    """
    if min(height, width, samples) < 1:
        raise InputError(f"expected an LR image and samples of at least 1, got {width}x{height}, {samples} samples")
    L = config.L
    budget = int(SHARE * free_bytes)
    pixel = bytes_per_pixel(config)
    whole = height * width * config.scale**2 * pixel
    sizes = [(l, height * 2 ** (L - l), width * 2 ** (L - l)) for l in range(L, 0, -1)]  # noqa: E741
    if whole <= budget:
        levels = tuple(LevelPlan(l, h, w, max(h, w), 0) for l, h, w in sizes)  # noqa: E741
        return Plan(samples, min(samples, budget // whole), levels)
    kept = height * width * config.scale**2 * KEPT_BYTES_PER_PIXEL
    fields = receptive_fields(config)
    levels = tuple(_level(l, h, w, L, fields[l - 1], (budget - kept) // (4 * pixel)) for l, h, w in sizes)  # noqa: E741
    if any(level.side < SMALLEST_CORE for level in levels):
        need = kept + 4 * pixel * (SMALLEST_CORE + 2 * max(_aligned(field, 2 ** (L - 1)) for field in fields)) ** 2
        raise InputError(
            f"expected {need / SHARE / 2**30:.1f} GiB of free memory to decode {width}x{height} pixels in the smallest "
            f"tiles, got {free_bytes / 2**30:.1f} GiB; free some, or cut the image"
        )
    return Plan(samples, 1, levels)


def bytes_per_pixel(config: Config) -> int:
    """Peak of decoding per HR pixel and draw; wider networks than the published ones take more."""
    conditioner = config.conditioner
    wider = (
        conditioner.features / 64,
        conditioner.growth / 32,
        config.width / 64,
        config.conditional_width / 64,
    )
    return math.ceil(BYTES_PER_PIXEL * max(1.0, *wider))


def _level(l: int, height: int, width: int, L: int, field: int, pixels: int) -> LevelPlan:  # noqa: E741
    """As a whole where `pixels` of y_l fit, else in the largest tiles that do, in steps that coarser levels share."""
    if height * width <= pixels:
        return LevelPlan(l, height, width, max(height, width), 0)
    step = 2 ** (L - l)
    halo = _aligned(field, step)
    side = (math.isqrt(max(pixels, 0)) - 2 * halo) // step * step
    return LevelPlan(l, height, width, side, halo)


def _aligned(size: int, step: int) -> int:
    return -(-size // step) * step
