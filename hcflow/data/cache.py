"""Images decoded once into one memory-mapped file, HR and LR side by side, so that loading never holds up a step."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hcflow.atomic import lock
from hcflow.errors import InputError
from hcflow.files import user_cache
from hcflow.images.io import SUFFIXES, Pixels, read_opaque, to_rgb
from hcflow.images.matlab_resize import imresize, mod_crop

__all__ = ["ImageCache", "image_files", "open_cache"]

_VERSION = 1  # of the layout below; a new one makes new caches
_INDEX, _PIXELS = "index.json", "pixels.bin"

Report = Callable[[int, int], None]
"""Called with (images done, images in all)."""


@dataclass(frozen=True)
class ImageCache:
    """Pairs of an HR image, cropped to multiples of the scale, and its bicubic LR image.

    Attributes:
        names: of the files the images came from.
        sizes: (height, width) of the HR images.
        scale: HR side over LR side.
        digest: SHA-256 over all HR pixels and sizes: what the data set is, wherever it lies.
    """

    names: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    scale: int
    digest: str
    _pixels: NDArray[np.uint8]
    _offsets: tuple[tuple[int, int], ...]

    def hr(self, index: int) -> Pixels:
        """uint8 (H, W, 3), a view of the file."""
        return self._view(self._offsets[index][0], self.sizes[index])

    def lr(self, index: int) -> Pixels:
        """uint8 (H/scale, W/scale, 3), a view of the file."""
        height, width = self.sizes[index]
        return self._view(self._offsets[index][1], (height // self.scale, width // self.scale))

    def _view(self, offset: int, size: tuple[int, int]) -> Pixels:
        height, width = size
        return self._pixels[offset : offset + 3 * height * width].reshape(height, width, 3)


def image_files(folder: Path) -> list[Path]:
    """The images of a folder, or of the folder HR in it.

    Raises:
        InputError: no such folder, or no image in it.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise InputError(f"expected a folder of images, got {folder}, which {what}; check the path")
    for place in (folder, folder / "HR"):
        files = sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES) if place.is_dir() else []
        if files:
            return files
    raise InputError(f"expected images ({', '.join(SUFFIXES)}) in {folder} or {folder / 'HR'}, got none")


def open_cache(files: Sequence[Path], scale: int, root: Path | None = None, report: Report | None = None) -> ImageCache:
    """The cache of these files, made now where it does not exist; a change of any file makes a new one.

    Args:
        files: images, grey or RGB.
        scale: HR side over LR side.
        root: where caches are kept; None: in the user's cache.
        report: told of the progress.

    Raises:
        ImageError: a file is damaged or is not a usable image.
        InputError: no files, or no space for the cache.
    """
    if not files:
        raise InputError("expected at least one image to train on, got none")
    root = root or user_cache() / "training"
    folder = root / _key(files, scale)
    if not (folder / _INDEX).is_file():
        try:
            root.mkdir(parents=True, exist_ok=True)
            with (root / f".{folder.name}.lock").open("w") as handle:
                lock(handle.fileno(), wait=True)  # while another process makes the same cache
                if not (folder / _INDEX).is_file():
                    _build(files, scale, folder, report)
        except OSError as error:
            raise InputError(
                f"expected space for the decoded images in {root}, got {error.strerror or error}; "
                "give another place with --cache"
            ) from None
    return _read(folder)


def _key(files: Sequence[Path], scale: int) -> str:
    status = [(os.fspath(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps([_VERSION, scale, status]).encode()).hexdigest()[:24]


def _build(files: Sequence[Path], scale: int, folder: Path, report: Report | None) -> None:
    """Decode into a temporary folder, which gets its name only when it is complete."""
    part = folder.with_name(f".{folder.name}.part")
    for leftover in (part, folder):  # of a process that was killed; whoever is here holds the lock
        shutil.rmtree(leftover, ignore_errors=True)
    part.mkdir()
    try:
        index, digest, offset = [], hashlib.sha256(), 0
        with (part / _PIXELS).open("wb") as stream:
            for done, (file, (hr, lr)) in enumerate(zip(files, _decoded(files, scale), strict=True), 1):
                index.append({"name": file.name, "size": hr.shape[:2], "offset": offset})
                digest.update(repr(hr.shape).encode() + hr.tobytes())
                stream.write(hr.tobytes() + lr.tobytes())
                offset += hr.size + lr.size
                if report:
                    report(done, len(files))
        index_data = {"scale": scale, "digest": digest.hexdigest(), "bytes": offset, "images": index}
        (part / _INDEX).write_text(json.dumps(index_data), encoding="utf-8")
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _decoded(files: Sequence[Path], scale: int) -> Iterator[tuple[Pixels, Pixels]]:
    """Pairs in order, decoded a few ahead on all cores."""

    def pair(file: Path) -> tuple[Pixels, Pixels]:
        hr = np.ascontiguousarray(mod_crop(to_rgb(read_opaque(file)), scale))
        return hr, imresize(hr, 1 / scale)

    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        ahead: list[Future[tuple[Pixels, Pixels]]] = []
        rest = iter(files)
        try:
            while True:
                while len(ahead) < 2 * workers and (file := next(rest, None)) is not None:
                    ahead.append(pool.submit(pair, file))
                if not ahead:
                    return
                yield ahead.pop(0).result()
        finally:
            for future in ahead:
                future.cancel()


def _read(folder: Path) -> ImageCache:
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        pixels = np.memmap(folder / _PIXELS, dtype=np.uint8, mode="r")
        if len(pixels) != index["bytes"]:
            raise ValueError(f"{len(pixels)} bytes of {index['bytes']}")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{folder}: expected a complete cache of images, got a damaged one ({error}); delete it"
        ) from None
    sizes = tuple((int(height), int(width)) for height, width in (image["size"] for image in index["images"]))
    starts = [int(image["offset"]) for image in index["images"]]
    offsets = tuple((start, start + 3 * height * width) for start, (height, width) in zip(starts, sizes, strict=True))
    names = tuple(str(image["name"]) for image in index["images"])
    return ImageCache(names, sizes, int(index["scale"]), str(index["digest"]), pixels, offsets)
