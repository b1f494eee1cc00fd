"""Two systems on the same images: mean difference, bootstrap interval, permutation test, Holm's correction.

The image is the unit: images are what a data set samples, and the draws of a stochastic method belong to their image.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
CONFIDENCE = 0.95
LEVEL = 0.05
"""P values up to this one are significant."""
EXACT = 14
"""Images up to which all 2**n patterns of signs are tried; beyond, RESAMPLES random ones."""

_NUMBERS = 2**20  # in a batch of patterns or of replicates: 8 MiB an array
_FEWEST = 3  # images of an interval: of two, BCa's acceleration is always 0 and the bootstrap knows three means

Draws = Sequence[float]
_Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Comparison:
    """A minus B over n images.

    Attributes:
        n: images.
        mean_a: mean over images of A's mean over draws.
        mean_b: the same of B.
        difference: mean of the paired differences; NaN where an infinite value stands on both sides.
        low: lower end of the 95 % BCa bootstrap interval of the difference; None where there is none.
        high: upper end.
        p: two-sided p value of the paired permutation test; None where there is none.
        exact: whether all patterns of signs were tried, so that p has no random error.
        better: images on which A is better, by the metric's direction.
        worse: images on which A is worse.
        equal: images on which both have the same value.
        draws: whether either draws more than once per image, so that the bootstrap had two stages.
        why: why interval or p is missing; else empty.
    """

    n: int
    mean_a: float
    mean_b: float
    difference: float
    low: float | None
    high: float | None
    p: float | None
    exact: bool
    better: int
    worse: int
    equal: int
    draws: bool
    why: str = ""

    @property
    def smallest_p(self) -> float:
        """The least p that so many images can give: only where it is small can the test find anything."""
        return smallest_p(self.n)


def compare(a: Sequence[Draws], b: Sequence[Draws], direction: str, seed: int = 0) -> Comparison:
    """Compare two systems over the same images.

    Args:
        a: one list of draws per image.
        b: the same for the other system, in the same order of images; numbers of draws may differ.
        direction: "higher" or "lower": what is better.
        seed: of bootstrap and random permutations.
    """
    if len(a) != len(b) or not a:
        raise ValueError(f"expected values of the same images, got {len(a)} and {len(b)}")
    left, right = image_means(a), image_means(b)
    with np.errstate(invalid="ignore"):
        differences = left - right
        means = float(np.mean(left)), float(np.mean(right)), float(np.mean(differences))
    sign = 1 if direction == "higher" else -1
    better, worse = (int(np.sum(s * left > s * right)) for s in (sign, -sign))
    drawn = any(len(draws) > 1 for draws in (*a, *b))
    low: float | None = None
    high: float | None = None
    p: float | None = None
    exact, why = False, "some values are infinite"
    if np.isfinite(differences).all():
        low, high, why = _interval(a, b, differences, drawn, seed)
        p, exact = permutation_p(differences, seed)
    equal = len(a) - better - worse
    return Comparison(len(a), *means, low, high, p, exact, better, worse, equal, drawn, why)


def image_means(values: Sequence[Draws]) -> _Floats:
    """Each image's mean over its draws."""
    with np.errstate(invalid="ignore"):
        return np.array([np.mean(draws) for draws in values])


def permutation_p(differences: _Floats, seed: int = 0) -> tuple[float, bool]:
    """(two-sided p, whether it is exact) of: swapping the two systems on any image changes nothing.

    The statistic is the mean difference; under the hypothesis each difference may as well have the other sign.
    """
    return sign_flips(differences[None], seed)[0], len(differences) <= EXACT


def sign_flips(differences: _Floats, seed: int = 0) -> list[float]:
    """The two-sided p values of many rows at once: the share of patterns of signs with a mean as far from 0.

    All patterns up to EXACT images; else RESAMPLES random ones, the same for all rows, and the observed one. They are
    made batch by batch, so that thousands of images take no more memory than a hundred.

    Args:
        differences: (rows, images).
        seed: of the random patterns.
    """
    n = differences.shape[1]
    exact = n <= EXACT
    patterns = 2**n if exact else RESAMPLES
    rng = np.random.default_rng(seed)
    slack = 1e-12 * np.abs(differences).mean(axis=1)  # equal sums, added in another order
    least = np.abs(differences.mean(axis=1)) - slack
    count = np.zeros(len(differences), dtype=np.int64)
    for first, last in batches(patterns, n):
        if exact:
            bits = np.arange(first, last)[:, None] >> np.arange(n) & 1
        else:
            bits = rng.integers(0, 2, size=(last - first, n), dtype=np.int8)
        with np.errstate(all="ignore"):
            flipped = np.abs((1.0 - 2.0 * bits) @ differences.T) / n  # (patterns, rows)
        count += np.sum(flipped >= least, axis=0)
    if exact:
        return [float(one) / patterns for one in count]
    return [float(one + 1) / (patterns + 1) for one in count]


def batches(count: int, width: int) -> Iterator[tuple[int, int]]:
    """(first, behind the last) of rows of that width, so that a batch has few numbers."""
    step = max(1, _NUMBERS // width)
    yield from ((first, min(first + step, count)) for first in range(0, count, step))


def smallest_p(images: int) -> float:
    """The least two-sided p of the permutation test: all differences of one sign, and no random pattern as far."""
    return min(1.0, 2.0 / 2**images) if images <= EXACT else 1.0 / (RESAMPLES + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for their number (Holm 1979): reject those at most alpha, and a false one is as rare as that.

    Sorted p(1) <= .. <= p(m): max over j <= i of min(1, (m - j + 1) p(j)).
    """
    m = len(p_values)
    corrected, running = [0.0] * m, 0.0
    for rank, index in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (m - rank) * p_values[index]))
        corrected[index] = running
    return corrected


def _interval(
    a: Sequence[Draws], b: Sequence[Draws], differences: _Floats, drawn: bool, seed: int
) -> tuple[float | None, float | None, str]:
    """(low, high, why there is none)."""
    from scipy import stats

    n = len(differences)
    if n < _FEWEST:
        return None, None, f"an interval needs at least {_FEWEST} images"
    rng = np.random.default_rng(seed)
    if drawn:
        low, high = bca(float(np.mean(differences)), _two_stages(a, b, rng), _left_out(differences))
    elif np.ptp(differences) == 0:
        low = high = float(differences[0])
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            found = stats.bootstrap(
                (differences,), np.mean, n_resamples=RESAMPLES, method="BCa", vectorized=True,
                confidence_level=CONFIDENCE, random_state=rng, batch=max(1, _NUMBERS // n),
            ).confidence_interval  # fmt: skip
        low, high = float(found.low), float(found.high)
    if not np.isfinite([low, high]).all():
        return None, None, "the bootstrap is degenerate: nearly all differences are equal"
    return low, high, ""


def bca(estimate: float, replicates: _Floats, left_out: _Floats) -> tuple[float, float]:
    """Bias-corrected and accelerated interval (Efron 1987), as scipy.stats.bootstrap computes it.

    scipy resamples one level only, so the two-stage bootstrap needs this.

    Args:
        estimate: of the sample.
        replicates: of the resampled data.
        left_out: estimates without one image each.
    """
    from scipy import special

    if np.ptp(replicates) == 0:
        return estimate, estimate
    below = (np.sum(replicates < estimate) + np.sum(replicates <= estimate)) / (2 * len(replicates))
    bias = special.ndtri(below)
    pull = np.mean(left_out) - left_out
    spread = np.sum(pull**2)
    acceleration = 0.0 if spread == 0 else np.sum(pull**3) / (6 * spread**1.5)
    tails = bias + special.ndtri([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    ranks = special.ndtr(bias + tails / (1 - acceleration * tails))
    if not np.isfinite(ranks).all():
        return float("nan"), float("nan")
    low, high = np.percentile(replicates, 100 * ranks)
    return float(low), float(high)


def _left_out(differences: _Floats) -> _Floats:
    """The mean difference without one image each."""
    n = len(differences)
    return np.asarray((np.sum(differences) - differences) / (n - 1))


def _two_stages(a: Sequence[Draws], b: Sequence[Draws], rng: np.random.Generator) -> _Floats:
    """Mean differences of resampled data: images first, then the draws of each image, A's and B's on their own.

    (RESAMPLES,). An image that comes twice gets new draws each time.
    """
    means = []
    for first, last in batches(RESAMPLES, len(a)):
        picked = rng.integers(0, len(a), size=(last - first, len(a)))
        means.append(np.mean(_resampled(a, picked, rng) - _resampled(b, picked, rng), axis=1))
    return np.concatenate(means)


def _resampled(values: Sequence[Draws], picked: NDArray[np.integer[Any]], rng: np.random.Generator) -> _Floats:
    """Means over as many draws as each picked image has, taken from its own with replacement; the shape of `picked`."""
    counts = np.array([len(draws) for draws in values])
    if counts.max() == 1:
        return np.asarray(np.array([draws[0] for draws in values])[picked])
    flat = np.concatenate([np.asarray(draws, dtype=np.float64) for draws in values])
    first, many = (np.cumsum(counts) - counts)[picked], counts[picked]
    total = np.zeros(picked.shape)
    for number in range(counts.max()):
        chosen = first + np.minimum((rng.random(picked.shape) * many).astype(np.int64), many - 1)
        total += np.where(number < many, flat[chosen], 0.0)
    return np.asarray(total / many)
