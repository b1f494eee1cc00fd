"""Downloads that resume, are verified, and never leave a partial file under the final name."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.downloads import http
from bench.downloads.http import AlreadyWhole, CannotResume, Response, Transient, Unreachable
from bench.downloads.locks import one_at_a_time
from bench.errors import BenchError, StorageError
from bench.files import unwritable
from hcflow.files import digest_of

__all__ = ["Remote", "Unreachable", "Watcher", "download", "refuse_offline"]

_BACKOFF = (1.0, 4.0, 16.0)  # seconds before each retry of a mirror
_RESERVE = 1 << 20  # bytes that stay free on the disk


@dataclass(frozen=True)
class Remote:
    """One file on the web.

    Attributes:
        urls: mirrors, tried in order; http and https only.
        digests: SHA-256 digests that are accepted, whole or their start, as some file names carry it; empty for any.
        size: bytes, where known.
        limit: the most bytes that are accepted, however many a server sends.
        recorded: the file that holds the digest, where it was only recorded at a first download.
    """

    urls: tuple[str, ...]
    digests: tuple[str, ...] = ()
    size: int | None = None
    limit: int | None = None
    recorded: Path | None = None

    def problem(self, path: Path, digest: str) -> str | None:
        """Why a file is not the expected one; None if it is."""
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
    """Is told of the progress of a download."""

    def start(self, name: str, total: int | None, done: int) -> None:
        """A file starts, or resumes after `done` bytes."""

    def advance(self, n: int) -> None:
        """So many more bytes arrived."""

    def wait(self, reason: str) -> None:
        """The download waits, for that reason."""


def refuse_offline(offline: bool, what: str) -> None:
    """Raise BenchError where the user forbade the network, before any socket is opened."""
    if offline or os.environ.get("HCFLOW_OFFLINE", "") not in ("", "0"):
        raise BenchError(f"offline: expected network access to {what}, got --offline or HCFLOW_OFFLINE; run it without")


def download(
    remote: Remote,
    target: Path,
    watcher: Watcher | None = None,
    offline: bool = False,
    check: Callable[[Path], object] | None = None,
    fresh: bool = False,
) -> str:
    """Download a file; a partial download of an earlier call is resumed.

    The bytes go to `<target>.part`, which takes the target's name only once size and digest are right. A target that is
    valid already is not downloaded again; one that is wrong is replaced. Of several processes that want the same
    target, one downloads it and the others wait for it.

    Args:
        remote: what is expected.
        target: where it goes; its folder exists.
        watcher: told of the progress.
        offline: refuse to use the network.
        check: looks at the part before it takes the target's name, and raises BenchError where it is wrong.
        fresh: download it even if a valid file is there.

    Returns:
        Its SHA-256, to be recorded where none is published.

    Raises:
        Unreachable: no mirror answered.
        BenchError: offline, nowhere to write, or no mirror gave the file that was expected.
    """
    if not fresh and (digest := _present(remote, target)) is not None:
        return digest
    refuse_offline(offline, f"download {target.name}")

    def waiting() -> None:
        if watcher:
            watcher.wait(f"another process is downloading {target.name}: waiting for it")

    with one_at_a_time(target, waiting):
        if not fresh and (digest := _present(remote, target)) is not None:  # the process waited for made it
            return digest
        return _from_mirrors(remote, target, watcher, check)


def _present(remote: Remote, target: Path) -> str | None:
    """The digest of a target that is there and right."""
    if not target.is_file():
        return None
    with _storing(target):
        digest = digest_of(target)
    return digest if remote.problem(target, digest) is None else None


def _from_mirrors(remote: Remote, target: Path, watcher: Watcher | None, check: Callable[[Path], object] | None) -> str:
    problems: list[BenchError] = []
    for url in remote.urls:
        try:
            with _storing(target):
                _download_from(url, remote, target, watcher)
                return _accept(remote, target, check)
        except StorageError:
            raise
        except BenchError as error:
            problems.append(type(error)(f"{url}: {error}"))
    nobody = all(isinstance(problem, Unreachable) for problem in problems)
    raise (Unreachable if nobody else BenchError)("; ".join(map(str, problems)))


def _accept(remote: Remote, target: Path, check: Callable[[Path], object] | None) -> str:
    """Give a part that is right the target's name; forget one that is wrong."""
    part = _part(target)
    digest = digest_of(part)
    try:
        if problem := remote.problem(part, digest):
            raise BenchError(problem)
        if check:
            check(part)
    except BenchError:
        _forget(target)
        raise
    part.replace(target)
    _forget(target)
    return digest


def _download_from(url: str, remote: Remote, target: Path, watcher: Watcher | None) -> None:
    """One mirror, several tries; each resumes where the one before stopped."""
    for backoff in (*_BACKOFF, None):
        try:
            _attempt(url, remote, target, watcher)
            return
        except Transient as error:
            if backoff is None:
                raise Unreachable(f"{error}; tried {len(_BACKOFF) + 1} times, run it again to resume") from None
            pause = max(backoff, error.pause)
            if watcher and pause > 2:
                watcher.wait(f"{error}: trying again in {pause:.0f} seconds")
            time.sleep(pause)


def _attempt(url: str, remote: Remote, target: Path, watcher: Watcher | None) -> None:
    done, tag = _resumable(url, target)
    try:
        with http.get(url, done, tag) as response:
            _receive(url, response, remote, target, watcher)
    except AlreadyWhole:
        return
    except CannotResume as error:
        _forget(target)
        raise Transient(str(error)) from None


def _receive(url: str, response: Response, remote: Remote, target: Path, watcher: Watcher | None) -> None:
    """Write the body to the part, after its first bytes if that is what the server sends, else from the start."""
    done = response.first
    total = remote.size if response.length is None else done + response.length
    if total is not None and (problem := remote.too_much(total)):
        raise BenchError(problem)
    if remote.size is not None and total != remote.size:
        raise BenchError(f"expected {remote.size} bytes, got {total}")
    free = shutil.disk_usage(target.parent).free
    if total is not None and total - done > free - _RESERVE:
        raise StorageError(f"{target.parent}: expected {total - done} bytes of free space, got {free}; free some space")
    _note(target).write_text(json.dumps({"url": url, "tag": response.tag}), encoding="utf-8")
    if watcher:
        watcher.start(target.name, total, done)
    with _part(target).open("ab" if done else "wb") as stream:
        for chunk in response.chunks():  # whatever ends this, what came before stays
            done += len(chunk)
            if problem := remote.too_much(done):
                raise BenchError(problem)
            stream.write(chunk)
            stream.flush()
            if watcher:
                watcher.advance(len(chunk))
    if done == 0:
        raise Transient("expected a file, got nothing")
    if total is not None and done < total:
        raise Transient(f"the connection ended after {done} of {total} bytes")


@contextmanager
def _storing(target: Path) -> Iterator[None]:
    """Report a full disk as such, not as a broken connection."""
    try:
        yield
    except OSError as error:
        raise StorageError(unwritable(target, error)) from None


def _resumable(url: str, target: Path) -> tuple[int, str]:
    """How many bytes of this very file there are, and the tag that says so; 0 where a server gave no tag."""
    try:
        note = json.loads(_note(target).read_text(encoding="utf-8"))
        tag = str(note["tag"])
        if note["url"] == url and tag and not tag.startswith("W/") and tag.isascii() and tag.isprintable():
            return _part(target).stat().st_size, tag
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return 0, ""


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _note(target: Path) -> Path:
    return target.with_name(target.name + ".part.json")


def _forget(target: Path) -> None:
    _part(target).unlink(missing_ok=True)
    _note(target).unlink(missing_ok=True)
