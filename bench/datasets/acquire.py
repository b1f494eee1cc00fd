"""From a manifest's sources to verified images in the root."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from bench.datasets.importing import Imported, import_files, record_digests, store_image
from bench.datasets.local import pixel_digest, recognise, right_ids
from bench.datasets.manifest import ImageEntry, Manifest, Source
from bench.downloads.archive import extract
from bench.downloads.digests import DigestRecord
from bench.downloads.fetch import Remote, Unreachable, Watcher, download, refuse_offline
from bench.errors import BenchError, StorageError
from bench.files import make_folder
from bench.roots import data_root
from hcflow.images.io import ImageError, read_opaque

_DOWNLOADS = ".downloads"  # in the root: parts of files that a later call goes on with
_LARGEST_IMAGE = 100_000_000  # bytes; far above any image of these sets, far below a bomb
_LARGEST_ARCHIVE = 1 << 36  # bytes; far above any set


def fetch(manifest: Manifest, watcher: Watcher | None = None, offline: bool = False) -> Imported:
    """Download the missing or wrong images of a data set, compare them with the manifest, and store them.

    The sources are tried in turn for what is still missing.

    Raises:
        BenchError: offline, manual download only, or images are still missing. What was stored is kept, and the next
            call resumes from there.
    """
    right = {entry.id for entry in manifest.images} if manifest.package else right_ids(manifest)
    result = Imported(already=[entry.id for entry in manifest.images if entry.id in right])
    wanted = [entry for entry in manifest.images if entry.id not in right]
    sources = [source for source in manifest.sources if source.kind in ("files", "archive")]
    if wanted and not sources:
        notes = "; ".join(source.note for source in manifest.sources if source.note)
        raise BenchError(f"{manifest.name}: expected a source to download from, got none; by hand: {notes}")
    if wanted:
        refuse_offline(offline, f"download {manifest.name}")
    for source in sources:
        if wanted:
            take = _from_archive if source.kind == "archive" else _from_files
            stored, problems = take(manifest, source, wanted, watcher)
            result.stored += stored
            result.refused += problems
            wanted = [entry for entry in wanted if entry.id not in stored]
    result.missing = [entry.id for entry in wanted]
    if wanted:
        raise BenchError(_failure(manifest, result))
    shutil.rmtree(data_root() / _DOWNLOADS / manifest.name, ignore_errors=True)
    return result


def _failure(manifest: Manifest, result: Imported) -> str:
    """What is missing, and the first reasons why."""
    shown = "; ".join(result.refused[:3]) + ("; and more" if len(result.refused) > 3 else "")
    return (
        f"{manifest.name}: expected all of its {len(manifest.images)} images, got {len(result.missing)} fewer "
        f"({', '.join(result.missing[:3])}{' and more' if len(result.missing) > 3 else ''}): {shown}"
    )


_Taken = tuple[list[str], list[str]]  # ids that were stored, problems


def _from_files(manifest: Manifest, source: Source, wanted: list[ImageEntry], watcher: Watcher | None) -> _Taken:
    """One request per image; a missing image does not stop the others, a server that does not answer does."""
    stored: list[str] = []
    problems: list[str] = []
    folder = _downloads(manifest)
    for entry in wanted:
        urls = tuple(url.format(id=entry.id, alias=entry.alias) for url in source.urls)
        path = folder / f"{entry.id}.download"
        path.unlink(missing_ok=True)  # whole, but never stored: the images are small, and an old one may be wrong
        try:
            download(Remote(urls, limit=_LARGEST_IMAGE), path, watcher)
            image = recognise(manifest, entry, read_opaque(path), entry.sha256)
            if entry.sha256 is None:
                record_digests(manifest, {entry.id: pixel_digest(image)})
            store_image(manifest, entry, image)
            stored.append(entry.id)
        except StorageError:
            raise
        except Unreachable as error:
            problems.append(str(error))
            break
        except (BenchError, ImageError) as error:
            message = str(error).removeprefix(f"{path}: ")
            problems.append(message if message.startswith(urls) else f"{urls[0]}: {message}")
        finally:
            path.unlink(missing_ok=True)
    return stored, problems


def _from_archive(manifest: Manifest, source: Source, wanted: list[ImageEntry], watcher: Watcher | None) -> _Taken:
    """One archive, from which only the wanted images are extracted.

    Where no digest of it is published, its own is recorded once it had everything, and later downloads must match it.
    """
    folder, url = _downloads(manifest), source.urls[0]
    archive = folder / (re.sub(r"[^\w.-]|^\.+", "_", urlsplit(url).path.rpartition("/")[2]) or "archive")
    known = recorded_downloads().read().get(url)
    digests = tuple(digest for digest in (source.sha256 or known,) if digest)
    recorded = None if source.sha256 or not known else recorded_downloads().path
    remote = Remote(source.urls, digests, source.size, _LARGEST_ARCHIVE, recorded)
    try:
        digest = download(remote, archive, watcher)
    except StorageError:
        raise
    except BenchError as error:
        return [], [str(error)]
    unpacked = folder / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    make_folder(unpacked)
    members = {source.member.format(id=entry.id, alias=entry.alias): f"{entry.id}.png" for entry in wanted}
    try:
        files = extract(archive, members.get, unpacked, max_bytes=len(members) * _LARGEST_IMAGE, max_files=len(members))
        taken = import_files(manifest, files)
        problems = taken.refused or [f"{url}: expected all of them in it, got fewer"] if taken.missing else []
    except StorageError:
        raise  # the archive is kept: the next call unpacks it where there is room
    except BenchError as error:
        taken, problems = Imported(), [str(error)]
    if problems:
        archive.unlink()  # the next call asks again
    elif digest not in digests:
        recorded_downloads().remember({url: digest})
    return taken.stored, problems


def recorded_downloads() -> DigestRecord:
    """SHA-256 by URL of files without a published digest, as recorded at their first valid download."""
    return DigestRecord(data_root() / _DOWNLOADS / "digests.json", "URLs")


def _downloads(manifest: Manifest) -> Path:
    folder = data_root() / _DOWNLOADS / manifest.name
    make_folder(folder)
    return folder
