"""Files that are either whole or as they were before, and files that one process has at a time."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["lock", "replacing", "write_atomically"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file beside `path` to write to; it takes its place when the block ends well, else it is removed."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.chmod(0o666 & ~_umask())  # mkstemp gives it to the owner alone
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it appears under its name only when it is complete; raises OSError where that fails."""
    with replacing(path) as part:
        part.write_bytes(data)


def lock(handle: int, wait: bool = False) -> bool:
    """Keep an open file to this process until it is closed.

    Where the system or the file system has no such locks, this does nothing.

    Args:
        handle: of the file.
        wait: until the other process that has it lets go, instead of returning False.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):
            raise
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
