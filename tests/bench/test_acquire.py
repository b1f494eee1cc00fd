"""Fetching a data set: from single files and from an archive, against a server on this machine."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from bench import acquire, fetch, weights
from bench.__main__ import main
from bench.data import pixel_digest, presence
from bench.errors import BenchError
from bench.manifest import ImageEntry, Manifest, Source
from bench.weights import WeightEntry
from hcflow.images.io import write_png

IMAGES = {name: np.random.default_rng(i).integers(0, 256, (8, 9, 3), dtype=np.uint8) for i, name in enumerate("ab")}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """(address, folder) of a web server."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name, image in IMAGES.items():
        write_png(folder / f"{name}.png", image)
    monkeypatch.setenv("HCFLOW_DATA", str(tmp_path / "root"))
    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fetch, "_BACKOFF", (0.0,))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    thread.join()
    server.server_close()


def toy(source: Source, known: bool = True) -> Manifest:
    entries = tuple(
        ImageEntry(f"{name}.png", 9, 8, sha256=pixel_digest(image) if known else None) for name, image in IMAGES.items()
    )
    return Manifest("Toy", "t", "l", "t", entries, (source,))


def bundle(folder: Path, *names: str) -> None:
    with zipfile.ZipFile(folder / "toy.zip", "w") as archive:
        for name in names:
            archive.write(folder / f"{name}.png", f"HR/{name}.png")
        archive.writestr("../evil.png", b"not wanted")


def downloads(root: Path) -> list[str]:
    folder = root / ".downloads"
    return sorted(path.name for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


def test_single_files(site: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = site
    manifest = toy(Source("files", (f"{url}/gone/{{id}}.png", f"{url}/{{id}}.png")))
    assert acquire.fetch(manifest).stored == ["a", "b"]
    assert presence(manifest).state == "present"
    assert acquire.fetch(manifest).already == ["a", "b"]
    assert downloads(tmp_path / "root") == []


def test_a_wrong_image_is_not_stored_and_the_rest_stays(site: tuple[str, Path]) -> None:
    url, folder = site
    write_png(folder / "b.png", 255 - IMAGES["b"])
    manifest = toy(Source("files", (f"{url}/{{id}}.png",)))
    with pytest.raises(BenchError, match=r"Toy/b from .*: expected pixels with SHA-256"):
        acquire.fetch(manifest)
    assert [entry.id for entry in presence(manifest).present] == ["a"]
    write_png(folder / "b.png", IMAGES["b"])
    assert acquire.fetch(manifest).stored == ["b"]


def test_an_archive(site: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = site
    bundle(folder, "a", "b")
    manifest = toy(Source("archive", (f"{url}/toy.zip",), member="HR/{id}.png"), known=False)
    assert acquire.fetch(manifest).stored == ["a", "b"]
    assert downloads(tmp_path / "root") == ["digests.json"]
    assert not (tmp_path / "evil.png").exists()
    assert list(acquire.recorded_downloads()) == [f"{url}/toy.zip"]


def test_an_archive_that_changed_since_its_first_download_is_refused(site: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = site
    bundle(folder, "a")
    manifest = toy(Source("archive", (f"{url}/toy.zip",), member="HR/{id}.png"))
    with pytest.raises(BenchError, match=r"expected all of it in .*, got 1 images fewer \(b and so on\)"):
        acquire.fetch(manifest)
    (tmp_path / "root/.downloads/Toy/toy.zip").unlink()
    bundle(folder, "a", "b")
    with pytest.raises(BenchError, match=r"toy.zip: expected SHA-256 \w+, got"):
        acquire.fetch(manifest)


def test_an_archive_with_a_hostile_member(site: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = site
    link = zipfile.ZipInfo("HR/a.png")
    link.external_attr = 0o120777 << 16
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    (folder / "toy.zip").write_bytes(data.getvalue())
    with pytest.raises(BenchError, match=r"expected HR/a.png to be a plain file of its own, got a link"):
        acquire.fetch(toy(Source("archive", (f"{url}/toy.zip",), member="HR/{id}.png")))


def test_by_hand_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HCFLOW_DATA", str(tmp_path))
    with pytest.raises(BenchError, match="got one for hands only: accept the terms"):
        acquire.fetch(toy(Source("manual", note="accept the terms")))


def test_on_the_command_line(
    site: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url, _ = site
    manifest = toy(Source("files", (f"{url}/{{id}}.png",)))
    monkeypatch.setattr("bench.cli.data.load_manifest", lambda name: manifest)
    assert main(["data", "fetch", "Toy", "--offline"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: offline: ")
    assert error.count("\n") == 1
    assert main(["data", "fetch", "Toy"]) == 0
    printed = capsys.readouterr().out
    assert "licence: l; terms: t" in printed
    assert "2 stored" in printed


def test_a_run_can_fetch_what_is_missing(
    site: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HCFLOW_OFFLINE", "1")
    arguments = ["run", "--table", "4", "--method", "bicubic", "--dataset", "Set5", "--fetch"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert "error: " in captured.err  # the set that could not be had
    assert "offline" in captured.err
    assert "needs data Set5" in captured.out


def test_weights_are_fetched_compared_and_recorded(site: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    url, folder = site
    (folder / "w.pth").write_bytes(b"weights")
    entry = WeightEntry("w", "w/w.pth", "a method", "free", urls=(f"{url}/w.pth",))
    monkeypatch.setattr(weights, "weight_entries", lambda: {"w": entry})
    path = weights.fetch("w")
    assert weights.resolve("w") == path
    path.unlink()
    (folder / "w.pth").write_bytes(b"others")
    with pytest.raises(BenchError, match="expected SHA-256"):
        weights.fetch("w")
    assert not path.exists()
