"""Coupling layers: one part of the channels, seen through a network, moves the other part."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hcflow.flow.transform import Transform, sum_per_image

__all__ = [
    "AdditiveCoupling",
    "AffineCoupling",
    "bounded_log_scale",
    "shift_and_raw",
    "sigmoid_log_scale",
    "tanh_log_scale",
]


def bounded_log_scale(raw: Tensor) -> Tensor:
    """log s = 0.318 atan(2 raw), which keeps s between e^-0.5 and e^0.5."""
    return 0.318 * torch.atan(2 * raw)


def sigmoid_log_scale(raw: Tensor) -> Tensor:
    """log s = log(sigmoid(raw + 2) + 1e-4): SRFlow's, s between 1e-4 and 1 + 1e-4."""
    return (torch.sigmoid(raw + 2) + 1e-4).log()


def tanh_log_scale(raw: Tensor) -> Tensor:
    """log s = 2 sigmoid(raw) - 1 = tanh(raw / 2): IRN's, s between 1/e and e."""
    return torch.tanh(raw / 2)


def shift_and_raw(output: Tensor) -> tuple[Tensor, Tensor]:
    """Part an interleaved network output (N, 2C, H, W): even channels shift, odd channels scale."""
    shift, raw = output.unflatten(1, (-1, 2)).unbind(2)
    return shift, raw


class AffineCoupling(Transform):
    """z2 -> (z2 + shift) s, or z2 s + shift, with shift and s a function of z1 and the context.

    z1 is the first `conditioning` channels, none of them for a coupling that sees the context alone;
    log-det = sum(log s).
    """

    def __init__(
        self,
        subnet: nn.Module,
        conditioning: int,
        log_scale: Callable[[Tensor], Tensor] = bounded_log_scale,
        scale_first: bool = False,
    ) -> None:
        super().__init__()
        self.subnet = subnet
        self.conditioning = conditioning
        self.log_scale = log_scale
        self.scale_first = scale_first

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move z2 of x (N, C, H, W)."""
        z1, z2 = x.split((self.conditioning, x.shape[1] - self.conditioning), 1)
        shift, log_s = self._of(z1, context)
        moved = z2 * log_s.exp() + shift if self.scale_first else (z2 + shift) * log_s.exp()
        return torch.cat((z1, moved), 1), sum_per_image(log_s)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z2 -> z2 / s - shift, or (z2 - shift) / s."""
        z1, z2 = y.split((self.conditioning, y.shape[1] - self.conditioning), 1)
        shift, log_s = self._of(z1, context)
        moved = (z2 - shift) * (-log_s).exp() if self.scale_first else z2 * (-log_s).exp() - shift
        return torch.cat((z1, moved), 1), -sum_per_image(log_s)

    def _of(self, z1: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """The shift and log s that the subnet gives."""
        shift, raw = (part.to(z1.dtype) for part in shift_and_raw(self.subnet(z1, context)))
        return shift, self.log_scale(raw)


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
