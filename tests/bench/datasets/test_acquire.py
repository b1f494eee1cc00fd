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

from bench.__main__ import main
from bench.datasets import acquire, importing
from bench.datasets.local import pixel_digest, presence, read_hr, recorded_digests
from bench.datasets.manifest import ImageEntry, Manifest, Source
from bench.downloads import fetch
from bench.errors import BenchError, StorageError
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


def toy(*sources: Source, known: bool = True) -> Manifest:
    entries = tuple(
        ImageEntry(f"{name}.png", 9, 8, sha256=pixel_digest(image) if known else None) for name, image in IMAGES.items()
    )
    return Manifest("Toy", "t", "l", "t", entries, sources)


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
    with pytest.raises(BenchError, match=r"Toy: .* got 1 fewer \(b\): .*/b.png: expected pixels with SHA-256"):
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
    assert list(acquire.recorded_downloads().read()) == [f"{url}/toy.zip"]


def test_an_archive_that_changed_since_its_first_download_is_refused(site: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = site
    bundle(folder, "a", "b")
    manifest = toy(Source("archive", (f"{url}/toy.zip",), member="HR/{id}.png"))
    acquire.fetch(manifest)
    (tmp_path / "root/Toy/HR/a.png").unlink()
    (folder / "notes.txt").write_text("new")
    with zipfile.ZipFile(folder / "toy.zip", "a") as archive:
        archive.write(folder / "notes.txt")
    with pytest.raises(
        BenchError, match=r"toy.zip: expected SHA-256 \w+ \(as first downloaded, see .*digests.json; delete its line"
    ):
        acquire.fetch(manifest)
    (tmp_path / "root/.downloads/digests.json").unlink()
    assert acquire.fetch(manifest).stored == ["a"]


@pytest.mark.parametrize("first", ["a page", "half an archive", "another archive"])
def test_what_turned_out_to_be_wrong_is_neither_kept_nor_recorded(
    site: tuple[str, Path], tmp_path: Path, first: str
) -> None:
    url, folder = site
    bundle(folder, "a", "b")
    good = (folder / "toy.zip").read_bytes()
    bundle(folder, "a")
    wrong = {"a page": b"<html>", "half an archive": good[: len(good) // 2]}.get(first)
    if wrong is not None:
        (folder / "toy.zip").write_bytes(wrong)
    manifest = toy(Source("archive", (f"{url}/toy.zip",), member="HR/{id}.png"))
    with pytest.raises(BenchError, match=r"Toy: expected all of its 2 images, got . fewer \((a, )?b\): ") as error:
        acquire.fetch(manifest)
    assert "\n" not in str(error.value)
    assert acquire.recorded_downloads().read() == {}
    (folder / "toy.zip").write_bytes(good)
    acquire.fetch(manifest)
    assert presence(manifest).state == "present"
    assert list(acquire.recorded_downloads().read()) == [f"{url}/toy.zip"]


def test_a_full_disk_keeps_the_archive(site: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, folder = site
    bundle(folder, "a", "b")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(importing, "write_png", full)
    manifest = toy(Source("archive", (f"{url}/toy.zip",), member="HR/{id}.png"))
    with pytest.raises(StorageError, match=r"a.png: expected a place to write to, got No space left on device"):
        acquire.fetch(manifest)
    assert (tmp_path / "root/.downloads/Toy/toy.zip").is_file()


def test_an_image_that_is_gone_does_not_stop_the_others(site: tuple[str, Path]) -> None:
    url, folder = site
    (folder / "a.png").unlink()
    manifest = toy(Source("files", (f"{url}/{{id}}.png",)))
    with pytest.raises(BenchError, match=r"Toy: .* got 1 fewer \(a\): .*/a.png: expected the file, got HTTP 404"):
        acquire.fetch(manifest)
    assert [entry.id for entry in presence(manifest).present] == ["b"]


def test_a_server_that_is_silent_is_asked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HCFLOW_DATA", str(tmp_path))
    asked = []

    def silent(remote: fetch.Remote, *_: object) -> str:
        asked.append(remote.urls)
        raise fetch.Unreachable("no answer")

    monkeypatch.setattr(acquire, "download", silent)
    with pytest.raises(BenchError, match=r"Toy: .* got 2 fewer \(a, b\): .*no answer"):
        acquire.fetch(toy(Source("files", ("https://example.org/{id}.png",))))
    assert len(asked) == 1


def test_the_next_source_is_asked_for_what_the_first_did_not_give(site: tuple[str, Path]) -> None:
    url, folder = site
    bundle(folder, "a", "b")
    write_png(folder / "b.png", 255 - IMAGES["b"])
    sources = (
        Source("files", (f"{url}/{{id}}.png",)),
        Source("archive", (f"{url}/gone.zip",), member="HR/{id}.png"),
        Source("archive", (f"{url}/toy.zip",), member="HR/{id}.png"),
    )
    manifest = toy(*sources)
    assert acquire.fetch(manifest).stored == ["a", "b"]
    for entry in manifest.images:
        np.testing.assert_array_equal(read_hr(manifest, entry), IMAGES[entry.id])


def test_a_wrong_image_in_the_root_is_replaced(site: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = site
    manifest = toy(Source("files", (f"{url}/{{id}}.png",)))
    acquire.fetch(manifest)
    write_png(tmp_path / "root/Toy/HR/a.png", 255 - IMAGES["a"])
    with pytest.raises(BenchError, match="offline: expected network access to download Toy"):
        acquire.fetch(manifest, offline=True)
    result = acquire.fetch(manifest)
    assert (result.stored, result.already) == (["a"], ["b"])
    np.testing.assert_array_equal(read_hr(manifest, manifest.images[0]), IMAGES["a"])


def test_what_is_there_needs_no_network_and_nowhere_to_write(
    site: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = site
    manifest = toy(Source("files", (f"{url}/{{id}}.png",)))
    acquire.fetch(manifest)
    before = sorted(tmp_path.rglob("*"))
    assert acquire.fetch(manifest, offline=True).already == ["a", "b"]
    assert sorted(tmp_path.rglob("*")) == before


def test_pixels_that_nobody_published_are_recorded_one_by_one(site: tuple[str, Path]) -> None:
    url, _ = site
    manifest = toy(Source("files", (f"{url}/{{id}}.png",)), known=False)
    acquire.fetch(manifest)
    assert recorded_digests(manifest) == {name: pixel_digest(image) for name, image in IMAGES.items()}


def test_an_archive_with_a_hostile_member(site: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = site
    link = zipfile.ZipInfo("HR/a.png")
    link.external_attr = 0o120777 << 16
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    (folder / "toy.zip").write_bytes(data.getvalue())
    with pytest.raises(BenchError, match=r"expected HR/a.png to be a plain file, got a link"):
        acquire.fetch(toy(Source("archive", (f"{url}/toy.zip",), member="HR/{id}.png")))


def test_by_hand_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HCFLOW_DATA", str(tmp_path))
    with pytest.raises(BenchError, match="got none; by hand: accept the terms"):
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
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2  # nothing could run
    captured = capsys.readouterr()
    assert "error: " in captured.err  # the set that could not be had
    assert "offline" in captured.err
    assert "needs data Set5" in captured.out
