"""From a file of weights to a method: what all deterministic networks do in the same way."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from bench.errors import BenchError
from bench.methods.networks.feedforward import OnLuma, OnRGB
from bench.methods.networks.inference import Runner
from bench.methods.networks.state import count


def on_rgb(
    network: nn.Module,
    scale: int,
    device: torch.device,
    precision: str,
    *,
    reach: int | None = None,
    least: int = 1,
    unit: float = 1.0,
) -> OnRGB:
    """A method of an RGB network; see `Runner` and `OnRGB` for what the arguments mean."""
    return OnRGB(Runner(placed(network, device), scale, device, precision, reach, least), count(network), unit)


def on_luma(
    network: nn.Module, scale: int, device: torch.device, precision: str, *, reach: int | None = None, enlarged: bool
) -> OnLuma:
    """A method of a luma network; see `Runner` and `OnLuma` for what the arguments mean."""
    run = Runner(placed(network, device), 1 if enlarged else scale, device, precision, reach)
    return OnLuma(run, count(network), scale, enlarged)


def placed(network: nn.Module, device: torch.device) -> nn.Module:
    """The network on its device, in evaluation mode, its weights in the order that convolutions are fastest with."""
    network.requires_grad_(False)
    return network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]


def check_scale(file: Path, wanted: int, got: int) -> None:
    """Refuse weights that enlarge by another factor.

    Raises:
        BenchError: `got` is not `wanted`.
    """
    if got != wanted:
        raise BenchError(f"{file}: expected a network for x{wanted}, got one for x{got}")
