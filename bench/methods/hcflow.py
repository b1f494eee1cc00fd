"""HCFlow: super-resolution of the LR image it is given, or rescaling with an LR image that it makes itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from bench.errors import BenchError
from hcflow.checkpoint import load
from hcflow.errors import HCFlowError, SingularWeightError
from hcflow.folded.decoder import fold
from hcflow.images.io import Pixels
from hcflow.images.tensors import to_pixels, to_tensor
from hcflow.model import HCFlow
from hcflow.tiling import decode_in_tiles, downscale_in_tiles


class SuperResolution:
    """Draws HR images of an LR image."""

    def __init__(self, model: HCFlow, device: torch.device) -> None:
        self._decoder = fold(model, "fp32").to(device)
        self._device = device

    @torch.no_grad()
    def restore(self, lr: torch.Tensor, temperature: float, seed: int) -> torch.Tensor:
        """(3, h, w) in [0, 1] to (3, scale*h, scale*w); the noise is drawn on the CPU, so any device gives the same."""
        generator = torch.Generator().manual_seed(seed)
        return decode_in_tiles(self._decoder, lr[None].float().to(self._device), temperature, generator)[0]


class Rescaling(SuperResolution):
    """Shrinks images itself, to 8 bits, and restores them."""

    def __init__(self, model: HCFlow, device: torch.device) -> None:
        super().__init__(model, device)
        self._model = model

    @torch.no_grad()
    def downscale(self, hr: Pixels) -> torch.Tensor:
        """uint8 (H, W[, 3]), sides divisible by the scale, to the LR image (3, H/scale, W/scale) in [0, 1], 8 bits."""
        lr = to_pixels(downscale_in_tiles(self._model, to_tensor(hr).to(self._device))[0])
        return to_tensor(lr)[0]


Task = Literal["super-resolution", "rescaling"]


def hcflow(
    scale: int, weights: Sequence[Path], device: torch.device, task: Task = "super-resolution"
) -> SuperResolution:
    """The method for a checkpoint, official or our own.

    Raises:
        BenchError: not one file, no HCFlow checkpoint, one for another scale or task, or one that cannot be inverted.
    """
    if len(weights) != 1:
        raise BenchError(f"hcflow: expected one file of weights, got {len(weights)}")
    model = network(scale, weights[0], device, task)
    try:
        return (Rescaling if task == "rescaling" else SuperResolution)(model, device)
    except SingularWeightError as error:
        raise BenchError(f"{weights[0]}: {error}") from None


def network(scale: int, file: Path, device: torch.device, task: Task = "super-resolution") -> HCFlow:
    """The network in a file.

    Raises:
        BenchError: no HCFlow checkpoint, or one for another scale or task.
    """
    try:
        model = load(file, device)
    except HCFlowError as error:
        raise BenchError(str(error)) from None
    if model.config.scale != scale:
        raise BenchError(f"{file}: expected a network for x{scale}, got one for x{model.config.scale}")
    got: Task = "rescaling" if model.config.q is None else "super-resolution"
    if got != task:
        raise BenchError(f"{file}: expected a network for {task}, got one for {got}")
    return model
