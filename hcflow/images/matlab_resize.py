"""MATLAB's `imresize` (bicubic, antialiased), bit-exact on uint8 and differentiable on torch tensors.

One dimension at a time, y = W x, with W[i, j] the cubic kernel (a = -0.5) at the distance between output sample i and
input sample j, stretched by 1/scale when shrinking, its rows normalised and its out-of-range taps folded back onto
the mirrored (or nearest) pixel. W is banded, so it is applied in blocks of rows: a few small matrix products.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

Padding = Literal["symmetric", "replicate"]
Size = tuple[int, int]
Array = TypeVar("Array", NDArray[np.generic], torch.Tensor)

_BLOCK = 32  # output samples per matrix product
# A tie (exactly .5) is rounded up although its float64 sum may fall short of it by a few 1e-14, so that no result
# depends on the order in which a machine's matrix product adds; real values keep at least 1e-6 from one another.
_TIE = 1e-9


class _Block(NamedTuple):
    first: int
    last: int
    weights: NDArray[np.float64]  # (outputs of this block, last - first)


def imresize(
    image: Array, scale: float | None = None, *, size: Size | None = None, padding: Padding = "symmetric"
) -> Array:
    """Resize like MATLAB's `imresize(image, scale)` or `imresize(image, size)` with the bicubic kernel.

    uint8 in, uint8 out, rounded (half up) after each of the two passes as MATLAB does; float in, float out, never
    rounded. The dimension that shrinks more goes first; at equal scales the height does.

    Args:
        image: numpy (H, W) or (H, W, C), or torch (..., H, W) on any device (differentiable when floating).
        scale: output size is ceil(size * scale).
        size: (height, width) of the output; instead of `scale`.
        padding: "symmetric" is today's MATLAB, "replicate" the older one (they differ in the outer 2 LR pixels).

    Raises:
        ValueError: neither or both of scale and size, an empty image or output, an unsupported dtype.
    """
    if isinstance(image, torch.Tensor):
        return _resize_tensor(image, *_plan(image.shape[-2:], scale, size), padding)
    if image.ndim not in (2, 3):
        raise ValueError(f"expected an array (H, W) or (H, W, C), got shape {image.shape}")
    planes = image if image.ndim == 2 else np.moveaxis(image, 2, 0)
    resized = _resize_array(planes, *_plan(image.shape[:2], scale, size), padding)
    return resized if image.ndim == 2 else np.ascontiguousarray(np.moveaxis(resized, 0, 2))


def mod_crop(image: Array, scale: int) -> Array:
    """Cut the bottom and right of an image so that both sides divide by `scale` (numpy HWC or torch CHW)."""
    tensor = isinstance(image, torch.Tensor)
    height, width = image.shape[-2:] if tensor else image.shape[:2]
    if min(height, width) < scale:
        raise ValueError(f"expected an image of at least {scale}x{scale} pixels, got {width}x{height}")
    rows, columns = slice(height - height % scale), slice(width - width % scale)
    return image[..., rows, columns] if tensor else image[rows, columns]


def _plan(shape: tuple[int, ...], scale: float | None, size: Size | None) -> tuple[Size, tuple[float, float]]:
    """Output size and scale of each dimension."""
    if (scale is None) == (size is None):
        raise ValueError("expected either scale or size, got " + ("neither" if scale is None else "both"))
    height, width = shape
    if scale is not None:
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError(f"expected a positive scale, got {scale}")
        # 1/3 of 300 is 100, though float64 says 100.00000000000001
        size = (math.ceil(height * scale - 1e-9), math.ceil(width * scale - 1e-9))
        scales = (float(scale), float(scale))
    else:
        assert size is not None
        scales = (size[0] / max(height, 1), size[1] / max(width, 1))
    if min(height, width, *size) < 1:
        raise ValueError(f"expected at least one pixel in and out, got {width}x{height} to {size[1]}x{size[0]}")
    return size, scales


def _resize_array(
    planes: NDArray[np.generic], size: Size, scales: tuple[float, float], padding: Padding
) -> NDArray[np.generic]:
    """(..., H, W) numpy planes, computed in float64."""
    if planes.dtype != np.uint8 and planes.dtype.kind != "f":
        raise ValueError(f"expected uint8 or floating pixels, got {planes.dtype}")

    def rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(np.floor(values + (0.5 + _TIE)), 0, 255) if planes.dtype == np.uint8 else values

    values = planes.astype(np.float64)
    for axis in _order(scales):
        blocks = _blocks(values.shape[axis], size[axis], scales[axis], padding)
        if axis == -2:
            parts = [block.weights @ values[..., block.first : block.last, :] for block in blocks]
        else:
            parts = [values[..., block.first : block.last] @ block.weights.T for block in blocks]
        values = rounded(np.concatenate(parts, axis=axis))
    return values.astype(planes.dtype)


def _resize_tensor(planes: torch.Tensor, size: Size, scales: tuple[float, float], padding: Padding) -> torch.Tensor:
    """(..., H, W) tensor, computed in its own precision (uint8 in float64, half precisions in float32)."""
    if planes.dtype != torch.uint8 and not planes.is_floating_point():
        raise ValueError(f"expected uint8 or floating pixels, got {planes.dtype}")
    work = {torch.uint8: torch.float64, torch.float64: torch.float64}.get(planes.dtype, torch.float32)

    def rounded(values: torch.Tensor) -> torch.Tensor:
        return (values + (0.5 + _TIE)).floor().clamp(0, 255) if planes.dtype == torch.uint8 else values

    values = planes.to(work)
    for axis in _order(scales):
        parts = []
        matrices = _matrices(values.shape[axis], size[axis], scales[axis], padding, work, values.device)
        for first, last, matrix in matrices:
            part = values.narrow(axis, first, last - first)
            parts.append(matrix @ part if axis == -2 else part @ matrix.T)
        values = rounded(torch.cat(parts, dim=axis))
    return values.to(planes.dtype)


def _order(scales: tuple[float, float]) -> tuple[int, int]:
    return (-2, -1) if scales[0] <= scales[1] else (-1, -2)


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel with a = -0.5."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


@lru_cache(maxsize=64)
def _matrices(
    length: int, outputs: int, scale: float, padding: Padding, dtype: torch.dtype, device: torch.device
) -> list[tuple[int, int, torch.Tensor]]:
    """`_blocks` on a device, so that training does not copy them there at every step."""
    return [
        (first, last, torch.tensor(weights, dtype=dtype, device=device))
        for first, last, weights in _blocks(length, outputs, scale, padding)
    ]


@lru_cache(maxsize=256)
def _blocks(length: int, outputs: int, scale: float, padding: Padding) -> tuple[_Block, ...]:
    """The banded matrix W (outputs x length) as dense blocks of up to `_BLOCK` rows."""
    stretch = min(scale, 1.0)
    taps = math.ceil(4.0 / stretch) + 2
    centre = (np.arange(outputs) + 0.5) / scale - 0.5
    first = np.floor(centre - 2.0 / stretch).astype(np.int64)
    index = first[:, None] + np.arange(taps)[None, :]
    weights = stretch * _cubic(stretch * (centre[:, None] - index))
    weights /= weights.sum(axis=1, keepdims=True)
    if padding == "symmetric":
        folded = index % (2 * length)
        folded = np.where(folded < length, folded, 2 * length - 1 - folded)
    else:
        folded = np.clip(index, 0, length - 1)
    blocks = []
    for row in range(0, outputs, _BLOCK):
        rows = slice(row, min(row + _BLOCK, outputs))
        used = folded[rows][weights[rows] != 0]
        low, high = int(used.min()), int(used.max()) + 1
        dense = np.zeros((rows.stop - rows.start, high - low))
        inside = weights[rows] != 0
        lines = np.broadcast_to(np.arange(dense.shape[0])[:, None], inside.shape)
        np.add.at(dense, (lines[inside], folded[rows][inside] - low), weights[rows][inside])
        dense.flags.writeable = False
        blocks.append(_Block(low, high, dense))
    return tuple(blocks)
