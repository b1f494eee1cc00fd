"""From a folder with any file names to a data set's canonical form: `<root>/<set>/HR/<id>.png`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench.datasets.local import (
    digest_record,
    hr_folder,
    image_path,
    pixel_digest,
    recognise,
    right_ids,
)
from bench.datasets.manifest import ImageEntry, Manifest
from bench.errors import BenchError, StorageError
from bench.files import make_folder
from hcflow.images.io import SUFFIXES, ImageError, Pixels, read_opaque, write_png

# baby, baby_HR, img_001_SRF_4_HR; not baby_LR, babyx4, nor img_001_SRF_2_HR, which is Urban100 at half its size
_HR_NAME = re.compile(r"^(?P<id>.+?)(?:_SRF_4)?(?:_?HR)?$", re.IGNORECASE)
_LR_SIDE = 0.75  # of an image's side: a smaller copy of the same name is an LR image (x2 gives 0.5)


@dataclass
class Imported:
    """The result of an import.

    Attributes:
        stored: ids that were stored.
        already: ids that were there, and right.
        refused: files named like an image that is still missing, with the reason.
        missing: ids that are still missing, or wrong.
    """

    stored: list[str] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Candidate:
    """A file that is an image of the set by its name alone."""

    path: Path
    height: int
    width: int
    digest: str


def image_files(folder: Path) -> list[Path]:
    """All image files in a folder and below it."""
    if not folder.is_dir():
        raise BenchError(f"expected a folder of images, got {folder}; check the path")
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def import_files(manifest: Manifest, files: Iterable[Path]) -> Imported:
    """Store every file that is an image of the set; other files are ignored.

    Images with known pixels are recognised by them, whatever the file is called, and stored at once. The others are
    recognised by name and size, once all files were seen: of several with one name the largest is taken if the rest are
    LR copies of it. Their digests are recorded beside them, so that later runs notice a change.

    Raises:
        BenchError: the set comes with a package, or the root cannot be written.
    """
    if manifest.package:
        raise BenchError(
            f"{manifest.name}: expected a set to import, got one that comes with {manifest.package.package}"
        )
    search = _Search(manifest, right_ids(manifest))
    for path in files:
        search.look_at(path)
    search.settle()
    return search.result()


class _Search:
    """Looks for the images of a set in one file after another."""

    def __init__(self, manifest: Manifest, right: set[str]) -> None:
        self.manifest = manifest
        self.already = [entry.id for entry in manifest.images if entry.id in right]
        self.wanted = {entry.id: entry for entry in manifest.images if entry.id not in right}
        self._done: set[str] = set()
        self._refused: list[tuple[str, str]] = []  # (id, message)
        self._candidates: dict[str, list[_Candidate]] = {}
        self._by_name = {e.id.casefold(): e for e in self.wanted.values()}
        self._by_name |= {e.alias.casefold(): e for e in self.wanted.values() if e.alias}
        self._by_digest: dict[str, list[ImageEntry]] = {}  # two images of T91 are the same
        for entry in self.wanted.values():
            if entry.sha256:
                self._by_digest.setdefault(entry.sha256, []).append(entry)
        self._parts = {(e.height, e.width) for e in self.wanted.values() if manifest.cropped and e.height and e.width}

    def look_at(self, path: Path) -> None:
        """Store the file if its pixels are known, remember it if only its name is."""
        named = self._by_name.get(_HR_NAME.sub(r"\g<id>", path.stem).casefold())
        if named is None and not self._by_digest:
            return
        try:
            image = read_opaque(path)
            if entries := self._known(image):
                for entry in entries:
                    self._store(entry, recognise(self.manifest, entry, image, entry.sha256))
            elif named:
                image = recognise(self.manifest, named, image, named.sha256)
                candidate = _Candidate(path, image.shape[0], image.shape[1], pixel_digest(image))
                self._candidates.setdefault(named.id, []).append(candidate)
        except StorageError:
            raise
        except (BenchError, ImageError) as error:
            if named:
                self._refused.append((named.id, f"{path}: {str(error).removeprefix(f'{path}: ')}"))

    def _known(self, image: Pixels) -> list[ImageEntry]:
        """The entries whose pixels these are, or whose pixels are the top-left part of these."""
        height, width = image.shape[:2]
        sizes = {(height, width)} | {(h, w) for h, w in self._parts if h <= height and w <= width}
        digests = {pixel_digest(image[:h, :w]) for h, w in sizes} if self._by_digest else set()
        return [entry for digest in digests for entry in self._by_digest.get(digest, [])]

    def settle(self) -> None:
        """Store the images that only names are known of."""
        chosen: dict[str, _Candidate] = {}
        for name, candidates in self._candidates.items():
            largest = max(candidates, key=lambda c: c.height * c.width)
            sides = (largest.height * _LR_SIDE, largest.width * _LR_SIDE)
            rivals = [
                c for c in candidates if c.digest != largest.digest and (c.height > sides[0] or c.width > sides[1])
            ]
            if rivals:
                also = rivals[0].path
                message = f"{largest.path}: expected one image for {name}, got also {also}, which differs; remove one"
                self._refused.append((name, message))
            else:
                chosen[name] = largest
        if chosen:
            record_digests(self.manifest, {name: candidate.digest for name, candidate in chosen.items()})
        for name, candidate in chosen.items():
            entry = self.wanted[name]
            self._store(entry, recognise(self.manifest, entry, read_opaque(candidate.path), candidate.digest))

    def _store(self, entry: ImageEntry, image: Pixels) -> None:
        if entry.id in self._done:
            return
        try:
            store_image(self.manifest, entry, image)
        except StorageError:
            raise
        except BenchError as error:
            self._refused.append((entry.id, str(error)))
        else:
            self._done.add(entry.id)

    def result(self) -> Imported:
        """The result; refused files of images that another file provided are left out."""
        stored = [name for name in self.wanted if name in self._done]
        missing = [name for name in self.wanted if name not in self._done]
        refused = [message for name, message in self._refused if name not in self._done]
        return Imported(stored, self.already, refused, missing)


def store_image(manifest: Manifest, entry: ImageEntry, image: Pixels) -> None:
    """Write an image in its canonical form."""
    target = hr_folder(manifest) / f"{entry.id}.png"
    make_folder(target.parent)
    other = image_path(manifest, entry)
    if other != target and other.exists():
        raise BenchError(f"{other}: expected no other file of this image, got one with other pixels; move it away")
    try:
        write_png(target, image)
    except OSError as error:
        raise StorageError(f"{target}: expected a place to write to, got {error.strerror}; set HCFLOW_DATA") from None


def record_digests(manifest: Manifest, digests: dict[str, str]) -> None:
    """Remember the pixels of images of which no digests are published; before they are stored: none may lack one."""
    digest_record(manifest).remember(digests)
