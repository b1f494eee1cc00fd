"""The random numbers of a training step: each image has its own stream, whatever process it lands on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Noise", "seed_of"]


def seed_of(*parts: object) -> int:
    """63 bits from what identifies a thing, so that no order of doing things matters."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1


class Noise:
    """Random tensors for a batch, image by image from the seeds of its images."""

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self._device = device

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """U(0, 1), (N, *shape) for N images."""
        return torch.stack([torch.rand(*shape, generator=g, device=self._device) for g in self._generators])

    def normal(self, shape: Sequence[int]) -> Tensor:
        """N(0, 1), (N, *shape) for N images."""
        return torch.stack([torch.randn(*shape, generator=g, device=self._device) for g in self._generators])
