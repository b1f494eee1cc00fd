"""Files of tensors, read without running code; and where files that can be made again are kept."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors

from hcflow.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SAVE_KEY", "digest_of", "is_safetensors", "open_safetensors", "read_pickle", "shown", "user_cache"]

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


@contextmanager
def open_safetensors(file: Path) -> Iterator[Any]:
    """Open a safetensors file, whatever its name; what goes wrong inside the block is a CheckpointError, too."""
    with file.open("rb") as handle:
        name = os.fspath(file)
        try:
            name.encode()
        except UnicodeEncodeError:  # the library takes names in UTF-8 only
            name = f"/dev/fd/{handle.fileno()}"
        try:
            with safetensors.safe_open(name, framework="pt") as stream:
                yield stream
        except (safetensors.SafetensorError, ValueError, RuntimeError, TypeError, OSError, MemoryError) as error:
            if isinstance(error, CheckpointError):
                raise
            reason = shown(str(error) or type(error).__name__)
            raise CheckpointError(
                f"{file}: expected a complete safetensors file, got a damaged one ({reason})"
            ) from None


def read_pickle(file: Path) -> dict[str, Tensor]:
    """Read an official state dict with the restricted unpickler, which runs no code.

    Raises:
        CheckpointError: damaged, not a dict of names and tensors, or tensors that are sparse, quantised, complex,
            without data or larger than what is stored of them.
    """
    import torch  # here: a download or a list of weights must not wait for it

    with file.open("rb") as stream:
        start = stream.read(2)
    if not start:
        raise CheckpointError(f"{file}: expected a checkpoint (.pth or .safetensors), got an empty file; get it again")
    if start != b"PK" and start[:1] != b"\x80":
        raise CheckpointError(f"{file}: expected a checkpoint (.pth or .safetensors), got a file of another kind")
    try:
        _check_archive(file)
        with file.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tensors that are refused below
            state = torch.load(stream, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{file}: expected a plain state dict of tensors, got a pickle that is damaged or asks for code "
            f"({_first_line(error)}); it was not run"
        ) from None
    except Exception as error:  # damage shows in every kind of error that a reader can raise
        raise CheckpointError(
            f"{file}: expected a complete .pth file, got a truncated or foreign one ({_first_line(error)}); "
            "get it again"
        ) from None
    if not isinstance(state, dict) or not state:
        raise CheckpointError(f"{file}: expected a state dict, got {type(state).__name__}")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            kind = type(value).__name__
            raise CheckpointError(f"{file}: expected a tensor under every key, got {kind} under {shown(key)}")
        wrong = _unusual(value)
        if wrong is not None:
            raise CheckpointError(f"{file}: expected tensors of plain numbers, got {wrong} under {shown(key)}")
    return state


def shown(key: object) -> str:
    """A key of a file for a message: one line, no control characters, of bounded length."""
    text = key if isinstance(key, str) and key.isprintable() else ascii(key)
    return text if len(text) <= 120 else text[:117] + "..."


def _first_line(error: Exception) -> str:
    text = str(error).rpartition("WeightsUnpickler error: ")[2]  # before it comes advice on how to run the code
    return shown((text.strip() or type(error).__name__).split("\n")[0])


def _check_archive(file: Path) -> None:
    """Refuse a zip whose members grow when they are read: PyTorch stores tensors as they are."""
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > file.stat().st_size:
        raise CheckpointError(
            f"{file}: expected a .pth file as PyTorch writes it, got compressed members of {size:,} bytes; get it again"
        )


def _unusual(value: Tensor) -> str | None:
    """What a tensor is, if no dense real numbers that are all in the file."""
    import torch

    if value.layout != torch.strided:
        return "a sparse tensor"
    if value.is_quantized:
        return "a quantised tensor"
    if value.device.type != "cpu":
        return "a tensor without data"
    if value.is_complex():
        return "complex numbers"
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return "a tensor that repeats its numbers"
    return None


def user_cache() -> Path:
    """Where this system keeps an application's cache."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "hcflow-bench"
