"""Every kind of file: read exactly, or refused in one line."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from hcflow.images import io
from hcflow.images.io import ImageError, read_image, read_opaque, to_rgb, write_png

RNG = np.random.default_rng(3)
RGB = RNG.integers(0, 256, (9, 7, 3), dtype=np.uint8)
GREY = RGB[:, :, 0]
ALPHA = RGB[:, :, 1]


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp"])
@pytest.mark.parametrize("pixels", [RGB, GREY], ids=["rgb", "grey"])
def test_lossless_formats_are_exact(tmp_path: Path, suffix: str, pixels: np.ndarray) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(pixels).save(path, lossless=True)
    expected = to_rgb(pixels) if suffix == "webp" else pixels  # WebP knows no grey
    np.testing.assert_array_equal(read_image(path), expected)


@pytest.mark.parametrize("pixels", [RGB, GREY], ids=["rgb", "grey"])
def test_jpeg(tmp_path: Path, pixels: np.ndarray) -> None:
    path = tmp_path / "x.jpg"
    smooth = np.kron(pixels[:2, :2], np.ones((8, 8) if pixels.ndim == 2 else (8, 8, 1), np.uint8))
    Image.fromarray(smooth).save(path, quality=100, subsampling=0)
    assert np.abs(read_image(path).astype(int) - smooth).max() <= 2


def test_transparency_is_kept_and_an_opaque_alpha_dropped(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    rgba = np.dstack([RGB, ALPHA])
    Image.fromarray(rgba).save(path)
    np.testing.assert_array_equal(read_image(path), rgba)
    with pytest.raises(ImageError, match="expected an opaque image, got transparency; flatten"):
        read_opaque(path)
    Image.fromarray(np.dstack([RGB, np.full_like(ALPHA, 255)])).save(path)
    np.testing.assert_array_equal(read_opaque(path), RGB)
    Image.fromarray(np.dstack([GREY, np.full_like(ALPHA, 255)])).save(path)
    np.testing.assert_array_equal(read_image(path), GREY)
    Image.fromarray(np.dstack([GREY, ALPHA])).save(path)
    np.testing.assert_array_equal(read_image(path), np.dstack([to_rgb(GREY), ALPHA]))


def test_palettes_are_expanded(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    indices = RNG.integers(0, 4, (9, 7), dtype=np.uint8)
    image = Image.new("P", (7, 9))
    image.putdata(indices.ravel().tolist())
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 8, 7)]
    image.putpalette([value for colour in colours for value in colour])
    image.save(path)
    np.testing.assert_array_equal(read_image(path), np.array(colours, np.uint8)[indices])
    image.save(path, transparency=1)
    read = read_image(path)
    np.testing.assert_array_equal(read[:, :, 3], np.where(indices == 1, 0, 255))


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(GREY > 127).save(path)
    np.testing.assert_array_equal(read_image(path), np.where(GREY > 127, 255, 0))


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3), (9, 7, 4)], ids=["grey", "rgb", "rgba"])
def test_sixteen_bits_are_refused_and_never_cut_to_eight(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "x.png"
    cv2.imwrite(str(path), RNG.integers(0, 65536, shape, dtype=np.uint16))
    with pytest.raises(ImageError, match="expected 8 bits per channel, got 16; convert it"):
        read_image(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    block = np.kron(RGB[:2, :3], np.ones((16, 16, 1), np.uint8))
    Image.fromarray(block).save(path, exif=exif, quality=95, lossless=True)
    upright = {
        1: block, 2: block[:, ::-1], 3: block[::-1, ::-1], 4: block[::-1], 5: block.transpose(1, 0, 2),
        6: np.rot90(block, -1), 7: block.transpose(1, 0, 2)[::-1, ::-1], 8: np.rot90(block),
    }[orientation]  # fmt: skip
    read = read_image(path)
    assert read.shape == upright.shape
    wrong = np.abs(read[8::16, 8::16].astype(int) - upright[8::16, 8::16]).max()
    assert wrong <= (60 if suffix == "jpg" else 0)  # the blocks differ by more than JPEG's chroma loss


@pytest.mark.parametrize("odd", [{0x0100: (2, 3)}, {0x010E: (11, 3)}, {0x011A: (2, 3)}], ids=["width", "text", "dpi"])
def test_odd_exif_tags_do_not_hide_the_orientation(tmp_path: Path, odd: dict[int, tuple[int, int]]) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(RGB).save(path, exif=_exif(odd | {0x0112: (3, 6)}))
    np.testing.assert_array_equal(read_image(path), np.rot90(RGB, -1))


def _exif(tags: dict[int, tuple[int, int]]) -> bytes:
    """An EXIF block of the tags {number: (type, value)}, whether they make sense or not."""
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in tags.items())
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"


@pytest.mark.filterwarnings("ignore")  # Pillow's own remarks about what it skips
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp"])
def test_a_damaged_file_is_an_image_error_whatever_is_damaged(tmp_path: Path, suffix: str) -> None:
    path, rng = tmp_path / f"x.{suffix}", np.random.default_rng(8)
    exif = _exif({0x010E: (2, 9), 0x0112: (3, 6), 0x011A: (5, 40)})
    Image.fromarray(RGB).save(path, **({} if suffix == "bmp" else {"exif": exif}))
    whole = path.read_bytes()
    messages = []
    for _ in range(400):
        data = bytearray(whole)
        for at in rng.integers(0, min(len(data), 120), 3):
            data[at] = rng.integers(256)
        path.write_bytes(data)
        try:
            assert read_image(path).dtype == np.uint8
        except ImageError as error:
            messages.append(str(error))
    assert messages
    assert not any("\n" in message for message in messages)


def cmyk(path: Path) -> None:
    Image.new("CMYK", (7, 9)).save(path, "JPEG")


def animation(path: Path) -> None:
    frames = [Image.fromarray(RGB), Image.fromarray(RGB[::-1])]
    frames[0].save(path, "PNG", save_all=True, append_images=frames[1:])


def animated_webp(path: Path) -> None:
    frames = [Image.fromarray(RGB), Image.fromarray(RGB[::-1])]
    frames[0].save(path, "WEBP", save_all=True, append_images=frames[1:])


def truncated(path: Path) -> None:
    Image.fromarray(RNG.integers(0, 256, (90, 90, 3), dtype=np.uint8)).save(path, "PNG")
    path.write_bytes(path.read_bytes()[:9000])


def truncated_jpeg(path: Path) -> None:
    Image.fromarray(np.tile(RGB, (20, 20, 1))).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:2000])


def wrong_checksum(path: Path) -> None:
    Image.fromarray(RGB).save(path, "PNG")
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (cmyk, "expected grey or RGB, got CMYK; convert"),
        (animation, "expected one picture, got an animation; extract"),
        (animated_webp, "expected one picture, got an animation; extract"),
        (truncated, "expected a readable image, got a damaged one"),
        (truncated_jpeg, "expected a readable image, got a damaged one"),
        (wrong_checksum, "expected a readable image, got a damaged one"),
        (lambda path: path.write_bytes(b""), "got a damaged one (not a PNG, BMP, JPEG or WebP file)"),
        (lambda path: path.write_text("text"), "got a damaged one (not a PNG, BMP, JPEG or WebP file)"),
        (lambda path: Image.fromarray(RGB).save(path, "TIFF"), "not a PNG, BMP, JPEG or WebP file"),
        (lambda path: Image.fromarray(RGB).save(path, "GIF"), "not a PNG, BMP, JPEG or WebP file"),
        (lambda path: None, "expected an image file, got no file; check the path"),
        (lambda path: path.mkdir(), "expected a readable image"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, make: object, message: str) -> None:
    path = tmp_path / "x.png"
    make(path)  # type: ignore[operator]
    with pytest.raises(ImageError) as error:
        read_image(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    for pixels in (RGB, GREY, np.dstack([RGB, ALPHA]), np.asfortranarray(RGB), RGB[::-1, ::2]):
        write_png(path, pixels)
        np.testing.assert_array_equal(read_image(path), pixels)
    for wrong in (RGB.astype(np.float32), RGB[None]):
        with pytest.raises(ValueError, match=r"expected a uint8 \(H, W\) or \(H, W, C\) array"):
            write_png(path, wrong)


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.png"
    write_png(path, RGB)

    def fails(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(io.Image.Image, "save", fails)
    with pytest.raises(OSError, match="No space left"):
        write_png(path, GREY)
    np.testing.assert_array_equal(read_image(path), RGB)
    assert [file.name for file in tmp_path.iterdir()] == ["x.png"]
