"""What a method is: it restores an LR image, and may make that LR image, too.

Adding a method takes one file, `bench/methods/NAME.py`, that defines METHOD; docs/methods.md shows an example.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from bench.errors import BenchError
from bench.registry import Registry
from hcflow.images.io import Pixels

if TYPE_CHECKING:
    import torch


class Method(Protocol):
    """Anything that makes a large image of a small one.

    Attributes that it may have: `parameters`, the number of its parameters; `how`, what it did with the last image
    where it could not take it as a whole, such as "6 tiles, halo 212 LR pixels".
    """

    def restore(self, lr: torch.Tensor, temperature: float, seeds: Sequence[int]) -> torch.Tensor:
        """Restore one image, as many times as there are seeds.

        Args:
            lr: (C, h, w) in [0, 1]; C is 3, or 1 where the protocol works on the luma plane (then float64).
            temperature: spread of the draws, 0 for the mode; deterministic methods ignore it.
            seeds: one for each draw; the k-th result is, bit for bit, what a call with that seed alone gives.

        Returns:
            (len(seeds), C, scale*h, scale*w) in [0, 1] (values outside are clipped when scored), on any device.
        """
        ...


@runtime_checkable
class Downscaler(Protocol):
    """A method that makes the LR image, too (rescaling): what it restores is its own."""

    def downscale(self, hr: Pixels) -> torch.Tensor:
        """Shrink one image.

        Args:
            hr: uint8 (H, W[, 3]), sides divisible by the scale.

        Returns:
            (3, H/scale, W/scale) in [0, 1], rounded to 8 bits.
        """
        ...


@runtime_checkable
class Encoder(Protocol):
    """A method whose forward pass makes an LR image of HR (flows): what LR-PSNR is about."""

    def encode_lr(self, hr: Pixels, seed: int) -> torch.Tensor | None:
        """The LR image of the forward pass.

        Args:
            hr: uint8 (H, W[, 3]), sides divisible by the scale.
            seed: of the dequantisation noise, where there is any.

        Returns:
            (3, H/scale, W/scale), neither clamped nor rounded; None for a network whose latent holds no LR image.
        """
        ...


@runtime_checkable
class Likelihood(Protocol):
    """A method that says how likely an image is (flows)."""

    def bits_per_pixel(self, hr: Pixels, lr: torch.Tensor, seed: int) -> float:
        """Bits per pixel of HR (uint8, sides divisible by the scale) given LR (3, h, w), dequantised with `seed`."""
        ...


@dataclass(frozen=True)
class MethodEntry:
    """How to build a method, and what its numbers depend on.

    Attributes:
        name: as suites and the command line call it; that of its file.
        title: as papers call it.
        kind: super-resolution ("SR"), "rescaling" (it makes its own LR image), or "either", as its settings say.
        scales: that it knows; empty for any.
        stochastic: whether it draws, so that a row takes the mean of several draws.
        paper: where it was published.
        build: called as build(scale, weights=(files), device=..., precision="fp32", **settings); raises BenchError for
            settings or files that do not fit.
        module: where its code is; the code that it imports is part of a restoration's digest.
        packages: distributions whose release can change an image, beyond torch and numpy.
        tiling: how it tiles images that do not fit into memory, as text; empty for a method that never does.
        note: for a method whose authors published no weights, that they did not.
    """

    name: str
    title: str
    kind: Literal["SR", "rescaling", "either"]
    scales: tuple[int, ...]
    stochastic: bool
    paper: str
    build: Callable[..., Method]
    module: str
    packages: tuple[str, ...] = ()
    tiling: str = ""
    note: str = ""


METHODS: Registry[MethodEntry] = Registry("method", "bench.methods", "METHOD", "hcflow_bench.methods", MethodEntry)


def build_method(
    entry: MethodEntry,
    scale: int,
    settings: Mapping[str, Any],
    weights: Sequence[Path],
    device: torch.device,
    precision: str = "fp32",
) -> Method:
    """The method of a row.

    Raises:
        BenchError: a scale or settings that it does not know, or files that do not fit.
    """
    if entry.scales and scale not in entry.scales:
        known = ", ".join(f"x{known}" for known in entry.scales)
        raise BenchError(f"method {entry.name}: expected a scale of {known}, got x{scale}")
    arguments = {**settings, "weights": tuple(weights), "device": device, "precision": precision}
    try:
        inspect.signature(entry.build).bind(scale, **arguments)
    except TypeError as error:
        raise BenchError(f"method {entry.name}: expected other settings, got {dict(settings)} ({error})") from None
    return entry.build(scale, **arguments)
