"""The windows and the reference of a model as they stand on the ledger, and where they do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from custody.core.due import OUTCOMES, end_of
from custody.core.instants import utc
from custody.core.jsonfile import json_object
from custody.domain.monitoring import Judged
from custody.domain.ports import Files
from custody.domain.reference import Reference

_MONTHLY = 3
"""Slashes in the path of a window: monitoring/<model>/<month>/<window>.json."""


def path_of(judged: Judged) -> str:
    """Return the file of a window."""
    suffix = f".{OUTCOMES}" if judged.what == OUTCOMES else ""
    return f"{_folder(judged.model)}/{judged.window.period}/{judged.window.name}{suffix}.json"


def reference_path(model: str) -> str:
    """Return the file of a model's reference."""
    return f"{_folder(model)}/reference.json"


def recorded_windows(files: Files, *names: str, since: str = "") -> tuple[Judged, ...]:
    """Return the windows of a model, by its name and former ones, that start in the month `since` or later.

    They are in order of time. Raises LedgerError where one cannot be read.
    """
    found = [judged for name in names for judged in judged_windows(files, name, since)]
    return tuple(sorted(found, key=lambda item: (end_of(item.window), item.what)))


def newest_month(files: Files, model: str) -> str | None:
    """Return the month in which the newest windows of a model start, `2012-01`; None where there are none."""
    return next((path.split("/")[2] for path in reversed(files.under(_folder(model))) if _is_window(path)), None)


def judged_windows(files: Files, model: str, since: str) -> tuple[Judged, ...]:
    """Return the windows of a model that start in the month `since` or later. Raises LedgerError as all here."""
    return files.values(_folder(model), _judged, lambda path: _is_window(path) and path.split("/")[2] >= since)


def recorded_reference(files: Files, model: str) -> Mapping[str, Any] | None:
    """Return the reference of a model with its key; None where there is none that can be read: it is made again."""
    data = files.read(reference_path(model))
    try:
        found = json_object(data or b"")
        Reference.from_dict(found)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return found


def _folder(model: str) -> str:
    return f"monitoring/{model}"


def _is_window(path: str) -> bool:
    return path.count("/") == _MONTHLY


def _judged(value: dict[str, Any]) -> Judged:
    found = Judged.from_dict(value)
    utc(found.window.end), utc(found.window.start)
    return found
