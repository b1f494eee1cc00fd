"""Protocols: ids round-trip, and every rule of rounding, cropping and luma does what its name says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.metrics.views import Protocol, luma_plane, to_bytes, views
from hcflow.images.color import luma

RNG = np.random.default_rng(0)
HR = RNG.integers(0, 256, (20, 24, 3), dtype=np.uint8)
SR = RNG.random((20, 24, 3))


@given(
    st.sampled_from(["rgb", "y", "y8"]),
    st.integers(0, 16),
    st.sampled_from(["u8", "trunc8", "float"]),
    st.sampled_from(["rgb", "direct"]),
    st.sampled_from(["symmetric", "replicate"]),
)
def test_an_id_reads_back(space: str, crop: int, depth: str, grey: str, pad: str) -> None:
    protocol = Protocol(space, crop, depth, grey=grey, pad=pad)
    assert Protocol.parse(protocol.id) == protocol
    assert protocol.describe()


def test_defaults_stay_out_of_the_id() -> None:
    assert Protocol("y", 4, "u8").id == "y,crop4,u8"
    legacy = "y8,crop4,u8,grey=direct,work=y,range=studio"
    assert Protocol.parse(legacy).id == legacy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y", "expected SPACE,cropN,DEPTH"),
        ("y,crop,u8", "expected SPACE,cropN,DEPTH"),
        ("yuv,crop4,u8", "expected one of rgb, y, y8, got 'yuv'"),
        ("y,crop4,u16", "expected one of u8, trunc8, float, got 'u16'"),
        ("y,crop4,u8,gray=direct", "expected one of grey, work, range, pad, got 'gray'"),
        ("y,crop4,u8,work=y", "expected y8"),
        ("y8,crop4,u8,range=studio", "expected work=y"),
    ],
)
def test_what_means_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        Protocol.parse(text)


def test_rgb_is_rounded_and_cropped() -> None:
    sr, hr = views(SR, HR, Protocol("rgb", 3, "u8"))
    np.testing.assert_array_equal(sr, np.rint(SR[3:-3, 3:-3] * 255))
    np.testing.assert_array_equal(hr, HR[3:-3, 3:-3])


def test_depths() -> None:
    values = np.array([[-0.2, 0.5 / 255, 1.6 / 255, 1.2]])
    np.testing.assert_array_equal(to_bytes(values, "u8"), [[0, 0, 2, 255]])
    np.testing.assert_array_equal(to_bytes(values, "trunc8"), [[0, 0, 1, 255]])
    np.testing.assert_allclose(to_bytes(values, "float"), [[0, 0.5, 1.6, 255]])


def test_eight_bit_values_survive_float32() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    in_float32 = levels.astype(np.float32) / np.float32(255)
    for depth in ("u8", "float"):
        np.testing.assert_allclose(to_bytes(in_float32, depth), levels, atol=0 if depth == "u8" else 2e-5)


def test_luma_is_rounded_only_where_the_protocol_says_so() -> None:
    sr, hr = views(SR, HR, Protocol("y", 0, "u8"))
    np.testing.assert_array_equal(hr, luma(HR))
    np.testing.assert_array_equal(sr, luma(np.rint(SR * 255)))
    sr8, hr8 = views(SR, HR, Protocol("y8", 0, "u8"))
    np.testing.assert_array_equal(sr8, np.rint(sr))
    np.testing.assert_array_equal(hr8, np.rint(hr))


def test_the_two_policies_for_grey_images() -> None:
    grey = HR[:, :, 0]
    sr = np.repeat(SR[:, :, :1], 3, axis=2)
    _, as_rgb = views(sr, grey, Protocol("y", 0, "u8"))
    np.testing.assert_allclose(as_rgb, 16 + grey * (219 / 255), atol=1e-12)
    sr_direct, direct = views(sr, grey, Protocol("y", 0, "u8", grey="direct"))
    np.testing.assert_allclose(direct, grey, atol=1e-12)
    np.testing.assert_allclose(sr_direct, np.rint(sr[:, :, 0] * 255), atol=1e-12)
    _, colour = views(SR, HR, Protocol("y", 0, "u8", grey="direct"))
    np.testing.assert_array_equal(colour, luma(HR))  # the policy is about grey images only


def test_the_luma_plane_is_clipped_to_the_studio_range() -> None:
    plane = np.linspace(-0.1, 1.1, 20 * 24).reshape(20, 24)
    sr, hr = views(plane, HR, Protocol.parse("y8,crop0,u8,work=y,range=studio"))
    assert (sr.min(), sr.max()) == (16, 235)
    np.testing.assert_array_equal(sr, np.rint(sr))
    np.testing.assert_array_equal(hr, luma_plane(HR, "rgb"))
    full, _ = views(plane, HR, Protocol.parse("y8,crop0,u8,work=y"))
    assert (full.min(), full.max()) == (0, 255)


def test_an_image_smaller_than_the_crop_is_refused() -> None:
    with pytest.raises(BenchError, match=r"expected an image larger than 20x20 .* got 24x20"):
        views(SR, HR, Protocol("rgb", 10, "u8"))


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(BenchError, match="SR and HR of one size, got 23x20 and 24x20"):
        views(SR[:, :-1], HR, Protocol("rgb", 0, "u8"))
