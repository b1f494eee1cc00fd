"""PSNR and SSIM against values of the reference implementations, and against their formulas written out again."""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import correlate1d

from bench.datasets.local import read_hr
from bench.datasets.manifest import load_manifest
from bench.errors import BenchError
from bench.metrics.metric import METRICS, Measure
from bench.metrics.psnr import psnr
from bench.metrics.ssim import ssim
from bench.metrics.views import views
from hcflow.images.io import Pixels, read_image, to_rgb
from hcflow.images.matlab_resize import imresize, mod_crop

# What shared values promise: see the tolerances that come with them
TOLERANCE = {"psnr": 1e-6, "ssim": 1e-7}
MEASURES = [f"{metric}@{space},crop{crop},u8" for metric in TOLERANCE for space in ("rgb", "y") for crop in (0, 4)]


def degraded(hr: Pixels) -> dict[str, Pixels]:
    """The images that the stored values belong to."""
    bicubic = imresize(imresize(hr, 1 / 4), size=hr.shape[:2])
    rng = np.random.Generator(np.random.PCG64(7))
    noisy = np.clip(np.round(bicubic + rng.normal(0, 6, bicubic.shape)), 0, 255).astype(np.uint8)
    return {"bicubic": bicubic, "bicubic+noise(PCG64(7) normal sd 6)": noisy}


def score(measure: str, sr: Pixels, hr: Pixels) -> float:
    """A measure of two 8-bit images."""
    parsed = Measure.parse(measure)
    function = METRICS[parsed.metric].function
    assert function is not None
    return function(*views(to_rgb(sr) / 255, hr, parsed.protocol))


@pytest.mark.parametrize("name", ["coffee", "astronaut", "chelsea"])
def test_stored_values_of_the_sample_photographs(name: str, golden: Path) -> None:
    stored = json.loads((golden / "metrics/scikit_image_pairs.json").read_text())[f"skimage/{name}"]
    manifest = load_manifest("Sample")
    hr = read_hr(manifest, next(entry for entry in manifest.images if entry.id == name))
    assert hashlib.sha256(hr.tobytes()).hexdigest() == stored["sha256_pixels"]["hr"]
    for kind, sr in degraded(hr).items():
        assert hashlib.sha256(sr.tobytes()).hexdigest() == stored["sha256_pixels"]["noise" if "+" in kind else kind]
        for measure in MEASURES:
            tolerance = TOLERANCE[measure.partition("@")[0]]
            assert score(measure, sr, hr) == pytest.approx(stored[kind][measure], abs=tolerance, rel=0), measure


@pytest.mark.slow
@pytest.mark.skipif("HCFLOW_DATA" not in os.environ, reason="needs HCFLOW_DATA with Set5, Set14 and BSD100")
def test_stored_values_of_the_real_images(golden: Path) -> None:
    stored = json.loads((golden / "metrics/real_pairs.json").read_text())["pairs"]
    root = Path(os.environ["HCFLOW_DATA"])
    pictures = root.parent / "golden/metrics/images"
    checked = 0
    for pair, values in stored.items():
        dataset, image = pair.split("/")
        hr = mod_crop(read_image(root / dataset / "HR" / f"{image}.png"), 4)
        candidates = {"bicubic": imresize(imresize(hr, 1 / 4), size=hr.shape[:2])}
        if (picture := pictures / f"{dataset}_{image}_RRDB_PSNR.png").is_file():
            candidates["RRDB_PSNR"] = read_image(picture)
        for kind, sr in candidates.items():
            for measure in MEASURES:
                metric, protocol = measure.split("@")
                space, crop, _ = protocol.split(",")
                expected = values["degraded"][kind][f"hcflow.{metric}_{space}.{crop}"]
                assert score(measure, sr, hr) == pytest.approx(expected, abs=TOLERANCE[metric], rel=0), (pair, measure)
                checked += 1
    assert checked >= 7 * len(MEASURES)


def test_psnr_by_hand() -> None:
    hr = np.zeros((8, 8))
    sr = np.full((8, 8), 5.1)
    assert psnr(sr, hr) == pytest.approx(20 * math.log10(255 / 5.1), abs=1e-12)


def test_identical_images_have_infinite_psnr_and_ssim_one() -> None:
    image = np.random.default_rng(1).integers(0, 256, (16, 16, 3)).astype(np.float64)
    assert psnr(image, image.copy()) == math.inf
    assert ssim(image, image.copy()) == 1.0


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


def test_an_unknown_measure_lists_the_choices() -> None:
    with pytest.raises(BenchError, match="metric of psnr, ssim"):
        Measure.parse("psrn@y,crop4,u8")
