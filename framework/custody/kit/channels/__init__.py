"""Channels: each is one function `send(message, settings, sender)`, which returns when the receiver has the message.

`settings` are those of `.mlops/config.yaml`, with secrets filled in: none of them may be in a message or in an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from custody.domain.channels import CHANNELS, DeliveryError, Message


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, from which project, at what time."""

    root: Path
    at: datetime
    tool: str


class Send(Protocol):
    """Sends a message."""

    def __call__(self, message: Message, settings: Mapping[str, Any], sender: Sender) -> None:
        """Send; raises DeliveryError where the receiver has not said that it took the message."""


def channel(name: str) -> Send:
    """Return the channel called `name`; raises DeliveryError where there is none."""
    if name not in CHANNELS:
        raise DeliveryError(f"there is no channel of the kind {name!r}", again=False)
    return cast("Send", import_module(f"custody.kit.channels.{name}").send)
