"""Receivers of messages on this machine: an HTTP server and an SMTP server that fail as they are told to."""

from __future__ import annotations

import base64
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DROP, HANG = "drop", "hang"
"""What a receiver may do instead of answering: take the message and close the connection, or say nothing."""


@dataclass
class Posted:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """What an HTTP receiver has taken, and how it answers next: a status, (status, headers), DROP or HANG; else 200."""

    url: str = ""
    answers: list[Any] = field(default_factory=list)
    always: Any = 200
    got: list[Posted] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def keys(self) -> list[str]:
        return [item.headers["idempotency-key"] for item in self.got]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            posted = Posted(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            answer = receiver.answers.pop(0) if receiver.answers else receiver.always
            receiver.got.append(posted)
            if answer == HANG:
                receiver.over.wait()
            if isinstance(answer, str):
                self.close_connection = True
                return
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.over.set()
            server.shutdown()
            thread.join()


@dataclass
class Mailbox:
    """What an SMTP server has taken; `answers` are what it says to the next messages, e.g. `451 later`, or DROP."""

    port: int = 0
    answers: list[str] = field(default_factory=list)
    got: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    plain: int = 0
    refuses: tuple[str, ...] = ()
    offers_tls: bool = True


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False
    box: Mailbox
    context: ssl.SSLContext


class _Conversation(socketserver.BaseRequestHandler):
    """As much of SMTP as a client that sends one message needs."""

    server: _Server

    def setup(self) -> None:
        self.socket, self.secure = self.request, False

    def handle(self) -> None:
        with suppress(OSError):  # the client is gone
            self.say("220 here")
            while self.answered(self.line()):
                pass

    def finish(self) -> None:
        self.socket.close()

    def say(self, text: str) -> None:
        self.socket.sendall(text.encode() + b"\r\n")

    def line(self) -> str:
        found = b""
        while not found.endswith(b"\r\n"):
            piece = self.socket.recv(1)
            if not piece:
                raise OSError("gone")
            found += piece
        return found.decode().strip()

    def answered(self, line: str) -> bool:
        """Answer one command; whether another one may come."""
        box = self.server.box
        match line.split(":", maxsplit=1)[0].split(maxsplit=1)[0].upper():
            case "EHLO":
                offers = ["250-STARTTLS"] if box.offers_tls and not self.secure else []
                self.say("\r\n".join(["250-here", *offers, "250 AUTH PLAIN"]))
            case "STARTTLS":
                self.say("220 go on")
                self.socket, self.secure = self.server.context.wrap_socket(self.socket, server_side=True), True
            case "AUTH":
                box.logins.append(base64.b64decode(line.split()[2]).decode().replace("\0", " ").strip())
                self.say("235 welcome")
            case "RCPT":
                self.say("550 nobody" if any(name in line for name in box.refuses) else "250 ok")
            case "DATA":
                self.say("354 go on")
                return self.taken()
            case "QUIT":
                self.say("221 bye")
                return False
            case _:
                self.say("250 ok")
        return True

    def taken(self) -> bool:
        box, lines = self.server.box, []
        while (line := self.line()) != ".":
            lines.append(line)
        answer = box.answers.pop(0) if box.answers else "250 taken"
        if answer.startswith("250") or answer == DROP:
            box.got.append("\n".join(lines))
            box.plain += not self.secure
        if answer != DROP:
            self.say(answer)
        return answer != DROP


@contextmanager
def mailing(certificate: Path) -> Iterator[Mailbox]:
    with _Server(("127.0.0.1", 0), _Conversation) as server:
        server.box = Mailbox(server.server_address[1])
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(certificate)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.box
        finally:
            server.shutdown()
            thread.join()


def certificate(path: Path) -> Path:
    """Write a key and a certificate for localhost that signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return path
