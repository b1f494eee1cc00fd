"""Structural similarity."""

from __future__ import annotations

from skimage.metrics import structural_similarity

from bench.errors import BenchError
from bench.metrics.views import View

_WINDOW = 11


def ssim(sr: View, hr: View) -> float:
    """SSIM (Wang et al. 2004): Gaussian 11x11 window, sigma 1.5, K = 0.01 and 0.03, L = 255, valid region only.

    Population covariance; RGB is the mean of the three channels.

    Args:
        sr: (H, W) or (H, W, 3), float64 on the 0..255 scale.
        hr: the same shape and scale.

    Raises:
        ValueError: the shapes differ.
        BenchError: the window does not fit into the image.
    """
    if sr.shape != hr.shape:
        raise ValueError(f"expected two views of one shape, got {sr.shape} and {hr.shape}")
    if min(sr.shape[:2]) < _WINDOW:
        raise BenchError(
            f"expected at least {_WINDOW}x{_WINDOW} pixels after the crop (SSIM's window), "
            f"got {sr.shape[1]}x{sr.shape[0]}; leave the image out or use a larger one"
        )
    value = structural_similarity(
        sr,
        hr,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255.0,
        channel_axis=2 if sr.ndim == 3 else None,
    )
    return float(value)
