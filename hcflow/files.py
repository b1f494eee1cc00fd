"""Files of tensors, read without running code; and where files that can be made again are kept."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from hcflow.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SAVE_KEY", "digest_of", "is_safetensors", "read_pickle", "user_cache"]

SAVE_KEY = "hcflow_training"
"""In the metadata of a training run's saves, which hold more than weights."""


def digest_of(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_safetensors(file: Path) -> bool:
    """Tell safetensors (8 bytes of header length, then JSON) from a pickle or a zip."""
    with file.open("rb") as stream:
        return stream.read(9)[8:] == b"{"


def read_pickle(file: Path) -> dict[str, Tensor]:
    """Read an official state dict with the restricted unpickler, which runs no code."""
    import torch  # here: a download or a list of weights must not wait for it

    with file.open("rb") as stream:
        start = stream.read(2)
    if start and start != b"PK" and start[:1] != b"\x80":
        raise CheckpointError(f"{file}: expected a checkpoint (.pth or .safetensors), got a file of another kind")
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).strip().split("\n")[0]
        raise CheckpointError(
            f"{file}: expected a plain state dict of tensors, got a pickle that is damaged or asks for code "
            f"({reason}); it was not run"
        ) from None
    except (RuntimeError, EOFError, OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        reason = (str(error) or type(error).__name__).strip().split("\n")[0]
        raise CheckpointError(
            f"{file}: expected a complete .pth file, got a truncated or foreign one ({reason}); get it again"
        ) from None
    if not isinstance(state, dict) or not state:
        raise CheckpointError(f"{file}: expected a state dict, got {type(state).__name__}")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            kind = type(value).__name__
            raise CheckpointError(f"{file}: expected a tensor under every key, got {kind} under {key!r}")
    return state


def user_cache() -> Path:
    """Where this system keeps an application's cache."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "hcflow-bench"
