"""ActNorm: a learned affine map per channel, initialised from the first training batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from hcflow.errors import HCFlowError
from hcflow.flow.transform import Transform

__all__ = ["ActNorm"]


class ActNorm(Transform):
    """y = (x + bias) exp(logs); log-det = H W sum(logs) (Glow, section 3.1).

    The first batch seen in training mode, of all processes together, sets bias and logs so that y has zero
    mean and unit variance per channel. `initialised` is a buffer: it is saved and loaded, so fine-tuning
    never starts over.
    """

    initialised: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.logs = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.register_buffer("initialised", torch.tensor(False))
        self._known = False  # that it is initialised: reading the buffer again would wait for the GPU

    def awaits_data(self) -> bool:
        """Whether the next batch initialises it."""
        if self.training and not self._known:
            self._known = bool(self.initialised)
        return self.training and not self._known

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Normalise x (N, C, H, W)."""
        if self.awaits_data():
            self._initialise(x)
        return (x + self.bias) * self.logs.exp(), self._log_det(x)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x = y exp(-logs) - bias.

        Raises:
            HCFlowError: in training mode before any forward pass, when there is nothing to undo.
        """
        if self.awaits_data():
            raise HCFlowError("expected an initialised ActNorm, got a new one; run one encode first")
        return y * (-self.logs).exp() - self.bias, -self._log_det(y)

    def _log_det(self, x: Tensor) -> Tensor:
        return (self.logs.sum() * (x.shape[2] * x.shape[3])).expand(len(x))

    @torch.no_grad()
    def _initialise(self, x: Tensor) -> None:
        self.bias.copy_(-_channel_mean(x))
        deviation = _channel_mean((x + self.bias).square()).sqrt()
        self.logs.copy_(-(deviation + 1e-6).log())
        self.initialised.fill_(True)
        self._known = True

    def _load_from_state_dict(self, *args: Any, **keywords: Any) -> None:  # noqa: ANN401 - torch's own signature
        super()._load_from_state_dict(*args, **keywords)
        self._known = False


def _channel_mean(x: Tensor) -> Tensor:
    """Mean over N, H, W and over all processes, whose batches are equally large: (1, C, 1, 1)."""
    mean = x.mean((0, 2, 3), keepdim=True)
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(mean)
        mean /= dist.get_world_size()
    return mean
