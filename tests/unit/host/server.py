"""A small local server that answers as GitHub's documentation says, for one repository and its pull request 7."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "ghs_secret0123456789"
REPOSITORY = "acme/models"
BOT = {"login": "github-actions[bot]", "type": "Bot"}


@dataclass
class Answer:
    """What the next request (with `skips_get`: the next that is no GET) gets instead of the usual.

    With `done` the work is done before.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "no"
    done: bool = False
    skips_get: bool = False


@dataclass
class Host:
    """The state of the server, and what it was asked."""

    comments: list[dict[str, Any]] = field(default_factory=list)
    planned: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    login: str | None = None
    read_only: bool = False
    next_host: str | None = None
    raw: bytes | None = None
    api: str = ""

    def add(self, body: str, user: dict[str, str] | None = None) -> dict[str, Any]:
        number = 1000 + len(self.comments)
        url = f"https://github.com/{REPOSITORY}/pull/7#issuecomment-{number}"
        self.comments.append({"id": number, "body": body, "user": user or BOT, "html_url": url})
        return self.comments[-1]

    def counted(self, method: str) -> int:
        return sum(asked[0] == method for asked in self.asked)


@contextmanager
def serving() -> Iterator[Host]:  # noqa: C901 - the handler is a class of its own
    """Serve until the block ends."""
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            return

        def do_GET(self) -> None:
            self.answered()

        def do_POST(self) -> None:
            self.answered()

        def do_PATCH(self) -> None:
            self.answered()

        def answered(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            value = json.loads(self.rfile.read(length)) if length else None
            host.asked.append((self.command, self.path))
            host.tokens.add(self.headers.get("authorization", ""))
            usual = host.planned[0] if host.planned else None
            if usual and not ((usual.done or usual.skips_get) and self.command == "GET"):
                host.planned.pop(0)
                if usual.done:
                    self.work(value)
                self.send(usual.status, {"message": usual.message}, usual.headers)
                return
            self.send(*self.work(value))

        def work(self, value: Any) -> tuple[int, Any, dict[str, str]]:  # noqa: PLR0911 - one for each answer
            parts = urlsplit(self.path)
            if self.headers.get("authorization") != f"Bearer {TOKEN}":
                return 401, {"message": "Bad credentials"}, {}
            if parts.path == "/user":
                if host.login:
                    return 200, {"login": host.login}, {}
                return 403, {"message": "Resource not accessible by integration"}, {}
            listing = f"/repos/{REPOSITORY}/issues/7/comments"
            if parts.path == listing and self.command == "GET":
                return self.page(parts.query)
            if host.read_only:
                return 403, {"message": "Resource not accessible by integration"}, {}
            if parts.path == listing:
                return self.made(value)
            for comment in host.comments:
                if parts.path == f"/repos/{REPOSITORY}/issues/comments/{comment['id']}":
                    comment["body"] = value["body"]
                    return 200, comment, {}
            return 404, {"message": "Not Found"}, {}

        def made(self, value: Any) -> tuple[int, Any, dict[str, str]]:
            if len(value["body"]) > 65_536:
                return 422, {"message": "Validation Failed: body is too long"}, {}
            return 201, host.add(value["body"]), {}

        def page(self, query: str) -> tuple[int, Any, dict[str, str]]:
            size, number = 100, int(parse_qs(query).get("page", ["1"])[0])
            part = host.comments[(number - 1) * size : number * size]
            more = number * size < len(host.comments)
            base = host.next_host or host.api
            url = f"{base}/repos/{REPOSITORY}/issues/7/comments?per_page=100&page={number + 1}"
            return 200, part, {"link": f'<{url}>; rel="next", <{url}>; rel="last"'} if more else {}

        def send(self, status: int, value: Any, headers: dict[str, str]) -> None:
            data = host.raw if host.raw is not None else json.dumps(value).encode()
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        host.api = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield host
        finally:
            server.shutdown()
            thread.join()
