"""Weights as data (`weights.toml`): where they lie, that they are the right ones, how to get them.

$HCFLOW_WEIGHTS/<folder>/<file>      (else the user cache)
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bench.downloads.fetch import Remote, Watcher, download, refuse_offline
from bench.errors import BenchError, StorageError
from bench.files import make_folder, write_atomically
from bench.registry import unknown
from bench.typed import from_table
from hcflow.files import user_cache

TRAINED = Path(__file__).parent / "trained"
"""Weights that were trained with this project and come with it."""


@dataclass(frozen=True)
class WeightEntry:
    """One file of weights.

    Attributes:
        id: as suites and the command line call it.
        file: below the root.
        used_by: method or metric.
        licence: of the file.
        urls: mirrors; empty where only a person can get it.
        sha256: whole digests that are accepted.
        sha256_prefix: starts of digests that are accepted.
        note: what to know or to do.
        shipped: whether it is a part of this project (in `trained`), not of the weights' root.
    """

    id: str
    file: str
    used_by: str
    licence: str
    urls: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    sha256_prefix: tuple[str, ...] = ()
    note: str = ""
    shipped: bool = False

    def accepts(self, digest: str) -> bool:
        """Whether a file with this digest is the one; anything is, where no digest is known."""
        known = (*self.sha256, *self.sha256_prefix)
        return not known or digest.startswith(known)

    @property
    def path(self) -> Path:
        """Where it lies or would lie."""
        return (TRAINED if self.shipped else weights_root()) / self.file


def weights_root() -> Path:
    """$HCFLOW_WEIGHTS, else a folder in the user's cache."""
    return Path(os.environ.get("HCFLOW_WEIGHTS") or user_cache() / "weights").expanduser()


@lru_cache(maxsize=1)
def weight_entries() -> dict[str, WeightEntry]:
    """All entries by id."""
    raw = tomllib.loads(Path(__file__).with_name("weights.toml").read_text(encoding="utf-8"))
    entries = [from_table(WeightEntry, entry, "weights.toml") for entry in raw["weights"]]
    return {entry.id: entry for entry in entries}


def weight_names() -> list[str]:
    """Ids of all entries."""
    return list(weight_entries())


def weight_entry(name: str) -> WeightEntry:
    """The entry of that id, or of a file of one's own (an absolute path); else an error that lists the choices."""
    if Path(name).is_absolute():
        return WeightEntry(name, name, "a row of your own", "of whoever trained it", note="train it again")
    if name not in weight_entries():
        raise unknown("weight entry", name, weight_names())
    return weight_entries()[name]


def resolve(name: str) -> Path:
    """The file, after its digest was compared.

    Raises:
        BenchError: it is missing ("needs weights NAME" and how to get it) or is another file.
    """
    entry = weight_entry(name)
    if not entry.path.is_file():
        raise BenchError(f"needs weights {name}: {how_to_get(entry)}")
    digest = weight_digest(name)
    recorded = _recorded().get(name, digest)
    if not entry.accepts(digest) or recorded != digest:
        expected = (
            recorded[:16] if recorded != digest else " or ".join(d[:16] for d in entry.sha256 + entry.sha256_prefix)
        )
        raise BenchError(f"{entry.path}: expected a file with SHA-256 {expected}, got {digest[:16]}; replace it")
    return entry.path


def weight_digest(name: str) -> str:
    """SHA-256 of the file."""
    path = weight_entry(name).path
    status = path.stat()
    return _file_digest(path, status.st_size, status.st_mtime_ns)


def how_to_get(entry: WeightEntry) -> str:
    """The command that gets it, or what a person has to do."""
    if entry.shipped:
        return "it comes with this project: install or check it out again"
    if entry.urls:
        return f"python -m bench weights fetch {entry.id}"
    return f"{entry.note}; then python -m bench weights import {entry.id} FILE"


def import_file(name: str, file: Path) -> Path:
    """Copy a file that a person got into the root, after its digest was compared; returns where it is."""
    entry = weight_entry(name)
    if entry.shipped:
        raise BenchError(f"{name}: expected weights to import, got some that come with this project")
    if not file.is_file():
        raise BenchError(f"expected a file of weights, got {file}; check the path")
    status = file.stat()
    digest = _file_digest(file, status.st_size, status.st_mtime_ns)
    if not entry.accepts(digest):
        expected = " or ".join(known[:16] for known in entry.sha256 + entry.sha256_prefix)
        raise BenchError(f"{file}: expected {name} with SHA-256 {expected}, got {digest[:16]}; it is another file")
    make_folder(entry.path.parent)
    temporary = entry.path.with_name(f".{entry.path.name}.part")
    try:
        shutil.copyfile(file, temporary)
        temporary.replace(entry.path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BenchError(
            f"{entry.path}: expected a place to write to, got {error.strerror}; set HCFLOW_WEIGHTS"
        ) from None
    _record(entry, digest)
    return entry.path


def fetch(name: str, watcher: Watcher | None = None, offline: bool = False) -> Path:
    """Download a file of weights, compare it, and record its digest where nobody publishes one."""
    entry = weight_entry(name)
    if not entry.urls:
        raise BenchError(f"{name}: expected a source to download from, got one for hands only: {how_to_get(entry)}")
    recorded = _recorded().get(name)
    known = entry.sha256 + entry.sha256_prefix or ((recorded,) if recorded else ())
    if not entry.path.is_file():
        refuse_offline(offline, f"download {name}")
        make_folder(entry.path.parent)
    remote = Remote(entry.urls, known, recorded=_record_path() if recorded else None)
    _record(entry, download(remote, entry.path, watcher, offline))
    return entry.path


def _record(entry: WeightEntry, digest: str) -> None:
    """Remember the digest of a file of which none is published."""
    known = _recorded()
    if entry.sha256 or entry.sha256_prefix or known.get(entry.id) == digest:
        return
    try:
        write_atomically(_record_path(), json.dumps(known | {entry.id: digest}, indent=1, sort_keys=True).encode())
    except OSError as error:
        raise StorageError(f"{_record_path()}: expected a place to write to, got {error.strerror}") from None


def _recorded() -> dict[str, str]:
    path = _record_path()
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    except ValueError:
        raise BenchError(f"{path}: expected ids and digests, got something else; delete it") from None


def _record_path() -> Path:
    return weights_root() / "digests.json"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, computed again only where its size or time of change differ."""
    status = path.stat()
    return _file_digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _file_digest(path: Path, size: int, modified: int) -> str:
    """SHA-256 of a file; size and time of change are there to notice that it changed."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
