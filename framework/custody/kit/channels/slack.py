"""The channel `slack`: an incoming webhook of Slack, whose address is the secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from custody.domain.channels import Message
from custody.kit.channels import Sender
from custody.kit.channels.http import TIMEOUT, Request, deliver

PARAMS = {
    "type": "object",
    "properties": {
        "url": {
            "type": "string",
            "pattern": r"^env:[A-Za-z_][A-Za-z0-9_]*$(?!\n)",
            "patternErrorMessage": "the name of a variable, such as env:SLACK_WEBHOOK: the address is a secret",
        },
        "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": 60, "default": 10},
    },
    "required": ["url"],
    "additionalProperties": False,
}
_TEXT = 2900
"""Characters of a text block, which Slack bounds at 3,000."""
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def send(message: Message, settings: Mapping[str, Any], sender: Sender) -> None:
    """Post the message; raises DeliveryError."""
    body = json.dumps({"text": _escaped(message.title), "blocks": _blocks(message)}, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "User-Agent": sender.tool, "Idempotency-Key": message.key}
    deliver(Request(str(settings["url"]), headers, body, timeout=float(settings.get("timeout", TIMEOUT))), sender.at)


def _blocks(message: Message) -> list[dict[str, Any]]:
    fence = _escaped(message.text.replace("```", "'''"))[:_TEXT]
    texts = (f"*{_escaped(message.title)}*", f"```{fence}```")
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text}} for text in texts]


def _escaped(text: str) -> str:
    """Return a text that mentions nobody and links nowhere."""
    return "".join(_ESCAPES.get(char, char) for char in text)
