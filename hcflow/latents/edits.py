"""What can be done to points of the latent space: temperatures, new draws, interpolation, exchange, standardisation."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor

from hcflow.errors import InputError
from hcflow.latents.point import Point

__all__ = ["Interpolation", "Statistics", "interpolate", "resample", "standardise", "tempered", "transfer"]

Interpolation = Literal["spherical", "linear"]
Statistics = Literal["channel", "position"]


def tempered(point: Point, temperature: Sequence[float]) -> Point:
    """Multiply z_1 .. z_L: one temperature for all levels, or one for each, finest first; raises InputError."""
    levels = len(point.latents)
    each = tuple(temperature) * (levels if len(temperature) == 1 else 1)
    if len(each) != levels:
        raise InputError(f"expected one temperature or {levels}, one per level, got {len(each)}")
    if not all(0 <= tau < math.inf for tau in each):
        raise InputError(f"expected temperatures >= 0, got {' '.join(map(str, temperature))}")
    latents = tuple(z * tau for z, tau in zip(point.latents, each, strict=True))
    total = tuple(old * tau for old, tau in zip(point.temperature, each, strict=True))
    return replace(point, latents=latents, temperature=total)


def resample(point: Point, seed: int) -> Point:
    """Draw new latents, standard normal, on the CPU and coarse to fine as `decode` of the networks does."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(z.shape, generator=generator, dtype=z.dtype).to(z.device) for z in reversed(point.latents)]
    return replace(point, latents=tuple(reversed(drawn)), temperature=(1.0,) * len(drawn))


def interpolate(a: Point, b: Point, t: float, how: Interpolation = "spherical") -> Point:
    """The point at t between a (0) and b (1), which are exactly its ends.

    "spherical" turns each z_l from one direction to the other and changes its norm linearly, as suits a Gaussian of
    many dimensions, whose mass is near a sphere; the LR image, no Gaussian, is always mixed linearly.

    Raises:
        InputError: another way, or points of other networks or sizes.
    """
    if how not in get_args(Interpolation):
        raise InputError(f"expected {' or '.join(get_args(Interpolation))} interpolation, got {how!r}")
    _check_comparable(a, b)
    mix = _spherical if how == "spherical" else _linear
    latents = tuple(mix(x, y, t) for x, y in zip(a.latents, b.latents, strict=True))
    temperature = tuple((1 - t) * x + t * y for x, y in zip(a.temperature, b.temperature, strict=True))
    return replace(a, lr=_linear(a.lr, b.lr, t), latents=latents, temperature=temperature)


def transfer(
    target: Point,
    source: Point,
    region: tuple[int, int, int, int] | None = None,
    *,
    levels: Collection[int] | None = None,
    with_lr: bool = False,
) -> Point:
    """Give a region of `target` the latents of the same region of `source`.

    The LR image stays the target's, so HCFlow, encoding the result, finds that LR image in it again exactly.

    Args:
        target: to change.
        source: to take from.
        region: (x, y, width, height) in HR pixels, multiples of the coarsest latent's pixels; None for everything.
        levels: of the latents to exchange, counted from 1, the finest; None for all.
        with_lr: whether the region of the LR image comes along: what is there is then moved, not only its detail.

    Raises:
        InputError: points of other networks or sizes, a region outside of the image or off the grid, no such level.
    """
    _check_comparable(target, source)
    count = len(target.latents)
    chosen = set(range(1, count + 1) if levels is None else levels)
    if not chosen or not chosen <= set(range(1, count + 1)):
        raise InputError(f"expected levels between 1 and {count}, got {' '.join(map(str, sorted(chosen)))}")
    padded = _padded_size(target)
    box = _checked(region, padded, target) if region is not None else (0, 0, padded[1], padded[0])
    latents = tuple(
        _pasted(to, of, box, padded) if level in chosen else to
        for level, (to, of) in enumerate(zip(target.latents, source.latents, strict=True), 1)
    )
    lr = _pasted(target.lr, source.lr, box, padded) if with_lr else target.lr
    return replace(target, lr=lr, latents=latents)


def standardise(point: Point, over: Collection[Statistics]) -> Point:
    """Give latents that are not typical of the network the statistics of its prior, level by level.

    Args:
        point: with latents that an image from elsewhere gave.
        over: "channel": every channel gets mean 0 and variance 1 over the image; "position": every position gets them
            over its channels. Both are done in this order.

    Raises:
        InputError: other statistics.
    """
    for name in over:
        if name not in get_args(Statistics):
            raise InputError(f"expected statistics over {' or '.join(get_args(Statistics))}, got {name!r}")
    dims = [dims for name, dims in (("channel", (2, 3)), ("position", (1,))) if name in over]
    latents = []
    for z in point.latents:
        for dim in dims:
            mean = z.mean(dim, keepdim=True)
            z = (z - mean) / ((z - mean).square().mean(dim, keepdim=True) + 1e-12).sqrt()
        latents.append(z)
    return replace(point, latents=tuple(latents))


def _check_comparable(a: Point, b: Point) -> None:
    if a.network != b.network:
        raise InputError(f"expected latents of one network, got those of {a.network[:12]} and {b.network[:12]}")
    if a.size != b.size:
        sizes = [f"{point.size[1]}x{point.size[0]}" for point in (a, b)]
        raise InputError(f"expected images of one size, got {sizes[0]} and {sizes[1]}; crop them alike")


def _linear(a: Tensor, b: Tensor, t: float) -> Tensor:
    return (1 - t) * a + t * b


def _spherical(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Slerp of directions, times the norm between; where they are (anti)parallel, linear."""
    norm_a, norm_b = float(a.norm()), float(b.norm())
    if not norm_a or not norm_b:
        return _linear(a, b, t)
    cosine = float((a * b).sum()) / (norm_a * norm_b)
    angle = math.acos(min(1.0, max(-1.0, cosine)))
    if math.sin(angle) < 1e-4:
        return _linear(a, b, t)
    norm = (1 - t) * norm_a + t * norm_b
    of_a, of_b = (math.sin(part * angle) / math.sin(angle) for part in (1 - t, t))
    return (of_a * norm / norm_a) * a + (of_b * norm / norm_b) * b


def _padded_size(point: Point) -> tuple[int, int]:
    """Height and width of the image that the latents are of."""
    return point.scale * point.lr.shape[-2], point.scale * point.lr.shape[-1]


def _checked(region: tuple[int, int, int, int], padded: tuple[int, int], point: Point) -> tuple[int, int, int, int]:
    """The region, if it lies on the coarsest grid and in the image."""
    x, y, width, height = region
    grid = padded[0] // min(point.lr.shape[-2], point.latents[-1].shape[-2])
    given = f"{x},{y},{width},{height}"
    if any(side % grid for side in region):
        raise InputError(f"expected a region of multiples of {grid} pixels (X,Y,WIDTH,HEIGHT), got {given}")
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > padded[1] or y + height > padded[0]:
        raise InputError(f"expected a region inside of {padded[1]}x{padded[0]} pixels, got {given}")
    return region


def _pasted(to: Tensor, of: Tensor, box: tuple[int, int, int, int], padded: tuple[int, int]) -> Tensor:
    """`to` with the region of `of`; the box is in pixels of the padded image."""
    factor = padded[0] // to.shape[-2]
    x, y, width, height = (side // factor for side in box)
    result = to.clone()
    result[..., y : y + height, x : x + width] = of[..., y : y + height, x : x + width]
    return result
