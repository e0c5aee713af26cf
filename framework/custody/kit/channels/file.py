"""The channel `file`: one line of JSON a message, appended to a file of the project and synced before it counts."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Mapping
from typing import Any

from custody.domain.channels import DeliveryError, Message
from custody.kit.channels import Sender

PARAMS = {
    "type": "object",
    "properties": {
        "path": {
            "type": "string",
            "pattern": r"^(?!(.*/)?\.\.(/|$))[A-Za-z0-9_.][A-Za-z0-9_./-]*$(?!\n)",
            "patternErrorMessage": "a file below the project, without `..`",
        }
    },
    "required": ["path"],
    "additionalProperties": False,
}


def send(message: Message, settings: Mapping[str, Any], sender: Sender) -> None:
    """Append the message; raises DeliveryError where it cannot be written, or would land outside of the project."""
    path = sender.root / str(settings["path"])
    line = json.dumps(message.to_dict(), ensure_ascii=False).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.parent.resolve().is_relative_to(sender.root.resolve()):
            raise DeliveryError("the file lies outside of the project", again=False)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            _write(handle, line)
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise DeliveryError(f"the file cannot be written: {error.strerror}", again=True) from None


def _write(handle: int, line: bytes) -> None:
    """Write the whole line, or take back what a full disk let through of it."""
    size = os.fstat(handle).st_size
    if os.write(handle, line) != len(line):
        os.ftruncate(handle, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
