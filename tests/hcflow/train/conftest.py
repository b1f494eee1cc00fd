"""A folder of small pictures, and its cache."""

import numpy as np
import pytest

from hcflow.data.cache import image_files, open_cache
from hcflow.images.io import write_png


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Six smooth colour pictures of different sizes."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number in range(6):
        height, width = 40 + 4 * number, 52 + 3 * number
        y, x = np.mgrid[:height, :width]
        waves = [np.sin(x / rng.uniform(3, 9) + y / rng.uniform(3, 9) + rng.uniform(0, 6)) for _ in range(3)]
        noise = rng.normal(0, 0.05, (height, width, 3))
        picture = np.clip(np.stack(waves, 2) * 0.35 + 0.5 + noise, 0, 1)
        write_png(folder / f"{number}.png", (picture * 255).round().astype(np.uint8))
    return folder


@pytest.fixture
def cache(pictures, tmp_path):
    """Of the pictures, for x4."""
    return open_cache(image_files(pictures), 4, tmp_path / "decoded")
