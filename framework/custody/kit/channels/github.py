"""The channel `github`: one issue an incident, commented on with each change, closed when it is over.

Issues are ours by their label, which only those who may triage can set, and told apart by a hidden line.
https://docs.github.com/en/rest/issues/issues and .../comments
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from custody.domain.channels import DeliveryError, Message
from custody.kit.channels import Sender
from custody.kit.channels.http import TIMEOUT, Request, deliver

PARAMS = {
    "type": "object",
    "properties": {
        "repository": {
            "type": "string",
            "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+$(?!\n)",
            "patternErrorMessage": "owner/name",
        },
        "token": {
            "type": "string",
            "pattern": r"^env:[A-Za-z_][A-Za-z0-9_]*$(?!\n)",
            "patternErrorMessage": "the name of a variable, such as env:GITHUB_TOKEN: a secret is not written down",
        },
        "api": {
            "type": "string",
            "pattern": r"^(https://[^/@\s]+(/\S*)?|http://(localhost|127\.0\.0\.1)(:\d+)?)$(?!\n)",
            "patternErrorMessage": "an https address",
            "default": "https://api.github.com",
        },
        "label": {"type": "string", "pattern": r"^[A-Za-z0-9 ._:-]{1,50}$(?!\n)", "default": "custody"},
        "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": 60, "default": 10},
    },
    "required": ["repository", "token"],
    "additionalProperties": False,
}
_API, _LABEL = "https://api.github.com", "custody"
_PAGE = 100
_PAGES = 20
_FENCE = "```"


@dataclass(frozen=True, slots=True)
class _Issue:
    number: int
    open: bool
    body: str
    comments: int


def send(message: Message, settings: Mapping[str, Any], sender: Sender) -> None:
    """Open, comment on, close or reopen the incident's issue; what was said already is not said again.

    Raises DeliveryError.
    """
    repository = _Repository(settings, sender)
    issue = repository.find(message.incident)
    done = message.action == "resolve"
    if issue is None:
        number = repository.create(message)
        if done:
            repository.change(number, "closed")
        return
    if _mark(message.key) not in issue.body and not repository.said(issue, message.key):
        repository.comment(issue.number, message)
    if issue.open is done:
        repository.change(issue.number, "closed" if done else "open")


class _Repository:
    """The issues of one repository."""

    def __init__(self, settings: Mapping[str, Any], sender: Sender) -> None:
        self._at = sender.at
        self._base = f"{str(settings.get('api', _API)).rstrip('/')}/repos/{settings['repository']}"
        self._label = str(settings.get("label", _LABEL))
        self._timeout = float(settings.get("timeout", TIMEOUT))
        self._headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {settings['token']}",
            "Content-Type": "application/json",
            "User-Agent": sender.tool,
            "X-GitHub-Api-Version": "2022-11-28",
        }

    def find(self, incident: str) -> _Issue | None:
        """Return the issue of an incident; None where there is none."""
        query = f"/issues?state=all&labels={self._label.replace(' ', '%20')}&per_page={_PAGE}"
        for item in self._pages(query):
            body = str(item.get("body") or "")
            if body.startswith(_mark(f"incident {incident}")) and "pull_request" not in item:
                return _Issue(int(item["number"]), item.get("state") == "open", body, int(item.get("comments") or 0))
        return None

    def said(self, issue: _Issue, key: str) -> bool:
        """Whether a comment holds the key already."""
        if not issue.comments:
            return False
        pages = self._pages(f"/issues/{issue.number}/comments?per_page={_PAGE}")
        return any(_mark(key) in str(item.get("body") or "") for item in pages)

    def create(self, message: Message) -> int:
        body = f"{_mark(f'incident {message.incident}')}\n{_text(message)}"
        made = self._call("POST", "/issues", {"title": message.title, "body": body, "labels": [self._label]})
        number = made.get("number") if isinstance(made, dict) else None
        if not isinstance(number, int):
            raise DeliveryError("the host answers with something that is no issue", again=True)
        return number

    def comment(self, number: int, message: Message) -> None:
        self._call("POST", f"/issues/{number}/comments", {"body": f"**{message.title}**\n\n{_text(message)}"})

    def change(self, number: int, state: str) -> None:
        self._call("PATCH", f"/issues/{number}", {"state": state})

    def _pages(self, path: str) -> Iterator[Mapping[str, Any]]:
        for page in range(1, _PAGES + 1):
            items = self._call("GET", f"{path}&page={page}", None)
            if not isinstance(items, list):
                raise DeliveryError("the host answers with something that is no list", again=True)
            yield from (item for item in items if isinstance(item, dict))
            if len(items) < _PAGE:
                return

    def _call(self, method: str, path: str, value: Mapping[str, Any] | None) -> Any:
        content = None if value is None else json.dumps(value, ensure_ascii=False).encode()
        request = Request(f"{self._base}{path}", self._headers, content, method, self._timeout)
        answer = deliver(request, self._at)
        try:
            return json.loads(answer.body or b"null")
        except ValueError:
            raise DeliveryError("the host answers with something that is no JSON", again=True) from None


def _mark(text: str) -> str:
    """Return a line that is not shown."""
    return f"<!-- custody {text} -->"


def _text(message: Message) -> str:
    fenced = message.text.replace(_FENCE, "'''")
    return f"{_mark(message.key)}\n{_FENCE}\n{fenced}\n{_FENCE}\n"
