"""Bicubic enlargement as MATLAB's imresize does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from bench.errors import BenchError
from hcflow.images.matlab_resize import imresize


@dataclass(frozen=True)
class Bicubic:
    """Enlarge by `scale` with the bicubic kernel.

    Attributes:
        scale: how many times larger the output is.
        arithmetic: "uint8": 8 bits in and out, rounded after each pass; "double": never rounded.
    """

    scale: int
    arithmetic: Literal["uint8", "double"] = "uint8"

    def __post_init__(self) -> None:
        """Refuse an arithmetic that does not exist."""
        if self.arithmetic not in ("uint8", "double"):
            raise BenchError(f"bicubic arithmetic: expected uint8 or double, got {self.arithmetic!r}")

    def restore(self, lr: torch.Tensor, temperature: float, seed: int) -> torch.Tensor:
        """(C, h, w) in [0, 1] to (C, scale*h, scale*w); deterministic, so temperature and seed change nothing."""
        size = (lr.shape[-2] * self.scale, lr.shape[-1] * self.scale)
        if self.arithmetic == "double":
            return imresize(lr.double(), size=size)
        return imresize((lr * 255).round().to(torch.uint8), size=size).to(lr.dtype) / 255
