import hashlib
import json
import math
import os
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hcflow.images.io import read_image
from hcflow.images.matlab_resize import imresize, mod_crop

GOLDEN = Path(__file__).parents[2] / "golden" / "metrics" / "scikit_image_pairs.json"
DATA = os.environ.get("HCFLOW_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="HCFLOW_DATA is not set")
RNG_SEED = 2021


def random_image(shape, dtype=np.uint8):
    rng = np.random.default_rng(RNG_SEED)
    return rng.integers(0, 256, shape, dtype=np.uint8) if dtype == np.uint8 else rng.normal(0, 1, shape).astype(dtype)


def to_tensor(image):
    return torch.from_numpy(image if image.ndim == 2 else np.ascontiguousarray(np.moveaxis(image, 2, 0)))


def to_array(tensor):
    return tensor.numpy() if tensor.ndim == 2 else np.moveaxis(tensor.numpy(), 0, 2)


# --- An independent oracle: the formula of spec/protocols.md, one output sample at a time --------------------------


def keys(x):
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def mirrored(index, length):
    while not 0 <= index < length:
        index = -1 - index if index < 0 else 2 * length - 1 - index
    return index


def nearest(index, length):
    return min(max(index, 0), length - 1)


def oracle_line(line, outputs, scale, outside):
    """One line of samples; every tap within reach of the (stretched) kernel is visited, in exact-position order."""
    stretch = min(scale, 1.0)
    result = []
    for output in range(outputs):
        centre = (output + 0.5) / scale - 0.5
        taps = range(math.floor(centre - 2 / stretch) - 1, math.ceil(centre + 2 / stretch) + 2)
        weights = [keys((centre - tap) * stretch) for tap in taps]
        total = math.fsum(weights)
        values = (w * float(line[outside(tap, len(line))]) for tap, w in zip(taps, weights, strict=True))
        result.append(math.fsum(values) / total)
    return result


def oracle(image, size, scales, outside=mirrored):
    """imresize of a 2-D image: the dimension with the smaller scale first, uint8 rounded half up after each pass."""
    values = image.astype(np.float64)
    for axis in (0, 1) if scales[0] <= scales[1] else (1, 0):
        lines = [oracle_line(line, size[axis], scales[axis], outside) for line in np.moveaxis(values, axis, 1)]
        values = np.moveaxis(np.array(lines), 1, axis)
        if image.dtype == np.uint8:
            values = np.array([[min(max(math.floor(round(v, 9) + 0.5), 0), 255) for v in row] for row in values])
            values = values.astype(np.float64)
    return values.astype(image.dtype)


CASES = [
    # (height, width), scale or size
    ((13, 17), 0.25),
    ((16, 24), 0.125),
    ((12, 15), 1 / 3),
    ((12, 15), 0.5),
    ((9, 8), 2.0),
    ((7, 6), 3.0),
    ((6, 5), 4.0),
    ((11, 13), 0.37),
    ((7, 9), 1.9),
    ((10, 10), 1.0),
    ((11, 14), (5, 13)),
    ((14, 11), (13, 4)),
    ((6, 20), (15, 7)),
    ((20, 6), (7, 15)),
    ((40, 70), (33, 67)),
    ((1, 1), 0.25),
    ((1, 1), 4.0),
    ((2, 3), 0.25),
    ((2, 3), 0.125),
    ((2, 3), 4.0),
    ((1, 9), 0.25),
    ((9, 1), 0.25),
    ((1, 5), 3.0),
    ((5, 1), 2.0),
]


def arguments(shape, target):
    """Keyword arguments for imresize, output size and scales (computed exactly) for the oracle."""
    if isinstance(target, tuple):
        return {"size": target}, target, (target[0] / shape[0], target[1] / shape[1])
    exact = Fraction(target).limit_denominator(1000)
    return {"scale": target}, tuple(math.ceil(side * exact) for side in shape), (target, target)


@pytest.mark.parametrize("padding", ["symmetric", "replicate"])
@pytest.mark.parametrize(("shape", "target"), CASES)
class TestAgainstTheFormula:
    def test_uint8_is_bit_exact(self, shape, target, padding):
        image = random_image(shape)
        options, size, scales = arguments(shape, target)
        expected = oracle(image, size, scales, {"symmetric": mirrored, "replicate": nearest}[padding])
        np.testing.assert_array_equal(imresize(image, **options, padding=padding), expected)

    def test_float_agrees_to_rounding_error(self, shape, target, padding):
        image = random_image(shape, np.float64)
        options, size, scales = arguments(shape, target)
        expected = oracle(image, size, scales, {"symmetric": mirrored, "replicate": nearest}[padding])
        np.testing.assert_allclose(imresize(image, **options, padding=padding), expected, rtol=0, atol=1e-12)


# --- Numbers made elsewhere ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "crop"), [("coffee", (400, 600)), ("astronaut", (512, 512)), ("chelsea", (300, 448))])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_golden_digests_of_photographs(name, crop, library):
    expected = json.loads(GOLDEN.read_text())[f"skimage/{name}"]["sha256_pixels"]
    hr = read_image(files("skimage") / "data" / f"{name}.png")[: crop[0], : crop[1]]

    def resize(image, **options):
        return imresize(image, **options) if library == "numpy" else to_array(imresize(to_tensor(image), **options))

    lr = resize(hr, scale=1 / 4)
    got = {"hr": hr, "lr": lr, "bicubic": resize(lr, size=crop)}
    digests = {key: hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest() for key, image in got.items()}
    assert digests == {key: expected[key] for key in digests}


def genuine_pairs():
    for dataset, scales in {"Set5": (2, 3, 4), "Set14": (2, 3, 4), "CelebA160_HCFlow": (8,)}.items():
        for hr in sorted(Path(DATA, dataset, "HR").glob("*.png")) if DATA else []:
            for scale in scales:
                yield pytest.param(hr, scale, id=f"{dataset}-{hr.stem}-x{scale}")


@pytest.mark.slow
@needs_data
@pytest.mark.parametrize(("path", "scale"), list(genuine_pairs()))
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_genuine_lr_files_are_bit_exact(path, scale, library):
    hr = mod_crop(read_image(path), scale)
    lr = imresize(hr, 1 / scale) if library == "numpy" else to_array(imresize(to_tensor(hr), 1 / scale))
    np.testing.assert_array_equal(lr, read_image(path.parents[1] / f"LRbicx{scale}" / path.name))


@pytest.mark.slow
@needs_data
def test_the_genuine_pairs_are_all_there():
    assert len(list(genuine_pairs())) == 5 * 3 + 14 * 3 + 6


# --- numpy and torch -----------------------------------------------------------------------------------------------

TARGETS = [{"scale": 1 / 4}, {"scale": 3.0}, {"scale": 0.61}, {"size": (40, 9)}, {"size": (9, 80)}]


@pytest.mark.parametrize("padding", ["symmetric", "replicate"])
@pytest.mark.parametrize("options", TARGETS, ids=str)
@pytest.mark.parametrize("shape", [(37, 45), (37, 45, 3), (37, 45, 1), (37, 45, 4)])
class TestTorchIsNumpy:
    def test_uint8(self, shape, options, padding):
        image = random_image(shape)
        tensor = imresize(to_tensor(image), **options, padding=padding)
        assert tensor.dtype == torch.uint8
        np.testing.assert_array_equal(to_array(tensor), imresize(image, **options, padding=padding))

    @pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 2e-6)])
    def test_float(self, shape, options, padding, dtype, tolerance):
        image = random_image(shape, dtype)
        tensor = imresize(to_tensor(image), **options, padding=padding)
        expected = imresize(image, **options, padding=padding)
        assert to_array(tensor).dtype == expected.dtype == dtype
        np.testing.assert_allclose(to_array(tensor), expected, rtol=0, atol=tolerance)


def test_torch_keeps_any_leading_dimensions():
    batch = torch.from_numpy(random_image((2, 5, 3, 16, 12), np.float64))
    resized = imresize(batch, 0.25)
    assert resized.shape == (2, 5, 3, 4, 3)
    torch.testing.assert_close(resized[1, 4, 2], imresize(batch[1, 4, 2], 0.25), rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [0.25, 4.0])
def test_half_precisions_are_rounded_once_at_the_end(dtype, scale):
    tensor = torch.from_numpy(random_image((3, 32, 24), np.float32)).to(dtype)
    resized = imresize(tensor, scale)
    assert resized.dtype == dtype
    torch.testing.assert_close(resized, imresize(tensor.float(), scale).to(dtype), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_autocast_does_not_lower_the_precision(dtype):
    image = torch.from_numpy(random_image((3, 32, 24))).to(dtype)
    expected = imresize(image, 0.25)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        resized = imresize(image, 0.25)
    torch.testing.assert_close(resized, expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numpy_floats_keep_their_dtype_and_are_computed_in_float64(dtype):
    image = random_image((16, 20, 3), dtype)
    resized = imresize(image, 0.25)
    assert resized.dtype == dtype
    np.testing.assert_array_equal(resized, imresize(image.astype(np.float64), 0.25).astype(dtype))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("options", TARGETS, ids=str)
def test_a_gpu_gives_the_same_bits(options):
    image = random_image((3, 64, 96))
    tensor = torch.from_numpy(image)
    assert torch.equal(imresize(tensor.cuda(), **options).cpu(), imresize(tensor, **options))
    real = tensor.double()
    torch.testing.assert_close(imresize(real.cuda(), **options).cpu(), imresize(real, **options), rtol=0, atol=1e-11)


@pytest.mark.parametrize("options", [{"scale": 0.25}, {"scale": 2.0}, {"size": (3, 11)}], ids=str)
@pytest.mark.parametrize("padding", ["symmetric", "replicate"])
def test_gradients(options, padding):
    image = torch.from_numpy(random_image((2, 5, 4), np.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: imresize(x, **options, padding=padding), image)


def test_gradient_of_the_sum_reaches_every_pixel_and_adds_up_to_the_scale():
    image = torch.ones(8, 8, dtype=torch.float64, requires_grad=True)
    imresize(image, 0.5).sum().backward()
    assert image.grad.sum().item() == pytest.approx(16)
    assert (image.grad != 0).all()


def test_gradients_after_the_same_resize_in_inference_mode():
    image = torch.ones(3, 21, 22)  # a size of its own: the matrices are kept
    with torch.inference_mode():
        imresize(image, 0.5)
    imresize(image.requires_grad_(), 0.5).sum().backward()
    assert image.grad is not None


@pytest.mark.parametrize("shape", [(16, 12), (16, 12, 3)])
def test_the_input_is_left_alone(shape):
    for dtype in (np.uint8, np.float64):
        image = random_image(shape, dtype)
        before = image.copy()
        imresize(image, 0.25)
        imresize(image, size=(20, 3))
        np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("options", TARGETS, ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_memory_layout_does_not_matter(options, dtype):
    image = random_image((33, 50, 3), dtype)
    expected = imresize(image, **options)
    assert expected.flags.c_contiguous
    views = [np.asfortranarray(image), np.repeat(image, 2, axis=1)[:, ::2], image[::-1, ::-1].copy()[::-1, ::-1]]
    for view in views:
        np.testing.assert_allclose(imresize(view, **options), expected, rtol=0, atol=1e-14)
    read_only = image.copy()
    read_only.flags.writeable = False
    np.testing.assert_allclose(imresize(read_only, **options), expected, rtol=0, atol=1e-14)


def test_channels_do_not_mix():
    image = random_image((30, 41, 3))
    planes = [imresize(np.ascontiguousarray(image[:, :, channel]), 0.25) for channel in range(3)]
    np.testing.assert_array_equal(imresize(image, 0.25), np.stack(planes, axis=2))


def test_a_large_image_is_its_parts():
    """Blocks of the banded matrix meet without a seam: interior pixels do not know how large the image is."""
    image = random_image((400, 360))
    whole, part = imresize(image, 0.25), imresize(image[160:, 120:], 0.25)
    np.testing.assert_array_equal(whole[42:, 32:], part[2:, 2:])


# --- Rules ---------------------------------------------------------------------------------------------------------


def test_floats_are_never_rounded_or_clipped():
    step = np.repeat(np.array([[0.0, 255.0]]), 16, axis=1).repeat(32, axis=0)
    enlarged = imresize(step, 4.0)
    assert enlarged.min() < 0
    assert enlarged.max() > 255
    assert (enlarged != np.round(enlarged)).any()
    torch.testing.assert_close(imresize(torch.from_numpy(step), 4.0).numpy(), enlarged, rtol=0, atol=1e-11)


def test_uint8_saturates():
    step = np.repeat(np.array([[0, 255]], np.uint8), 16, axis=1).repeat(32, axis=0)
    assert imresize(step, 4.0).min() == 0
    assert imresize(step, 4.0).max() == 255


def test_exact_halves_are_rounded_up():
    # halving [0, 1, 1, 0, ...] periodically: every mean of two mirrored pixels is exactly .5
    image = np.tile(np.array([3, 4], np.uint8), (2, 1)).T.copy()  # rows 3, 4
    assert imresize(image, size=(1, 2)).tolist() == [[4, 4]]
    assert imresize(torch.from_numpy(image), size=(1, 2)).tolist() == [[4, 4]]


def test_the_first_pass_is_rounded_too():
    image = random_image((64, 64))
    rounded_once = np.clip(np.floor(imresize(image.astype(np.float64), 0.25) + 0.5), 0, 255).astype(np.uint8)
    assert (imresize(image, 0.25) != rounded_once).any()


@pytest.mark.parametrize("size", [(10, 40), (40, 10), (100, 40), (40, 100), (10, 13), (13, 10)])
def test_the_dimension_that_shrinks_more_goes_first(size):
    image = random_image((48, 48))
    height_first = imresize(imresize(image, size=(size[0], 48)), size=size)
    width_first = imresize(imresize(image, size=(48, size[1])), size=size)
    assert (height_first != width_first).any()
    expected = height_first if size[0] <= size[1] else width_first
    np.testing.assert_array_equal(imresize(image, size=size), expected)
    np.testing.assert_array_equal(imresize(torch.from_numpy(image), size=size).numpy(), expected)


def test_at_equal_scales_the_height_goes_first():
    image = random_image((48, 60))
    height_first = imresize(imresize(image, size=(12, 60)), size=(12, 15))
    width_first = imresize(imresize(image, size=(48, 15)), size=(12, 15))
    assert (height_first != width_first).any()
    np.testing.assert_array_equal(imresize(image, 0.25), height_first)


def test_older_matlab_differs_in_the_outer_two_lr_pixels_only():
    image = random_image((80, 96, 3))
    symmetric, replicate = imresize(image, 0.25), imresize(image, 0.25, padding="replicate")
    np.testing.assert_array_equal(symmetric[2:-2, 2:-2], replicate[2:-2, 2:-2])
    different = (symmetric != replicate).any(axis=2)
    for edge in (different[0], different[1], different[-1], different[-2], *different[:, [0, 1, -2, -1]].T):
        assert edge.any()


def test_scale_one_is_the_identity():
    for dtype in (np.uint8, np.float64):
        image = random_image((9, 11, 3), dtype)
        np.testing.assert_allclose(imresize(image, 1.0), image, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("shape", "scale", "size"),
    [
        ((10, 11), 0.25, (3, 3)),
        ((300, 9), 1 / 3, (100, 3)),
        ((69, 23), 1 / 2.3, (31, 11)),
        ((7, 5), 1.5, (11, 8)),
        ((1, 1), 0.1, (1, 1)),
    ],
)
def test_the_output_size_is_the_ceiling(shape, scale, size):
    assert imresize(np.zeros(shape, np.uint8), scale).shape == size
    assert imresize(torch.zeros(2, *shape), scale).shape == (2, *size)


@pytest.mark.parametrize("factor", range(2, 9))
def test_whole_factors_give_whole_sizes(factor):
    """The ceiling is of the float64 product, which for these never lies above the whole number."""
    for side in (*range(1, 60), 1365, 2731):
        assert imresize(np.zeros((side * factor, 1), np.float32), 1 / factor).shape == (side, 1)


dimensions = st.integers(1, 40)
scales = st.fractions(Fraction(1, 12), 6, max_denominator=24)


@settings(max_examples=60, deadline=None)
@given(height=dimensions, width=dimensions, scale=scales, level=st.integers(0, 255), padding=st.booleans())
def test_a_constant_image_stays_constant_and_has_the_size_asked_for(height, width, scale, level, padding):
    options = {"padding": "symmetric" if padding else "replicate"}
    size = (math.ceil(height * scale), math.ceil(width * scale))
    resized = imresize(np.full((height, width), level, np.uint8), float(scale), **options)
    assert resized.shape == size
    assert (resized == level).all()
    real = imresize(np.full((height, width), float(level)), float(scale), **options)
    np.testing.assert_allclose(real, level, rtol=0, atol=1e-11)


@settings(max_examples=40, deadline=None)
@given(
    height=dimensions,
    width=dimensions,
    size=st.tuples(dimensions, dimensions),
    factors=st.tuples(*[st.floats(-10, 10)] * 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_linear_on_floats(height, width, size, factors, seed):
    one, two = np.random.default_rng(seed).uniform(-1, 1, (2, height, width))
    together = imresize(factors[0] * one + factors[1] * two, size=size)
    apart = factors[0] * imresize(one, size=size) + factors[1] * imresize(two, size=size)
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-11)


# --- Cropping and errors -------------------------------------------------------------------------------------------


def test_mod_crop_cuts_the_bottom_and_the_right():
    image = random_image((13, 18, 3))
    for scale in (1, 2, 3, 4, 5, 13):
        rows, columns = 13 // scale * scale, 18 // scale * scale
        np.testing.assert_array_equal(mod_crop(image, scale), image[:rows, :columns])
        np.testing.assert_array_equal(mod_crop(image[..., 0], scale), image[:rows, :columns, 0])
        tensor = to_tensor(image)
        assert torch.equal(mod_crop(tensor, scale), tensor[:, :rows, :columns])
        assert torch.equal(mod_crop(tensor[None], scale), tensor[None, :, :rows, :columns])


@pytest.mark.parametrize("image", [np.zeros((7, 9, 3)), np.zeros((7, 9)), torch.zeros(3, 7, 9)], ids=["hwc", "hw", "t"])
def test_mod_crop_refuses_an_image_smaller_than_the_scale(image):
    with pytest.raises(ValueError, match=r"^expected an image of at least 8x8 pixels, got 9x7; leave it out$"):
        mod_crop(image, 8)


@pytest.mark.parametrize("make", [np.zeros, torch.zeros], ids=["numpy", "torch"])
class TestErrors:
    def test_neither_scale_nor_size(self, make):
        with pytest.raises(ValueError, match=r"^expected either scale or size, got neither$"):
            imresize(make((4, 4)))

    def test_both_scale_and_size(self, make):
        with pytest.raises(ValueError, match=r"^expected either scale or size, got both$"):
            imresize(make((4, 4)), 0.5, size=(2, 2))

    def test_unknown_padding(self, make):
        with pytest.raises(
            ValueError, match=r"^expected a known padding, got 'zero'; choose from symmetric, replicate$"
        ):
            imresize(make((4, 4)), 0.5, padding="zero")

    @pytest.mark.parametrize("scale", [0, -1])
    def test_mod_crop_to_an_impossible_multiple(self, make, scale):
        with pytest.raises(ValueError, match=rf"^expected a scale of at least 1, got {scale}$"):
            mod_crop(make((4, 4)), scale)

    @pytest.mark.parametrize("scale", [0, -1, math.inf, -math.inf, math.nan])
    def test_impossible_scale(self, make, scale):
        with pytest.raises(ValueError, match=r"^expected a positive scale, got "):
            imresize(make((4, 4)), scale)

    @pytest.mark.parametrize("size", [(0, 4), (4, 0), (-1, 4)])
    def test_empty_output(self, make, size):
        with pytest.raises(
            ValueError, match=rf"^expected at least one pixel in and out, got 4x5 to {size[1]}x{size[0]}$"
        ):
            imresize(make((5, 4)), size=size)

    @pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0)])
    @pytest.mark.parametrize("options", [{"scale": 0.5}, {"size": (2, 2)}], ids=str)
    def test_empty_input(self, make, shape, options):
        with pytest.raises(ValueError, match=r"^expected at least one pixel in and out, got "):
            imresize(make(shape), **options)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint16, np.int64, bool, np.complex64])
def test_numpy_dtypes_that_have_no_rounding_rule_are_refused(dtype):
    with pytest.raises(ValueError, match=r"^expected uint8 or floating pixels, got "):
        imresize(np.zeros((4, 4), dtype), 0.5)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.int64, torch.bool, torch.complex64])
def test_torch_dtypes_that_have_no_rounding_rule_are_refused(dtype):
    with pytest.raises(ValueError, match=r"^expected uint8 or floating pixels, got "):
        imresize(torch.zeros(4, 4, dtype=dtype), 0.5)


@pytest.mark.parametrize("shape", [(), (4,), (2, 4, 4, 3)])
def test_numpy_shapes_other_than_an_image_are_refused(shape):
    with pytest.raises(ValueError, match=r"^expected an array \(H, W\) or \(H, W, C\), got shape "):
        imresize(np.zeros(shape), 0.5)


@pytest.mark.parametrize("shape", [(), (4,)])
def test_torch_shapes_other_than_images_are_refused(shape):
    with pytest.raises(ValueError, match=r"^expected a tensor \(\.\.\., H, W\), got shape "):
        imresize(torch.zeros(shape), 0.5)
