"""How close the LR image of a method's own forward pass is to the bicubic one: PSNR of LR images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.metrics.metric import Evidence, Metric, NotApplicable, Score, Scorer, Variant
from bench.metrics.psnr import psnr
from bench.metrics.views import Protocol, View, views

if TYPE_CHECKING:
    import torch

NO_OWN_LR = NotApplicable("the method makes no LR image of its own")


def lr_views(evidence: Evidence, protocol: Protocol) -> tuple[View, View] | None:
    """The method's own LR image and MATLAB's bicubic of HR as a metric sees them; None where it makes none."""
    if evidence.own_lr is None:
        return None
    return views(evidence.own_lr, evidence.bicubic_lr, protocol)


def _open(variant: Variant, files: Sequence[Path], device: torch.device) -> Scorer:
    assert isinstance(variant, Protocol)

    def score(evidence: Evidence) -> Score:
        pair = lr_views(evidence, variant)
        return NO_OWN_LR if pair is None else psnr(*pair)

    return score


METRIC = Metric(
    name="lr_psnr",
    title="LR-PSNR",
    direction="higher",
    unit="dB",
    decimals=2,
    parse=Protocol.parse,
    known=("rgb,crop0,u8", "y,crop0,u8"),
    open=_open,
    module=__name__,
    needs=frozenset({"own_lr"}),
)
