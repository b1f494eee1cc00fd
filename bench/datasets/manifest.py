"""Manifests: what a data set consists of, pixel by pixel, where it comes from and under which terms.

They are data (`datasets/*.toml`); the images are not part of the project.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import Literal, get_args

from bench.errors import BenchError
from bench.registry import unknown
from bench.typed import from_table

_Kind = Literal["files", "archive", "package", "manual"]


@dataclass(frozen=True)
class ImageEntry:
    """One image of a data set.

    Attributes:
        file: name under `<root>/<set>/HR/`; its stem is the image's id.
        width: pixels; None where unknown.
        height: pixels; None where unknown.
        channels: 1 for grey, 3 for RGB.
        sha256: of the decoded RGB pixels (see `bench.datasets.local.pixel_digest`); None where unknown.
        alias: what the image is called elsewhere.
        licence: of this image, where the data set has no single one.
    """

    file: str
    width: int | None = None
    height: int | None = None
    channels: int = 3
    sha256: str | None = None
    alias: str | None = None
    licence: str | None = None

    @property
    def id(self) -> str:
        """The image's name in records and tables."""
        return Path(self.file).stem


@dataclass(frozen=True)
class Source:
    """Where images can be had.

    Attributes:
        kind: "files": one URL per image; "archive": one zip or tar file; "package": photographs that an installed
            Python package carries; "manual": only a person may get them.
        urls: mirrors, in order; `{id}` and `{alias}` stand for an image's.
        member: name of an image inside the archive, or of the folder inside the package.
        package: for "package".
        sha256: of the archive, where known.
        size: of the archive in bytes, where known.
        note: what to know or, for "manual", to do.
    """

    kind: _Kind
    urls: tuple[str, ...] = ()
    member: str = ""
    package: str = ""
    sha256: str | None = None
    size: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Manifest:
    """A data set.

    Attributes:
        name: as on the command line, and of its folder.
        title: what it is.
        licence: of the images.
        terms: what one may do with them.
        images: see ImageEntry.
        sources: see Source.
        cropped: whether the benchmark uses the top-left part, of the given size, of images that may be larger.
    """

    name: str
    title: str
    licence: str
    terms: str
    images: tuple[ImageEntry, ...]
    sources: tuple[Source, ...]
    cropped: bool = False

    @property
    def verified(self) -> bool:
        """Whether the pixels of every image are known."""
        return all(entry.sha256 for entry in self.images)

    @property
    def package(self) -> Source | None:
        """The package that carries the images, so that no file is needed."""
        return next((source for source in self.sources if source.kind == "package"), None)

    @property
    def digest(self) -> str:
        """SHA-256 over everything in it that can change a number."""
        content = [[e.id, e.width, e.height, e.channels, e.sha256] for e in self.images]
        return hashlib.sha256(json.dumps([self.name, content]).encode()).hexdigest()


_search: list[Path] = []


def search_also(folder: Path) -> None:
    """Look for manifests of your own in a folder and its `datasets/`, too; the project's own come first."""
    for place in (folder / "datasets", folder):
        if place.is_dir() and place not in _search:
            _search.append(place)
    load_manifest.cache_clear()


def manifest_names() -> list[str]:
    """The data sets of the project."""
    return sorted(path.stem for path in _folder().glob("*.toml"))


@lru_cache(maxsize=32)
def load_manifest(name: str) -> Manifest:
    """Read `datasets/NAME.toml`; unknown names and keys are errors that list the choices."""
    path = _find(name)
    where = f"datasets/{name}.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BenchError(f"{where}: expected TOML, got a mistake: {error}") from None
    raw["images"] = [from_table(ImageEntry, entry, f"{where} images") for entry in raw.get("images", [])]
    raw["sources"] = [from_table(Source, source, f"{where} sources") for source in raw.get("sources", [])]
    manifest = from_table(Manifest, {"name": name, **raw}, where)
    if len({entry.id for entry in manifest.images}) != len(manifest.images):
        raise BenchError(f"{where}: expected every image once, got one twice")
    for entry in manifest.images:
        _check(entry, where)
    for source in manifest.sources:
        if source.kind not in get_args(_Kind):
            raise unknown("kind of source", source.kind, get_args(_Kind), f" in {where}")
    return manifest


def _find(name: str) -> Path:
    if name in manifest_names():
        return _folder() / f"{name}.toml"
    own = {path.stem: path for folder in reversed(_search) for path in folder.glob("*.toml")}
    if name not in own:
        raise unknown("data set", name, manifest_names())
    return own[name]


def _check(entry: ImageEntry, where: str) -> None:
    """A manifest decides which files are written: its names may not lead elsewhere."""
    rules = {
        "a plain file name": PureWindowsPath(entry.file).name == entry.file,  # knows the separators of every system
        "whole numbers of pixels": all(v is None or (type(v) is int and v > 0) for v in (entry.width, entry.height)),
        "1 or 3 channels": entry.channels in (1, 3),
        "64 hexadecimal digits": entry.sha256 is None or bool(re.fullmatch("[0-9a-f]{64}", entry.sha256)),
    }
    if broken := [rule for rule, kept in rules.items() if not kept]:
        raise BenchError(f"{where}: expected {broken[0]} for each image, got {entry}")


def _folder() -> Path:
    """`datasets/` beside the package in a checkout, inside it in a wheel."""
    here = Path(__file__).parents[1]
    checkout = here.parent / "datasets"
    return checkout if (checkout / "Set5.toml").is_file() else here / "_datasets"
