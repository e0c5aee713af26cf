"""A host of issues on this machine, as far as GitHub's API is used for alerts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY, TOKEN = "growth/models", "a-long-token"


@dataclass
class Host:
    """The issues of one repository; `failures` are statuses that the next requests are answered with."""

    api: str = ""
    issues: list[dict[str, Any]] = field(default_factory=list)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    failures: list[int] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, value: Any) -> tuple[int, Any]:
        parts = urlsplit(path)
        names, query = (
            parts.path.removeprefix(f"/repos/{REPOSITORY}/issues").strip("/").split("/"),
            parse_qs(parts.query),
        )
        page = int(query.get("page", ["1"])[0])
        match method, names:
            case "GET", [""]:
                label = query["labels"][0]
                return 200, [item for item in self.issues if label in item["labels"]][100 * (page - 1) : 100 * page]
            case "POST", [""]:
                made = {"number": len(self.issues) + 1, "state": "open", "comments": 0, **value}
                self.issues.append(made)
                return 201, made
            case "GET", [number, "comments"]:
                return 200, self.comments.get(int(number), [])[100 * (page - 1) : 100 * page]
            case "POST", [number, "comments"]:
                self.comments.setdefault(int(number), []).append(value)
                self.issues[int(number) - 1]["comments"] += 1
                return 201, value
            case "PATCH", [number]:
                self.issues[int(number) - 1] |= value
                return 200, self.issues[int(number) - 1]
        return 404, {}


@contextmanager
def hosting() -> Iterator[Host]:
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            host.seen.append(f"{self.command} {self.path}")
            allowed = self.headers.get("authorization") == f"Bearer {TOKEN}"
            status, value = (401, {}) if not allowed else (host.failures.pop(0), {}) if host.failures else (0, {})
            if not status:
                status, value = host.answer(self.command, self.path, json.loads(body) if body else None)
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = respond  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        host.api = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield host
        finally:
            server.shutdown()
            thread.join()
