"""Users' pictures: what is converted is said, what cannot be is refused, and what is written comes back."""

import struct
from itertools import product

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from hcflow.images.io import ImageError, read_image
from hcflow.images.photo import FORMATS, Original, read_photo, write_photo

RGB = np.random.default_rng(0).integers(0, 256, (7, 11, 3), dtype=np.uint8)
RGBA = np.random.default_rng(0).integers(0, 256, (7, 11, 4), dtype=np.uint8)
GREY = RGB[:, :, 0].copy()
SRGB_PROFILE = ImageCms.createProfile("sRGB")
SRGB = ImageCms.ImageCmsProfile(SRGB_PROFILE).tobytes()


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


def lab_of(rgb):
    """8-bit CIELAB (D50), as profiles of 8 bits hold it, of one colour."""
    pixel = Image.fromarray(np.array(rgb, np.uint8).reshape(1, 1, 3))
    to_lab = ImageCms.buildTransform(SRGB_PROFILE, ImageCms.createProfile("LAB"), "RGB", "LAB")
    lightness, a, b = np.asarray(ImageCms.applyTransform(pixel, to_lab))[0, 0].astype(int)
    return lightness, (a + 128) % 256, (b + 128) % 256  # Pillow keeps a and b as two's complement


def rgb_of(lab):
    """sRGB, 0 .. 255, of 8-bit CIELAB, by the formulas (CIE 15; sRGB's matrix adapted to D50 after Bradford)."""
    lightness = lab[0] / 255 * 100
    fy = (lightness + 16) / 116
    f = np.array([fy + (lab[1] - 128) / 500, fy, fy - (lab[2] - 128) / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * (0.9642, 1.0, 0.8249)
    to_d50 = [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
    linear = np.clip(np.linalg.solve(np.array(to_d50), xyz), 0, 1)
    return 255 * np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)


def cmyk_profile():
    """A printer's ICC profile: a 2x2x2x2 table of the sixteen full inks, interpolated between them.

    Ideal inks: cyan takes all red away, and so on; black takes everything.
    """
    corners = [[255 * (1 - max(ink, inks[3])) for ink in inks[:3]] for inks in product((0, 1), repeat=4)]
    straight = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    table = b"".join(bytes(lab_of(rgb)) for rgb in corners)
    a2b0 = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + straight * 4 + table + straight * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)  # D50
    name = b"desc" + bytes(4) + struct.pack(">I", 6) + b"inks\0\0" + bytes(78)
    rights = b"text" + bytes(4) + b"none\0"
    tags, at, body = b"", 132 + 4 * 12, b""
    for signature, data in ((b"desc", name), (b"cprt", rights), (b"wtpt", white), (b"A2B0", a2b0)):
        tags += signature + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s", at + len(body), b"", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    assert len(header) == 128
    return header + struct.pack(">I", 4) + tags + body


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_is_converted_through_its_profile(tmp_path, suffix):
    inks = np.array([[c, m, y, k] for k in (0, 255) for y in (0, 255) for m in (0, 255) for c in (0, 255)], np.uint8)
    pixels = inks.reshape(2, 8, 4).repeat(16, 0).repeat(16, 1)  # a JPEG's blocks are flat
    options = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    Image.fromarray(pixels, "CMYK").save(tmp_path / f"a.{suffix}", icc_profile=cmyk_profile(), **options)
    photo = read_photo(tmp_path / f"a.{suffix}")
    assert photo.conversion == "CMYK: converted to sRGB through its colour profile"
    assert photo.profile is None  # which would be wrong for what is written
    ideal = 255 - np.maximum(pixels[:, :, :3], pixels[:, :, 3:]).astype(int)
    np.testing.assert_array_equal(photo.pixels > 127, ideal > 127)
    table = np.array([rgb_of(lab_of(rgb)) for rgb in ideal[::16, ::16].reshape(-1, 3)]).reshape(2, 8, 3)
    assert np.abs(photo.pixels[8::16, 8::16] - table).max() <= 1.5  # rounded, from a table of 8 bits


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
