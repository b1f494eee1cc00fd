"""Manifests: what a data set consists of, pixel by pixel, where it comes from and under which terms.

They are data (`datasets/*.toml`); the images are not part of the project.
"""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Literal

from bench.errors import BenchError
from bench.registry import unknown
from bench.structured import build

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
    """Where images can be obtained.

    Attributes:
        kind: "files": one URL per image; "archive": one zip or tar file; "package": photographs that an installed
            Python package carries; "manual": only a person may get them.
        urls: mirrors, in order; `{id}` and `{alias}` are replaced by an image's.
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
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{where}: expected valid TOML, got an error: {error}") from None
    return parse_manifest(name, raw, where)


def parse_manifest(name: str, raw: dict[str, object], where: str) -> Manifest:
    """A manifest of TOML data; a manifest decides which files are written, so its names may not lead elsewhere.

    Args:
        name: of the data set and of its folder.
        raw: what `tomllib` gave.
        where: what messages call it.

    Raises:
        BenchError: a missing or unknown key, a wrong value, or a name that is not a plain one.
    """
    manifest = build(Manifest, {"images": [], "sources": [], **raw, "name": raw.get("name", name)}, where)
    if manifest.name != name or not is_plain(name):
        got = manifest.name[:100]
        raise BenchError(f"{where}: expected the file's own name as the set's, got {got!r}; leave it out")
    if len({entry.id.casefold() for entry in manifest.images}) != len(manifest.images):
        raise BenchError(f"{where}: expected every image once, got one twice")
    for entry in manifest.images:
        _refuse(where, "each image", entry, _image_rules(entry))
    for source in manifest.sources:
        _refuse(where, "each source", source, _source_rules(source))
    return manifest


def _find(name: str) -> Path:
    if name in manifest_names():
        return _folder() / f"{name}.toml"
    found = {path.stem: path for folder in reversed(_search) for path in folder.glob("*.toml")}
    if name not in found:
        raise unknown("data set", name, manifest_names())
    return found[name]


def is_plain(name: str) -> bool:
    """Whether a name can only mean a file or folder right where it is put, on every system."""
    return bool(re.fullmatch(r"[^\x00-\x1f\x7f/\\:*?\"<>|]{1,200}", name)) and not name.startswith((".", " ", "-"))


def _refuse(where: str, kind: str, thing: object, rules: dict[str, bool]) -> None:
    if broken := [rule for rule, kept in rules.items() if not kept]:
        raise BenchError(f"{where}: expected {broken[0]} for {kind}, got {textwrap.shorten(str(thing), 500)}")


def _image_rules(entry: ImageEntry) -> dict[str, bool]:
    return {
        "a plain file name": is_plain(entry.file) and is_plain(entry.id),
        "whole numbers of pixels": all(v is None or v > 0 for v in (entry.width, entry.height)),
        "1 or 3 channels": entry.channels in (1, 3),
        "64 hexadecimal digits": entry.sha256 is None or bool(re.fullmatch("[0-9a-f]{64}", entry.sha256)),
    }


def _source_rules(source: Source) -> dict[str, bool]:
    templates = (*source.urls, source.member)
    return {
        "an address": bool(source.urls) or source.kind not in ("files", "archive"),
        "http or https addresses": all(url.startswith(("http://", "https://")) for url in source.urls),
        "no fields but {id} and {alias}": all(_fields(template) <= {"id", "alias"} for template in templates),
        "the name of a package": source.kind != "package"
        or all(part.isidentifier() for part in source.package.split(".")),
        "a folder inside the package": source.kind != "package" or all(map(is_plain, source.member.split("/"))),
        "a size above 0": source.size is None or source.size > 0,
        "64 hexadecimal digits": source.sha256 is None or bool(re.fullmatch("[0-9a-f]{64}", source.sha256)),
    }


def _fields(template: str) -> set[str]:
    """The fields of a template for `str.format`; `{id.x}`, `{id!r}` and `{id:9}` are fields of other names."""
    try:
        parsed = [part for part in Formatter().parse(template) if part[1] is not None]
    except ValueError:
        return {"a single brace"}
    return {
        str(name) + (f"!{conversion}" if conversion else "") + str(spec or "") for _, name, spec, conversion in parsed
    }


def _folder() -> Path:
    """`datasets/` beside the package in a checkout, inside it in a wheel."""
    here = Path(__file__).parents[1]
    checkout = here.parent / "datasets"
    return checkout if (checkout / "Set5.toml").is_file() else here / "_datasets"
