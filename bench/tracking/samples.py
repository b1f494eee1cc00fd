"""Pictures of what a row made of a few images: LR, SR and HR side by side, from the thumbnails of the run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from bench.records.tables import Cell
from bench.runs.thumbnails import lr_path, thumbnail_path

_GAP = 4  # pixels


def samples(out: Path, cells: Iterable[Cell], count: int) -> dict[str, Image.Image]:
    """Image id -> LR, SR and HR side by side, of the first so many images that have thumbnails.

    Args:
        out: results folder.
        cells: of one row and data set.
        count: of images at most.
    """
    found: dict[str, Image.Image] = {}
    for cell in cells:
        for image in cell.images:
            if len(found) < count and image.id not in found and cell.key:
                picture = _strip(out, cell, image.id)
                found |= {image.id: picture} if picture is not None else {}
    return found


def _strip(out: Path, cell: Cell, image: str) -> Image.Image | None:
    sr, hr = thumbnail_path(out, cell.key, image, "sr"), thumbnail_path(out, cell.dataset, image, "hr")
    lr = next(
        (path for scale in range(1, 17) if (path := lr_path(out, cell.key, cell.dataset, image, scale)).is_file()), None
    )
    try:
        pictures = [Image.open(path).convert("RGB") for path in (lr, sr, hr) if path is not None and path.is_file()]
    except (OSError, UnidentifiedImageError):
        return None
    if not sr.is_file() or not pictures:
        return None
    width = sum(picture.width for picture in pictures) + _GAP * (len(pictures) - 1)
    strip = Image.new("RGB", (width, max(picture.height for picture in pictures)), "white")
    left = 0
    for picture in pictures:
        strip.paste(picture, (left, 0))
        left += picture.width + _GAP
    return strip
