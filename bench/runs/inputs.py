"""From an HR image to what a method is given, as a protocol says."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch

from bench.metrics.views import Protocol, luma_plane
from hcflow.images.io import Pixels, to_rgb
from hcflow.images.matlab_resize import Padding, imresize


def low_resolution(hr: Pixels, scale: int, protocol: Protocol) -> torch.Tensor:
    """The LR image of an HR image whose sides divide by `scale`: MATLAB's imresize, bicubic.

    Returns:
        (3, h, w) float32 in [0, 1], rounded to 8 bits; or, where the protocol works on luma, the (1, h, w) float64
        plane, not rounded.
    """
    padding: Padding = "replicate" if protocol.pad == "replicate" else "symmetric"
    if protocol.work == "y":
        plane = luma_plane(hr, protocol.grey).astype(np.float64)
        return torch.from_numpy(imresize(plane, 1 / scale, padding=padding) / 255.0)[None]
    small = imresize(to_rgb(hr), 1 / scale, padding=padding)
    return torch.from_numpy(small).permute(2, 0, 1).float() / 255


def draw_seed(suite: str, method: str, image: str, temperature: float, draw: int) -> int:
    """The seed of one draw, from what identifies it alone: any order and any number of workers agree."""
    text = json.dumps([suite, method, image, float(temperature), draw])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
