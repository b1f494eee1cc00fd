"""One level, decoding only: ActNorms folded into convolutions, 1x1 inverses taken once, in float64."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hcflow.flow.actnorm import ActNorm
from hcflow.flow.coupling import AdditiveCoupling, AffineCoupling, bounded_log_scale
from hcflow.flow.gaussian import ConditionalGaussian
from hcflow.flow.invconv import InvertibleConv, invert
from hcflow.flow.transform import Compose
from hcflow.folded.dense import FoldedConditioner, FoldedDense, constant, conv
from hcflow.level import Level
from hcflow.nets.subnets import FCN, ZeroConv

__all__ = ["FoldedLevel"]


class FoldedLevel(nn.Module):
    """`Level.condition` and `Level.generate`, the same to rounding.

    Networks run in `dtype`; what they move (the flow itself) stays in float32.
    """

    def __init__(self, level: Level, dtype: torch.dtype) -> None:
        super().__init__()
        self.y_channels, self.a_channels = level.y_channels, level.a_channels
        squeeze, *steps = level.flow.steps
        *conditional, gaussian = level.conditional_flow.steps
        assert isinstance(gaussian, ConditionalGaussian)
        self.squeeze = squeeze
        self.steps = nn.ModuleList(FoldedStep(step, 0, dtype) for step in steps)
        self.phi: FoldedConditioner | None = None
        context = 0
        if level.phi is not None:
            context = level.phi.config.channels
            self.phi = FoldedConditioner(level.phi, level.sees, dtype)
        self.conditional = nn.ModuleList(FoldedStep(step, context, dtype) for step in conditional)
        self.gaussian = FoldedGaussian(gaussian, dtype)

    def condition(self, y: Tensor, coarser: list[Tensor]) -> Tensor | None:
        """c_l, as `Level.condition`, in the precision of the networks."""
        return None if self.phi is None else self.phi(y, coarser)

    def generate(self, z: Tensor, y: Tensor, c: Tensor | None) -> Tensor:
        """y_{l-1}, as `Level.generate`, image by image.

        That suits caches, and no bit of a draw depends on how many are made in one call; batched convolutions may add
        in another order.
        """
        return torch.cat([self._generate(*image) for image in zip(*_one_by_one(z, y, c), strict=True)])

    def _generate(self, z: Tensor, y: Tensor, c: Tensor | None) -> Tensor:
        a = self.gaussian(z, c)
        for step in reversed(self.conditional):
            a = step(a, c)
        h = torch.cat((y, a), 1).contiguous(memory_format=torch.channels_last)
        for step in reversed(self.steps):
            h = step(h, None)
        return self.squeeze.inverse(h)[0]  # type: ignore[operator]


class FoldedStep(nn.Module):
    """The inverse of a flow step: undo the coupling, then W^-1 and ActNorm as one affine map of the channels.

    ActNorm, then W: y = W ((x + b) e^s), so x = e^-s W^-1 y - b: one 1x1 convolution with a bias.
    """

    def __init__(self, step: nn.Module, context: int, dtype: torch.dtype) -> None:
        super().__init__()
        assert isinstance(step, Compose)
        actnorm, *middle, coupling = step.steps
        assert isinstance(actnorm, ActNorm)
        scale = (-actnorm.logs.detach().double()).exp().flatten()
        mix = torch.diag(scale)
        for conv1x1 in middle:
            assert isinstance(conv1x1, InvertibleConv)
            mix = scale[:, None] * invert(conv1x1.weight.detach(), torch.float64)
        self.mix = constant(mix[:, :, None, None], torch.float32)
        self.bias = constant(-actnorm.bias.flatten(), torch.float32)
        self.coupling = _fold_coupling(coupling, context, dtype)

    def forward(self, y: Tensor, c: Tensor | None) -> Tensor:
        """Map y (1, C, H, W) to x, with c_l of the same image."""
        return conv(self.coupling(y, c), self.mix, self.bias)


def _fold_coupling(coupling: nn.Module, context: int, dtype: torch.dtype) -> nn.Module:
    if isinstance(coupling, AdditiveCoupling):
        assert isinstance(coupling.subnet, nn.Module)
        return FoldedAdditive(coupling, dtype)
    assert isinstance(coupling, AffineCoupling)
    return FoldedAffine(coupling, context, dtype)


class FoldedAdditive(nn.Module):
    """The inverse of an additive coupling."""

    def __init__(self, coupling: AdditiveCoupling, dtype: torch.dtype) -> None:
        super().__init__()
        self.shifted = coupling.shifted
        self.subnet = FoldedDense(coupling.subnet, dtype)  # type: ignore[arg-type]

    def forward(self, y: Tensor, c: Tensor | None) -> Tensor:
        """Shift the first channels back."""
        z1, z2 = y[:, : self.shifted], y[:, self.shifted :]
        return torch.cat((z1 - self.subnet(z2), z2), 1)


class FoldedAffine(nn.Module):
    """The inverse of an affine coupling."""

    def __init__(self, coupling: AffineCoupling, context: int, dtype: torch.dtype) -> None:
        super().__init__()
        assert coupling.log_scale is bounded_log_scale
        assert not coupling.scale_first
        self.conditioning = coupling.conditioning
        subnet = coupling.subnet
        self.subnet: FoldedFCN | FoldedDense
        if isinstance(subnet, FCN):
            self.subnet = FoldedFCN(subnet, context, dtype)
        else:
            self.subnet = FoldedDense(subnet, dtype)  # type: ignore[arg-type]

    def forward(self, y: Tensor, c: Tensor | None) -> Tensor:
        """z2 -> z2 exp(-log s) - shift."""
        z1, z2 = y[:, : self.conditioning], y[:, self.conditioning :]
        fcn = isinstance(self.subnet, FoldedFCN)
        output = (self.subnet(z1, c) if fcn else self.subnet(z1)).float()
        scale = torch.atan(2 * output[:, 1::2]).mul_(-0.318).exp_()
        return torch.cat((z1, z2 * scale - output[:, 0::2]), 1)


class FoldedFCN(nn.Module):
    """An FCN subnet with its ActNorms and output scale folded into its convolutions.

    The first convolution is cut in two, for z1 and for c_l, so that they need not be concatenated.
    """

    def __init__(self, fcn: FCN, context: int, dtype: torch.dtype) -> None:
        super().__init__()
        weight1, bias1 = _with_actnorm(fcn.conv1, fcn.actnorm1)
        weight2, bias2 = _with_actnorm(fcn.conv2, fcn.actnorm2)
        from_z1, seen = weight1.split((weight1.shape[1] - context, context), 1)
        self.from_z1 = constant(from_z1, dtype)
        self.seen = constant(seen, dtype) if context else None
        self.bias1 = constant(bias1, dtype)
        self.conv2, self.bias2 = constant(weight2, dtype), constant(bias2, dtype)
        weight3, bias3 = _zero_conv(fcn.conv3)
        self.conv3, self.bias3 = constant(weight3, dtype), constant(bias3, dtype)

    def forward(self, z1: Tensor, c: Tensor | None) -> Tensor:
        """Map z1 (1, .., H, W) and c_l to (1, out, H, W)."""
        h = conv(z1, self.from_z1, self.bias1)
        if self.seen is not None and c is not None:
            h.add_(conv(c, self.seen))
        h = conv(F.relu_(h), self.conv2, self.bias2)
        return conv(F.relu_(h), self.conv3, self.bias3)


class FoldedGaussian(nn.Module):
    """a = mean + sigma z, with the output scale folded into the convolution."""

    def __init__(self, gaussian: ConditionalGaussian, dtype: torch.dtype) -> None:
        super().__init__()
        self.bounded = gaussian.bounded
        self.weight: nn.Parameter | None = None
        if hasattr(gaussian, "conv"):
            assert isinstance(gaussian.conv, ZeroConv)
            weight, bias = _zero_conv(gaussian.conv)
            self.weight, self.bias = constant(weight, dtype), constant(bias, dtype)
        else:
            self.constant = constant(gaussian.constant, torch.float32)

    def forward(self, z: Tensor, c: Tensor | None) -> Tensor:
        """Map z (1, C, H, W) to a, with c_l of the same image."""
        if c is None or self.weight is None:
            output: Tensor = self.constant
        else:
            output = conv(c, self.weight, self.bias).float()
        log_sigma = bounded_log_scale(output[:, 1::2]) if self.bounded else output[:, 1::2]
        return (output[:, 0::2] + log_sigma.exp() * z).contiguous(memory_format=torch.channels_last)


def _one_by_one(z: Tensor, *shared: Tensor | None) -> list[list[Tensor | None]]:
    """The N images of z, and for each of them its part of what has N images or a divisor of N, or is None."""
    count = len(z)
    return [[None] * count if x is None else [x[i * len(x) // count, None] for i in range(count)] for x in (z, *shared)]


def _with_actnorm(conv2d: nn.Conv2d, actnorm: ActNorm) -> tuple[Tensor, Tensor]:
    scale = actnorm.logs.detach().double().exp().flatten()
    return conv2d.weight.double() * scale[:, None, None, None], actnorm.bias.double().flatten() * scale


def _zero_conv(zero: ZeroConv) -> tuple[Tensor, Tensor]:
    scale = (3 * zero.logs.detach().double()).exp().flatten()
    return zero.weight.double() * scale[:, None, None, None], torch.as_tensor(zero.bias).double() * scale
