"""How fast PSNR and SSIM are: `python tests/bench/metrics/measure_speed.py` (a script, not a test).

CPU seconds of one thread, so that other work on the machine counts little: PSNR and SSIM on RGB and Y of a 512x512 pair
together, views included, against scikit-image's SSIM on RGB alone.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
from skimage import data
from skimage.metrics import structural_similarity

from bench.metrics.metric import Evidence, Measure

ROUNDS = 15


def seconds(function: Callable[[], object]) -> float:
    """CPU seconds of this thread."""
    start = time.thread_time()
    function()
    return time.thread_time() - start


def main() -> None:
    """Take both in turn, and print the medians and their ratio."""
    cv2.setNumThreads(1)
    hr = data.astronaut()
    noise = np.random.default_rng(0).normal(0, 8, hr.shape)
    sr = (np.clip(np.rint(hr + noise), 0, 255) / 255).astype(np.float32)
    scorers = [Measure.parse(f"{m}@{s},crop4,u8").open((), None) for m in ("psnr", "ssim") for s in ("rgb", "y")]  # type: ignore[arg-type]
    views = np.rint(sr * 255.0).astype(np.float64), hr.astype(np.float64)

    def ours() -> None:
        evidence = Evidence((sr,), 4, hr)
        for scorer in scorers:
            scorer(evidence)

    def theirs() -> None:
        structural_similarity(
            *views, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255.0, channel_axis=2
        )

    ours(), theirs()
    taken = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
    mine, other = (statistics.median(times) for times in zip(*taken, strict=True))
    ratio = statistics.median(b / a for a, b in taken)
    print(f"PSNR + SSIM, RGB and Y: {1e3 * mine:.1f} ms; scikit-image's SSIM, RGB: {1e3 * other:.1f} ms; {ratio:.2f}x")


if __name__ == "__main__":
    main()
