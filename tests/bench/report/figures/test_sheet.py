"""Where pictures stand on a page."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bench.report.figures.region import Region
from bench.report.figures.sheet import Bar, Panel, Sheet, Strip, lay_out

RNG = np.random.default_rng(0)


def picture(height: int, width: int) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), np.uint8)


def sheet(panels: int, side: int = 64, overview: bool = True) -> Sheet:
    region = Region(8, 8, side, side)
    every = tuple(
        Panel(picture(side, side), f"A method with a long name {n}", ("28.00 dB / 0.1", "part 27.00 dB"))
        for n in range(panels)
    )
    whole = Panel(picture(200, 300), "Set, image") if overview else None
    return Sheet((Strip(every, whole, region if overview else None),), ("A note. " * 30,), None)


@pytest.mark.parametrize("panels", [2, 5, 6, 9, 14, 20])
@pytest.mark.parametrize("overview", [True, False])
def test_pictures_lie_on_the_page_and_not_on_each_other(panels, overview):
    page = lay_out(sheet(panels, overview=overview))
    pictures = [thing for thing in page.things if thing.pixels is not None]
    assert len(pictures) == panels + overview
    for one in pictures:
        assert one.left >= 0
        assert one.top >= 0
        assert one.left + one.width <= page.width
        assert one.top + one.height <= page.height
    for a, b in itertools.combinations(pictures, 2):
        apart = (
            a.left + a.width <= b.left or b.left + b.width <= a.left
            or a.top + a.height <= b.top or b.top + b.height <= a.top
        )  # fmt: skip
        assert apart
    texts = [thing for thing in page.things if thing.pixels is None]
    for text in texts:
        assert 0 < text.top < page.height
        inside = [p for p in pictures if p.top < text.top < p.top + p.height and p.left <= text.left < p.left + p.width]
        assert not inside


@pytest.mark.parametrize("side", [16, 32, 64, 72, 128, 250, 500])
def test_pixels_of_a_part_become_squares_of_whole_device_pixels(side):
    asked = sheet(3, side)
    placed = [thing for thing in lay_out(asked).things if thing.pixels is not None][1:]
    for panel, thing in zip(asked.strips[0].panels, placed, strict=True):
        factor = thing.pixels.shape[0] // side
        assert factor >= 1
        assert np.array_equal(thing.pixels, panel.pixels.repeat(factor, 0).repeat(factor, 1))
        assert (thing.width * 2, thing.height * 2) == (thing.pixels.shape[1], thing.pixels.shape[0])


def test_a_large_image_is_made_smaller():
    large = Sheet((Strip((Panel(picture(900, 1300), "HR"), Panel(picture(900, 1300), "SR"))),), ())
    for thing in lay_out(large).things:
        if thing.pixels is not None:
            assert thing.pixels.shape == (346, 500, 3)


def test_the_frame_is_around_the_part():
    page = lay_out(sheet(2))
    overview = next(thing for thing in page.things if thing.box)
    left, top, width, height = overview.box
    factor = overview.width / 300
    assert (left - overview.left) / factor == pytest.approx(8, abs=0.1)
    assert (top - overview.top) / factor == pytest.approx(8, abs=0.1)
    assert width / factor == pytest.approx(64, abs=0.3)
    assert height / factor == pytest.approx(64, abs=0.3)


def test_a_bar_of_colours_has_its_place():
    with_bar = Sheet(sheet(2).strips, ("note",), Bar(10.0, "deviation"))
    page = lay_out(with_bar)
    assert page.bar is not None
    assert page.bar.top + page.bar.height < page.height
