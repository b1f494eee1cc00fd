"""PSNR and SSIM against values of the reference implementations, scikit-image, and their formulas written out again."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import Pair, photographs, real_pairs
from scipy.ndimage import correlate1d
from scoring import score
from skimage.metrics import structural_similarity

from bench.errors import BenchError
from bench.metrics.metric import Evidence, Measure, NotApplicable
from bench.metrics.psnr import psnr
from bench.metrics.ssim import ssim
from bench.metrics.views import Protocol

# What the stored values promise: see the README that comes with them
TOLERANCE = {"psnr": 1e-6, "ssim": 1e-7}
MEASURES = [f"{metric}@{space},crop{crop},u8" for metric in TOLERANCE for space in ("rgb", "y") for crop in (0, 4)]


def scikit_image_ssim(sr: np.ndarray, hr: np.ndarray) -> float:
    return structural_similarity(
        sr,
        hr,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255.0,
        channel_axis=2 if sr.ndim == 3 else None,
    )


@pytest.mark.parametrize("pair", photographs(), ids=str)
def test_stored_values_of_the_photographs(pair: Pair) -> None:
    for measure in MEASURES:
        tolerance = TOLERANCE[measure.partition("@")[0]]
        assert score(measure, pair.evidence) == pytest.approx(pair.values[measure], abs=tolerance, rel=0), measure


@pytest.mark.parametrize("pair", photographs(), ids=str)
def test_ssim_is_that_of_scikit_image(pair: Pair) -> None:
    for protocol in ("rgb,crop4,u8", "y,crop0,float"):
        sr, hr = pair.evidence.views(Protocol.parse(protocol))[0]
        assert ssim(sr, hr) == pytest.approx(scikit_image_ssim(sr, hr), abs=1e-12, rel=0), protocol


@pytest.mark.slow
def test_stored_values_of_the_real_images() -> None:
    checked = 0
    for pair in real_pairs():
        for measure in MEASURES:
            metric, protocol = measure.split("@")
            space, crop, _ = protocol.split(",")
            expected = pair.values[f"hcflow.{metric}_{space}.{crop}"]
            assert score(measure, pair.evidence) == pytest.approx(expected, abs=TOLERANCE[metric], rel=0), (
                pair,
                measure,
            )
            checked += 1
        sr, hr = pair.evidence.views(Protocol("rgb", 4, "u8"))[0]
        assert ssim(sr, hr) == pytest.approx(scikit_image_ssim(sr, hr), abs=1e-12, rel=0), pair
    assert checked >= 7 * len(MEASURES)


def test_the_stored_photographs_are_those_that_are_made_here() -> None:
    for pair in photographs():
        for image, digest in pair.digests:
            assert hashlib.sha256(image.tobytes()).hexdigest() == digest, pair


def test_psnr_by_hand() -> None:
    hr = np.zeros((8, 8))
    sr = np.full((8, 8), 5.1)
    assert psnr(sr, hr) == pytest.approx(20 * math.log10(255 / 5.1), abs=1e-12)


@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(11, 90), st.integers(11, 40)),
    st.sampled_from([(), (3,)]),
    st.sampled_from(["noise", "constant", "swapped"]),
)
@settings(max_examples=40, deadline=None)
def test_ssim_of_any_size_is_that_of_scikit_image(
    seed: int, size: tuple[int, int], channels: tuple[int, ...], kind: str
) -> None:
    rng = np.random.default_rng(seed)
    hr = rng.integers(0, 256, (*size, *channels)).astype(np.float64)
    if kind == "constant":
        hr[:], sr = hr.flat[0], np.full_like(hr, hr.flat[-1])
    else:
        sr = (
            np.clip(hr + rng.normal(0, 20, hr.shape), 0, 255)
            if kind == "noise"
            else np.ascontiguousarray(hr[..., ::-1])
        )
    assert ssim(sr, hr) == pytest.approx(scikit_image_ssim(sr, hr), abs=1e-12, rel=0)
    assert ssim(sr, hr) == ssim(hr, sr)


@given(st.integers(0, 2**32 - 1), st.permutations([0, 1, 2]))
@settings(max_examples=20, deadline=None)
def test_swapping_channels_in_both_images_changes_nothing_in_rgb(seed: int, order: list[int]) -> None:
    rng = np.random.default_rng(seed)
    hr = rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)
    sr = rng.random((24, 20, 3))
    evidence, swapped = Evidence((sr,), 4, hr), Evidence((sr[..., order],), 4, np.ascontiguousarray(hr[..., order]))
    for measure in ("psnr@rgb,crop2,u8", "ssim@rgb,crop2,u8"):
        assert score(measure, evidence) == pytest.approx(score(measure, swapped), rel=1e-12)
    if order != [0, 1, 2]:  # luma weighs the channels
        assert score("psnr@y,crop2,u8", evidence) != score("psnr@y,crop2,u8", swapped)


@given(st.integers(0, 255), st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_identical_images_have_infinite_psnr_and_ssim_one(level: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for hr in (rng.integers(0, 256, (16, 13, 3), dtype=np.uint8), np.full((16, 13), level, np.uint8)):
        draw = np.repeat(hr[:, :, None], 3, axis=2) if hr.ndim == 2 else hr
        evidence = Evidence((draw / 255,), 4, hr)
        for space in ("rgb", "y", "y8"):
            assert score(f"psnr@{space},crop0,u8", evidence) == math.inf
            assert score(f"ssim@{space},crop0,u8", evidence) == 1.0


def test_ssim_is_its_formula() -> None:
    rng = np.random.default_rng(2)
    hr = rng.uniform(0, 255, (31, 27, 3))
    sr = np.clip(hr + rng.normal(0, 20, hr.shape), 0, 255)
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    taps /= taps.sum()

    def blur(plane: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(plane, taps, axis=0), taps, axis=1)[5:-5, 5:-5]

    channels = []
    for x, y in zip(np.moveaxis(sr, 2, 0), np.moveaxis(hr, 2, 0), strict=True):
        mx, my = blur(x), blur(y)
        vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        channels.append(np.mean((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))))
    assert ssim(sr, hr) == pytest.approx(np.mean(channels), abs=1e-12)


def test_views_that_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="one shape"):
        psnr(np.zeros((4, 4)), np.zeros((4, 5)))
    with pytest.raises(ValueError, match="one shape"):
        ssim(np.zeros((16, 16)), np.zeros((16, 16, 3)))
    with pytest.raises(BenchError, match="at least 11x11 pixels after the crop"):
        ssim(np.zeros((10, 40)), np.zeros((10, 40)))


def test_a_window_that_does_not_fit_is_not_applicable() -> None:
    hr = np.zeros((18, 40, 3), np.uint8)
    scorer = Measure.parse("ssim@rgb,crop4,u8").open((), None)  # type: ignore[arg-type]
    found = scorer(Evidence((np.zeros((18, 40, 3)),), 4, hr))
    assert found == NotApplicable("SSIM needs 11x11 pixels after the crop")


def test_every_draw_has_its_value() -> None:
    rng = np.random.default_rng(3)
    hr = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
    draws = tuple(rng.random((20, 20, 3), dtype=np.float32) for _ in range(3))
    together = Measure.parse("psnr@y,crop4,u8").open((), None)(Evidence(draws, 4, hr))  # type: ignore[arg-type]
    assert together == [score("psnr@y,crop4,u8", Evidence((draw,), 4, hr)) for draw in draws]


def test_an_unknown_measure_lists_the_choices() -> None:
    with pytest.raises(BenchError, match=r"metric of .*psnr.*ssim.*did you mean psnr"):
        Measure.parse("psrn@y,crop4,u8")
