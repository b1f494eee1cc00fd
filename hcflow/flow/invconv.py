"""The invertible 1x1 convolution."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hcflow.checks import checking
from hcflow.errors import SingularWeightError
from hcflow.flow.transform import Transform

__all__ = ["WITHOUT_FLOAT64", "InvertibleConv", "invert", "solve_together"]

WITHOUT_FLOAT64 = ("mps",)
"""Kinds of devices that do not compute in float64."""


def invert(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Invert a matrix (C, C), or a stack of them (.., C, C), in float64 and return it as `dtype`.

    Raises:
        SingularWeightError: a condition number (1-norm) leaves under two digits of the weight's precision.
    """
    wide = _in_float64(weight)
    inverse = torch.linalg.inv_ex(wide).inverse
    if checking():
        condition = float((_norm(wide) * _norm(inverse)).max())
        limit = 0.01 / torch.finfo(weight.dtype).eps
        if not condition < limit:  # also when it is not a number
            raise SingularWeightError(
                f"expected a 1x1 convolution with condition number below {limit:.0e} for {weight.dtype}, got "
                f"{condition:.1e}; the weights are damaged or training diverged: use an earlier checkpoint"
            )
    return inverse.to(weight.device, dtype)


class InvertibleConv(Transform):
    """y = W x at every pixel; log-det = H W log|det W| (Glow, section 3.2).

    W is a full matrix, orthogonal at initialisation; its inverse is taken in float64.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(channels, channels)))
        self.solved: tuple[Tensor, Tensor] | None = None  # log|det W| and W^-1, inside `solve_together`

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mix the channels of x (N, C, H, W)."""
        return F.conv2d(x, self.weight[:, :, None, None]), self._log_det(x)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x = W^-1 y; raises SingularWeightError where that has no meaning."""
        inverse = invert(self.weight, y.dtype) if self.solved is None else self.solved[1]
        return F.conv2d(y, inverse[:, :, None, None]), -self._log_det(y)

    def _log_det(self, x: Tensor) -> Tensor:
        log_abs_det = _log_abs_det(self.weight) if self.solved is None else self.solved[0]
        return (log_abs_det * (x.shape[2] * x.shape[3])).to(x.device, x.dtype).expand(len(x))


@contextmanager
def solve_together(model: nn.Module) -> Iterator[None]:
    """Take the determinants and inverses of all 1x1 convolutions of a model in one batch per size.

    Inside, the weights must not change. On a GPU this replaces hundreds of tiny kernels per training step.
    """
    sizes: dict[int, list[InvertibleConv]] = {}
    for module in model.modules():
        if isinstance(module, InvertibleConv):
            sizes.setdefault(len(module.weight), []).append(module)
    try:
        for convs in sizes.values():
            weights = torch.stack([conv.weight for conv in convs])
            solutions = zip(_log_abs_det(weights), invert(weights, weights.dtype), strict=True)
            for conv, solution in zip(convs, solutions, strict=True):
                conv.solved = solution
        yield
    finally:
        for convs in sizes.values():
            for conv in convs:
                conv.solved = None


def _log_abs_det(weight: Tensor) -> Tensor:
    """log|det W| in float64, of one matrix or of a stack."""
    return torch.linalg.slogdet(_in_float64(weight)).logabsdet


def _in_float64(weight: Tensor) -> Tensor:
    """The weight in float64; on the CPU where its device has none."""
    return (weight.cpu() if weight.device.type in WITHOUT_FLOAT64 else weight).double()


def _norm(matrix: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(matrix.detach(), 1)
