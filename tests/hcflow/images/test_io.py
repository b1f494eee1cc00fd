import os
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from hcflow.images import io as images_io
from hcflow.images.io import ImageError, read_image, read_opaque, to_rgb, write_png

LOSSLESS = {"png": {}, "bmp": {}, "tif": {}, "webp": {"lossless": True, "exact": True}}
RGB = np.random.default_rng(0).integers(0, 256, (7, 11, 3), dtype=np.uint8)
GREY = RGB[:, :, 0]
ALPHA = np.random.default_rng(1).integers(0, 256, (7, 11), dtype=np.uint8)
OPAQUE = np.full_like(ALPHA, 255)


def save(path, image, **options):
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def check(path, expected):
    pixels = read_image(path)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable
    np.testing.assert_array_equal(pixels, expected)


def png(width, height, depth, colour, rows, *extra):
    """A PNG made by hand; rows are the raw bytes of each line, extra chunks go before the pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunk(*e) for e in extra) + pixels + chunk(b"IEND", b"")


def refused(path, *words, read=read_image):
    """The one line of the error, which must name the file, what was expected, what was got and what to do."""
    with pytest.raises(ImageError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: expected ")
    expected, _, remedy = message.partition("; ")
    assert ", got " in expected
    assert remedy
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


# --- Pixels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", LOSSLESS)
class TestLossless:
    def test_rgb(self, tmp_path, suffix):
        check(save(tmp_path / f"a.{suffix}", RGB, **LOSSLESS[suffix]), RGB)

    def test_grey(self, tmp_path, suffix):
        expected = to_rgb(GREY) if suffix == "webp" else GREY  # WebP has no grey
        check(save(tmp_path / f"a.{suffix}", GREY, **LOSSLESS[suffix]), expected)

    def test_transparent_rgba(self, tmp_path, suffix):
        rgba, path = np.dstack([RGB, ALPHA]), tmp_path / f"a.{suffix}"
        if suffix == "bmp":  # Pillow writes the fourth byte without saying that it is alpha
            assert cv2.imwrite(str(path), rgba[:, :, [2, 1, 0, 3]])
        else:
            save(path, rgba, **LOSSLESS[suffix])
        check(path, rgba)

    def test_opaque_rgba(self, tmp_path, suffix):
        check(save(tmp_path / f"a.{suffix}", np.dstack([RGB, OPAQUE]), **LOSSLESS[suffix]), RGB)

    def test_the_suffix_does_not_decide(self, tmp_path, suffix):
        path = save(tmp_path / f"a.{suffix}", RGB, **LOSSLESS[suffix])
        check(path.rename(tmp_path / "a.jpg"), RGB)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp"])
def test_lossy_colour_is_what_an_independent_decoder_sees(tmp_path, suffix):
    smooth = cv2.resize(RGB, (64, 48), interpolation=cv2.INTER_CUBIC)
    path = save(tmp_path / f"a.{suffix}", smooth, quality=95)
    pixels = read_image(path).astype(int)
    assert pixels.shape == (48, 64, 3)
    assert np.abs(pixels - cv2.imread(str(path))[:, :, ::-1]).max() <= 3


def test_grey_jpeg_stays_grey(tmp_path):
    path = save(tmp_path / "a.jpg", GREY, quality=95)
    check(path, np.asarray(Image.open(path)))
    assert read_image(path).ndim == 2


def test_grey_with_alpha(tmp_path):
    check(save(tmp_path / "t.png", np.dstack([GREY, ALPHA])), np.dstack([GREY, GREY, GREY, ALPHA]))
    check(save(tmp_path / "o.png", np.dstack([GREY, OPAQUE])), GREY)


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_palette_is_expanded(tmp_path, suffix):
    palette = np.random.default_rng(2).integers(0, 256, (256, 3), dtype=np.uint8)
    image = Image.fromarray(GREY)
    image.putpalette(palette.tobytes())
    check(save(tmp_path / f"a.{suffix}", image), palette[GREY])


@pytest.mark.filterwarnings("error")
def test_palette_with_transparency(tmp_path):
    palette = np.arange(12, dtype=np.uint8).reshape(4, 3) * 20
    index = np.array([[0, 1, 2], [3, 2, 1]], np.uint8)
    image = Image.fromarray(index)
    image.putpalette(palette.tobytes())
    alpha = np.array([255, 0, 128, 255], np.uint8)
    check(save(tmp_path / "t.png", image, transparency=alpha.tobytes()), np.dstack([palette[index], alpha[index]]))
    check(save(tmp_path / "o.png", image, transparency=b"\xff\xff\xff\xff"), palette[index])


def test_a_transparent_palette_entry_that_no_pixel_uses_changes_nothing(tmp_path):
    image = Image.fromarray(np.ones((2, 2), np.uint8))
    image.putpalette(bytes(range(6)))
    check(save(tmp_path / "a.png", image, transparency=0), np.broadcast_to([3, 4, 5], (2, 2, 3)))


def test_one_transparent_colour(tmp_path):
    rgb = RGB.copy()
    rgb[2, 3] = (9, 8, 7)
    alpha = np.where((rgb == (9, 8, 7)).all(axis=2), 0, 255).astype(np.uint8)
    check(save(tmp_path / "rgb.png", Image.fromarray(rgb), transparency=(9, 8, 7)), np.dstack([rgb, alpha]))
    grey = np.array([[1, 2, 3]], np.uint8)
    path = save(tmp_path / "grey.png", Image.fromarray(grey), transparency=2)
    check(path, np.dstack([grey, grey, grey, [[255, 0, 255]]]))


def test_one_bit(tmp_path):
    bits = GREY > 127
    for suffix in ("png", "bmp"):
        check(save(tmp_path / f"a.{suffix}", Image.fromarray(bits)), np.where(bits, 255, 0))


@pytest.mark.parametrize("value", [0, 1])
def test_one_bit_with_a_transparent_value(tmp_path, value):
    path = tmp_path / "a.png"
    path.write_bytes(png(2, 1, 1, 0, [b"\x40"], (b"tRNS", struct.pack(">H", value))))
    alpha = [255, 0] if value else [0, 255]
    check(path, [[[0, 0, 0, alpha[0]], [255, 255, 255, alpha[1]]]])


@pytest.mark.parametrize("depth", [2, 4])
def test_shallow_grey_spans_the_whole_range(tmp_path, depth):
    levels = 2**depth
    packed = bytes(
        sum((i + j) << (8 - depth * (j + 1)) for j in range(8 // depth)) for i in range(0, levels, 8 // depth)
    )
    path = tmp_path / "a.png"
    path.write_bytes(png(levels, 1, depth, 0, [packed]))
    check(path, [[level * 255 // (levels - 1) for level in range(levels)]])


def test_interlaced_png(tmp_path):
    # the smallest Adam7 image has one pass; cv2 and Pillow write none, so this one is made by hand
    data = bytearray(png(1, 1, 8, 2, [b"\x0a\x14\x1e"]))
    data[28] = 1
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path = tmp_path / "a.png"
    path.write_bytes(data)
    check(path, [[[10, 20, 30]]])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_exif_orientation_is_applied(tmp_path, suffix, orientation):
    turned = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: np.rot90,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain = save(tmp_path / f"plain.{suffix}", RGB, **LOSSLESS.get(suffix, {}))
    path = save(tmp_path / f"turned.{suffix}", RGB, exif=exif, **LOSSLESS.get(suffix, {}))
    check(path, turned(read_image(plain)))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_impossible_orientation_is_ignored(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    check(save(tmp_path / "a.png", RGB, exif=exif), RGB)


def test_a_turned_palette_keeps_its_colours(tmp_path):
    palette = np.random.default_rng(2).integers(0, 256, (256, 3), dtype=np.uint8)
    image = Image.fromarray(GREY)
    image.putpalette(palette.tobytes())
    exif = Image.Exif()
    exif[0x0112] = 6
    check(save(tmp_path / "a.png", image, exif=exif), np.rot90(palette[GREY], -1))


def test_a_path_may_be_a_string(tmp_path):
    np.testing.assert_array_equal(read_image(str(save(tmp_path / "a.png", RGB))), RGB)


# --- Refusals ------------------------------------------------------------------------------------------------------


def test_sixteen_bit_grey(tmp_path):
    assert cv2.imwrite(str(tmp_path / "a.png"), GREY.astype(np.uint16) * 257)
    refused(tmp_path / "a.png", "8 bits per channel", "got 16")


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_colour(tmp_path, channels):
    pixels = np.random.default_rng(3).integers(0, 65536, (4, 5, channels), dtype=np.uint16)
    assert cv2.imwrite(str(tmp_path / "a.png"), pixels)
    refused(tmp_path / "a.png", "8 bits per channel", "got 16")


def test_sixteen_bit_grey_with_alpha(tmp_path):
    (tmp_path / "a.png").write_bytes(png(1, 1, 16, 4, [b"\x12\x34\xff\xff"]))
    refused(tmp_path / "a.png", "8 bits per channel", "got 16")


def test_cmyk(tmp_path):
    refused(save(tmp_path / "a.jpg", Image.fromarray(RGB).convert("CMYK")), "got CMYK", "convert it to RGB")


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_animation(tmp_path, suffix):
    frames = [Image.fromarray(np.full((4, 4, 3), level, np.uint8)) for level in (0, 90, 200)]
    path = save(tmp_path / f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:])
    refused(path, "one picture", "animation", "extract one")


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "tif"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_truncated(tmp_path, suffix, kept):
    noise = np.random.default_rng(4).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / f"a.{suffix}", noise, **LOSSLESS.get(suffix, {}))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    refused(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "tif"])
def test_damage_anywhere_is_an_image_or_one_line(tmp_path, suffix):
    """Flipped bytes either leave a readable picture or give an ImageError: nothing else gets out of the decoders."""
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {} if suffix == "bmp" else {"exif": exif}
    whole = save(tmp_path / f"whole.{suffix}", RGB, **options).read_bytes()
    rng = np.random.default_rng(5)
    path = tmp_path / f"a.{suffix}"
    for _ in range(300):
        data = bytearray(whole)
        for position in rng.integers(0, min(len(data), 400), rng.integers(1, 5)):
            data[position] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            assert read_image(path).dtype == np.uint8
        except ImageError:
            refused(path)


def test_a_flipped_pixel_byte_of_a_png_is_noticed(tmp_path):
    path = save(tmp_path / "a.png", RGB)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 60] ^= 1
    path.write_bytes(data)
    refused(path, "damaged")


@pytest.mark.parametrize("content", [b"", b"hello", b"<svg/>", b"\x89PNG\r\n\x1a\n", b"\0" * 500], ids=repr)
def test_not_an_image(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    refused(tmp_path / "a.png", "PNG, BMP, JPEG, WebP or TIFF", "got something else", "convert it to PNG")


@pytest.mark.parametrize("kind", ["GIF", "PPM", "JPEG2000", "ICO"])
def test_other_formats(tmp_path, kind):
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path, format=kind)
    refused(path, "PNG, BMP, JPEG, WebP or TIFF", "got something else", "convert it to PNG")


def test_missing(tmp_path):
    refused(tmp_path / "a.png", "no file", "check the path")


def test_a_folder(tmp_path):
    refused(tmp_path, "got a folder")


def test_no_permission(tmp_path, monkeypatch):
    def closed(*arguments, **options):
        raise PermissionError(13, "Permission denied")  # a file mode does not stop root

    monkeypatch.setattr(Image, "open", closed)
    refused(save(tmp_path / "a.png", RGB), "no permission")


def test_a_decompression_bomb(tmp_path):
    path = tmp_path / "a.png"
    for size in ((20000, 20000), (12000, 12000), (1, 2**27 + 1)):
        path.write_bytes(png(*size, 8, 2, [b""]))
        tracemalloc.start()
        refused(path)
        assert tracemalloc.get_traced_memory()[1] < 1e6
        tracemalloc.stop()


def test_sixteen_bits_are_seen_wherever_the_header_stands(tmp_path):
    """Pillow reads a PNG whose text comes before its header, and makes 8 bits of 16 without a word."""
    path = tmp_path / "a.png"
    data = png(1, 1, 16, 2, [b"\x12\x34" * 3])
    text = struct.pack(">I", 3) + b"tEXta\0b" + struct.pack(">I", zlib.crc32(b"tEXta\0b"))
    path.write_bytes(data[:8] + text + data[8:])
    refused(path, "got 16")


@pytest.mark.parametrize("kind", ["RGB", "L"])
def test_sixteen_bit_tiff(tmp_path, kind):
    pixels = np.random.default_rng(3).integers(0, 65536, (4, 5, 3) if kind == "RGB" else (4, 5), dtype=np.uint16)
    assert cv2.imwrite(str(tmp_path / "a.tif"), pixels)
    refused(tmp_path / "a.tif", "8 bits per channel", "got 16")


def test_a_tiff_of_several_pages(tmp_path):
    pages = [Image.fromarray(np.full((4, 4, 3), level, np.uint8)) for level in (0, 90)]
    refused(save(tmp_path / "a.tif", pages[0], save_all=True, append_images=pages[1:]), "several pages")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    refused(tmp_path / "a.png", "got a pipe")
    (tmp_path / "b.png").symlink_to("/dev/zero")
    refused(tmp_path / "b.png", "got a device")


@pytest.mark.parametrize("read", [read_image, read_opaque])
def test_errors_are_value_errors(tmp_path, read):
    with pytest.raises(ValueError, match="no file"):
        read(tmp_path / "a.png")


# --- read_opaque, to_rgb -------------------------------------------------------------------------------------------


def test_read_opaque_takes_grey_and_rgb(tmp_path):
    np.testing.assert_array_equal(read_opaque(save(tmp_path / "g.png", GREY)), GREY)
    np.testing.assert_array_equal(read_opaque(save(tmp_path / "c.png", RGB)), RGB)
    np.testing.assert_array_equal(read_opaque(save(tmp_path / "o.png", np.dstack([RGB, OPAQUE]))), RGB)


def test_read_opaque_refuses_transparency(tmp_path):
    for name, image in {"c.png": np.dstack([RGB, ALPHA]), "g.png": np.dstack([GREY, ALPHA])}.items():
        refused(save(tmp_path / name, image), "opaque", "transparency", "flatten", read=read_opaque)


def test_to_rgb():
    np.testing.assert_array_equal(to_rgb(GREY), np.stack([GREY] * 3, axis=2))
    assert to_rgb(RGB) is RGB


# --- write_png -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image", [GREY, RGB, np.dstack([RGB, ALPHA])], ids=["grey", "rgb", "rgba"])
def test_write_png_round_trip(tmp_path, image):
    for view in (image, image[::-1, ::2], np.asfortranarray(image)):
        write_png(tmp_path / "a.png", view)
        check(tmp_path / "a.png", view)
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), view)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_write_png_is_png_whatever_the_name(tmp_path):
    write_png(str(tmp_path / "a.jpg"), RGB)
    assert Image.open(tmp_path / "a.jpg").format == "PNG"


def test_a_written_file_is_as_readable_as_any_other(tmp_path):
    (tmp_path / "other").touch()
    write_png(tmp_path / "a.png", RGB)
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()], ids=["disk", "ctrl-c"])
def test_an_error_midway_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failure):
    write_png(tmp_path / "a.png", RGB)

    def half(self, stream, **options):
        stream.write(b"\x89PNG half of it")
        raise failure

    monkeypatch.setattr(Image.Image, "save", half)
    for name in ("a.png", "new.png"):
        with pytest.raises(type(failure)):
            write_png(tmp_path / name, GREY)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    check(tmp_path / "a.png", RGB)


def test_the_file_appears_only_when_it_is_whole(tmp_path, monkeypatch):
    seen = []
    real = Image.Image.save

    def watched(self, stream, **options):
        real(self, stream, **options)
        seen.append((tmp_path / "a.png").exists())

    monkeypatch.setattr(Image.Image, "save", watched)
    write_png(tmp_path / "a.png", RGB)
    assert seen == [False]


@pytest.mark.parametrize(
    "image",
    [
        RGB.astype(np.float64),
        RGB.astype(np.uint16),
        RGB > 9,
        RGB[0, 0],
        RGB[None],
        RGB[:, :, :1],
        RGB[:, :, :2],
        RGB[:0],
    ],
    ids=["float", "uint16", "bool", "line", "batch", "one channel", "two channels", "empty"],
)
def test_write_png_refuses_anything_but_uint8_pixels(tmp_path, image):
    with pytest.raises(ValueError, match=r"^expected a uint8 \(H, W\), \(H, W, 3\) or \(H, W, 4\) array, got "):
        write_png(tmp_path / "a.png", image)
    assert list(tmp_path.iterdir()) == []


def test_suffixes_are_the_formats_that_can_be_read(tmp_path):
    for suffix in images_io.SUFFIXES:
        assert read_image(save(tmp_path / f"a{suffix}", RGB)).shape == RGB.shape
