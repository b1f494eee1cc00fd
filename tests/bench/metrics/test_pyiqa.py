"""Any of pyiqa's metrics, and that nothing is ever downloaded for them."""

from __future__ import annotations

import builtins
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from scoring import score, scores

from bench.errors import BenchError
from bench.metrics import pyiqa as ours
from bench.metrics.metric import METRICS, Evidence, Measure, metric

RNG = np.random.default_rng(4)
HR = RNG.integers(0, 256, (64, 72, 3), dtype=np.uint8)
EVIDENCE = Evidence((RNG.random((64, 72, 3)), HR / 255), 4, HR)


def test_direction_and_reference_are_pyiqas_own() -> None:
    assert metric("pyiqa:dists").direction == "lower"
    assert metric("pyiqa:musiq").direction == "higher"
    assert "with HR" in Measure.parse("pyiqa:dists").variant.describe()
    assert "without HR" in Measure.parse("pyiqa:musiq").variant.describe()
    assert Measure.parse("pyiqa:musiq").id == "pyiqa:musiq@rgb,crop0,u8"
    assert "PolyForm Noncommercial" in metric("pyiqa:dists").terms


def test_unknown_metrics_and_metrics_of_sets_are_refused() -> None:
    with pytest.raises(BenchError, match=r"metric of pyiqa of .*; got 'dist'; did you mean dists"):
        metric("pyiqa:dist")
    with pytest.raises(BenchError, match="got 'fid'"):
        metric("pyiqa:fid")


def test_files_are_those_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path))
    measure = Measure.parse("pyiqa:dists")
    assert measure.files == ()
    for name in ("DISTS.pth", "checkpoints/vgg16.pth"):
        file = tmp_path / "pyiqa/dists" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    assert [path.name for path in measure.files] == ["DISTS.pth", "vgg16.pth"]
    assert Measure.parse("psnr").files == ()


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ours._table.cache_clear()
    try:
        with pytest.raises(BenchError, match=r"expected the package pyiqa, got none; pip install pyiqa"):
            ours.member("dists")
    finally:
        ours._table.cache_clear()


def test_tables_need_none_of_the_heavy_packages() -> None:
    code = """
import sys
from bench.metrics.metric import METRICS, Measure
assert len(METRICS.names()) >= 13
for name in METRICS.names() + ["pyiqa:dists"]:
    measure = Measure.parse(name)
    assert measure.title and measure.variant.describe() and measure.weights is not None
heavy = {"torch", "torchvision", "cv2", "scipy.io", "pyiqa", "lpips", "skimage", "timm"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", METRICS.names())
def test_every_known_variant_reads_back(name: str) -> None:
    found = metric(name)
    assert found.name == name
    for text in found.known:
        variant = found.parse(text)
        assert variant.id == text
        assert found.parse(variant.id) == variant
        assert variant.describe()
        assert found.heading(variant).startswith(found.title)
    with pytest.raises(BenchError):
        found.parse("nothing of the kind")


@pytest.mark.slow
def test_a_metric_without_weights_needs_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyiqa

    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path))
    values = scores("pyiqa:ssimc", EVIDENCE)
    network = pyiqa.create_metric("ssimc", device=torch.device("cpu"))
    images = [torch.from_numpy(np.rint(draw * 255).transpose(2, 0, 1) / 255)[None].float() for draw in EVIDENCE.draws]
    hr = torch.from_numpy(HR.transpose(2, 0, 1) / 255)[None].float()
    assert values == [pytest.approx(float(network(image, hr)), abs=1e-6) for image in images]
    assert not (tmp_path / "pyiqa").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "musiq",
            r"needs musiq_koniq_ckpt-e95806b9.pth; python -m bench weights fetch pyiqa:musiq, or get it from "
            r"https://.* and put it at .*/pyiqa/musiq/musiq_koniq",
        ),
        ("dists", r"needs vgg16-.*.pth; .* and put it at .*/pyiqa/dists/checkpoints/vgg16"),
        ("clipiqa", r"pyiqa:clipiqa: .*/pyiqa/clipiqa"),
        ("hyperiqa", r"pyiqa:hyperiqa: .*/pyiqa/hyperiqa"),
    ],
)
def test_what_is_missing_is_said_and_not_downloaded(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    asked: list[object] = []

    def nobody(host: object, *args: object, **kwargs: object) -> object:
        asked.append(host)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(BenchError, match=message) as caught:
        score(f"pyiqa:{name}", EVIDENCE)
    assert "\n" not in str(caught.value)
    assert not asked
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert socket.getaddrinfo is nobody


@pytest.mark.slow
def test_files_of_the_folder_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyiqa.archs import cnniqa_arch

    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path))
    torch.manual_seed(0)
    with monkeypatch.context() as without_weights:
        without_weights.setattr(cnniqa_arch, "load_pretrained_network", lambda *_, **__: None)
        network = cnniqa_arch.CNNIQA().eval()
    folder = tmp_path / "pyiqa/cnniqa"
    folder.mkdir(parents=True)
    torch.save({"params": network.state_dict()}, folder / "CNNIQA_koniq10k-e6f14c91.pth")
    image = torch.from_numpy(HR.transpose(2, 0, 1) / 255)[None].float()
    with torch.inference_mode():
        assert score("pyiqa:cnniqa", Evidence((HR / 255,), 4)) == pytest.approx(float(network(image)), abs=1e-5)
    assert [path.name for path in Measure.parse("pyiqa:cnniqa").files] == ["CNNIQA_koniq10k-e6f14c91.pth"]


@pytest.mark.slow
def test_fetching_fills_the_folder_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pyiqa.archs import cnniqa_arch
    from pyiqa.utils import download_util

    from bench.__main__ import main

    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path))
    with monkeypatch.context() as without_weights:
        without_weights.setattr(cnniqa_arch, "load_pretrained_network", lambda *_, **__: None)
        state = cnniqa_arch.CNNIQA().state_dict()

    def download(url: str, file: str, *_: object, **__: object) -> None:
        assert url.startswith("https://")
        torch.save({"params": state}, file)

    monkeypatch.setattr(download_util, "download_url_to_file", download)
    assert main(["weights", "fetch", "pyiqa:cnniqa", "--offline"]) == 2
    assert "offline" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.pth"))
    assert main(["weights", "fetch", "pyiqa:cnniqa"]) == 0
    assert "PolyForm" in capsys.readouterr().out
    assert [path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*.pth")] == [("pyiqa", "cnniqa")]
    assert scores("pyiqa:cnniqa", EVIDENCE)
    capsys.readouterr()
    assert main(["weights", "fetch", "pyiqa:nothing"]) == 2
    assert "expected a metric of pyiqa" in capsys.readouterr().err


@pytest.mark.slow
def test_other_threads_keep_their_network(tmp_path: Path) -> None:
    found: list[object] = []
    with ours.local_only(tmp_path, "a test"):
        with pytest.raises(BenchError, match="a test: needs a file from localhost"):
            socket.getaddrinfo("localhost", 80)
        other = threading.Thread(target=lambda: found.append(socket.getaddrinfo("127.0.0.1", 80)))
        other.start()
        other.join()
    assert found
    assert socket.getaddrinfo("127.0.0.1", 80)


def test_an_error_of_pyiqa_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("pyiqa"):
            raise ImportError("no module named timm")
        return original(name, *args, **kwargs)

    def refuse(name: str) -> object:
        raise ImportError("no module named timm")

    monkeypatch.setattr("bench.metrics.pyiqa.importlib.import_module", refuse)
    monkeypatch.setattr(builtins, "__import__", without)
    with (
        pytest.raises(BenchError, match="a test: expected pyiqa to be importable, got no module named timm"),
        ours.local_only(tmp_path, "a test"),
    ):
        pass
