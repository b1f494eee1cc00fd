"""Structural similarity."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.metrics.metric import Evidence, Metric, NotApplicable, Score, Scorer, Variant
from bench.metrics.views import Protocol, View, fits, is_eight_bit

if TYPE_CHECKING:
    import torch

WINDOW = 11
_SIGMA = 1.5
_RADIUS = WINDOW // 2
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_PIXELS = 1 << 17  # of the result, computed at a time


def ssim(sr: View, hr: View) -> float:
    """SSIM (Wang et al. 2004): Gaussian 11x11 window, sigma 1.5, K = 0.01 and 0.03, L = 255, valid region only.

    Population covariance; RGB is the mean of the three channels. Computed with OpenCV's separable filters, on as many
    threads as OpenCV is set to; equal to scikit-image's `structural_similarity` to 1e-12.

    Args:
        sr: (H, W) or (H, W, 3), float64 on the 0..255 scale.
        hr: the same shape and scale.

    Raises:
        ValueError: the shapes differ.
        BenchError: the window does not fit into the image.
    """
    if sr.shape != hr.shape:
        raise ValueError(f"expected two views of one shape, got {sr.shape} and {hr.shape}")
    if min(sr.shape[:2]) < WINDOW:
        raise BenchError(
            f"expected at least {WINDOW}x{WINDOW} pixels after the crop (SSIM's window), "
            f"got {sr.shape[1]}x{sr.shape[0]}; leave the image out or use a larger one"
        )
    planes = [(sr, hr)] if sr.ndim == 2 else [(sr[..., channel], hr[..., channel]) for channel in range(sr.shape[2])]
    height, width = sr.shape[:2]
    rows = min(max(_PIXELS // width, 16), height - WINDOW + 1)
    buffers = np.empty((6, rows + WINDOW - 1, width))
    return sum(_plane(*plane, rows, buffers) for plane in planes) / len(planes)


def _plane(sr: View, hr: View, rows: int, buffers: NDArray[np.float64]) -> float:
    """SSIM of one channel, `rows` of the result at a time: much faster than all channels side by side."""
    total, count = 0.0, 0
    for row in range(0, len(sr) - WINDOW + 1, rows):
        part = slice(row, row + rows + WINDOW - 1)
        x, y = sr[part], hr[part]
        values = _map(x, y, buffers[:, : len(x)])
        total, count = total + float(values.sum()), count + values.size
    return total / count


def _map(x: View, y: View, buffers: NDArray[np.float64]) -> View:
    """SSIM at every place where the window lies inside.

    (2 mx my + C1)(2 cov + C2) / ((mx^2 + my^2 + C1)(vx + vy + C2)), times 4 above and below, by way of the sum and the
    difference of the two images: A and B are the squares of their means, P and Q their variances, and it becomes
    (A - B + 2 C1)(P - Q + 2 C2) / ((A + B + 2 C1)(P + Q + 2 C2)).

    Args:
        x: (H, W).
        y: the same.
        buffers: six of the same shape to compute in: fresh memory costs more than the arithmetic.
    """
    whole = list(buffers)
    np.add(x, y, out=whole[0])
    np.subtract(x, y, out=whole[1])
    _blur(whole[0], whole[2])
    _blur(whole[1], whole[3])
    np.square(whole[0], out=whole[0])
    np.square(whole[1], out=whole[1])
    _blur(whole[0], whole[4])
    _blur(whole[1], whole[5])
    above, other, a, b, p, q = (image[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS] for image in whole)
    np.square(a, out=a)
    np.square(b, out=b)
    p -= a
    q -= b
    a += 2 * _C1
    p += 2 * _C2
    np.subtract(a, b, out=above)
    np.subtract(p, q, out=other)
    above *= other
    a += b
    p += q
    a *= p
    above /= a
    return above


def _blur(image: View, result: View) -> None:
    """The Gaussian mean around each pixel."""
    import cv2

    taps = _taps()
    cv2.sepFilter2D(image, cv2.CV_64F, taps, taps, dst=result, borderType=cv2.BORDER_REPLICATE)


@lru_cache(maxsize=1)
def _taps() -> View:
    taps = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
    return np.asarray(taps / taps.sum(), np.float64)


def _open(variant: Variant, files: Sequence[Path], device: torch.device) -> Scorer:
    assert isinstance(variant, Protocol)

    def score(evidence: Evidence) -> Score:
        if not fits(evidence.reference, variant, WINDOW):
            return NotApplicable(f"SSIM needs {WINDOW}x{WINDOW} pixels after the crop")
        return [ssim(sr, hr) for sr, hr in evidence.views(variant)]

    return score


METRIC = Metric(
    name="ssim",
    title="SSIM",
    direction="higher",
    decimals=4,
    parse=Protocol.parse,
    known=("y,crop4,u8", "rgb,crop4,u8"),
    open=_open,
    eight_bit=is_eight_bit,
    module=__name__,
    packages=("numpy", "opencv-python-headless"),
)
