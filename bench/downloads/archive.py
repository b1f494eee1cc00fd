"""Archives from the web: extracts only the wanted members, as plain files in one folder, in bounded memory."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from bench.downloads.streams import Unpacked
from bench.errors import BenchError, StorageError, one_line
from bench.files import unwritable

_CHUNK = 1 << 20
_SKIPPED = 1 << 28  # bytes that may be unpacked for nothing, besides _RATIO times the archive's own
_RATIO = 16
_HEADER = 1 << 20  # bytes of one member's headers: long names, attributes
_DIRECTORY = 24 << 20  # bytes of a zip file's directory: CelebA's 200,000 images take 20 MB
_END, _END64 = b"PK\x05\x06", b"PK\x06\x06"
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, RuntimeError, ValueError, OverflowError, LookupError, MemoryError),
)
_PACKINGS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # zipfile unpacks those piece by piece, others at once
_SYMLINK = 0o120000
Member = tuple[str, str | None, Callable[[], IO[bytes]]]


def extract(
    archive: Path, wanted: Callable[[str], str | None], target: Path, *, max_bytes: int, max_files: int
) -> list[Path]:
    """Extract the wanted members of a zip or tar file.

    Memory stays below about 400 MB whatever is in the archive: that much for a zip file whose directory is as large as
    is accepted; some tens of MB else.

    Args:
        archive: the file.
        wanted: member name -> plain file name under `target`, or None to leave it in the archive.
        target: an existing folder.
        max_bytes: written in all; counted while unpacking, whatever the headers claim.
        max_files: written in all.

    Returns:
        The files, in the archive's order.

    Raises:
        BenchError: damaged, a wanted member that is not a plain file, hostile names, too much data; no partial file is
            left.
    """
    names: list[str] = []
    budget = max_bytes
    try:
        with _members(archive, max_bytes) as members:
            for name, problem, open_member in members:
                plain = wanted(name)
                if plain is None:
                    continue
                problem = problem or _hostile(name) or ("a name that occurs twice" if plain in names else None)
                if problem:
                    raise BenchError(f"expected {one_line(name)} to be a plain file, got {problem}")
                if PurePosixPath(plain).name != plain or "\\" in plain:
                    raise BenchError(f"expected a plain file name for {one_line(name)}, got {plain!r}")
                if len(names) == max_files:
                    raise BenchError(f"expected at most {max_files} files, got more")
                with open_member() as stream:
                    budget -= _write(stream, target / plain, budget)
                names.append(plain)
    except StorageError:
        raise
    except BenchError as error:
        raise BenchError(f"{archive.name}: {error}") from None
    except _DAMAGE as error:
        raise BenchError(
            f"{archive.name}: expected a whole zip or tar file, got a damaged one ({one_line(error)})"
        ) from None
    return [target / name for name in names]


@contextmanager
def _members(archive: Path, max_bytes: int) -> Iterator[Iterator[Member]]:
    """(name, why it is not a plain file or None, opener) of every member but folders."""
    if zipfile.is_zipfile(archive):
        _refuse_large_directory(archive)
        with zipfile.ZipFile(archive) as bundle:
            yield (
                (info.filename, _zip_problem(info), _opener(bundle, info))
                for info in bundle.infolist()
                if not info.is_dir()
            )
    else:
        with archive.open("rb") as stream:
            yield _tar_members(Unpacked(stream, max_bytes + _SKIPPED + _RATIO * archive.stat().st_size))


def _refuse_large_directory(archive: Path) -> None:
    """A zip file's directory is read at once, and each of its entries takes several times its size."""
    with archive.open("rb") as stream:
        stream.seek(max(0, archive.stat().st_size - (1 << 16) - 1024))
        tail = stream.read()
    end = tail.rfind(_END)
    size = int.from_bytes(tail[end + 12 : end + 16], "little")
    if (end64 := tail.rfind(_END64)) >= 0:
        size = max(size if size != 0xFFFFFFFF else 0, int.from_bytes(tail[end64 + 40 : end64 + 48], "little"))
    if size > _DIRECTORY:
        raise BenchError(
            f"expected a directory of at most {_DIRECTORY >> 20} MB, got {size:,} bytes; extract it by hand"
        )


def _opener(bundle: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: bundle.open(info)


class _Headers:
    """The file object that `tarfile` parses: what it reads at once, and of one member, is bounded."""

    def __init__(self, unpacked: Unpacked) -> None:
        self._unpacked = unpacked
        self._left = _HEADER
        self.last = b""
        self.in_data = False

    def next_member(self) -> None:
        """The headers of another member begin."""
        self._left = _HEADER
        self.in_data = False

    def read(self, size: int) -> bytes:
        if not self.in_data:
            self._left -= size
            if self._left < 0 or size < 0:
                raise BenchError(f"expected headers of at most {_HEADER >> 20} MB for each member, got more")
        data = self._unpacked.read(size)
        if not self.in_data and size > 1:  # tarfile reads one byte to see whether there is more
            self.last = data
        return data

    def tell(self) -> int:
        return self._unpacked.tell()

    def seek(self, position: int) -> int:
        if position < self._unpacked.tell():
            raise BenchError("expected members one after another, got one that lies before another; extract it by hand")
        self._unpacked.skip_to(position)
        return self._unpacked.tell()


def _tar_members(unpacked: Unpacked) -> Iterator[Member]:
    """The members of a tar file, read once from start to end; each is to be read before the next one is asked for."""
    headers = _Headers(unpacked)
    with tarfile.TarFile(fileobj=headers, mode="r", encoding="utf-8", errors="surrogateescape") as tar:  # type: ignore[arg-type]
        while (info := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # it would keep every one
            if len(tar.pax_headers) > 1000:
                raise BenchError("expected a tar file with few attributes, got one with more than 1000")
            if not info.isdir():
                headers.in_data = True
                yield info.name, _tar_problem(info), _tar_opener(tar, info)
            headers.next_member()
    if headers.last.strip(b"\0") or len(headers.last) != tarfile.BLOCKSIZE:  # tarfile takes any of these for the end
        raise BenchError("expected a whole zip or tar file, got a damaged one (it ends early, or a header is damaged)")
    unpacked.finish()


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
    if info.compress_type not in _PACKINGS:
        name = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "lzma"}.get(info.compress_type, "an unknown method")
        return f"one compressed with {name}; extract it by hand and import the folder"
    return None


def _tar_problem(info: tarfile.TarInfo) -> str | None:
    if info.issym() or info.islnk():
        return "a link"
    if info.issparse():
        return "a file with holes"
    return None if info.isreg() else "a device or pipe"


def _hostile(name: str) -> str | None:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or ":" in name or "\0" in name or ".." in parts:
        return "a path that leads elsewhere"
    return None


def _write(stream: IO[bytes], path: Path, budget: int) -> int:
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
                    raise BenchError("expected less data in it, got more than is safe; it was not extracted")
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
    """Report a full disk as such, not as a damaged archive."""
    try:
        yield
    except OSError as error:
        raise StorageError(unwritable(path, error)) from None
