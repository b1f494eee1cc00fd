"""Printed digits, and how many fit by chance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.runs.explaining import Printed, chance, rules_of


@pytest.mark.parametrize(
    ("text", "value", "rules"),
    [
        ("28.42", 28.4211, {"rounded", "truncated"}),
        ("28.42", 28.4199, {"rounded"}),
        ("28.42", 28.4251, {"truncated"}),
        ("28.42", 28.415, {"rounded"}),
        ("28.42", 28.425, {"truncated"}),
        ("28.42", 28.4149, set()),
        ("28.42", math.inf, set()),
        ("30", 29.6, {"rounded"}),
    ],
)
def test_how_a_value_is_printed(text: str, value: float, rules: set[str]) -> None:
    assert Printed(text).rules(value) == rules


def test_one_rule_has_to_do_for_all_numbers() -> None:
    published = [Printed("28.42"), Printed("26.00")]
    assert rules_of(published, [28.4199, 26.0]) == {"rounded"}
    assert rules_of(published, [28.4199, 26.0051]) == set()


def test_chance_is_the_width_of_a_digit_against_the_spread() -> None:
    """Of n values spread evenly over a range, one unit holds n * unit / range; the two rules accept 1.5 units."""
    values = np.random.default_rng(0).uniform(20, 30, (2000, 1))
    distinct, expected = chance(values, [0.01])
    assert distinct == 2000
    assert expected == pytest.approx(2000 * 0.015 / 10, rel=0.1)


def test_chance_counts_equal_candidates_once() -> None:
    values = np.array([[28.4211, 0.8], [28.4211, 0.8], [27.0, 0.7]])
    assert chance(values, [0.01, 0.001]) == (2, 0.0)


def test_numbers_that_move_together_are_not_independent() -> None:
    one = np.random.default_rng(0).uniform(20, 21, (500, 1))
    assert chance(np.hstack([one, one]), [0.01, 0.01]) == chance(one, [0.01])
