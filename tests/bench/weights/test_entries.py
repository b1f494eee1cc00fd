"""Weights: only the right file resolves, by its digest or by what it holds."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench import contents
from bench.errors import BenchError
from bench.roots import weights_root
from bench.structured import build
from bench.weights import entries as weights
from bench.weights.acquire import import_file
from bench.weights.entries import WeightEntry, recorded_digests, weight_entries
from hcflow.checkpoint import save
from hcflow.config import CASES, PRESETS, preset
from hcflow.model import HCFlow

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
KNOWN = WeightEntry("known", "a/known.pth", "a method", "free", sha256=(DIGEST,), note="by hand")
PREFIX = WeightEntry("prefix", "a/prefix.pth", "a method", "free", sha256_prefix=(DIGEST[:8],))
COUNTED = WeightEntry(
    "counted", "a/counted.pth", "a method", "free", urls=("https://example.org/x",), kind="tensors", params=(12,)
)
NOBODY = WeightEntry("nobody", "a/nobody.pth", "a method", "free", note="its authors published no weights")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path / "w"))
    monkeypatch.setattr(weights, "weight_entries", lambda: {e.id: e for e in (KNOWN, PREFIX, COUNTED, NOBODY)})
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
        assert ".." not in Path(entry.file).parts
        assert all(url.startswith("https://") and url.isascii() for url in entry.urls)
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in entry.sha256)
        if entry.recognisable and not entry.sha256:
            assert entry.kind, f"{entry.id}: nothing compares what it holds"
        if entry.kind == "hcflow":
            assert entry.scale
            assert entry.task
            assert entry.params or entry.preset
        else:
            assert not entry.preset


def test_the_networks_of_the_paper_have_its_numbers_of_parameters() -> None:
    for entry in weight_entries().values():
        if entry.kind == "hcflow" and entry.preset:
            config = preset(entry.preset)
            assert config.scale == entry.scale
            assert (config.q is None) == (entry.task == "rescaling")
            with torch.device("meta"):
                count = sum(parameter.numel() for parameter in HCFlow(config).parameters())
            assert entry.params in ((count,), ())
    assert {entry.preset for entry in weight_entries().values()} == {"", *PRESETS, *CASES}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"sha256": "abc"}, "x.sha256: expected a list, got 'abc'"),
        ({"params": ["1"]}, "x.params[0]: expected int, got '1'"),
        ({"kind": "pickle"}, "x.kind: got 'pickle'; choose from hcflow, tensors, matlab"),
        ({"shipped": 1}, "x.shipped: expected bool, got 1"),
        ({"license": "l"}, "x: unknown key 'license'; did you mean licence? choose from id, file"),
        ({"file": None}, "x.file: expected str, got None"),
    ],
)
def test_a_mistake_in_an_entry_is_an_error_that_helps(line: dict[str, object], message: str) -> None:
    good = {"id": "x", "file": "f", "used_by": "u", "licence": "l"}
    with pytest.raises(BenchError) as error:
        build(WeightEntry, {**good, **line}, "x")
    assert str(error.value).startswith(message)


def test_a_missing_file_says_how_to_get_it(root: Path) -> None:
    with pytest.raises(BenchError, match=r"^needs weights counted: python -m bench weights fetch counted$"):
        weights.resolve("counted")
    with pytest.raises(BenchError, match=r"by hand; then python -m bench weights import known FILE"):
        weights.resolve("known")
    with pytest.raises(BenchError, match=r"^needs weights nobody: its authors published no weights$"):
        weights.resolve("nobody")
    with pytest.raises(BenchError, match=r"^expected a weight entry, got 'other'; python -m bench weights list shows"):
        weights.resolve("other")
    with pytest.raises(BenchError, match=r"got 'Knwn'; did you mean known\? python -m bench weights list shows all$"):
        weights.resolve("Knwn")


def test_only_the_known_file_resolves(root: Path) -> None:
    for entry in (KNOWN, PREFIX):
        put(root / entry.file)
        assert weights.resolve(entry.id) == root / entry.file
        put(root / entry.file, b"others!")
        with pytest.raises(BenchError, match=rf"expected {entry.id} with SHA-256 {DIGEST[:8]}.*; replace it: "):
            weights.resolve(entry.id)


def test_what_nobody_published_cannot_be_at_hand(root: Path) -> None:
    put(root / NOBODY.file)
    with pytest.raises(BenchError, match="expected no file for nobody, which was never published; its authors"):
        weights.resolve("nobody")


def test_a_file_put_there_by_hand_is_compared_by_what_it_holds(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "a").mkdir(parents=True)
    torch.save({"w": torch.zeros(3, 4)}, root / COUNTED.file)
    assert weights.resolve("counted") == root / COUNTED.file
    assert list(root.iterdir()) == [root / "a"]  # asking writes nothing
    torch.save({"w": torch.zeros(3, 5)}, root / COUNTED.file)
    with pytest.raises(
        BenchError, match=r"counted, tensors with 12 numbers, got tensors with 15 numbers; replace it: "
    ):
        weights.resolve("counted")
    monkeypatch.setattr(weights, "weight_entries", lambda: {"counted": replace(COUNTED, params=(15,))})
    assert weights.resolve("counted")


def test_a_file_that_was_checked_at_import_is_not_loaded_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"w": torch.zeros(3, 4)}, tmp_path / "x")
    import_file("counted", tmp_path / "x")
    weights._contents.cache_clear()
    monkeypatch.setattr(weights, "read_contents", lambda *_: pytest.fail("loaded again"))
    assert weights.resolve("counted")


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    for name in ("rescale_x4", "sr_x4"):
        torch.manual_seed(0)
        save(HCFlow(preset(name)), folder / f"{name}.safetensors")
    return folder


def test_a_row_of_the_paper_runs_on_its_network_alone(
    networks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path))
    small = weight_entries()["HCFlow_rescaling_x4_ours"].path
    target = weight_entries()["HCFlow_rescaling_x4"].path
    sizes = r"rescale_x4 \(x4, rescaling, 4,396,206 parameters\)"
    for wrong, found in (
        (small, r"another HCFlow network \(x4, rescaling, 720,194 parameters\)"),
        (networks / "sr_x4.safetensors", r"sr_x4 \(x4, super-resolution, 23,232,539 parameters\)"),
    ):
        put(target, wrong.read_bytes())
        with pytest.raises(BenchError, match=rf"expected HCFlow_rescaling_x4, {sizes}, got {found}; replace it: ") as e:
            weights.resolve("HCFlow_rescaling_x4")
        assert "\n" not in str(e.value)
    put(target, (networks / "rescale_x4.safetensors").read_bytes())
    assert weights.resolve("HCFlow_rescaling_x4") == target
    with pytest.raises(BenchError, match="needs weights HCFlow_x4"):
        weights.resolve("HCFlow_x4")


def test_a_recorded_digest_of_an_unchecked_file_is_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path))
    small = weight_entries()["HCFlow_rescaling_x4_ours"].path.read_bytes()
    put(weight_entries()["HCFlow_rescaling_x4"].path, small)
    recorded_digests().remember({"HCFlow_rescaling_x4": hashlib.sha256(small).hexdigest()})  # by an earlier version
    with pytest.raises(BenchError, match="got another HCFlow network"):
        weights.resolve("HCFlow_rescaling_x4")


def test_looking_for_weights_imports_no_torch() -> None:
    code = (
        "import sys\nfrom bench.weights import acquire, entries\n"
        "[entries.state(e) for e in entries.weight_entries().values()]\n"
        "print([name for name in ('torch', 'numpy', 'scipy', 'rich', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
@pytest.mark.skipif("HCFLOW_WEIGHTS" not in os.environ, reason="needs HCFLOW_WEIGHTS with the real files")
def test_the_real_files_are_recognised() -> None:
    root = weights_root()
    files = {path for path in root.rglob("*") if path.is_file() and path.name != "SOURCE.txt"}
    entries = [entry for entry in weight_entries().values() if entry.path in files]
    assert len(entries) >= 13
    for entry in entries:
        assert weights.resolve(entry.id) == entry.path
        if entry.kind:
            assert entry.describes(contents.read_contents(entry.path, entry.kind)), entry.id
    assert files == {entry.path for entry in entries}
