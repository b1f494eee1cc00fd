"""The Gaussian of the latents: diagonal, with mean and sigma that the condition predicts."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hcflow.flow.coupling import bounded_log_scale, shift_and_raw
from hcflow.flow.transform import Transform, sum_per_image
from hcflow.nets.subnets import ZeroSubnet

__all__ = ["ConditionalGaussian", "standard_normal_log_prob"]


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I) per image: (N, ...) -> (N,)."""
    return sum_per_image(-0.5 * (z.square() + math.log(2 * math.pi)))


class ConditionalGaussian(Transform):
    """z = (a - mean) / sigma, with mean and log sigma a zero-initialised convolution of the context.

    Written as a transform to a standard normal, so that log N(a; mean, sigma) is log N(z; 0, I) plus this
    log-det, -sum(log sigma), and sampling at temperature tau is the inverse of tau z (eqs. 3 and 9).
    Without context the mean and log sigma are one learned number per channel.
    """

    def __init__(self, channels: int, context_channels: int, bounded: bool) -> None:
        super().__init__()
        self.bounded = bounded
        if context_channels:
            self.conv = ZeroSubnet(context_channels, 2 * channels)
        else:
            self.constant = nn.Parameter(torch.zeros(1, 2 * channels, 1, 1))

    def parameters_of(self, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return mean and log sigma, (N, C, H, W) each, or (1, C, 1, 1) without context."""
        mean, raw = shift_and_raw(self._output(context))
        return mean, bounded_log_scale(raw) if self.bounded else raw

    def _output(self, context: Tensor | None) -> Tensor:
        return self.constant if context is None else self.conv(context).to(self.conv.weight.dtype)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Standardise x (N, C, H, W)."""
        mean, log_sigma = self.parameters_of(context)
        return (x - mean) * (-log_sigma).exp(), -sum_per_image(log_sigma.expand_as(x))

    def inverse(self, y: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """mean + sigma y."""
        mean, log_sigma = self.parameters_of(context)
        return mean + log_sigma.exp() * y, sum_per_image(log_sigma.expand_as(y))
