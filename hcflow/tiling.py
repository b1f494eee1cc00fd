"""Large images in bounded memory: decoding level by level, by tiles of y_l; downscaling by tiles of the HR image.

Both are exact up to rounding, because each tile carries as much of its surrounding as its pixels can depend on. They
see the zero padding of the convolutions only where the image ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hcflow.checks import check_image
from hcflow.errors import InputError
from hcflow.level import Level
from hcflow.memory import free_bytes
from hcflow.model import Decoder, HCFlow
from hcflow.planning import LevelPlan, Plan, plan_decode
from hcflow.sampling import Draws, Generators

__all__ = ["Tile", "decode_draws", "decode_in_tiles", "downscale_in_tiles", "tiles"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Tile:
    """A core, and the larger region that is computed for it, clipped to the image: (top, bottom, left, right)."""

    core: tuple[int, int, int, int]
    region: tuple[int, int, int, int]

    def of(self, x: Tensor, factor: int = 1, divisor: int = 1) -> Tensor:
        """The region of an image (.., H, W) that is `factor` times finer, or `divisor` times coarser, than the plan."""
        top, bottom, left, right = (factor * at // divisor for at in self.region)
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
    generator: Generators = None,
    samples: int = 1,
    plan: Plan | None = None,
    progress: Progress = lambda done, of: None,
) -> Tensor:
    """Decode one image of any size; where it fits into memory, exactly `decoder.decode`.

    Args:
        decoder: of any precision, on the device of `lr`.
        lr: (1, 3, h, w) in [0, 1].
        temperature: from 0 to 10.
        generator: of the latents, one or one for each draw; they are those of `decoder.decode`, whatever the plan.
        samples: draws.
        plan: how; None: `plan_decode` with the memory that the device has left.
        progress: called after each piece of work with the pieces done and their number.

    Returns:
        (samples, 3, h 2^L, w 2^L) float32 on CPU, not clamped. Use `decode_draws` to hold fewer of them at once.

    Raises:
        InputError: what `decode` raises, or not enough memory for the smallest tiles.
    """
    return torch.cat(list(decode_draws(decoder, lr, temperature, generator, samples, plan, progress)))


def decode_draws(
    decoder: Decoder,
    lr: Tensor,
    temperature: float,
    generator: Generators = None,
    samples: int = 1,
    plan: Plan | None = None,
    progress: Progress = lambda done, of: None,
) -> Iterator[Tensor]:
    """`decode_in_tiles` a few draws at a time: yields (n, 3, h 2^L, w 2^L), in the order of the draws."""
    check_image(lr, "lr")
    if len(lr) != 1:
        raise InputError(f"expected one image, got a batch of {len(lr)}")
    if plan is None:
        plan = plan_decode(decoder.config, lr.shape[-2], lr.shape[-1], samples, free_bytes(lr.device))
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, plan.steps)

    for first in range(0, samples, plan.draws):
        last = min(first + plan.draws, samples)
        some = generator[first:last] if isinstance(generator, Sequence) else generator
        if not plan.whole:
            yield _decode_by_levels(decoder, lr, temperature, some, plan, step)
            continue
        hr = decoder.decode(lr, temperature, generator=some, samples=last - first)
        step()
        yield hr[0].float().cpu()


def _decode_by_levels(
    decoder: Decoder,
    lr: Tensor,
    temperature: float,
    generator: Generators,
    plan: Plan,
    step: Callable[[], None],
) -> Tensor:
    """One draw, level by level; what tiles are cut from and pasted into is in the memory of the CPU."""
    device = lr.device
    sees = lr.cpu()
    y = sees if decoder.config.lr_in_latent else sees[:, :0]
    latents = Draws(decoder.latent_shapes(*lr.shape[-2:]), sees, temperature, None, generator, None).latents
    conditions: list[Tensor] = []  # c_{l+1} .. c_L
    with decoder.numeric_mode():
        for each in plan.levels:
            level: Level = decoder.levels[each.level - 1]  # type: ignore[assignment]
            z = latents.pop()
            keep = each.level > 1 and decoder.config.hierarchical
            y, c = _decode_level(level, each, device, (z, y, sees), conditions, keep, step)
            sees = y
            if c is not None:
                conditions.insert(0, c)
    return y


def _decode_level(
    level: Level,
    plan: LevelPlan,
    device: torch.device,
    inputs: tuple[Tensor, Tensor, Tensor],
    conditions: list[Tensor],
    keep: bool,
    step: Callable[[], None],
) -> tuple[Tensor, Tensor | None]:
    """y_{l-1} of level l, and c_l where finer levels see it."""
    result: Tensor | None = None
    kept: Tensor | None = None
    for tile in tiles(plan.height, plan.width, plan.side, plan.halo):
        z, y, sees = (tile.of(x).to(device) for x in inputs)
        coarser = [
            tile.of(c, divisor=plan.height // c.shape[-2]).to(device) for c in conditions
        ]  # regions are cut where a pixel of each of them begins
        c = level.condition(sees, coarser)
        part = level.generate(z, y, c)
        if result is None:
            result = torch.empty(1, part.shape[1], 2 * plan.height, 2 * plan.width)
        tile.paste(result, part.float().cpu(), 2)
        if keep and c is not None:
            if kept is None:
                kept = torch.empty(1, c.shape[1], plan.height, plan.width, dtype=c.dtype)
            tile.paste(kept, c.cpu())
        step()
    assert result is not None
    return result, kept


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
