"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.metric import Evidence, Metric, Scorer, Variant
from bench.metrics.views import Protocol, View, is_eight_bit

if TYPE_CHECKING:
    import torch


def psnr(sr: View, hr: View) -> float:
    """PSNR = 10 log10(255^2 / mean((sr - hr)^2)), in dB.

    Args:
        sr: (H, W) or (H, W, 3), float64 on the 0..255 scale.
        hr: the same shape and scale.

    Returns:
        dB; infinity for identical images.

    Raises:
        ValueError: the shapes differ or a view is empty.
    """
    if sr.shape != hr.shape or sr.size == 0:
        raise ValueError(f"expected two non-empty views of one shape, got {sr.shape} and {hr.shape}")
    error = sr - hr
    mse = float(np.mean(np.square(error, out=error)))
    return math.inf if mse == 0 else 10.0 * math.log10(255.0**2 / mse)


def _open(variant: Variant, files: Sequence[Path], device: torch.device) -> Scorer:
    assert isinstance(variant, Protocol)

    def score(evidence: Evidence) -> list[float]:
        return [psnr(sr, hr) for sr, hr in evidence.views(variant)]

    return score


METRIC = Metric(
    name="psnr",
    title="PSNR",
    direction="higher",
    unit="dB",
    decimals=2,
    parse=Protocol.parse,
    known=("y,crop4,u8", "rgb,crop4,u8"),
    open=_open,
    eight_bit=is_eight_bit,
    module=__name__,
)
