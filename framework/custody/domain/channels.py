"""Channels, as `.mlops/config.yaml` declares them, and the messages that go through them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from custody.domain.monitors import Level

FORMAT = 1
CHANNELS = ("webhook", "slack", "email", "file", "github")
SECRET = "env:"  # noqa: S105 - how a secret is named, not one
"""What a setting begins with that is read from an environment variable when a message is sent."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Where messages go. `with_` are its settings, secrets as `env:NAME`; `level` is the least that it hears of."""

    uses: str
    with_: Mapping[str, Any] = field(default_factory=dict)
    level: Level = Level.ALERT


@dataclass(frozen=True, slots=True)
class Message:
    """One revision of an incident for one channel. `key` is the same however often it is sent.

    `title` is one line, `text` the screen below it, `action` what an on-call service calls it: trigger or resolve.
    """

    key: str
    incident: str
    revision: int
    action: str
    level: str
    title: str
    text: str
    models: tuple[str, ...]
    owner: str
    since: str
    at: str

    def to_dict(self) -> dict[str, Any]:
        names = ("key", "incident", "revision", "action", "level", "title", "text")
        value: dict[str, Any] = {"format": FORMAT, **{name: getattr(self, name) for name in names}}
        return value | {"models": list(self.models), "owner": self.owner, "since": self.since, "at": self.at}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read a stored message; raises KeyError or ValueError where it is not one of this format."""
        if value["format"] != FORMAT:
            raise ValueError(f"the message has format {value['format']!r}, this custody reads {FORMAT}")
        names = ("key", "incident", "revision", "action", "level", "title", "text", "owner", "since", "at")
        return cls(**{name: value[name] for name in names}, models=tuple(value["models"]))


class DeliveryError(Exception):
    """A message did not arrive, for the reason that it gives, which holds no secret.

    `again` is whether another attempt may help, `after` the seconds that the receiver asks to wait.
    """

    def __init__(self, reason: str, *, again: bool, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again
        self.after = after
