"""Weights: resolved by digest, recorded where none is published."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.errors import BenchError
from bench.weights import entries as weights
from bench.weights.entries import WeightEntry, weight_entries

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
KNOWN = WeightEntry("known", "a/known.pth", "a method", "free", sha256=(DIGEST,), note="by hand")
PREFIX = WeightEntry("prefix", "a/prefix.pth", "a method", "free", sha256_prefix=(DIGEST[:8],))
UNKNOWN = WeightEntry("unknown", "a/unknown.pth", "a method", "free", urls=("https://example.org/x",))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path / "w"))
    monkeypatch.setattr(weights, "weight_entries", lambda: {e.id: e for e in (KNOWN, PREFIX, UNKNOWN)})
    return tmp_path / "w"


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_entries_are_sound() -> None:
    entries = weight_entries()
    assert len({entry.file for entry in entries.values()}) == len(entries)
    for entry in entries.values():
        assert entry.urls or entry.note
        assert not Path(entry.file).is_absolute()
        assert all(url.startswith("https://") for url in entry.urls)
        assert all(len(digest) == 64 for digest in entry.sha256)


def test_a_missing_file_says_how_to_get_it(root: Path) -> None:
    with pytest.raises(BenchError, match=r"^needs weights unknown: python -m bench weights fetch unknown$"):
        weights.resolve("unknown")
    with pytest.raises(BenchError, match=r"by hand; then python -m bench weights import known FILE"):
        weights.resolve("known")
    with pytest.raises(BenchError, match="expected a weight entry of known, prefix, unknown"):
        weights.resolve("other")


def test_only_the_known_file_resolves(root: Path) -> None:
    for entry in (KNOWN, PREFIX):
        put(root / entry.file)
        assert weights.resolve(entry.id) == root / entry.file
        put(root / entry.file, b"others")
        with pytest.raises(BenchError, match=rf"expected a file with SHA-256 {DIGEST[:8]}.*; replace it"):
            weights.resolve(entry.id)


def test_import_compares_and_records(root: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=f"expected known with SHA-256 {DIGEST[:16]}, got"):
        weights.import_file("known", put(tmp_path / "x", b"other"))
    assert not root.exists()
    with pytest.raises(BenchError, match="expected a file of weights"):
        weights.import_file("known", tmp_path / "nowhere")
    assert weights.import_file("known", put(tmp_path / "x")) == root / "a/known.pth"
    assert not (root / "digests.json").exists()
    weights.import_file("unknown", put(tmp_path / "x"))
    assert json.loads((root / "digests.json").read_text()) == {"unknown": DIGEST}
    put(root / UNKNOWN.file, b"changed")
    with pytest.raises(BenchError, match=f"expected a file with SHA-256 {DIGEST[:16]}"):
        weights.resolve("unknown")


def test_a_root_that_cannot_be_written(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HCFLOW_WEIGHTS", str(put(tmp_path / "file")))
    with pytest.raises(BenchError, match="expected a place to write to, got Not a directory"):
        weights.import_file("known", put(tmp_path / "x"))


def test_on_the_command_line(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(root / KNOWN.file)
    put(root / PREFIX.file, b"other")
    assert main(["weights", "list", "--format", "json"]) == 0
    states = {row["id"]: row["state"] for row in json.loads(capsys.readouterr().out)}
    assert states == {"known": "present", "prefix": "wrong file", "unknown": "missing"}
    assert main(["weights", "list"]) == 0
    assert main(["weights", "import", "unknown", str(put(tmp_path / "x"))]) == 0
    assert main(["weights", "fetch", "--offline", "unknown"]) == 0  # it is there
    (root / UNKNOWN.file).unlink()
    assert main(["weights", "fetch", "--offline", "unknown"]) == 2
    assert "offline: expected leave to download unknown" in capsys.readouterr().err
    assert main(["weights", "fetch", "prefix"]) == 2
    assert "got one for hands only" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif("HCFLOW_WEIGHTS" not in os.environ, reason="needs HCFLOW_WEIGHTS with the real files")
@pytest.mark.parametrize("name", ["RRDB_PSNR_x4", "LPIPS_alex", "NIQE_live", "BRISQUE_live"])
def test_the_real_files_are_recognised(name: str) -> None:
    assert weights.resolve(name).is_file()
