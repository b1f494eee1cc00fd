"""Writing files and folders; a failure is one line."""

from __future__ import annotations

from pathlib import Path

from bench.errors import BenchError, StorageError
from hcflow import atomic


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that is either whole or as it was before, in a folder that is made if need be."""
    make_folder(path.parent)
    try:
        atomic.write_atomically(path, data)
    except OSError as error:
        raise StorageError(unwritable(path, error)) from None


def make_folder(path: Path) -> None:
    """Make a folder and those above it, or say in one line why not."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(unwritable(path, error)) from None


def unwritable(path: Path, error: OSError) -> str:
    """What to say of a place that cannot be written to."""
    return f"{path}: expected a place to write to, got {error.strerror or error}; choose another (--out, HCFLOW_DATA)"


def require_folder(path: Path, what: str) -> None:
    """Refuse a folder to read from that does not exist, which would look like an empty one.

    Raises:
        BenchError: it is missing, or not a folder.
    """
    if not path.is_dir():
        got = "a file" if path.exists() else "nothing"
        raise BenchError(f"{path}: expected a folder with {what}, got {got} there; check --out")
