"""The protocol of an invertible layer, and composition."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Compose", "Transform", "sum_per_image"]


class Transform(nn.Module):
    """A bijection of x for each value of the context.

    Two methods instead of a reverse flag. Both return the log-determinant, shape (N,), of the direction
    that was run, so that `inverse` returns minus what `forward` returned at the same point.
    """

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map x (N, C, H, W) to y; return y and log|det dy/dx| (N,)."""
        raise NotImplementedError

    def inverse(self, y: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map y to x; return x and log|det dx/dy| (N,)."""
        raise NotImplementedError


class Compose(Transform):
    """y = t_n(.. t_2(t_1(x))); log-determinants add up. Every part sees the same context."""

    def __init__(self, *steps: Transform) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run the parts in order."""
        total = x.new_zeros(len(x))
        for step in self.steps:
            x, log_det = step(x, context)
            total = total + log_det
        return x, total

    def inverse(self, y: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run the inverses in reverse order."""
        total = y.new_zeros(len(y))
        for step in reversed(self.steps):
            y, log_det = step.inverse(y, context)  # type: ignore[operator]
            total = total + log_det
        return y, total


def sum_per_image(x: Tensor) -> Tensor:
    """Sum over all but the batch dimension: (N, ...) -> (N,)."""
    return x.sum(tuple(range(1, x.ndim)))
