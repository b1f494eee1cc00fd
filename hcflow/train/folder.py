"""The folder of a run: one process at a time trains into it, and only what a run wrote there is ever deleted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hcflow.atomic import lock
from hcflow.errors import InputError

__all__ = ["clear", "held"]

_OURS = (
    "state/step-" + 8 * "[0-9]" + ".safetensors",
    "state/.step-*.safetensors-*",  # saves that kill -9 cut short
    "weights/last.safetensors",
    "weights/best.safetensors",
    "samples/*-" + 8 * "[0-9]" + ".png",
    "log.jsonl",
)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make the folder where it is missing, and keep other runs out of it until the block ends.

    Raises:
        InputError: it cannot be made or written to, or another run holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(
            f"expected a folder to write the run into, got {folder} ({error.strerror}); give another with --out"
        ) from None
    try:
        if not lock(handle):
            raise InputError(f"{folder}: another process is training into it; wait for it, or give another --out")
        yield
    finally:
        os.close(handle)


def clear(folder: Path) -> None:
    """Delete what a run left in the folder, and nothing else."""
    for pattern in _OURS:
        for file in folder.glob(pattern):
            file.unlink()
