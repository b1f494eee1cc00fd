"""Archives that mean harm, and those that do not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
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
    with pytest.raises(BenchError, match=r"expected HR/a.png to be a plain file, got a (link|device or pipe)"):
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
    with pytest.raises(BenchError, match="expected less data in it"):
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


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x", "ä.png")
    data = archive.read_bytes().replace("ä.png".encode(), b"\xff\xff.png")
    archive.write_bytes(data)
    with pytest.raises(BenchError, match=r"x: expected a whole zip or tar file, got a damaged one \('utf-8' codec"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_members_that_cannot_be_unpacked_piece_by_piece(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "x", "w", method) as bundle:
        bundle.writestr("a.png", bytes(1000))
    with pytest.raises(
        BenchError, match=r"got one compressed with (bzip2|lzma); extract it by hand and import the folder"
    ):
        unpack(tmp_path / "x", tmp_path / "out")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("unwanted", [False, True])
def test_a_tar_file_that_ends_between_two_members(tmp_path: Path, mode: str, unwanted: bool) -> None:
    names = ("HR/notes.txt", "HR/more.txt") if unwanted else ("HR/a.png", "HR/b.png")
    whole = tarred(tmp_path / "whole", *names, mode="w").read_bytes()
    cut = whole[:1024]  # one header and its block of data
    packed = {"w": bytes, "w:gz": gzip.compress, "w:bz2": bz2.compress, "w:xz": lzma.compress}[mode](cut)
    (tmp_path / "x").write_bytes(packed)
    with pytest.raises(BenchError, match=r"got a damaged one \(it ends early, or a header is damaged\)"):
        unpack(tmp_path / "x", tmp_path / "out")


def test_a_later_damaged_header(tmp_path: Path) -> None:
    data = bytearray(tarred(tmp_path / "x", "HR/a.png", "HR/b.png", mode="w").read_bytes())
    data[1024 + 150] ^= 1  # in the second header's checksum
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BenchError, match="a header is damaged"):
        unpack(tmp_path / "x", tmp_path / "out")


def test_a_checksum_at_the_end_that_is_wrong(tmp_path: Path) -> None:
    data = bytearray(tarred(tmp_path / "x", "HR/a.png").read_bytes())
    data[-6] ^= 1  # in gzip's CRC
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BenchError, match=r"got a damaged one .*incorrect data check"):
        unpack(tmp_path / "x", tmp_path / "out")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files_that_are_joined_and_padded(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    data = tarred(tmp_path / "whole", "HR/a.png", "HR/b.png", mode="w").read_bytes()
    padding = bytes(0 if pack is bz2.compress else 70_000)
    (tmp_path / "x").write_bytes(pack(data[:700]) + pack(data[700:]) + padding)
    assert len(unpack(tmp_path / "x", tmp_path / "out")) == 2


@pytest.mark.parametrize("size", [1, 511, 512, 513, 1 << 16, (1 << 16) + 1])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_members_of_every_size_come_out_as_they_went_in(tmp_path: Path, size: int, mode: str) -> None:
    contents = [random.Random(size + i).randbytes(size) if i else bytes(size) for i in range(3)]
    with tarfile.open(tmp_path / "x", mode) as tar:  # type: ignore[call-overload]
        for i, content in enumerate(contents):
            info = tarfile.TarInfo(f"{'long/' * 40}{i}.png")
            info.size = size
            tar.addfile(info, io.BytesIO(content))
    files = unpack(tmp_path / "x", tmp_path / "out", max_bytes=3 * size)
    assert [file.read_bytes() for file in files] == contents


BOMB = 100_000_000


def header(name: str, kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.USTAR_FORMAT)


def bomb(path: Path, kind: str) -> Path:
    """A small file of which a large thing comes out: all at once, if nobody minds."""
    if kind in ("pax header", "long name"):
        start = header("x", tarfile.XHDTYPE if kind == "pax header" else tarfile.GNUTYPE_LONGNAME, BOMB)
        body = b"%d comment=" % BOMB if kind == "pax header" else b""
        with gzip.open(path, "wb", 1) as stream:
            stream.write(start + body)
            for _ in range(BOMB // 1_000_000):
                stream.write(b"a" * 1_000_000)
    elif kind == "many attributes":
        records = b"".join(b"%d a%07d=1\n" % (len(b"00 a0000000=1\n"), i) for i in range(60_000))
        with gzip.open(path, "wb", 1) as stream:
            for _ in range(10):
                stream.write(header("x", tarfile.XGLTYPE, len(records)) + records)
                stream.write(bytes(-len(records) % 512) + header("f", tarfile.REGTYPE, 0))
    elif kind == "xz dictionary":
        small = lzma.compress(bytes(20_000), filters=[{"id": lzma.FILTER_LZMA2, "preset": 0}])
        data = bytearray(small)
        data[16] = 34  # the dictionary's size in the block header, 2 GiB; its checksum follows
        length = (data[12] + 1) * 4
        data[12 + length - 4 : 12 + length] = zlib.crc32(data[12 : 12 + length - 4]).to_bytes(4, "little")
        path.write_bytes(data)
    elif kind in ("bzip2", "lzma"):
        method = zipfile.ZIP_BZIP2 if kind == "bzip2" else zipfile.ZIP_LZMA
        with zipfile.ZipFile(path, "w", method) as bundle, bundle.open("a.png", "w") as stream:
            for _ in range(BOMB // 1_000_000):
                stream.write(bytes(1_000_000))
    return path


_PEAK = """
import resource, sys
from pathlib import Path
from bench.downloads.archive import extract
from bench.errors import BenchError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    extract(Path(sys.argv[1]), lambda name: Path(name).name, Path(sys.argv[2]), max_bytes=10_000_000, max_files=10)
    print("unpacked")
except BenchError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def peak(archive: Path, target: Path) -> tuple[str, int]:
    """(message, MB that unpacking took) in a process of its own."""
    target.mkdir()
    done = subprocess.run([sys.executable, "-c", _PEAK, archive, target], capture_output=True, text=True, check=True)
    message, megabytes = done.stdout.splitlines()
    return message, int(megabytes)


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts kilobytes on Linux alone")
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("pax header", "expected headers of at most 1 MB for each member, got more"),
        ("long name", "expected headers of at most 1 MB for each member, got more"),
        ("many attributes", "expected a tar file with few attributes, got one with more than 1000"),
        ("xz dictionary", "got a damaged one (Memory usage limit exceeded)"),
        pytest.param("bzip2", "got one compressed with bzip2", marks=pytest.mark.slow),
        pytest.param("lzma", "got one compressed with lzma", marks=pytest.mark.slow),
    ],
)
def test_memory_stays_bounded(tmp_path: Path, kind: str, message: str) -> None:
    archive = bomb(tmp_path / "x", kind)
    assert archive.stat().st_size < 3_000_000
    said, megabytes = peak(archive, tmp_path / "out")
    assert message in said
    assert megabytes < 60  # lzma's own library takes some 10, one member's attributes some 30


def test_a_directory_that_would_not_fit(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x", "a.png")
    data = bytearray(archive.read_bytes())
    end = data.rindex(b"PK\x05\x06")
    data[end + 12 : end + 16] = (1 << 30).to_bytes(4, "little")
    archive.write_bytes(data)
    with pytest.raises(BenchError, match=r"x: expected a directory of at most 24 MB, got 1,073,741,824 bytes"):
        unpack(archive, tmp_path / "out")


def test_what_nobody_wants_is_not_unpacked_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.downloads.archive._SKIPPED", 1_000_000)
    with tarfile.open(tmp_path / "x", "w:gz") as tar:
        info = tarfile.TarInfo("notes.txt")
        info.size = 3_000_000
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    with pytest.raises(BenchError, match="expected less data in it, got more than is safe"):
        unpack(tmp_path / "x", tmp_path / "out", max_bytes=1)
