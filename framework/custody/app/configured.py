"""The configuration as it was read before, found by the id of its file: most commands then need not parse YAML for it.

It lies in `.mlops/state/config`, may be deleted, and a damaged one counts as none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from custody.app.reading import reader
from custody.digest import canonical_json, digest, sha256
from custody.domain.spec import Config

if TYPE_CHECKING:
    from custody.domain.channels import Channel

FILE = "config"


def remembered(state_dir: Path, data: bytes) -> Config | None:
    """Return the configuration that the file with these bytes was read as; None where that is not known."""
    try:
        value = json.loads((state_dir / FILE).read_bytes())
        plain = value["config"]
        if value["of"] != _name(data) or value["digest"] != digest(plain):
            return None
        return _config(plain)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def remember(state_dir: Path, data: bytes, config: Config) -> None:
    """Remember what was read, where it can be told in JSON; that it could not be written is no failure."""
    if remembered(state_dir, data) is not None:
        return
    plain = asdict(replace(config, document=None))
    with suppress(OSError, ValueError, TypeError):
        if _config(json.loads(canonical_json(plain))) != replace(config, document=None):
            return
        state_dir.mkdir(parents=True, exist_ok=True)
        aside = state_dir / f"{FILE}.{os.getpid()}"
        aside.write_bytes(canonical_json({"of": _name(data), "digest": digest(plain), "config": plain}))
        aside.replace(state_dir / FILE)


def _name(data: bytes) -> str:
    return digest([reader(), sha256(data)])


def _config(plain: Mapping[str, Any]) -> Config:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
    channels = {name: _channel(item) for name, item in values.pop("channels").items()}
    return Config(**values, channels=channels)


def _channel(plain: Mapping[str, Any]) -> Channel:
    from custody.domain.channels import Channel
    from custody.domain.monitors import Level

    return Channel(plain["uses"], plain["with_"], Level(plain["level"]))
