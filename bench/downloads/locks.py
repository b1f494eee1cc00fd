"""One process at a time per file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import StorageError
from bench.files import unwritable
from hcflow.atomic import lock


@contextmanager
def one_at_a_time(target: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Keep every other process (and thread) that asks for the same file out until the block ends.

    The lock is a file beside the target, which is removed again. Where the file system has no locks, the block is not
    protected.

    Args:
        target: the file that only one process may write; it need not exist, its folder must.
        waiting: called once if another process holds the lock.

    Raises:
        StorageError: the folder cannot be written to.
    """
    path = target.with_name(f".{target.name}.lock")
    handle = _acquire(path, waiting)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _acquire(path: Path, waiting: Callable[[], None] | None) -> int:
    """A locked handle of the file that has this name now: the previous holder may have removed the one waited for."""
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise StorageError(unwritable(path, error)) from None
        try:
            if not lock(handle):
                if waiting:
                    waiting()
                    waiting = None
                lock(handle, wait=True)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(handle)):
                return handle
        except FileNotFoundError:  # removed between the two questions
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
