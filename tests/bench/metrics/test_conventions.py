"""The variants of `bench explain`: against stored values of the tools that score so, and against those tools."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pairs import Pair, photographs, real_pairs

from bench.metrics.conventions import LUMAS, USED_BY, WINDOWS, Convention, conventions, padded
from bench.metrics.metric import Evidence
from bench.metrics.views import Protocol

PHOTOGRAPH = photographs()[0]


def table(scale: int = 4, *, grey: bool = False) -> dict[str, Convention]:
    return {convention.id: convention for convention in conventions(scale, grey=grey)}


def test_every_user_uses_something_that_is_there() -> None:
    for scale in (4, 8):
        known = table(scale, grey=True)
        used = {name for name, convention in known.items() if convention.used_by}
        assert len(used) == sum(not pattern.startswith("lpips") for pattern in USED_BY)
        assert "psnr@rgb,crop0,trunc8" in used
        assert f"psnr@rgb,crop{scale + 6},u8" in used
    assert {f"ssim[{window}]@rgb,crop0,u8" for window in WINDOWS} | {f"psnr[{luma}]@crop0,u8" for luma in LUMAS} <= {
        *table()
    }


def test_ids_and_words_are_unique() -> None:
    found = conventions(4, grey=True)
    assert len({convention.id for convention in found}) == len(found)
    assert len({(convention.metric, convention.text) for convention in found}) == len(found)


def test_grey_policies_are_there_for_grey_images_alone() -> None:
    assert not [name for name in table() if "grey" in name]
    assert "psnr@y,crop4,u8,grey=direct" in table(grey=True)


@pytest.mark.parametrize("pair", photographs(), ids=str)
def test_stored_values_of_the_photographs(pair: Pair) -> None:
    known = table()
    for name in ("psnr@rgb,crop4,u8", "ssim@y,crop0,u8"):
        assert known[name].value(pair.evidence) == pytest.approx(pair.values[name], abs=1e-6)
    expected = pair.values["skimage_ssim_rgb_default_crop0"]
    assert known["ssim[7x7]@rgb,crop0,u8"].value(pair.evidence) == pytest.approx(expected, abs=1e-7)


@pytest.mark.slow
def test_stored_values_of_the_real_images() -> None:
    known = table()
    for pair in real_pairs():
        stored = {
            "psnr@y8,crop4,u8": ("variant_y_uint8.psnr_y.crop4", 1e-6),
            "ssim@y8,crop4,u8": ("variant_y_uint8.ssim_y.crop4", 1e-7),
            "ssim[7x7]@rgb,crop0,u8": ("skimage_default7x7.ssim_rgb.crop0 (SRFlow)", 1e-7),
            "psnr[0.299]@crop4,u8": ("pyiqa.psnry|yiq.crop4", 1e-4),  # in float32
        }
        for name, (key, tolerance) in stored.items():
            if pair.name.startswith("Set14/baboon") and "@y8" in name:
                # whoever made it rounded a few ties of the luma down
                assert 0 < abs(known[name].value(pair.evidence) - pair.values[key]) < 5e-6, name
                continue
            assert known[name].value(pair.evidence) == pytest.approx(pair.values[key], abs=tolerance), (pair, name)


@pytest.mark.slow
def test_padding_as_torchmetrics_does() -> None:
    image = pytest.importorskip("torchmetrics.functional.image")
    import torch

    rng = np.random.default_rng(0)
    for shape in ((40, 33, 3), (24, 70, 3)):
        hr = rng.integers(0, 256, shape).astype(np.float64)
        sr = np.clip(hr + rng.normal(0, 20, shape), 0, 255)
        tensors = [torch.from_numpy(view.transpose(2, 0, 1))[None] for view in (sr, hr)]
        expected = float(image.structural_similarity_index_measure(*tensors, data_range=255.0))
        assert padded(sr, hr, repeat=False) == pytest.approx(expected, abs=1e-9)
        assert padded(sr, hr) != pytest.approx(expected, abs=1e-6)


def test_padding_is_the_whole_map_of_scikit_image() -> None:
    """scikit-image computes the whole map with the border repeated, and crops it before it takes the mean."""
    from skimage.metrics import structural_similarity

    sr, hr = PHOTOGRAPH.evidence.views(Protocol("y", 4, "u8"))[0]
    _, whole = structural_similarity(
        sr, hr, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255.0, full=True
    )
    assert padded(sr, hr) == pytest.approx(whole.mean(), abs=1e-12)


def test_lumas_are_their_formulas() -> None:
    known = table()
    sr, hr = PHOTOGRAPH.evidence.views(Protocol("rgb", 4, "u8"))[0]
    for name, (weights, divisor, _) in LUMAS.items():
        difference = sum(weight * (sr - hr)[..., channel] for channel, weight in enumerate(weights)) / divisor
        expected = 10 * math.log10(255**2 / np.mean(difference**2))
        assert known[f"psnr[{name}]@crop4,u8"].value(PHOTOGRAPH.evidence) == pytest.approx(expected, abs=1e-9)


def test_how_far_apart_they_are() -> None:
    """The point of it all: the same image, the same name, other numbers."""
    part = Evidence((PHOTOGRAPH.evidence.draws[0][:96, :96],), 4, PHOTOGRAPH.evidence.reference[:96, :96])
    values = {name: convention.value(part) for name, convention in table().items()}
    psnrs = [value for name, value in values.items() if name.startswith("psnr")]
    ssims = [value for name, value in values.items() if name.startswith("ssim")]
    assert max(psnrs) - min(psnrs) > 1.4
    assert max(ssims) - min(ssims) > 0.02
    assert all(map(math.isfinite, values.values()))


def test_an_image_too_small_for_one_has_no_value_there() -> None:
    hr = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    values = {name: convention.value(Evidence((hr / 255,), 4, hr)) for name, convention in table().items()}
    assert math.isnan(values["psnr@rgb,crop10,u8"])
    assert math.isnan(values["ssim@rgb,crop10,u8"])
    assert values["psnr@rgb,crop4,u8"] == math.inf
    assert values["ssim@rgb,crop4,u8"] == 1.0
