"""From a folder however it is named to a data set's canonical form: `<root>/<set>/HR/<id>.png`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench.data import (
    digests_path,
    hr_folder,
    image_path,
    pixel_digest,
    presence,
    read_hr,
    recognise,
    recorded_digests,
)
from bench.errors import BenchError
from bench.manifest import ImageEntry, Manifest
from bench.store import make_folder, write_atomically
from hcflow.images.io import SUFFIXES, ImageError, Pixels, read_opaque, write_png

# baby, baby_HR, img_001_SRF_4_HR; not baby_LR, babyx4
_HR_NAME = re.compile(r"^(?P<id>.+?)(?:_SRF_\d+)?(?:_?HR)?$", re.IGNORECASE)


@dataclass
class Imported:
    """What became of an import.

    Attributes:
        stored: ids that were stored.
        already: ids that were there.
        refused: files named like an image of the set that are not it, with the reason.
        missing: ids that are still missing.
    """

    stored: list[str] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def image_files(folder: Path) -> list[Path]:
    """All image files in a folder and below it."""
    if not folder.is_dir():
        raise BenchError(f"expected a folder of images, got {folder}; check the path")
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def import_files(
    manifest: Manifest, files: Iterable[Path], on_file: Callable[[Path], None] = lambda path: None
) -> Imported:
    """Store every file that is an image of the set; what is not is left alone.

    Images with known pixels are found by them, whatever the file is called; the others by name and size, and their
    digests are recorded beside them, so that later runs notice a change.

    Args:
        manifest: the data set.
        files: candidates.
        on_file: told of each.

    Raises:
        BenchError: the root cannot be written, or two different files claim to be one image.
    """
    if manifest.package:
        raise BenchError(
            f"{manifest.name}: expected a set to import, got one that comes with {manifest.package.package}"
        )
    result = Imported(already=_verified(manifest))
    wanted = [entry for entry in manifest.images if entry.id not in result.already]
    digests: dict[str, str] = {}
    for path in files:
        on_file(path)
        for entry, image in _match(manifest, wanted, path, result):
            digest = pixel_digest(image)
            if digests.setdefault(entry.id, digest) != digest:
                raise BenchError(f"{path}: expected one image for {entry.id}, got two that differ; import less at once")
            if entry.id not in result.stored:
                store_image(manifest, entry, image)
                result.stored.append(entry.id)
    result.missing = [entry.id for entry in presence(manifest).missing]
    return result


def store_image(manifest: Manifest, entry: ImageEntry, image: Pixels) -> None:
    """Write an image in its canonical form; the digest first where only this root knows it."""
    target = hr_folder(manifest) / f"{entry.id}.png"
    make_folder(target.parent)
    if entry.sha256 is None:
        digests = recorded_digests(manifest) | {entry.id: pixel_digest(image)}
        write_atomically(digests_path(manifest), json.dumps(digests, indent=1, sort_keys=True).encode())
    other = image_path(manifest, entry)
    if other != target and other.exists():
        raise BenchError(f"{other}: expected no other file of this image, got one with other pixels; move it away")
    try:
        write_png(target, image)
    except OSError as error:
        raise BenchError(f"{target}: expected a place to write to, got {error.strerror}; set HCFLOW_DATA") from None


def _verified(manifest: Manifest) -> list[str]:
    """Images that are there and right."""
    good = []
    for entry in presence(manifest).present:
        try:
            read_hr(manifest, entry)
        except (BenchError, ImageError):
            continue
        good.append(entry.id)
    return good


def _match(
    manifest: Manifest, wanted: list[ImageEntry], path: Path, result: Imported
) -> list[tuple[ImageEntry, Pixels]]:
    """The entries that a file is the image of (two images of T91 are the same), and the image in their form."""
    name = _HR_NAME.sub(r"\g<id>", path.stem).casefold()
    named = [entry for entry in wanted if name in (entry.id.casefold(), (entry.alias or "").casefold())]
    try:
        image = read_opaque(path)
        entries = _by_pixels(manifest, wanted, image) or named
        return [(entry, recognise(manifest, entry, image, entry.sha256)) for entry in entries]
    except (BenchError, ImageError) as error:
        if named:
            result.refused.append(f"{path}: {str(error).removeprefix(f'{path}: ')}")
        return []


def _by_pixels(manifest: Manifest, wanted: list[ImageEntry], image: Pixels) -> list[ImageEntry]:
    """The entries whose pixels these are, or whose pixels are the top-left part of these."""
    height, width = image.shape[:2]
    sizes = {(width, height)}
    if manifest.cropped:
        sizes |= {
            (e.width, e.height) for e in wanted if e.width and e.height and e.width <= width and e.height <= height
        }
    digests = {pixel_digest(image[:h, :w]) for w, h in sizes}
    return [entry for entry in wanted if entry.sha256 in digests]
