"""Users' pictures: what is converted is said, what cannot be is refused, and what is written comes back."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from hcflow.images.io import ImageError, read_image
from hcflow.images.photo import FORMATS, Original, read_photo, write_photo

RGB = np.random.default_rng(0).integers(0, 256, (7, 11, 3), dtype=np.uint8)
RGBA = np.random.default_rng(0).integers(0, 256, (7, 11, 4), dtype=np.uint8)
GREY = RGB[:, :, 0].copy()
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("name", ["png", "webp", "tiff"])
@pytest.mark.parametrize("pixels", [GREY, RGB, RGBA], ids=["grey", "rgb", "rgba"])
def test_what_is_written_comes_back(tmp_path, name, pixels):
    path = tmp_path / f"a{FORMATS[name]}"
    original = Original(361, 250, grey=True)
    write_photo(path, pixels, original=original, profile=SRGB)
    photo = read_photo(path)
    assert Image.open(path).format == name.upper()
    expected = np.dstack([GREY] * 3) if name == "webp" and pixels is GREY else pixels
    np.testing.assert_array_equal(photo.pixels, expected)
    assert photo.original == original
    assert photo.conversion is None
    assert photo.profile == (None if pixels is GREY else SRGB)
    write_photo(path, pixels)
    plain = read_photo(path)
    assert (plain.original, plain.profile) == (None, None)


def test_jpeg_is_close(tmp_path):
    smooth = np.dstack([np.add.outer(np.arange(32), np.arange(40)).astype(np.uint8) * 3] * 3)
    write_photo(tmp_path / "a.jpg", smooth)
    assert Image.open(tmp_path / "a.jpg").format == "JPEG"
    assert np.abs(read_photo(tmp_path / "a.jpg").pixels.astype(int) - smooth).max() <= 4
    with pytest.raises(ImageError, match="expected an opaque image for JPEG, got transparency; use --format png"):
        write_photo(tmp_path / "a.jpg", RGBA)
    with pytest.raises(ImageError, match="expected a name that ends in"):
        write_photo(tmp_path / "a.gif", RGB)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_sixteen_bits_are_cut_to_eight(tmp_path, suffix, shape):
    pixels = np.random.default_rng(3).integers(0, 65536, shape, dtype=np.uint16)
    assert cv2.imwrite(str(tmp_path / f"a.{suffix}"), pixels)
    photo = read_photo(tmp_path / f"a.{suffix}")
    assert photo.conversion == "16 bits per channel: the upper 8 are used"
    expected = (pixels if len(shape) == 2 else pixels[:, :, ::-1]) >> 8  # OpenCV's order is BGR
    np.testing.assert_array_equal(photo.pixels, expected)


def test_cmyk_needs_its_profile(tmp_path):
    image = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    image.save(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="CMYK without a colour profile; convert it to RGB first"):
        read_photo(tmp_path / "a.jpg")
    image.save(tmp_path / "b.jpg", icc_profile=b"no profile at all")
    with pytest.raises(ImageError, match="expected a colour profile for CMYK, got one that fails"):
        read_photo(tmp_path / "b.jpg")
    image.save(tmp_path / "c.jpg", icc_profile=SRGB)  # a profile, but of another colour space
    with pytest.raises(ImageError, match="expected a colour profile for CMYK, got one that fails"):
        read_photo(tmp_path / "c.jpg")


@pytest.mark.parametrize("text", ["hcflow original 0x", "hcflow original 9999999x1", "", "hcflow original 3x4 grey "])
def test_other_texts_are_no_sizes(tmp_path, text):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("hcflow", text)
    Image.fromarray(RGB).save(tmp_path / "a.png", pnginfo=info)
    expected = Original(3, 4, True) if text.endswith(" ") else None
    assert read_photo(tmp_path / "a.png").original == expected
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RGB)


def test_floats_are_refused(tmp_path):
    Image.fromarray(np.zeros((3, 3), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="expected 8 or 16 bits of grey, RGB or CMYK, got 32 bits"):
        read_photo(tmp_path / "a.tif")


def test_a_camera_picture_with_a_preview_behind_it(tmp_path):
    pages = [Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (90, 0)]
    pages[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=pages[1:])
    assert read_photo(tmp_path / "a.jpg").pixels.mean() == pytest.approx(90, abs=1)
