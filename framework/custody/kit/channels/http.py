"""One HTTP request to a receiver, within bounds: https, no redirects, short waits, small answers. Home of httpx."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from custody.domain.channels import DeliveryError

TIMEOUT = 10.0
"""Seconds for connecting and for each wait; all of it may take `_ALL` times as long."""
ANSWER = 1 << 20
"""Bytes of an answer that are read at most."""
_ALL = 3
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_AGAIN = frozenset({408, 425, 429})
_FAULTS, _FORBIDDEN = 500, 403


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, and how long it may take. `method` is POST, GET or PATCH."""

    url: str
    headers: Mapping[str, str]
    content: bytes | None = None
    method: str = "POST"
    timeout: float = TIMEOUT


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004


def deliver(request: Request, at: datetime) -> Answer:
    """Send a request and return the answer where it says that all is well; `at` is the time.

    Raises DeliveryError: to be sent again after time-outs, broken connections, 408, 425, 429 and 5xx, else not.
    """
    answer = exchange(request)
    if answer.taken:
        return answer
    limited = answer.status == _FORBIDDEN and "retry-after" in answer.headers
    if answer.status in _AGAIN or answer.status >= _FAULTS or limited:
        raise DeliveryError(f"the receiver answers {answer.status}", again=True, after=_after(answer, at))
    raise DeliveryError(f"the receiver refuses it with {answer.status}", again=False)


def exchange(request: Request) -> Answer:
    """Send a request and return whatever is answered. Raises DeliveryError where there is no whole answer."""
    import httpx

    _refuse_plain(request.url)
    until = time.monotonic() + _ALL * request.timeout
    try:
        with (
            httpx.Client(timeout=request.timeout, follow_redirects=False, verify=_trusted()) as client,
            client.stream(
                request.method, request.url, content=request.content, headers=dict(request.headers)
            ) as answer,
        ):
            return Answer(answer.status_code, dict(answer.headers), _bounded(answer, until))
    except httpx.TimeoutException:
        raise DeliveryError(f"no answer within {request.timeout:g} seconds", again=True) from None
    except httpx.InvalidURL:
        raise DeliveryError("the address of the receiver is none", again=False) from None
    except httpx.HTTPError as error:
        # not what the error says, which may hold the address
        raise DeliveryError(f"the receiver cannot be reached: {type(error).__name__}", again=True) from None


@cache
def _trusted() -> ssl.SSLContext:
    """Return what certificates are checked by; reading the authorities takes longer than a message."""
    import httpx

    return httpx.create_ssl_context()


def _bounded(answer: Any, until: float) -> bytes:
    body = b""
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > ANSWER:
            raise DeliveryError("the receiver answers with more than a message deserves", again=False)
        if time.monotonic() > until:
            raise DeliveryError("the receiver takes too long to answer", again=True)
    return body


def _refuse_plain(url: str) -> None:
    """Refuse all but https, and http on this machine."""
    try:
        parts = urlsplit(url)
        here = parts.hostname in _LOOPBACK
    except ValueError:
        raise DeliveryError("the address of the receiver is none", again=False) from None
    if parts.scheme != "https" and not (parts.scheme == "http" and here):
        raise DeliveryError("the address of the receiver does not begin with https://", again=False)


def _after(answer: Answer, at: datetime) -> float | None:
    """Return the seconds that the receiver asks to wait; None where it asks nothing that can be read."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - at).total_seconds())
    except (TypeError, ValueError):
        return None
