"""GitHub's REST API, as far as one comment on a pull request needs it. Home of httpx.

https://docs.github.com/en/rest/issues/comments and .../using-the-rest-api/rate-limits-for-the-rest-api. The token goes
to the API's own origin alone and into no message.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from custody import __version__
from custody.errors import CustodyError, UsageError

TIMEOUT = 20.0
"""Seconds for each request."""
_ATTEMPTS = 4
_PATIENCE = 120.0
"""Seconds waited in all for a limit or a fault to pass."""
_SECOND_LOOK = 2.0
"""Seconds after which it is looked whether a comment was made after all."""
_PAGES = 100
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_NEXT = re.compile(r'<([^>]+)>\s*;[^,]*\brel="next"')
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_TRANSIENT = frozenset({500, 502, 503, 504})
_MESSAGE = 200


class HostError(CustodyError):
    """The host did not do what it was asked, for the reason that the message gives."""


class ReadOnlyError(HostError):
    """The token may not write here, as in a workflow run for a fork."""


class _UnsureError(HostError):
    """Whether the comment was made is not known."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of the comment: `created`, `updated`, `unchanged` or `none`, and where it is."""

    action: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A comment that is there."""

    id: int
    url: str
    body: str


@dataclass(frozen=True, slots=True)
class Patience:
    """How time passes: `sleep` in seconds, `now` as seconds since 1970."""

    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time


@dataclass(slots=True)
class GitHub:
    """The comments of one repository's pull requests, as a context. Raises UsageError for arguments that are wrong."""

    repository: str
    token: str = field(repr=False)
    api: str = "https://api.github.com"
    timeout: float = TIMEOUT
    patience: Patience = field(default_factory=Patience)
    _client: Any = field(default=None, repr=False)
    _waited: float = 0.0

    def __post_init__(self) -> None:
        if not _REPOSITORY.fullmatch(self.repository):
            raise UsageError(f"{self.repository!r} is no repository, such as owner/name", code="E660")
        if not _TOKEN.fullmatch(self.token):
            raise UsageError("the token is empty or holds blanks or control characters", code="E661")
        parts = urlsplit(self.api)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise UsageError(f"{self.api} is not an https address: a token is not sent there", code="E662")
        self.api = self.api.rstrip("/")

    def __enter__(self) -> Self:
        import httpx

        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "User-Agent": f"custody/{__version__}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        self._client = httpx.Client(headers=headers, timeout=self.timeout, follow_redirects=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def post(self, number: int, body: str, marker: str, *, create: bool = True) -> Posted:
        """Write `body` into the comment of pull request `number` that begins with `marker`, or make that comment.

        With `create` false none is made. Raises ReadOnlyError where the token may not write, HostError for all else.
        """
        there = self.find(number, marker)
        if there is None and not create:
            return Posted("none")
        if there is None:
            try:
                return self._create(number, body)
            except _UnsureError:
                if not self._wait(_SECOND_LOOK):
                    raise
            # it may have been made though the answer was a fault: look before making another
            there = self.find(number, marker)
            return self._create(number, body) if there is None else Posted("created", there.url)
        if there.body.replace("\r\n", "\n").rstrip() == body.rstrip():
            return Posted("unchanged", there.url)
        made = self._json("PATCH", f"/repos/{self.repository}/issues/comments/{there.id}", {"body": body})
        return Posted("updated", _address(made) or there.url)

    def _create(self, number: int, body: str) -> Posted:
        made = self._json("POST", f"/repos/{self.repository}/issues/{number}/comments", {"body": body})
        return Posted("created", _address(made))

    def find(self, number: int, marker: str) -> Found | None:
        """Return the first comment that begins with `marker` and is ours; None where there is none.

        A comment of somebody else that copies the marker is left alone: whoever wrote it could change it later.
        """
        candidates = [item for item in self._comments(number) if _text(item.get("body")).startswith(marker)]
        if not candidates:
            return None
        login = self._login()
        for item in candidates:
            user = item.get("user") or {}
            ours = user.get("login") == login if login else user.get("type") == "Bot"
            if ours:
                return Found(int(item["id"]), _address(item) or "", _text(item.get("body")))
        return None

    def _login(self) -> str | None:
        """Return whose token it is; None for one of an installation (GitHub Actions), which has no user."""
        answer = self._send("GET", f"{self.api}/user", None)
        if answer.status_code != 200:  # noqa: PLR2004
            return None
        return str(_decoded(answer).get("login") or "") or None

    def _comments(self, number: int) -> Iterator[Mapping[str, Any]]:
        url: str | None = f"{self.api}/repos/{self.repository}/issues/{number}/comments?per_page=100"
        for _ in range(_PAGES):
            if url is None:
                return
            answer = self._checked("GET", url, None)
            items = _decoded(answer)
            if not isinstance(items, list):
                raise HostError("the host answered with something that is no list of comments", code="E665")
            yield from (item for item in items if isinstance(item, dict))
            url = self._next(answer.headers.get("link", ""))

    def _next(self, link: str) -> str | None:
        match = _NEXT.search(link)
        if match is None:
            return None
        here, there = urlsplit(self.api), urlsplit(match[1])
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise HostError("the host's next page lies at another host: the token is not sent there", code="E665")
        return match[1]

    def _json(self, method: str, path: str, value: Mapping[str, Any]) -> Mapping[str, Any]:
        found = _decoded(self._checked(method, f"{self.api}{path}", value))
        return found if isinstance(found, dict) else {}

    def _checked(self, method: str, url: str, value: Mapping[str, Any] | None) -> Any:
        answer = self._send(method, url, value)
        if answer.is_success:
            return answer
        raise _refusal(method, answer, self.repository)

    def _send(self, method: str, url: str, value: Mapping[str, Any] | None) -> Any:
        """Send until there is an answer that waiting does not change.

        A comment that a broken connection may have made is not made again: only what may be repeated is.
        """
        import httpx

        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = self._client.request(method, url, json=value)
            except httpx.HTTPError as error:
                unsent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
                if attempt < _ATTEMPTS and (method != "POST" or unsent) and self._wait(float(2**attempt)):
                    continue
                raise _unreachable(method, self.api, error, sent=not unsent) from None
            pause = self._pause(answer, attempt, repeatable=method != "POST")
            if pause is None or attempt == _ATTEMPTS or not self._wait(pause):
                return answer
        return answer

    def _pause(self, answer: Any, attempt: int, *, repeatable: bool) -> float | None:
        """Return the seconds after which the same request may be answered otherwise; None: it won't be."""
        if limited(answer):
            after = answer.headers.get("retry-after", "")
            if after.isdigit():
                return float(after)
            reset = answer.headers.get("x-ratelimit-reset", "")
            return max(1.0, float(reset) - self.patience.now()) if reset.isdigit() else 60.0
        return float(2**attempt) if answer.status_code in _TRANSIENT and repeatable else None

    def _wait(self, seconds: float) -> bool:
        """Wait, unless that is longer than patience lasts."""
        if self._waited + seconds > _PATIENCE:
            return False
        self._waited += seconds
        self.patience.sleep(seconds)
        return True


def limited(answer: Any) -> bool:
    """Whether the answer is a rate limit, primary or secondary."""
    if answer.status_code == 429:  # noqa: PLR2004
        return True
    exhausted = answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
    return answer.status_code == 403 and exhausted  # noqa: PLR2004


def _unreachable(method: str, api: str, error: Exception, *, sent: bool) -> HostError:
    kind = _UnsureError if method == "POST" and sent else HostError
    return kind(f"{urlsplit(api).netloc} cannot be reached: {type(error).__name__}", code="E664")


def _refusal(method: str, answer: Any, repository: str) -> HostError:
    """Return the error for an answer, numbered by status."""
    said, status = _message(answer), answer.status_code
    if limited(answer):
        return HostError(f"the host's rate limit is used up: {said}", code="E663", help=("custody comment --post",))
    match status:
        case 401:
            return HostError(
                f"the host does not accept the token: {said}", code="E666", help=("export GITHUB_TOKEN=…",)
            )
        case 403:
            kind, words = (HostError, "read") if method == "GET" else (ReadOnlyError, "write")
            needs = "permissions: {pull-requests: write}   in the workflow"
            return kind(f"the token may not {words} comments of {repository}: {said}", code="E667", help=(needs,))
        case 404:
            return HostError(
                f"there is no such pull request in {repository}, or the token may not see it: {said}", code="E668"
            )
        case 410 | 422:
            return HostError(f"the host refuses the comment: {said}", code="E669")
        case _:
            kind = _UnsureError if method == "POST" and status in _TRANSIENT else HostError
            return kind(f"the host answered {status}: {said}", code="E665")


def _message(answer: Any) -> str:
    try:
        found = answer.json()
    except ValueError:
        found = None
    said = found.get("message") if isinstance(found, dict) else None
    text = str(said or answer.reason_phrase or answer.status_code)
    return "".join(char if char.isprintable() else " " for char in text)[:_MESSAGE]


def _decoded(answer: Any) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise HostError("the host answered with something that is no JSON", code="E665") from error


def _address(item: Mapping[str, Any]) -> str | None:
    url = item.get("html_url")
    return url if isinstance(url, str) and url.isprintable() else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
