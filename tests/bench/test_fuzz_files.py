"""Thousands of files and answers that are damaged or mean harm: each is one line, in bounded memory."""

from __future__ import annotations

import copy
import io
import json
import random
import resource
import socket
import string
import sys
import tarfile
import threading
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from safetensors.torch import save_file

from bench import contents
from bench.contents import read_contents
from bench.datasets.manifest import parse_manifest
from bench.downloads import fetch, http
from bench.downloads.archive import extract
from bench.downloads.digests import DigestRecord
from bench.downloads.fetch import Remote, download
from bench.errors import BenchError
from bench.structured import build
from bench.weights.entries import WeightEntry

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="measures and bounds memory as Linux does"),
    pytest.mark.filterwarnings("ignore"),
]
MEMORY = 600  # MB beyond what the test started with: the bound of `extract` for zip directories, and some
INTERESTING = [0, 1, -1, 127, 128, 255, 256, 2**15, 2**31 - 1, 2**32 - 1, 2**63, 10**30]


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < MEMORY


def one_line(error: BenchError) -> None:
    assert str(error).isprintable(), repr(str(error))
    assert len(str(error)) < 3000


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Bytes with one to four damages: flipped, cut, repeated, removed, or numbers at the ends of their ranges."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if not out:
            break
        place, kind = rng.randrange(len(out)), rng.randrange(7)
        if kind == 0:
            out[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[place] = rng.randrange(256)
        elif kind == 2:
            del out[place:]
        elif kind == 3:
            del out[place : place + rng.randint(1, 64)]
        elif kind == 4:
            out[place:place] = out[place : place + rng.randint(1, 64)] * rng.randint(1, 8)
        elif kind == 5:
            width = rng.choice([1, 2, 4, 8])
            value = rng.choice(INTERESTING) & (256**width - 1)
            out[place : place + width] = value.to_bytes(width, rng.choice(["little", "big"]))
        else:
            out[place : place + 4] = rng.randbytes(4)
    return bytes(out)


def archives() -> list[bytes]:
    """One of each kind that is read."""
    made = []
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        for layout in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
            stream = io.BytesIO()
            with tarfile.open(fileobj=stream, mode=mode, format=layout) as tar:  # type: ignore[call-overload]
                for name in ("HR/a.png", f"{'ü' * 120}/b.png", "notes.txt"):
                    info = tarfile.TarInfo(name)
                    info.size = 700
                    tar.addfile(info, io.BytesIO(bytes(range(100)) * 7))
            made.append(stream.getvalue())
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as bundle:
            for name in ("HR/a.png", "ü/b.png", "notes.txt"):
                bundle.writestr(name, bytes(range(100)) * 7)
        made.append(stream.getvalue())
    return made


def test_archives(tmp_path: Path) -> None:
    rng, kinds = random.Random(1), archives()
    target, path = tmp_path / "out", tmp_path / "x"
    target.mkdir()
    good = 0
    for case in range(4000):
        data = mutated(rng, kinds[case % len(kinds)])
        path.write_bytes(data)
        try:
            files = extract(
                path, lambda n: Path(n).name if n.endswith(".png") else None, target, max_bytes=10**6, max_files=9
            )
            good += 1
        except BenchError as error:
            one_line(error)
            files = list(target.iterdir())
            assert not any(file.name.endswith(".part") for file in files), case
        assert all(file.parent == target for file in files)
        for file in target.iterdir():
            file.unlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "x"]
    assert 0 < good < 3000  # some damages do no harm


def test_weights(tmp_path: Path) -> None:
    rng, state = random.Random(2), {"a": torch.zeros(3, 4), "b.c": torch.ones(5)}
    torch.save(state, tmp_path / "a")
    torch.save({"params": state, "n": 3}, tmp_path / "b", _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / "c")
    whole = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    for case in range(2500):
        (tmp_path / "x").write_bytes(mutated(rng, whole[case % len(whole)]))
        try:
            read_contents(tmp_path / "x", "tensors")
        except BenchError as error:
            one_line(error)


def test_matlab_files(tmp_path: Path) -> None:
    """Few are read, in processes of their own; the guard before them sees many."""
    rng, path = random.Random(6), tmp_path / "x"
    cells = {"sv": np.zeros((3, 4)), "m": {"x": np.arange(3), "y": "text"}}
    for packed in (False, True):
        scipy.io.savemat(path, cells, appendmat=False, do_compression=packed)
        whole = path.read_bytes()
        for case in range(1000):
            path.write_bytes(mutated(rng, whole))
            try:
                read_contents(path, "matlab") if case % 200 == 0 else contents._refuse_large_matlab(path)
            except BenchError as error:
                one_line(error)


MANIFEST = """
title = "t"
licence = "l"
terms = "t"
cropped = true
images = [{ file = "a.png", width = 3, height = 4, channels = 1, sha256 = "%s", alias = "x" }, { file = "b.png" }]
sources = [{ kind = "archive", urls = ["https://h/x.zip"], member = "HR/{id}.png", size = 9, note = "n" }]
""" % ("0" * 64)
ENTRY = {
    "id": "x", "file": "a/x.pth", "used_by": "u", "licence": "l", "urls": ["https://h/x"], "sha256": ["0" * 64],
    "kind": "tensors", "params": [3], "scale": 4, "task": "rescaling", "shipped": False, "note": "n",
}  # fmt: skip
NAMES = [
    "../../evil",
    "..",
    ".",
    "",
    "/",
    "a/b.png",
    "\0",
    "a\nb",
    "C:\\x",
    "{0}",
    "{id.__class__}",
    "x" * 5000,
    "-x",
    "ü",
]


def strange(rng: random.Random) -> object:
    """A value that hardly fits where it is put."""
    deep: object = 1
    for _ in range(rng.randint(1, 40)):
        deep = [deep] if rng.random() < 0.5 else {"a": deep}
    number = rng.choice(INTERESTING)
    return rng.choice(
        [rng.choice(NAMES), number, -number, 0.5, float("nan"), True, None, [], {}, [3], [[]], {"a": 1}, deep]
    )


def changed(rng: random.Random, table: object) -> object:
    """The same data with a value replaced, added or removed somewhere."""
    out = copy.deepcopy(table)
    node = out
    while isinstance(node, dict | list) and node:
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        child = node[key]  # type: ignore[index]
        if isinstance(child, dict | list) and child and rng.random() < 0.7:
            node = child
            continue
        action = rng.randrange(4)
        if action == 0:
            del node[key]  # type: ignore[arg-type]
        elif action == 1 and isinstance(node, dict):
            node["".join(rng.choices(string.ascii_lowercase, k=5))] = strange(rng)
        else:
            node[key] = strange(rng)  # type: ignore[index,assignment]
        break
    return out


def test_manifests_and_entries() -> None:
    rng, manifest = random.Random(3), tomllib.loads(MANIFEST)
    accepted = 0
    for case in range(4000):
        try:
            if case % 2:
                build(WeightEntry, changed(rng, ENTRY), "x")
            else:
                name = rng.choice(["Toy", "Toy", "Toy", *NAMES])
                found = parse_manifest(name, changed(rng, manifest), "x")  # type: ignore[arg-type]
                for entry in found.images:
                    path = Path("/root/HR") / entry.file
                    assert path.parent == Path("/root/HR")
                    assert path.name not in ("", ".", "..")
                    for source in found.sources:
                        [url.format(id=entry.id, alias=entry.alias) for url in (*source.urls, source.member)]
            accepted += 1
        except BenchError as error:
            one_line(error)
    assert accepted > 200


def test_records_of_digests(tmp_path: Path) -> None:
    rng = random.Random(4)
    whole = json.dumps({"a": "0" * 64, "b": "1" * 64}).encode()
    for case in range(1000):
        path = tmp_path / f"{case}.json"
        path.write_bytes(mutated(rng, whole) if case else b"[" * 100_000)
        try:
            assert all(isinstance(value, str) for value in DigestRecord(path).read().values())
        except BenchError as error:
            one_line(error)
        path.unlink()


ANSWERS = [
    b'HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 20\r\nETag: "x"\r\n\r\n' + b"0123456789" * 2,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
    b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-19/20\r\nContent-Length: 20\r\n\r\n" + b"0123456789" * 2,
    b"HTTP/1.1 302 Found\r\nLocation: http://[bad/%\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 429 Slow\r\nRetry-After: Wed, 21 Oct 2035 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 416 No\r\nContent-Range: bytes */20\r\nContent-Length: 0\r\n\r\n",
]


@pytest.fixture
def address() -> Iterator[tuple[str, Callable[[bytes], None]]]:
    """(address, what to answer next) of a server that then hangs up."""
    listener, said = socket.create_server(("127.0.0.1", 0)), [b""]

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.settimeout(5)
                    connection.recv(65536)
                    connection.sendall(said[0])
                except OSError:
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/x", lambda data: said.__setitem__(0, data)
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def test_downloads(
    address: tuple[str, Callable[[bytes], None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_BACKOFF", ())
    monkeypatch.setattr(http, "TIMEOUT", 2.0)
    monkeypatch.setenv("no_proxy", "*")
    url, answer = address
    rng, target = random.Random(5), tmp_path / "x"
    for case in range(1500):
        data = ANSWERS[case % len(ANSWERS)]
        head, _, body = data.partition(b"\r\n\r\n")
        answer(mutated(rng, head) + b"\r\n\r\n" + body if case % 3 else mutated(rng, data))
        try:
            download(Remote((url,), limit=10**6), target)
            assert target.stat().st_size <= 10**6
        except BenchError as error:
            one_line(error)
            assert not target.exists()
        for path in tmp_path.iterdir():
            path.unlink()
