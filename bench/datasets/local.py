"""Images of a data set: where they are, and that they are the right ones.

    $HCFLOW_DATA/<set>/HR/*.png      (else the user cache)

A root may be read-only: only import and fetch write there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from bench.datasets.manifest import ImageEntry, Manifest
from bench.downloads.digests import DigestRecord
from bench.errors import BenchError
from bench.roots import data_root
from hcflow.images.io import SUFFIXES, ImageError, Pixels, read_opaque, to_rgb

_SUFFIXES = (*SUFFIXES, *(suffix.upper() for suffix in SUFFIXES))


@dataclass(frozen=True)
class Presence:
    """Which images of a data set are present."""

    present: tuple[ImageEntry, ...]
    missing: tuple[ImageEntry, ...]

    @property
    def state(self) -> Literal["present", "partial", "missing"]:
        """In one word."""
        if not self.present:
            return "missing"
        return "partial" if self.missing else "present"


def require_data_root() -> None:
    """Refuse a $HCFLOW_DATA that is not a folder, which would look like a missing data set."""
    if os.environ.get("HCFLOW_DATA") and not data_root().is_dir():
        raise BenchError(f"HCFLOW_DATA: expected a folder of data sets, got {data_root()}; create or unset it")


def hr_folder(manifest: Manifest) -> Path:
    """Folder of a data set's HR images."""
    return data_root() / manifest.name / "HR"


def presence(manifest: Manifest) -> Presence:
    """Which images there are files for; their pixels are compared when they are read."""
    if manifest.package:
        return Presence(manifest.images, ())
    folder = hr_folder(manifest)
    files = {path.stem for path in folder.iterdir() if path.suffix in _SUFFIXES} if folder.is_dir() else set()
    present = tuple(entry for entry in manifest.images if entry.id in files)
    return Presence(present, tuple(entry for entry in manifest.images if entry.id not in files))


def how_to_get(manifest: Manifest) -> str:
    """The command that gets a data set."""
    if any(source.kind in ("files", "archive") for source in manifest.sources):
        return f"python -m bench data fetch {manifest.name}"
    return f"python -m bench data import {manifest.name} FOLDER"


def image_path(manifest: Manifest, entry: ImageEntry) -> Path:
    """File of an image, whatever its suffix."""
    if package := manifest.package:
        return Path(str(resources.files(package.package))) / package.member / entry.file
    folder = hr_folder(manifest)
    found = [path for path in (folder / f"{entry.id}{suffix}" for suffix in _SUFFIXES) if path.is_file()]
    # where the file system ignores case, x.png and x.PNG are one file
    files = list({path.stat().st_ino: path for path in reversed(found)}.values())[::-1]
    if len(files) > 1:
        raise BenchError(f"{files[0]}: expected one file of this name, got also {files[1].name}; remove one")
    return files[0] if files else folder / entry.file


def read_hr(manifest: Manifest, entry: ImageEntry) -> Pixels:
    """Read an image and compare it with the manifest, or with what was recorded when it was imported.

    Returns:
        uint8 (H, W) where the manifest says one channel, else (H, W, 3); always the part that the benchmark uses.

    Raises:
        ImageError: the file is missing or damaged.
        BenchError: it is another image.
    """
    path = image_path(manifest, entry)
    expected = entry.sha256 or recorded_digests(manifest).get(entry.id)
    try:
        return recognise(manifest, entry, read_opaque(path), expected)
    except ImageError:
        raise
    except BenchError as error:
        raise BenchError(f"{path}: {error}") from None


def recognise(manifest: Manifest, entry: ImageEntry, image: Pixels, expected: str | None) -> Pixels:
    """The benchmark's form of an image, if it is the image of this entry.

    That is the top-left part where the manifest cuts it, and one channel where a grey image was stored as RGB.

    Raises:
        BenchError: the size, the channels or the pixels differ.
    """
    height, width = image.shape[:2]
    size = (entry.width or width, entry.height or height)
    if (width, height) != size and not (manifest.cropped and width >= size[0] and height >= size[1]):
        raise BenchError(f"expected {size[0]}x{size[1]} pixels, got {width}x{height}; replace the file")
    image = image[: size[1], : size[0]]
    if expected and (digest := pixel_digest(image)) != expected:
        raise BenchError(
            f"expected pixels with SHA-256 {expected[:12]}, got {digest[:12]}: "
            "another image, or a compressed or resized copy; replace the file"
        )
    if entry.channels == 3:
        return to_rgb(image)
    if image.ndim == 3 and bool((image != image[:, :, :1]).any()):
        raise BenchError("expected a grey image, got colour; replace the file")
    return image if image.ndim == 2 else image[:, :, 0]


def pixel_digest(image: Pixels) -> str:
    """SHA-256 over the uint8 (H, W, 3) RGB bytes; grey is repeated to three channels."""
    return hashlib.sha256(to_rgb(image).tobytes()).hexdigest()


def right_ids(manifest: Manifest) -> set[str]:
    """Ids of the images that are there and right; all of them are read."""
    good = set()
    for entry in presence(manifest).present:
        try:
            read_hr(manifest, entry)
        except (BenchError, ImageError):
            continue
        good.add(entry.id)
    return good


def recorded_digests(manifest: Manifest) -> Mapping[str, str]:
    """Image id -> digest, as recorded when the images of a set without known digests were imported here."""
    return digest_record(manifest).read()


def digest_record(manifest: Manifest) -> DigestRecord:
    """Where `recorded_digests` are."""
    return DigestRecord(data_root() / manifest.name / "digests.json", "image ids", "import the set again")
