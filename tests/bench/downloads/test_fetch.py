"""Downloads against a server on this machine that misbehaves in every way that servers do."""

from __future__ import annotations

import email.utils
import hashlib
import multiprocessing
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench.downloads import fetch, http
from bench.downloads.fetch import Remote, Unreachable, download, refuse_offline
from bench.downloads.locks import one_at_a_time
from bench.errors import BenchError

BODY = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(BODY).hexdigest()


class Server:
    """Serves BODY at any path; what it does wrong is set by the test."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str | None]] = []
        self.statuses: list[int] = []  # answered in turn before anything else
        self.cut: int | None = None  # bytes after which the first connection ends
        self.ranges = True
        self.tag = '"one"'
        self.retry_after = ""
        self.body = BODY
        self.location: str | None = None
        self.kind = "application/octet-stream"
        self.length: str | None = None  # instead of the true one
        self.shift = 0  # bytes that a part begins too late
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers.get("Range")))
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if self.statuses:
            request.send_response(self.statuses.pop(0))
            if self.retry_after:
                request.send_header("Retry-After", self.retry_after)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        if self.location:
            request.send_response(302)
            request.send_header("Location", self.location)
            request.send_header("Content-Length", "0")
            self.location = None
            request.end_headers()
            return
        asked = request.headers.get("Range")
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        if first and request.headers.get("If-Range") != self.tag:
            first = 0
        if first >= len(self.body):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(self.body)}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        status = 206 if first else 200
        first += self.shift if first else 0
        rest = self.body[first:]
        request.send_response(status)
        if status == 206:
            request.send_header("Content-Range", f"bytes {first}-{len(self.body) - 1}/{len(self.body)}")
        request.send_header("Content-Type", self.kind)
        request.send_header("Content-Length", self.length or str(len(rest)))
        request.send_header("ETag", self.tag)
        request.end_headers()
        if self.cut is not None:
            rest, self.cut = rest[: self.cut], None
            request.close_connection = True
        request.wfile.write(rest)

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetch, "_BACKOFF", (0.0, 0.0, 0.0))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Server()
    yield running
    running.close()


def remote(server: Server, **known: object) -> Remote:
    return Remote((f"{server.url}/file.bin",), **{"digests": (DIGEST,), **known})  # type: ignore[arg-type]


def leftovers(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path != target)


class Watcher:
    """Counts."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int | None, int]] = []
        self.bytes = 0
        self.waits: list[str] = []

    def start(self, name: str, total: int | None, done: int) -> None:
        self.started.append((name, total, done))

    def advance(self, n: int) -> None:
        self.bytes += n

    def wait(self, reason: str) -> None:
        self.waits.append(reason)


def test_a_file_arrives_whole_and_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    target, watcher = tmp_path / "file.bin", Watcher()
    assert download(remote(server, size=len(BODY)), target, watcher) == DIGEST
    assert target.read_bytes() == BODY
    assert (watcher.started, watcher.bytes) == ([("file.bin", len(BODY), 0)], len(BODY))
    assert download(remote(server), target) == DIGEST
    assert len(server.requests) == 1
    assert leftovers(target) == []


def test_an_interrupted_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.cut = 300_000
    target = tmp_path / "file.bin"
    assert download(remote(server), target) == DIGEST
    assert [asked for _, asked in server.requests] == [None, "bytes=300000-"]


def test_so_does_one_that_a_killed_process_left(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "file.bin"

    class Killed(BaseException):
        pass

    class Kills(Watcher):
        def advance(self, n: int) -> None:
            raise Killed

    monkeypatch.setattr(http, "_CHUNK", 1000)
    with pytest.raises(Killed):
        download(remote(server), target, Kills())
    assert not target.exists()
    assert download(remote(server), target) == DIGEST
    assert server.requests[1][1] == "bytes=1000-"


def test_a_part_that_was_already_whole_is_taken(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    target.with_name("file.bin.part").write_bytes(BODY)
    target.with_name("file.bin.part.json").write_text(f'{{"url": "{server.url}/file.bin", "tag": "\\"one\\""}}')
    assert download(remote(server), target) == DIGEST
    assert len(server.requests) == 1


def test_a_file_that_changed_meanwhile_starts_again(server: Server, tmp_path: Path) -> None:
    server.cut, server.tag = 300_000, '"old"'
    real = server.answer

    def changed(request: BaseHTTPRequestHandler) -> None:
        if len(server.requests) == 2:
            server.tag = '"new"'
        real(request)

    server.answer = changed  # type: ignore[method-assign]
    assert download(remote(server), tmp_path / "file.bin") == DIGEST


def test_a_server_that_cannot_go_on_starts_again(server: Server, tmp_path: Path) -> None:
    server.cut, server.ranges = 300_000, False
    assert download(remote(server), tmp_path / "file.bin") == DIGEST
    assert len(server.requests) == 2


@pytest.mark.parametrize("tag", ["", 'W/"weak"'])
def test_without_a_strong_tag_a_part_is_not_gone_on_with(server: Server, tmp_path: Path, tag: str) -> None:
    server.cut, server.tag = 300_000, tag
    assert download(remote(server), tmp_path / "file.bin") == DIGEST
    assert [asked for _, asked in server.requests] == [None, None]


def test_a_server_that_goes_on_somewhere_else_starts_again(server: Server, tmp_path: Path) -> None:
    server.cut, server.shift = 300_000, 7
    assert download(remote(server, digests=()), tmp_path / "file.bin") == DIGEST
    assert [asked for _, asked in server.requests] == [None, "bytes=300000-", None]


def test_a_web_page_is_not_the_file(server: Server, tmp_path: Path) -> None:
    server.kind = "text/html; charset=utf-8"
    with pytest.raises(BenchError, match="expected a file, got a web page: a login or an error"):
        download(remote(server, digests=()), tmp_path / "file.bin")
    assert leftovers(tmp_path / "file.bin") == []


@pytest.mark.parametrize("length", [None, "nonsense"])
def test_no_more_is_taken_than_such_a_file_can_have(server: Server, tmp_path: Path, length: str | None) -> None:
    server.length = length
    with pytest.raises(BenchError, match="expected at most 1000 bytes, got more"):
        download(remote(server, limit=1000), tmp_path / "file.bin")
    assert not (tmp_path / "file.bin").exists()


def test_nobody_answering_is_told_from_a_wrong_answer(server: Server, tmp_path: Path) -> None:
    server.statuses = [503] * 8
    with pytest.raises(Unreachable):
        download(Remote((f"{server.url}/a", f"{server.url}/b")), tmp_path / "x")
    server.statuses = [503] * 4 + [404]
    with pytest.raises(BenchError) as error:
        download(Remote((f"{server.url}/a", f"{server.url}/b")), tmp_path / "x")
    assert not isinstance(error.value, Unreachable)


def test_a_server_that_recovers(server: Server, tmp_path: Path) -> None:
    server.statuses = [500, 503, 429]
    assert download(remote(server), tmp_path / "file.bin") == DIGEST


def test_a_server_that_does_not(server: Server, tmp_path: Path) -> None:
    server.statuses = [500] * 4
    with pytest.raises(BenchError, match=r"/file.bin: HTTP 500; tried 4 times, run it again to resume"):
        download(remote(server), tmp_path / "file.bin")


def test_the_next_mirror_is_tried(server: Server, tmp_path: Path) -> None:
    server.statuses = [404]
    both = Remote((f"{server.url}/gone", f"{server.url}/here"), digests=(DIGEST,))
    assert download(both, tmp_path / "file.bin") == DIGEST
    assert [path for path, _ in server.requests] == ["/gone", "/here"]


def test_another_file_is_refused_and_forgotten(server: Server, tmp_path: Path) -> None:
    server.body = BODY[::-1]
    target = tmp_path / "file.bin"
    for known in ({}, {"digests": (DIGEST[:8], "0123")}):
        with pytest.raises(BenchError, match=rf"/file.bin: expected SHA-256 {DIGEST[:8]}.*, got "):
            download(remote(server, **known), target)
        assert not target.exists()
        assert leftovers(target) == []


@pytest.mark.parametrize(("size", "got"), [(len(BODY) - 1, "more"), (len(BODY) + 1, str(len(BODY)))])
def test_a_wrong_size_is_refused_before_the_body(server: Server, tmp_path: Path, size: int, got: str) -> None:
    with pytest.raises(BenchError, match=f"expected {size} bytes, got {got}"):
        download(remote(server, size=size), tmp_path / "file.bin")
    assert not (tmp_path / "file.bin").exists()


def test_a_wrong_file_under_the_name_is_replaced(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    target.write_bytes(b"wrong")
    assert download(remote(server), target) == DIGEST
    assert target.read_bytes() == BODY


def test_redirects_stay_on_the_web(server: Server, tmp_path: Path) -> None:
    server.location = f"{server.url}/elsewhere"
    assert download(remote(server), tmp_path / "a") == DIGEST
    for location in ("ftp://127.0.0.1/x", "file:///etc/passwd"):
        server.location = location
        with pytest.raises(BenchError, match=r"expected an http or https address, got ftp|file:///.* is not allowed"):
            download(remote(server), tmp_path / "b")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "/etc/passwd"])
def test_other_schemes_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="expected an http or https address"):
        download(Remote((url,)), tmp_path / "x")


def test_offline_means_no_request(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BenchError, match="offline: expected network access to fetch it"):
        refuse_offline(True, "fetch it")
    refuse_offline(False, "fetch it")
    monkeypatch.setenv("HCFLOW_OFFLINE", "1")
    with pytest.raises(BenchError, match=r"offline: expected network access to download file.bin"):
        download(remote(server), tmp_path / "file.bin")
    assert server.requests == []


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="expected a place to write to, got Not a directory"):
        download(remote(server), tmp_path / "file" / "file.bin")


def test_a_name_that_does_not_exist_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_BACKOFF", (1000.0,))
    with pytest.raises(BenchError, match=r"expected an answer, got .*; is this machine online\?"):
        download(Remote(("http://no-such-host.invalid/x",)), tmp_path / "x")


def test_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_BACKOFF", ())
    gone = Server()
    gone.close()
    with pytest.raises(BenchError, match="Connection refused"):
        download(Remote((f"{gone.url}/x",)), tmp_path / "x")


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Starts servers that send these bytes to whoever asks, in pieces with a pause before each; gives their address."""
    monkeypatch.setattr(fetch, "_BACKOFF", ())
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    listening: list[socket.socket] = []
    threads: list[threading.Thread] = []
    over = threading.Event()

    def serve(listener: socket.socket, pieces: list[bytes], pause: float) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    for piece in pieces:
                        if pause and over.wait(pause):
                            return
                        connection.sendall(piece)
                except OSError:
                    pass

    def start(*pieces: bytes, pause: float = 0.0) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listening.append(listener)
        threads.append(threading.Thread(target=serve, args=(listener, list(pieces), pause)))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/file.bin"

    yield start
    over.set()
    for listener in listening:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(5)


def answer(*headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", "Connection: close", *headers, "", ""]).encode("latin-1") + body


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (answer(f"Content-Length: {'9' * 5000}"), "expected a length in bytes, got one of 5000 digits"),
        (answer("Content-Length: 999999999999999"), "expected 999999999999999 bytes of free space, got"),
        (answer("Transfer-Encoding: chunked", body=b"-5\r\n" + bytes(10**6)), "got a negative one"),
        (answer("Transfer-Encoding: chunked", body=b"zz\r\nxx"), "the connection broke (IncompleteRead)"),
        (answer("Transfer-Encoding: chunked", body=b"5\r\nab"), "the connection broke (IncompleteRead)"),
        (
            answer("Transfer-Encoding: chunked", body=b"f" * 60000 + b"\r\n" + bytes(2000)),
            "expected at most 1000 bytes",
        ),
        (
            answer("Content-Encoding: gzip", "Content-Length: 3", body=b"abc"),
            "expected the file itself, got it encoded",
        ),
        (b"HTTP/1.1 302 F\r\nLocation: http://[bad\r\n\r\n", "got a malformed one (Invalid IPv6 URL)"),
        (
            b"HTTP/1.1 302 F\r\nLocation: http://h:99999999/\r\n\r\n",
            "expected an http or https address, got http://h:9",
        ),
        (b"HTTP/1.1 302 F\r\nLocation: /\x1b[31m\r\n\r\n", "tried 1 times"),  # the same again and again, quoted
        (b"HTTP/1.1 404 a\x1b[31mb\r\n\r\n", "got HTTP 404 a?[31mb"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n", "the connection broke (HTTPException)"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "the connection broke (LineTooLong)"),
        (b"\x16\x03\x01 nonsense\r\n\r\n", "the connection broke (BadStatusLine)"),
        (b"", "the connection broke"),
        (b"HTTP/1.1 200 OK\r\nContent-Ty", "expected a file, got nothing"),
        (answer("Content-Length: 0"), "expected a file, got nothing"),
    ],
)
def test_answers_that_mean_harm_are_one_line(
    raw: Callable[..., str], tmp_path: Path, said: bytes, message: str
) -> None:
    with pytest.raises(BenchError) as error:
        download(Remote((raw(said),), limit=None if "free space" in message else 1000), tmp_path / "file.bin")
    text = str(error.value)
    if "31m" in repr(said) and "302" in repr(said):
        assert "HTTP 302" in text or "the connection broke" in text
    else:
        assert message in text
    assert text.isprintable()
    assert not (tmp_path / "file.bin").exists()


def test_chunks_are_put_together(raw: Callable[..., str], tmp_path: Path) -> None:
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (BODY[:3000], BODY[3000:])) + b"0\r\n\r\n"
    url = raw(answer("Transfer-Encoding: chunked", body=body))
    assert download(Remote((url,), digests=(DIGEST,)), tmp_path / "file.bin") == DIGEST


def test_addresses_that_are_not_ascii(server: Server, tmp_path: Path) -> None:
    assert download(Remote((f"{server.url}/Größe 1/ä?b=ü",), digests=(DIGEST,)), tmp_path / "a") == DIGEST
    assert server.requests[-1][0] == "/Gr%C3%B6%C3%9Fe%201/%C3%A4?b=%C3%BC"
    server.location = "/zwei/ö".encode().decode("latin-1")
    assert download(remote(server), tmp_path / "b") == DIGEST
    assert server.requests[-1][0] == "/zwei/%C3%B6"


@pytest.mark.parametrize("url", ["http://[bad", "http://", "http://h:port/", f"http://{'a' * 70}.ü/"])
def test_malformed_addresses(url: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="expected an http or https address, got http"):
        download(Remote((url,)), tmp_path / "x")


def test_a_server_that_drips_is_given_up(
    raw: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "WINDOW", 0.3)
    url = raw(answer("Content-Length: 1000"), *([b"x"] * 1000), pause=0.05)
    start = time.monotonic()
    with pytest.raises(Unreachable, match=r"expected 1024 bytes per second, got \d+; tried 1 times"):
        download(Remote((url,)), tmp_path / "file.bin")
    assert time.monotonic() - start < 25  # all of it takes 50


def test_so_is_one_whose_headers_drip(raw: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER", 0.3)
    url = raw(b"HTTP/1.1 200 OK\r\nX: ", *([b"x"] * 1000), pause=0.05)
    start = time.monotonic()
    with pytest.raises(Unreachable, match=r"the connection broke \(TimeoutError\)"):
        download(Remote((url,)), tmp_path / "file.bin")
    assert time.monotonic() - start < 25  # all of it takes 50


@pytest.mark.parametrize(
    ("said", "pause"),
    [("2", 2.0), ("0", 0.0), ("nonsense", 0.0), ("-5", 0.0), ("date", 30.0), ("9" * 5000, None), ("61", None)],
)
def test_a_server_may_ask_for_a_pause_but_not_a_long_one(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, pause: float | None
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(fetch.time, "sleep", slept.append)
    server.statuses = [429]
    server.retry_after = email.utils.formatdate(time.time() + 30, usegmt=True) if said == "date" else said
    watcher = Watcher()
    if pause is None:
        with pytest.raises(Unreachable, match="HTTP 429, retry after"):
            download(remote(server), tmp_path / "file.bin", watcher)
        assert slept == []
    else:
        assert download(remote(server), tmp_path / "file.bin", watcher) == DIGEST
        assert slept == [pytest.approx(pause, abs=2)]
        assert len(watcher.waits) == (pause > 2)


def _worker(url: str, target: Path, results: multiprocessing.Queue[str]) -> None:
    try:
        results.put(download(Remote((url,), digests=(DIGEST,)), target))
    except BenchError as error:
        results.put(str(error))


@pytest.mark.skipif(sys.platform == "win32", reason="no file locks there")
def test_of_several_processes_one_downloads_and_the_others_find_it(server: Server, tmp_path: Path) -> None:
    target, context = tmp_path / "file.bin", multiprocessing.get_context("fork")
    results: multiprocessing.Queue[str] = context.Queue()
    real = server.answer

    def slow(request: BaseHTTPRequestHandler) -> None:
        time.sleep(0.2)
        real(request)

    server.answer = slow  # type: ignore[method-assign]
    workers = [context.Process(target=_worker, args=(f"{server.url}/file.bin", target, results)) for _ in range(6)]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=20) for _ in workers] == [DIGEST] * 6
    for worker in workers:
        worker.join()
    assert len(server.requests) == 1
    assert leftovers(target) == []


def test_whoever_waits_is_told(server: Server, tmp_path: Path) -> None:
    target, watcher = tmp_path / "file.bin", Watcher()
    with one_at_a_time(target):
        thread = threading.Thread(target=download, args=(remote(server), target, watcher))
        thread.start()
        for _ in range(200):
            if watcher.waits:
                break
            time.sleep(0.01)
        target.write_bytes(BODY)
    thread.join()
    assert watcher.waits == ["another process is downloading file.bin: waiting for it"]
    assert server.requests == []
