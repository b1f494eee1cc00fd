"""How close the LR image of a method's own forward pass is to the bicubic one: SSIM of LR images (rescaling)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.metrics.lr_psnr import NO_OWN_LR, lr_views
from bench.metrics.metric import Evidence, Metric, NotApplicable, Score, Scorer, Variant
from bench.metrics.ssim import WINDOW, ssim
from bench.metrics.views import Protocol

if TYPE_CHECKING:
    import torch


def _open(variant: Variant, files: Sequence[Path], device: torch.device) -> Scorer:
    assert isinstance(variant, Protocol)

    def score(evidence: Evidence) -> Score:
        pair = lr_views(evidence, variant)
        if pair is None:
            return NO_OWN_LR
        if min(pair[0].shape[:2]) < WINDOW:
            return NotApplicable(f"SSIM needs {WINDOW}x{WINDOW} pixels of LR after the crop")
        return ssim(*pair)

    return score


METRIC = Metric(
    name="lr_ssim",
    title="LR-SSIM",
    direction="higher",
    decimals=4,
    parse=Protocol.parse,
    known=("rgb,crop0,u8", "y,crop0,u8"),
    open=_open,
    module=__name__,
    packages=("numpy", "opencv-python-headless"),
    needs=frozenset({"own_lr"}),
)
