"""The connector `url`, on a real server of this machine."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from custody.errors import ContractError, CustodyError, RefusedError
from custody.kit.connectors import Source, connector
from custody.kit.connectors.url import masked
from custody.kit.live import Feed, Seen, located, tables

CSV = b"id,plan\n1,pro\n2,free\n"
SECRET = "hunter2"


class Handler(BaseHTTPRequestHandler):
    """Serves a table, redirects, refusals, and answers that end too early."""

    seen: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.seen.append((self.path, self.headers.get("Authorization")))
        match path:
            case "/to":
                self._answer(302, b"", {"Location": "/t.csv?token=hunter2"})
            case "/out":
                self._answer(302, b"", {"Location": "http://example.org/t.csv?key=hunter2"})
            case "/file":
                self._answer(302, b"", {"Location": "file:///etc/passwd"})
            case "/loop":
                self._answer(302, b"", {"Location": "/loop"})
            case "/short.csv":
                self._answer(200, CSV, {"Content-Length": str(len(CSV) + 9)})
            case "/t.csv" | "/locked.csv" | "/t.jsonl":
                body = b'{"id": 1}\n' if path.endswith("jsonl") else CSV
                self._answer(200, body, {"ETag": '"e1"', "Last-Modified": "Tue, 24 Nov 2026 20:00:00 GMT"})
            case _:
                self._answer(404, b"no")

    def _answer(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{made.server_port}"
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


def read(url: str, **with_: Any) -> Source:
    return connector("url")({"url": url, **with_}, root=Path(), columns={})


def fault(url: str, **with_: Any) -> CustodyError:
    with pytest.raises(CustodyError) as caught:
        read(url, **with_)
    error = caught.value
    assert SECRET not in str((error.message, error.because, error.help, error.__cause__))
    return error


def test_a_file_is_read_and_its_origin_recorded_without_secrets(server: str) -> None:
    source = read(f"http://ann:{SECRET}@{server}/locked.csv?token={SECRET}&v=2#part")
    assert source.table.to_pydict() == {"id": [1, 2], "plan": ["pro", "free"]}
    described = dict(source.description)
    assert described["url"] == f"http://{server}/locked.csv?token=***&v=***"
    assert described["raw"] == {"size": len(CSV), "sha256": hashlib.sha256(CSV).hexdigest()}
    assert (described["etag"], described["modified"]) == ('"e1"', "Tue, 24 Nov 2026 20:00:00 GMT")
    assert SECRET not in str(described)
    path, authorization = Handler.seen[-1]
    assert path == f"/locked.csv?token={SECRET}&v=2"
    assert authorization == "Basic " + base64.b64encode(f"ann:{SECRET}".encode()).decode()


def test_other_formats_and_redirects(server: str) -> None:
    assert read(f"http://{server}/t.jsonl").table.to_pydict() == {"id": [1]}
    moved = read(f"http://ann:{SECRET}@{server}/to", format="csv")
    assert moved.description["final"] == f"http://{server}/t.csv?token=***"
    assert Handler.seen[-1][1] is None


def test_what_was_asked_for_is_checked(server: str) -> None:
    assert read(f"http://{server}/t.csv", sha256=hashlib.sha256(CSV).hexdigest()).table.num_rows == 2
    assert fault(f"http://{server}/t.csv", sha256="0" * 64).code == "source.moved"
    assert "more than 5 bytes" in fault(f"http://{server}/t.csv", max_bytes=5).message
    assert "took too long" in fault(f"http://{server}/t.csv", timeout=1e-9).message


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (f"/gone.csv?key={SECRET}", "the server answers 404"),
        ("/short.csv", "ended after 21 of 30 bytes"),
        ("/loop", "answers 302"),
        ("/out", "is not encrypted"),
        ("/file", "answers 302"),
    ],
)
def test_what_cannot_be_had_is_told(server: str, path: str, why: str) -> None:
    assert why in fault(f"http://{server}{path}").message


def test_nobody_there() -> None:
    error = fault(f"http://ann:{SECRET}@127.0.0.1:1/t.csv")
    assert isinstance(error, ContractError)
    assert (error.code, error.message.partition(": ")[0]) == (
        "source.missing",
        "http://127.0.0.1:1/t.csv cannot be read",
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/t.csv",
        "file:///etc/passwd",
        "/etc/passwd",
        "memory://t.csv",
        "simplecache::s3://b/k",
        "ftp://h/t",
    ],
)
def test_addresses_that_are_never_read(url: str) -> None:
    assert isinstance(fault(url), RefusedError)


def test_a_cloud_without_its_library_is_told() -> None:
    error = fault(f"s3://key:{SECRET}@bucket/t.csv")
    assert error.help == ("pip install s3fs",)
    assert "s3://bucket/t.csv" in error.message


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    assert masked("https://u:p@h:8/a?b=c&d=#e") == "https://h:8/a?b=***&d=***"
    assert masked("https://h/a?token") == "https://h/a?token=***"
    assert fault("https://[bad/t.csv").message.endswith("is none")


def test_live_rows_are_read_from_an_address_in_pieces(server: str) -> None:
    options = {"url": f"http://{server}/t.csv?token={SECRET}"}
    with located("url", options, Path()) as paths:
        ((copy, shown),) = paths
        assert SECRET not in shown
        found = [table.to_pydict() for table in tables(Feed(paths, options), ["plan"], Seen())]
    assert found == [{"plan": ["pro", "free"]}]
    assert not copy.exists()
    with pytest.raises(ContractError, match="sklearn"), located("sklearn", {}, Path()):
        pass
