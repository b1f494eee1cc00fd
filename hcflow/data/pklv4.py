"""SRFlow's data sets: .pklv4 files, pickled lists of uint8 images, to folders of PNG files.

SRFlow (Lugmayr et al., ECCV 2020) publishes its CelebA and DF2K patches in this form, and HCFlow trains on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hcflow.data.pickled import PickledArray, Span, find_arrays
from hcflow.errors import InputError
from hcflow.images.io import ImageError, Pixels, read_image, write_png

__all__ = ["Progress", "import_pklv4", "read_pklv4"]

Progress = Callable[[int, int], None]
"""Called with images done and images in all."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """An image that was found in a file, and not read."""

    shape: tuple[int, ...]
    fortran: bool
    data: Span

    def read(self, stream: BinaryIO) -> Pixels:
        stream.seek(self.data.start)
        values = np.fromfile(stream, np.uint8, self.data.size)
        if len(values) < self.data.size:
            raise InputError("expected a file that stays as it is, got one that became shorter while it was read")
        image = values.reshape(self.shape, order="F" if self.fortran else "C")
        return np.ascontiguousarray(image if self.shape[2] == 3 else image.transpose(1, 2, 0))


def read_pklv4(path: Path) -> Iterator[Pixels]:
    """Read the images of a .pklv4 file one by one, without running code.

    Args:
        path: a pickled list (or tuple) of uint8 arrays, (H, W, 3) as SRFlow writes them, or (3, H, W).

    Returns:
        (H, W, 3) uint8 arrays. The whole file has been checked by the time the first is read; one is held at a time.

    Raises:
        InputError: missing, truncated, foreign, unsafe, empty, or not such arrays.
    """
    return _images(path, _find(path))


def import_pklv4(
    hr: Sequence[Path], folder: Path, limit: int | None = None, progress: Progress | None = None
) -> list[Path]:
    """Write the images of .pklv4 files as 000001.png, 000002.png, .. in the files' order; every file is checked first.

    What is in the folder already is not written again, and a damaged image is replaced: to resume after an
    interruption, call it again.

    Args:
        hr: files as `read_pklv4` reads them; the numbers continue from one to the next.
        folder: made if missing.
        limit: the first so many images of all files; None for all.
        progress: called after every image.

    Returns:
        The images, written now or before.

    Raises:
        InputError: what `read_pklv4` raises, a limit below 1, or another image where one is to be written.
    """
    if limit is not None and limit < 1:
        raise InputError(f"expected a limit >= 1, got {limit}")
    found = [(path, _find(path)) for path in hr]
    if folder.exists() and not folder.is_dir():
        raise InputError(f"expected a folder for the images, got the file {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(len(images) for _, images in found)
    total = total if limit is None else min(total, limit)
    targets: list[Path] = []
    for path, images in found:
        for pixels in _images(path, images[: total - len(targets)]):
            targets.append(folder / f"{len(targets) + 1:06d}.png")
            if not _holds(targets[-1], pixels):
                write_png(targets[-1], pixels)
            if progress is not None:
                progress(len(targets), total)
    return targets


def _images(path: Path, found: Sequence[_Stored]) -> Iterator[Pixels]:
    with path.open("rb") as stream:
        for image in found:
            yield image.read(stream)


def _holds(target: Path, pixels: Pixels) -> bool:
    """Whether a file holds these pixels; a missing or damaged one does not."""
    if not target.exists():
        return False
    try:
        existing = read_image(target)
    except ImageError:
        return False
    if not np.array_equal(existing, pixels):
        raise InputError(f"expected {target} to be missing or from the same import, got another; empty the folder")
    return True


def _find(path: Path) -> list[_Stored]:
    """Check a whole file and say where its images lie."""
    if not path.is_file():
        raise InputError(f"expected a .pklv4 file, got {path}, which does not exist or is not a file")
    try:
        with path.open("rb") as stream:
            found = find_arrays(stream)
        if not isinstance(found, list | tuple) or not found:
            kind = _kind(found)
            raise InputError(f"expected a list of images, got {f'an empty {kind}' if found in ([], ()) else kind}")
        images = [_stored(item, number) for number, item in enumerate(found, 1)]
        _refuse_repeats(images)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return images


def _stored(item: object, number: int) -> _Stored:
    where = f"image {number:,}"
    if not isinstance(item, PickledArray) or item.data is None:
        raise InputError(
            f"{where}: expected an array, got {'an empty one' if isinstance(item, PickledArray) else _kind(item)}"
        )
    shape = item.shape
    if len(shape) != 3 or min(shape) < 1 or (shape[2] != 3 and shape[0] != 3):
        raise InputError(f"{where}: expected shape (H, W, 3) or (3, H, W), got {str(shape[:5])[:100]}")
    if math.prod(shape) != item.data.size:
        raise InputError(
            f"{where}: expected as many bytes as its shape {str(shape)[:100]} needs, got {item.data.size:,}; "
            "the file is damaged, get it again"
        )
    return _Stored(shape, item.fortran, item.data)


def _kind(item: object) -> str:
    """What a value of a pickle is called in Python."""
    names = {PickledArray: "one array", Span: "bytes", type(None): "None"}
    return names.get(type(item), type(item).__name__)


def _refuse_repeats(images: Sequence[_Stored]) -> None:
    """A small file could otherwise declare any number of large images."""
    first: dict[int, int] = {}
    for number, image in enumerate(images, 1):
        other = first.setdefault(image.data.start, number)
        if other != number:
            raise InputError(f"image {number:,}: expected pixels of its own, got those of image {other:,} again")
