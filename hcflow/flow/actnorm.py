"""ActNorm: a learned affine map per channel, initialised from the first training batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcflow.errors import HCFlowError
from hcflow.flow.transform import Transform

__all__ = ["ActNorm"]


class ActNorm(Transform):
    """y = (x + bias) exp(logs); log-det = H W sum(logs) (Glow, section 3.1).

    The first batch seen in training mode sets bias and logs so that y has zero mean and unit variance per
    channel. `initialised` is a buffer: it is saved and loaded, so fine-tuning never starts over.
    """

    initialised: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.logs = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.register_buffer("initialised", torch.tensor(False))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Normalise x (N, C, H, W)."""
        if self.training and not self.initialised:
            self._initialise(x)
        return (x + self.bias) * self.logs.exp(), self._log_det(x)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x = y exp(-logs) - bias.

        Raises:
            HCFlowError: in training mode before any forward pass, when there is nothing to undo.
        """
        if self.training and not self.initialised:
            raise HCFlowError("expected an initialised ActNorm, got a new one; run one encode first")
        return y * (-self.logs).exp() - self.bias, -self._log_det(y)

    def _log_det(self, x: Tensor) -> Tensor:
        return (self.logs.sum() * (x.shape[2] * x.shape[3])).expand(len(x))

    @torch.no_grad()
    def _initialise(self, x: Tensor) -> None:
        self.bias.copy_(-x.mean((0, 2, 3), keepdim=True))
        deviation = (x + self.bias).square().mean((0, 2, 3), keepdim=True).sqrt()
        self.logs.copy_(-(deviation + 1e-6).log())
        self.initialised.fill_(True)
