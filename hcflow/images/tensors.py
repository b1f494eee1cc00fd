"""8-bit pixels to the tensors of the model and back."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hcflow.images.io import Pixels, to_rgb
from hcflow.images.matlab_resize import imresize

__all__ = ["alpha_of", "to_pixels", "to_tensor"]


def to_tensor(image: Pixels) -> Tensor:
    """(H, W), (H, W, 3) or (H, W, 4) in 0 .. 255 -> (1, 3, H, W) in [0, 1]; grey is repeated, alpha dropped."""
    rgb = to_rgb(image)[:, :, :3]
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None].float() / 255


def to_pixels(x: Tensor, grey: bool = False, alpha: Pixels | None = None) -> Pixels:
    """(3, H, W) -> clamped to [0, 1], rounded to 8 bit; the channel mean for grey, alpha (H, W) put back."""
    if grey:
        x = x.mean(0, keepdim=True)
    pixels: Pixels = (x.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    if grey:
        return pixels[:, :, 0]
    return pixels if alpha is None else np.dstack((pixels, alpha))


def alpha_of(image: Pixels, scale: float) -> Pixels | None:
    """The alpha channel resized bicubically, or None for an opaque image."""
    if image.shape[2:] != (4,):
        return None
    return np.asarray(imresize(image[:, :, 3], scale), dtype=np.uint8)
