"""Paired comparisons against scipy and against brute force."""

from __future__ import annotations

import math
import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.statistics import paired
from bench.statistics.paired import bca, compare, holm, permutation_p, smallest_p


def one_each(values: object) -> list[list[float]]:
    return [[float(value)] for value in np.asarray(values)]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_against_scipy_without_draws(rng: np.random.Generator) -> None:
    a, b = rng.normal(30, 2, 40), rng.normal(29.5, 2, 40)
    found = compare(one_each(a), one_each(b), "higher", seed=3)
    assert found.difference == pytest.approx(np.mean(a - b), abs=1e-12)
    assert (found.mean_a, found.mean_b) == (pytest.approx(np.mean(a)), pytest.approx(np.mean(b)))
    theirs = stats.bootstrap(
        (a, b), lambda x, y, axis: np.mean(x - y, axis=axis), paired=True, n_resamples=10_000, method="BCa",
        vectorized=True, random_state=np.random.default_rng(3),
    ).confidence_interval  # fmt: skip
    assert (found.low, found.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))
    # two groups that may be swapped on each image: other code in scipy than the flips of one sample's signs
    swapped = stats.permutation_test(
        (a, b), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", n_resamples=10_000,
        vectorized=True, random_state=np.random.default_rng(4),
    )  # fmt: skip
    assert found.p is not None
    error = math.sqrt(2 * found.p * (1 - found.p) / 10_000)  # of a difference of two estimates from 10,000
    assert found.p == pytest.approx(swapped.pvalue, abs=4 * 2 * error)  # a two-sided p is twice a one-sided one
    assert not found.exact


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_few_images_are_permuted_exactly(n: int, rng: np.random.Generator) -> None:
    differences = rng.normal(0.5, 1, n)
    p, exact = permutation_p(differences)
    observed = abs(differences.mean())
    as_far = [abs(np.mean(differences * signs)) >= observed - 1e-12 for signs in product((1, -1), repeat=n)]
    assert exact
    assert p == pytest.approx(np.mean(as_far))


@pytest.mark.parametrize("n", [1, 3, 5, 14])
def test_the_smallest_p_is_reached_where_one_is_always_better(n: int) -> None:
    assert permutation_p(np.linspace(1, 2, n))[0] == pytest.approx(smallest_p(n))


def test_the_smallest_p_of_many_images() -> None:
    assert permutation_p(np.linspace(1, 2, 30))[0] == pytest.approx(smallest_p(30))


@pytest.mark.parametrize("draws", [1, 2])
def test_thousands_of_images_take_little_memory(
    draws: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One array of 3000 resamples of 2000 images is 48 MB, and there were several of them at once."""
    monkeypatch.setattr(paired, "RESAMPLES", 3000)
    a, b = rng.normal(30, 1, (2000, draws)).tolist(), rng.normal(30, 1, (2000, draws)).tolist()
    tracemalloc.start()
    try:
        found = compare(a, b, "higher")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 96e6
    assert found.low is not None
    assert found.p is not None


def test_batches_are_of_the_same_patterns(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    differences = rng.normal(0.1, 1, (2, 12))
    whole = paired.sign_flips(differences)
    monkeypatch.setattr(paired, "_NUMBERS", 100)
    assert paired.sign_flips(differences) == pytest.approx(whole)


def test_our_bca_is_scipys_given_its_replicates(rng: np.random.Generator) -> None:
    differences = rng.gamma(1.0, 1.0, 15)  # skewed, so that bias and acceleration matter
    theirs = stats.bootstrap((differences,), np.mean, n_resamples=2000, method="BCa", random_state=rng)
    left_out = [np.mean(np.delete(differences, i)) for i in range(15)]
    ours = bca(float(differences.mean()), theirs.bootstrap_distribution, np.array(left_out))
    assert ours == (pytest.approx(theirs.confidence_interval.low), pytest.approx(theirs.confidence_interval.high))


def test_two_stages_against_plain_loops(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The spread of the replicates is that of images drawn first and draws drawn within them."""
    loops_made = 1000
    monkeypatch.setattr(paired, "RESAMPLES", 50_000)  # so that the loops' random error is the only one
    a = [rng.normal(30 + i, 1.0, 5).tolist() for i in range(6)]
    b = [[29.0 + i] if i % 2 else [29.0 + i, 29.5 + i] for i in range(6)]  # numbers of draws may differ
    ours = paired._two_stages(a, b, np.random.default_rng(1))
    loops = []
    for _ in range(loops_made):
        images = rng.integers(0, 6, 6)
        means = [np.mean(rng.choice(a[i], len(a[i]))) - np.mean(rng.choice(b[i], len(b[i]))) for i in images]
        loops.append(np.mean(means))
    spread = np.std(loops)
    assert np.mean(ours) == pytest.approx(np.mean(loops), abs=4 * spread / math.sqrt(loops_made))
    assert np.std(ours) == pytest.approx(spread, rel=4 / math.sqrt(2 * loops_made))


def test_draws_widen_the_interval() -> None:
    noisy = [[i - 3.0, i + 3.0] for i in (1.0, 1.1, 0.9, 1.0, 1.2)]
    calm = one_each([1.0, 1.1, 0.9, 1.0, 1.2])
    zero = one_each([0.0] * 5)
    wide, narrow = compare(noisy, zero, "higher"), compare(calm, zero, "higher")
    assert wide.draws
    assert not narrow.draws
    assert wide.difference == pytest.approx(narrow.difference)
    assert wide.p == narrow.p  # the test's unit is the image
    assert None not in (wide.low, narrow.low)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)  # type: ignore[operator]


def test_lower_is_better_turns_the_counts_only() -> None:
    a, b = one_each([0.1, 0.2, 0.3, 0.4]), one_each([0.2, 0.1, 0.4, 0.4])
    up, down = compare(a, b, "higher"), compare(a, b, "lower")
    assert (up.better, up.worse, up.equal) == (1, 2, 1)
    assert (down.better, down.worse, down.equal) == (2, 1, 1)
    assert (up.difference, up.low, up.p) == (down.difference, down.low, down.p)


def test_the_same_seed_gives_the_same_numbers(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(20, 3)).tolist(), rng.normal(size=(20, 1)).tolist()
    assert compare(a, b, "higher", 5) == compare(a, b, "higher", 5)
    assert compare(a, b, "higher", 5).low != compare(a, b, "higher", 6).low


def test_equal_systems() -> None:
    found = compare(one_each([1, 2, 3]), one_each([1, 2, 3]), "higher")
    assert (found.difference, found.low, found.high, found.p, found.equal) == (0, 0, 0, 1, 3)


def test_infinite_values_are_counted_but_not_averaged() -> None:
    found = compare([[math.inf], [30.0], [math.inf]], [[29.0], [29.0], [math.inf]], "higher")
    assert (found.better, found.worse, found.equal) == (2, 0, 1)
    assert (found.low, found.p, found.why) == (None, None, "some values are infinite")


def test_two_images_have_no_interval() -> None:
    found = compare(one_each([1, 2]), one_each([0, 0]), "higher")
    assert (found.low, found.p) == (None, 0.5)
    assert "at least 3 images" in found.why


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0.001, 0.5))
def test_holm_rejects_what_its_definition_rejects(p_values: list[float], alpha: float) -> None:
    """Step down: the smallest against alpha/m, the next against alpha/(m-1), .., until one fails."""
    rejected = set()
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[index] * (len(p_values) - rank) > alpha:
            break
        rejected.add(index)
    assert {i for i, p in enumerate(holm(p_values)) if p <= alpha} == rejected
