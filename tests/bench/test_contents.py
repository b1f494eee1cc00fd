"""Files of weights that mean harm, and those that do not."""

from __future__ import annotations

import pickle
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from safetensors.torch import save_file

from bench import contents
from bench.contents import read_contents
from bench.errors import BenchError

STATE = {"a": torch.zeros(3, 4), "b": torch.ones(5), "steps": torch.tensor(7)}


@pytest.mark.parametrize("key", [None, "params", "params_ema", "state_dict"])
def test_tensors_are_counted_wherever_they_lie(tmp_path: Path, key: str | None) -> None:
    torch.save(STATE if key is None else {key: STATE, "epoch": 3}, tmp_path / "x.pth")
    assert read_contents(tmp_path / "x.pth", "tensors").parameters == 17
    save_file(STATE, tmp_path / "x.safetensors")
    assert read_contents(tmp_path / "x.safetensors", "tensors").parameters == 17


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": torch.full((2,), float("nan"))}, "expected finite weights, got NaN or infinity in 'a'"),
        ({"a": torch.zeros(1).expand(10**9)}, "expected tensors that fit into"),
        ({"a": torch.zeros(2, 2).to_sparse()}, "expected plain tensors, got another kind in 'a'"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, "expected plain tensors, got another kind in 'a'"),
        ({"a": torch.zeros(2, device="meta")}, "expected plain tensors, got another kind in 'a'"),
        ({"a": torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8)}, "expected plain tensors, got"),
        ([torch.zeros(2)], "expected a dictionary of tensors, got list"),
        ({}, "expected a dictionary of tensors, got dict"),
        ({"a": 3}, "expected a dictionary of tensors, got dict"),
    ],
)
def test_tensors_of_other_kinds(tmp_path: Path, state: object, message: str) -> None:
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(BenchError) as error:
        read_contents(tmp_path / "x.pth", "tensors")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


class _Harm:
    def __reduce__(self):
        return open, ("harm", "w")


@pytest.mark.parametrize("kind", ["tensors", "hcflow"])
def test_no_code_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: contents.Kind) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": _Harm()}, "x.pth")
    Path("y.pth").write_bytes(pickle.dumps({"a": _Harm()}))
    for name in ("x.pth", "y.pth"):
        with pytest.raises(BenchError, match="asks for code"):
            read_contents(Path(name), kind)
    assert not Path("harm").exists()


@pytest.mark.parametrize("kind", ["tensors", "hcflow"])
def test_a_packed_checkpoint_is_not_unpacked(tmp_path: Path, kind: contents.Kind) -> None:
    torch.save({"a": torch.zeros(10**6)}, tmp_path / "x.pth")
    with zipfile.ZipFile(tmp_path / "x.pth") as old, zipfile.ZipFile(tmp_path / "y.pth", "w", 8) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member), zipfile.ZIP_DEFLATED)
    assert (tmp_path / "y.pth").stat().st_size < 10_000
    with pytest.raises(BenchError, match=r"expected a .pth file as PyTorch writes it, got one with compressed members"):
        read_contents(tmp_path / "y.pth", kind)


@pytest.mark.parametrize("kind", ["tensors", "hcflow", "matlab"])
@pytest.mark.parametrize("source", ["pth", "safetensors", "mat"])
def test_every_truncation_is_one_line(tmp_path: Path, kind: contents.Kind, source: str) -> None:
    path = tmp_path / "x"
    if source == "pth":
        torch.save(STATE, path)
    elif source == "safetensors":
        save_file(STATE, path)
    else:
        scipy.io.savemat(path, {"a": np.zeros((3, 4)), "b": np.ones(5)}, appendmat=False, do_compression=True)
    data = path.read_bytes()
    for end in range(0, len(data), max(1, len(data) // (3 if kind == source[:3] + "lab" else 40))):
        path.write_bytes(data[:end])
        with suppress(BenchError):  # anything else fails
            read_contents(path, kind)


def test_matlab_variables(tmp_path: Path) -> None:
    for packed in (False, True):
        scipy.io.savemat(tmp_path / "x.mat", {"sv": np.zeros((3, 4)), "n": np.arange(3)}, do_compression=packed)
        found = read_contents(tmp_path / "x.mat", "matlab")
        assert (found.variables, found.parameters) == (("n", "sv"), 12)


def test_a_matlab_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scipy.io.savemat(tmp_path / "x.mat", {"a": np.zeros(10**6)}, do_compression=True)
    assert (tmp_path / "x.mat").stat().st_size < 20_000
    monkeypatch.setattr(contents, "_LARGEST_MATLAB", 1 << 20)
    with pytest.raises(BenchError, match="expected at most 1 MB of variables, got more"):
        read_contents(tmp_path / "x.mat", "matlab")
    data = bytearray((tmp_path / "x.mat").read_bytes())
    packed = zlib.compress(bytes(5 << 20))
    (tmp_path / "y.mat").write_bytes(bytes(data[:128]) + b"\x0f\0\0\0" + len(packed).to_bytes(4, "little") + packed)
    with pytest.raises(BenchError, match="expected at most 1 MB of variables, got more"):
        read_contents(tmp_path / "y.mat", "matlab")


def test_a_reader_that_crashes_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scipy.io.savemat(tmp_path / "x.mat", {"a": np.zeros(3)})
    monkeypatch.setattr(contents, "_LOADMAT", "import os\nos.kill(os.getpid(), 11)")
    with pytest.raises(BenchError, match=r"x.mat: expected a MATLAB file, got a damaged one \(exit code -11"):
        read_contents(tmp_path / "x.mat", "matlab")
