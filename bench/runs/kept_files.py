"""Which images of a restoration were kept, without reading them: for reports, which link to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from bench import jsons

HEADER = "header"
"""The key of a kept file's metadata that holds its digest of pixels, number of draws and facts, as JSON."""


@dataclass(frozen=True)
class KeptFiles:
    """The kept files of an image, see bench.runs.kept.

    Attributes:
        draws: PNG files, the first draw first.
        pixels: digest of the HR pixels that they belong to.
        makes_lr: whether the method made the LR image itself.
    """

    draws: tuple[Path, ...]
    pixels: str
    makes_lr: bool


def kept_files(out: Path, restoration: str, image: str) -> KeptFiles | None:
    """What is kept of an image; None where nothing is, or where it is damaged.

    Args:
        out: results folder.
        restoration: its digest.
        image: id.
    """
    folder = out / "images" / restoration
    path = folder / f"{image}.safetensors"
    if not restoration or not path.is_file():
        return None
    try:
        with safe_open(path, framework="np") as stream:
            header = jsons.loads(stream.metadata()[HEADER])
        count, pixels, makes_lr = int(header["draws"]), str(header["pixels"]), header["makes_lr"] is True
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return None
    names = [f"{image}.png"] if count == 1 else [f"{image}-{number}.png" for number in range(count)]
    files = tuple(folder / name for name in names)
    return KeptFiles(files, pixels, makes_lr) if all(file.is_file() for file in files) else None
