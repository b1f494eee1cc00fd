"""What a file of weights holds, read without running code from it and in bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.errors import BenchError, one_line

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["hcflow", "tensors", "matlab"]
Task = Literal["super-resolution", "rescaling"]
_NESTED = ("params_ema", "params", "state_dict")  # under which training frameworks put the tensors
_LARGEST_MATLAB = 1 << 28  # bytes after unpacking; the largest file of the metrics has less than a megabyte
_MAT5_HEADER, _MAT5_COMPRESSED = 128, 15
_CHUNK = 1 << 16
_PATIENCE = 120  # seconds; a reader takes one


@dataclass(frozen=True)
class Contents:
    """What was found in a file.

    Attributes:
        kind: "hcflow": a network of this project, in either layout; "tensors": a state dict of another one; "matlab":
            variables.
        parameters: floating-point numbers in it; of an HCFlow network those that are learned.
        preset: name of the HCFlow configuration; "" for sizes that were not published and for other kinds.
        scale: of an HCFlow network.
        task: of an HCFlow network.
        variables: names, of MATLAB variables.
    """

    kind: Kind
    parameters: int = 0
    preset: str = ""
    scale: int | None = None
    task: Task | None = None
    variables: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind == "hcflow":
            name = self.preset or "another HCFlow network"
            return f"{name} (x{self.scale}, {self.task}, {self.parameters:,} parameters)"
        if self.kind == "tensors":
            return f"tensors with {self.parameters:,} numbers"
        return f"MATLAB variables {', '.join(self.variables)}"


def read_contents(path: Path, kind: Kind) -> Contents:
    """Read a whole file as one of that kind.

    Raises:
        BenchError: it is none of that kind, damaged, unsafe to read, or its numbers are not finite.
    """
    return {"hcflow": _hcflow, "tensors": _tensors, "matlab": _matlab}[kind](path)


def _hcflow(path: Path) -> Contents:
    from hcflow.checkpoint import info
    from hcflow.errors import HCFlowError

    _refuse_compressed(path)
    try:
        found = info(path)
    except HCFlowError as error:
        raise BenchError(str(error)) from None
    except Exception as error:  # whatever else the restricted unpickler meets in a file that means harm
        raise BenchError(f"{path}: expected an HCFlow checkpoint, got a damaged file ({one_line(error)})") from None
    task: Task = "rescaling" if found.config.q is None else "super-resolution"
    return Contents("hcflow", found.parameters, found.preset or "", found.config.scale, task)


def _tensors(path: Path) -> Contents:
    floats = sum(tensor.numel() for tensor in read_tensors(path).values() if tensor.is_floating_point())
    return Contents("tensors", floats)


def read_tensors(path: Path) -> Mapping[str, Tensor]:
    """The state dict in a .pth, .pt or safetensors file, also where a training framework nested it.

    Raises:
        BenchError: damaged, unsafe to read, not plain tensors, or numbers that are not finite.
    """
    tensors = _read_safetensors(path) if _is_safetensors(path) else _read_pth(path)
    size = path.stat().st_size
    for key, tensor in tensors.items():
        if tensor.is_meta or tensor.is_sparse or tensor.is_quantized or tensor.is_complex():
            raise BenchError(f"{path}: expected plain tensors, got another kind in {key!r}")
        if tensor.numel() * tensor.element_size() > size:  # a small storage, repeated
            raise BenchError(
                f"{path}: expected tensors that fit into {size:,} bytes, got {key!r} of {tensor.numel():,}"
            )
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise BenchError(f"{path}: expected finite weights, got NaN or infinity in {key!r}")
    return tensors


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> Mapping[str, Tensor]:
    import safetensors
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise BenchError(
            f"{path}: expected a complete safetensors file, got a damaged one ({one_line(error)})"
        ) from None


def _read_pth(path: Path) -> Mapping[str, Tensor]:
    """A state dict, or one nested under a usual key."""
    import torch

    _refuse_compressed(path)
    with path.open("rb") as stream:
        start = stream.read(2)
    if start != b"PK" and start[:1] != b"\x80":
        raise BenchError(f"{path}: expected a file of tensors (.pth or .safetensors), got a file of another kind")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the restricted unpickler meets in a damaged or malicious file
        reason = str(error).rpartition("WeightsUnpickler error: ")[2]  # before it comes advice on how to run the code
        raise BenchError(
            f"{path}: expected plain tensors, got a file that is damaged or asks for code ({one_line(reason)}); "
            "it was not run"
        ) from None
    candidates = [found, *(found[key] for key in _NESTED if key in found)] if isinstance(found, dict) else [found]
    for state in candidates:
        if isinstance(state, dict) and state and all(isinstance(v, torch.Tensor) for v in state.values()):
            return {str(key): tensor for key, tensor in state.items()}
    raise BenchError(f"{path}: expected a dictionary of tensors, got {type(found).__name__} with other contents")


def _refuse_compressed(path: Path) -> None:
    """PyTorch stores its members uncompressed; compressed ones could grow without bound when they are read."""
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as bundle:
            compressed = any(member.compress_type != zipfile.ZIP_STORED for member in bundle.infolist())
            size = sum(member.file_size for member in bundle.infolist())
    except Exception as error:  # BadZipFile, NotImplementedError, ValueError, struct.error ...
        raise BenchError(f"{path}: expected a complete .pth file, got a damaged one ({one_line(error)})") from None
    if compressed or size > path.stat().st_size:
        raise BenchError(f"{path}: expected a .pth file as PyTorch writes it, got one with compressed members")


_LOADMAT = """
import json, math, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
except (ImportError, ValueError, OSError):
    pass
import scipy.io
found = {name: value for name, value in scipy.io.loadmat(sys.argv[1]).items() if not name.startswith("__")}
floats = [value for value in found.values() if getattr(value, "dtype", None) is not None and value.dtype.kind == "f"]
print(json.dumps([sorted(found), sum(math.prod(value.shape) for value in floats)]))
"""


def _matlab(path: Path) -> Contents:
    """Read in a separate process: SciPy's reader crashes on malicious files."""
    _refuse_large_matlab(path)
    try:
        command = [sys.executable, "-c", _LOADMAT, os.fspath(path)]
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{path}: expected a MATLAB file, got one that cannot be read ({one_line(error)})") from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise BenchError(f"{path}: expected a MATLAB file, got a damaged one ({one_line(lines[-1])})")
    names, floats = json.loads(done.stdout)
    return Contents("matlab", floats, variables=tuple(names))


def read_variables(path: Path, structs: bool = False) -> dict[str, Any]:
    """The variables of a MATLAB file; `structs` makes attributes of a struct's fields and drops sides of 1.

    Raises:
        BenchError: damaged, unsafe to read, or too large.
    """
    import scipy.io

    _matlab(path)  # in a separate process: what crashes SciPy's reader ends there
    try:
        found = scipy.io.loadmat(path, struct_as_record=not structs, squeeze_me=structs)
    except Exception as error:  # damage shows in every kind of error that a reader can raise
        raise BenchError(f"{path}: expected a MATLAB file, got a damaged one ({one_line(error)})") from None
    return {name: value for name, value in found.items() if not name.startswith("__")}


def _refuse_large_matlab(path: Path) -> None:
    """Walk through a level 5 file and decompress its elements piece by piece, to see how large they are."""
    with path.open("rb") as stream:
        if not stream.read(_MAT5_HEADER).startswith(b"MATLAB 5.0"):
            raise BenchError(f"{path}: expected a MATLAB 5 file, got a file of another kind")
        stream.seek(126)
        order: Literal["little", "big"] = "little" if stream.read(2) == b"IM" else "big"
        total = 0
        while len(tag := stream.read(8)) == 8:
            kind, size = (int.from_bytes(part, order) for part in (tag[:4], tag[4:]))
            if kind == _MAT5_COMPRESSED:
                inflate = zlib.decompressobj()
                while size > 0 and (chunk := stream.read(min(size, _CHUNK))):
                    size -= len(chunk)
                    while chunk and total <= _LARGEST_MATLAB:
                        try:
                            total += len(inflate.decompress(chunk, _CHUNK))
                        except zlib.error as error:
                            raise BenchError(
                                f"{path}: expected a MATLAB file, got a damaged one ({one_line(error)})"
                            ) from None
                        chunk = inflate.unconsumed_tail
            else:
                total += size
                stream.seek(size, 1)
            if total > _LARGEST_MATLAB:
                raise BenchError(f"{path}: expected at most {_LARGEST_MATLAB >> 20} MB of variables, got more")
