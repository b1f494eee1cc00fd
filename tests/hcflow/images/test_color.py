"""Luma against scikit-image's, which was written from another source."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2ycbcr

from hcflow.images.color import luma

RGB = np.random.default_rng(4).integers(0, 256, (31, 17, 3), dtype=np.uint8)


def test_it_is_scikit_images_luma() -> None:
    np.testing.assert_allclose(luma(RGB), rgb2ycbcr(RGB)[..., 0], atol=1e-10)
    np.testing.assert_array_equal(luma(RGB.astype(np.float64)), luma(RGB))


def test_the_range_is_studio() -> None:
    assert luma(np.zeros(3)) == 16
    assert luma(np.full(3, 255.0)) == pytest.approx(235, abs=1e-12)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected an array \(\.\.\., 3\), got shape \(4, 4\)"):
        luma(np.zeros((4, 4)))
