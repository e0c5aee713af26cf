"""The channels of `.mlops/config.yaml`: their values, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from custody.domain.channels import CHANNELS, Channel
from custody.domain.monitors import Level
from custody.domain.problem import Problem
from custody.domain.spec import Config
from custody.domain.uses import Uses
from custody.spec.functions import Use, builtin_problems

_TICKETS = frozenset({"file", "github"})
"""Kinds that hear of warnings too, unless they are told otherwise."""


def channels(value: Mapping[str, Any]) -> dict[str, Channel]:
    """Build the channels by name."""
    return {name: _channel(item) for name, item in value.items()}


def channel_problems(config: Config) -> Iterator[Problem]:
    """Yield unknown kinds, and settings that do not fit, such as a secret that is written out."""
    if config.document is None:
        return
    for name, channel in config.channels.items():
        use = Use("config", f"channels.{name}", Uses(channel.uses, channel.with_), config.document, ".mlops")
        yield from builtin_problems(use, {kind: f"channels/{kind}" for kind in CHANNELS}, own=False)


def _channel(value: Mapping[str, Any]) -> Channel:
    kind = value["uses"]
    level = Level(value["level"]) if "level" in value else Level.WARN if kind in _TICKETS else Level.ALERT
    return Channel(kind, value.get("with", {}), level)
