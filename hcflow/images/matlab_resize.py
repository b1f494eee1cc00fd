"""MATLAB's `imresize` (bicubic, antialiased), bit-exact on uint8 and differentiable on torch tensors.

One dimension at a time, y = W x, with W[i, j] the cubic kernel (a = -0.5) at the distance between output sample i and
input sample j, stretched by 1/scale when shrinking, its rows normalised and its out-of-range taps folded back onto
the mirrored (or nearest) pixel. W is banded, so it is applied in blocks of rows: a few small matrix products.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, NamedTuple, TypeVar, get_args, overload

import numpy as np
import torch
from numpy.typing import NDArray

from hcflow.images.io import ImageError

Padding = Literal["symmetric", "replicate"]
Size = tuple[int, int]
Pixel = TypeVar("Pixel", bound=np.generic)

_BLOCK = 8  # output samples per matrix product
_PRODUCT = 1 << 18  # multiplications in a product: above, BLAS starts threads, which cost more than these give
# A tie (exactly .5) is rounded up although its float64 sum may fall short of it by a few 1e-14, so that no result
# depends on the order in which a machine's matrix product adds; real values keep at least 1e-6 from one another.
_TIE = 1e-9


class _Block(NamedTuple):
    first: int
    last: int
    weights: NDArray[np.float64]  # (rows of this block, last - first)


@overload
def imresize(
    image: NDArray[Pixel], scale: float | None = ..., *, size: Size | None = ..., padding: Padding = ...
) -> NDArray[Pixel]: ...


@overload
def imresize(
    image: torch.Tensor, scale: float | None = ..., *, size: Size | None = ..., padding: Padding = ...
) -> torch.Tensor: ...


def imresize(
    image: NDArray[Pixel] | torch.Tensor,
    scale: float | None = None,
    *,
    size: Size | None = None,
    padding: Padding = "symmetric",
) -> NDArray[Pixel] | torch.Tensor:
    """Resize like MATLAB's `imresize(image, scale)` or `imresize(image, size)` with the bicubic kernel.

    uint8 in, uint8 out, rounded (half up) after each of the two passes as MATLAB does; float in, float out, never
    rounded. The dimension that shrinks more goes first; at equal scales the height does.

    Args:
        image: numpy (H, W) or (H, W, C), or torch (..., H, W) on any device (differentiable when floating).
        scale: output size is ceil(size * scale), the product taken in float64 as MATLAB takes it.
        size: (height, width) of the output; instead of `scale`.
        padding: "symmetric" is today's MATLAB, "replicate" the older one (they differ in the outer 2 LR pixels).

    Raises:
        ValueError: neither or both of scale and size, an empty image or output, an unsupported shape, dtype or padding.
    """
    if padding not in get_args(Padding):
        raise ValueError(f"expected a known padding, got {padding!r}; choose from {', '.join(get_args(Padding))}")
    if isinstance(image, torch.Tensor):
        if image.ndim < 2:
            raise ValueError(f"expected a tensor (..., H, W), got shape {tuple(image.shape)}")
        return _resize_tensor(image, *_plan(image.shape[-2:], scale, size), padding)
    if image.ndim not in (2, 3):
        raise ValueError(f"expected an array (H, W) or (H, W, C), got shape {image.shape}")
    return _resize_array(image, *_plan(image.shape[:2], scale, size), padding)


@overload
def mod_crop(image: NDArray[Pixel], scale: int) -> NDArray[Pixel]: ...


@overload
def mod_crop(image: torch.Tensor, scale: int) -> torch.Tensor: ...


def mod_crop(image: NDArray[Pixel] | torch.Tensor, scale: int) -> NDArray[Pixel] | torch.Tensor:
    """Cut the bottom and right of an image so that both sides divide by `scale` (numpy HWC or torch CHW)."""
    if scale < 1:
        raise ValueError(f"expected a scale of at least 1, got {scale}")
    tensor = isinstance(image, torch.Tensor)
    height, width = image.shape[-2:] if tensor else image.shape[:2]
    if min(height, width) < scale:
        raise ImageError(f"expected an image of at least {scale}x{scale} pixels, got {width}x{height}; leave it out")
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
        size = (math.ceil(height * scale), math.ceil(width * scale))  # of the float64 products, as MATLAB: 69/2.3 is 31
        scales = (float(scale), float(scale))
    else:
        assert size is not None
        scales = (size[0] / max(height, 1), size[1] / max(width, 1))
    if min(height, width, *size) < 1:
        raise ValueError(f"expected at least one pixel in and out, got {width}x{height} to {size[1]}x{size[0]}")
    return size, scales


def _resize_array(image: NDArray[Pixel], size: Size, scales: tuple[float, float], padding: Padding) -> NDArray[Pixel]:
    """(H, W) or (H, W, C), computed in float64 as the matrix (H, W C): W x for the height, x (W kron I_C)^T else."""
    if image.dtype != np.uint8 and image.dtype.kind != "f":
        raise ValueError(f"expected uint8 or floating pixels, got {image.dtype}")
    channels = 1 if image.ndim == 2 else image.shape[2]
    values = np.ascontiguousarray(image, np.float64).reshape(len(image), -1)
    for axis in _order(scales):
        if axis == -2:
            resized = np.empty((size[0], values.shape[1]))
            _multiply(_blocks(image.shape[0], size[0], scales[0], padding, 1), values, resized)
        else:
            resized = np.empty((values.shape[0], size[1] * channels))
            _multiply(_blocks(image.shape[1], size[1], scales[1], padding, channels), values.T, resized.T)
        if image.dtype == np.uint8:
            resized += 0.5 + _TIE
            np.clip(np.floor(resized, out=resized), 0, 255, out=resized)
        values = resized
    return values.reshape(*size, *image.shape[2:]).astype(image.dtype)


def _multiply(blocks: tuple[_Block, ...], values: NDArray[np.float64], result: NDArray[np.float64]) -> None:
    """result = W values, in pieces."""
    row = 0
    for first, last, weights in blocks:
        rows = slice(row, row := row + len(weights))
        columns = max(1, _PRODUCT // weights.size)
        for column in range(0, values.shape[1], columns):
            part = slice(column, column + columns)
            np.matmul(weights, values[first:last, part], out=result[rows, part])


def _resize_tensor(planes: torch.Tensor, size: Size, scales: tuple[float, float], padding: Padding) -> torch.Tensor:
    """(..., H, W) tensor, computed in its own precision (uint8 in float64, half precisions in float32)."""
    if planes.dtype != torch.uint8 and not planes.is_floating_point():
        raise ValueError(f"expected uint8 or floating pixels, got {planes.dtype}")
    work = {torch.uint8: torch.float64, torch.float64: torch.float64}.get(planes.dtype, torch.float32)

    def rounded(values: torch.Tensor) -> torch.Tensor:
        return (values + (0.5 + _TIE)).floor().clamp(0, 255) if planes.dtype == torch.uint8 else values

    values = planes.to(work)
    with torch.autocast(values.device.type, enabled=False):  # it would multiply in half precision
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
    with torch.inference_mode(False):  # made in inference mode, they could not serve a training step later
        return [
            (first, last, torch.tensor(weights, dtype=dtype, device=device))
            for first, last, weights in _blocks(length, outputs, scale, padding, 1)
        ]


@lru_cache(maxsize=256)
def _blocks(length: int, outputs: int, scale: float, padding: Padding, channels: int) -> tuple[_Block, ...]:
    """The banded matrix W kron I_channels as dense blocks for up to `_BLOCK` outputs each."""
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
    identity = np.eye(channels)
    for row in range(0, outputs, _BLOCK):
        rows = slice(row, min(row + _BLOCK, outputs))
        used = folded[rows][weights[rows] != 0]
        low, high = int(used.min()), int(used.max()) + 1
        dense = np.zeros((rows.stop - rows.start, high - low))
        inside = weights[rows] != 0
        lines = np.broadcast_to(np.arange(dense.shape[0])[:, None], inside.shape)
        np.add.at(dense, (lines[inside], folded[rows][inside] - low), weights[rows][inside])
        matrix = np.kron(dense, identity).astype(np.float64, copy=False)
        matrix.flags.writeable = False
        blocks.append(_Block(low * channels, high * channels, matrix))
    return tuple(blocks)
