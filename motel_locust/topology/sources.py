"""Where a topology comes from: a file, a URL or standard input."""

from __future__ import annotations

import hashlib
import http.client
import re
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from motel_locust.topology.diagnostics import Diagnostic, TopologyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from email.message import Message

MAX_BYTES: Final = 10 * 1024 * 1024
TIME_LIMIT_S: Final = 10.0
MAX_REDIRECTS: Final = 3

STANDARD_INPUT: Final = "<stdin>"
"""The name of a source that came from standard input."""

_SCHEMES: Final = ("http://", "https://")
_USER: Final = re.compile(r"(https?://)[^/]*@")
_CHUNK_BYTES: Final = 64 * 1024
_LIMIT = f"10 MiB ({MAX_BYTES:,} bytes)"


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a topology before it is read, and what it is called in messages."""

    name: str
    content: bytes
    domains: Mapping[str, Any] | None = field(default=None, repr=False)
    """What the domains in it bring, in plain words, where another process has looked them up."""
    files: Mapping[str, bytes] | None = field(default=None, repr=False)
    """The files of rows that it names, by their paths in it, where they have been read."""

    @property
    def sha256(self) -> str:
        """The SHA-256 of the content and of the files that it names, in hexadecimal."""
        whole = hashlib.sha256(self.content)
        for name, content in sorted((self.files or {}).items()):
            whole.update(hashlib.sha256(name.encode()).digest())
            whole.update(hashlib.sha256(content).digest())
        return whole.hexdigest()


def read_source(text: str, *, time_limit_s: float = TIME_LIMIT_S) -> Source:
    """Return what *text* names: a URL (``http://``, ``https://``), ``-``, or the path of a file.

    Raises:
        TopologyError: if it cannot be read, is larger than 10 MiB, or if a URL takes longer
            than *time_limit_s*.
    """
    if text.startswith(_SCHEMES):
        if _USER.match(text):
            message = "cannot be reached: a user or password cannot stand in a URL"
            raise _problem(without_secrets(text), "unreadable-source", message)
        return Source(without_secrets(text), _fetch(text, time_limit_s))
    try:
        if text == "-":
            return Source(STANDARD_INPUT, _limited(STANDARD_INPUT, sys.stdin.buffer.read))
        with Path(text).open("rb") as file:
            return Source(text, _limited(text, file.read))
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise _problem(text, "unreadable-source", f"cannot be read: {reason}") from None


def read_beside(source: Source, path: str) -> Source:
    """Return the file at *path*, which counts from the folder of *source*, or from its URL.

    Raises:
        TopologyError: as :func:`read_source`, and where nothing can lie beside the source.
    """
    if source.files is not None:
        if path in source.files:
            return Source(path, source.files[path])
        raise _problem(path, "unreadable-source", "did not come with the topology")
    if source.name == STANDARD_INPUT:
        message = "cannot lie beside standard input; give the topology as a file"
        raise _problem(path, "unreadable-source", message)
    if source.name.startswith(_SCHEMES):
        joined = urllib.parse.urljoin(source.name, path)
        if urllib.parse.urlsplit(joined)[:2] != urllib.parse.urlsplit(source.name)[:2]:
            message = "is not on the server of the topology; write a relative path"
            raise _problem(path, "unreadable-source", message)
        return read_source(joined)
    joined = str(Path(source.name).parent / path)
    return read_source("./-" if joined == "-" else joined)  # a dash alone is standard input


def without_secrets(text: str) -> str:
    """Return what names a source as people may see it, in messages, pages and reports.

    Of a URL the user, the password and the query, which may hold a token, are left out.
    """
    if not text.startswith(_SCHEMES):
        return text
    address, asked, _ = _USER.sub(r"\1", text).partition("?")
    return f"{address}?..." if asked else address


def _problem(name: str, code: str, message: str) -> TopologyError:
    return TopologyError([Diagnostic(name, 0, 0, message, code)])


def _limited(name: str, read: Callable[[int], bytes]) -> bytes:
    content = read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _problem(name, "too-large", f"is larger than {_LIMIT}")
    return content


class _Redirected(Exception):
    def __init__(self, location: str) -> None:
        self.location = location


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Hands redirects to :func:`_get`, which counts them."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        del req, code, msg, headers
        fp.close()
        raise _Redirected(newurl)


def _fetch(url: str, time_limit_s: float) -> bytes:
    # In a thread, because timeouts of sockets are for one read each and name lookups have none.
    outcome: list[bytes | TopologyError] = []

    def fetch() -> None:
        try:
            outcome.append(_get(url, time_limit_s))
        except TopologyError as error:
            outcome.append(error)

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(time_limit_s)
    if not outcome:
        raise _late(url, time_limit_s)
    if isinstance(outcome[0], TopologyError):
        raise outcome[0]
    return outcome[0]


def _get(url: str, time_limit_s: float) -> bytes:
    opener = urllib.request.build_opener(_Redirects)
    location = url
    try:
        for _ in range(MAX_REDIRECTS + 1):
            if not location.startswith(_SCHEMES):
                raise _unreachable(url, f"it redirects to {location}")
            request = urllib.request.Request(  # noqa: S310 - the line above allows HTTP only
                location, headers={"Accept-Encoding": "gzip"}
            )
            try:
                with opener.open(request, timeout=time_limit_s) as answer:
                    return _body(url, answer)
            except _Redirected as redirected:
                location = redirected.location
    except urllib.error.HTTPError as error:
        error.close()
        raise _of_url(url, "url-status", f"answered with status {error.code}") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _late(url, time_limit_s) from None
        raise _unreachable(url, error.reason) from None
    except TimeoutError:
        raise _late(url, time_limit_s) from None
    except (OSError, http.client.HTTPException, zlib.error, ValueError) as error:
        raise _unreachable(url, error) from None
    message = f"redirects more than {MAX_REDIRECTS} times, which is the limit"
    raise _of_url(url, "too-many-redirects", message)


def _body(url: str, answer: http.client.HTTPResponse) -> bytes:
    zipped = answer.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16) if zipped else None
    content = bytearray()
    while chunk := answer.read1(_CHUNK_BYTES):
        content += unpacker.decompress(chunk, MAX_BYTES + 1 - len(content)) if unpacker else chunk
        if len(content) > MAX_BYTES:
            raise _of_url(url, "too-large", f"is larger than {_LIMIT}")
    if answer.length or (unpacker is not None and not unpacker.eof):
        raise _unreachable(url, "the connection closed before the end")
    return bytes(content)


def _late(url: str, time_limit_s: float) -> TopologyError:
    return _of_url(url, "url-timeout", f"did not answer in full within {time_limit_s:g} s")


def _unreachable(url: str, error: object) -> TopologyError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return _of_url(url, "unreadable-source", f"cannot be reached: {reason}")


def _of_url(url: str, code: str, message: str) -> TopologyError:
    return _problem(without_secrets(url), code, message)
