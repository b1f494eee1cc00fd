"""TAD & TAU, task-aware image downscaling (Kim et al., ECCV 2018), as far as it is known.

Neither code nor weights were ever published. This is the architecture of an unofficial re-implementation
(simon-schaefer/tar), whose names it keeps; blocks and filters of the original are unknown.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["TADTAU"]


class TADTAU(nn.Module):
    """An auto-encoder whose code is the image at half its size; larger factors use it again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._downscaling = nn.Sequential(_conv(3, 8), _conv(8, 16), nn.PixelUnshuffle(2))
        self._res_en1, self._res_en2, self._res_en3 = _Residual(64), _Residual(64), _Residual(64)
        self._conv_en1, self._conv_en2 = _conv(64, 64), _conv(64, 3)
        self._conv_de1 = _conv(3, 64)
        self._res_de1, self._res_de2, self._res_de3 = _Residual(64), _Residual(64), _Residual(64)
        self._conv_de2 = _conv(64, 64)
        self._upscaling = nn.Sequential(_conv(64, 256), nn.PixelShuffle(2), _conv(64, 3))

    def downscale(self, x: Tensor, times: int = 1) -> Tensor:
        """TAD: (N, 3, H, W) to (N, 3, H/2^times, W/2^times)."""
        for _ in range(times):
            code = self._downscaling(x)
            x = self._conv_en2(self._conv_en1(self._res_en3(self._res_en2(self._res_en1(code)))) + code)
        return x

    def upscale(self, x: Tensor, times: int = 1) -> Tensor:
        """TAU: (N, 3, h, w) to (N, 3, 2^times h, 2^times w)."""
        for _ in range(times):
            code = self._conv_de1(x)
            x = self._upscaling(self._conv_de2(self._res_de3(self._res_de2(self._res_de1(code)))) + code)
        return x


class _Residual(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.filter_block = nn.Sequential(_conv(features, features), nn.ReLU(), _conv(features, features))

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, h, w) to the same shape."""
        return x + self.filter_block(x)


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)
