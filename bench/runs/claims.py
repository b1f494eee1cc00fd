"""One process at a time per image: another that wants it does other images first, and then finds it recorded.

A claim is a lock of the operating system on a file beside the records, so a process that dies gives up its claims,
however it dies. Where the file system knows no locks, nobody is kept out: an image may then be measured twice, with
the same numbers.
"""

from __future__ import annotations

import os
from pathlib import Path

from bench.errors import StorageError
from bench.files import make_folder, unwritable
from hcflow.atomic import lock


class Claims:
    """The images of one row on a data set that this process is working on.

    An image is claimed in several folders, always in the same order: so two processes never wait for each other.
    """

    def __init__(self, *folders: Path) -> None:
        self._folders = sorted(set(folders))
        self._held: dict[str, list[tuple[Path, int]]] = {}

    def take(self, image: str, wait: bool = False) -> bool:
        """Claim an image in all folders; returns whether it is ours now.

        Args:
            image: its id.
            wait: until whoever has it lets go, instead of returning False.

        Raises:
            StorageError: a folder cannot be written to.
        """
        self._held[image] = []
        try:
            for folder in self._folders:
                path = folder / f".{image}.claim"
                handle = _lock(path, wait)
                if handle is None:
                    self.release(image)
                    return False
                self._held[image].append((path, handle))
        except BaseException:
            self.release(image)
            raise
        return True

    def release(self, image: str) -> None:
        """Let others have it."""
        for path, handle in reversed(self._held.pop(image, [])):
            path.unlink(missing_ok=True)
            os.close(handle)

    def close(self) -> None:
        """Let others have all of them."""
        for image in list(self._held):
            self.release(image)


def _lock(path: Path, wait: bool) -> int | None:
    """A locked handle of the file that has this name now; None where another process has it."""
    while True:
        try:
            make_folder(path.parent)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise StorageError(unwritable(path, error)) from None
        try:
            if not lock(handle, wait):
                os.close(handle)
                return None
            if os.path.samestat(path.stat(), os.fstat(handle)):
                return handle
        except FileNotFoundError:  # whoever had it removed the file that we waited for
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
