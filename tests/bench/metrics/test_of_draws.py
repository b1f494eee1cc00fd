"""Diversity, consistency, LR-PSNR and the facts, against stored values, their formulas, and each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import Pair, photographs, real_pairs
from scoring import score, scores

from bench.errors import BenchError
from bench.metrics.consistency import as_srflow
from bench.metrics.diversity import diversity
from bench.metrics.metric import Evidence, Measure, NotApplicable
from hcflow.images.io import to_rgb
from hcflow.images.matlab_resize import imresize

DIVERSITY = "diversity@rgb,crop0,float"
RNG = np.random.default_rng(5)


@pytest.mark.parametrize("pair", photographs()[::2], ids=str)
def test_stored_diversity_of_the_photographs(pair: Pair) -> None:
    rng = np.random.Generator(np.random.PCG64(8))
    draws = tuple(
        (np.clip(pair.sr + rng.normal(0, 5, pair.sr.shape), 0, 255) / 255).astype(np.float32) for _ in range(5)
    )
    found = score(DIVERSITY, Evidence(draws, 4, pair.evidence.hr))
    assert found == pytest.approx(pair.image["diversity@std5,rgb,float255"], abs=1e-4)


@pytest.mark.parametrize("pair", photographs(), ids=str)
def test_stored_consistency_of_the_photographs(pair: Pair) -> None:
    for variant in ("hcflow", "srflow"):
        expected = next(value for key, value in pair.values.items() if key.startswith(f"consistency@{variant}:"))
        assert score(f"consistency@{variant}", pair.evidence) == pytest.approx(expected, abs=1e-6), variant


@pytest.mark.slow
def test_stored_values_of_the_real_images() -> None:
    truncated = 0
    for pair in real_pairs():
        hr, sr = to_rgb(pair.evidence.reference), to_rgb(pair.sr)
        values = pair.values
        expected = values["hcflow.consistency.psnr_rgb.crop0"]
        assert score("consistency@hcflow", pair.evidence) == pytest.approx(expected, abs=1e-6), pair
        expected = values["variant_mlr.lr_psnr.u8_imresize(half_up)_vs_given_lr"]
        assert score("consistency@srflow", pair.evidence) == pytest.approx(expected, abs=1e-6), pair
        expected = values["srflow.lr_psnr.u8_imresize(half_even)_vs_given_lr"]
        assert as_srflow(pair.evidence, half_even=True) == [pytest.approx(expected, abs=1e-6)], pair
        if "RRDB" in pair.name and "srflow.lr_psnr.sr_TRUNCATED_u8_vs_given_lr" in values:
            truncated += 1

        own = imresize(hr / 255, 1 / 4)
        stored = pair.image["lr_psnr_example (given LR vs LR rounded once)"]
        evidence = Evidence((sr / 255,), 4, hr, own_lr=own)
        for space in ("rgb", "y"):
            assert score(f"lr_psnr@{space},crop0,u8", evidence) == pytest.approx(
                stored[f"hcflow.lr.psnr_{space}.crop0"], abs=1e-6
            )
            assert score(f"lr_ssim@{space},crop0,u8", evidence) == pytest.approx(
                stored[f"hcflow.lr.ssim_{space}.crop0"], abs=1e-7
            )

        if pair.name.endswith("bicubic"):
            rng = np.random.default_rng(2021)
            draws = tuple((sr / 255 + 0.05 * rng.standard_normal(sr.shape)).astype(np.float32) for _ in range(5))
            stored = pair.image["diversity_synthetic"]
            found = score(DIVERSITY, Evidence(draws, 4, hr))
            assert found == pytest.approx(stored["hcflow.std5_f32_unclamped"], abs=1e-4)
            assert abs(found - stored["biased_ddof0_f64 (wrong)"]) > 1
    assert truncated


def test_diversity_is_its_formula_and_does_not_clip() -> None:
    draws = RNG.normal(0.5, 0.6, (4, 70, 9, 3)).astype(np.float32)
    mean = draws.astype(np.float64).mean(axis=0)
    variance = sum((draw.astype(np.float64) - mean) ** 2 for draw in draws) / 3
    assert diversity(list(draws)) == pytest.approx(255 * np.mean(np.sqrt(variance)), rel=1e-12)


def test_diversity_of_one_draw() -> None:
    one = Evidence((np.zeros((4, 4, 3)),), 4)
    assert scores(DIVERSITY, one) == NotApplicable("fewer than two draws")
    assert scores(DIVERSITY, Evidence(one.draws, 4, facts={"deterministic": 1.0})) == 0.0
    assert scores(DIVERSITY, Evidence(one.draws * 3, 4)) == 0.0


@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_diversity_does_not_depend_on_the_order_of_draws(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    draws = [rng.random((5, 6, 3)) for _ in range(count)]
    assert diversity(draws) == pytest.approx(diversity(draws[::-1]), rel=1e-12)
    assert diversity([draw + 0.25 for draw in draws]) == pytest.approx(diversity(draws), rel=1e-9)


def test_a_perfect_restoration_is_perfectly_consistent() -> None:
    hr = RNG.integers(0, 256, (24, 16, 3), dtype=np.uint8)
    evidence = Evidence((hr / 255,), 4, hr, imresize(hr, 1 / 4) / 255)
    assert score("consistency@hcflow", evidence) == math.inf
    assert score("consistency@srflow", evidence) == math.inf
    assert score("consistency@srflow", Evidence((hr / 255,), 4, hr)) == math.inf  # it makes the LR image itself


def test_consistency_of_srflow_needs_no_hr_and_hcflow_says_that_it_does() -> None:
    lr = RNG.integers(0, 256, (6, 4, 3), dtype=np.uint8)
    evidence = Evidence((imresize(lr, size=(24, 16)) / 255,), 4, lr=lr / 255)
    assert score("consistency@srflow", evidence) > 20
    with pytest.raises(BenchError, match="expected HR images"):
        score("consistency@hcflow", evidence)
    with pytest.raises(BenchError, match="one size"):
        score("consistency@srflow", Evidence(evidence.draws, 4, lr=lr[:-1] / 255))


def test_no_own_lr_is_not_applicable() -> None:
    evidence = Evidence((np.zeros((16, 16, 3)),), 4, np.zeros((16, 16, 3), np.uint8))
    for name in ("lr_psnr", "lr_ssim"):
        assert scores(f"{name}@rgb,crop0,u8", evidence) == NotApplicable("the method makes no LR image of its own")
        assert Measure.parse(name).of.needs == {"own_lr"}
    small = Evidence(evidence.draws, 4, evidence.hr, own_lr=np.zeros((4, 4, 3)))
    assert score("lr_psnr", small) == math.inf
    assert isinstance(scores("lr_ssim", small), NotApplicable)


@pytest.mark.parametrize(
    ("measure", "fact", "value", "shown"),
    [
        ("parameters", "parameters", 23_183_616, 23.183616),
        ("seconds", "seconds", 1.5, 1.5),
        ("memory", "peak_memory", 512.0, 512.0),
        ("bits_per_pixel", "bits_per_pixel", -3.25, -3.25),
    ],
)
def test_facts(measure: str, fact: str, value: float, shown: float) -> None:
    draw = np.zeros((4, 4, 3))
    assert scores(measure, Evidence((draw, draw), 4, facts={fact: value})) == shown
    assert isinstance(scores(measure, Evidence((draw,), 4)), NotApplicable)
