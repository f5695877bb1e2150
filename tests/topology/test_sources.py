"""Where topologies come from; URLs are answered by a real server on loopback."""

from __future__ import annotations

import contextlib
import gzip
import io
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from motel_locust.topology.diagnostics import TopologyError
from motel_locust.topology.sources import MAX_BYTES, Source, read_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = b"version: 1\n"


class Answers(BaseHTTPRequestHandler):
    """Answers by what the path asks for."""

    released = threading.Event()

    def do_GET(self) -> None:
        verb, _, argument = self.path[1:].partition("/")
        getattr(self, f"answer_{verb}")(argument)

    def answer(self, status: int, content: bytes = CONTENT, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # who has had enough hangs up
            self.wfile.write(content)

    def answer_status(self, argument: str) -> None:
        self.answer(int(argument))

    def answer_redirects(self, argument: str) -> None:
        left = int(argument)
        self.answer(302, b"", Location=f"/redirects/{left - 1}") if left else self.answer(200)

    def answer_redirect_to_ftp(self, _: str) -> None:
        self.answer(302, b"", Location="ftp://127.0.0.1/t.yaml")

    def answer_size(self, argument: str) -> None:
        self.answer(200, b"#" * int(argument))

    def answer_gzip(self, argument: str) -> None:
        packed = gzip.compress(b"#" * int(argument) if argument else CONTENT)
        self.answer(200, packed, Content_Encoding="gzip")

    def answer_no_gzip(self, _: str) -> None:
        self.answer(200, b"plain", Content_Encoding="gzip")

    def answer_half_gzip(self, _: str) -> None:
        self.answer(200, gzip.compress(CONTENT)[:-4], Content_Encoding="gzip")

    def answer_html(self, _: str) -> None:
        self.answer(200, Content_Type="text/html")

    def answer_short(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(CONTENT)

    def answer_drip(self, _: str) -> None:
        # Each byte comes soon enough for a timeout of one read; all together never do.
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            while not self.released.wait(0.02):
                self.wfile.write(b"#")

    def answer_never(self, _: str) -> None:
        self.released.wait()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        Answers.released.set()
        running.shutdown()
        thread.join()


def refused(text: str, time_limit_s: float = 10.0) -> str:
    with pytest.raises(TopologyError) as caught:
        read_source(text, time_limit_s=time_limit_s)
    [problem] = caught.value.problems
    assert str(problem).startswith(f"{text}: ")
    return f"{problem.message} [{problem.code}]"


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(CONTENT)
    source = read_source(str(path))
    assert source == Source(str(path), CONTENT)
    assert len(source.sha256) == 64


def test_a_file_that_is_not_there_is_named_with_the_reason(tmp_path: Path) -> None:
    message = "cannot be read: No such file or directory [unreadable-source]"
    assert refused(str(tmp_path / "none.yaml")) == message
    assert refused(str(tmp_path)) == "cannot be read: Is a directory [unreadable-source]"
    assert "[unreadable-source]" in refused("a\0b")


@pytest.mark.parametrize("text", ["HTTP://127.0.0.1/t.yaml", "ftp://127.0.0.1/t", "file:///etc"])
def test_what_is_no_lower_case_http_url_is_a_path(text: str) -> None:
    assert "No such file or directory" in refused(text)


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CONTENT)))
    assert read_source("-") == Source("<stdin>", CONTENT)


def test_a_file_may_have_10_mib_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * MAX_BYTES)
    assert len(read_source(str(path)).content) == 10_485_760
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert refused(str(path)) == "is larger than 10 MiB (10,485,760 bytes) [too-large]"


@pytest.mark.parametrize("path", ["status/200", "status/201", "status/299", "gzip/", "html/"])
def test_any_good_status_and_any_content_type_will_do(server: str, path: str) -> None:
    assert read_source(f"{server}/{path}") == Source(f"{server}/{path}", CONTENT)


@pytest.mark.parametrize("status", [304, 400, 404, 500, 503])
def test_any_other_status_is_named(server: str, status: int) -> None:
    message = refused(f"{server}/status/{status}")
    assert message == f"answered with status {status} [url-status]"


def test_three_redirects_are_followed_and_the_fourth_is_not(server: str) -> None:
    assert read_source(f"{server}/redirects/3").content == CONTENT
    message = "redirects more than 3 times, which is the limit [too-many-redirects]"
    assert refused(f"{server}/redirects/4") == message


def test_redirects_lead_to_http_only(server: str) -> None:
    assert "ftp://" in refused(f"{server}/redirect_to_ftp")


@pytest.mark.parametrize("kind", ["size", "gzip"])
def test_a_url_may_have_10_mib_after_decoding_and_no_more(server: str, kind: str) -> None:
    assert len(read_source(f"{server}/{kind}/{MAX_BYTES}").content) == MAX_BYTES
    message = refused(f"{server}/{kind}/{MAX_BYTES + 1}")
    assert message == "is larger than 10 MiB (10,485,760 bytes) [too-large]"


@pytest.mark.parametrize("kind", ["never", "drip"])
def test_the_time_limit_is_for_all_of_it(server: str, kind: str) -> None:
    message = refused(f"{server}/{kind}/", time_limit_s=0.2)
    assert message == "did not answer in full within 0.2 s [url-timeout]"


@pytest.mark.parametrize("kind", ["short", "half_gzip"])
def test_half_a_topology_is_none(server: str, kind: str) -> None:
    message = "cannot be reached: the connection closed before the end [unreadable-source]"
    assert refused(f"{server}/{kind}/") == message


def test_what_is_said_to_be_gzip_must_be(server: str) -> None:
    assert "incorrect header check" in refused(f"{server}/no_gzip/")


def test_a_server_that_is_not_there_is_named_with_the_innermost_reason() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    message = refused(f"http://127.0.0.1:{port}/t.yaml")
    assert message == "cannot be reached: Connection refused [unreadable-source]"


@pytest.mark.parametrize("path", ["status/200", "status/404", "size/20000000", "never/"])
def test_a_token_in_a_url_is_sent_and_never_shown(server: str, path: str) -> None:
    try:
        shown = read_source(f"{server}/{path}?token=hunter2", time_limit_s=1.0).name
    except TopologyError as error:
        shown = str(error)
    assert shown.startswith(f"{server}/{path}?...")
    assert "hunter2" not in shown


@pytest.mark.parametrize("user", ["hunter2", "ann:hunter2", "ann:hunter@2"])
def test_a_password_in_a_url_is_refused_and_not_shown(server: str, user: str) -> None:
    url = f"{server}/status/200".replace("http://", f"http://{user}@")
    with pytest.raises(TopologyError, match="a user or password cannot stand in a URL") as raised:
        read_source(url)
    assert str(raised.value).startswith(f"{server}/status/200: ")
    assert "hunter" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://127.0.0.1:port/", "http://a b/"])
def test_what_is_no_url_after_all_is_refused(url: str) -> None:
    assert "[unreadable-source]" in refused(url)
