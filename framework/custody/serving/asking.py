"""Asking a server what it answers with."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_LONGEST = 1 << 20


def ask_version(address: str, timeout: float) -> Mapping[str, Any]:
    """Return what a server tells of itself, untrusted, within `timeout` seconds for each step.

    Follows nothing and asks no proxy. Raises OSError where it does not answer, ValueError where that is no answer.
    """
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    if parts.scheme not in {"http", "https"} or parts.hostname is None or parts.username is not None:
        raise ValueError("no address of a server")
    connection = kind(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/version", headers={"Accept": "application/json"})
        response = connection.getresponse()
        data = response.read(_LONGEST)
    except http.client.HTTPException as error:
        raise ValueError(f"no answer in HTTP: {type(error).__name__}") from error
    finally:
        connection.close()
    value = json.loads(data) if response.status == http.client.OK else None
    if not isinstance(value, dict):
        raise ValueError(f"it answered {response.status}")  # noqa: TRY004 - one failure kind
    return value
