"""Tau and the order of every two systems, against scipy, cases worked out by hand, and brute force."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.statistics import agreement as module
from bench.statistics import paired
from bench.statistics.agreement import agreement, tau_b
from bench.statistics.paired import LEVEL, compare

few = st.integers(-3, 3).map(float)
lists = st.integers(3, 9).flatmap(lambda n: st.tuples(*[st.lists(few, min_size=n, max_size=n)] * 2))


def scores(systems: int = 5, images: int = 12, seed: int = 3) -> np.ndarray:
    """Systems a little better one after the other, over images that differ far more."""
    rng = np.random.default_rng(seed)
    better = 0.2 * np.arange(systems)[:, None]
    return 28 + better + rng.normal(0, 3, images) + rng.normal(0, 0.4, (systems, images))


@given(lists)
def test_tau_is_scipys(pair: tuple[list[float], list[float]]) -> None:
    """With ties on either side, which make it tau-b."""
    expected = stats.kendalltau(*pair, variant="b").statistic
    assert tau_b(*pair) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_tau_of_a_case_worked_out_by_hand() -> None:
    """Print: a < b = c < d. Measured: b < a < c < d.

    Six pairs, of which b and c are tied in print. Of the other five, a and b are swapped: 4 - 1 = 3 over
    sqrt(5 * 6).
    """
    assert tau_b([1, 2, 2, 3], [2, 1, 3, 4]) == pytest.approx(3 / np.sqrt(30), abs=1e-15)
    found = agreement([1, 2, 2, 3], np.array([[2.0], [1.0], [3.0], [4.0]]), "higher")
    assert found.tau == pytest.approx(3 / np.sqrt(30), abs=1e-15)
    assert (len(found.pairs), found.tied) == (5, 1)
    assert [(pair.better, pair.worse) for pair in found.pairs] == [(3, 1), (3, 2), (3, 0), (1, 0), (2, 0)]
    assert [pair.measured for pair in found.pairs] == [3, 1, 2, -1, 1]
    assert [pair.printed for pair in found.pairs] == [1, 1, 2, 1, 1]


def test_tau_of_means_is_scipys() -> None:
    values, printed = scores(), [30.1, 30.3, 30.2, 30.3, 30.9]
    expected = stats.kendalltau(printed, values.mean(axis=1)).statistic
    assert agreement(printed, values, "higher").tau == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_pairs_and_interval_are_those_of_brute_force(direction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESAMPLES", 400)
    values, printed = scores(images=7), [3.0, 1.0, 2.0, 5.0, 4.0]
    found = agreement(printed, values, direction, seed=8)
    picked = np.random.default_rng(8).integers(0, 7, size=(400, 7))
    taus = [stats.kendalltau(printed, values[:, one].mean(axis=1)).statistic for one in picked]
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(taus, [2.5, 97.5])), abs=1e-12)
    assert {frozenset((pair.better, pair.worse)) for pair in found.pairs} == set(
        map(frozenset, combinations(range(5), 2))
    )
    sign = 1 if direction == "higher" else -1
    for pair in found.pairs:
        assert sign * printed[pair.better] > sign * printed[pair.worse]
        gaps = sign * (values[pair.better] - values[pair.worse])
        share = np.mean([gaps[one].mean() > 0 for one in picked])
        assert pair.share == pytest.approx(share, abs=1e-12)
        assert sign * pair.measured == pytest.approx(gaps.mean(), abs=1e-12)
        p = np.mean([abs(np.mean(gaps * signs)) >= abs(gaps.mean()) - 1e-12 for signs in product((1, -1), repeat=7)])
        assert pair.p == pytest.approx(p, abs=1e-12)
        assert pair.answer == ("undecided" if p > LEVEL else "holds" if gaps.mean() > 0 else "reversed")


def test_the_seed_alone_decides_what_is_drawn() -> None:
    values, printed = scores(), [1.0, 2.0, 3.0, 4.0, 5.0]
    assert agreement(printed, values, "higher") == agreement(printed, values, "higher", seed=0)
    assert agreement(printed, values, "higher", seed=1) != agreement(printed, values, "higher")


def test_the_order_of_systems_changes_nothing() -> None:
    values, printed = scores(), [1.0, 2.0, 2.0, 5.0, 4.0]
    order = [3, 0, 4, 2, 1]
    one = agreement(printed, values, "lower")
    other = agreement([printed[i] for i in order], values[order], "lower")
    assert (one.tau, one.low, one.high, one.tied) == (other.tau, other.low, other.high, other.tied)
    assert {(p.better, p.worse, p.printed, p.p, p.share, p.answer) for p in one.pairs} == {
        (order[p.better], order[p.worse], p.printed, p.p, p.share, p.answer) for p in other.pairs
    }


def test_the_opposite_order_has_the_opposite_tau() -> None:
    values, printed = scores(), [1.0, 3.0, 2.0, 5.0, 4.0]
    one, other = (agreement(printed, sign * values, "higher") for sign in (1, -1))
    assert other.tau == -one.tau
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=1e-12)
    swapped = {"holds": "reversed", "reversed": "holds", "undecided": "undecided"}
    assert [pair.answer for pair in other.pairs] == [swapped[pair.answer] for pair in one.pairs]
    assert {pair.answer for pair in one.pairs} >= {"holds", "undecided"}


def test_lower_is_better_where_the_metric_says_so() -> None:
    """The same order of numbers is the same agreement; which of two is the better one is not."""
    values, printed = scores(), [1.0, 3.0, 2.0, 5.0, 4.0]
    high, low = (agreement(printed, values, direction) for direction in ("higher", "lower"))
    assert (high.tau, high.low, high.high) == (low.tau, low.low, low.high)
    assert {(p.better, p.worse, p.share, p.answer) for p in high.pairs} == {
        (p.worse, p.better, p.share, p.answer) for p in low.pairs
    }
    assert {p.measured for p in high.pairs} == {-p.measured for p in low.pairs}


def test_equal_means_are_neither_order() -> None:
    """The same values in another order of images: sums that differ in the last bit are equal."""
    base = np.array([0.1, 0.2, 0.3, 0.7, 0.3, 0.1])
    values = np.stack([base, base[::-1], base, base + 1])
    found = agreement([1.0, 2.0, 3.0, 4.0], values, "higher")
    assert found.tau == pytest.approx(stats.kendalltau([1, 2, 3, 4], [0, 0, 0, 1]).statistic, abs=1e-15)
    by_pair = {(pair.better, pair.worse): pair for pair in found.pairs}
    assert (by_pair[2, 0].measured, by_pair[2, 0].share, by_pair[2, 0].answer) == (0.0, 0.5, "undecided")
    assert by_pair[2, 0].p == 1
    assert by_pair[3, 0].answer == "holds"


@pytest.mark.parametrize(("images", "why"), [(1, True), (2, True), (3, False)])
def test_an_interval_needs_three_images(images: int, why: bool) -> None:
    found = agreement([1.0, 2.0, 3.0], scores(3, images), "higher")
    assert found.tau is not None
    assert (found.low is None) == (found.high is None) == bool(found.why) == why
    assert not why or found.why == "an interval needs at least 3 images"
    assert {(pair.share, pair.answer) for pair in found.pairs} == {(None, "undecided")} or not why


@pytest.mark.parametrize(
    ("printed", "values", "why"),
    [
        ([2.0, 2.0, 2.0], scores(3), "the printed values are all equal"),
        ([1.0, 2.0, 3.0], np.ones((3, 4)), "the measured means are all equal"),
    ],
)
def test_values_that_are_all_equal_have_no_tau(printed: list[float], values: np.ndarray, why: str) -> None:
    found = agreement(printed, values, "higher")
    assert (found.tau, found.low, found.high, found.why) == (None, None, None, why)
    assert len(found.pairs) + found.tied == 3


def test_resamples_without_an_order_have_no_interval() -> None:
    """All systems agree on all images but one, which some resamples do not have."""
    values = np.ones((3, 3))
    values[:, 0] = [1, 2, 3]
    found = agreement([1.0, 2.0, 3.0], values, "higher")
    assert (found.tau, found.low, found.why) == (1.0, None, "in some resamples all means are equal")


def test_pairs_closer_than_the_noise_of_training_are_not_judged() -> None:
    values = np.array([[10.0] * 6, [11.0] * 6, [13.0] * 6])
    answers = {
        noise: [pair.answer for pair in agreement([1, 2, 3], values, "higher", noise).pairs] for noise in (1, 2.5)
    }
    assert answers == {1: ["holds"] * 3, 2.5: ["within noise", "holds", "within noise"]}  # 13-11, 13-10, 11-10
    assert [pair.share for pair in agreement([1, 2, 3], values, "higher", 2.5).pairs] == [1.0, 1.0, 1.0]
    reversed_ = agreement([3, 2, 1], values, "higher", 2.5)
    assert [pair.answer for pair in reversed_.pairs] == ["within noise", "reversed", "within noise"]
    assert (reversed_.count("reversed"), reversed_.count("within noise"), reversed_.count("holds")) == (1, 2, 0)


@pytest.mark.parametrize("images", [5, 6, 9, pytest.param(14, marks=pytest.mark.slow), 40])
def test_systems_without_any_difference_are_seldom_told_apart(images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In at most 5 % of the pairs, half of them as printed; few images never tell any apart.

    One pair of each trial, so that trials are independent: binomial, four standard deviations.
    """
    assert LEVEL == 0.05
    monkeypatch.setattr(module, "RESAMPLES", 1)  # of the interval, which decides nothing
    monkeypatch.setattr(paired, "RESAMPLES", 199)  # random patterns of 40 images: p counts the observed one, too
    rng, trials = np.random.default_rng(0), 400
    answers = [
        agreement([1.0, 2.0, 3.0], rng.normal(size=(3, images)), "higher", seed=trial).pairs[0].answer
        for trial in range(trials)
    ]
    most = 0 if images == 5 else LEVEL * trials + 4 * np.sqrt(LEVEL * (1 - LEVEL) * trials)
    told = answers.count("holds") + answers.count("reversed")
    assert told <= most
    assert images == 5 or (answers.count("holds") and answers.count("reversed"))


@pytest.mark.parametrize("images", [2, 3, 4, 5])
def test_few_images_decide_nothing_however_far_apart_the_systems_are(images: int) -> None:
    """As `bench compare` says: the smallest p of five images is 0.0625."""
    values = np.array([[1.0], [100.0], [1000.0]]) + np.arange(images)
    found = agreement([1.0, 2.0, 3.0], values, "higher")
    assert {pair.p for pair in found.pairs} == {2 / 2**images}
    assert found.count("undecided") == 3
    assert agreement([1.0, 2.0, 3.0], values[:, [0] * 6], "higher").count("holds") == 3


@pytest.mark.parametrize("images", [5, 14, 30])
def test_p_is_that_of_compare_to_the_last_digit(images: int) -> None:
    values = scores(13, images)
    found = agreement([float(i) for i in range(13)], values, "lower", seed=4)
    assert len(found.pairs) > module._TOGETHER  # more than are tested at once
    for pair in found.pairs[::7]:
        a, b = ([[value] for value in values[index]] for index in (pair.better, pair.worse))
        assert pair.p == compare(a, b, "lower", seed=4).p


def test_many_systems_take_no_more_memory_than_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of resamples has as many rows as its widest array allows: pairs where these are more than images."""
    widths = []
    real = module.batches

    def watched(count: int, width: int) -> Iterator[tuple[int, int]]:
        widths.append(width)
        return real(count, width)

    monkeypatch.setattr(module, "batches", watched)
    monkeypatch.setattr(module, "RESAMPLES", 10)
    agreement([float(i) for i in range(20)], scores(20, 5), "higher")
    agreement([1.0, 2.0, 3.0], scores(3, 50), "higher")
    assert widths == [190, 50]


@pytest.mark.parametrize(
    ("printed", "values"),
    [
        ([1.0, 2.0], scores(2)), ([1.0, 2.0, 3.0], scores(4)), ([1.0, 2.0, 3.0], np.ones((3, 0))),
        ([1.0, 2.0, np.nan], scores(3)), ([1.0, 2.0, 3.0], scores(3) * np.inf),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(printed: list[float], values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        agreement(printed, values, "higher")
