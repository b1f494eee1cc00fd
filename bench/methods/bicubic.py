"""Bicubic enlargement as MATLAB's imresize does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from bench.errors import BenchError
from bench.methods.method import MethodEntry
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

    def restore(self, lr: torch.Tensor, temperature: float, seeds: Sequence[int]) -> torch.Tensor:
        """(C, h, w) in [0, 1] to (len(seeds), C, scale*h, scale*w), all equal: temperature and seeds change nothing."""
        size = (lr.shape[-2] * self.scale, lr.shape[-1] * self.scale)
        if self.arithmetic == "double":
            one = imresize(lr.double(), size=size)
        else:
            one = imresize((lr * 255).round().to(torch.uint8), size=size).to(lr.dtype) / 255
        return one[None].expand(len(seeds), -1, -1, -1)


def build(
    scale: int,
    weights: Sequence[Path] = (),
    device: torch.device | None = None,
    precision: str = "fp32",
    arithmetic: Literal["uint8", "double"] = "uint8",
) -> Bicubic:
    """It needs no weights, no device and no choice of precision."""
    return Bicubic(scale, arithmetic)


METHOD = MethodEntry(
    name="bicubic",
    title="Bicubic",
    kind="SR",
    scales=(),
    stochastic=False,
    paper="Keys 1981, as MATLAB's imresize",
    build=build,
    module=__name__,
)
