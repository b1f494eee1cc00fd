"""From values per image and draw to a mean with its errors, and from a mean to a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Literal

import numpy as np

from bench.errors import BenchError

Verdict = Literal["matches", "better", "differs", "partial", "no published value", "not run"]
VERDICTS: tuple[Verdict, ...] = ("matches", "better", "differs", "partial", "no published value", "not run")


@dataclass(frozen=True)
class Estimate:
    """Mean over images of the per-image mean over draws.

    Attributes:
        mean: infinite where any image's value is; NaN where some are infinite upwards and some downwards.
        stderr: standard error over images; None for one image or a mean that is not finite.
        n: images.
        draw_stderr: standard error of the mean that comes from the draws alone.
        infinite: images whose value is infinite (for PSNR, an SR image identical to its HR image).
    """

    mean: float
    stderr: float | None
    n: int
    draw_stderr: float
    infinite: int

    @classmethod
    def of(cls, values: Sequence[Sequence[float]]) -> Estimate:
        """From one list of draws per image; at least one image."""
        means = np.array([_mean(draws) for draws in values])
        infinite = int(np.isinf(means).sum() + np.isnan(means).sum())
        n = len(means)
        if infinite:
            return cls(_mean(means.tolist()), None, n, 0.0, infinite)
        variances = [float(np.var(draws, ddof=1)) / len(draws) if len(draws) > 1 else 0.0 for draws in values]
        stderr = float(np.std(means, ddof=1) / math.sqrt(n)) if n > 1 else None
        return cls(float(np.mean(means)), stderr, n, math.sqrt(sum(variances)) / n, infinite)


def _mean(values: Sequence[float]) -> float:
    """The mean, without a warning about infinite values of both signs."""
    signs = {math.copysign(1, value) for value in values if math.isinf(value)}
    if any(math.isnan(value) for value in values) or len(signs) == 2:
        return math.nan
    return math.copysign(math.inf, signs.pop()) if signs else float(np.mean(values))


def verdict(value: Estimate, published: str, direction: str) -> Verdict:
    """Whether a measured value holds what was printed.

    It matches where rounding or truncating it to the printed digits gives the published value, or where it is off by
    no more than twice the standard error that the draws of a stochastic method leave.
    """
    if math.isnan(value.mean):
        return "differs"
    if math.isinf(value.mean):
        return "better" if (value.mean > 0) == (direction == "higher") else "differs"
    printed = decimal(published)
    unit = Decimal(1).scaleb(int(printed.as_tuple().exponent))
    measured = Decimal(repr(value.mean))  # its shortest decimal: 28.415 is a tie, as it reads
    if printed in (measured.quantize(unit, ROUND_HALF_UP), measured.quantize(unit, ROUND_DOWN)):
        return "matches"
    difference = measured - printed
    if abs(difference) <= unit / 2 + Decimal(2 * value.draw_stderr):
        return "matches"
    return "better" if (difference > 0) == (direction == "higher") else "differs"


def decimal(published: str) -> Decimal:
    """A printed number, with its digits.

    Raises:
        BenchError: it is none.
    """
    try:
        number = Decimal(published)
    except InvalidOperation:
        raise BenchError(f"expected a published number, got {published!r}") from None
    if not number.is_finite():
        raise BenchError(f"expected a finite published number, got {published!r}")
    return number


def decimals_of(published: str | None, default: int) -> int:
    """Digits after the point of a printed number."""
    return default if published is None else max(0, -int(decimal(published).as_tuple().exponent))
