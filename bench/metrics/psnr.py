"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math

import numpy as np

from bench.metrics.views import View


def psnr(sr: View, hr: View) -> float:
    """PSNR = 10 log10(255^2 / mean((sr - hr)^2)), in dB.

    Args:
        sr: (H, W) or (H, W, 3), float64 on the 0..255 scale.
        hr: the same shape and scale.

    Returns:
        dB; infinity for identical images.

    Raises:
        ValueError: the shapes differ or a view is empty.
    """
    if sr.shape != hr.shape or sr.size == 0:
        raise ValueError(f"expected two non-empty views of one shape, got {sr.shape} and {hr.shape}")
    mse = float(np.mean((sr - hr) ** 2))
    return math.inf if mse == 0 else 10.0 * math.log10(255.0**2 / mse)
