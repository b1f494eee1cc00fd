"""CAR, content adaptive resampling (Sun and Chen, TIP 2020): a network that gives every LR pixel its own kernel."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["KernelNetwork", "resample"]


class KernelNetwork(nn.Module):
    """HR image -> for every LR pixel the weights of k x k taps, and their horizontal and vertical offsets.

    k = 3 scale + 1. All convolutions pad by reflection. Names are those of the released files (`kgn.pth`).
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.size = 3 * scale + 1
        self.sub_mean = nn.Conv2d(3, 3, 1)
        self.ds_1 = nn.Sequential(*_conv(3, 64, 5), nn.LeakyReLU(0.2))
        self.ds_2 = _Halving(64, 128)
        self.ds_4 = _Halving(128, 128)
        self.res_4 = nn.Sequential(*(_Residual(128) for _ in range(5)))
        self.ds_8 = _Halving(128, 256)
        self.kernels_trunk = _trunk(8 // scale)
        self.kernels_weight = self._head()
        self.offsets_trunk = _trunk(8 // scale)
        self.offsets_h_generation = self._head()
        self.offsets_v_generation = self._head()

    def forward(self, hr: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map (N, 3, H, W) in [0, 1], sides divisible by 8, to three of (N, k k, H/scale, W/scale).

        The weights are positive and sum to 1; the offsets lie in -1 .. 1, in units of `scale` HR pixels.
        """
        x = self.ds_4(self.ds_2(self.ds_1(self.sub_mean(hr))))
        x = self.ds_8(x + self.res_4(x))
        weights = self.kernels_weight(self.kernels_trunk(x)).clamp(1e-6, 1)
        weights = weights / weights.sum(1, keepdim=True).clamp_min(1e-6)
        offsets = self.offsets_trunk(x)
        return weights, self.offsets_h_generation(offsets).tanh(), self.offsets_v_generation(offsets).tanh()

    def downscale(self, hr: Tensor) -> Tensor:
        """The LR image of (N, 3, H, W), neither clamped nor rounded."""
        weights, offsets_h, offsets_v = self(hr)
        return resample(hr, weights, offsets_h, offsets_v, self.scale)

    def _head(self) -> nn.Sequential:
        return nn.Sequential(*_conv(256, 256), nn.ReLU(), *_conv(256, self.size**2))


class _Halving(nn.Module):
    """2x2 pixels to channels, then a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.downsample = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H/2, W/2)."""
        return self.downsample(x)


class _Enlarging(nn.Module):
    """A 1x1 convolution, then channels to r x r pixels."""

    def __init__(self, features: int, r: int) -> None:
        super().__init__()
        self.upsample = nn.Sequential(nn.Conv2d(features, features * r * r, 1), nn.PixelShuffle(r))

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to (N, features, r h, r w)."""
        return self.upsample(x)


class _Residual(nn.Module):
    """x + conv(lrelu(conv(x)))."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.transform = nn.Sequential(*_conv(features, features), nn.LeakyReLU(0.2), *_conv(features, features))

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        return x + self.transform(x)


def _conv(inputs: int, outputs: int, kernel: int = 3) -> tuple[nn.Module, nn.Module]:
    return nn.ReflectionPad2d(kernel // 2), nn.Conv2d(inputs, outputs, kernel)


def _trunk(r: int) -> nn.Sequential:
    convolutions = [layer for _ in range(3) for layer in (*_conv(256, 256), nn.ReLU())]
    return nn.Sequential(*convolutions, _Enlarging(256, r), *_conv(256, 256), nn.ReLU())


def resample(image: Tensor, weights: Tensor, offsets_h: Tensor, offsets_v: Tensor, scale: int) -> Tensor:
    """Sum over taps t = k u + v of weight_t times the image, bilinearly at its place.

    The image is padded by k // 2 reflected pixels; in padded coordinates the place of tap (u, v) for output pixel
    (i, j) is row (i + 1/2) scale - 1/2 + u + scale offset_v, column (j + 1/2) scale - 1/2 + v + scale offset_h. Places
    outside are those on the border; all colours use the same taps.

    Args:
        image: (N, C, H, W).
        weights: (N, k k, H/scale, W/scale), as the two of offsets.
        offsets_h: in units of `scale` pixels.
        offsets_v: likewise.
        scale: of the reduction.

    Returns:
        (N, C, H/scale, W/scale).
    """
    k = math.isqrt(weights.shape[1])
    padded = F.pad(image, [k // 2] * 4, mode="reflect")
    height, width = padded.shape[-2:]
    flat = padded.flatten(2)
    rows, columns = (
        (torch.arange(side, device=image.device, dtype=image.dtype) + 0.5) * scale - 0.5 for side in weights.shape[-2:]
    )

    def pixels(y: Tensor, x: Tensor) -> Tensor:
        index = (y * width + x).flatten(1)[:, None].expand(-1, flat.shape[1], -1)
        return flat.gather(2, index).unflatten(2, weights.shape[-2:])

    result = image.new_zeros(*image.shape[:2], *weights.shape[-2:])
    for t in range(k * k):
        row = rows[:, None] + (t // k) + scale * offsets_v[:, t]
        column = columns + (t % k) + scale * offsets_h[:, t]
        (top, bottom, down), (left, right, along) = _between(row, height), _between(column, width)
        upper = torch.lerp(pixels(top, left), pixels(top, right), along)
        lower = torch.lerp(pixels(bottom, left), pixels(bottom, right), along)
        result += weights[:, t, None] * torch.lerp(upper, lower, down)
    return result


def _between(position: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The two neighbours of a position, on the border where it lies outside, and the fraction of the unclamped one."""
    floor = position.floor()
    first = floor.long().clamp(0, size - 1)
    return first, (first + 1).clamp(max=size - 1), (position - floor)[:, None]
