"""Coupling layers: one part of the channels, seen through a network, moves the other part."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcflow.flow.transform import Transform, sum_per_image

__all__ = ["AdditiveCoupling", "AffineCoupling", "bounded_log_scale", "shift_and_raw"]


def bounded_log_scale(raw: Tensor) -> Tensor:
    """log s = 0.318 atan(2 raw), which keeps s between e^-0.5 and e^0.5."""
    return 0.318 * torch.atan(2 * raw)


def shift_and_raw(output: Tensor) -> tuple[Tensor, Tensor]:
    """Part an interleaved network output (N, 2C, H, W): even channels shift, odd channels scale."""
    shift, raw = output.unflatten(1, (-1, 2)).unbind(2)
    return shift, raw


class AffineCoupling(Transform):
    """z2 -> (z2 + shift) exp(log s), with shift and log s a function of z1 and the context.

    z1 is the first `conditioning` channels; log-det = sum(log s).
    """

    def __init__(self, subnet: nn.Module, conditioning: int) -> None:
        super().__init__()
        self.subnet = subnet
        self.conditioning = conditioning

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move z2 of x (N, C, H, W)."""
        z1, z2 = x.split((self.conditioning, x.shape[1] - self.conditioning), 1)
        shift, raw = (part.to(z1.dtype) for part in shift_and_raw(self.subnet(z1, context)))
        log_s = bounded_log_scale(raw)
        return torch.cat((z1, (z2 + shift) * log_s.exp()), 1), sum_per_image(log_s)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z2 -> z2 exp(-log s) - shift."""
        z1, z2 = y.split((self.conditioning, y.shape[1] - self.conditioning), 1)
        shift, raw = (part.to(z1.dtype) for part in shift_and_raw(self.subnet(z1, context)))
        log_s = bounded_log_scale(raw)
        return torch.cat((z1, z2 * (-log_s).exp() - shift), 1), -sum_per_image(log_s)


class AdditiveCoupling(Transform):
    """z1 -> z1 + shift, with shift a function of z2 and the context; log-det = 0.

    z1 is the first `shifted` channels: the other half of IRN's alternation.
    """

    def __init__(self, subnet: nn.Module, shifted: int) -> None:
        super().__init__()
        self.subnet = subnet
        self.shifted = shifted

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Shift z1 of x (N, C, H, W)."""
        z1, z2 = x.split((self.shifted, x.shape[1] - self.shifted), 1)
        return torch.cat((z1 + self.subnet(z2, context).to(z1.dtype), z2), 1), x.new_zeros(len(x))

    def inverse(self, y: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Shift z1 back."""
        z1, z2 = y.split((self.shifted, y.shape[1] - self.shifted), 1)
        return torch.cat((z1 - self.subnet(z2, context).to(z1.dtype), z2), 1), y.new_zeros(len(y))
