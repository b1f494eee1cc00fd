"""One request to a server that may be slow, wrong or hostile: every failure is an error of ours, in bounded time."""

from __future__ import annotations

import email.utils
import http.client
import socket
import ssl
import string
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import Request

from bench.errors import BenchError, one_line

TIMEOUT = 30.0
"""Seconds without a byte."""
ANSWER = 60.0
"""Seconds until a server has sent all of its headers."""
SLOWEST = 1024
"""Bytes per second: a server that sends less over `WINDOW` is given up."""
WINDOW = 60.0
"""Seconds over which the speed is taken."""
LONGEST_PAUSE = 60.0
"""Seconds that a server may ask us to wait before the next try."""
_TRANSIENT = (408, 429, 500, 502, 503, 504)
_CHUNK = 1 << 20
_DIGITS = 18  # of a length in bytes: more than any disk holds


class Unreachable(BenchError):
    """No server answered; the next request would fail, too."""


class Transient(Exception):
    """Worth another try, after as many seconds as the server asked for."""

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause


class CannotResume(Exception):
    """The server cannot resume where a partial file ends."""


class AlreadyWhole(Exception):
    """The partial file is complete."""


class Response:
    """The body of an answer, and what its headers say of it.

    Attributes:
        first: where in the file the body starts.
        length: bytes of the body, or None where the server does not say.
        tag: what tells this state of the file from others; "" where the server gives nothing.
    """

    def __init__(self, response: http.client.HTTPResponse, done: int) -> None:
        self._response = response
        self.first = done if response.status == 206 else 0
        range_ = response.headers.get("Content-Range", f"bytes {done}-")
        if response.status == 206 and not range_.startswith(f"bytes {done}-"):
            raise CannotResume("the server resumed at another position")
        if response.headers.get_content_type() == "text/html":  # no file of ours; proxies answer 200 with theirs
            raise BenchError("expected a file, got a web page: a login or an error; look at it in a browser")
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise BenchError(f"expected the file itself, got it encoded ({one_line(encoding)}); download it by hand")
        self.length = None if response.chunked else _length(response.headers.get("Content-Length"))
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        self.tag = tag if tag.isascii() and tag.isprintable() else ""

    def chunks(self) -> Iterator[bytes]:
        """The body, piece by piece.

        Raises:
            Transient: the connection broke or is too slow.
        """
        start, received = time.monotonic(), 0
        while True:
            with _network():
                chunk = self._response.read1(_CHUNK)
                left = self._response.chunk_left
                if isinstance(left, int) and left < 0:
                    raise BenchError("expected chunks of a size, got a negative one; the server is broken")
            if not chunk:
                return
            received += len(chunk)
            yield chunk
            if (elapsed := time.monotonic() - start) >= WINDOW:
                if received < SLOWEST * elapsed:
                    raise Transient(f"expected {SLOWEST} bytes per second, got {received / elapsed:.0f}")
                start, received = time.monotonic(), 0


@contextmanager
def get(url: str, done: int = 0, tag: str = "") -> Iterator[Response]:
    """Ask for a file, or for what follows its first `done` bytes if its tag is still the same.

    Raises:
        Transient: worth another try.
        Unreachable: no server of that name, or no certificate to trust.
        CannotResume, AlreadyWhole: see there.
        BenchError: no http or https address, or an answer that will not change.
    """
    headers = {"User-Agent": "hcflow-bench", "Accept-Encoding": "identity"}
    if done:
        headers |= {"Range": f"bytes={done}-", "If-Range": tag}
    with _network():
        try:
            request = Request(_address(url), headers=headers)
            opener = urllib.request.build_opener(_Redirects, _Http, _Https)
            response: http.client.HTTPResponse = opener.open(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error, done) from None
        except (ValueError, http.client.InvalidURL) as error:  # an address of the server's that is none
            if isinstance(error, BenchError):
                raise
            raise BenchError(
                f"expected a redirect to an address, got a malformed one ({one_line(str(error))})"
            ) from None
    with response:
        yield Response(response, done)


@contextmanager
def _network() -> Iterator[None]:
    """Whatever the network raises, as an error of ours."""
    try:
        yield
    except urllib.error.URLError as error:
        if isinstance(error.reason, socket.gaierror):
            raise Unreachable(f"expected an answer, got {error.reason.strerror}; is this machine online?") from None
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise Unreachable(f"expected a certificate to trust, got {error.reason.verify_message}") from None
        raise Transient(one_line(str(error.reason))) from None
    except (OSError, http.client.HTTPException) as error:
        raise Transient(f"the connection broke ({type(error).__name__})") from None


def _refusal(error: urllib.error.HTTPError, done: int) -> Exception:
    """The exception for an answer that is an error."""
    if error.code == 416 and done:  # nothing follows the part: it is whole, or not a part of what is there now
        if error.headers.get("Content-Range", "") == f"bytes */{done}":
            return AlreadyWhole()
        return CannotResume("the server refused to resume the partial file")
    if error.code in _TRANSIENT:
        pause = _retry_after(error.headers.get("Retry-After", ""))
        if pause > LONGEST_PAUSE:
            return Unreachable(f"HTTP {error.code}, retry after {pause:.0f} seconds; try again then")
        return Transient(f"HTTP {error.code}", pause)
    return BenchError(f"expected the file, got HTTP {error.code} {one_line(str(error.reason))}")


def _retry_after(text: str) -> float:
    """Seconds, of a number of them or of a date; 0 where it is neither."""
    if text.isascii() and text.isdecimal():
        return float(min(int(text[:_DIGITS]), 10**9)) if len(text) <= _DIGITS else 1e9
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, IndexError, OSError):
        return 0.0


def _length(text: str | None) -> int | None:
    """Content-Length as a number; None where there is none, or something that http.client does not take for one."""
    if text is None or not (text.isascii() and text.isdecimal()):
        return None
    if len(text) > _DIGITS:
        raise BenchError(f"expected a length in bytes, got one of {len(text)} digits; the server is broken")
    return int(text)


def _address(url: str) -> str:
    """The address in ASCII.

    Raises:
        BenchError: it is not of http or https, or malformed.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise BenchError(f"expected an http or https address, got {one_line(url)} ({one_line(str(error))})") from None
    if parts.scheme not in ("http", "https") or not host:
        raise BenchError(f"expected an http or https address, got {one_line(url)}")
    if url.isascii():
        return url
    path, query = (quote(part, safe=string.punctuation) for part in (parts.path, parts.query))
    return urlunsplit((parts.scheme, f"{host}{port}", path, query, ""))


class _Redirects(urllib.request.HTTPRedirectHandler):
    """A redirect may not lead from the web to a local file."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        """Follow, but only to http and https."""
        return super().redirect_request(req, fp, code, msg, headers, _address(newurl))


class _Patient(http.client.HTTPResponse):
    """Gives up a server that sends its headers byte by byte: TIMEOUT is for each of them."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._socket = sock
        self._late = False

    def begin(self) -> None:
        """Read the headers, at most for ANSWER seconds."""
        timer = threading.Timer(ANSWER, self._hang_up)
        timer.daemon = True
        timer.start()
        try:
            super().begin()
        finally:
            timer.cancel()
        if self._late:  # to the base class the end of the connection is the end of the headers
            raise TimeoutError(f"no headers within {ANSWER:.0f} seconds")

    def _hang_up(self) -> None:
        self._late = True
        with suppress(OSError):  # it ended by itself
            self._socket.shutdown(socket.SHUT_RDWR)


class _HttpConnection(http.client.HTTPConnection):
    response_class = _Patient


class _HttpsConnection(http.client.HTTPSConnection):
    response_class = _Patient


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: Request) -> http.client.HTTPResponse:
        """As the base class, with a time limit."""
        return self.do_open(_HttpConnection, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: Request) -> http.client.HTTPResponse:
        """As the base class, with a time limit."""
        return self.do_open(_HttpsConnection, req)
