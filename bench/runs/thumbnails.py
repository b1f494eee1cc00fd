"""Small pictures of LR, SR and HR for the HTML report."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from bench.files import write_atomically
from bench.metrics.views import Values, to_bytes
from hcflow.images.io import Pixels

_SIDE = 192  # pixels of the longer side


def save_thumbnails(
    out: Path, key: str, dataset: str, image: str, hr: Pixels, lr: Values, sr: Values, *, own_lr: bool = False
) -> None:
    """Write the three thumbnails of an image; HR and the bicubic LR are shared by all rows of a data set.

    Args:
        out: the results folder.
        key: of the cell, for the SR picture.
        dataset: its name.
        image: its id.
        hr: uint8 (H, W[, 3]).
        lr: (h, w[, 3]) in [0, 1].
        sr: (H, W[, 3]) in [0, 1].
        own_lr: whether the method made the LR itself, so that no other row has it.
    """
    small = to_bytes(lr, "u8").astype(np.uint8)
    _write(thumbnail_path(out, dataset, image, "hr"), hr)
    group, name = (key, image) if own_lr else (dataset, f"{image}-x{hr.shape[0] // small.shape[0]}")
    _write(thumbnail_path(out, group, name, "lr"), small)
    _write(thumbnail_path(out, key, image, "sr"), to_bytes(sr, "u8").astype(np.uint8))


def thumbnail_path(out: Path, group: str, image: str, kind: str) -> Path:
    """File of a thumbnail: `group` is the data set for what its rows share, the cell's key for its own."""
    return out / "thumbnails" / group / f"{image}-{kind}.webp"


def lr_path(out: Path, key: str, dataset: str, image: str, scale: int) -> Path:
    """The LR that a cell restored: its own where its method made one, else the one that the rows share."""
    of_cell = thumbnail_path(out, key, image, "lr")
    return of_cell if of_cell.is_file() else thumbnail_path(out, dataset, f"{image}-x{scale}", "lr")


def _write(path: Path, pixels: Pixels) -> None:
    picture = Image.fromarray(pixels)
    factor = _SIDE / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    resample = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS
    data = io.BytesIO()
    picture.resize(size, resample).save(data, format="WEBP", quality=80)
    write_atomically(path, data.getvalue())
