"""Latents of one decode call: checked, drawn and scaled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsFloat, TypeAlias

import torch
from torch import Tensor

from hcflow.errors import InputError

__all__ = ["MAX_TEMPERATURE", "Draws", "Generators", "Temperature"]

MAX_TEMPERATURE = 10.0
"""Largest temperature that is taken; the published results use 0 to 1."""
Temperature: TypeAlias = SupportsFloat | Sequence[SupportsFloat] | Tensor
"""One number, or one for each draw: Python's, NumPy's, or a tensor with 0 or 1 dimension."""


Generators = torch.Generator | Sequence[torch.Generator] | None
"""Where noise comes from: one source for all draws in turn, one for each draw, or PyTorch's own."""


class Draws:
    """The latents z_1 .. z_L of a decode call, times the temperature, with draws folded into the batch.

    Attributes:
        latents: (N * samples, C_l, H_l, W_l) for l = 1 .. L; the draws of one image are neighbours.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, int, int]],
        lr: Tensor,
        temperature: Temperature,
        latents: Sequence[Tensor] | None,
        generator: Generators,
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

    def _temperatures(self, temperature: Temperature, lr: Tensor) -> Tensor | float:
        each: list[float]
        try:
            if isinstance(temperature, Sequence) or getattr(temperature, "ndim", 0) > 0:
                each = [float(tau) for tau in temperature]  # type: ignore[union-attr]
            else:
                each = [float(temperature)] * self.count
        except (TypeError, ValueError):
            raise InputError(f"expected a temperature, a number from 0 to 10, got {temperature!r}") from None
        if len(each) != self.count:
            raise InputError(f"expected one temperature or {self.count}, one per draw, got {len(each)}")
        if not all(0 <= tau <= MAX_TEMPERATURE for tau in each):
            raise InputError(f"expected temperatures >= 0 and <= {MAX_TEMPERATURE:g}, got {temperature}")
        if len(set(each)) == 1:
            return each[0]
        return torch.tensor(each, dtype=lr.dtype, device=lr.device).repeat(len(lr))[:, None, None, None]

    def _draw(self, shapes: Sequence[tuple[int, int, int]], lr: Tensor, generator: Generators) -> list[Tensor]:
        """Standard normal, draw by draw and coarse to fine, whatever the number of draws."""
        each = list(generator) if isinstance(generator, Sequence) else [generator] * self.count
        if len(each) != self.count:
            raise InputError(f"expected one generator or {self.count}, one per draw, got {len(each)}")
        draws = [
            [
                torch.randn(
                    (len(lr), *shape),
                    generator=one,
                    dtype=lr.dtype,
                    device=one.device if one is not None else lr.device,
                )
                for shape in reversed(shapes)
            ]
            for one in each
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
