"""Image files to uint8 arrays and back: what is read is exactly what is stored, or an error says why not."""

from __future__ import annotations

import io
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from hcflow.atomic import write_atomically

Pixels: TypeAlias = NDArray[np.uint8]

SUFFIXES = (".png", ".bmp", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
MAX_PIXELS = 2**27
"""Largest image that is read, about 11500x11500: its pixels take up to 0.5 GiB."""
_FORMATS = ("PNG", "BMP", "JPEG", "WEBP", "TIFF")
# what Pillow raises on damaged files; the last five come from damaged EXIF blocks and TIFF directories
_DECODER_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, zlib.error, Image.DecompressionBombError),
    *(struct.error, TypeError, LookupError, ArithmeticError, AttributeError),
)
_ORIENTATION = 0x0112  # EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageError(ValueError):
    """An image that cannot be used; the message says what was expected, what was got and what to do."""


def read_image(path: str | os.PathLike[str]) -> Pixels:
    """Read an 8-bit image as it is meant to be seen: palette expanded, EXIF orientation applied.

    Args:
        path: PNG, BMP, JPEG, WebP or TIFF file.

    Returns:
        uint8 array, (H, W) for grey, (H, W, 3) for RGB, (H, W, 4) for anything with real transparency
        (an alpha channel that is opaque everywhere is dropped).

    Raises:
        ImageError: missing, damaged, animated, CMYK, too large, or more than 8 bits per channel.
    """
    with open_image(path) as image:
        _refuse_what_eight_bits_cannot_hold(Path(path), image)
        image.load()
        return to_array(Path(path), upright(image))


@contextmanager
def open_image(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """Open an image file whose header was checked; what goes wrong inside the block is an error of one line, too.

    Raises:
        ImageError: missing, not a regular file (a FIFO would be waited for), of another format, larger than MAX_PIXELS
            by its header, or damaged.
    """
    path = Path(path)
    try:
        with _regular_file(path) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of large images (refused below) and of damaged metadata
            with Image.open(stream, formats=_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ImageError(
                        f"{path}: expected at most {MAX_PIXELS:,} pixels, got {image.width}x{image.height} by the "
                        "file's header; cut or shrink it"
                    )
                yield image
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{path}: expected an image file, got no file; check the path") from None
    except IsADirectoryError:
        raise ImageError(f"{path}: expected an image file, got a folder; give a file inside it") from None
    except PermissionError:
        raise ImageError(f"{path}: expected an image file, got no permission to read it; change its mode") from None
    except UnidentifiedImageError:
        raise ImageError(
            f"{path}: expected a PNG, BMP, JPEG, WebP or TIFF file, got something else; convert it to PNG"
        ) from None
    except _DECODER_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImageError(f"{path}: expected a readable image, got a damaged one ({reason}); replace it") from None


def bits_per_channel(image: Image.Image) -> int:
    """8 or 16 (or 32), as stored: Pillow silently reads 16-bit colour as 8-bit, but its decoder knows."""
    if image.mode.startswith("I;16") or any(";16" in str(tile[3]) for tile in getattr(image, "tile", [])):
        return 16
    if image.format == "PNG" and image.mode == "I":  # how older versions of Pillow read 16-bit grey
        return 16
    return 32 if image.mode in ("I", "F") else 8


@contextmanager
def _regular_file(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file without waiting for the other end of a FIFO."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as stream:
        mode = os.fstat(stream.fileno()).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError
        if not stat.S_ISREG(mode):
            kind = "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"
            raise ImageError(f"{path}: expected an image file, got {kind}; give a file")
        yield stream


def read_opaque(path: str | os.PathLike[str]) -> Pixels:
    """`read_image` for measurements: grey or RGB only, since a metric has no meaning for transparent pixels."""
    image = read_image(path)
    if image.ndim == 3 and image.shape[2] == 4:
        raise ImageError(f"{path}: expected an opaque image, got transparency; flatten it onto a background")
    return image


def write_png(path: str | os.PathLike[str], image: Pixels) -> None:
    """Write a uint8 (H, W), (H, W, 3) or (H, W, 4) array as PNG, atomically: the file is whole or not there."""
    shaped = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))
    if image.dtype != np.uint8 or not shaped or image.size == 0:
        raise ValueError(f"expected a uint8 (H, W), (H, W, 3) or (H, W, 4) array, got {image.dtype} {image.shape}")
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(data, format="PNG")
    write_atomically(Path(path), data.getvalue())


def to_rgb(image: Pixels) -> Pixels:
    """Repeat a grey (H, W) image to (H, W, 3); RGB passes through."""
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image


def _refuse_what_eight_bits_cannot_hold(path: Path, image: Image.Image) -> None:
    bits = bits_per_channel(image)
    if bits != 8:
        raise ImageError(
            f"{path}: expected 8 bits per channel, got {bits}; "
            "convert it to 8 bits first, so that the rounding is yours"
        )
    if image.mode in ("CMYK", "YCCK", "LAB", "HSV"):
        raise ImageError(f"{path}: expected grey or RGB, got {image.mode}; convert it to RGB first")
    refuse_several_pictures(path, image)


def refuse_several_pictures(path: Path, image: Image.Image) -> None:
    """Refuse animations and TIFF files of several pages; a camera's JPEG with a preview behind it is one picture."""
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        what = "a file of several pages" if image.format == "TIFF" else "an animation"
        raise ImageError(f"{path}: expected one picture, got {what}; extract one first")


def upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation alone; Pillow's `exif_transpose` rewrites the other tags too and fails on odd ones."""
    method = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    return image if method is None else image.transpose(method)


def to_array(path: Path, image: Image.Image) -> Pixels:
    """The pixels of a loaded 8-bit image, shaped as `read_image` returns them; `path` is for messages."""
    if image.mode == "1":
        image = image.convert("L")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        pixels = np.array(rgba)
        if (pixels[:, :, 3] < 255).any():
            return pixels
        image = image.convert("L") if image.mode in ("L", "LA") else rgba.convert("RGB")
    elif image.mode == "P":
        image = image.convert("RGB")
    if image.mode not in ("L", "RGB"):
        raise ImageError(f"{path}: expected grey, RGB or palette, got mode {image.mode}; convert it to RGB first")
    return np.array(image)
