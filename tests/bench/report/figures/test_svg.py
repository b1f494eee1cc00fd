"""Scales, ticks and labels of the charts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.figures import svg
from bench.report.figures.svg import Box, Scale

numbers = st.floats(-1e4, 1e4, allow_nan=False).map(lambda x: round(x, 4))


@given(st.lists(numbers, min_size=1, max_size=8))
def test_a_scale_shows_all_its_values_and_its_ticks_are_round(values):
    scale = Scale.over(values, 40, 350)
    assert all(40 < scale(value) < 350 for value in values)
    ticks = scale.ticks()
    assert len(ticks) <= 6
    assert all(scale.low - 1e-9 <= tick <= scale.high + 1e-9 for tick in ticks)
    if len(ticks) > 1:
        steps = {round(b - a, 9) for a, b in itertools.pairwise(ticks)}
        assert len(steps) == 1
        assert f"{steps.pop():.6e}"[:8] in {"1.000000", "2.000000", "5.000000"}
    texts = svg.tick_texts(ticks)
    assert len(set(texts)) == len(texts)


def test_a_scale_is_linear_and_may_run_downwards():
    scale = Scale(0.0, 10.0, 200.0, 100.0)
    assert [scale(value) for value in (0, 5, 10)] == [200, 150, 100]


def test_ticks_have_the_digits_that_tell_them_apart_and_a_true_minus():
    assert svg.tick_texts([0.2, 0.25, 0.3]) == ["0.20", "0.25", "0.30"]
    assert svg.tick_texts([-5, 0, 5]) == ["−5", "0", "5"]


@given(st.lists(st.tuples(st.integers(20, 340), st.integers(50, 210)), min_size=1, max_size=20))
def test_labels_never_meet_marks_nor_each_other(points):
    inside = Box(0, 40, 360, 216)
    taken = [svg.around(x, y) for x, y in points]
    for number, (x, y) in enumerate(points):
        found = svg.place(f"label {number}", x, y, taken, inside)
        if found is not None:
            assert found[1].within(inside)
            assert not any(found[1].meets(box) for box in taken)
            taken.append(found[1])


def test_a_label_stands_beside_a_lone_mark():
    found = svg.place("name", 100, 100, [svg.around(100, 100)], Box(0, 0, 360, 250))
    assert found is not None
    assert found[1].left > 100


def test_a_line_takes_room_all_along():
    boxes = svg.along([(0, 0), (40, 0)])
    assert all(any(box.left <= x <= box.right for box in boxes) for x in range(4, 37))


@pytest.mark.parametrize("series", range(9))
def test_marks_say_their_values_in_three_ways(series):
    drawn = svg.mark(10, 20, 'a <b> & "c"', series)
    assert drawn.count("a &lt;b&gt; &amp; &#34;c&#34;") == 3  # label, title, and the line at the top
    assert 'tabindex="0"' in drawn
    assert "tabindex" not in svg.mark(10, 20, "x", series, stop=False)


def test_what_is_said_is_cut_after_two_lines():
    drawn = svg.mark(0, 0, "word " * 60, 0)
    assert drawn.count("<tspan") == 1
    assert "…" in drawn
