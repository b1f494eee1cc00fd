"""One level of the hierarchy (paper, Fig. 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hcflow.config import Config
from hcflow.flow.actnorm import ActNorm
from hcflow.flow.coupling import AdditiveCoupling, AffineCoupling
from hcflow.flow.gaussian import ConditionalGaussian
from hcflow.flow.invconv import InvertibleConv
from hcflow.flow.squeeze import HaarSqueeze, PixelSqueeze
from hcflow.flow.transform import Compose, Transform
from hcflow.nets.rrdb import Conditioner
from hcflow.nets.subnets import FCN, DenseBlock, ZeroSubnet

__all__ = ["IMAGE_CHANNELS", "Level", "repeat_to"]

IMAGE_CHANNELS = 3


class Level(nn.Module):
    """Level l: y_{l-1} <-> (y_l, z_l).

    ::

        y_{l-1} --squeeze--> K flow steps --split--> y_l
                                            |
                                            a_l --P conditional steps, Gaussian--> z_l
                                                    ^
                               c_l = phi_l(y_l, up(c_{l+1}), .., up(c_L))      (eq. 5)

    Attributes: `flow` (squeeze and K steps), `phi` (the conditioner, or None where nothing is seen),
    `conditional_flow` (P steps and the Gaussian); `y_channels`, `a_channels` of the split; `sees`, the
    channels of y_l (or y*) that phi sees.
    """

    def __init__(self, config: Config, l: int) -> None:  # noqa: E741 - the paper's index, from 1 to L
        super().__init__()
        channels = 4 * IMAGE_CHANNELS * 2 ** (l - 1)  # y_{l-1} has 3 * 2^(l-1); the squeeze makes 4 of each
        deepest = l == config.L
        self.y_channels = channels // 2 if not deepest else IMAGE_CHANNELS * config.lr_in_latent
        self.a_channels = channels - self.y_channels
        self.flow = Compose(
            HaarSqueeze() if config.squeeze == "haar" else PixelSqueeze(),
            *(_main_step(config, channels, k) for k in range(config.K)),
        )
        self.phi: Conditioner | None = None
        c_channels = 0
        self.sees = IMAGE_CHANNELS if deepest else self.y_channels
        if config.deepest_condition != "nothing":
            c_channels = config.conditioner.channels
            coarser = (config.L - l) * c_channels if config.hierarchical else 0
            self.phi = Conditioner(self.sees + coarser, config.conditioner)
        self.conditional_flow = Compose(
            *(_conditional_step(config, self.a_channels, c_channels) for _ in range(config.P)),
            ConditionalGaussian(
                self.a_channels,
                ZeroSubnet(c_channels, 2 * self.a_channels) if c_channels else None,
                bounded=config.sigma == "bounded",
            ),
        )

    def split(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map y_{l-1} to (y_l, a_l, log-det)."""
        h, log_det = self.flow(y)
        return h[:, : self.y_channels], h[:, self.y_channels :], log_det

    def generate(self, z: Tensor, y: Tensor, c: Tensor | None) -> Tensor:
        """Map (z_l, y_l) back to y_{l-1}; each y_l and c_l serves as many neighbouring z_l as there are."""
        a, _ = self.conditional_flow.inverse(z, None if c is None else repeat_to(c, len(z)))
        return self.flow.inverse(torch.cat((repeat_to(y, len(z)), a), 1))[0]

    def condition(self, y: Tensor, coarser: Sequence[Tensor]) -> Tensor | None:
        """c_l from y_l and the conditions of the coarser levels, the finest of them first (eq. 5)."""
        if self.phi is None:
            return None
        up = [F.interpolate(repeat_to(c, len(y)), y.shape[-2:], mode="nearest") for c in coarser]
        return self.phi(torch.cat((y, *up), 1))


def repeat_to(x: Tensor, count: int) -> Tensor:
    """Repeat every image of a batch so that there are `count`: (N, ..) -> (count, ..)."""
    return x if len(x) == count else x.repeat_interleave(count // len(x), 0)


def _main_step(config: Config, channels: int, k: int) -> Transform:
    """ActNorm, 1x1 convolution, affine coupling; or ActNorm and one half of IRN's alternation."""
    if config.coupling == "affine":
        return Compose(ActNorm(channels), InvertibleConv(channels), _fcn_coupling(channels, 0, config.width))
    rest = channels - IMAGE_CHANNELS
    coupling: Transform
    if k % 2 == 0:
        coupling = AffineCoupling(DenseBlock(IMAGE_CHANNELS, 2 * rest, config.width), IMAGE_CHANNELS)
    else:
        coupling = AdditiveCoupling(DenseBlock(rest, IMAGE_CHANNELS, config.width), IMAGE_CHANNELS)
    return Compose(ActNorm(channels), coupling)


def _conditional_step(config: Config, channels: int, context: int) -> Transform:
    """ActNorm, 1x1 convolution and a coupling whose subnet also sees c_l."""
    coupling = _fcn_coupling(channels, context, config.conditional_width)
    return Compose(ActNorm(channels), InvertibleConv(channels), coupling)


def _fcn_coupling(channels: int, context: int, hidden: int) -> AffineCoupling:
    z1 = channels // 2
    return AffineCoupling(FCN(z1 + context, 2 * (channels - z1), hidden), z1)
