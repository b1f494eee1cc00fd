"""The part of an image that a comparison shows."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import BenchError
from bench.report.figures.region import Region, where_they_differ, whole
from hcflow.images.color import luma


def grey(height: int = 96, width: int = 160) -> np.ndarray:
    return np.full((height, width, 3), 100, np.uint8)


def test_it_is_found_where_the_images_differ():
    other = grey()
    other[50:60, 101:111] = 180
    region = where_they_differ([grey(), other, grey()], 4)
    assert (region.width, region.height) == (32, 32)
    assert region.x <= 101
    assert region.x + 32 >= 111
    assert region.y <= 50
    assert region.y + 32 >= 60
    assert region.x % 4 == region.y % 4 == 0
    assert "3 restored images" in region.found


def test_of_equal_places_the_topmost_leftmost_is_taken():
    assert where_they_differ([grey(), grey()], 4).text == "4,4,32,32"


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_best_of_all_places(seed):
    rng = np.random.default_rng(seed)
    images = [rng.integers(0, 256, (60, 72, 3), np.uint8) for _ in range(3)]
    found = where_they_differ(images, 4)
    variance = np.var(np.stack([luma(image) for image in images]), axis=0)
    sums = {
        (x, y): variance[y : y + 32, x : x + 32].sum()
        for y in range(4, 60 - 32 - 4 + 1, 4)
        for x in range(4, 72 - 32 - 4 + 1, 4)
    }
    assert sums[found.x, found.y] == pytest.approx(max(sums.values()))


def test_a_small_image_is_shown_whole():
    small = grey(36, 36)
    assert where_they_differ([small, small], 4) == whole(small)


def test_images_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match="two or more images of one size"):
        where_they_differ([grey(), grey(92)], 4)


def test_its_text_can_be_read_back():
    region = Region.parse("8,16,24,32")
    assert (region.x, region.y, region.width, region.height) == (8, 16, 24, 32)
    assert Region.parse(region.text) == region
    assert region.of(grey()).shape == (32, 24, 3)


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,x", "-1,2,3,4", "1,2,0,4", "1.5,2,3,4", "1,2,3,4,5", "1,2,3,9999999"]
)
def test_other_texts_are_refused_in_one_line(text):
    with pytest.raises(BenchError, match="--region: expected"):
        Region.parse(text)


def test_it_has_to_lie_in_the_image():
    assert Region.parse("128,64,32,32").within(grey())
    with pytest.raises(BenchError, match="expected a part of 160x96 pixels, got 129,64,32,32"):
        Region.parse("129,64,32,32").within(grey())


def test_lr_pixels_are_squares_in_place():
    lr = np.arange(24 * 40, dtype=np.uint32).reshape(24, 40, 1).astype(np.uint8).repeat(3, axis=2)
    part = Region.parse("6,9,7,5").of_small(lr, 4)
    assert part.shape == (5, 7, 3)
    assert all((part[y, x] == lr[(9 + y) // 4, (6 + x) // 4]).all() for y in range(5) for x in range(7))
