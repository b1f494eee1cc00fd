"""Getting weights: a file is loaded and compared before it takes its place, and nothing is replaced unasked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch

from bench.__main__ import main
from bench.downloads import fetch as downloads
from bench.errors import BenchError
from bench.weights import entries as weights
from bench.weights.acquire import fetch, import_file
from bench.weights.entries import WeightEntry, recorded_digests, weight_entries

TENSORS = WeightEntry(
    "tensors", "a/tensors.pth", "table 9", "free", kind="tensors", params=(12,), urls=("https://example.org/x",)
)
TWIN = replace(TENSORS, id="twin", file="a/twin.pth")
HCFLOW = WeightEntry(
    "hcflow", "a/hcflow.pth", "table 9", "free", kind="hcflow", preset="rescale_x4", scale=4, task="rescaling",
    note="by hand",
)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path / "w"))
    monkeypatch.setattr(weights, "weight_entries", lambda: {e.id: e for e in (TENSORS, TWIN, HCFLOW)})
    return tmp_path / "w"


def tensors(path: Path, value: float = 0.0, count: int = 12) -> Path:
    torch.save({"w": torch.full((count,), value)}, path)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_right_file_is_stored_and_recorded(root: Path, tmp_path: Path) -> None:
    file = tensors(tmp_path / "x.pth")
    assert import_file("tensors", file) == root / "a/tensors.pth"
    assert json.loads((root / "digests.json").read_text()) == {"tensors": digest(file)}
    assert weights.resolve("tensors").read_bytes() == file.read_bytes()
    assert sorted(path.name for path in root.rglob("*")) == ["a", "checked.json", "digests.json", "tensors.pth"]


@pytest.mark.parametrize("name", ["tensors", "hcflow"])
@pytest.mark.parametrize("content", [b"", b"some notes\n", b"PK\x03\x04", b"\x80\x02.", b"{}", b"\x00" * 8 + b"{"])
def test_any_other_file_is_refused(root: Path, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "notes.txt").write_bytes(content)
    with pytest.raises(BenchError, match=r"notes.txt: expected ") as error:
        import_file(name, tmp_path / "notes.txt")
    assert "\n" not in str(error.value)
    assert not root.exists()


def test_a_network_of_other_sizes_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(
        BenchError, match=r"expected tensors, tensors with 12 numbers, got tensors with 13 numbers; it is"
    ):
        import_file("tensors", tensors(tmp_path / "x.pth", count=13))
    small = weight_entries()["HCFlow_rescaling_x4_ours"]
    with pytest.raises(BenchError, match=r"expected hcflow, rescale_x4 .*, got another HCFlow network .*720,194"):
        import_file("hcflow", small.path)
    assert not root.exists()


def test_the_shipped_network_is_not_the_papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path))
    shipped = weight_entries()["HCFlow_rescaling_x4_ours"].path
    assert main(["weights", "import", "HCFlow_rescaling_x4", str(shipped)]) == 2
    assert list(tmp_path.iterdir()) == []


def test_another_file_is_replaced_only_when_asked(root: Path, tmp_path: Path) -> None:
    first, second = tensors(tmp_path / "1.pth"), tensors(tmp_path / "2.pth", 1.0)
    import_file("tensors", first)
    import_file("tensors", first)  # the same: nothing to do
    with pytest.raises(BenchError, match=r"tensors.pth: expected no other file there, got SHA-256 \w+; add --replace"):
        import_file("tensors", second)
    (root / "a/tensors.pth").unlink()
    with pytest.raises(BenchError, match=r"which was imported or downloaded first .* add --replace"):
        import_file("tensors", second)
    import_file("tensors", second, replace=True)
    assert recorded_digests().read() == {"tensors": digest(second)}
    assert weights.resolve("tensors").read_bytes() == second.read_bytes()


def test_one_file_is_not_two_networks(root: Path, tmp_path: Path) -> None:
    file = tensors(tmp_path / "x.pth")
    import_file("tensors", file)
    with pytest.raises(BenchError, match="expected twin, got the file of tensors; check which one it is"):
        import_file("twin", file)


def test_a_root_that_cannot_be_written(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path / "file"))
    with pytest.raises(BenchError, match="expected a place to write to, got Not a directory"):
        import_file("tensors", tensors(tmp_path / "x.pth"))
    with pytest.raises(BenchError, match="expected a file of weights, got"):
        import_file("tensors", tmp_path / "nowhere")


@pytest.fixture
def site(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(downloads, "_BACKOFF", ())
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    entry = replace(TENSORS, urls=(f"http://127.0.0.1:{server.server_port}/x.pth",))
    monkeypatch.setattr(weights, "weight_entries", lambda: {"tensors": entry})
    yield folder / "x.pth"
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_is_fetched_is_checked_before_it_takes_its_place(site: Path, root: Path) -> None:
    site.write_text("an error page, served as a file")
    with pytest.raises(BenchError, match="expected a file of tensors"):
        fetch("tensors")
    tensors(site, count=13)
    with pytest.raises(BenchError, match="got tensors with 13 numbers"):
        fetch("tensors")
    assert not list(root.rglob("*.*"))
    tensors(site)
    assert weights.resolve("tensors") if fetch("tensors") else None
    assert recorded_digests().read() == {"tensors": digest(site)}


def test_fetch_replaces_only_when_asked(site: Path, root: Path, tmp_path: Path) -> None:
    tensors(site)
    (root / "a").mkdir(parents=True)
    tensors(root / "a/tensors.pth", count=5)
    with pytest.raises(
        BenchError, match=r"got tensors with 5 numbers; replace it: python -m bench weights fetch tens.*ce$"
    ):
        fetch("tensors")
    fetch("tensors", replace=True)
    assert weights.resolve("tensors").read_bytes() == site.read_bytes()
    fetch("tensors", offline=True)  # it is there
    tensors(site, 1.0)
    (root / "a/tensors.pth").unlink()
    with pytest.raises(BenchError, match="offline: expected network access to download tensors"):
        fetch("tensors", offline=True)
    with pytest.raises(BenchError, match="as first downloaded, see"):
        fetch("tensors")
    fetch("tensors", replace=True)
    assert recorded_digests().read() == {"tensors": digest(site)}


def test_on_the_command_line(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tensors(tmp_path / "x.pth"))
    assert main(["weights", "import", "tensors", file]) == 0
    assert main(["weights", "import", "tensors", str(tensors(tmp_path / "y.pth", 2.0))]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert main(["weights", "import", "--replace", "tensors", str(tmp_path / "y.pth")]) == 0
    assert main(["weights", "fetch", "hcflow"]) == 2
    assert "got none; by hand" in capsys.readouterr().err
