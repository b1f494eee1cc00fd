"""`fold`: from a trained model to a decoder for inference."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, get_args

import torch
from torch import nn

from hcflow.config import Config
from hcflow.errors import ConfigError
from hcflow.flow.invconv import WITHOUT_FLOAT64
from hcflow.folded.level import FoldedLevel
from hcflow.level import Level
from hcflow.model import Decoder, HCFlow
from hcflow.precision import strict

__all__ = ["FoldedDecoder", "Precision", "fold"]

Precision = Literal["fp32", "bf16"]


class FoldedDecoder(Decoder):
    """A decoder that `fold` made; in float32 it computes without TF32 (see `hcflow.precision`)."""

    def __init__(self, config: Config, levels: Iterable[nn.Module], precision: Precision) -> None:
        super().__init__(config, levels)
        self.precision = precision

    def numeric_mode(self) -> AbstractContextManager[None]:
        """Strict float32, unless the networks run in less."""
        return strict() if self.precision == "fp32" and not torch.compiler.is_compiling() else nullcontext()


def fold(model: HCFlow, precision: Precision = "fp32") -> FoldedDecoder:
    """Make a decoder that computes what `model.decode` computes, faster; it does not follow later changes.

    It is on the device of the model and can be moved to another one.

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
    device = next(model.parameters()).device
    if device.type in WITHOUT_FLOAT64:  # in which constants are computed
        state = {key: value.cpu() for key, value in model.state_dict().items()}
        with torch.device("meta"):
            model = HCFlow(model.config)
        model.load_state_dict(state, assign=True)
    levels = [FoldedLevel(level, dtype) for level in model.levels if isinstance(level, Level)]
    decoder = FoldedDecoder(model.config, levels, precision).eval()
    return decoder if device == next(decoder.parameters()).device else decoder.to(device)
