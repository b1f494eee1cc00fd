"""The methods: one file each behind one small protocol class, and here one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from bench.errors import BenchError
from bench.methods.bicubic import Bicubic


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


@dataclass(frozen=True)
class MethodEntry:
    """How to build a method, and what its numbers depend on.

    Attributes:
        build: called with scale=..., and the row's settings as keywords.
        stochastic: whether it draws, so that a row takes the mean of several draws.
        code: files or folders, relative to the repository, whose text can change its output.
    """

    build: Callable[..., Method]
    stochastic: bool
    code: tuple[str, ...]


METHODS: dict[str, MethodEntry] = {
    "bicubic": MethodEntry(Bicubic, False, ("bench/methods/bicubic.py", "hcflow/images")),
}


def build_method(name: str, scale: int, settings: Mapping[str, Any]) -> Method:
    """The method of a row, or an error that says what it takes."""
    try:
        return METHODS[name].build(scale=scale, **settings)
    except TypeError as error:
        raise BenchError(f"method {name}: expected other settings, got {dict(settings)} ({error})") from None
