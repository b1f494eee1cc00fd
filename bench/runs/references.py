"""What kept images are looked at beside: HR, LR, bicubic, LR images of a method's own, and deviation over draws.

OUT/images/<data set>/<image>-<pixels>-x<scale>-{hr,lr,bicubic}.png     shared by all rows
OUT/images/<restoration>/<image>-{lr,deviation}.png                     of one row

They stay in the results folder: the terms of most data sets forbid passing them on.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from bench.datasets.manifest import load_manifest
from bench.errors import BenchError
from bench.files import write_atomically
from bench.runs.kept_files import KeptFiles
from hcflow.images.io import ImageError, Pixels

WHITE = 32.0
"""The standard deviation over draws, on the 0..255 scale, that a map shows as white."""
_SHARED = ("hr", "lr", "bicubic")


def shared_paths(out: Path, dataset: str, image: str, pixels: str, scale: int) -> dict[str, Path]:
    """The files that all rows share: hr, lr, bicubic."""
    folder = out / "images" / dataset
    return {kind: folder / f"{image}-{pixels[:8]}-x{scale}-{kind}.png" for kind in _SHARED}


def own_paths(kept: KeptFiles, image: str) -> dict[str, Path]:
    """The files of a row that are made of its kept images: lr where it makes one, deviation where it draws."""
    folder = kept.draws[0].parent
    names = [*(["lr"] if kept.makes_lr else []), *(["deviation"] if len(kept.draws) > 1 else [])]
    return {name: folder / f"{image}-{name}.png" for name in names}


def write_references(
    out: Path, dataset: str, image: str, scale: int, kept: Mapping[str, KeptFiles]
) -> Mapping[str, Path]:
    """Make the files that are missing; returns the shared ones that are there then.

    Args:
        out: results folder.
        dataset: name.
        image: id.
        scale: HR size over LR size.
        kept: restoration -> its kept files, of one and the same HR image.

    Raises:
        StorageError: they cannot be written.
    """
    for restoration, files in kept.items():
        _write_own(out, restoration, image, files)
    pixels = next(iter(kept.values())).pixels
    paths = shared_paths(out, dataset, image, pixels, scale)
    if not all(path.is_file() for path in paths.values()):
        _write_shared(paths, dataset, image, pixels, scale)
    return {kind: path for kind, path in paths.items() if path.is_file()}


def _write_shared(paths: Mapping[str, Path], dataset: str, image: str, pixels: str, scale: int) -> None:
    """Nothing is written where the image is not at hand, or is another one now."""
    from bench.runs.pictures import Original

    try:
        manifest = load_manifest(dataset)
        entry = next(entry for entry in manifest.images if entry.id == image)
        original = Original.read(manifest, entry, scale)
    except (BenchError, ImageError, StopIteration):
        return
    if original.pixels == pixels:
        for kind, picture in {"hr": original.hr, "lr": original.lr, "bicubic": original.bicubic}.items():
            _write(paths[kind], picture)


def _write_own(out: Path, restoration: str, image: str, files: KeptFiles) -> None:
    missing = {name: path for name, path in own_paths(files, image).items() if not path.is_file()}
    if not missing:
        return
    from bench.metrics.views import to_bytes
    from bench.runs.kept import KeptImages

    kept = KeptImages(out, restoration).load(image, files.pixels, [])
    if kept is None:
        return
    if "lr" in missing:
        _write(missing["lr"], to_bytes(kept.lr, "u8").astype(np.uint8))
    if "deviation" in missing:
        spread = 255.0 * np.std(np.stack(kept.draws).astype(np.float64), axis=0, ddof=1)
        plane = spread if spread.ndim == 2 else spread.mean(axis=2)
        _write(missing["deviation"], np.clip(np.rint(plane * (255.0 / WHITE)), 0, 255).astype(np.uint8))


def _write(path: Path, pixels: Pixels) -> None:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="PNG", compress_level=3)
    write_atomically(path, data.getvalue())
