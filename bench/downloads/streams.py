"""Compressed streams, read forwards in bounded memory, with a limit on the decompressed size."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import IO, Protocol

from bench.errors import BenchError

_CHUNK = 1 << 16  # bytes of the file at a time
_LZMA_MEMORY = 1 << 27  # bytes that a header may ask for; the strongest preset of xz takes 65 MiB
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's object, which compares gzip's checksum too, in the form of those of bz2 and lzma."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)


def _decompressor(kind: str) -> _Decompressor:
    if kind == "gzip":
        return _Gzip()
    return bz2.BZ2Decompressor() if kind == "bzip2" else lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)


class Unpacked:
    """What a gzip, bzip2, xz or plain file holds, as a file object that `tarfile` can read: forwards only.

    Args:
        stream: the file.
        limit: bytes that may be decompressed in all, including those that are skipped.
    """

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        start = stream.read(6)
        stream.seek(0)
        self._stream = stream
        self._kind = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "")
        self._current = _decompressor(self._kind) if self._kind else None
        self._left = limit
        self._position = 0

    def tell(self) -> int:
        """Bytes decompressed so far."""
        return self._position

    def read(self, size: int) -> bytes:
        """That many bytes; fewer only at the end.

        Raises:
            BenchError: more was decompressed than the limit.
            zlib.error, lzma.LZMAError, OSError, EOFError: it is damaged, or ends early.
        """
        pieces = []
        while size > 0 and (piece := self._some(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def skip_to(self, position: int) -> None:
        """Decompress up to there and discard it."""
        while self._position < position and self._some(min(_CHUNK, position - self._position)):
            pass

    def finish(self) -> None:
        """Decompress the rest and discard it, so that checksums at the end are compared."""
        while self._some(_CHUNK):
            pass

    def _some(self, size: int) -> bytes:
        data = self._unpack(size) if self._kind else self._stream.read(size)
        self._position += len(data)
        self._left -= len(data)
        if self._left < 0:
            raise BenchError("expected less data in it, got more than is safe; it was not extracted")
        return data

    def _unpack(self, size: int) -> bytes:
        while self._current is not None:
            if self._current.eof:
                self._current = self._next_member(len(self._current.unused_data))
                continue
            hungry = self._current.needs_input
            packed = self._stream.read(_CHUNK) if hungry else b""
            if data := self._current.decompress(packed, size):
                return data
            if hungry and not packed and not self._current.eof:
                raise EOFError("it ends early")
        return b""

    def _next_member(self, unused: int) -> _Decompressor | None:
        """Compressed files may be concatenated, with zeros between them or at the end; None where nothing follows."""
        self._stream.seek(-unused, 1)
        while chunk := self._stream.read(_CHUNK):
            if rest := chunk.lstrip(b"\0"):
                self._stream.seek(-len(rest), 1)
                return _decompressor(self._kind)
        return None
