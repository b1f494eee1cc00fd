"""How far a decoding or downscaling has come, seen from outside: its networks report when they have run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hcflow.cli.batch import Report
from hcflow.folded.dense import FoldedConditioner, FoldedDense
from hcflow.folded.level import FoldedFCN
from hcflow.level import Level
from hcflow.nets.subnets import FCN, DenseBlock
from hcflow.tiling import tiles

if TYPE_CHECKING:
    from torch import nn

    from hcflow.model import Decoder, HCFlow
    from hcflow.planning import Plan

__all__ = ["decoding", "downscaling"]

_PARTS = 1000
"""In how many parts an image is reported at most."""
_NETWORKS = (FoldedDense, FoldedFCN, FCN, DenseBlock)
"""Nearly all time goes into these, in proportion to their weights times the pixels that they see."""


@contextmanager
def decoding(decoder: Decoder, plan: Plan, report: Report) -> Iterator[None]:
    """Report how much of one image is decoded, while it is: time left is known long before the first tile is done.

    Args:
        decoder: of `fold`; what it computes does not change.
        plan: how all draws of the image are decoded.
        report: see `Report`.
    """
    costs: dict[nn.Module, float] = {}
    total = 0
    for each in plan.levels:
        level = decoder.levels[each.level - 1]
        regions = [tile.region for tile in tiles(each.height, each.width, each.side, each.halo)]
        pixels = sum((bottom - top) * (right - left) for top, bottom, left, right in regions)
        networks = _networks(level)
        costs |= dict.fromkeys(networks, pixels / len(regions))
        conditioner = sum(sum(_networks(part).values()) for part in level.modules() if _is_conditioner(part))
        # where the image is decoded as a whole, the draws of one call share what the deepest conditioner makes of it
        calls = plan.calls if plan.whole and each.level == len(plan.levels) else plan.samples
        total += pixels * (plan.samples * (sum(networks.values()) - conditioner) + calls * conditioner)
    with _counting({network: cost * _weights(network) for network, cost in costs.items()}, total, report):
        yield


@contextmanager
def downscaling(model: HCFlow, tiles: int, report: Report) -> Iterator[None]:
    """Report how much of one image is downscaled, while it is.

    Args:
        model: that downscales; what it computes does not change.
        tiles: number of them, each about as large as the others.
        report: see `Report`.
    """
    costs: dict[nn.Module, float] = {}
    for number, level in enumerate(model.levels):
        assert isinstance(level, Level)
        costs |= {network: weights * 0.25**number for network, weights in _networks(level.flow).items()}
    with _counting(costs, tiles * sum(costs.values()), report):
        yield


@contextmanager
def _counting(costs: Mapping[nn.Module, float], total: float, report: Report) -> Iterator[None]:
    done = 0.0
    shown = 0

    def count(network: nn.Module, *_: object) -> None:
        nonlocal done, shown
        done += costs[network]
        part = min(round(_PARTS * done / total), _PARTS)
        if part > shown:
            shown = part
            report(part, _PARTS)

    hooks = [network.register_forward_hook(count) for network in costs]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _networks(whole: nn.Module) -> dict[nn.Module, int]:
    """The networks of a part of the model, and their weights."""
    return {network: _weights(network) for network in whole.modules() if isinstance(network, _NETWORKS)}


def _is_conditioner(part: nn.Module) -> bool:
    return isinstance(part, FoldedConditioner)


def _weights(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
