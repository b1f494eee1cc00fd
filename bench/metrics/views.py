"""The variants that PSNR and SSIM share (`y,crop4,u8`): the only place that rounds, crops or takes luma.

A metric without its protocol is not a number, so every value carries an id such as `psnr@y,crop4,u8`: the metric, then
how the two images were made comparable. The part behind the `@` is a `Protocol`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from hcflow.images.color import luma
from hcflow.images.io import Pixels, to_rgb

Values = NDArray[np.floating[Any]]  # an image in [0, 1]
View = NDArray[np.float64]  # what a metric sees, on the 0..255 scale

Pixel = TypeVar("Pixel", bound=np.generic)

_ROWS = 32
_CHOICES = {
    "space": ("rgb", "y", "y8"),
    "depth": ("u8", "trunc8", "float"),
    "grey": ("rgb", "direct"),
    "work": ("rgb", "y"),
    "range": ("full", "studio"),
    "pad": ("symmetric", "replicate"),
}
_MEANING = {
    "rgb": "the RGB channels",
    "y": "BT.601 luma in float64",
    "y8": "BT.601 luma rounded to 8 bits",
    "u8": "both images rounded to 8 bits",
    "trunc8": "the SR image truncated to 8 bits",
    "float": "the SR image not rounded",
    "grey=direct": "a grey image is its own luma",
    "work=y": "the LR is made, and the method works, on the 8-bit luma plane in double precision",
    "range=studio": "the SR luma is clipped to 16..235",
    "pad=replicate": "the LR is made with the edge-replicating imresize of older MATLAB",
}


class Input(NamedTuple):
    """How an LR image is made of HR, and on what the method works; it is part of what identifies a restoration.

    Attributes:
        work: "rgb": 8-bit RGB; "y": the 8-bit luma plane, shrunk in double precision and not rounded.
        grey: with work=y: whether a grey image is its own luma plane ("direct") or is taken as RGB ("rgb"); else empty.
        pad: border rule of imresize.
    """

    work: str = "rgb"
    grey: str = ""
    pad: str = "symmetric"


RGB_INPUT = Input()
"""What all of HCFlow's own evaluation uses."""


@dataclass(frozen=True)
class Protocol:
    """How an SR and an HR image become the two views that a metric compares.

    Attributes:
        space: "rgb"; "y" (luma, float64); "y8" (luma rounded to 8 bits).
        crop: pixels cut off every side.
        depth: what happens to the SR image: "u8" rounded, "trunc8" truncated, "float" untouched.
        grey: a grey HR image is scored as RGB ("rgb") or its plane is taken as the luma ("direct").
        work: the method works on RGB at 8 bits, or on the 8-bit luma plane in double precision ("y").
        range: the SR luma plane is clipped to 0..255 ("full") or to 16..235 ("studio"); the latter needs work=y.
        pad: border rule of the imresize that made the LR image.
    """

    space: str
    crop: int
    depth: str
    grey: str = "rgb"
    work: str = "rgb"
    range: str = "full"
    pad: str = "symmetric"

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise BenchError(f"protocol {name}: expected one of {', '.join(choices)}, got {getattr(self, name)!r}")
        if self.crop < 0:
            raise BenchError(f"protocol crop: expected 0 or more pixels, got {self.crop}")
        if self.work == "y" and self.space != "y8":
            raise BenchError(f"protocol: work=y scores the 8-bit luma plane, so expected y8, got {self.space}")
        if self.range == "studio" and self.work != "y":
            raise BenchError("protocol: range=studio clips a luma plane, so expected work=y with it")

    @property
    def id(self) -> str:
        """The protocol as written after the `@`: three parts, then whatever differs from the default."""
        parts = [self.space, f"crop{self.crop}", self.depth]
        for field in fields(self)[3:]:
            if getattr(self, field.name) != field.default:
                parts.append(f"{field.name}={getattr(self, field.name)}")
        return ",".join(parts)

    @property
    def input(self) -> Input:
        """What it asks of the LR image and of the method."""
        return Input(self.work, self.grey if self.work == "y" else "", self.pad)

    @property
    def label(self) -> str:
        """`Y` or `RGB`."""
        return self.space.rstrip("8").upper()

    @classmethod
    def parse(cls, text: str) -> Protocol:
        """Read an id back; `Protocol.parse(p.id) == p`."""
        parts = text.split(",")
        if len(parts) < 3 or not (parts[1].startswith("crop") and parts[1][4:].isdigit()):
            raise BenchError(f"protocol {text!r}: expected SPACE,cropN,DEPTH[,KEY=VALUE...] such as y,crop4,u8")
        options = dict(part.partition("=")[::2] for part in parts[3:])
        known = [field.name for field in fields(cls)[3:]]
        for key in options:
            if key not in known:
                raise BenchError(f"protocol {text!r}: expected one of {', '.join(known)}, got {key!r}")
        return cls(parts[0], int(parts[1][4:]), parts[2], **options)

    def describe(self) -> str:
        """A description of the protocol, for the footnotes of a table."""
        parts = self.id.split(",")
        crop = f"{self.crop} pixels cropped on every side" if self.crop else "no crop"
        return "; ".join(crop if part == parts[1] else _MEANING[part] for part in parts)


def is_eight_bit(variant: object) -> bool:
    """Whether a variant rounds the SR image to 8 bits before anything else."""
    return isinstance(variant, Protocol) and variant.depth == "u8" and variant.work == "rgb"


def to_bytes(values: Values, depth: str = "u8") -> View:
    """An image in [0, 1] (values outside are clipped) on the 0..255 scale: rounded, truncated or as it is."""
    scaled = np.array(values, dtype=np.float64)
    np.clip(scaled, 0.0, 1.0, out=scaled)
    scaled *= 255.0
    if depth != "float":
        (np.floor if depth == "trunc8" else np.rint)(scaled, out=scaled)
    return scaled


def eight_bits(values: Values, depth: str = "u8") -> Pixels:
    """What `to_bytes` gives, as uint8."""
    image = np.empty(values.shape, np.uint8)
    for rows in strips(len(values)):
        image[rows] = to_bytes(values[rows], depth)
    return image


def strips(height: int) -> Iterator[slice]:
    """Rows to take at a time: what is in between then stays in the processor's cache."""
    for row in range(0, height, _ROWS):
        yield slice(row, row + _ROWS)


def luma_plane(image: Pixels, grey: str) -> Pixels:
    """The 8-bit luma plane of a uint8 image; a grey image is its own plane where `grey` is "direct"."""
    if image.ndim == 2 and grey == "direct":
        return image
    return rounded_luma(to_rgb(image)).astype(np.uint8)


def rounded_luma(rgb: NDArray[np.generic]) -> View:
    """BT.601 luma rounded to 8 bits, half up as MATLAB rounds.

    Of 8-bit values it is computed in integers: some colours are ties, which float64 would round at random.

    Args:
        rgb: (H, W, 3), 0..255.
    """
    whole = rgb.astype(np.int64)
    if not np.array_equal(whole, rgb):
        return np.floor(luma(rgb) + 0.5)
    thousands = whole @ np.array([65_481, 128_553, 24_966])
    return ((2 * thousands + 255_000) // 510_000 + 16).astype(np.float64)


def views(sr: Values, hr: Pixels, protocol: Protocol) -> tuple[View, View]:
    """The two images as a metric sees them.

    Args:
        sr: (H, W, 3) in [0, 1]; the (H, W) luma plane in [0, 1] where the protocol says work=y.
        hr: uint8 (H, W, 3), or (H, W) for a grey image.
        protocol: how to compare them.

    Returns:
        (SR view, HR view), float64 on the 0..255 scale, (h, w) for luma and (h, w, 3) for RGB.

    Raises:
        BenchError: the sizes differ, or nothing is left after the crop.
    """
    check_sizes(sr, hr, protocol)
    scaled = sr if protocol.work == "y" else to_bytes(sr, protocol.depth)
    return sr_view(scaled, hr.ndim == 2, protocol), hr_view(hr, protocol)


def check_sizes(sr: NDArray[np.generic], hr: Pixels, protocol: Protocol) -> None:
    """Raise BenchError where the two cannot be compared or nothing is left after the crop."""
    if sr.shape[:2] != hr.shape[:2]:
        raise BenchError(f"expected SR and HR of one size, got {_size(sr)} and {_size(hr)}; crop or resize one of them")
    if not fits(hr, protocol, 1):
        raise BenchError(
            f"expected an image larger than {2 * protocol.crop}x{2 * protocol.crop} (the protocol crops "
            f"{protocol.crop} pixels on every side), got {_size(hr)}; leave it out or use a larger image"
        )


def fits(image: NDArray[np.generic], protocol: Protocol, side: int) -> bool:
    """Whether at least side x side pixels of an image (H, W[, 3]) are left after the crop."""
    return min(image.shape[:2]) - 2 * protocol.crop >= side


def hr_view(hr: Pixels, protocol: Protocol) -> View:
    """The HR image as a metric sees it; arguments as in `views`."""
    if protocol.work == "y":
        return _inside(luma_plane(hr, protocol.grey), protocol).astype(np.float64)
    return _view(_inside(to_rgb(hr), protocol), hr.ndim == 2, protocol)


def sr_view(scaled: NDArray[np.generic], was_grey: bool, protocol: Protocol) -> View:
    """The SR image as a metric sees it.

    Args:
        scaled: what `to_bytes` made of it at the protocol's depth, (H, W, 3), in any type that holds it; with work=y
            the (H, W) plane itself, in [0, 1].
        was_grey: whether HR is a grey image.
        protocol: how to compare them.
    """
    if protocol.work == "y":
        low, high = (16, 235) if protocol.range == "studio" else (0, 255)
        clipped = np.clip(to_bytes(scaled.astype(np.float64), "float"), low, high)
        return _inside(to_bytes(clipped / 255.0, protocol.depth), protocol)
    return _view(_inside(scaled, protocol), was_grey, protocol)


def _inside(image: NDArray[Pixel], protocol: Protocol) -> NDArray[Pixel]:
    inside = slice(protocol.crop, -protocol.crop or None)
    return image[inside, inside]


def _view(rgb: NDArray[np.generic], was_grey: bool, protocol: Protocol) -> View:
    if protocol.space == "rgb":
        # plane after plane in memory: SSIM takes one at a time
        return np.ascontiguousarray(rgb.transpose(2, 0, 1), dtype=np.float64).transpose(1, 2, 0)
    direct = was_grey and protocol.grey == "direct"
    if protocol.space == "y8" and not direct:
        return rounded_luma(rgb)
    y = np.empty(rgb.shape[:2])
    for rows in strips(len(rgb)):
        y[rows] = luma(rgb[rows])
    if direct:
        y = (y - 16.0) * (255.0 / 219.0)  # the plane itself where the channels agree
    return np.rint(y) if protocol.space == "y8" else y


def _size(image: NDArray[np.generic]) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
