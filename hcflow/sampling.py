"""Latents of one decode call: checked, drawn and scaled; and the check of images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hcflow.errors import InputError

__all__ = ["Draws", "check_image"]


def check_image(
    x: Tensor, name: str, multiple: int = 1, shape: Sequence[int] | None = None, finite: bool = True
) -> None:
    """Check a batch of images (N, 3, H, W).

    Raises:
        InputError: not float, not 4-D with 3 channels, empty, sides not divisible by `multiple`, not of
            `shape` where one is given, or, where `finite` is asked for, with values that are not.
    """
    got = tuple(x.shape)
    if shape is not None and got != tuple(shape):
        raise InputError(f"expected {name} of shape {tuple(shape)}, got {got}")
    if not x.is_floating_point():
        raise InputError(f"expected {name} as floats in [0, 1], got {x.dtype}; divide 8-bit values by 255")
    if x.ndim != 4 or got[1] != 3 or min(got) < 1:
        raise InputError(f"expected {name} of shape (N, 3, H, W), none of them 0, got {got}")
    if got[2] % multiple or got[3] % multiple:
        raise InputError(
            f"expected {name} with height and width divisible by {multiple}, got {got[2]}x{got[3]}; "
            "crop it, or pad it and crop what is decoded"
        )
    if finite and not torch.compiler.is_compiling() and not bool(torch.isfinite(x).all()):
        raise InputError(f"expected {name} with finite values, got NaN or infinity; check what produced it")


class Draws:
    """The latents z_1 .. z_L of a decode call, times the temperature, with draws folded into the batch.

    Attributes:
        latents: (N * samples, C_l, H_l, W_l) for l = 1 .. L; the draws of one image are neighbours.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, int, int]],
        lr: Tensor,
        temperature: float | Sequence[float],
        latents: Sequence[Tensor] | None,
        generator: torch.Generator | None,
        samples: int | None,
    ) -> None:
        if samples is not None and samples < 1:
            raise InputError(f"expected samples >= 1, got {samples}")
        self.samples = samples
        self.count = samples or 1
        tau = self._temperatures(temperature, lr)
        drawn = self._draw(shapes, lr, generator) if latents is None else self._given(latents, shapes, lr)
        self.latents = [z * tau for z in drawn]

    def unflatten(self, x: Tensor) -> Tensor:
        """Unfold the draws: (N * samples, ...) -> (N, samples, ...)."""
        return x if self.samples is None else x.unflatten(0, (-1, self.samples))

    def _temperatures(self, temperature: float | Sequence[float], lr: Tensor) -> Tensor:
        each = [temperature] * self.count if isinstance(temperature, float | int) else list(temperature)
        if len(each) != self.count:
            raise InputError(f"expected one temperature or {self.count}, one per draw, got {len(each)}")
        if not all(0 <= tau < float("inf") for tau in each):
            raise InputError(f"expected temperatures >= 0, got {temperature}")
        return torch.tensor(each, dtype=lr.dtype, device=lr.device).repeat(len(lr))[:, None, None, None]

    def _draw(
        self, shapes: Sequence[tuple[int, int, int]], lr: Tensor, generator: torch.Generator | None
    ) -> list[Tensor]:
        """Standard normal, draw by draw and coarse to fine, whatever the number of draws."""
        device = generator.device if generator is not None else lr.device
        draws = [
            [
                torch.randn((len(lr), *shape), generator=generator, dtype=lr.dtype, device=device)
                for shape in reversed(shapes)
            ]
            for _ in range(self.count)
        ]
        levels = [torch.stack(level, 1).flatten(0, 1).to(lr.device) for level in zip(*draws, strict=True)]
        return levels[::-1]

    def _given(self, latents: Sequence[Tensor], shapes: Sequence[tuple[int, int, int]], lr: Tensor) -> list[Tensor]:
        draws = () if self.samples is None else (self.samples,)
        expected = [(len(lr), *draws, *shape) for shape in shapes]
        got = [tuple(z.shape) for z in latents]
        if got != expected:
            raise InputError(f"expected latents z_1 .. z_{len(shapes)} of shapes {expected}, got {got}")
        return [z if self.samples is None else z.flatten(0, 1) for z in latents]
