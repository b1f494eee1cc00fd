"""Importing and downloading weights; an existing file is replaced only if asked."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.downloads.digests import file_digest
from bench.downloads.fetch import Remote, Watcher, download, refuse_offline
from bench.downloads.locks import one_at_a_time
from bench.errors import BenchError, StorageError
from bench.files import make_folder, unwritable
from bench.weights import entries
from bench.weights.entries import (
    WeightEntry,
    how_to_get,
    recorded_digests,
    refuse_other,
    remember_checked,
    weight_entry,
)
from hcflow.atomic import replacing


def import_file(name: str, file: Path, replace: bool = False) -> Path:
    """Check a file of weights and copy it into the weights' root; returns where it is.

    Args:
        name: id of the entry.
        file: anywhere.
        replace: whether another file that is there, and its recorded digest, may be replaced.

    Raises:
        BenchError: no such file, another one than the entry's, or one is there and `replace` is not set.
    """
    entry = weight_entry(name)
    _refuse_foreign(entry)
    if not file.is_file():
        raise BenchError(f"expected a file of weights, got {file}; check the path")
    digest = refuse_other(entry, file)
    _refuse_of_another(entry, file, digest)
    make_folder(entry.path.parent)
    with one_at_a_time(entry.path):
        if not _is_there(entry, digest, replace):
            try:
                with replacing(entry.path) as part:
                    shutil.copyfile(file, part)
            except OSError as error:
                raise StorageError(unwritable(entry.path, error)) from None
    _record(entry, digest)
    return entry.path


def fetch(name: str, watcher: Watcher | None = None, offline: bool = False, replace: bool = False) -> Path:
    """Download a file of weights, check it, and record its digest where none is published.

    Args:
        name: id of the entry.
        watcher: told of the progress.
        offline: refuse to use the network.
        replace: whether another file that is there, and its recorded digest, may be replaced.

    Raises:
        BenchError: manual download only, offline, no mirror had the right file, or another file is there and
            `replace` is not set.
    """
    entry = weight_entry(name)
    _refuse_foreign(entry)
    if not entry.urls:
        raise BenchError(f"{name}: expected a source to download from, got none; {how_to_get(entry)}")
    recorded = None if replace else recorded_digests().read().get(name)
    if entry.path.is_file():
        try:
            refuse_other(entry, entry.path, recorded)
        except BenchError as error:
            if not replace:
                raise BenchError(str(error)) from None
        else:
            _record(entry, file_digest(entry.path))
            return entry.path
    refuse_offline(offline, f"download {name}")
    make_folder(entry.path.parent)
    known = entry.sha256 + entry.sha256_prefix or ((recorded,) if recorded else ())
    remote = Remote(entry.urls, known, limit=_LARGEST, recorded=recorded_digests().path if recorded else None)

    def check(part: Path) -> None:
        _refuse_of_another(entry, part, refuse_other(entry, part))

    _record(entry, download(remote, entry.path, watcher, offline, check, fresh=replace))
    return entry.path


_LARGEST = 4 << 30  # bytes; far above any file of weights


def _refuse_foreign(entry: WeightEntry) -> None:
    if entry.shipped or Path(entry.id).is_absolute():
        raise BenchError(f"{entry.id}: expected weights to download, got some that come with this project or are yours")


def _refuse_of_another(entry: WeightEntry, file: Path, digest: str) -> None:
    """Networks of one architecture (HCFlow, HCFlow+, HCFlow++) differ only in their numbers."""
    if digest in entry.sha256:
        return
    recorded = recorded_digests().read()
    for other in entries.weight_entries().values():
        if other.id != entry.id and (digest in other.sha256 or recorded.get(other.id) == digest):
            raise BenchError(f"{file}: expected {entry.id}, got the file of {other.id}; check which one it is")


def _is_there(entry: WeightEntry, digest: str, replace: bool) -> bool:
    """Whether this very file is there; another one is an error unless it may be replaced."""
    recorded = recorded_digests().read().get(entry.id)
    there = file_digest(entry.path) if entry.path.is_file() else None
    if not replace and there not in (None, digest):
        raise BenchError(f"{entry.path}: expected no other file there, got SHA-256 {str(there)[:16]}; add --replace")
    if not replace and not entry.sha256 and recorded not in (None, digest):
        raise BenchError(
            f"{entry.id}: expected the file with SHA-256 {str(recorded)[:16]}, which was imported or downloaded first "
            f"(see {recorded_digests().path}), got {digest[:16]}; add --replace"
        )
    return there == digest


def _record(entry: WeightEntry, digest: str) -> None:
    """Remember the digest of a file of which none is published in whole, and that it was checked."""
    if digest not in entry.sha256:
        recorded_digests().remember({entry.id: digest})
        remember_checked(entry, digest)
