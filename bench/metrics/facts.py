"""Metrics that are numbers of the restoration itself, read from the evidence's facts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.metrics.metric import Evidence, NotApplicable, Score, Scorer, Variant

if TYPE_CHECKING:
    import torch


class Fact:
    """The `open` of such a metric: it gives facts[name] / unit, or why there is none."""

    def __init__(self, name: str, missing: str, unit: float = 1.0) -> None:
        self.name, self.missing, self.unit = name, missing, unit

    def __call__(self, variant: Variant, files: Sequence[Path], device: torch.device) -> Scorer:
        """See `Metric.open`."""

        def score(evidence: Evidence) -> Score:
            value = evidence.facts.get(self.name)
            return NotApplicable(self.missing) if value is None else value / self.unit

        return score
