"""HCFlow: super-resolution of the LR image it is given, or rescaling with an LR image that it makes itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import torch

from bench.errors import BenchError
from bench.methods.method import MethodEntry
from hcflow.checkpoint import load
from hcflow.errors import HCFlowError, SingularWeightError
from hcflow.folded.decoder import fold
from hcflow.images.io import Pixels
from hcflow.images.tensors import to_pixels, to_tensor
from hcflow.memory import free_bytes
from hcflow.model import HCFlow, bits_per_pixel
from hcflow.planning import plan_decode
from hcflow.tiling import decode_in_tiles, downscale_in_tiles

Task = Literal["super-resolution", "rescaling"]
_PRECISIONS: dict[str, Literal["fp32", "bf16"]] = {"fp32": "fp32", "tf32": "fp32", "bf16": "bf16"}


class SuperResolution:
    """Draws HR images of an LR image, and encodes HR images."""

    def __init__(self, model: HCFlow, device: torch.device, precision: str = "fp32") -> None:
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        self.how = ""
        self._decoder = fold(model, _PRECISIONS[precision]).to(device)
        self._model = model
        self._device = device

    @torch.no_grad()
    def restore(self, lr: torch.Tensor, temperature: float, seeds: Sequence[int]) -> torch.Tensor:
        """(3, h, w) in [0, 1] to (len(seeds), 3, scale*h, scale*w).

        The noise of each draw comes from its seed, on the CPU, so any device and any number of draws gives the same.
        """
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        height, width = lr.shape[-2:]
        plan = plan_decode(self._model.config, height, width, len(seeds), free_bytes(self._device))
        self.how = "" if plan.whole else plan.describe()
        x = lr[None].float().to(self._device)
        return decode_in_tiles(self._decoder, x, temperature, generators, len(seeds), plan)

    @torch.no_grad()
    def encode_lr(self, hr: Pixels, seed: int) -> torch.Tensor | None:
        """y_L of the forward pass: uint8 (H, W[, 3]) to (3, H/scale, W/scale), neither clamped nor rounded.

        For super-resolution HR gets dequantisation noise first, drawn on the CPU from `seed`. None where the latent
        holds no LR image (Table 1, cases 1 and 2).
        """
        if not self._model.config.lr_in_latent:
            return None
        noisy = self._model.dequantise(to_tensor(hr), generator=torch.Generator().manual_seed(seed))
        return downscale_in_tiles(self._model, noisy.to(self._device))[0]

    @torch.no_grad()
    def bits_per_pixel(self, hr: Pixels, lr: torch.Tensor, seed: int) -> float:
        """-log2 p(hr, lr) per pixel, three channels together; HR is encoded as a whole."""
        noise = torch.Generator().manual_seed(seed)
        log_p = self._model.log_likelihood(
            to_tensor(hr).to(self._device), lr[None].float().to(self._device), generator=noise
        )
        return float(bits_per_pixel(log_p, hr.shape[0] * hr.shape[1]))


class Rescaling:
    """Shrinks images itself, to 8 bits, and restores them."""

    def __init__(self, model: HCFlow, device: torch.device, precision: str = "fp32") -> None:
        self._of = SuperResolution(model, device, precision)
        self.parameters = self._of.parameters
        self.restore = self._of.restore
        self.encode_lr = self._of.encode_lr

    @property
    def how(self) -> str:
        """What was done with the last image."""
        return self._of.how

    def downscale(self, hr: Pixels) -> torch.Tensor:
        """uint8 (H, W[, 3]), sides divisible by the scale, to the LR image (3, H/scale, W/scale) in [0, 1], 8 bits."""
        lr = self.encode_lr(hr, 0)
        assert lr is not None  # rescaling networks have it
        return to_tensor(to_pixels(lr))[0]


def task_of(model: HCFlow) -> Task:
    """What a network is for."""
    return "rescaling" if model.config.q is None else "super-resolution"


def build(
    scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32", task: Task = "super-resolution"
) -> SuperResolution | Rescaling:
    """The method for a checkpoint, official or our own.

    Raises:
        BenchError: not one file, not an HCFlow checkpoint, another scale or task, or a network that cannot be inverted.
    """
    if len(weights) != 1:
        raise BenchError(f"hcflow: expected one file of weights, got {len(weights)}")
    if task not in get_args(Task) or precision not in _PRECISIONS:
        raise BenchError(
            f"hcflow: expected a task of {', '.join(get_args(Task))} and a precision of {', '.join(_PRECISIONS)}, "
            f"got {task!r} and {precision!r}"
        )
    model = network(scale, weights[0], device)
    if task_of(model) != task:
        raise BenchError(f"{weights[0]}: expected a network for {task}, got one for {task_of(model)}")
    try:
        return (Rescaling if task == "rescaling" else SuperResolution)(model, device, precision)
    except SingularWeightError as error:
        raise BenchError(f"{weights[0]}: {error}") from None


def network(scale: int, file: Path, device: torch.device) -> HCFlow:
    """The network in a file.

    Raises:
        BenchError: not an HCFlow checkpoint, or one for another scale.
    """
    try:
        model = load(file, device)
    except HCFlowError as error:
        raise BenchError(str(error)) from None
    if model.config.scale != scale:
        raise BenchError(f"{file}: expected a network for x{scale}, got one for x{model.config.scale}")
    return model


METHOD = MethodEntry(
    name="hcflow",
    title="HCFlow",
    kind="either",
    scales=(4, 8),
    stochastic=True,
    paper="ICCV 2021",
    build=build,
    module=__name__,
    tiling="whole where memory allows, else tiles of each level with its receptive field as halo (exact to rounding)",
)
