"""From a manifest's sources to verified images in the root."""

from __future__ import annotations

import json
import shutil
from pathlib import Path, PurePosixPath

from bench.archive import extract
from bench.data import data_root, presence, recognise
from bench.errors import BenchError
from bench.fetch import Remote, Watcher, download
from bench.importing import Imported, import_files, store_image
from bench.manifest import Manifest, Source
from bench.store import make_folder, write_atomically
from hcflow.images.io import ImageError, read_opaque

_LARGEST_IMAGE = 100_000_000  # bytes; far above any image of these sets, far below a bomb


def fetch(manifest: Manifest, watcher: Watcher | None = None) -> Imported:
    """Download what is missing of a data set, compare it with the manifest and store it.

    Raises:
        BenchError: offline, by hand only, a download that failed or is not what the manifest says. What was stored
            before stays, and the next call goes on from there.
    """
    missing = presence(manifest).missing
    if not missing:
        return Imported(already=[entry.id for entry in manifest.images])
    kinds = {source.kind for source in manifest.sources}
    for source in manifest.sources:
        if source.kind == "archive":
            return _fetch_archive(manifest, source, watcher)
    if "files" in kinds:
        return _fetch_files(manifest, watcher)
    notes = "; ".join(source.note for source in manifest.sources if source.note)
    raise BenchError(f"{manifest.name}: expected a source to download from, got one for hands only: {notes}")


def _fetch_files(manifest: Manifest, watcher: Watcher | None) -> Imported:
    """One request per image; the mirrors of all sources, in order."""
    result = Imported()
    templates = [url for source in manifest.sources if source.kind == "files" for url in source.urls]
    folder = _downloads(manifest)
    for entry in presence(manifest).missing:
        urls = tuple(url.format(id=entry.id, alias=entry.alias) for url in templates)
        path = folder / f"{entry.id}.download"
        path.unlink(missing_ok=True)  # whole, but never stored: the images are small, and an old one may be wrong
        download(Remote(urls), path, watcher)
        try:
            store_image(manifest, entry, recognise(manifest, entry, read_opaque(path), entry.sha256))
        except (BenchError, ImageError) as error:
            raise BenchError(f"{manifest.name}/{entry.id} from {urls[0]}: {error}") from None
        finally:
            path.unlink(missing_ok=True)
        result.stored.append(entry.id)
    shutil.rmtree(folder, ignore_errors=True)
    return result


def _fetch_archive(manifest: Manifest, source: Source, watcher: Watcher | None) -> Imported:
    """One archive, of which only the images that are missing are taken."""
    folder = _downloads(manifest)
    archive = folder / PurePosixPath(source.urls[0]).name
    known = recorded_downloads()
    remote = Remote(source.urls, sha256=source.sha256 or known.get(source.urls[0]), size=source.size)
    record_download(source.urls[0], download(remote, archive, watcher))
    members = {source.member.format(id=entry.id): f"{entry.id}.png" for entry in presence(manifest).missing}
    unpacked = folder / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    make_folder(unpacked)
    limit = len(members) * _LARGEST_IMAGE
    files = extract(archive, members.get, unpacked, max_bytes=limit, max_files=len(members))
    result = import_files(manifest, files)
    if result.missing:
        raise BenchError(
            f"{manifest.name}: expected all of it in {source.urls[0]}, got {len(result.missing)} images fewer "
            f"({result.missing[0]} and so on); the archive is kept in {folder}"
        )
    shutil.rmtree(folder, ignore_errors=True)
    return result


def recorded_downloads() -> dict[str, str]:
    """URL -> SHA-256 of files whose digest nobody publishes, as recorded at their first download."""
    path = _record()
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    except ValueError:
        raise BenchError(f"{path}: expected URLs and digests, got something else; delete it") from None


def record_download(url: str, digest: str) -> None:
    """Remember the digest of a first download, so that the next one is compared with it."""
    known = recorded_downloads()
    if known.get(url) != digest:
        write_atomically(_record(), json.dumps(known | {url: digest}, indent=1, sort_keys=True).encode())


def _record() -> Path:
    return data_root() / ".downloads" / "digests.json"


def _downloads(manifest: Manifest) -> Path:
    folder = data_root() / ".downloads" / manifest.name
    make_folder(folder)
    return folder
