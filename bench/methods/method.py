"""The methods: one file each behind one small protocol class, and here one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from bench.errors import BenchError
from bench.methods.bicubic import Bicubic
from bench.methods.hcflow import hcflow
from hcflow.images.io import Pixels


class Method(Protocol):
    """Anything that makes a large image of a small one."""

    def restore(self, lr: torch.Tensor, temperature: float, seed: int) -> torch.Tensor:
        """Restore one image.

        Args:
            lr: (C, h, w) in [0, 1]; C is 3, or 1 where the protocol works on the luma plane (then float64).
            temperature: spread of the draw, 0 for the mode; deterministic methods ignore it.
            seed: of this draw alone.

        Returns:
            (C, scale*h, scale*w) in [0, 1] (values outside are clipped when scored), on any device.
        """
        ...


@runtime_checkable
class Downscaler(Protocol):
    """A method that makes the LR image, too: what it restores is its own."""

    def downscale(self, hr: Pixels) -> torch.Tensor:
        """Shrink one image.

        Args:
            hr: uint8 (H, W[, 3]), sides divisible by the scale.

        Returns:
            (3, H/scale, W/scale) in [0, 1], rounded to 8 bits.
        """
        ...


@dataclass(frozen=True)
class MethodEntry:
    """How to build a method, and what its numbers depend on.

    Attributes:
        build: called with scale=..., the row's settings as keywords and, for rows that need weights, weights=(paths)
            and device=....
        stochastic: whether it draws, so that a row takes the mean of several draws.
        code: files or folders, relative to the repository, whose text can change its output.
    """

    build: Callable[..., Method]
    stochastic: bool
    code: tuple[str, ...]


_MODEL = (
    *("hcflow/checkpoint.py", "hcflow/official.py", "hcflow/files.py"),  # how a file becomes weights
    *("hcflow/config.py", "hcflow/level.py", "hcflow/model.py", "hcflow/sampling.py", "hcflow/tiling.py"),
    *("hcflow/flow", "hcflow/folded", "hcflow/images", "hcflow/nets"),
)

METHODS: dict[str, MethodEntry] = {
    "bicubic": MethodEntry(Bicubic, False, ("bench/methods/bicubic.py", "hcflow/images")),
    "hcflow": MethodEntry(hcflow, True, ("bench/methods/hcflow.py", *_MODEL)),
}


def build_method(
    name: str, scale: int, settings: Mapping[str, Any], weights: Sequence[Path], device: torch.device
) -> Method:
    """The method of a row, or an error that says what it takes."""
    needed = {"weights": tuple(weights), "device": device} if weights else {}
    try:
        return METHODS[name].build(scale=scale, **settings, **needed)
    except TypeError as error:
        raise BenchError(f"method {name}: expected other settings, got {dict(settings)} ({error})") from None
