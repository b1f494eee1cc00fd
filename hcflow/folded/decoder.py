"""`fold`: from a trained model to a decoder for inference."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from hcflow.errors import ConfigError
from hcflow.folded.level import FoldedLevel
from hcflow.level import Level
from hcflow.model import Decoder, HCFlow

__all__ = ["Precision", "fold"]

Precision = Literal["fp32", "bf16"]


def fold(model: HCFlow, precision: Precision = "fp32") -> Decoder:
    """Make a decoder that computes what `model.decode` computes, faster; it does not follow later changes.

    ActNorms and output scales are folded into convolutions, 1x1 inverses are computed once, dense blocks
    do not concatenate. With "bf16" the networks (conditioners, subnets) run in bfloat16; the flow they steer
    stays in float32.

    Raises:
        ConfigError: an unknown precision, or a model that is not in float32.
        SingularWeightError: a 1x1 convolution that cannot be inverted.
    """
    if precision not in get_args(Precision):
        raise ConfigError(f"unknown precision {precision!r}; choose from {', '.join(get_args(Precision))}")
    dtypes = {parameter.dtype for parameter in model.parameters()}
    if dtypes != {torch.float32}:
        raise ConfigError(f"expected a model in float32, got {', '.join(sorted(map(str, dtypes)))}")
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    levels = [FoldedLevel(level, dtype) for level in model.levels if isinstance(level, Level)]
    return Decoder(model.config, levels).eval()
