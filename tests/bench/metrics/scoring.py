"""Measures of evidence, for tests."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.metrics.metric import Evidence, Measure, NotApplicable, Score
from bench.weights.entries import resolve


def scores(measure: str, evidence: Evidence, files: Sequence[Path] = ()) -> Score:
    """What a measure gives on the CPU."""
    import torch

    parsed = Measure.parse(measure)
    return parsed.open(files or tuple(resolve(name) for name in parsed.weights), torch.device("cpu"))(evidence)


def score(measure: str, evidence: Evidence, files: Sequence[Path] = ()) -> float:
    """The one value of a measure, of one draw or over all."""
    found = scores(measure, evidence, files)
    assert not isinstance(found, NotApplicable), found
    if isinstance(found, Sequence):
        assert len(found) == 1
        return found[0]
    return found


needs_weights = pytest.mark.skipif("HCFLOW_WEIGHTS" not in os.environ, reason="needs HCFLOW_WEIGHTS")
