"""Pictures on a page: what stands where, in units of 1/100 inch. No drawing happens here.

An enlarged part is made of whole device pixels (RESOLUTION to the inch), so that nothing is blurred or resampled.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np
from PIL import Image

from bench.report.figures.region import Region
from hcflow.images.io import Pixels

RESOLUTION = 200  # device pixels per inch of PNG files, and of the images inside SVG and PDF
_UNITS = 100  # per inch
_DEVICE = RESOLUTION // _UNITS  # device pixels per unit
_PANEL = 150  # about the width of a panel
_LARGEST = 250  # of a panel's longer side
GAP, LINE, MARGIN = 8, 11, 6
_LETTER = 4.7  # the width of an average letter at 8 points


@dataclass(frozen=True)
class Panel:
    """A picture with what stands under it.

    Attributes:
        pixels: uint8 (H, W, 3): what is shown.
        name: in bold.
        lines: under the name.
    """

    pixels: Pixels
    name: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Strip:
    """The panels of an image, with the image they are parts of at their left.

    Attributes:
        panels: all of one size.
        overview: the whole image, and its name; None where the panels show all of it.
        region: the part that the panels show.
    """

    panels: tuple[Panel, ...]
    overview: Panel | None = None
    region: Region | None = None


@dataclass(frozen=True)
class Bar:
    """The colours of a map: from 0 to a largest value."""

    largest: float
    title: str


@dataclass(frozen=True)
class Sheet:
    """A figure of pictures.

    Attributes:
        strips: one above the other.
        notes: at the foot.
        bar: of colours, where a panel is a map.
    """

    strips: tuple[Strip, ...]
    notes: tuple[str, ...]
    bar: Bar | None = None


@dataclass(frozen=True)
class Placed:
    """Something at its place; units from the top left corner.

    Attributes:
        left: of it.
        top: of it.
        width: of it.
        height: of it.
        pixels: at device resolution, of a picture.
        text: of a line of text.
        bold: whether the text is.
        box: a frame over a picture: left, top, width, height in units.
    """

    left: float
    top: float
    width: float = 0.0
    height: float = 0.0
    pixels: Pixels | None = None
    text: str = ""
    bold: bool = False
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Page:
    """A laid out sheet: its size, and everything on it."""

    width: float
    height: float
    things: tuple[Placed, ...]
    bar: Placed | None


def lay_out(sheet: Sheet) -> Page:
    """Say where everything stands."""
    things: list[Placed] = []
    top, right = float(MARGIN), 0.0
    for strip in sheet.strips:
        placed, right_, top = _strip(strip, top)
        things += placed
        right = max(right, right_)
        top += GAP
    bar = None
    if sheet.bar is not None:
        bar = Placed(MARGIN, top, min(2.0 * _PANEL, right - MARGIN), 8, text=sheet.bar.title)
        top += 8 + 3 * LINE
    for note in sheet.notes:
        for line in textwrap.wrap(note, max(40, int((right - MARGIN) / (_LETTER * 0.85)))):
            things.append(Placed(MARGIN, top, text=line))
            top += LINE
    return Page(right + MARGIN, top + MARGIN, tuple(things), bar)


def _strip(strip: Strip, top: float) -> tuple[list[Placed], float, float]:
    """(what is placed, right edge, bottom edge) of a strip."""
    pictures = [_enlarged(panel.pixels) for panel in strip.panels]
    width, height = pictures[0].shape[1] / _DEVICE, pictures[0].shape[0] / _DEVICE
    texts = [_under(panel, width) for panel in strip.panels]
    rows = 1 if len(pictures) <= 5 else 2 if len(pictures) <= 14 else 3
    columns = -(-len(pictures) // rows)
    left, things = float(MARGIN), []
    below = LINE * max(len(lines) for lines in texts) + GAP
    if strip.overview is not None and strip.region is not None:
        room = rows * (height + below) - below
        placed, left = _overview(strip.overview, strip.region, top, room)
        things += placed
    for number, (pixels, lines) in enumerate(zip(pictures, texts, strict=True)):
        row, column = divmod(number, columns)
        x, y = left + column * (width + GAP), top + row * (height + below)
        things.append(Placed(x, y, width, height, pixels))
        for place, (text, bold) in enumerate(lines):
            things.append(Placed(x, y + height + 3 + place * LINE, text=text, bold=bold))
    return things, left + columns * (width + GAP) - GAP, top + rows * (height + below)


def _overview(panel: Panel, region: Region, top: float, room: float) -> tuple[list[Placed], float]:
    """The whole image with a frame around the region, as high as there is room; what is placed, and its right edge."""
    full_height, full_width = panel.pixels.shape[:2]
    factor = min(room / full_height, 2.0 * _LARGEST / full_width)
    size = max(1, round(full_width * factor * _DEVICE)), max(1, round(full_height * factor * _DEVICE))
    small = np.asarray(Image.fromarray(panel.pixels).resize(size, Image.Resampling.LANCZOS))
    width, height = size[0] / _DEVICE, size[1] / _DEVICE
    box = (
        MARGIN + region.x * factor,
        top + region.y * factor,
        region.width * factor,
        region.height * factor,
    )
    things = [Placed(MARGIN, top, width, height, small, box=box)]
    for place, (text, bold) in enumerate(_under(panel, width)):
        things.append(Placed(MARGIN, top + height + 3 + place * LINE, text=text, bold=bold))
    return things, MARGIN + width + GAP


def _enlarged(pixels: Pixels) -> Pixels:
    """At device resolution: each pixel a square of whole device pixels where it fits, else resampled smaller."""
    height, width = pixels.shape[:2]
    longest = _LARGEST * _DEVICE
    factor = max(1, round(_PANEL * _DEVICE / width))
    factor = min(factor, max(1, longest // max(height, width)))
    if max(height, width) > longest:
        scale = longest / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def _under(panel: Panel, width: float) -> list[tuple[str, bool]]:
    """The lines under a panel, as wide as it is, as (text, whether bold)."""
    most = max(12, int(width / _LETTER))
    names = textwrap.wrap(panel.name, max(10, int(most * 0.9))) or [""]
    lines = [part for line in panel.lines for part in textwrap.wrap(line, most)]
    return [*((name, True) for name in names), *((line, False) for line in lines)]
