"""The networks inside coupling layers. All start at zero output, so that a coupling starts as identity."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hcflow.flow.actnorm import ActNorm
from hcflow.nets.dense import convolve, dense_convolutions

__all__ = [
    "FCN",
    "DenseBlock",
    "Interleaved",
    "Subnet",
    "ZeroConv",
    "ZeroSubnet",
    "scaled_xavier_",
    "set_compilation",
    "set_recomputation",
    "set_subnet_precision",
    "widen_",
]


def scaled_xavier_(conv: nn.Conv2d, scale: float = 0.1) -> None:
    """Initialise a convolution in place: weight Xavier normal times `scale`, bias 0; nothing on the device meta."""
    if conv.weight.is_meta:  # has no values, but drawing them would import torch's compiler, which takes seconds
        return
    nn.init.xavier_normal_(conv.weight)
    with torch.no_grad():
        conv.weight.mul_(scale)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def widen_(model: nn.Module, std: float = 0.05) -> None:
    """Draw the first two convolutions of every FCN in a model anew, from N(0, std^2): 4 to 15 times as wide."""
    for module in model.modules():
        if isinstance(module, FCN):
            for conv in (module.conv1, module.conv2):
                nn.init.normal_(conv.weight, std=std)


class Subnet(nn.Module):
    """A network inside the flow, which may compute in less precision than the flow around it.

    Subclasses define `compute`. The result may come in the lower precision; what adds it to the flow
    casts it, so that flow arithmetic and log-determinants keep theirs.
    """

    precision: torch.dtype | None = None
    """Of the convolutions; None: that of the input. `set_subnet_precision` sets it."""
    recompute = False
    """Whether the backward pass computes it again instead of keeping what is inside."""
    _compiled: Callable[[Tensor, Tensor | None], Tensor] | None = None
    by_parts = False
    """Whether its parts, not the whole, are what is worth recomputing."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Map x (N, in, H, W), and the context of a conditional coupling, to (N, out, H, W)."""
        run = self._compiled if self._compiled is not None and self.training else self._in_precision
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(run, x, context, use_reentrant=False)
        return run(x, context)

    def _in_precision(self, x: Tensor, context: Tensor | None) -> Tensor:
        if self.precision is None:
            return self.compute(x, context)
        with torch.autocast(x.device.type, self.precision):
            return self.compute(x, context)

    def compute(self, x: Tensor, context: Tensor | None) -> Tensor:
        """`forward` in whatever precision is set."""
        raise NotImplementedError


def set_subnet_precision(model: nn.Module, precision: torch.dtype | None) -> None:
    """Let every outermost subnet of a model compute in `precision`; None: as the flow does."""
    for subnet in _outermost(model):
        subnet.precision = precision


def set_compilation(model: nn.Module, compiled: bool) -> None:
    """Let torch.compile fuse every outermost subnet in training mode; at evaluation every size would compile anew."""
    if compiled:  # a compiled function serves one kind of subnet at one size; the default is 8 of them
        torch._dynamo.config.recompile_limit = 64
    for subnet in _outermost(model):
        subnet._compiled = torch.compile(subnet._in_precision, dynamic=False) if compiled else None


def set_recomputation(model: nn.Module, recompute: bool) -> None:
    """Let the subnets of couplings, and each RRDB of the conditioners, keep their input alone for the backward pass."""
    for child in model.children():
        if isinstance(child, Subnet) and not child.by_parts:
            child.recompute = recompute
        else:
            set_recomputation(child, recompute)


def _outermost(model: nn.Module) -> Iterator[Subnet]:
    for child in model.children():
        if isinstance(child, Subnet):
            yield child
        else:
            yield from _outermost(child)


class ZeroConv(nn.Conv2d):
    """conv3x3(x) exp(3 logs), everything zero at the start (Glow, section 3.3)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        self.logs = nn.Parameter(torch.zeros(out_channels, 1, 1))
        nn.init.zeros_(self.weight)
        nn.init.zeros_(torch.as_tensor(self.bias))

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, in, H, W) to (N, out, H, W); the factor goes into the weights, which are smaller than the output."""
        scale = (3 * self.logs).exp()
        assert self.bias is not None
        return F.conv2d(input, self.weight * scale[:, None], self.bias * scale.flatten(), padding=1)


class ZeroSubnet(Subnet, ZeroConv):
    """A zero conv as a whole network."""

    by_parts = True  # there is nothing inside to keep or to recompute

    def compute(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Map (N, in, H, W) to (N, out, H, W); there is no context."""
        return ZeroConv.forward(self, x)


class FCN(Subnet):
    """conv3x3, ActNorm, ReLU, conv1x1, ActNorm, ReLU, zero conv: the subnet of the SR couplings.

    The first convolution sees x and the context side by side.
    """

    def __init__(self, in_channels: int, out_channels: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, hidden, 3, padding=1, bias=False)
        self.actnorm1 = ActNorm(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, 1, bias=False)
        self.actnorm2 = ActNorm(hidden)
        self.conv3 = ZeroConv(hidden, out_channels)
        for conv in (self.conv1, self.conv2):
            scaled_xavier_(conv)

    def compute(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Map x and the context to (N, out, H, W); x without channels is not looked at."""
        if context is not None and not x.shape[1]:
            x, context = context, None
        h = F.relu(_normalised(self.conv1, self.actnorm1, x, context), inplace=True)
        h = F.relu(_normalised(self.conv2, self.actnorm2, h), inplace=True)
        return self.conv3(h)


def _normalised(conv: nn.Conv2d, actnorm: ActNorm, x: Tensor, context: Tensor | None = None) -> Tensor:
    """actnorm(conv(x and the context side by side)), with the ActNorm inside the convolution's weights.

    The two are convolved one by one and added, because a concatenation would be kept for the backward pass: the
    context, which all steps of a level share, is then kept once.
    """
    if actnorm.awaits_data():
        return actnorm(conv(x if context is None else torch.cat((x, context), 1)))[0]
    scale = actnorm.logs.exp()
    weight, bias = conv.weight * scale.view(-1, 1, 1, 1), (actnorm.bias * scale).flatten()
    if context is None:
        return convolve(x, weight, bias)
    of_x, of_context = weight.split([x.shape[1], context.shape[1]], 1)
    return convolve(context, of_context, bias).add_(convolve(x, of_x))


def _lowered(x: Tensor) -> Tensor:
    """X in the precision of autocast, where that is on."""
    device = x.device.type
    return x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x


class DenseBlock(Subnet):
    """Five 3x3 convolutions, each seeing the input and all outputs before it; LeakyReLU 0.2 after four.

    The subnet of the rescaling couplings, and the body of a residual dense block (ESRGAN, section 3.1).
    """

    def __init__(self, in_channels: int, out_channels: int, growth: int, zero: bool = True) -> None:
        super().__init__()
        outs = (growth, growth, growth, growth, out_channels)
        self.convs = nn.ModuleList(nn.Conv2d(in_channels + i * growth, out, 3, padding=1) for i, out in enumerate(outs))
        for i, conv in enumerate(self.convs):
            scaled_xavier_(conv, 0.0 if zero and i == 4 else 0.1)  # type: ignore[arg-type]

    def compute(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Map (N, in, H, W) to (N, out, H, W)."""
        x = _lowered(x if context is None else torch.cat((x, context), 1))
        convs: list[nn.Conv2d] = list(self.convs)  # type: ignore[arg-type]
        return dense_convolutions(x, [conv.weight for conv in convs], [torch.as_tensor(conv.bias) for conv in convs])


class Interleaved(nn.Module):
    """Two networks of one input as one with interleaved outputs: even channels `shift`, odd channels `scale`."""

    def __init__(self, shift: nn.Module, scale: nn.Module) -> None:
        super().__init__()
        self.shift = shift
        self.scale = scale

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Map x (N, in, H, W) and the context to (N, 2 out, H, W)."""
        return torch.stack((self.shift(x, context), self.scale(x, context)), 2).flatten(1, 2)
