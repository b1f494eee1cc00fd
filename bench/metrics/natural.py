"""Natural scene statistics, which NIQE and BRISQUE share: normalised luma, and the generalised Gaussians fitted to it.

Written from the papers (Mittal, Moorthy, Bovik 2012; Mittal, Soundararajan, Bovik 2013; Lasmar et al. 2009).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.metrics.metric import Evidence, NotApplicable, Score
from hcflow.images.io import Pixels, to_rgb

if TYPE_CHECKING:
    import torch

Plane = NDArray[np.float64]

SMALLEST = 96  # pixels: the side of a block of NIQE
TILED = "an image that holds fewer than two whole blocks of 96x96 pixels (a face of 160x160) is first mirrored to 2x2"
FLAT = "flat: its statistics are not defined"


def each_draw(evidence: Evidence, function: Callable[[Pixels], float]) -> Score:
    """A no-reference score of each draw, on its 8-bit RGB image as a PNG file holds it, without a crop.

    Args:
        evidence: the draws.
        function: uint8 (H, W, 3), at least 96x96 and mirrored where it is small -> score, NaN for a flat image.

    Returns:
        One value per draw, or why there is none.
    """
    height, width = evidence.draws[0].shape[:2]
    if min(height, width) < SMALLEST:
        return NotApplicable(f"{width}x{height} pixels, and at least {SMALLEST}x{SMALLEST} are needed")
    values = [function(mirrored(to_rgb(image))) for image in evidence.eight_bits()]
    return values if all(np.isfinite(values)) else NotApplicable(FLAT)


def mirrored(rgb: Pixels) -> Pixels:
    """[I fliplr(I); flipud(I) both] where an image (H, W, 3) holds fewer than two blocks of 96x96; else as it is.

    The covariance of one block does not exist. The paper's authors did the same with their faces of 160x160 pixels.
    """
    if (rgb.shape[0] // SMALLEST) * (rgb.shape[1] // SMALLEST) >= 2:
        return rgb
    wide = np.concatenate([rgb, rgb[:, ::-1]], axis=1)
    return np.concatenate([wide, wide[::-1]], axis=0)


def matlab_arrays(file: Path, *names: str) -> list[Plane]:
    """Arrays of a MATLAB file.

    Raises:
        BenchError: it is not such a file, or lacks one of them.
    """
    from scipy.io import loadmat

    try:
        found = loadmat(file)
        return [np.asarray(found[name], np.float64) for name in names]
    except Exception as error:  # whatever a damaged file makes scipy raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BenchError(
            f"{file}: expected a MATLAB file with {' and '.join(names)}, got {reason}; replace it"
        ) from None


def as_tensor(rgb: Pixels) -> torch.Tensor:
    """uint8 (H, W, 3) -> float64 (1, 3, H, W) in [0, 1], for pyiqa."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1))).to(torch.float64)[None] / 255


def normalised(plane: NDArray[Any], blur: Callable[[NDArray[Any]], NDArray[Any]]) -> Plane:
    """(I - mean) / (standard deviation + 1) under a Gaussian of 7x7 pixels, sigma 7/6.

    What rounding leaves in a flat region has a sign, and signs are counted: precision and border are the caller's.

    Args:
        plane: (H, W), 0..255, in the precision to compute in.
        blur: the Gaussian mean around each pixel, in the same precision.
    """
    mean = blur(plane)
    deviation = np.sqrt(np.abs(blur(plane * plane) - mean * mean))
    return np.asarray((plane - mean) / (deviation + 1), np.float64)


def taps() -> Plane:
    """The Gaussian in one dimension, (7,)."""
    values = np.exp(-0.5 * (np.arange(-3, 4) / (7 / 6)) ** 2)
    return np.asarray(values / values.sum(), np.float64)


def asymmetric(values: Plane) -> tuple[Plane, Plane, Plane]:
    """Asymmetric generalised Gaussian fitted to each row by moments.

    Args:
        values: (N, M).

    Returns:
        (shape, left deviation, right deviation), each (N,); NaN where a side has no value.
    """
    negative, positive = values < 0, values > 0
    squares = values * values
    with np.errstate(invalid="ignore", divide="ignore"):
        left = np.sqrt(np.sum(squares, axis=1, where=negative) / negative.sum(axis=1))
        right = np.sqrt(np.sum(squares, axis=1, where=positive) / positive.sum(axis=1))
        ratio = left / right
        spread = np.mean(np.abs(values), axis=1) ** 2 / np.mean(squares, axis=1)
        target = spread * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    return _nearest(1.0 / _moment_ratio(), target), left, right


def symmetric(values: Plane) -> tuple[float, float]:
    """Generalised Gaussian fitted by moments: (shape, variance)."""
    variance = float(np.mean(values * values))
    with np.errstate(invalid="ignore", divide="ignore"):
        target = np.atleast_1d(np.float64(variance) / np.mean(np.abs(values)) ** 2)
    return float(_nearest(-_moment_ratio(), -target)[0]), variance


def scale_of(shape: Plane, deviation: Plane) -> Plane:
    """The scale parameter that belongs to a deviation: deviation * sqrt(Gamma(1/a) / Gamma(3/a))."""
    from scipy.special import gammaln

    return np.asarray(deviation * np.exp((gammaln(1 / shape) - gammaln(3 / shape)) / 2), np.float64)


def gamma_ratio(shape: Plane) -> Plane:
    """Gamma(2/a) / Gamma(1/a)."""
    from scipy.special import gammaln

    return np.asarray(np.exp(gammaln(2 / shape) - gammaln(1 / shape)), np.float64)


def shifted_products(blocks: Plane, shifts: Sequence[tuple[int, int]]) -> list[Plane]:
    """Each block (N, H, W) times itself, shifted circularly: one (N, H*W) array for each shift."""
    return [(blocks * np.roll(blocks, shift, axis=(1, 2))).reshape(len(blocks), -1) for shift in shifts]


@lru_cache(maxsize=1)
def _shapes() -> Plane:
    """Candidates for the shape parameter: 0.2, 0.201, .. 10."""
    return np.asarray(0.2 + 0.001 * np.arange(9801), np.float64)


@lru_cache(maxsize=1)
def _moment_ratio() -> Plane:
    """Gamma(1/a) Gamma(3/a) / Gamma(2/a)^2, which falls as a grows."""
    from scipy.special import gammaln

    shapes = _shapes()
    return np.asarray(np.exp(gammaln(1 / shapes) + gammaln(3 / shapes) - 2 * gammaln(2 / shapes)), np.float64)


def _nearest(rising: Plane, targets: Plane) -> Plane:
    """The shape whose entry in a rising table is nearest to each target; NaN for NaN."""
    upper = np.clip(np.searchsorted(rising, targets), 1, len(rising) - 1)
    lower = upper - 1
    nearest = np.where(np.abs(rising[lower] - targets) <= np.abs(rising[upper] - targets), lower, upper)
    return np.asarray(np.where(np.isnan(targets), np.nan, _shapes()[nearest]), np.float64)
