"""The networks inside coupling layers. All start at zero output, so that a coupling starts as identity."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hcflow.flow.actnorm import ActNorm

__all__ = ["FCN", "DenseBlock", "ZeroConv", "scaled_xavier_"]


def scaled_xavier_(conv: nn.Conv2d, scale: float = 0.1) -> None:
    """Initialise a convolution in place: weight Xavier normal times `scale`, bias 0."""
    nn.init.xavier_normal_(conv.weight)
    with torch.no_grad():
        conv.weight.mul_(scale)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


class ZeroConv(nn.Conv2d):
    """conv3x3(x) exp(3 logs), everything zero at the start (Glow, section 3.3)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        self.logs = nn.Parameter(torch.zeros(out_channels, 1, 1))
        nn.init.zeros_(self.weight)
        nn.init.zeros_(torch.as_tensor(self.bias))

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, in, H, W) to (N, out, H, W)."""
        return super().forward(input) * (3 * self.logs).exp()


class FCN(nn.Module):
    """conv3x3, ActNorm, ReLU, conv1x1, ActNorm, ReLU, zero conv: the subnet of the SR couplings."""

    def __init__(self, in_channels: int, out_channels: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, hidden, 3, padding=1, bias=False)
        self.actnorm1 = ActNorm(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, 1, bias=False)
        self.actnorm2 = ActNorm(hidden)
        self.conv3 = ZeroConv(hidden, out_channels)
        for conv in (self.conv1, self.conv2):
            nn.init.normal_(conv.weight, std=0.05)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, H, W) to (N, out, H, W)."""
        x = F.relu(self.actnorm1(self.conv1(x))[0])
        x = F.relu(self.actnorm2(self.conv2(x))[0])
        return self.conv3(x)


class DenseBlock(nn.Module):
    """Five 3x3 convolutions, each seeing the input and all outputs before it; LeakyReLU 0.2 after four.

    The subnet of the rescaling couplings, and the body of a residual dense block (ESRGAN, section 3.1).
    """

    def __init__(self, in_channels: int, out_channels: int, growth: int, zero: bool = True) -> None:
        super().__init__()
        outs = (growth, growth, growth, growth, out_channels)
        self.convs = nn.ModuleList(nn.Conv2d(in_channels + i * growth, out, 3, padding=1) for i, out in enumerate(outs))
        for i, conv in enumerate(self.convs):
            scaled_xavier_(conv, 0.0 if zero and i == 4 else 0.1)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, H, W) to (N, out, H, W)."""
        features = [x]
        for conv in self.convs[:4]:
            features.append(F.leaky_relu(conv(torch.cat(features, 1)), 0.2))
        return self.convs[4](torch.cat(features, 1))
