"""Downloads that resume, are compared with what was expected, and never leave half a file under its name."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit
from urllib.request import Request

from bench.errors import BenchError

_CHUNK = 1 << 20
_TIMEOUT = 30.0  # seconds without a byte
_BACKOFF = (1.0, 4.0, 16.0)  # seconds before each retry of a mirror
_TRANSIENT = (408, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Remote:
    """One file on the web.

    Attributes:
        urls: mirrors, tried in order; http and https only.
        sha256: its whole digest, where known.
        sha256_prefix: the start of it, as some file names carry.
        size: bytes, where known.
    """

    urls: tuple[str, ...]
    sha256: str | None = None
    sha256_prefix: str | None = None
    size: int | None = None

    def problem(self, path: Path, digest: str) -> str | None:
        """What is wrong with a file that claims to be this one; None where nothing is."""
        expected = self.sha256 or self.sha256_prefix or ""
        if self.size is not None and path.stat().st_size != self.size:
            return f"expected {self.size} bytes, got {path.stat().st_size}"
        if not digest.startswith(expected):
            return f"expected SHA-256 {expected[:16]}, got {digest[:16]}"
        return None


class Watcher(Protocol):
    """Whoever wants to see a download go on."""

    def start(self, name: str, total: int | None, done: int) -> None:
        """A file starts, or goes on from `done` bytes."""

    def advance(self, n: int) -> None:
        """That many bytes more."""


class _Transient(Exception):
    """Worth another try."""


def refuse_offline(offline: bool, what: str) -> None:
    """Raise BenchError, before any socket is opened, where the user forbade the network."""
    if offline or os.environ.get("HCFLOW_OFFLINE", "") not in ("", "0"):
        raise BenchError(f"offline: expected leave to {what}, got --offline or HCFLOW_OFFLINE; run it without")


def download(remote: Remote, target: Path, watcher: Watcher | None = None) -> str:
    """Download a file; a part that an earlier call left behind is gone on with.

    The bytes go to `<target>.part`, which takes the target's name only once size and digest are right. A target that is
    there and right is not downloaded again; one that is there and wrong is replaced.

    Returns:
        Its SHA-256, for whoever wants to remember it where none is published.

    Raises:
        BenchError: offline, or no mirror gave the file that was expected.
    """
    refuse_offline(False, f"download {target.name}")
    if target.is_file() and remote.problem(target, digest := _digest(target)) is None:
        return digest
    problems = []
    for url in remote.urls:
        try:
            _download_from(url, remote, target, watcher)
            part = _part(target)
            digest = _digest(part)
            if problem := remote.problem(part, digest):
                _forget(target)
                raise BenchError(problem)
            part.replace(target)
            _forget(target)
            return digest
        except BenchError as error:
            problems.append(f"{url}: {error}")
        except OSError as error:
            raise BenchError(f"{target}: expected a place to write to, got {error.strerror or error}") from None
    raise BenchError("; ".join(problems) or f"{target.name}: expected a URL, got none")


def _download_from(url: str, remote: Remote, target: Path, watcher: Watcher | None) -> None:
    """One mirror, several tries; each goes on where the one before stopped."""
    for pause in (*_BACKOFF, None):
        try:
            _attempt(url, remote, target, watcher)
            return
        except _Transient as error:
            if pause is None:
                raise BenchError(f"{error}; tried {len(_BACKOFF) + 1} times, run it again to go on") from None
            time.sleep(pause)


def _attempt(url: str, remote: Remote, target: Path, watcher: Watcher | None) -> None:
    part = _part(target)
    done, tag = _resumable(url, target)
    headers = {"User-Agent": "hcflow-bench", "Accept-Encoding": "identity"}
    if done:
        headers |= {"Range": f"bytes={done}-", "If-Range": tag}
    try:
        with _open(url, headers) as response:
            if response.status != 206:
                done = 0
            rest = response.headers.get("Content-Length")
            total = done + int(rest) if rest is not None else remote.size
            _refuse_size(remote, total)
            tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
            _note(target).write_text(json.dumps({"url": url, "tag": tag}), encoding="utf-8")
            if watcher:
                watcher.start(target.name, total, done)
            with part.open("ab" if done else "wb") as stream:
                received = _copy(response, stream, remote, done, watcher)
        if total is not None and received < total:
            raise _Transient(f"the connection ended after {received} of {total} bytes")
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # nothing follows the part: it is whole, or not a part of what is there now
            if error.headers.get("Content-Range", "") == f"bytes */{done}":
                return
            _forget(target)
            raise _Transient("the server refused to go on with the part") from None
        if error.code in _TRANSIENT:
            raise _Transient(f"HTTP {error.code}") from None
        raise BenchError(f"expected the file, got HTTP {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, socket.gaierror):
            raise BenchError(f"expected an answer, got {error.reason.strerror}; is this machine online?") from None
        raise _Transient(str(error.reason)) from None
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise _Transient(f"the connection broke ({type(error).__name__})") from None


def _copy(response: IO[bytes], stream: IO[bytes], remote: Remote, done: int, watcher: Watcher | None) -> int:
    """Copy the body; returns the size of the part, whatever ended it is raised after what came was written."""
    while chunk := response.read(_CHUNK):
        done += len(chunk)
        _refuse_size(remote, done if remote.size is not None and done > remote.size else None)
        stream.write(chunk)
        if watcher:
            watcher.advance(len(chunk))
    return done


def _refuse_size(remote: Remote, size: int | None) -> None:
    if size is not None and remote.size is not None and size != remote.size:
        raise BenchError(f"expected {remote.size} bytes, got {'more' if size > remote.size else size}")


class _HttpOnly(urllib.request.HTTPRedirectHandler):
    """A redirect may not lead from the web to a local file."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        """Follow, but only to http and https."""
        _refuse_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    _refuse_scheme(url)
    opener = urllib.request.build_opener(_HttpOnly)
    response: http.client.HTTPResponse = opener.open(Request(url, headers=headers), timeout=_TIMEOUT)
    return response


def _refuse_scheme(url: str) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise BenchError(f"expected an http or https address, got {url}")


def _resumable(url: str, target: Path) -> tuple[int, str]:
    """How many bytes of this very file there are, and the tag that says so; 0 where a server gave no tag."""
    try:
        note = json.loads(_note(target).read_text(encoding="utf-8"))
        if note["url"] == url and note["tag"] and not str(note["tag"]).startswith("W/"):
            return _part(target).stat().st_size, str(note["tag"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, ""


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _note(target: Path) -> Path:
    return target.with_name(target.name + ".part.json")


def _forget(target: Path) -> None:
    _part(target).unlink(missing_ok=True)
    _note(target).unlink(missing_ok=True)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
