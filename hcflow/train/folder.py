"""The folder of a run: one process at a time trains into it, and only what a run wrote there is ever deleted."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import safetensors

from hcflow.atomic import lock
from hcflow.checkpoint import read_notes, save
from hcflow.errors import HCFlowError, InputError
from hcflow.model import HCFlow

__all__ = ["OutOfSpaceError", "best_score", "clear", "held", "space_for", "weights_file", "write_weights"]

_OURS = (
    "state/step-" + 8 * "[0-9]" + ".safetensors",
    "state/validated",
    "weights/last.safetensors",
    "weights/best.safetensors",
    "samples/*-" + 8 * "[0-9]" + ".png",
    "log.jsonl",
)
_CUT_SHORT = (
    "state/.step-*.safetensors-*",
    "state/.validated-*",
    "weights/.last.safetensors-*",
    "weights/.best.safetensors-*",
)
"""What kill -9 leaves of a file that was being written (`hcflow.atomic`)."""


class OutOfSpaceError(HCFlowError):
    """A file could not be written; what was there before is still there."""


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
        _delete(folder, _CUT_SHORT)
        yield
    finally:
        os.close(handle)


def clear(folder: Path) -> None:
    """Delete what a run left in the folder, and nothing else."""
    _delete(folder, _OURS)


@contextmanager
def space_for(path: Path, what: str, kept: str = "") -> Iterator[None]:
    """Write a file in the block, for which the folder is made where it is missing.

    Args:
        path: of the file.
        what: there must be space for.
        kept: what the message says of earlier files, up to a colon.

    Raises:
        OutOfSpaceError: the disk is full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except (OSError, safetensors.SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutOfSpaceError(
            f"{path}: expected space for {what}, got {reason}; {kept}make room, then run the same command again"
        ) from None


def weights_file(folder: Path, name: str) -> Path:
    """Where a run puts its weights: `last`, or the `best` by validation."""
    return folder / "weights" / f"{name}.safetensors"


def write_weights(folder: Path, name: str, model: HCFlow, notes: Mapping[str, str] | None = None) -> Path:
    """Write them.

    Raises:
        OutOfSpaceError: the disk is full or the folder cannot be written; the file is as it was.
    """
    path = weights_file(folder, name)
    with space_for(path, "the weights"):
        save(model, path, notes=notes)
    return path


def best_score(folder: Path, images: str) -> float:
    """Of the best weights in the folder, if images of that digest gave it; else minus infinity."""
    notes = read_notes(weights_file(folder, "best"))
    return float(notes["score"]) if notes.get("images") == images else -math.inf


def _delete(folder: Path, patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        for file in folder.glob(pattern):
            file.unlink()
