"""Archives from the web: only what is wanted comes out, only as plain files, only where it belongs."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from bench.errors import BenchError, StorageError

_CHUNK = 1 << 20
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)
_SYMLINK = 0o120000


def extract(
    archive: Path, wanted: Callable[[str], str | None], target: Path, *, max_bytes: int, max_files: int
) -> list[Path]:
    """Extract the wanted members of a zip or tar file.

    Args:
        archive: the file.
        wanted: member name -> plain file name under `target`, or None to leave it in the archive.
        target: an existing folder.
        max_bytes: written in all; counted while unpacking, whatever the headers claim.
        max_files: written in all.

    Returns:
        The files, in the archive's order.

    Raises:
        BenchError: damaged, a wanted member that is no plain file, hostile names, too much. Nothing half-written stays.
    """
    names: list[str] = []
    budget = max_bytes
    try:
        with _members(archive) as members:
            for name, problem, open_member in members:
                plain = wanted(name)
                if plain is None:
                    continue
                problem = problem or _hostile(name) or ("a name that occurs twice" if plain in names else None)
                if problem:
                    raise BenchError(f"{archive.name}: expected {name} to be a plain file of its own, got {problem}")
                if PurePosixPath(plain).name != plain or "\\" in plain:
                    raise ValueError(f"expected a plain file name for {name}, got {plain!r}")
                if len(names) == max_files:
                    raise BenchError(f"{archive.name}: expected at most {max_files} files, got more")
                with open_member() as stream:
                    budget -= _write(stream, target / plain, budget, archive)
                names.append(plain)
    except _DAMAGE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(":")
        raise BenchError(f"{archive.name}: expected a whole zip or tar file, got a damaged one ({reason})") from None
    return [target / name for name in names]


Member = tuple[str, str | None, Callable[[], IO[bytes]]]


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[Member]]:
    """(name, why it is no plain file or None, opener) of every member but folders."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as bundle:
            yield (
                (info.filename, _zip_problem(info), _opener(bundle, info))
                for info in bundle.infolist()
                if not info.is_dir()
            )
    else:
        with tarfile.open(archive) as tar:
            yield ((info.name, _tar_problem(info), _tar_opener(tar, info)) for info in tar if not info.isdir())


def _opener(bundle: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: bundle.open(info)


def _tar_opener(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    def open_member() -> IO[bytes]:
        stream = tar.extractfile(info)
        assert stream is not None  # _tar_problem lets only regular files through
        return stream

    return open_member


def _zip_problem(info: zipfile.ZipInfo) -> str | None:
    if info.flag_bits & 1:
        return "an encrypted one"
    if (info.external_attr >> 16) & 0o170000 == _SYMLINK:
        return "a link"
    return None


def _tar_problem(info: tarfile.TarInfo) -> str | None:
    if info.issym() or info.islnk():
        return "a link"
    return None if info.isreg() else "a device or pipe"


def _hostile(name: str) -> str | None:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or ":" in name or ".." in parts:
        return "a path that leads elsewhere"
    return None


def _write(stream: IO[bytes], path: Path, budget: int, archive: Path) -> int:
    """Write one file, atomically, and return its size."""
    temporary = path.with_name(f".{path.name}.part")
    size = 0
    try:
        with _writing(path):
            output = temporary.open("wb")
        with output:
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                if size > budget:
                    raise BenchError(
                        f"{archive.name}: expected less to come out of it, got more than is safe; not unpacked"
                    )
                with _writing(path):
                    output.write(chunk)
                    output.flush()
        with _writing(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return size


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """A full disk is not a damaged archive."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path}: expected a place to write to, got {error.strerror or error}") from None
