"""Archives that mean harm, and those that do not."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from bench.downloads.archive import extract
from bench.errors import BenchError, StorageError

CONTENT = b"pixels"


def zipped(path: Path, *members: str | zipfile.ZipInfo, content: bytes = CONTENT) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for member in members:
            bundle.writestr(member, content)
    return path


def tarred(path: Path, *members: tarfile.TarInfo | str, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for member in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(CONTENT) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(CONTENT) if info.isreg() else None)
    return path


def special(kind: bytes, name: str = "HR/a.png") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def unpack(archive: Path, target: Path, *, max_bytes: int = 1000, max_files: int = 10) -> list[Path]:
    target.mkdir(exist_ok=True)
    return extract(
        archive, lambda name: Path(name).name if name.endswith("png") else None, target,
        max_bytes=max_bytes, max_files=max_files,
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_only_what_is_wanted_comes_out(tmp_path: Path, mode: str) -> None:
    names = ("HR/a.png", "HR/b.png", "HR/notes.txt")
    archive = zipped(tmp_path / "x", *names) if mode == "zip" else tarred(tmp_path / "x", *names, mode=mode)
    files = unpack(archive, tmp_path / "out")
    assert [file.name for file in files] == ["a.png", "b.png"]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]
    assert files[0].read_bytes() == CONTENT


@pytest.mark.parametrize(
    "name", ["../a.png", "/abs/a.png", "x/../../a.png", "..\\a.png", "C:\\a.png", "\\\\host\\a.png", "C:a.png"]
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_paths_that_lead_elsewhere(tmp_path: Path, name: str, kind: str) -> None:
    archive = zipped(tmp_path / "x", name) if kind == "zip" else tarred(tmp_path / "x", name)
    with pytest.raises(BenchError, match="got a path that leads elsewhere"):
        unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_what_is_no_plain_file(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(
        BenchError, match=r"expected HR/a.png to be a plain file of its own, got a (link|device or pipe)"
    ):
        unpack(tarred(tmp_path / "x", special(kind)), tmp_path / "out")


def test_a_link_in_a_zip_file(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.png")
    link.external_attr = 0o120777 << 16
    with pytest.raises(BenchError, match="got a link"):
        unpack(zipped(tmp_path / "x", link), tmp_path / "out")


def test_an_encrypted_member(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x", "a.png")
    data = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    archive.write_bytes(data)
    with pytest.raises(BenchError, match="got an encrypted one"):
        unpack(archive, tmp_path / "out")


def test_links_that_nobody_wants_do_no_harm(tmp_path: Path) -> None:
    archive = tarred(tmp_path / "x", special(tarfile.SYMTYPE, "link"), "HR/a.png")
    assert len(unpack(archive, tmp_path / "out")) == 1


def test_a_bomb_is_noticed_while_it_unpacks(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x", "a.png", content=bytes(3_000_000))
    assert archive.stat().st_size < 5000
    with pytest.raises(BenchError, match="expected less to come out of it"):
        unpack(archive, tmp_path / "out", max_bytes=1_000_000)
    assert list((tmp_path / "out").iterdir()) == []


def test_too_many_files_and_names_that_occur_twice(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="expected at most 1 files, got more"):
        unpack(zipped(tmp_path / "x", "a.png", "b.png"), tmp_path / "out", max_files=1)
    with pytest.raises(BenchError, match="got a name that occurs twice"):
        unpack(zipped(tmp_path / "y", "one/a.png", "two/a.png"), tmp_path / "out")


@pytest.mark.parametrize("kind", ["zip", "tar", "text"])
def test_a_damaged_archive(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / "x"
    if kind == "text":
        archive.write_text("no archive")
    else:
        (zipped if kind == "zip" else tarred)(archive, "a.png")
        data = bytearray(archive.read_bytes())
        data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
        archive.write_bytes(data)
    with pytest.raises(BenchError, match="expected a whole zip or tar file, got a damaged one"):
        unpack(archive, tmp_path / "out")


def test_a_full_disk_is_not_a_damaged_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(tmp_path / "x", "a.png")
    (tmp_path / "out/.a.png.part").mkdir(parents=True)  # cannot be opened for writing
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    with pytest.raises(StorageError, match=r"a.png: expected a place to write to, got Is a directory"):
        unpack(archive, tmp_path / "out")


def test_wanted_must_give_plain_names(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a plain file name"):
        extract(zipped(tmp_path / "x", "a.png"), lambda name: "../a.png", tmp_path, max_bytes=10, max_files=1)
