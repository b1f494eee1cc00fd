"""Whether several systems come in the same order as in print: Kendall's tau-b, and every two of them, over the images.

The image is the unit: images are what a data set samples. Tau's interval resamples them, the same ones for all systems;
two systems are told apart by the permutation test of `bench.statistics.paired`, as `bench compare` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.statistics.paired import CONFIDENCE, LEVEL, RESAMPLES, batches, sign_flips

FEWEST_SYSTEMS = 3
FEWEST_IMAGES = 3

Answer = Literal["holds", "reversed", "undecided", "within noise"]
ANSWERS: tuple[Answer, ...] = ("holds", "reversed", "undecided", "within noise")
_TOGETHER = 64  # pairs that are tested at once: 10,000 patterns of signs of each are 5 MB
_EQUAL = 1e-12  # of the mean absolute difference: equal sums, added in another order

_Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Pair:
    """Two systems that are printed as different.

    Attributes:
        better: index of the one that is printed as better.
        worse: index of the other.
        printed: difference of the printed values, better minus worse.
        measured: the same of the measured means; of the same sign where the order is that in print.
        p: two-sided p value of the paired permutation test of the two.
        share: of the resamples in which the order is that in print, one with equal means counted as half; None where
            there are too few images. It decides nothing: with few images it is too sure.
        answer: holds: `p` is at most LEVEL and the measured order is that in print; reversed: the same, the other
            order; undecided: `p` is larger; within noise: trainings of one system differ more than these two do,
            whatever `p` is.
    """

    better: int
    worse: int
    printed: float
    measured: float
    p: float
    share: float | None
    answer: Answer


@dataclass(frozen=True)
class Agreement:
    """The measured order of systems against the printed one.

    Attributes:
        tau: Kendall's tau-b of the printed values and the measured means; None where either are all equal.
        low: lower end of its 95 % percentile bootstrap interval; None where there is none.
        high: upper end.
        n: images.
        pairs: all that are printed as different, in the order of print: the best system's first.
        tied: number of pairs that are printed as equal, and not judged.
        why: why tau or interval is missing; else empty.
    """

    tau: float | None
    low: float | None
    high: float | None
    n: int
    pairs: tuple[Pair, ...]
    tied: int
    why: str = ""

    def count(self, answer: Answer) -> int:
        """How many pairs have this answer."""
        return sum(pair.answer == answer for pair in self.pairs)


def agreement(
    printed: Sequence[float], values: _Floats, direction: str, noise: float = 0.0, seed: int = 0
) -> Agreement:
    """Compare the measured order of systems with the printed one.

    Args:
        printed: one value for each system.
        values: (systems, images), finite: each image's mean over its draws.
        direction: "higher" or "lower": what is better.
        noise: largest difference between trainings of one system; closer pairs are not judged.
        seed: of the resampling and of random permutations.

    Raises:
        ValueError: fewer than three systems, no image, another number of printed values, or one that is not finite.
    """
    systems, n = values.shape
    if systems < FEWEST_SYSTEMS or len(printed) != systems or not n:
        raise ValueError(
            f"expected at least {FEWEST_SYSTEMS} systems with images, got {len(printed)} and {values.shape}"
        )
    if not (np.isfinite(values).all() and np.isfinite(printed).all()):
        raise ValueError("expected finite values, got others")
    sign = 1 if direction == "higher" else -1
    couples = _in_printed_order(printed, sign)
    first, second = np.array(couples).T
    differences = values[first] - values[second]
    gaps = np.array([printed[a] - printed[b] for a, b in couples])
    mean = _mean(differences, np.ones((1, n)))[0]
    why = "" if n >= FEWEST_IMAGES else f"an interval needs at least {FEWEST_IMAGES} images"
    taus, shares = _resampled(differences, gaps, direction, seed) if not why else (None, None)
    tau = _tau(np.sign(gaps), np.sign(mean)[None])[0]
    low, high = (None, None) if taus is None or np.isnan(taus).any() else _ends(taus)
    if np.isnan(tau):
        why = "the printed values are all equal" if not gaps.any() else "the measured means are all equal"
    elif taus is not None and low is None:
        why = "in some resamples all means are equal"
    known = [None] * len(couples) if shares is None else shares.tolist()
    pairs = tuple(
        Pair(a, b, float(gap), float(one), p, share, _answer(sign * float(one), p, noise))
        for (a, b), gap, one, p, share in zip(couples, gaps, mean, _tested(differences, seed), known, strict=True)
        if gap
    )
    missing = np.isnan(tau)
    return Agreement(
        None if missing else float(tau), None if missing else low, None if missing else high, n, pairs,
        len(couples) - len(pairs), why,
    )  # fmt: skip


def tau_b(x: Sequence[float], y: Sequence[float]) -> float:
    """Kendall's tau-b of two lists of values; NaN where either has one value only.

    (concordant - discordant pairs) / sqrt(pairs not tied in x * pairs not tied in y), Kendall 1945.
    """
    first, second = np.array(list(combinations(range(len(x)), 2))).T
    gaps = [np.sign(np.asarray(one)[first] - np.asarray(one)[second]) for one in (x, y)]
    return float(_tau(gaps[0], gaps[1][None])[0])


def _tau(printed: _Floats, measured: _Floats) -> _Floats:
    """Tau-b of signs of pairs: (pairs,) against (many, pairs)."""
    untied = np.count_nonzero(printed) * np.count_nonzero(measured, axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(measured @ printed / np.sqrt(untied))


def _in_printed_order(printed: Sequence[float], sign: int) -> list[tuple[int, int]]:
    """Every two systems, that which is printed as better first; the best system's pairs come first."""
    ranked = sorted(range(len(printed)), key=lambda i: (-sign * printed[i], i))
    return list(combinations(ranked, 2))


def _mean(differences: _Floats, counts: _Floats) -> _Floats:
    """Means of differences (pairs, images) where images count so often (many, images); (many, pairs)."""
    means = counts @ differences.T / counts.sum(axis=1, keepdims=True)
    return np.where(np.abs(means) <= _EQUAL * np.abs(differences).mean(axis=1), 0.0, means)


def _tested(differences: _Floats, seed: int) -> list[float]:
    """The p value of each pair, as `bench compare` has it; some pairs at a time, which have the same patterns."""
    parts = range(0, len(differences), _TOGETHER)
    return [p for first in parts for p in sign_flips(differences[first : first + _TOGETHER], seed)]


def _resampled(differences: _Floats, gaps: _Floats, direction: str, seed: int) -> tuple[_Floats, _Floats]:
    """(tau of each resample, share of the resamples in which each pair has its printed order)."""
    rng = np.random.default_rng(seed)
    n = differences.shape[1]
    taus, seen = [], np.zeros(len(differences))
    for first, last in batches(RESAMPLES, max(n, len(differences))):
        picked = rng.integers(0, n, size=(last - first, n))
        places = picked + np.arange(last - first)[:, None] * n
        counts = np.bincount(places.ravel(), minlength=(last - first) * n).reshape(-1, n)
        signs = np.sign(_mean(differences, counts.astype(np.float64)))
        taus.append(_tau(np.sign(gaps), signs))
        seen += np.sum((1 + (signs if direction == "higher" else -signs)) / 2, axis=0)
    return np.concatenate(taus), seen / RESAMPLES


def _ends(taus: _Floats) -> tuple[float, float]:
    low, high = np.percentile(taus, [100 * (1 - CONFIDENCE) / 2, 100 * (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _answer(difference: float, p: float, noise: float) -> Answer:
    """Of a difference that is positive where the order is that in print."""
    if abs(difference) < noise:
        return "within noise"
    if p > LEVEL:
        return "undecided"
    return "holds" if difference > 0 else "reversed"
