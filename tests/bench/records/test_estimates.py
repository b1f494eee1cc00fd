"""Estimates and verdicts."""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.records.estimates import Estimate, Tolerance, Verdict, decimals_of, verdict


def exactly(mean: float, draw_stderr: float = 0.0) -> Estimate:
    return Estimate(mean, None, 5, draw_stderr, 0)


def test_estimate_of_draws() -> None:
    estimate = Estimate.of([[1.0, 3.0], [5.0, 5.0]])
    assert (estimate.mean, estimate.n, estimate.infinite) == (3.5, 2, 0)
    assert estimate.stderr == pytest.approx(1.5)  # of the image means 2 and 5
    assert estimate.draw_stderr == pytest.approx(math.sqrt(2 / 2) / 2)  # variance 2 over 2 draws, over 2 images
    assert Estimate.of([[7.0]]).stderr is None


@pytest.mark.parametrize(
    ("values", "mean", "infinite"),
    [
        ([[30.0], [math.inf]], math.inf, 1),
        ([[30.0], [-math.inf]], -math.inf, 1),
        ([[math.inf], [-math.inf]], math.nan, 2),
        ([[math.inf, -math.inf], [1.0, 1.0]], math.nan, 1),
        ([[math.inf, 1.0], [1.0, 1.0]], math.inf, 1),
    ],
)
def test_infinite_values_are_kept_and_counted(values: list[list[float]], mean: float, infinite: int) -> None:
    estimate = Estimate.of(values)
    assert estimate.mean == pytest.approx(mean, nan_ok=True)
    assert (estimate.stderr, estimate.infinite) == (None, infinite)


@pytest.mark.parametrize(
    ("mean", "published", "direction", "expected"),
    [
        (28.4211, "28.42", "higher", "matches"),
        (28.4249999, "28.42", "higher", "matches"),
        (28.415, "28.42", "higher", "matches"),  # rounds half up
        (28.429, "28.42", "higher", "matches"),  # its digits were truncated
        (28.431, "28.42", "higher", "better"),
        (28.4149, "28.42", "higher", "differs"),
        (0.81040, "0.8104", "higher", "matches"),
        (0.8103, "0.8104", "higher", "differs"),
        (0.120, "0.123", "lower", "better"),
        (0.130, "0.123", "lower", "differs"),
        (math.inf, "28.42", "higher", "better"),
        (-math.inf, "28.42", "higher", "differs"),
        (math.inf, "0.1", "lower", "differs"),
        (-math.inf, "0.1", "lower", "better"),
        (math.nan, "28.42", "higher", "differs"),
        (5.04, "5", "higher", "matches"),
    ],
)
def test_verdicts(mean: float, published: str, direction: str, expected: Verdict) -> None:
    assert verdict(exactly(mean), published, direction) == expected


@settings(deadline=None)
@given(st.integers(-3000, 3000), st.integers(0, 3), st.integers(-12, 12))
def test_without_draws_it_is_rounding_or_truncating(digits: int, places: int, tenths: int) -> None:
    """Around every printed number, in steps of a tenth of its unit, ties and whole units among them."""
    unit = Decimal(1).scaleb(-places)
    printed = digits * unit
    measured = Decimal(repr(float(printed + tenths * unit / 10)))
    printed_so = (measured.quantize(unit, ROUND_HALF_UP), measured.quantize(unit, ROUND_DOWN))
    assert Tolerance.of(str(printed)).holds(float(measured)) == (printed in printed_so)


def test_what_the_draws_leave_open_is_twice_the_error_of_a_difference_of_two_means() -> None:
    tolerance = Tolerance.of("27.02", 0.05)
    assert tolerance.draws == pytest.approx(2 * math.sqrt(0.05**2 + 0.05**2))
    assert (tolerance.low, tolerance.high) == (Decimal("27.015"), Decimal("27.03"))
    assert tolerance.holds(27.015 - 0.1414)
    assert not tolerance.holds(27.015 - 0.1415)
    assert tolerance.holds(27.03 + 0.1414)
    assert not tolerance.holds(27.03 + 0.1415)
    assert str(tolerance) == "27.015 to 27.03 is printed so, ± 0.14 for the draws"


def test_what_other_machines_changed_is_allowed_for() -> None:
    assert verdict(exactly(28.4149), "28.42", "higher") == "differs"
    assert verdict(exactly(28.4149), "28.42", "higher", machines=0.0002) == "matches"


def test_a_stochastic_value_matches_within_what_its_draws_leave_open() -> None:
    assert verdict(exactly(27.10, 0.05), "27.02", "higher") == "matches"
    assert verdict(exactly(27.10, 0.01), "27.02", "higher") == "better"


@pytest.mark.parametrize("text", ["abc", "", "nan", "inf", "28,42"])
def test_a_published_value_that_is_no_number_is_one_line(text: str) -> None:
    with pytest.raises(BenchError, match="published number, got"):
        verdict(exactly(1.0), text, "higher")


def test_digits_of_what_is_printed() -> None:
    assert [decimals_of(text, 3) for text in ("28.40", "5", None)] == [2, 0, 3]
