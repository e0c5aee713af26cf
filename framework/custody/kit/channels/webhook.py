"""The channel `webhook`: the message as JSON, posted to an address, signed where there is a secret.

`Custody-Signature: t=<seconds since 1970>,v1=<HMAC-SHA256 of "<t>.<body>" in hexadecimal digits>`: a receiver that
checks the time too cannot be fed an old message. `Idempotency-Key` and `key` of the body are the same in each attempt.
"""

from __future__ import annotations

import hashlib
import hmac
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
            "pattern": r"^(env:[A-Za-z_][A-Za-z0-9_]*|https://[^/@\s]+(/\S*)?|http://(localhost|127\.0\.0\.1)(:\d+)?(/\S*)?)$(?!\n)",
            "patternErrorMessage": "an https address without a password, or env:NAME",
        },
        "secret": {
            "type": "string",
            "pattern": r"^env:[A-Za-z_][A-Za-z0-9_]*$(?!\n)",
            "patternErrorMessage": "the name of a variable, such as env:PAGER_SECRET: a secret is not written down",
        },
        "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": 60, "default": 10},
    },
    "required": ["url"],
    "additionalProperties": False,
}


def send(message: Message, settings: Mapping[str, Any], sender: Sender) -> None:
    """Post the message; raises DeliveryError."""
    body = json.dumps(message.to_dict(), ensure_ascii=False).encode()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": sender.tool,
        "Idempotency-Key": message.key,
    }
    secret = settings.get("secret")
    if secret:
        headers["Custody-Signature"] = signature(str(secret), int(sender.at.timestamp()), body)
    timeout = float(settings.get("timeout", TIMEOUT))
    deliver(Request(str(settings["url"]), headers, body, timeout=timeout), sender.at)


def signature(secret: str, seconds: int, body: bytes) -> str:
    """Return the value of the header that signs `body` at a time, in seconds since 1970."""
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"
