"""Squeezing: 2x2 pixels become channels, as they are or as Haar bands."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from hcflow.flow.transform import Transform
from hcflow.layout import in_order_of

__all__ = ["HAAR_BANDS", "HaarSqueeze", "PixelSqueeze"]

HAAR_BANDS = ((1, 1, 1, 1), (1, -1, 1, -1), (1, 1, -1, -1), (1, -1, -1, 1))
"""Signs of the pixels a, b, c, d of [[a, b], [c, d]] in each band."""


class PixelSqueeze(Transform):
    """(N, C, H, W) -> (N, 4C, H/2, W/2), channel-major, then dy, dx; log-det = 0."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Squeeze x; H and W are even."""
        return F.pixel_unshuffle(x, 2), x.new_zeros(len(x))

    def inverse(self, y: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Spread 4 channels over 2x2 pixels."""
        return F.pixel_shuffle(y, 2), y.new_zeros(len(y))


class HaarSqueeze(Transform):
    """(N, C, H, W) -> (N, 4C, H/2, W/2), band-major: the mean and three differences of every 2x2 block.

    One block's matrix is B/4 with B = HAAR_BANDS, B B^T = 4 I, so its determinant is 4^-2 in magnitude and
    the inverse is B^T: log-det = -2 log(4) C H/2 W/2.
    """

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Squeeze x; H and W are even."""
        n, c, h, w = x.shape
        blocks = F.pixel_unshuffle(x, 2).view(n, c, 4, h // 2, w // 2)  # (n, c, pixel, h/2, w/2)
        bands = torch.stack(_butterfly(*blocks.unbind(2)), 1) / 4  # (n, band, c, h/2, w/2)
        return in_order_of(x, bands.flatten(1, 2)), self._log_det(x)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Rebuild the pixels from the bands."""
        n, c, h, w = y.shape
        bands = y.reshape(n, 4, c // 4, h, w)  # (n, band, c/4, h, w)
        blocks = torch.stack(_butterfly(*bands.unbind(1)), 2)  # (n, c/4, pixel, h, w)
        x = F.pixel_shuffle(in_order_of(y, blocks.flatten(1, 2)), 2)
        return x, -self._log_det(x)

    @staticmethod
    def _log_det(x: Tensor) -> Tensor:
        return x.new_full((len(x),), -2 * math.log(4) * (x[0].numel() // 4))


def _butterfly(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """B applied to (a, b, c, d); B is symmetric, so B^T is the same."""
    left, right, left_difference, right_difference = a + b, c + d, a - b, c - d
    return left + right, left_difference + right_difference, left - right, left_difference - right_difference
