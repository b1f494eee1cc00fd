"""From values per image and draw to a mean with its errors, and from a mean to a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
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


@dataclass(frozen=True)
class Tolerance:
    """How far a measured mean may be from a printed number and still be the same number.

    Attributes:
        low: the least number that is printed so, when rounded or truncated.
        high: what every number that is printed so is below (for a negative number, above `low` and up to this).
        draws: what the draws leave open, of a stochastic method: twice the standard error of the difference. The
            printed mean had draws of its own; as many as here are assumed, so that its error is as large as ours and
            that of the difference is sqrt(2) times ours.
        machines: how far means by the same code with other devices or library versions were seen to be.
    """

    low: Decimal
    high: Decimal
    draws: float = 0.0
    machines: float = 0.0

    @classmethod
    def of(cls, published: str, draw_stderr: float = 0.0, machines: float = 0.0) -> Tolerance:
        """Of a printed number.

        Args:
            published: as printed: its digits matter.
            draw_stderr: see Estimate.
            machines: see the attribute.

        Raises:
            BenchError: it is no number.
        """
        printed = decimal(published)
        unit = Decimal(1).scaleb(int(printed.as_tuple().exponent))
        below = unit if printed <= 0 else unit / 2  # rounding takes half a unit, truncation a whole one away from 0
        above = unit if printed >= 0 else unit / 2
        return cls(printed - below, printed + above, 2 * math.sqrt(2) * draw_stderr, machines)

    def holds(self, mean: float) -> bool:
        """Whether a finite mean is the printed number."""
        measured = Decimal(repr(mean))  # its shortest decimal: 28.415 is a tie, as it reads
        slack = Decimal(self.draws) + Decimal(self.machines)
        if slack:
            return self.low - slack <= measured <= self.high + slack
        truncated_up = self.low < 0 and self.low + self.high < 0
        if truncated_up:  # of a negative number, away from zero is down
            return self.low < measured <= self.high
        return (self.low <= measured if self.low > 0 else self.low < measured) and measured < self.high

    def __str__(self) -> str:
        parts = [f"{self.low} to {self.high} is printed so"]
        parts += [f"± {self.draws:.2g} for the draws"] if self.draws else []
        parts += [f"± {self.machines:.2g} for other machines"] if self.machines else []
        return ", ".join(parts)


def verdict(value: Estimate, published: str, direction: str, machines: float = 0.0) -> Verdict:
    """Whether a measured value holds what was printed.

    It matches where it is within the `Tolerance` of the printed number: what rounding or truncating to its digits
    takes away, what the draws of a stochastic method leave open, and what other machines were seen to change.
    """
    if math.isnan(value.mean):
        return "differs"
    if math.isinf(value.mean):
        return "better" if (value.mean > 0) == (direction == "higher") else "differs"
    if Tolerance.of(published, value.draw_stderr, machines).holds(value.mean):
        return "matches"
    above = Decimal(repr(value.mean)) > decimal(published)
    return "better" if above == (direction == "higher") else "differs"


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
