"""Batches of aligned random crops; seed and step alone say which, so a run can stop and resume anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hcflow.data.cache import ImageCache
from hcflow.errors import InputError
from hcflow.images.io import Pixels
from hcflow.train.noise import seed_of

__all__ = ["Batch", "Patches", "prefetched"]


@dataclass(frozen=True)
class Batch:
    """A step's share of images on this process.

    Attributes:
        hr: uint8 (N, 3, P, P).
        lr: uint8 (N, 3, P/scale, P/scale).
        seeds: of each image's noise.
    """

    hr: Tensor
    lr: Tensor
    seeds: tuple[int, ...]

    def pinned(self) -> Batch:
        """In memory that a GPU copies from without waiting."""
        return Batch(self.hr.pin_memory(), self.lr.pin_memory(), self.seeds)

    def split(self, parts: int) -> list[Batch]:
        """Cut into equal parts, for gradient accumulation."""
        size = len(self.hr) // parts
        cuts = [slice(i * size, (i + 1) * size) for i in range(parts)]
        return [Batch(self.hr[cut], self.lr[cut], self.seeds[cut]) for cut in cuts]


class Patches:
    """The batches of a stage, by step.

    Images come in a new random order in every pass; crops are uniform on the LR grid. Image i of step t is the same
    whatever number of processes shares the batch: process r of R has images r, r + R, ...
    """

    def __init__(
        self,
        cache: ImageCache,
        patch: int,
        batch: int,
        seed: int,
        augment: Literal["flip", "flip and rotate"] = "flip",
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if batch % world:
            raise InputError(f"expected a batch that {world} processes can share, got {batch}")
        self.usable = [i for i, size in enumerate(cache.sizes) if min(size) >= patch]
        if not self.usable:
            height, width = max(cache.sizes, key=min)
            multiple = 32 if min(height, width) >= 32 else cache.scale  # what every kind of stage can use
            fitting = min(height, width) // multiple * multiple
            remedy = f", or patches of {fitting} at most (--set patch={fitting})" if fitting else ""
            raise InputError(
                f"expected images of at least {patch}x{patch}, got none among {len(cache.sizes)} (the largest is "
                f"{width}x{height}); use larger images{remedy}"
            )
        self.too_small = len(cache.sizes) - len(self.usable)
        self._cache, self._patch, self._batch, self._seed = cache, patch, batch, seed
        self._rotate = augment == "flip and rotate"
        self._rank, self._world = rank, world

    def at(self, step: int) -> Batch:
        """The batch of a step."""
        indices = range(self._rank, self._batch, self._world)
        pairs = [self._pair(step, index) for index in indices]
        hr, lr = (torch.from_numpy(np.stack(side)).permute(0, 3, 1, 2) for side in zip(*pairs, strict=True))
        return Batch(hr, lr, tuple(seed_of("noise", self._seed, step, index) for index in indices))

    def _pair(self, step: int, index: int) -> tuple[Pixels, Pixels]:
        passes, place = divmod(step * self._batch + index, len(self.usable))
        image = self.usable[_order(self._seed, passes, len(self.usable))[place]]
        rng = np.random.default_rng(seed_of("crop", self._seed, step, index))
        hr, lr = self._cache.hr(image), self._cache.lr(image)
        scale, side = self._cache.scale, self._patch // self._cache.scale
        top, left = (int(rng.integers(length - side + 1)) for length in lr.shape[:2])
        turns = [bool(rng.integers(2)) for _ in range(3)]
        small = _turned(lr[top : top + side, left : left + side], turns, self._rotate)
        large = hr[scale * top : scale * (top + side), scale * left : scale * (left + side)]
        return _turned(large, turns, self._rotate), small


def prefetched(patches: Patches, start: int, stop: int, pin: bool, ahead: int = 4) -> Iterator[Batch]:
    """The batches of steps start to stop - 1, made a few ahead by a thread."""

    def make(step: int) -> Batch:
        batch = patches.at(step)
        return batch.pinned() if pin else batch

    with ThreadPoolExecutor(2 if pin else 1) as pool:
        waiting: list[Future[Batch]] = []
        try:
            for step in range(start, stop):
                while len(waiting) < ahead and step + len(waiting) < stop:
                    waiting.append(pool.submit(make, step + len(waiting)))
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def _turned(image: Pixels, turns: list[bool], rotate: bool) -> Pixels:
    """One of two or, with rotation, one of eight orientations; HR and LR crops stay aligned."""
    if turns[0]:
        image = image[:, ::-1]
    if rotate and turns[1]:
        image = image[::-1]
    if rotate and turns[2]:
        image = image.swapaxes(0, 1)
    return image


@lru_cache(maxsize=4)
def _order(seed: int, passes: int, count: int) -> NDArray[np.intp]:
    return np.random.default_rng(seed_of("order", seed, passes)).permutation(count)
