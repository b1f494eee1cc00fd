"""Downloads that resume, are compared with what was expected, and never leave half a file under its name."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit
from urllib.request import Request

from bench.errors import BenchError, StorageError

_CHUNK = 1 << 20
_TIMEOUT = 30.0  # seconds without a byte
_BACKOFF = (1.0, 4.0, 16.0)  # seconds before each retry of a mirror
_TRANSIENT = (408, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Remote:
    """One file on the web.

    Attributes:
        urls: mirrors, tried in order; http and https only.
        digests: SHA-256 digests that are accepted, whole or their start, as some file names carry it; empty for any.
        size: bytes, where known.
        limit: bytes that no such file has, however many a server sends.
        recorded: the file that holds the digest, where it was only recorded at a first download.
    """

    urls: tuple[str, ...]
    digests: tuple[str, ...] = ()
    size: int | None = None
    limit: int | None = None
    recorded: Path | None = None

    def problem(self, path: Path, digest: str) -> str | None:
        """What is wrong with a file that claims to be this one; None where nothing is."""
        if self.size is not None and path.stat().st_size != self.size:
            return f"expected {self.size} bytes, got {path.stat().st_size}"
        if self.digests and not digest.startswith(self.digests):
            expected = " or ".join(known[:16] for known in self.digests)
            since = f" (as first downloaded, see {self.recorded}; delete its line to accept another)"
            return f"expected SHA-256 {expected}{since if self.recorded else ''}, got {digest[:16]}"
        return None

    def too_much(self, size: int) -> str | None:
        """What is wrong with a body of at least this size."""
        if self.size is not None and size > self.size:
            return f"expected {self.size} bytes, got more"
        if self.limit is not None and size > self.limit:
            return f"expected at most {self.limit} bytes, got more"
        return None


class Watcher(Protocol):
    """Whoever wants to see a download go on."""

    def start(self, name: str, total: int | None, done: int) -> None:
        """A file starts, or goes on from `done` bytes."""

    def advance(self, n: int) -> None:
        """That many bytes more."""


class Unreachable(BenchError):
    """No server answered: what is asked for next will hardly come either."""


class _Transient(Exception):
    """Worth another try."""


def refuse_offline(offline: bool, what: str) -> None:
    """Raise BenchError, before any socket is opened, where the user forbade the network."""
    if offline or os.environ.get("HCFLOW_OFFLINE", "") not in ("", "0"):
        raise BenchError(f"offline: expected leave to {what}, got --offline or HCFLOW_OFFLINE; run it without")


def download(remote: Remote, target: Path, watcher: Watcher | None = None, offline: bool = False) -> str:
    """Download a file; a part that an earlier call left behind is gone on with.

    The bytes go to `<target>.part`, which takes the target's name only once size and digest are right. A target that is
    there and right is not downloaded again; one that is there and wrong is replaced.

    Returns:
        Its SHA-256, for whoever wants to remember it where none is published.

    Raises:
        Unreachable: no mirror answered.
        BenchError: offline, nowhere to write, or no mirror gave the file that was expected.
    """
    if target.is_file() and remote.problem(target, digest := _digest(target)) is None:
        return digest
    refuse_offline(offline, f"download {target.name}")
    problems: list[BenchError] = []
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
            problems.append(type(error)(f"{url}: {error}"))
        except OSError as error:
            raise StorageError(f"{target}: expected a place to write to, got {error.strerror or error}") from None
    nobody = all(isinstance(problem, Unreachable) for problem in problems)
    raise (Unreachable if nobody else BenchError)("; ".join(map(str, problems)))


def _download_from(url: str, remote: Remote, target: Path, watcher: Watcher | None) -> None:
    """One mirror, several tries; each goes on where the one before stopped."""
    for pause in (*_BACKOFF, None):
        try:
            _attempt(url, remote, target, watcher)
            return
        except _Transient as error:
            if pause is None:
                raise Unreachable(f"{error}; tried {len(_BACKOFF) + 1} times, run it again to go on") from None
            time.sleep(pause)


def _attempt(url: str, remote: Remote, target: Path, watcher: Watcher | None) -> None:
    done, tag = _resumable(url, target)
    headers = {"User-Agent": "hcflow-bench", "Accept-Encoding": "identity"}
    if done:
        headers |= {"Range": f"bytes={done}-", "If-Range": tag}
    try:
        with _open(url, headers) as response:
            _receive(url, response, done, remote, target, watcher)
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
            raise Unreachable(f"expected an answer, got {error.reason.strerror}; is this machine online?") from None
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise Unreachable(f"expected a certificate to trust, got {error.reason.verify_message}") from None
        raise _Transient(str(error.reason)) from None
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise _Transient(f"the connection broke ({type(error).__name__})") from None


def _receive(
    url: str, response: http.client.HTTPResponse, done: int, remote: Remote, target: Path, watcher: Watcher | None
) -> None:
    """Write the body to the part, after its `done` bytes if that is what the server sends, else from the start."""
    if response.headers.get_content_type() == "text/html":  # none of our files is one; proxies answer 200 with theirs
        raise BenchError("expected a file, got a web page: a login or an error; look at it in a browser")
    if response.status != 206:
        done = 0
    elif not response.headers.get("Content-Range", f"bytes {done}-").startswith(f"bytes {done}-"):
        _forget(target)
        raise _Transient("the server went on somewhere else")
    rest = response.headers.get("Content-Length", "")
    total = done + int(rest) if rest.isdecimal() else remote.size
    if total is not None and (problem := remote.too_much(total)):
        raise BenchError(problem)
    if remote.size is not None and total != remote.size:
        raise BenchError(f"expected {remote.size} bytes, got {total}")
    tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
    _note(target).write_text(json.dumps({"url": url, "tag": tag}), encoding="utf-8")
    if watcher:
        watcher.start(target.name, total, done)
    with _part(target).open("ab" if done else "wb") as stream:
        while chunk := response.read(_CHUNK):  # whatever ends this, what came before stays
            done += len(chunk)
            if problem := remote.too_much(done):
                raise BenchError(problem)
            stream.write(chunk)
            if watcher:
                watcher.advance(len(chunk))
    if total is not None and done < total:
        raise _Transient(f"the connection ended after {done} of {total} bytes")


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
