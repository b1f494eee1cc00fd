"""SHA-256 digests of files, and the record of those that are not published anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bench.downloads.locks import one_at_a_time
from bench.errors import BenchError, StorageError
from bench.files import make_folder, write_atomically
from hcflow.files import digest_of


def file_digest(path: Path) -> str:
    """SHA-256 of a file; read again only when its size or modification time changes.

    Raises:
        BenchError: it cannot be read.
    """
    try:
        status = path.stat()
        return _digest(path, status.st_size, status.st_mtime_ns, status.st_ino)
    except OSError as error:
        raise BenchError(f"{path}: expected a file that can be read, got {error.strerror or error}") from None


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, modified: int, inode: int) -> str:
    """Size, time and inode are there to notice that the file changed."""
    return digest_of(path)


@dataclass(frozen=True)
class DigestRecord:
    """Digests by name in a JSON file, as first seen; several processes may add to it.

    Attributes:
        path: of the file; it need not exist.
        names: what its keys are, in messages.
        remedy: what to do where it is damaged.
    """

    path: Path
    names: str = "names"
    remedy: str = "delete it"

    def read(self) -> Mapping[str, str]:
        """Name -> digest; empty where there is no file.

        Raises:
            BenchError: it is something else, or cannot be read.
        """
        try:
            status = self.path.stat()
        except OSError:
            return {}
        return _read(self, status.st_size, status.st_mtime_ns, status.st_ino)

    def remember(self, digests: Mapping[str, str]) -> None:
        """Add digests, or replace those of the same names; the file is not touched where nothing changes.

        Raises:
            BenchError: see `read`.
            StorageError: the file cannot be written.
        """
        if all(self.read().get(name) == digest for name, digest in digests.items()):
            return
        make_folder(self.path.parent)
        with one_at_a_time(self.path):
            content = {**self.read(), **digests}
            write_atomically(self.path, json.dumps(content, indent=1, sort_keys=True).encode())

    def forget(self, name: str) -> None:
        """Remove a name, if it is there."""
        if name not in self.read():
            return
        with one_at_a_time(self.path):
            content = {key: digest for key, digest in self.read().items() if key != name}
            write_atomically(self.path, json.dumps(content, indent=1, sort_keys=True).encode())


@lru_cache(maxsize=16)
def _read(record: DigestRecord, size: int, modified: int, inode: int) -> Mapping[str, str]:
    """One reading for the thousands of images of a set."""
    try:
        content = json.loads(record.path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StorageError(f"{record.path}: expected a file that can be read, got {error.strerror}") from None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise BenchError(f"{record.path}: expected {record.names} and digests, got something else; {record.remedy}")
    return content
