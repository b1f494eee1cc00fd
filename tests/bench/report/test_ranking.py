import math

import pytest

from bench.report.ranking import ranks


@pytest.mark.parametrize(
    ("values", "direction", "expected"),
    [
        ({"a": 1.0, "b": 2.0, "c": 3.0}, "higher", {"c": ("best", False), "b": ("second", False)}),
        ({"a": 1.0, "b": 2.0, "c": 3.0}, "lower", {"a": ("best", False), "b": ("second", False)}),
        ({"a": 1.0, "b": 2.0, "c": 3.0}, "none", {}),
        ({"a": 1.0}, "higher", {}),
        ({"a": 1.0, "b": 2.0}, "higher", {"b": ("best", False)}),
        ({"a": 2.0, "b": 2.0, "c": 1.0}, "higher", {"a": ("best", True), "b": ("best", True)}),
        (
            {"a": 3.0, "b": 2.0, "c": 2.0},
            "higher",
            {"a": ("best", False), "b": ("second", True), "c": ("second", True)},
        ),
        ({"a": math.inf, "b": 2.0, "c": math.nan}, "higher", {"a": ("best", False)}),
        ({"a": math.nan, "b": 2.0}, "higher", {}),
    ],
)
def test_ranks(values, direction, expected):
    assert ranks(values, direction) == expected
