"""Natural image quality evaluator (Mittal, Soundararajan, Bovik 2013): no reference; lower is better.

`live` is this file's own code with the parameters of the LIVE release, on the rounded BT.601 luma: it gives what
BasicSR gives, to 1e-3. As there, the luma is made, normalised and halved in float32, so that flat regions are exactly 0
and count as neither positive nor negative; features and distance are float64. pyiqa's `niqe` takes another luma (YIQ),
and differs by up to 0.4 even where it is asked to use this one, because it normalises in float64 with a kernel that was
rounded to float32.

`matlab` is pyiqa's `niqe_matlab`, calibrated to MATLAB's built-in function, which the paper used. The parameters are
pyiqa's release. Only parameter files made by the tests have been through it here, never the genuine ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.metrics.metric import Choice, Metric, Scorer, Variant, choice_of
from bench.metrics.natural import (
    SMALLEST,
    TILED,
    Plane,
    as_tensor,
    asymmetric,
    each_draw,
    gamma_ratio,
    matlab_arrays,
    normalised,
    scale_of,
    shifted_products,
    taps,
)
from hcflow.images.io import Pixels

if TYPE_CHECKING:
    import torch

_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))


def niqe(rgb: Pixels, mean: Plane, covariance: Plane) -> float:
    """NIQE of one image with given parameters of natural images.

    Args:
        rgb: uint8 (H, W, 3), at least two blocks of 96x96.
        mean: (36,) of the features of natural images.
        covariance: (36, 36) of them.

    Returns:
        sqrt(d^T pinv((S1 + S2) / 2) d) with d the difference of the means; NaN where fewer than two blocks have
        features (a flat image).
    """
    features = _features(rounded_luma(rgb))
    complete = features[~np.isnan(features).any(axis=1)]
    if len(complete) < 2:
        return float("nan")
    difference = mean - np.nanmean(features, axis=0)
    inverse = np.linalg.pinv((covariance + np.cov(complete, rowvar=False)) / 2)
    return float(np.sqrt(difference @ inverse @ difference))


def rounded_luma(rgb: Pixels) -> NDArray[np.float32]:
    """BT.601 luma of an image in [0, 1] in float32, on the 0..255 scale and rounded: near a tie float32 decides."""
    scaled = rgb.astype(np.float32) / np.float32(255)
    y = (scaled @ np.array([65.481, 128.553, 24.966]) + 16.0) / 255
    return np.rint(y.astype(np.float32) * np.float32(255))


def _features(plane: NDArray[np.float32]) -> Plane:
    """18 features of every block of 96x96 pixels, and 18 of the same block at half the size: (blocks, 36)."""
    import torch

    from hcflow.images.matlab_resize import imresize

    rows, columns = plane.shape[0] // SMALLEST, plane.shape[1] // SMALLEST
    image = plane[: rows * SMALLEST, : columns * SMALLEST]
    features = []
    for side in (SMALLEST, SMALLEST // 2):
        blocks = normalised(image, _blur).reshape(rows, side, columns, side).swapaxes(1, 2)
        features.append(_of_blocks(blocks.reshape(-1, side, side)))
        image = imresize(torch.from_numpy(image / np.float32(255)), 0.5).numpy() * np.float32(255)
    return np.concatenate(features, axis=1)


def _blur(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The border is continued by its pixels."""
    import cv2

    blurred = cv2.sepFilter2D(values.astype(np.float64), cv2.CV_64F, taps(), taps(), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)


def _of_blocks(blocks: Plane) -> Plane:
    shape, left, right = asymmetric(blocks.reshape(len(blocks), -1))
    features = [shape, (scale_of(shape, left) + scale_of(shape, right)) / 2]
    for product in shifted_products(blocks, _SHIFTS):
        shape, left, right = asymmetric(product)
        left, right = scale_of(shape, left), scale_of(shape, right)
        features += [shape, (right - left) * gamma_ratio(shape), left, right]
    return np.stack(features, axis=1)


def parameters(file: Path) -> tuple[Plane, Plane]:
    """Mean (36,) and covariance (36, 36) of the features of natural images, from a MATLAB file.

    Raises:
        BenchError: it is not such a file.
    """
    mean, covariance = matlab_arrays(file, "mu_prisparam", "cov_prisparam")
    mean = mean.ravel()
    if mean.shape != (36,) or covariance.shape != (36, 36):
        raise BenchError(f"{file}: expected (36,) and (36, 36), got {mean.shape} and {covariance.shape}; replace it")
    return mean, covariance


def _matlab(file: Path, device: torch.device) -> Callable[[Pixels], float]:
    """pyiqa's niqe_matlab with given parameters; float64, and on the CPU because not every device has that."""
    from bench.metrics.pyiqa import architecture, local_only

    parameters(file)
    with local_only(file.parent, "niqe@matlab"):
        network = architecture("NIQE")(version="matlab", pretrained_model_path=str(file))

    def value(rgb: Pixels) -> float:
        import torch
        from torch.linalg import LinAlgError  # type: ignore[attr-defined]

        with torch.inference_mode():
            try:
                return float(network(as_tensor(rgb)))
            except LinAlgError:  # a flat image
                return float("nan")

    return value


def _open(variant: Variant, files: Sequence[Path], device: torch.device) -> Scorer:
    if variant.id == "matlab":
        function = _matlab(files[0], device)
    else:
        mean, covariance = parameters(files[0])

        def function(rgb: Pixels) -> float:
            return niqe(rgb, mean, covariance)

    return lambda evidence: each_draw(evidence, function)


METRIC = Metric(
    name="niqe",
    title="NIQE",
    direction="lower",
    decimals=3,
    parse=choice_of(
        Choice("matlab", f"pyiqa's niqe_matlab (MATLAB R2021b) on the 8-bit RGB image, float64, no crop; {TILED}"),
        Choice(
            "live",
            f"parameters of the LIVE release, rounded BT.601 luma, no crop, as BasicSR; {TILED}",
            "LIVE",
        ),
    ),
    known=("matlab", "live"),
    open=_open,
    module=__name__,
    eight_bit=lambda _: True,
    weights=lambda variant: (f"NIQE_{variant.id}",),
    packages=("numpy", "scipy", "opencv-python-headless", "torch", "pyiqa"),
    terms="niqe@matlab runs pyiqa (PolyForm Noncommercial 1.0.0); niqe@live does not",
)
