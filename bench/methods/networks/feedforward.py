"""Deterministic networks as methods: on RGB images, or on the luma plane alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.errors import BenchError
from bench.methods.networks.inference import Runner
from hcflow.images.matlab_resize import imresize

_RGB_TO_YCBCR = (
    torch.tensor([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]], dtype=torch.float64)
    / 255
)
"""BT.601, studio range, of values in [0, 1]; the offsets are 16, 128 and 128, over 255."""
_OFFSET = torch.tensor([16.0, 128.0, 128.0], dtype=torch.float64)[:, None, None] / 255


class OnRGB:
    """A network that maps RGB images to RGB images.

    Attributes:
        parameters: of the network.
        tiling: how an image too large for memory is cut.
    """

    def __init__(self, run: Runner, parameters: int, unit: float = 1.0) -> None:
        """`unit` is what the network calls white: 1, or 255."""
        self._run, self._unit = run, unit
        self.parameters = parameters
        self.tiling = run.policy

    def restore(self, lr: Tensor, temperature: float, seeds: Sequence[int]) -> Tensor:
        """(3, h, w) in [0, 1] to (len(seeds), 3, scale*h, scale*w): the same image for every seed and temperature.

        Raises:
            BenchError: the image has other channels.
        """
        if lr.shape[0] != 3:
            raise BenchError(
                f"expected an RGB image (3, h, w), got {tuple(lr.shape)}: this network has no luma protocol (work=y)"
            )
        sr = self._run(lr * self._unit if self._unit != 1 else lr) / self._unit
        return sr.expand(len(seeds), *sr.shape)


class OnLuma:
    """A network that maps luma planes to luma planes; chroma is enlarged with MATLAB's bicubic kernel.

    Attributes:
        parameters: of the network.
        tiling: how an image too large for memory is cut.
    """

    def __init__(self, run: Runner, parameters: int, scale: int, enlarged: bool) -> None:
        """`enlarged`: the network keeps the size, so the plane is enlarged bicubically first."""
        self._run, self._scale, self._enlarged = run, scale, enlarged
        self.parameters = parameters
        self.tiling = run.policy

    def restore(self, lr: Tensor, temperature: float, seeds: Sequence[int]) -> Tensor:
        """(1, h, w), a plane over 255, or (3, h, w) in [0, 1], to (len(seeds), C, scale*h, scale*w) in float64.

        The same image for every seed and temperature. RGB goes through BT.601 YCbCr in double precision, unrounded.
        """
        planes = lr.double().cpu()
        if len(planes) == 1:
            sr = self._luma(planes)
        else:
            ycbcr = rgb_to_ycbcr(planes)
            sr = ycbcr_to_rgb(torch.cat((self._luma(ycbcr[:1]), self._bicubic(ycbcr[1:]))))
        return sr.expand(len(seeds), *sr.shape)

    def _luma(self, plane: Tensor) -> Tensor:
        return self._run(self._bicubic(plane) if self._enlarged else plane).double().cpu()

    def _bicubic(self, planes: Tensor) -> Tensor:
        return imresize(planes, size=(planes.shape[-2] * self._scale, planes.shape[-1] * self._scale))


def rgb_to_ycbcr(rgb: Tensor) -> Tensor:
    """(3, H, W) float64 in [0, 1] to BT.601 studio-range YCbCr over 255, unrounded."""
    return torch.einsum("ij,jhw->ihw", _RGB_TO_YCBCR, rgb) + _OFFSET


def ycbcr_to_rgb(ycbcr: Tensor) -> Tensor:
    """The inverse of `rgb_to_ycbcr`."""
    return torch.einsum("ij,jhw->ihw", torch.linalg.inv(_RGB_TO_YCBCR), ycbcr - _OFFSET)
