"""Small pictures of LR, SR and HR for the HTML report."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench.protocol import Values, to_bytes
from bench.store import write_atomically
from hcflow.images.io import Pixels

_SIDE = 192  # pixels of the longer side


def save_thumbnails(out: Path, key: str, dataset: str, image: str, hr: Pixels, lr: torch.Tensor, sr: Values) -> None:
    """Write the three thumbnails of an image; HR and LR are shared by all rows of a data set.

    Args:
        out: the results folder.
        key: of the cell, for the SR picture.
        dataset: its name.
        image: its id.
        hr: uint8 (H, W[, 3]).
        lr: (C, h, w) in [0, 1].
        sr: (H, W[, 3]) in [0, 1].
    """
    small = to_bytes(np.moveaxis(lr.cpu().numpy(), 0, 2).squeeze(), "u8").astype(np.uint8)
    _write(thumbnail_path(out, dataset, image, "hr"), hr)
    _write(thumbnail_path(out, dataset, f"{image}-x{hr.shape[0] // small.shape[0]}", "lr"), small)
    _write(thumbnail_path(out, key, image, "sr"), to_bytes(sr, "u8").astype(np.uint8))


def thumbnail_path(out: Path, group: str, image: str, kind: str) -> Path:
    """File of a thumbnail: `group` is the data set for HR and LR, the cell's key for SR."""
    return out / "thumbnails" / group / f"{image}-{kind}.webp"


def _write(path: Path, pixels: Pixels) -> None:
    picture = Image.fromarray(pixels)
    factor = _SIDE / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    resample = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS
    data = io.BytesIO()
    picture.resize(size, resample).save(data, format="WEBP", quality=80)
    write_atomically(path, data.getvalue())
