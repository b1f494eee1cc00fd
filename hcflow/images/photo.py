"""Users' pictures: read from whatever is common, to what the network takes; written in the format asked for.

Measurements use `hcflow.images.io`, which converts nothing.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from hcflow.atomic import write_atomically
from hcflow.images.io import (
    ImageError,
    Pixels,
    bits_per_channel,
    open_image,
    refuse_several_pictures,
    to_array,
    upright,
)

__all__ = ["FORMATS", "Original", "Photo", "format_of", "read_photo", "write_photo"]

FORMATS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tif"}
"""Formats that are written, with the suffix of each."""

_BY_SUFFIX = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".tif": "tiff", ".tiff": "tiff"}
_OPTIONS: dict[str, dict[str, object]] = {
    "png": {},
    "jpeg": {"quality": 95, "subsampling": 0},
    "webp": {"lossless": True, "exact": True},
    "tiff": {"compression": "tiff_adobe_deflate"},
}
_KEY = "hcflow"  # of the text chunk of a PNG; in the description tag of other formats
_DESCRIPTION = 0x010E
_ORIGINAL = re.compile(r"hcflow original (\d{1,6})x(\d{1,6})( grey)?")


@dataclass(frozen=True)
class Original:
    """What a file that `downscale` wrote remembers of the picture it was made from."""

    width: int
    height: int
    grey: bool


@dataclass(frozen=True)
class Photo:
    """A picture as the network takes it."""

    pixels: Pixels
    """uint8: (H, W) grey, (H, W, 3) RGB, or (H, W, 4) with real transparency; upright."""
    conversion: str | None
    """What was changed on reading, for the user; None: nothing."""
    original: Original | None
    """What `downscale` wrote into it."""
    profile: bytes | None
    """ICC profile of RGB pixels, to be written with the result."""


def read_photo(path: str | os.PathLike[str]) -> Photo:
    """Read a picture of up to 16 bits per channel, grey, RGB, palette, or CMYK with a colour profile.

    16 bits are cut to the upper 8; CMYK is converted to sRGB through the profile in the file.

    Raises:
        ImageError: what `open_image` raises; an animation, 32 bits, CMYK without a profile, LAB.
    """
    path = Path(path)
    with open_image(path) as image:
        refuse_several_pictures(path, image)
        bits = bits_per_channel(image)
        if bits > 16 or image.mode in ("LAB", "HSV"):
            got = f"{bits} bits" if bits > 16 else image.mode
            raise ImageError(f"{path}: expected 8 or 16 bits of grey, RGB or CMYK, got {got}; convert it first")
        original = _original(image)
        image.load()
        profile = image.info.get("icc_profile")
        conversion = "16 bits per channel: the upper 8 are used" if bits == 16 else None
        if image.mode in ("CMYK", "YCCK"):
            image = _from_cmyk(path, image, profile)
            conversion, profile = "CMYK: converted to sRGB through its colour profile", None
        elif image.mode.startswith("I"):
            image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
        pixels = to_array(path, upright(image))
    kept = profile if isinstance(profile, bytes) and pixels.ndim == 3 else None
    return Photo(pixels, conversion, original, kept)


def write_photo(
    path: str | os.PathLike[str],
    pixels: Pixels,
    format: str | None = None,
    original: Original | None = None,
    profile: bytes | None = None,
) -> None:
    """Write a uint8 (H, W), (H, W, 3) or (H, W, 4) array atomically; PNG, WebP and TIFF without loss, JPEG at 95 %.

    Args:
        path: of the file.
        pixels: as `Photo.pixels`.
        format: one of FORMATS; None: by the suffix.
        original: to be remembered in the file.
        profile: ICC profile of the pixels.

    Raises:
        ImageError: an unknown format, JPEG with transparency, or more pixels than the format holds.
    """
    path = Path(path)
    name = format or format_of(path)
    if name not in FORMATS:
        raise ImageError(f"{path}: expected a name that ends in {', '.join(_BY_SUFFIX)}, got {path.name!r}; rename it")
    if name == "jpeg" and pixels.shape[2:] == (4,):
        raise ImageError(f"{path}: expected an opaque image for JPEG, got transparency; use --format png")
    options: dict[str, object] = dict(_OPTIONS[name])
    if profile is not None and pixels.ndim == 3:
        options["icc_profile"] = profile
    if original is not None:
        text = f"hcflow original {original.width}x{original.height}{' grey' if original.grey else ''}"
        options |= _note(name, text)
    data = io.BytesIO()
    try:
        Image.fromarray(np.ascontiguousarray(pixels)).save(data, format=name.upper(), **options)
    except (ValueError, OSError) as error:  # such as a WebP of more than 16383 pixels
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise ImageError(
            f"{path}: expected an image that {name} holds, got {size} ({error}); use --format png"
        ) from None
    write_atomically(path, data.getvalue())


def format_of(path: Path) -> str | None:
    """The format that a file name asks for; None where it is none of FORMATS."""
    return _BY_SUFFIX.get(path.suffix.lower())


def _note(name: str, text: str) -> dict[str, object]:
    if name == "png":
        info = PngInfo()
        info.add_text(_KEY, text)
        return {"pnginfo": info}
    exif = Image.Exif()
    exif[_DESCRIPTION] = text
    return {"exif": exif}


def _original(image: Image.Image) -> Original | None:
    text = image.info.get(_KEY) if image.format == "PNG" else image.getexif().get(_DESCRIPTION)
    match = _ORIGINAL.fullmatch(text.strip("\0 ")) if isinstance(text, str) else None
    return None if match is None else Original(int(match[1]), int(match[2]), match[3] is not None)


def _from_cmyk(path: Path, image: Image.Image, profile: object) -> Image.Image:
    if not isinstance(profile, bytes):
        raise ImageError(f"{path}: expected grey or RGB, got CMYK without a colour profile; convert it to RGB first")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImageError(
            f"{path}: expected a colour profile for CMYK, got one that fails ({reason}); convert it to RGB"
        ) from None
    assert converted is not None
    return converted
