"""One process at a time per image: whoever else wants it does others first, and then finds it recorded.

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
    """The images of one row on a data set that this process is working on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def take(self, image: str, wait: bool = False) -> bool:
        """Claim an image; returns whether it is ours now.

        Args:
            image: its id.
            wait: until whoever has it lets go, instead of returning False.

        Raises:
            StorageError: the folder cannot be written to.
        """
        path = self._path(image)
        while True:
            try:
                make_folder(self._folder)
                handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as error:
                raise StorageError(unwritable(path, error)) from None
            try:
                if not lock(handle, wait):
                    os.close(handle)
                    return False
                if os.path.samestat(path.stat(), os.fstat(handle)):
                    self._held[image] = handle
                    return True
            except FileNotFoundError:  # whoever had it removed the file that we waited for
                pass
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)

    def release(self, image: str) -> None:
        """Let others have it."""
        handle = self._held.pop(image, None)
        if handle is not None:
            self._path(image).unlink(missing_ok=True)
            os.close(handle)

    def close(self) -> None:
        """Let others have all of them."""
        for image in list(self._held):
            self.release(image)

    def _path(self, image: str) -> Path:
        return self._folder / f".{image}.claim"
