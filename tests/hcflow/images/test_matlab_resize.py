"""imresize against MATLAB's own files, against its formula written out pixel by pixel, and on tensors."""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hcflow.images.io import Pixels, read_image
from hcflow.images.matlab_resize import Padding, imresize, mod_crop

RNG = np.random.default_rng(6)


def cubic(x: float) -> float:
    """Keys' kernel, a = -0.5."""
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


def oracle_1d(line: list[float], outputs: int, scale: float, padding: Padding) -> list[float]:
    """One line of pixels: for every output the sum over all inputs, mirrored or repeated without end."""
    n, stretch, result = len(line), min(scale, 1.0), []
    for i in range(outputs):
        centre = (i + 0.5) / scale - 0.5
        total = weight_sum = 0.0
        for j in range(math.floor(centre - 2 / stretch) - 1, math.ceil(centre + 2 / stretch) + 2):
            weight = cubic((centre - j) * stretch)
            k = j % (2 * n) if padding == "symmetric" else min(max(j, 0), n - 1)
            total += weight * line[2 * n - 1 - k if k >= n else k]
            weight_sum += weight
        result.append(total / weight_sum)
    return result


def oracle(image: np.ndarray, size: tuple[int, int], scales: tuple[float, float], padding: Padding) -> np.ndarray:
    """A grey image; uint8 is rounded half up after each pass."""

    def rounded(value: float) -> float:
        return min(max(math.floor(value + 0.5 + 1e-9), 0), 255) if image.dtype == np.uint8 else value

    rows = image.astype(float).tolist()
    for axis in (0, 1) if scales[0] <= scales[1] else (1, 0):
        lines = rows if axis else [list(column) for column in zip(*rows, strict=True)]
        lines = [[rounded(v) for v in oracle_1d(line, size[axis], scales[axis], padding)] for line in lines]
        rows = lines if axis else [list(row) for row in zip(*lines, strict=True)]
    return np.array(rows, image.dtype)


@pytest.mark.parametrize("padding", ["symmetric", "replicate"])
@pytest.mark.parametrize("scale", [1 / 2, 1 / 3, 1 / 4, 1 / 8, 0.37, 1, 1.3, 2, 4])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 9), (17, 13)])
def test_it_is_its_formula(shape: tuple[int, int], scale: float, padding: Padding) -> None:
    size = (math.ceil(shape[0] * scale - 1e-9), math.ceil(shape[1] * scale - 1e-9))
    eight_bits = RNG.integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(
        imresize(eight_bits, scale, padding=padding), oracle(eight_bits, size, (scale, scale), padding)
    )
    floats = RNG.random(shape)
    resized = imresize(floats, scale, padding=padding)
    assert resized.shape == size
    np.testing.assert_allclose(resized, oracle(floats, size, (scale, scale), padding), atol=1e-12)


@pytest.mark.parametrize("size", [(5, 20), (20, 5), (8, 9), (30, 4)])
def test_sizes_set_a_scale_for_each_side_and_the_smaller_goes_first(size: tuple[int, int]) -> None:
    image = RNG.integers(0, 256, (12, 11), dtype=np.uint8)
    scales = (size[0] / 12, size[1] / 11)
    np.testing.assert_array_equal(imresize(image, size=size), oracle(image, size, scales, "symmetric"))


@pytest.mark.parametrize(
    ("name", "height", "width"), [("coffee", 400, 600), ("astronaut", 512, 512), ("chelsea", 300, 448)]
)
def test_stored_digests_of_photographs(name: str, height: int, width: int, golden: Path) -> None:
    stored = json.loads((golden / "metrics/scikit_image_pairs.json").read_text())[f"skimage/{name}"]["sha256_pixels"]
    hr = read_image(Path(skimage.__file__).parent / "data" / f"{name}.png")[:height, :width]
    lr = imresize(hr, 1 / 4)
    assert hashlib.sha256(lr.tobytes()).hexdigest() == stored["lr"]
    assert hashlib.sha256(imresize(lr, size=(height, width)).tobytes()).hexdigest() == stored["bicubic"]


@pytest.mark.slow
@pytest.mark.skipif("HCFLOW_DATA" not in os.environ, reason="needs HCFLOW_DATA with the genuine LR files")
@pytest.mark.parametrize(
    ("dataset", "scale"),
    [("Set5", 2), ("Set5", 3), ("Set5", 4), ("Set14", 2), ("Set14", 3), ("Set14", 4), ("CelebA160_HCFlow", 8)],
)
def test_genuine_lr_files_are_bit_exact(dataset: str, scale: int) -> None:
    folder = Path(os.environ["HCFLOW_DATA"]) / dataset
    files = sorted((folder / f"LRbicx{scale}").glob("*.png"))
    assert len(files) == {"Set5": 5, "Set14": 14, "CelebA160_HCFlow": 6}[dataset]
    for path in files:
        hr = mod_crop(read_image(folder / "HR" / path.name), scale)
        np.testing.assert_array_equal(imresize(hr, 1 / scale), read_image(path), err_msg=path.name)
        tensor = torch.from_numpy(np.ascontiguousarray(hr if hr.ndim == 2 else hr.transpose(2, 0, 1)))
        resized = imresize(tensor, 1 / scale).numpy()
        np.testing.assert_array_equal(resized if hr.ndim == 2 else resized.transpose(1, 2, 0), read_image(path))


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.1, 5), st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_a_flat_image_stays_flat(height: int, width: int, scale: float, value: int) -> None:
    resized = imresize(np.full((height, width), value, np.uint8), scale)
    assert (resized == value).all()
    assert resized.shape == (math.ceil(height * scale - 1e-9), math.ceil(width * scale - 1e-9))


@pytest.mark.parametrize("scale", [1 / 4, 1 / 3, 2.5])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64, torch.float32])
def test_tensors_agree_with_arrays(scale: float, dtype: torch.dtype) -> None:
    image: Pixels = RNG.integers(0, 256, (26, 31, 3), dtype=np.uint8)
    array = image if dtype == torch.uint8 else image / 255.0
    tensor = torch.from_numpy(array).permute(2, 0, 1).to(dtype)
    batch = imresize(torch.stack([tensor, tensor.flip(-1)]), scale)
    assert batch.dtype == dtype
    expected = imresize(array, scale)
    tolerance = {torch.uint8: 0, torch.float64: 1e-13, torch.float32: 1e-6}[dtype]
    np.testing.assert_allclose(batch[0].permute(1, 2, 0).numpy(), expected, atol=tolerance)
    np.testing.assert_allclose(batch[1].permute(1, 2, 0).numpy(), imresize(array[:, ::-1], scale), atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precisions_are_computed_in_float32(dtype: torch.dtype) -> None:
    image = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert torch.equal(imresize(image, 1 / 4), imresize(image.float(), 1 / 4).to(dtype))


def test_it_is_differentiable() -> None:
    image = torch.rand(2, 9, 7, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda x: imresize(x, 1 / 3), image)
    assert torch.autograd.gradcheck(lambda x: imresize(x, size=(11, 8)), image)


def test_floats_are_never_rounded_or_clipped_and_keep_their_type() -> None:
    step = np.zeros((16, 16), np.float32)
    step[:, 8:] = 1
    resized = imresize(step, 2.0)
    assert resized.dtype == np.float32
    assert resized.min() < 0 < 1 < resized.max()  # the kernel rings


def test_paddings_differ_at_the_border_only() -> None:
    image = RNG.integers(0, 256, (64, 48, 3), dtype=np.uint8)
    symmetric, replicate = imresize(image, 1 / 4), imresize(image, 1 / 4, padding="replicate")
    np.testing.assert_array_equal(symmetric[2:-2, 2:-2], replicate[2:-2, 2:-2])
    assert (symmetric != replicate).any()


def test_mod_crop_cuts_bottom_and_right() -> None:
    image = np.arange(11 * 9 * 3).reshape(11, 9, 3)
    np.testing.assert_array_equal(mod_crop(image, 4), image[:8, :8])
    tensor = torch.arange(3 * 11 * 9).reshape(3, 11, 9)
    assert torch.equal(mod_crop(tensor, 4), tensor[:, :8, :8])
    with pytest.raises(ValueError, match="at least 16x16 pixels, got 9x11"):
        mod_crop(image, 16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((4, 4)),), "expected either scale or size, got neither"),
        ((np.zeros((4, 4)), 2.0, (8, 8)), "expected either scale or size, got both"),
        ((np.zeros((4, 4)), -1.0), "expected a positive scale, got -1.0"),
        ((np.zeros((4, 4)), math.nan), "expected a positive scale, got nan"),
        ((np.zeros((0, 4)), 2.0), "expected at least one pixel in and out, got 4x0"),
        ((np.zeros((4, 4)), None, (0, 8)), "expected at least one pixel in and out"),
        ((np.zeros((4, 4), np.int32), 2.0), "expected uint8 or floating pixels, got int32"),
        ((torch.zeros(4, 4, dtype=torch.int32), 2.0), "expected uint8 or floating pixels, got torch.int32"),
        ((np.zeros(4), 2.0), r"expected an array \(H, W\) or \(H, W, C\), got shape \(4,\)"),
    ],
)
def test_what_cannot_be_resized(arguments: tuple[object, ...], message: str) -> None:
    image, scale, size = (*arguments, None, None)[:3]
    with pytest.raises(ValueError, match=message):
        imresize(image, scale, size=size)  # type: ignore[call-overload]
