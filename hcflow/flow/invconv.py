"""The invertible 1x1 convolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hcflow.errors import SingularWeightError
from hcflow.flow.transform import Transform

__all__ = ["InvertibleConv", "invert"]


def invert(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Invert a matrix (C, C) in float64 and return it as `dtype`.

    Raises:
        SingularWeightError: the condition number (1-norm) leaves under two digits of the weight's precision.
    """
    wide = weight.double()
    inverse = torch.linalg.inv_ex(wide).inverse
    if not torch.compiler.is_compiling():
        condition = float(torch.linalg.matrix_norm(wide.detach(), 1) * torch.linalg.matrix_norm(inverse.detach(), 1))
        limit = 0.01 / torch.finfo(weight.dtype).eps
        if not condition < limit:  # also when it is not a number
            raise SingularWeightError(
                f"expected a 1x1 convolution with condition number below {limit:.0e} for {weight.dtype}, got "
                f"{condition:.1e}; the weights are damaged or training diverged: use an earlier checkpoint"
            )
    return inverse.to(dtype)


class InvertibleConv(Transform):
    """y = W x at every pixel; log-det = H W log|det W| (Glow, section 3.2).

    W is a full matrix, orthogonal at initialisation; its inverse is taken in float64.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(channels, channels)))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mix the channels of x (N, C, H, W)."""
        return F.conv2d(x, self.weight[:, :, None, None]), self._log_det(x)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x = W^-1 y; raises SingularWeightError where that has no meaning."""
        return F.conv2d(y, invert(self.weight, y.dtype)[:, :, None, None]), -self._log_det(y)

    def _log_det(self, x: Tensor) -> Tensor:
        log_abs_det = torch.linalg.slogdet(self.weight.double()).logabsdet
        return (log_abs_det * (x.shape[2] * x.shape[3])).to(x.dtype).expand(len(x))
