"""Which part of an image a comparison shows: given, or found where the methods differ most."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from hcflow.images.color import luma
from hcflow.images.io import Pixels, to_rgb

_PARTS = 4  # a found region's side is this part of the image's shorter one
_LEAST = 32  # pixels of a found region's side


@dataclass(frozen=True)
class Region:
    """A rectangle of HR pixels.

    Attributes:
        x: of its left edge.
        y: of its top edge.
        width: in pixels.
        height: in pixels.
        found: how it was chosen, in words.
    """

    x: int
    y: int
    width: int
    height: int
    found: str = "given"

    @classmethod
    def parse(cls, text: str) -> Region:
        """`X,Y,W,H` in HR pixels.

        Raises:
            BenchError: it is something else.
        """
        if not re.fullmatch(r"\d{1,6},\d{1,6},\d{1,6},\d{1,6}", text):
            raise BenchError(f"--region: expected X,Y,W,H in HR pixels such as 120,80,64,64, got {text[:60]!r}")
        x, y, width, height = map(int, text.split(","))
        region = cls(x, y, width, height)
        if not region.width or not region.height:
            raise BenchError(f"--region: expected a width and a height from 1, got {text}")
        return region

    def within(self, image: Pixels) -> Region:
        """The same, if it lies in an image.

        Raises:
            BenchError: it does not.
        """
        height, width = image.shape[:2]
        if self.x + self.width > width or self.y + self.height > height:
            raise BenchError(f"--region: expected a part of {width}x{height} pixels, got {self.text}; choose a smaller")
        return self

    @property
    def text(self) -> str:
        """`X,Y,W,H`."""
        return f"{self.x},{self.y},{self.width},{self.height}"

    def of(self, image: Pixels) -> Pixels:
        """That part of an image of HR size."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]

    def of_small(self, image: Pixels, scale: int) -> Pixels:
        """The LR pixels that cover it, each repeated to scale x scale, cut to it."""
        large = image.repeat(scale, axis=0).repeat(scale, axis=1)
        return self.of(large)


def whole(image: Pixels) -> Region:
    """All of an image."""
    return Region(0, 0, image.shape[1], image.shape[0], "the whole image")


def where_they_differ(images: Sequence[Pixels], scale: int, what: str = "") -> Region:
    """The square in which restored images differ most.

    The variance of BT.601 luma over the images is summed over every square on the grid of LR pixels that keeps `scale`
    pixels away from the border; the square with the largest sum is taken, of equal ones the topmost, then the leftmost.
    Its side is a quarter of the image's shorter side, at least 32 pixels, in whole LR pixels.

    Args:
        images: two or more of one size, uint8 (H, W[, 3]).
        scale: HR size over LR size.
        what: the images in words, for how it was found; `the N restored images` where nothing is given.

    Raises:
        ValueError: there are fewer, or their sizes differ.
    """
    if len(images) < 2 or len({image.shape[:2] for image in images}) != 1:
        raise ValueError(f"expected two or more images of one size, got {[image.shape for image in images]}")
    height, width = images[0].shape[:2]
    side = max(_LEAST, min(height, width) // _PARTS) // scale * scale
    if min(height, width) < side + 2 * scale:
        return whole(images[0])
    planes = np.stack([luma(to_rgb(image)) for image in images])
    sums = _window_sums(np.var(planes, axis=0), side)
    grid = sums[scale : height - side - scale + 1 : scale, scale : width - side - scale + 1 : scale]
    row, column = np.unravel_index(int(np.argmax(np.round(grid, 6))), grid.shape)
    what = what or f"the {len(images)} restored images"
    words = f"found: of all squares of this size, the one in which the luma of {what} differs most"
    return Region(scale * (int(column) + 1), scale * (int(row) + 1), side, side, words)


def _window_sums(values: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Sum over the square that begins at each pixel: (H, W) to (H - side + 1, W - side + 1)."""
    total = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    total[1:, 1:] = values.cumsum(axis=0).cumsum(axis=1)
    inside: NDArray[np.float64] = (
        total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    )
    return inside
