"""Which files of the ledger's tree a record may write, and which of two facts about the same file stands. Pure."""

from __future__ import annotations

import re
from typing import Any

from custody.core.jsonfile import json_object
from custody.domain.record import Kind, Record

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}")
"""Names of models, datasets and versions as they may become parts of a path."""
MODEL_FILES = ("spec.yaml", "run.json")

_MONTH = r"\d{4}-\d\d"
_WINDOW = r"\d{4}-(?:W\d\d|\d\d(?:-\d\d(?:T\d\db?)?)?)(?:\.outcomes)?"
_ID = r"[A-Za-z0-9]{4,64}"
_OF_MODEL = re.compile(rf"models/(?P<model>{NAME.pattern})/(?:spec\.yaml|run\.json)")
_FILES = {
    Kind.RUN: _OF_MODEL,
    Kind.VERDICT: _OF_MODEL,
    Kind.METADATA: _OF_MODEL,
    Kind.DATA: re.compile(rf"datasets/{NAME.pattern}/{NAME.pattern}\.json"),
    Kind.MONITOR: re.compile(rf"monitoring/{NAME.pattern}/(?:reference|{_MONTH}/{_WINDOW})\.json"),
    Kind.PREDICTIONS: re.compile(rf"predictions/(?P<model>{NAME.pattern})/{_MONTH}/{_ID}\.json"),
    Kind.ALERT: re.compile(rf"incidents/{_ID}(?:\.told)?\.json"),
    Kind.ACKNOWLEDGE: re.compile(rf"incidents/{_ID}\.ack\.json"),
    Kind.SILENCE: re.compile(rf"silences/{_ID}\.json"),
}
_OF_NO_MODEL = frozenset({Kind.DATA, Kind.MONITOR})


def owns(record: Record, path: str) -> bool:
    """Whether a record of this kind and model may write `path`."""
    pattern = _FILES.get(record.kind)
    found = pattern.fullmatch(path) if pattern else None
    if found is None or (record.kind in _OF_NO_MODEL and record.model is not None):
        return False
    return found.groupdict().get("model", record.model) == record.model


def stands(path: str, present: bytes | None, data: bytes) -> bool:
    """Whether `data` takes the place of `present` where a record lands that owns `path`.

    1. A version of a dataset and a batch of predictions stay as they were recorded first.
    2. A window, an incident and its receipts give way to a greater revision only, so that facts may land in any order.
    3. All else is what was said last.
    """
    if present is None:
        return True
    match path.split("/"):
        case ["datasets" | "predictions", *_]:
            return False
        case ["monitoring", _, _, _]:
            return _revision(data) > _revision(present)
        case ["incidents", name] if not name.endswith(".ack.json"):
            return _revision(data) > _revision(present)
        case _:
            return True


def _revision(data: bytes) -> int:
    """Return the revision that a file says; what cannot be read gives way to all."""
    try:
        value: Any = json_object(data).get("revision")
    except ValueError:
        return -1
    return value if type(value) is int else 0
