"""Which images are taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.runs.sampling import Sample

STRATA = {("t", row, "d"): [f"{row}{i}" for i in range(n)] for row, n in {"a": 40, "b": 3, "c": 1, "none": 0}.items()}


def test_a_share_takes_that_much_of_every_place_and_at_least_one() -> None:
    taken = Sample.parse("5%").of(STRATA, 0)
    assert {place[1]: len(images) for place, images in taken.items()} == {"a": 2, "b": 1, "c": 1}
    assert Sample.parse("100%").of(STRATA, 0).keys() == taken.keys()
    everything = {place: set(images) for place, images in Sample.parse("100%").of(STRATA, 0).items()}
    assert everything == {place: set(images) for place, images in STRATA.items() if images}


def test_a_count_goes_round_all_places() -> None:
    taken = Sample.parse("6").of(STRATA, 0)
    assert sorted(len(images) for images in taken.values()) == [1, 2, 3]
    assert len(Sample.parse("2").of(STRATA, 0)) == 2
    assert sum(map(len, Sample.parse("1000").of(STRATA, 0).values())) == 44


@given(st.integers(1, 60), st.integers(0, 5))
def test_counts_are_exact_and_images_are_taken_once(count: int, seed: int) -> None:
    taken = Sample(count=count).of(STRATA, seed)
    assert sum(map(len, taken.values())) == min(count, 44)
    assert all(len(set(images)) == len(images) and set(images) <= set(STRATA[p]) for p, images in taken.items())


def test_the_seed_decides() -> None:
    sample = Sample.parse("10%")
    assert sample.of(STRATA, 1) == sample.of(dict(reversed(STRATA.items())), 1)
    assert len({str(sample.of(STRATA, seed)) for seed in range(5)}) > 1


@pytest.mark.parametrize("text", ["", "0", "0%", "101%", "-5", "5 images", "1.5", "%", "nan", "1e9", "5%%"])
def test_what_is_neither_is_one_line(text: str) -> None:
    with pytest.raises(BenchError, match="expected a share such as 5%"):
        Sample.parse(text)
