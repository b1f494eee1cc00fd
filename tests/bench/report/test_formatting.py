import math

import pytest

from bench.records.estimates import Estimate
from bench.report import formatting


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [(28.4249, 2, "28.42"), (-3.5, 1, "−3.5"), (math.inf, 2, "∞"), (-math.inf, 2, "−∞"), (-0.001, 2, "0.00")],
)
def test_number(value, decimals, expected):
    assert formatting.number(value, decimals) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0031, "+0.003"), (-0.0031, "−0.003"), (0.0001, "0.000"), (math.inf, "+∞")]
)
def test_signed(value, expected):
    assert formatting.signed(value, 3) == expected


def test_a_single_image_has_no_standard_error():
    assert formatting.with_error(Estimate.of([[28.4]]), 2) == "28.40"
    assert formatting.with_error(Estimate.of([[28.0], [30.0]]), 2) == "29.00 ± 1.00"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(3.21, "3.2 s"), (52.4, "52 s"), (192, "3 min 12 s"), (7500, "2 h 05 min")]
)
def test_duration(seconds, expected):
    assert formatting.duration(seconds) == expected
