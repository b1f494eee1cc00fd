"""What the viewer of the HTML report shows: restored images at full resolution, beside LR, bicubic and HR.

It shows what runs kept (--keep-images). Pictures are embedded only where the terms of the data set allow copies, else
linked relatively to the results folder, where they are.
"""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from PIL import Image

from bench.datasets.manifest import Manifest, load_manifest
from bench.errors import BenchError
from bench.records.journal import Journal
from bench.records.tables import Cell, Table
from bench.report import formatting
from bench.runs.kept_files import KeptFiles, kept_files
from bench.runs.recording import manifest_in
from bench.runs.references import WHITE, own_paths, shared_paths, write_references

Pictures = Literal["auto", "embed", "link", "none"]
"""Embed what may be passed on and link the rest ("auto"); embed or link everything; or show none."""

_FREE = re.compile(r"(CC0|CC BY(-SA)? \d|public domain)", re.IGNORECASE)
_BUDGET = 6 << 20  # bytes of embedded pictures in a page, which a phone still opens; what comes after is linked
_NAMES = {"lr": "LR (bicubic)", "bicubic": "Bicubic", "hr": "HR"}


def may_be_copied(manifest: Manifest) -> bool:
    """Whether the licence of every image says that anybody may pass it on: CC0, CC BY, CC BY-SA or public domain."""
    licences = [entry.licence or manifest.licence for entry in manifest.images] or [manifest.licence]
    return all(_FREE.match(licence) for licence in licences)


def copies_allowed(dataset: str, runs: Iterable[Journal] = ()) -> bool:
    """`may_be_copied` of a data set by name: as installed, else as the newest of the runs recorded it; else not."""
    with suppress(BenchError):
        return may_be_copied(load_manifest(dataset))
    for run in reversed(tuple(runs)):
        with suppress(BenchError):
            return may_be_copied(manifest_in(run, dataset))
    return False


class Album:
    """Pictures of a page, embedded or linked as its switch says.

    Attributes:
        pictures: the switch.
        target: folder of the page.
        runs: that may know the terms of a data set that is not installed.
    """

    def __init__(self, pictures: Pictures, target: Path, runs: Iterable[Journal] = ()) -> None:
        self.pictures, self.target, self.runs = pictures, target, tuple(runs)
        self._left = _BUDGET
        self._allowed: dict[str, bool] = {}

    def embeds(self, dataset: str) -> bool:
        """Whether pictures of a data set are embedded."""
        if self.pictures != "auto":
            return self.pictures == "embed"
        return self._allowed.setdefault(dataset, copies_allowed(dataset, self.runs))

    def source(self, path: Path, dataset: str) -> str | None:
        """What an `img` has as its source; None where there is no such picture, or none is to be shown."""
        if self.pictures == "none" or not path.is_file():
            return None
        if self.embeds(dataset) and self._left > 0:
            data = _as_webp(path)
            self._left -= len(data) * 4 // 3
            return f"data:image/webp;base64,{base64.b64encode(data).decode()}"
        try:
            return quote(Path(os.path.relpath(path.resolve(), self.target.resolve())).as_posix())
        except ValueError:
            return None  # on another drive: no relative path leads there


def viewer_data(table: Table, out: Path, target: Path, pictures: Pictures = "auto") -> dict[str, Any]:
    """What the viewer's script reads: `DATASET/IMAGE` -> the layers of an image that has a kept one.

    Pictures that are missing beside the kept ones (HR, LR, bicubic) are made now, in the results folder.

    Args:
        table: whose rows are shown.
        out: results folder.
        target: folder of the page; links are relative to it.
        pictures: see Pictures.
    """
    if pictures == "none":
        return {"images": {}}
    album = Album(pictures, target, table.runs)
    images: dict[str, Any] = {}
    for dataset in table.datasets:
        for image in _images(table, dataset):
            kept = {
                (cell.row, cell.key): files
                for cell in _firsts(table, dataset)
                if (files := kept_files(out, cell.key, image)) is not None
            }
            if kept:
                images[f"{dataset}/{image}"] = _image(table, out, album, dataset, image, kept)
    return {"images": images}


def _images(table: Table, dataset: str) -> Iterable[str]:
    """The measured images of a data set, in order."""
    found = (image.id for cell in table.cells if cell.dataset == dataset for image in cell.images)
    return dict.fromkeys(found)


def _firsts(table: Table, dataset: str) -> Iterator[Cell]:
    """The first cell with a value of each row and restoration."""
    seen = set()
    for cell in table.cells:
        if cell.dataset == dataset and cell.key and (cell.row, cell.key) not in seen:
            seen.add((cell.row, cell.key))
            yield cell


def _image(
    table: Table, out: Path, album: Album, dataset: str, image: str, kept: Mapping[tuple[str, str], KeptFiles]
) -> dict[str, Any]:
    pixels = next(iter(kept.values())).pixels
    same = {key: files for (_, key), files in kept.items() if files.pixels == pixels}
    shared = _shared(out, dataset, image, table.suite.scale, same)
    bicubic = {row.name for row in table.suite.rows if row.method == "bicubic"}
    first = ("lr",) if any(row in bicubic for row, _ in kept) else ("lr", "bicubic")
    layers = [_layer(album, dataset, _NAMES[kind], shared.get(kind)) for kind in first]
    for (row, key), files in kept.items():
        layers += _of_row(table, album, dataset, image, row, key, files)
    layers.append(_layer(album, dataset, _NAMES["hr"], shared.get("hr")))
    with Image.open(next(iter(kept.values())).draws[0]) as picture:
        width, height = picture.size
    return {"width": width, "height": height, "layers": [layer for layer in layers if layer is not None]}


def _shared(out: Path, dataset: str, image: str, scale: int, kept: Mapping[str, KeptFiles]) -> Mapping[str, Path]:
    """HR, LR and bicubic, made where they are missing; a reader of finished ones needs no PyTorch."""
    pixels = next(iter(kept.values())).pixels
    paths = shared_paths(out, dataset, image, pixels, scale)
    own = [path for files in kept.values() for path in own_paths(files, image).values()]
    if all(path.is_file() for path in (*paths.values(), *own)):
        return paths
    return write_references(out, dataset, image, scale, kept)


def _of_row(
    table: Table, album: Album, dataset: str, image: str, row: str, key: str, files: KeptFiles
) -> Iterator[dict[str, Any] | None]:
    own = own_paths(files, image)
    if "lr" in own:
        yield _layer(album, dataset, f"LR of {row}", own["lr"], row)
    for number, path in enumerate(files.draws):
        name = row if len(files.draws) == 1 else f"{row}, draw {number + 1}"
        yield _layer(album, dataset, name, path, row, _scores(table, dataset, image, row, key, number), sr=True)
    if "deviation" in own:
        name = f"{row}, deviation over {len(files.draws)} draws"
        yield _layer(album, dataset, name, own["deviation"], row, f"0 (black) to {WHITE:g} of 255 and above (white)")


def _layer(
    album: Album, dataset: str, name: str, path: Path | None, row: str = "", said: str = "", sr: bool = False
) -> dict[str, Any] | None:
    source = None if path is None else album.source(path, dataset)
    return None if source is None else {"name": name, "row": row, "src": source, "said": said, "sr": sr}


def _scores(table: Table, dataset: str, image: str, row: str, key: str, draw: int) -> str:
    """`PSNR (Y) 28.35 dB, SSIM (Y) 0.8104` of a draw."""
    parts = []
    for column in table.suite.columns:
        cell = table.cell(row, dataset, column.id)
        values = next((one.common for one in cell.images if one.id == image), ())
        if cell.key == key and values:
            value = formatting.number(values[draw if len(values) > 1 else 0], cell.decimals)
            parts.append(f"{cell.title} {value} {cell.unit}".rstrip())
    return ", ".join(parts)


def _as_webp(path: Path) -> bytes:
    """A picture as it is embedded: without loss, as WebP, which is smaller; a thumbnail as it is."""
    if path.suffix == ".webp":
        return path.read_bytes()
    data = io.BytesIO()
    with Image.open(path) as picture:
        picture.save(data, format="WEBP", lossless=True, method=2)
    return data.getvalue()
