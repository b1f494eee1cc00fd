"""The Gaussian of the latents: diagonal, with mean and sigma that the condition predicts."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hcflow.flow.coupling import bounded_log_scale, shift_and_raw
from hcflow.flow.transform import Transform, sum_per_image

__all__ = ["ConditionalGaussian", "standard_normal_log_prob"]


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I) per image: (N, ...) -> (N,)."""
    return sum_per_image(-0.5 * (z.square() + math.log(2 * math.pi)))


class ConditionalGaussian(Transform):
    """z = (a - mean) / sigma, with mean and log sigma a zero-initialised convolution of the context.

    Written as a transform to a standard normal, so that log N(a; mean, sigma) is log N(z; 0, I) plus this
    log-det, -sum(log sigma), and sampling at temperature tau is the inverse of tau z (eqs. 3 and 9).
    Without context the mean and log sigma are one learned number per channel.

    Args:
        channels: C of a_l.
        subnet: the convolution, context (N, .., H, W) -> (N, 2C, H, W); None: without context.
        bounded: whether log sigma is 0.318 atan(2 raw), as in couplings, instead of the raw output.
    """

    def __init__(self, channels: int, subnet: nn.Module | None, bounded: bool) -> None:
        super().__init__()
        self.bounded = bounded
        if subnet is not None:
            self.conv = subnet
        else:
            self.constant = nn.Parameter(torch.zeros(1, 2 * channels, 1, 1))

    def parameters_of(self, context: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return mean and log sigma as `dtype`, (N, C, H, W) each, or (1, C, 1, 1) without context."""
        output = self.constant if context is None else self.conv(context)
        mean, raw = shift_and_raw(output.to(dtype))
        return mean, bounded_log_scale(raw) if self.bounded else raw

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Standardise x (N, C, H, W)."""
        mean, log_sigma = self.parameters_of(context, x.dtype)
        return (x - mean) * (-log_sigma).exp(), -sum_per_image(log_sigma.expand_as(x))

    def inverse(self, y: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """mean + sigma y."""
        mean, log_sigma = self.parameters_of(context, y.dtype)
        return mean + log_sigma.exp() * y, sum_per_image(log_sigma.expand_as(y))
