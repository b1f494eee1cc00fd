"""Luma as super-resolution papers measure it: BT.601, studio range."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WEIGHTS = np.array([65.481, 128.553, 24.966]) / 255.0


def luma(rgb: NDArray[np.generic]) -> NDArray[np.float64]:
    """BT.601 luma, Y = (65.481 R + 128.553 G + 24.966 B)/255 + 16, in float64 and not rounded.

    Args:
        rgb: (..., 3) array with values in 0..255 (uint8 or float).

    Returns:
        (...) array, 16 for black and 235 for white.
    """
    if rgb.shape[-1:] != (3,):
        raise ValueError(f"expected an array (..., 3), got shape {rgb.shape}")
    values = rgb.astype(np.float64)
    red, green, blue = values[..., 0], values[..., 1], values[..., 2]
    return _WEIGHTS[0] * red + _WEIGHTS[1] * green + _WEIGHTS[2] * blue + 16.0
