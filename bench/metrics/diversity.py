"""How much the draws of one image differ (the paper's "Diversity")."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.metric import Choice, Evidence, Metric, NotApplicable, Score, Scorer, Variant, choice_of
from bench.metrics.views import Values

if TYPE_CHECKING:
    import torch

_ROWS = 64  # of the images, computed at a time: several large draws in float64 need much memory


def diversity(draws: Sequence[Values]) -> float:
    """Mean over pixels and channels of the unbiased standard deviation over draws, on the 0..255 scale.

    Args:
        draws: at least two, (H, W[, 3]) in [0, 1]; neither rounded nor clipped.
    """
    if len(draws) < 2:
        raise ValueError(f"expected at least two draws, got {len(draws)}")
    total = 0.0
    for row in range(0, len(draws[0]), _ROWS):
        part = np.stack([draw[row : row + _ROWS] for draw in draws]).astype(np.float64)
        total += float(np.sum(np.std(part, axis=0, ddof=1)))
    return 255.0 * total / draws[0].size


def _open(variant: Variant, files: Sequence[Path], device: torch.device) -> Scorer:
    def score(evidence: Evidence) -> Score:
        if len(evidence.draws) >= 2:
            return diversity(evidence.draws)
        if evidence.facts.get("deterministic"):
            return 0.0  # every further draw would be the same: temperature 0, or a method that does not draw
        return NotApplicable("fewer than two draws")

    return score


METRIC = Metric(
    name="diversity",
    title="Diversity",
    direction="higher",
    decimals=2,
    parse=choice_of(
        Choice(
            "rgb,crop0,float",
            "unbiased standard deviation over the draws of a pixel and channel, x255, mean; not rounded, no crop; "
            "0 where a row cannot vary (temperature 0, deterministic methods)",
        )
    ),
    known=("rgb,crop0,float",),
    open=_open,
    module=__name__,
)
