"""Blind/referenceless image spatial quality evaluator (Mittal, Moorthy, Bovik 2012): no reference; lower is better.

`live` is this file's own code with the support vectors of the LIVE release, in float64 (float32 is off by up to 0.4 on
flat images). It gives what pyiqa's `brisque` gives in float64 to 1e-3, and to 0.01 where an image is mostly flat,
because pyiqa halves the image with weights in float32. The kernel is that of pyiqa, too: rounded to float32, so that
what is left in flat regions has a definite sign. Values below 0 are legitimate, and are not clamped.

`matlab` is pyiqa's `brisque_matlab`, calibrated to MATLAB's built-in function, which the paper used. The parameters are
pyiqa's release. Only parameter files made by the tests have been through it here, never the genuine ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import BenchError
from bench.metrics.metric import Choice, Metric, Scorer, Variant, choice_of
from bench.metrics.natural import (
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
    symmetric,
    taps,
)
from hcflow.images.io import Pixels

if TYPE_CHECKING:
    import torch

_SHIFTS = ((0, 1), (1, 0), (1, 1), (-1, 1))
_GAMMA, _RHO = 0.05, -153.591  # of LIVE's support vector regression
# Ranges of the 36 features in LIVE's release (allrange): each is mapped to -1..1
_RANGES = """
0.338 10 0.017204 0.806612 0.236 1.642 -0.123884 0.20293 0.000155 0.712298 0.001122 0.470257 0.244 1.641
-0.123586 0.179083 0.000152 0.710456 0.000975 0.470984 0.249 1.555 -0.135687 0.100858 0.000174 0.684173
0.000913 0.534174 0.258 1.561 -0.143408 0.100486 0.000179 0.685696 0.000888 0.536508 0.471 3.264 0.012809
0.703171 0.218 1.046 -0.094876 0.187459 1.5e-005 0.442057 0.001272 0.40803 0.222 1.042 -0.115772 0.162604
1.6e-005 0.444362 0.001374 0.40243 0.227 0.996 -0.117188 0.098323 3e-005 0.531903 0.001122 0.369589 0.228
0.99 -0.12243 0.098658 2.8e-005 0.530092 0.001118 0.370399
"""


def brisque(rgb: Pixels, coefficients: Plane, vectors: Plane) -> float:
    """BRISQUE of one image with a given support vector regression.

    Args:
        rgb: uint8 (H, W, 3); scored on its rounded full-range luma (0.299, 0.587, 0.114).
        coefficients: (N,).
        vectors: (N, 36), on features mapped to -1..1.

    Returns:
        sum of coefficient * exp(-0.05 |vector - features|^2), + 153.591; NaN for a flat image.
    """
    low, high = _ranges()
    features = 2 * (_features(grey(rgb)) - low) / (high - low) - 1
    distances = np.sum((vectors - features) ** 2, axis=1)
    return float(coefficients @ np.exp(-_GAMMA * distances) - _RHO)


def grey(rgb: Pixels) -> Plane:
    """0.299 R + 0.587 G + 0.114 B, rounded half up, and exactly: one colour in a thousand is a tie."""
    return np.asarray((rgb @ np.array([299, 587, 114]) + 500) // 1000, np.float64)


def _blur(values: Plane) -> Plane:
    """The border is continued by zeros."""
    import cv2

    kernel = np.outer(taps(), taps()).astype(np.float32).astype(np.float64)
    return np.asarray(cv2.filter2D(values, cv2.CV_64F, kernel, borderType=cv2.BORDER_CONSTANT), np.float64)


def _features(plane: Plane) -> Plane:
    """18 features at full and 18 at half the size."""
    from hcflow.images.matlab_resize import imresize

    features: list[float] = []
    for _ in range(2):
        image = normalised(plane, _blur)
        features += symmetric(image)
        for product in shifted_products(image[None], _SHIFTS):
            shape, left, right = asymmetric(product)
            mean = (scale_of(shape, right) - scale_of(shape, left)) * gamma_ratio(shape)
            features += [shape[0], mean[0], left[0] ** 2, right[0] ** 2]
        plane = imresize(plane, 0.5)
    return np.array(features)


@lru_cache(maxsize=1)
def _ranges() -> tuple[Plane, Plane]:
    values = np.array(_RANGES.split(), dtype=np.float64).reshape(36, 2)
    return values[:, 0], values[:, 1]


def regression(file: Path) -> tuple[Plane, Plane]:
    """Coefficients (N,) and support vectors (N, 36), from a file of two tensors.

    Raises:
        BenchError: it is not such a file.
    """
    import torch

    try:
        coefficients, vectors = torch.load(file, map_location="cpu", weights_only=True)
        shapes = tuple(coefficients.shape), tuple(vectors.shape)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BenchError(f"{file}: expected two tensors of BRISQUE, got {reason}; replace it") from None
    if len(shapes[0]) != 1 or shapes[1] != (*shapes[0], 36):
        raise BenchError(f"{file}: expected tensors (N,) and (N, 36), got {shapes[0]} and {shapes[1]}; replace it")
    return coefficients.double().numpy(), vectors.double().numpy()


def _matlab(file: Path, device: torch.device) -> Callable[[Pixels], float]:
    """pyiqa's brisque_matlab with given parameters; float64, and on the CPU because not every device has that."""
    from bench.metrics.pyiqa import architecture, local_only

    _check_matlab(file)
    with local_only(file.parent, "brisque@matlab"):
        network = architecture("BRISQUE")(version="matlab")

    def value(rgb: Pixels) -> float:
        import torch

        with torch.inference_mode():
            return float(network(as_tensor(rgb)))

    return value


def _check_matlab(file: Path) -> None:
    """Raise BenchError unless it is a file that pyiqa's brisque_matlab can load."""
    if file.name != "brisque_matlab.mat":
        raise BenchError(f"{file}: expected the name brisque_matlab.mat, which pyiqa looks for; rename it")
    vectors, coefficients = matlab_arrays(file, "sv", "sv_coef")
    shapes = coefficients.ravel().shape, vectors.shape
    if shapes[1] != (*shapes[0], 36):
        raise BenchError(f"{file}: expected sv_coef (N,) and sv (N, 36), got {shapes[0]} and {shapes[1]}; replace it")


def _open(variant: Variant, files: Sequence[Path], device: torch.device) -> Scorer:
    if variant.id == "matlab":
        function = _matlab(files[0], device)
    else:
        coefficients, vectors = regression(files[0])

        def function(rgb: Pixels) -> float:
            return brisque(rgb, coefficients, vectors)

    return lambda evidence: each_draw(evidence, function)


METRIC = Metric(
    name="brisque",
    title="BRISQUE",
    direction="lower",
    decimals=2,
    parse=choice_of(
        Choice("matlab", f"pyiqa's brisque_matlab (MATLAB R2021b) on the 8-bit RGB image, float64, no crop; {TILED}"),
        Choice("live", f"support vectors of the LIVE release, rounded luma, float64, no crop; {TILED}", "LIVE"),
    ),
    known=("matlab", "live"),
    open=_open,
    module=__name__,
    eight_bit=lambda _: True,
    weights=lambda variant: (f"BRISQUE_{variant.id}",),
    packages=("numpy", "scipy", "opencv-python-headless", "torch", "pyiqa"),
    terms="brisque@matlab runs pyiqa (PolyForm Noncommercial 1.0.0); brisque@live does not",
)
